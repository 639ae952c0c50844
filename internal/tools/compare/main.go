// Command compare runs mosquitto's clients and ours, under their names, on the same cases
// and prints the differences: standard output, standard error, exit code, and what arrives
// at a broker.
//
//	go run ./internal/tools/compare [-v] [-run SUBSTRING]
//
// A difference needs a reason, which stands beside the case. The command exits with status
// 1 if a difference has no reason, or a reason no difference.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

func main() {
	verbose := flag.Bool("v", false, "list the cases that agree too")
	only := flag.String("run", "", "only the cases whose command line has this text")
	flag.Parse()
	if err := compare(*verbose, *only); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// programs are the clients' names.
var programs = []string{"mosquitto_pub", "mosquitto_sub", "mosquitto_rr"}

func compare(verbose bool, only string) error {
	dir, err := os.MkdirTemp("", "mqcompare")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	theirs := map[string]string{}
	for _, name := range programs {
		if theirs[name], err = exec.LookPath(name); err != nil {
			return err
		}
	}
	ours, err := build(dir)
	if err != nil {
		return err
	}
	daemon, err := findBroker()
	if err != nil {
		return err
	}
	var chosen []*scenario
	for i := range cases {
		if strings.Contains(cases[i].line(), only) {
			chosen = append(chosen, &cases[i])
		}
	}
	wait := sync.WaitGroup{}
	slots := make(chan struct{}, 4)
	for i, c := range chosen {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wait.Done() }()
			at := filepath.Join(dir, fmt.Sprint(i))
			// On a busy machine 2.0.11 hangs at a signal that comes at a bad moment, or
			// exits before it has sent everything. A real difference occurs again.
			for try := range 3 {
				at := filepath.Join(at, fmt.Sprint(try))
				c.theirs = c.run(daemon, theirs[c.program()], filepath.Join(at, "t"))
				c.ours = c.run(daemon, ours[c.program()], filepath.Join(at, "o"))
				if tool := natives[c.program()]; tool != "" {
					c.native = c.run(daemon, filepath.Join(dir, "bin", tool), filepath.Join(at, "n"))
				}
				if c.theirs.status != -1 && c.explained() {
					break
				}
			}
		}()
	}
	wait.Wait()
	return errors.Join(report(chosen, verbose), reportNatively(chosen, only == ""))
}

// build makes our tools and the links.
func build(dir string) (map[string]string, error) {
	bin := filepath.Join(dir, "bin")
	out, err := exec.Command("go", "build", "-o", bin+"/", "github.com/mqtools/mqtools/cmd/mqpub", "github.com/mqtools/mqtools/cmd/mqsub").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	ours := map[string]string{}
	for i, tool := range []string{"mqpub", "mqsub", "mqpub"} {
		link := filepath.Join(bin, programs[i])
		if err := os.Symlink(tool, link); err != nil {
			return nil, err
		}
		ours[programs[i]] = link
	}
	return ours, nil
}

func findBroker() (string, error) {
	if path, err := exec.LookPath("mosquitto"); err == nil {
		return path, nil
	}
	const path = "/usr/sbin/mosquitto"
	_, err := os.Stat(path)
	return path, err
}

// report writes the table of the differences, in Markdown.
func report(all []*scenario, verbose bool) error {
	same, bad := 0, 0
	fmt.Println("| case | theirs | ours | why |\n|---|---|---|---|")
	for _, c := range all {
		fields := c.differences()
		switch {
		case c.theirs.broken != "" || c.ours.broken != "":
			bad++
			fmt.Printf("| `%s` | | | **the case itself fails: %s%s** |\n", cell(c.line()), cell(c.theirs.broken), cell(c.ours.broken))
		case len(fields) == 0 && c.why == "":
			same++
			if verbose {
				fmt.Printf("| `%s` | %s | the same | |\n", cell(c.line()), cell(c.theirs.summary([]string{"status", "stdout", "stderr"})))
			}
		case len(fields) == 0:
			bad++
			fmt.Printf("| `%s` | | | **no difference, and a reason: %s** |\n", cell(c.line()), cell(c.why))
		default:
			why := cell(c.why)
			if why == "" {
				bad++
				why = "**no reason**"
			}
			fmt.Printf("| `%s` | %s | %s | %s |\n", cell(c.line()), cell(c.theirs.summary(fields)), cell(c.ours.summary(fields)), why)
		}
	}
	fmt.Printf("\n%d cases: %d the same in every byte and the status, %d differ for a reason", len(all), same, len(all)-same-bad)
	if bad > 0 {
		fmt.Printf(", %d are wrong\n", bad)
		return fmt.Errorf("%d of %d cases are wrong", bad, len(all))
	}
	fmt.Println()
	return nil
}

// cell returns text for a table cell.
func cell(s string) string {
	s = strings.NewReplacer("\n", "⏎", "|", `\|`, "`", "'").Replace(s)
	if r := []rune(s); len(r) > 160 {
		return string(r[:160]) + "…"
	}
	return s
}
