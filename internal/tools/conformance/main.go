// Command conformance checks the conformance record, scripts/conformance.yaml, and prints
// its totals.
//
//	go run ./internal/tools/conformance [-l] [-w]
//
// Problems of the record are printed on standard error, and the exit status is then 1. Run
// it in the root of the repository.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/mqtools/mqtools/internal/conformance"
)

func main() {
	list := flag.Bool("l", false, "list the statements of each group, with what shows them")
	write := flag.Bool("w", false, "write into the record which scripts show a statement, from their heads")
	flag.Parse()
	if err := run(os.DirFS("."), *list, *write); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(root fs.FS, list, write bool) error {
	r, err := conformance.Load(root)
	if err != nil {
		return err
	}
	if write {
		if err := r.Fill(root); err != nil {
			return err
		}
		if err := os.WriteFile(conformance.Path, r.Text(), 0o644); err != nil {
			return err
		}
	}
	problems, err := r.Check(root)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if list {
		err = r.List(&out)
	} else {
		err = r.Totals(&out)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write(out.Bytes()); err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s has %d errors", conformance.Path, len(problems))
	}
	return nil
}
