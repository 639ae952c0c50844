package mqbench

import (
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// TestLatencyIsTheResponseOfAllGroups guards against the random order of maps.
func TestLatencyIsTheResponseOfAllGroups(t *testing.T) {
	i := result.NewInterval(result.PhaseMeasure, 0, time.Second)
	for _, group := range []string{"a", "b", "c"} {
		i.Histogram(result.Key{Op: result.Puback, Kind: result.Response, Group: group}).Record(20*time.Millisecond, 100)
		i.Histogram(result.Key{Op: result.Puback, Kind: result.Service, Group: group}).Record(time.Millisecond, 100)
	}
	for range 50 {
		f := newFigures(bench.Status{Interval: i})
		if n, least := f.latency.Count(), f.latency.Min(); f.op != result.Puback || n != 300 || least < 19*time.Millisecond {
			t.Fatalf("got %d values of %v from %v on, want 300 of puback from 20ms on", n, f.op, least)
		}
	}
}
