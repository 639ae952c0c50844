package mqbench

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// status tells on standard error how a run is doing: one line that is drawn anew
// on a terminal, a line for each interval in a pipe.
type status struct {
	inv   *cli.Invocation
	plan  *plan.Plan
	shard *plan.Shard
	live  bool

	mu    sync.Mutex
	drawn bool
}

func newStatus(inv *cli.Invocation, p *plan.Plan, s *plan.Shard) *status {
	return &status{inv: inv, plan: p, shard: s, live: inv.StderrIsTerminal}
}

// begin tells what is run, and against what.
func (s *status) begin(targets []*transport.Target) {
	var at []string
	for _, t := range targets {
		at = append(at, t.Address())
	}
	what := s.plan.Name
	if s.plan.Scale != 1 {
		what += fmt.Sprintf(" at scale %g", s.plan.Scale)
	}
	if s.shard.Count > 1 {
		what += fmt.Sprintf(", shard %d of %d", s.shard.Index, s.shard.Count)
	}
	s.inv.Infof("%s on %s: %d clients", what, strings.Join(at, ", "), s.plan.Clients())
	for _, note := range s.plan.Notes {
		s.inv.Warnf("%s", note)
	}
}

// tell tells errors and faults; phases show in the lines.
func (s *status) tell(n result.Note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n.Kind {
	case result.NoteError:
		s.clear()
		s.inv.Errorf("%s", n.Text)
	case result.NoteFault, result.NoteInfo:
		s.clear()
		s.inv.Infof("%s", n.Text)
	}
}

// show shows an interval.
func (s *status) show(st bench.Status) {
	if !s.inv.Talks() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	line := statusLine(st)
	if s.live {
		s.clear()
		fmt.Fprint(s.inv.Stderr, line)
		s.drawn = true
		return
	}
	s.inv.Infof("%s", line)
}

// clear takes the line on the terminal away.
func (s *status) clear() {
	if s.drawn {
		fmt.Fprint(s.inv.Stderr, "\r\x1b[K")
		s.drawn = false
	}
}

// end leaves the terminal as it was.
func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

// statusLine is an interval in a line of at most 79 columns.
func statusLine(st bench.Status) string {
	i := st.Interval
	seconds := (i.End - i.Start).Seconds()
	if seconds <= 0 {
		seconds = 1
	}
	sums := map[string]int64{}
	for k, n := range i.Counters {
		sums[k.Name] += n
	}
	rate := func(c result.Counter) string { return human(float64(sums[c.String()]) / seconds) }
	line := fmt.Sprintf("%6s %-8s %s/%d up", clock(i.End), st.Phase, human(float64(st.Connected)), st.Clients)
	if st.Phase == plan.PhaseConnect || sums[result.Connects.String()] > 0 {
		line += "  " + rate(result.Connects) + " connects/s"
	}
	if sums[result.Sent.String()]+sums[result.Delivered.String()] > 0 {
		line += "  out " + rate(result.Sent) + "/s in " + rate(result.Delivered) + "/s"
	}
	if h := interesting(i); h != nil {
		line += fmt.Sprintf("  p50 %s p99 %s", shortTime(h.PercentileOfFew(50)), shortTime(h.PercentileOfFew(99)))
	}
	if n := sums[result.Failures.String()] + sums[result.Losses.String()]; n > 0 {
		line += fmt.Sprintf("  %d failed", n)
	}
	return line
}

// interesting is the latency to show: that of deliveries, or else of
// acknowledgements, or of connecting.
func interesting(i *result.Interval) *result.Histogram {
	for _, op := range [...]result.Op{result.Delivery, result.Backlog, result.Replay, result.Pubcomp, result.Puback, result.Connect} {
		sum := result.NewHistogram()
		for k, h := range i.Histograms {
			if k.Op == op && k.Kind == result.Response {
				sum.Merge(h)
			}
		}
		if sum.Count() > 0 {
			return sum
		}
	}
	return nil
}

// clock is a time in the run: 0:07, 1:02:03.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// human is a number in at most five characters.
func human(f float64) string {
	switch {
	case f < 10 && f != float64(int(f)):
		return fmt.Sprintf("%.1f", f)
	case f < 10_000:
		return fmt.Sprintf("%.0f", f)
	case f < 1e6:
		return fmt.Sprintf("%.0fk", f/1e3)
	}
	return fmt.Sprintf("%.2fM", f/1e6)
}

// shortTime is a duration in three digits.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
