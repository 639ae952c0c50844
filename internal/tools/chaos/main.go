// Command chaos is the proof of "nothing lost": it sends the lines of a file through mqpub
// follow, a broker and mqsub --output-file into another file while it kills each of the
// three, breaks the connections between them, fills their disk and tears what they write. At
// QoS 2 the files must be equal, at QoS 1 nothing may be missing; and what the tools say and
// end with must be true.
//
//	go run ./internal/tools/chaos [-trials N] [-seed N] [-each D] [-parallel N] [-lose]
//
// With -lose the broker loses the publisher's session again and again: then messages at
// QoS 2 may arrive twice, but no more than mqpub has reported.
//
// The seeds decide what is done to which trial and when; how far the tools have come by then
// is up to the machine. A failed trial leaves its files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "witness" {
		fmt.Fprintln(os.Stderr, "witness:", witnessCommand(os.Args[2:]))
		os.Exit(1)
	}
	trials := flag.Int("trials", 10, "number of trials")
	seed := flag.Uint64("seed", 1, "seed of the first trial; each has the next")
	each := flag.Duration("each", 10*time.Second, "time with faults in a trial")
	parallel := flag.Int("parallel", 4, "number of trials at a time")
	lose := flag.Bool("lose", false, "the broker loses sessions of the publisher")
	verbose := flag.Bool("v", false, "print each trial")
	flag.Parse()
	if status, done := inside(); done {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lost := 0
	if *lose {
		lost = losses
	}
	if err := campaign(ctx, *trials, *seed, *each, *parallel, lost, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// witnessCommand runs the witness in a process of its own.
func witnessCommand(args []string) error {
	receive, _ := strconv.ParseUint(args[2], 10, 16)
	lose, _ := strconv.ParseUint(args[3], 10, 8)
	seed, _ := strconv.ParseUint(args[5], 10, 64)
	return runWitness("unix", args[0], witnessOptions{log: args[1], receive: uint(receive), lose: uint(lose), wrong: args[4], seed: seed})
}

func build(dir string) error {
	out, err := exec.Command("go", "build", "-o", dir+"/", "github.com/mqtools/mqtools/cmd/mqpub", "github.com/mqtools/mqtools/cmd/mqsub").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func campaign(ctx context.Context, trials int, seed uint64, each time.Duration, parallel, losses int, verbose bool) error {
	dir, err := os.MkdirTemp("", "mqchaos")
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin")
	if err := build(bin); err != nil {
		return err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	counts, faults, lines, early, handed, failed := map[string]int{}, 0, 0, 0, 0, 0
	var twice [3]int // messages that were published twice, by QoS
	slots := make(chan struct{}, parallel)
	for i := range trials {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			t, err := newTrial(filepath.Join(dir, strconv.FormatUint(seed+uint64(i), 10)), bin, planOf(seed+uint64(i), losses))
			if err == nil {
				err = t.run(ctx, each)
				t.close(err == nil)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !errors.Is(err, context.Canceled) {
				failed++
				fmt.Println(err)
			}
			if t == nil {
				return
			}
			lines += t.written
			early += t.early
			handed += t.handed
			twice[t.qos] += t.twice
			for kind, n := range t.counts {
				counts[kind] += n
				faults += n
			}
			if verbose {
				fmt.Println(t.plan, t.counts)
			}
		})
	}
	all.Wait()
	fmt.Printf("%d trials, %d lines (%d of them arrived between faults), handed over %d times, published twice: %d at QoS 1, %d at QoS 2; %d faults:",
		trials, lines, early, handed, twice[1], twice[2], faults)
	for i, kind := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			fmt.Print(",")
		}
		fmt.Printf(" %d %s", counts[kind], kind)
	}
	fmt.Println()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed > 0:
		return fmt.Errorf("%d of %d trials failed; their files are in %s", failed, trials, dir)
	}
	return os.RemoveAll(dir)
}

func newTrial(dir, bin string, p plan) (*trial, error) {
	t := &trial{plan: p, bin: bin, dir: dir, disk: filepath.Join(dir, "disk")}
	if err := os.MkdirAll(t.disk, 0o700); err != nil {
		return nil, err
	}
	if p.small {
		if err := mount(t.disk); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// close gives the disk of a trial back. What a failed one has on it is copied.
func (t *trial) close(ok bool) {
	if !ok {
		_ = os.CopyFS(t.file("kept"), os.DirFS(t.disk))
	}
	if t.small {
		unmount(t.disk)
	}
	if ok {
		_ = os.RemoveAll(t.dir)
	}
}
