package report

import (
	"cmp"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// Label is the kind of a verdict.
type Label string

// The labels. Saturated and GeneratorLimited are about what limited the run;
// the others qualify its figures.
const (
	Violated         Label = "VIOLATION"
	Saturated        Label = "SATURATED"
	GeneratorLimited Label = "GENERATOR LIMITED"
	ClosedLoop       Label = "CLOSED LOOP"
	Scaled           Label = "SCALED"
	Skipped          Label = "SKIPPED"
	PartialRun       Label = "PARTIAL"
	NoHeader         Label = "NO HEADER"
	Hint             Label = "HINT"
)

// Verdict is one thing a reader of the figures must know.
type Verdict struct {
	Label Label  `json:"label"`
	Text  string `json:"text"`
}

// The bounds of the verdicts.
const (
	enough     = 0.99  // of the expected deliveries
	growing    = 0.005 // of the expected deliveries are added to the backlog
	queued     = 0.1   // seconds' worth that a growing backlog has at least
	lagBound   = time.Millisecond
	cpuBound   = 0.85
	modeFactor = 8 // by which a mode stands out of its neighbourhood
)

// Has tells whether a summary has a verdict of a label.
func (s *Summary) Has(l Label) bool {
	for _, v := range s.Verdicts {
		if v.Label == l {
			return true
		}
	}
	return false
}

func (s *Summary) verdict(l Label, format string, args ...any) {
	s.Verdicts = append(s.Verdicts, Verdict{l, fmt.Sprintf(format, args...)})
}

func (s *Summary) judge() {
	plan := s.Result.Run.Plan
	partial := s.Result.Partial()
	if partial == "" {
		s.violations()
	}
	s.limits()
	if plan.Closed {
		s.verdict(ClosedLoop, "publishers wait for acknowledgements: the broker set the rate, and latencies do not show what an arrival would have waited")
	}
	if plan.Scale != 1 && plan.Scale != 0 {
		s.verdict(Scaled, "%s of the clients of %s; not comparable with results of the preset", number(plan.Scale), plan.Name)
	}
	if n := s.Total.Skipped; n > 0 {
		s.verdict(Skipped, "%s messages that were due were not sent: their publishers were not connected, or the broker took no more", integer(n))
	}
	if partial != "" {
		s.verdict(PartialRun, "%s", partial)
	}
	if !plan.Header {
		s.verdict(NoHeader, "payloads are too short for a header: deliveries are counted, neither timed nor checked")
	}
	s.hints()
}

// violations are what the protocol forbids: loss at QoS 1 and 2, repetition at
// QoS 0 and 2, another order, and changed payloads. QoS 0 may lose (MQTT 5.0
// section 4.3.1) and QoS 1 may repeat (4.3.2).
func (s *Summary) violations() {
	add := func(n int64, what string, f Flow) {
		if n > 0 {
			s.verdict(Violated, "%s %s at QoS %d", integer(n), what, f.QoS)
		}
	}
	for _, f := range s.Flows {
		if f.QoS > 0 && s.Result.Run.Plan.Header {
			add(f.Lost-f.Unjudged, "lost", f) // some of those not judged were not received before
		}
		if f.QoS != 1 {
			add(f.Duplicates, "received twice", f)
		}
		add(f.Reordered, "out of order", f)
		add(f.Corrupt, "corrupt", f)
	}
}

func (s *Summary) limits() {
	r := s.Rates
	switch {
	case s.owed > 0 && r.Delivered < enough*s.owed:
		s.verdict(Saturated, "%s/s delivered of %s/s expected (%s): latencies depend on how long the run is", number(r.Delivered), number(s.owed), percent(r.Delivered/s.owed))
	case r.Expected > 0 && s.Growth > growing*r.Expected && float64(s.Backlog) > queued*r.Expected:
		s.verdict(Saturated, "the backlog grew by %s messages a second, to %s: latencies depend on how long the run is", number(s.Growth), integer(s.Backlog))
	}
	if p99 := s.Lag.Known(99); p99 != nil && *p99 > lagBound && !s.Result.Run.Plan.Closed {
		s.verdict(GeneratorLimited, "messages were sent late: lag p99 %s, the bound is %s", duration(*p99), duration(lagBound))
	}
	if s.CPU > cpuBound {
		s.verdict(GeneratorLimited, "the generator used %s of its processors, the bound is %s", percent(s.CPU), percent(cpuBound))
	}
}

// hints name the causes that some shapes of a distribution have. A queue that
// grows has humps of its own.
func (s *Summary) hints() {
	if s.Has(Saturated) {
		return
	}
	for _, op := range []result.Op{result.Delivery, result.Puback, result.Pubcomp, result.RTT} {
		if h := s.net(op); h != nil && hasMode(h, 38*time.Millisecond, 46*time.Millisecond) {
			s.verdict(Hint, "%s has a mode at 40 ms, as Nagle's algorithm with delayed acknowledgements makes it: is TCP_NODELAY set on the broker's side?", op)
		}
	}
	h := s.net(result.ConnectTCP)
	if h != nil && (hasMode(h, 980*time.Millisecond, 1150*time.Millisecond) || hasMode(h, 2950*time.Millisecond, 3300*time.Millisecond)) {
		s.verdict(Hint, "connect.tcp has a mode at 1 s or 3 s: SYNs were lost and sent again, as a full listen queue makes it (net.core.somaxconn, the broker's backlog)")
	}
}

// net is the distribution of an operation without the generator's own lag, if
// it was recorded.
func (s *Summary) net(op result.Op) *result.Histogram {
	return cmp.Or(s.Latency(op, result.Service), s.Latency(op, result.Response))
}

// hasMode tells whether a distribution has a hump between two durations: at
// least ten values and 0.1 % of all, and far more than in the same share of the
// scale on either side.
func hasMode(h *result.Histogram, from, to time.Duration) bool {
	ratio := float64(to) / float64(from)
	before, after := time.Duration(float64(from)/ratio), time.Duration(float64(to)*ratio)
	var left, in, right int64
	for d, n := range h.Buckets {
		switch {
		case d >= before && d < from:
			left += n
		case d >= from && d < to:
			in += n
		case d >= to && d < after:
			right += n
		}
	}
	return in >= 10 && in*1000 >= h.Count() && in > modeFactor*max(left, right)
}
