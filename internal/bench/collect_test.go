package bench

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// idle returns a run that has been prepared and not begun.
func idle(t *testing.T, yaml string) *run {
	t.Helper()
	p := parse(t, yaml)
	s, err := p.Shard(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(Options{Shard: s, Swarm: swarm.Options{Targets: []*transport.Target{{Network: "tcp", Host: "127.0.0.1", Port: 1}}, Dialer: &transport.Dialer{}}})
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.swarm.Close)
	return r
}

// TestNoIntervalEndsBeforeItBegins: a phase begins when its time has come, and the
// collector may have ended an interval after that time before it learns of the phase.
// No file may hold an interval of negative length.
func TestNoIntervalEndsBeforeItBegins(t *testing.T) {
	t.Parallel()
	r := idle(t, "groups: {a: {clients: 1}}")
	var shown []*result.Interval
	r.o.Status = func(s Status) { shown = append(shown, s.Interval) }
	c := r.collect(time.Hour)
	defer c.stop()
	c.cut(plan.PhaseWarmUp, 10*time.Second, time.Second)
	c.cut(plan.PhaseMeasure, 9*time.Second, time.Second)
	c.cut(plan.PhaseDrain, 12*time.Second, time.Second)
	if n := len(shown); n != 2 || len(r.res.Intervals) != n {
		t.Fatalf("%d intervals are shown and %d kept, want 2", n, len(r.res.Intervals))
	}
	for i, want := range [][2]time.Duration{{10 * time.Second, 10 * time.Second}, {10 * time.Second, 12 * time.Second}} {
		if got := r.res.Intervals[i]; got.Start != want[0] || got.End != want[1] {
			t.Errorf("interval %d: got %v to %v, want %v to %v", i, got.Start, got.End, want[0], want[1])
		}
	}
}
