// Package report says what a benchmark's results mean: rates, latencies, what
// was lost, whether the broker or the generator was the limit, and whether
// thresholds were kept. It writes that as text, JSON, CSV, Markdown, JUnit XML
// and HdrHistogram's formats, compares runs, and plots them in one HTML file.
//
// # What is measured when
//
// Rates are of the measure phase. Latencies of messages are of the measure and
// the drain phase: what is answered while draining was sent before, and leaving
// it out would leave out the slowest. Those of connecting and subscribing are of
// the whole run, and so is what was lost, repeated, reordered or corrupt: a
// message sent in one phase arrives in another.
package report

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Summary is what a result comes to.
type Summary struct {
	Result *result.Result
	File   string // that the result is from; empty: not told

	Whole    time.Duration // the run
	Measured time.Duration // the measure phase; 0: the run never got there

	Rates     Rates
	owed      float64 // of Rates.Expected, without the unaccepted
	toAck     float64 // of Rates.Sent, at QoS 1 and 2
	Flows     []Flow  // per QoS that had messages, ascending
	Total     Flow    // over all QoS
	Latencies []Latency
	Lag       *result.Histogram // intended to actual sending of messages while measuring

	Counters result.Totals // of the whole run

	CPU      float64 // of the generator while measuring: mean share of its processors, 0 to 1
	CPUMax   float64 // the highest of an interval
	Peak     map[result.Gauge]int64
	Backlog  int64   // deliveries outstanding when measuring ended
	Growth   float64 // of the backlog while measuring, messages per second
	Verdicts []Verdict
}

// Rates are messages per second while measuring.
type Rates struct {
	Offered   float64 `json:"offered"`   // due by the plan
	Sent      float64 `json:"sent"`      // handed to connections
	Acked     float64 `json:"acked"`     // acknowledged with success, QoS 1 and 2
	Expected  float64 `json:"expected"`  // deliveries the sent messages must cause
	Delivered float64 `json:"delivered"` // received, repetitions not counted
	Connects  float64 `json:"connects"`  // accepted, while connecting
}

// Flow is what became of the messages of one QoS over the whole run.
type Flow struct {
	QoS        packet.QoS `json:"qos"`
	Sent       int64      `json:"sent"`
	Acked      int64      `json:"acked"`
	Refused    int64      `json:"refused"`
	Expected   int64      `json:"expected"`
	Received   int64      `json:"received"`   // for the first time
	Unaccepted int64      `json:"unaccepted"` // expected of messages that the broker did not accept: refused, or not acknowledged when their connection was lost
	Lost       int64      `json:"lost"`       // expected and not received, if more than the unaccepted; below 0 when more came than expected
	Skipped    int64      `json:"skipped"`    // messages due that were not sent
	Duplicates int64      `json:"duplicates"`
	Reordered  int64      `json:"reordered"`
	Unjudged   int64      `json:"unjudged"`
	Corrupt    int64      `json:"corrupt"`
	Foreign    int64      `json:"foreign"`
}

// Latency is the distribution of one operation over all groups, and of each
// when there are several.
type Latency struct {
	Op     result.Op
	Kind   result.Kind
	Group  string // empty: all
	Values *result.Histogram
}

// acks tells whether a run has messages that are acknowledged.
func (s *Summary) acks() bool { return s.flow(1).Sent+s.flow(2).Sent+s.Total.Acked > 0 }

// acked is the rate of acknowledgements, or - if there is nothing to acknowledge.
func (s *Summary) acked() string {
	if !s.acks() {
		return "-"
	}
	return number(s.Rates.Acked)
}

// wholeRun are the operations whose latencies are of all phases.
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
	s.counters(whole)
	s.rates(phase[result.PhaseConnect], phase[result.PhaseMeasure])
	s.latencies(whole, add(phase[result.PhaseMeasure], phase[result.PhaseDrain]))
	s.gauges()
	s.backlog()
	s.judge()
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

func (s *Summary) counters(whole *result.Interval) {
	s.Counters = whole.Totals()
	var flows [result.NoQoS + 1]Flow
	for k, n := range whole.Counters {
		for _, f := range []*Flow{&flows[k.QoS], &s.Total} {
			f.add(k.Name, n)
		}
	}
	for q := range flows {
		f := &flows[q]
		f.QoS = packet.QoS(q)
		f.Lost = min(f.missing(), max(f.missing()-f.Unaccepted, 0))
		s.Total.Lost += f.Lost
		if *f != (Flow{QoS: f.QoS}) && f.QoS != result.NoQoS {
			s.Flows = append(s.Flows, *f)
		}
	}
	s.Total.QoS = result.NoQoS
	s.Total.Skipped -= flows[result.NoQoS].Skipped // subscriptions that were to come or go
}

// lossUnknown says why the losses of a run are not known; nil if they are.
func (s *Summary) lossUnknown() error {
	switch {
	case !s.Result.Run.Plan.Header:
		return errors.New("payloads have no header to tell")
	case s.Result.Partial() != "":
		return errors.New("the run is partial")
	}
	return nil
}

// missing are the deliveries that were expected and did not come, below 0 when
// more came.
func (f *Flow) missing() int64 { return f.Expected - f.Received }

func (f *Flow) add(counter string, n int64) {
	switch counter {
	case result.Sent.String():
		f.Sent += n
	case result.Acked.String():
		f.Acked += n
	case result.Refused.String():
		f.Refused += n
	case result.Expected.String():
		f.Expected += n
	case result.Distinct.String():
		f.Received += n
	case result.Duplicates.String():
		f.Duplicates += n
	case result.Reordered.String():
		f.Reordered += n
	case result.Unjudged.String():
		f.Unjudged += n
	case result.Corrupt.String():
		f.Corrupt += n
	case result.Foreign.String():
		f.Foreign += n
	case result.Unaccepted.String():
		f.Unaccepted += n
	case result.Skipped.String():
		f.Skipped += n
	}
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func (s *Summary) rates(connect, measure *result.Interval) {
	s.Measured = measure.End - measure.Start
	totals := measure.Totals()
	rate := func(c result.Counter) float64 { return perSecond(totals.Of(c), s.Measured) }
	s.Rates = Rates{
		Offered: rate(result.Offered), Sent: rate(result.Sent), Acked: rate(result.Acked),
		Expected: rate(result.Expected), Delivered: rate(result.Distinct),
		Connects: perSecond(connect.Totals().Of(result.Connects), connect.End-connect.Start),
	}
	s.owed = s.Rates.Expected - rate(result.Unaccepted)
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
	place := func(op result.Op) int { // that of messages come first
		if i := slices.Index(mainOps, op); i >= 0 {
			return i
		}
		return len(mainOps)
	}
	slices.SortFunc(s.Latencies, func(a, b Latency) int {
		return cmp.Or(cmp.Compare(place(a.Op), place(b.Op)), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group))
	})
}

// Latency is the distribution of an operation over all groups, nil when there
// is none.
func (s *Summary) Latency(op result.Op, kind result.Kind) *result.Histogram {
	for _, l := range s.Latencies {
		if l.Op == op && l.Kind == kind && l.Group == "" {
			return l.Values
		}
	}
	return nil
}

// moment is the length of an interval whose share of processors means nothing.
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

// backlog follows the deliveries that are outstanding while measuring. Its
// growth is the slope of a straight line through it, less what was lost for good.
func (s *Summary) backlog() {
	var outstanding int64
	var x, y []float64
	for _, i := range s.Result.Intervals {
		if i.Phase == result.PhaseDrain {
			break
		}
		t := i.Totals()
		outstanding += t.Of(result.Expected) - t.Of(result.Unaccepted, result.Distinct)
		if i.Phase == result.PhaseMeasure {
			x, y = append(x, i.End.Seconds()), append(y, float64(outstanding))
		}
	}
	s.Backlog = outstanding
	if len(x) < 5 {
		return
	}
	s.Growth = slope(x, y)
	if s.Result.Partial() == "" {
		s.Growth -= perSecond(max(s.Total.Lost, 0), s.Measured)
	}
}

// slope is that of the line through the points with the least squares.
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// Errors are the counters of errors and of reason codes, by name.
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
