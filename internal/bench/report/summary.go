// Package report interprets a benchmark's results: rates, latencies, losses, whether
// the broker or the generator was the limit, and whether thresholds were met. It writes
// them as text, JSON, CSV, Markdown, JUnit XML and HdrHistogram's formats, compares
// runs, and plots them in one HTML file.
//
// # What is measured when
//
// Rates cover the measure phase. Latencies of messages cover the measure and the drain
// phase: what is answered while draining was sent before, and without it the slowest
// messages would be missing. Latencies of connecting and subscribing cover the whole
// run, and so do counts of lost, repeated, reordered and corrupt messages: a message
// sent in one phase arrives in another.
package report

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// Summary holds the figures derived from a result.
type Summary struct {
	Result *result.Result
	File   string // path of the result file; empty: not known

	Whole    time.Duration // the run
	Measured time.Duration // the measure phase; 0: the run never reached it

	Rates     Rates
	toAck     float64 // of Rates.Sent, at QoS 1 and 2
	Flows     []Flow  // per QoS that had messages, ascending
	Total     Flow    // over all QoS
	Latencies []Latency
	Lag       *result.Histogram // intended to actual sending of messages while measuring

	Counters result.Totals // of the whole run

	CPU      float64 // of the generator while measuring: mean share of its processors, 0 to 1
	CPUMax   float64 // the highest of an interval
	Peak     map[result.Gauge]int64
	Backlog  int64   // what waited when measuring ended, on the side where more did
	Growth   float64 // of Backlog while measuring, messages per second
	Verdicts []Verdict

	// Strict is option --strict: whatever limited the run fails it.
	Strict bool
	// Part says that this is one shard, and that the other shards have their own
	// reports.
	Part bool

	wrong error // figures that contradict each other
}

// Rates are messages per second while measuring.
type Rates struct {
	Offered   float64 `json:"offered"`   // due by the plan
	Sent      float64 `json:"sent"`      // the part of those passed to connections
	Acked     float64 `json:"acked"`     // acknowledged with success, QoS 1 and 2, whenever they were due
	Expected  float64 `json:"expected"`  // deliveries owed by the messages due, if accepted then
	Delivered float64 `json:"delivered"` // received for the first time, whenever they were due
	// share of the deliveries owed by messages due then that arrived, also in the
	// drain; 0: none owed
	DueShare float64 `json:"due_share"`
	Connects float64 `json:"connects"` // accepted, while connecting
}

// Latency is the distribution of one operation over all groups, or of one group if
// there are several.
type Latency struct {
	Op     result.Op
	Kind   result.Kind
	Group  string // empty: all
	Values *result.Histogram
}

// acks reports whether a run has messages that are acknowledged.
func (s *Summary) acks() bool { return s.flow(1).Sent+s.flow(2).Sent+s.Total.Acked > 0 }

// acked formats the rate of acknowledgements. It returns - if there is nothing to
// acknowledge.
func (s *Summary) acked() string {
	if !s.acks() {
		return "-"
	}
	return units.Number(s.Rates.Acked)
}

// wholeRun reports whether the latencies of an operation cover all phases.
func wholeRun(op result.Op) bool {
	switch op {
	case result.ConnectTCP, result.ConnectTLS, result.ConnectUpgrade, result.ConnectConnack, result.Connect, result.Subscribe, result.Unsubscribe:
		return true
	}
	return false
}

// Summarize derives the figures of a result.
func Summarize(r *result.Result) *Summary {
	s := &Summary{Result: r, Peak: make(map[result.Gauge]int64)}
	phase := make(map[result.Phase]*result.Interval)
	for _, p := range result.Phases() {
		phase[p] = r.Sum(p)
	}
	whole := add(slices.Collect(maps.Values(phase))...)
	s.Whole = whole.End
	s.Counters = whole.Totals()
	answered := add(phase[result.PhaseMeasure], phase[result.PhaseDrain])
	s.rates(phase[result.PhaseConnect], phase[result.PhaseMeasure], answered)
	s.latencies(whole, answered)
	s.gauges()
	s.balance(whole)
	s.addVerdicts()
	if s.wrong == nil {
		s.wrong = s.agree()
	}
	return s
}

// add adds up intervals.
func add(intervals ...*result.Interval) *result.Interval {
	sum := result.NewInterval("", 0, 0)
	for _, i := range intervals {
		sum.Add(i)
	}
	return sum
}

// lossUnknown returns an error that says why the losses of a run are not known, nil if
// they are.
func (s *Summary) lossUnknown() error {
	switch {
	case !s.Result.Run.Plan.Header:
		return errors.New("payloads have no header")
	case !sends(s.Flows):
		return errors.New("the run sends nothing")
	case s.Result.Partial() != "":
		return errors.New("the run is partial")
	}
	return nil
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func (s *Summary) rates(connect, measure, answered *result.Interval) {
	s.Measured = measure.End - measure.Start
	totals, later := measure.Totals(), answered.Totals()
	rate := func(c result.Counter) float64 { return perSecond(totals.Of(c), s.Measured) }
	s.Rates = Rates{
		Offered: rate(result.Offered), Sent: rate(result.Sent), Acked: rate(result.Answered),
		Expected: rate(result.Expected), Delivered: rate(result.Arrived),
		Connects: perSecond(connect.Totals().Of(result.Connects), connect.End-connect.Start),
	}
	if owed := later.Of(result.Expected) - later.Of(result.Voided) + later.Of(result.Surplus); owed > 0 {
		s.Rates.DueShare = min(float64(later.Of(result.Distinct))/float64(owed), 1)
	}
	for k, n := range measure.Counters {
		if k.Name == result.Sent.String() && (k.QoS == 1 || k.QoS == 2) {
			s.toAck += perSecond(n, s.Measured)
		}
	}
}

func (s *Summary) latencies(whole, answered *result.Interval) {
	for _, of := range []*result.Interval{whole, answered} {
		groups := make(map[result.Key][]Latency)
		for k, h := range of.Histograms {
			if h.Count() > 0 {
				all := result.Key{Op: k.Op, Kind: k.Kind}
				groups[all] = append(groups[all], Latency{k.Op, k.Kind, k.Group, h})
			}
		}
		for k, h := range of.Merged() {
			if wholeRun(k.Op) != (of == whole) {
				continue
			}
			s.Latencies = append(s.Latencies, Latency{k.Op, k.Kind, "", h})
			if len(groups[k]) > 1 {
				s.Latencies = append(s.Latencies, groups[k]...)
			}
		}
	}
	s.Lag = lag(answered.Merged())
	place := func(op result.Op) int { // those of messages come first
		if i := slices.Index(mainOps, op); i >= 0 {
			return i
		}
		return len(mainOps)
	}
	slices.SortFunc(s.Latencies, func(a, b Latency) int {
		return cmp.Or(cmp.Compare(place(a.Op), place(b.Op)), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group))
	})
}

// Latency returns the distribution of an operation over all groups, nil if there is
// none.
func (s *Summary) Latency(op result.Op, kind result.Kind) *result.Histogram {
	for _, l := range s.Latencies {
		if l.Op == op && l.Kind == kind && l.Group == "" {
			return l.Values
		}
	}
	return nil
}

// moment is the length up to which an interval's share of processors means nothing.
const moment = 100 * time.Millisecond

func (s *Summary) gauges() {
	var busy, span int64
	for _, i := range s.Result.Intervals {
		for g, v := range i.Gauges {
			s.Peak[g] = max(s.Peak[g], v)
		}
		length := i.End - i.Start
		if cpu, ok := i.Gauges[result.GaugeCPU]; ok && i.Phase == result.PhaseMeasure && length >= moment {
			busy += cpu * length.Microseconds()
			span += length.Microseconds()
			s.CPUMax = max(s.CPUMax, float64(cpu)/1000)
		}
	}
	if span > 0 {
		s.CPU = float64(busy) / float64(span) / 1000
	}
}

// Errors returns the counters of errors and of reason codes, by name.
func (s *Summary) Errors() []string {
	var names []string
	for name, n := range s.Counters {
		if n > 0 && (strings.HasPrefix(name, "error.") || strings.HasPrefix(name, "reason.")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
