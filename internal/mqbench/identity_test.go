package mqbench

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// callers records the clients that connected to a broker.
type callers struct {
	mu  sync.Mutex
	ids []string
}

func (c *callers) options() broker.Options {
	return broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ids = append(c.ids, string(p.ClientID))
		return packet.Success
	}}
}

// taken returns the runs in the IDs since the last call, each once, and the number of IDs.
func (c *callers) taken() (runs []string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range c.ids {
		if parts := strings.Split(id, "-"); len(parts) > 3 && parts[0] == "mqbench" {
			runs = append(runs, parts[1])
			n++
		}
	}
	slices.Sort(runs)
	c.ids = nil
	return slices.Compact(runs), n
}

// TestTheRunInClientIDs checks that it differs between runs and is the same in the
// processes of a run.
func TestTheRunInClientIDs(t *testing.T) {
	t.Parallel()
	c := &callers{}
	url := startBroker(t, c.options())
	run := func(words ...string) (runs []string) {
		t.Helper()
		r := mqbench(t, append(append([]string{"conn", "--clients", "4", "--duration", "0.05"}, url...), words...)...)
		if r.code != option.ExitDone {
			t.Fatalf("%v: status %d, %s", words, r.code, r.err)
		}
		runs, _ = c.taken()
		return runs
	}
	seen := map[string]bool{}
	for range 3 {
		if runs := run(); len(runs) != 1 || seen[runs[0]] {
			t.Errorf("runs %q after %v", runs, seen)
		} else {
			seen[runs[0]] = true
		}
	}
	if runs := run("--run-id", "mine"); !slices.Equal(runs, []string{"mine"}) {
		t.Errorf("--run-id: %q", runs)
	}
	if runs := run("--procs", "2"); len(runs) != 1 || seen[runs[0]] {
		t.Errorf("two processes have %q", runs)
	}
	// Shards that are started by hand share the plan and the start time.
	start := time.Now().Add(3 * time.Second).Truncate(time.Second)
	var wait sync.WaitGroup
	for i := range 2 {
		wait.Go(func() {
			at := fmt.Sprintf("@%d", start.Unix())
			if i == 1 {
				at = start.UTC().Format(time.RFC3339)
			}
			r := mqbench(t, append([]string{"conn", "--clients", "4", "--duration", "0.05", "--shard", fmt.Sprintf("%d/2", i), "--start-at", at}, url...)...)
			if r.code != option.ExitDone {
				t.Errorf("shard %d: status %d, %s", i, r.code, r.err)
			}
		})
	}
	wait.Wait()
	if runs, n := c.taken(); len(runs) != 1 || n != 4 || seen[runs[0]] {
		t.Errorf("%d clients of two shards are of the runs %q", n, runs)
	}
}

// TestSessionsAreKeptAndTakenUpOnPurpose covers the options; package bench tests the rest.
func TestSessionsAreKeptAndTakenUpOnPurpose(t *testing.T) {
	t.Parallel()
	b, addr := brokertest.StartWith(t, broker.Options{})
	host, port, _ := net.SplitHostPort(addr)
	url := []string{"-h", host, "-p", port}
	left := func(want int, words ...string) {
		t.Helper()
		r := mqbench(t, append(append([]string{"sub", "--clients", "3", "--duration", "0.05", "-t", "a/%i", "-q", "1", "-c"}, url...), words...)...)
		if r.code != option.ExitDone {
			t.Errorf("%v: status %d, %s", words, r.code, r.err)
		}
		if n := b.Stats().Sessions; n != want {
			t.Errorf("%v: %d sessions are left, want %d", words, n, want)
		}
	}
	left(0)
	left(0, "-V", "311")
	left(3, "--keep-sessions", "--run-id", "a")
	left(3, "--keep-sessions", "--resume", "--run-id", "a")
	left(3, "-V", "311") // another run does not remove them
	left(0, "--resume", "--run-id", "a")
}

func TestIdentitiesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	refused(t, "--run-id: invalid name \"a/b\" (want up to 32 letters, digits, - and _)\n", "conn", "--run-id", "a/b")
	refused(t, "--resume: the client IDs of group sub are new in every run\nmqbench: give both runs the same --run-id, or client IDs of your own\n", "sub", "-c", "--resume")
	refused(t, "--keep-sessions has no effect: no session outlives its connection\n", "sub", "--keep-sessions")
	refused(t, "--resume has no effect: no session outlives its connection\n", "sub", "--resume", "--run-id", "a")
	refused(t, "--topic-prefix has no effect on report\n", "report", "x", "--topic-prefix", "a/")
}
