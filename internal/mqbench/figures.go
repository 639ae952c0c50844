package mqbench

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// figures are the totals of an interval, over all groups and QoS.
type figures struct {
	bench.Status
	length time.Duration
	counts result.Totals

	op      result.Op         // of which latency is measured
	latency *result.Histogram // nil: none
	lag     *result.Histogram // of all that was due; nil: nothing was due
}

func newFigures(st bench.Status) *figures {
	sum := result.NewInterval(st.Interval.Phase, st.Interval.Start, st.Interval.End)
	for _, i := range parts(st) {
		sum.Add(i)
	}
	f := &figures{Status: st, length: st.Interval.End - st.Interval.Start, counts: sum.Totals()}
	merged := sum.Merged()
	for k, h := range merged {
		switch {
		case k.Kind != result.Lag:
		case f.lag == nil:
			f.lag = h
		default:
			f.lag.Merge(h)
		}
	}
	for _, op := range [...]result.Op{result.Delivery, result.RTT, result.Backlog, result.Replay, result.Pubcomp, result.Puback, result.Connect} {
		if h := merged[result.Key{Op: op, Kind: result.Response}]; h != nil {
			f.op, f.latency = op, h
			break
		}
	}
	return f
}

// short reports whether the end of a phase has cut the interval short: its rates mean
// little.
func (f *figures) short() bool { return f.length < bench.Step/4 }

// parts returns the intervals of a status, which have the same time.
func parts(st bench.Status) []*result.Interval {
	if st.Early == nil {
		return []*result.Interval{st.Interval}
	}
	return []*result.Interval{st.Early, st.Interval}
}

// count returns the sum of some counters.
func (f *figures) count(counters ...result.Counter) int64 { return f.counts.Of(counters...) }

// rate returns the same per second.
func (f *figures) rate(counters ...result.Counter) float64 {
	return perSecond(f.count(counters...), f.length)
}

// perSecond returns the rate of n events in a time.
func perSecond(n int64, length time.Duration) float64 {
	if length <= 0 {
		return 0
	}
	return float64(n) / length.Seconds()
}

// line returns the interval as a line of at most 79 columns, including "mqbench: ".
func (f *figures) line() string {
	line := fmt.Sprintf("%6s %-8s %s/%d up", clock(f.Interval.End), f.Phase, units.Compact(float64(f.Connected)), f.Clients)
	if n := f.count(result.Connects); n > 0 {
		line += "  " + units.Compact(f.rate(result.Connects)) + " connects/s"
	}
	if f.count(result.Sent, result.Delivered, result.Foreign) > 0 {
		line += "  out " + units.Compact(f.rate(result.Sent)) + "/s in " + units.Compact(f.rate(result.Delivered, result.Foreign)) + "/s"
	}
	if h := f.latency; h != nil {
		parts := percentiles(h)
		if len(parts) < 2 { // the maximum if there are too few values for a p99
			parts = append(parts, "max "+units.CompactTime(h.Max()))
		}
		line += "  " + strings.Join(parts, " ")
	}
	if n := f.count(result.Failures, result.Losses); n > 0 {
		line += fmt.Sprintf("  %d failed", n)
	}
	return line
}

// percentiles returns p50 and p99, as far as there are enough values.
func percentiles(h *result.Histogram) (parts []string) {
	for _, p := range [...]float64{50, 99} {
		if d := h.Known(p); d != nil {
			parts = append(parts, fmt.Sprintf("p%g %s", p, units.CompactTime(*d)))
		}
	}
	return parts
}

// clock formats a time in the run: 0:07, 1:02:03.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// sparkline draws the last n values; the highest is a full column.
func sparkline(values []float64, n int, levels []string) string {
	values = values[max(len(values)-n, 0):]
	top := math.SmallestNonzeroFloat64
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteString(levels[int(v/top*float64(len(levels)-1))])
	}
	return b.String()
}
