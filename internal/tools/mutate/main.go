// Command mutate breaks the code one mistake at a time and runs the tests of the package: a
// promise that can be broken without failing a test is not protected.
//
//	go run ./internal/tools/mutate                 every mutant of the lists
//	go run ./internal/tools/mutate -only session   those whose list or file contains the text
//	go run ./internal/tools/mutate -sample 20      twenty, a different choice each week
//
// The lists are mutants/*.txt, in the format that List describes. The tree is not changed:
// each mutant is an overlay of go test. The command prints the survivors and exits with
// status 1 if more than 5 % of the mutants survive that are not marked as equivalent.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

func main() {
	only := flag.String("only", "", "try the mutants whose list (LIST:LINE) or file contains `TEXT`")
	sample := flag.Int("sample", 0, "try a random choice of `N` mutants")
	seed := flag.Uint64("seed", weekOf(time.Now()), "choose by `SEED`; the default changes weekly")
	jobs := flag.Int("j", 2, "run the tests of `N` mutants at a time")
	limit := flag.Duration("timeout", 2*time.Minute, "a mutant whose tests run longer is killed by that")
	verbose := flag.Bool("v", false, "print every mutant with the test that killed it")
	flag.Parse()
	if err := run(*only, *sample, *seed, *jobs, *limit, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func weekOf(t time.Time) uint64 {
	year, week := t.ISOWeek()
	return uint64(year*100 + week)
}

func run(only string, sample int, seed uint64, jobs int, limit time.Duration, verbose bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	lists, err := filepath.Glob(filepath.Join(root, "internal/tools/mutate/mutants/*.txt"))
	if err != nil {
		return err
	}
	var all []Mutant
	for _, path := range lists {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		list, err := List(filepath.Base(path), string(text))
		if err != nil {
			return err
		}
		for _, m := range list {
			if strings.Contains(m.List, only) || strings.Contains(m.File, only) {
				all = append(all, m)
			}
		}
	}
	if sample > 0 && sample < len(all) {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:sample]
	}
	if len(all) == 0 {
		return errors.New("no mutant to try")
	}
	if err := fit(root, all); err != nil {
		return err
	}
	if err := unbroken(root, all, limit); err != nil {
		return err
	}

	results := make([]result, len(all))
	var wg sync.WaitGroup
	next := make(chan int)
	for range max(jobs, 1) {
		wg.Go(func() {
			for i := range next {
				results[i] = try(root, all[i], limit)
				if verbose || results[i].err != nil {
					fmt.Printf("%s: %v\n", all[i], results[i])
				}
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	return summarize(all, results)
}

// summarize prints the survivors and the number of mutants killed.
func summarize(all []Mutant, results []result) error {
	killed, argued, broken := 0, 0, 0
	for i, r := range results {
		switch {
		case r.err != nil:
			broken++
		case r.killed:
			killed++
		case all[i].Equivalent != "":
			argued++
		default:
			fmt.Printf("survives: %s\n", all[i])
		}
	}
	counted := len(all) - argued
	fmt.Printf("%d of %d mutants killed by their own package's tests, %d more argued to be equivalent\n", killed, counted, argued)
	if broken > 0 {
		return fmt.Errorf("%d mutants could not be tried", broken)
	}
	if killed*100 < counted*95 {
		return fmt.Errorf("%d survive, more than 5 %%", counted-killed)
	}
	return nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// fit checks that every mutant can be applied, before an hour is spent on the others.
func fit(root string, all []Mutant) error {
	var errs []error
	for _, m := range all {
		_, _, err := m.read(root)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// read returns the text of the mutant's file with the mutant applied.
func (m Mutant) read(root string) (path, text string, err error) {
	path = filepath.Join(root, m.File)
	source, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", m, err)
	}
	text, err = m.Apply(string(source))
	return path, text, err
}

// unbroken checks that the tests pass in time without a mutant; otherwise they would kill
// every mutant.
func unbroken(root string, all []Mutant, limit time.Duration) error {
	args, seen := []string{"test", "-vet=off", "-timeout", limit.String()}, map[string]bool{}
	for _, m := range all {
		if pkg := m.Package(); !seen[pkg] {
			seen[pkg] = true
			args = append(args, pkg)
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		short, _, _ := strings.Cut(string(out), "\ngoroutine ") // of a panic
		return fmt.Errorf("the tests fail without any mutant, or take longer than %v: %s: %w\n%s", limit, firstFailure(short), err, short)
	}
	return nil
}

// result is the result of a mutant.
type result struct {
	killed bool
	by     string // the first test that failed
	took   time.Duration
	err    error // it could not be tried
}

func (r result) String() string {
	switch {
	case r.err != nil:
		return "cannot be tried: " + r.err.Error()
	case !r.killed:
		return "SURVIVES"
	}
	return fmt.Sprintf("killed by %s in %.1f s", r.by, r.took.Seconds())
}

// try runs the tests of m's package with m applied.
func try(root string, m Mutant, limit time.Duration) result {
	path, text, err := m.read(root)
	if err != nil {
		return result{err: err}
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	mutant, overlay := filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutant}})
	if err == nil {
		err = errors.Join(os.WriteFile(mutant, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600))
	}
	if err != nil {
		return result{err: err}
	}
	start := time.Now()
	var r result
	if m.Killer != "" {
		r = test(root, overlay, m.Package(), "^"+m.Killer+"$", limit)
	}
	if r.err == nil && !r.killed {
		r = test(root, overlay, m.Package(), "", limit)
	}
	r.took = time.Since(start)
	return r
}

// test runs the tests of a package whose names match, with the overlay.
func test(root, overlay, pkg, names string, limit time.Duration) result {
	// The tests' own limit ends them and shows the test that hangs; the context's limit is
	// longer, for tests that do not even do that, and for compilation.
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-failfast", "-run", names, "-timeout", limit.String(), "-overlay", overlay, pkg)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "RAPID_NOFAILFILE=1") // they would be replayed without the mutant
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return result{killed: true, by: "the time limit"}
	case err == nil:
		return result{}
	case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "[setup failed]"):
		return result{err: fmt.Errorf("does not compile: %s", out)}
	case !strings.Contains(string(out), "FAIL\t"):
		return result{err: fmt.Errorf("no test was run: %w: %s", err, out)}
	}
	return result{killed: true, by: firstFailure(string(out))}
}

// firstFailure returns the name of the test that failed first.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name
		}
	}
	if _, at, ok := strings.Cut(out, "running tests:\n"); ok { // the panic of a timeout
		name, _, _ := strings.Cut(strings.TrimSpace(at), " ")
		return name + " (hangs)"
	}
	if strings.Contains(out, "panic:") || strings.Contains(out, "fatal error:") {
		return "a panic"
	}
	return "its exit status"
}
