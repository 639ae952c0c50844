package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// Label is the kind of a verdict.
type Label string

// The labels, in the order of precedence. Those up to GeneratorLimited are about the
// run; the others qualify its figures.
const (
	NoData           Label = "NO DATA"
	Violated         Label = "VIOLATION"
	Incomplete       Label = "INCOMPLETE"
	Saturated        Label = "SATURATED"
	GeneratorLimited Label = "GENERATOR LIMITED"
	ClosedLoop       Label = "CLOSED LOOP"
	Scaled           Label = "SCALED"
	PartialRun       Label = "PARTIAL"
	NoHeader         Label = "NO HEADER"
	Hint             Label = "HINT"
)

// Verdict is one thing that the reader of a report must know.
type Verdict struct {
	Label Label  `json:"label"`
	Text  string `json:"text"`
}

// The bounds of the verdicts.
const (
	minDelivered      = 0.99  // least share of what was due that counts as having got through
	minGrowth         = 0.005 // least growth of the queue, as a share of what was due
	minBacklogSeconds = 0.1   // least queue, in seconds' worth of what was due
	minRise           = 0.3   // least rise of latency, as a share of the rise that a growing queue causes
	rush              = 1.3   // a broker that had paused gets through so many times more afterwards
	maxLag            = time.Millisecond
	lagShare          = 10 // lag may be one part in so many of the response
	maxCPU            = 0.85
	modeFactor        = 8 // how far a mode stands out from its neighborhood
)

// Has reports whether a summary has a verdict with the given label.
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

func (s *Summary) addVerdicts() {
	plan := s.Result.Run.Plan
	partial := s.Result.Partial()
	if s.Measured == 0 {
		s.verdict(NoData, "nothing was measured")
	}
	for _, text := range s.violated() {
		s.verdict(Violated, "%s", text)
	}
	for _, text := range s.incomplete() {
		s.verdict(Incomplete, "%s", text)
	}
	s.saturated()
	s.limited()
	if plan.Closed {
		what := "publishers wait for acknowledgements"
		if !s.acks() {
			what = "publishers send as fast as their connections take it"
		}
		s.verdict(ClosedLoop, "%s: the broker set the rate, and latencies leave out the time that messages would have waited", what)
	}
	if plan.Scale != 1 && plan.Scale != 0 {
		s.verdict(Scaled, "%s of the clients of %s; not comparable with results of the preset", units.Number(plan.Scale), plan.Name)
	}
	if partial != "" {
		s.verdict(PartialRun, "%s", partial)
	}
	if !plan.Header {
		s.verdict(NoHeader, "payloads are too short for a header: deliveries are counted, neither timed nor checked")
	}
	s.hints()
}

// violated returns what the protocol forbids: loss at QoS 1 and 2, duplicates at QoS 0
// and 2, reordered messages, and changed payloads. QoS 0 may lose messages (MQTT 5.0
// section 4.3.1) and QoS 1 may repeat them (4.3.2).
func (s *Summary) violated() (texts []string) {
	if s.Result.Partial() != "" {
		return nil
	}
	add := func(n int64, f Flow, what, advice string) {
		if n > 0 {
			texts = append(texts, fmt.Sprintf("%s at QoS %d, which MQTT forbids; %s", what, f.QoS, advice))
		}
	}
	const when = "run 'mqbench verify' to see when"
	for _, f := range s.Flows {
		if s.Result.Run.Plan.Header {
			// Some of the unchecked ones were not received before.
			lost := f.Lost - f.Unchecked
			add(lost, f, units.Integer(lost)+" of "+counted(f.Expected, "message")+" lost", "check the broker's queue limits")
		}
		if f.QoS != 1 {
			add(f.Duplicates, f, counted(f.Duplicates, "duplicate"), when)
		}
		add(f.Reordered, f, counted(f.Reordered, "message")+" out of order", when)
		add(f.Corrupt, f, counted(f.Corrupt, "message")+" corrupt", "check for proxies and broker rules that change payloads")
	}
	return texts
}

// incomplete returns what the plan asked for and did not happen.
func (s *Summary) incomplete() (texts []string) {
	add := func(n int64, format string, args ...any) {
		if n > 0 {
			texts = append(texts, fmt.Sprintf(format, args...))
		}
	}
	n := func(c result.Counter) int64 { return s.Counters.Of(c) }
	of := func(n, all int64, noun string) string { return units.Integer(n) + " of " + counted(all, noun) }
	unready := n(result.Unready)
	add(unready, "%s %s not connected and subscribed at the end; see Errors", of(unready, max(n(result.Planned), unready), "client"), were(unready))
	subscriptions, codes := s.refusals("suback")
	add(subscriptions, "%s %s refused%s; check the broker's access rules", counted(subscriptions, "subscription"), were(subscriptions), codes)
	_, codes = s.refusals("puback", "pubrec")
	t := s.Total
	add(t.Refused, "%s %s refused%s; check the broker's access rules and quotas", of(t.Refused, t.Sent, "message"), were(t.Refused), codes)
	add(t.Skipped, "%s due %s not sent, because their publishers were not connected; see Errors", of(t.Skipped, t.Due, "message"), were(t.Skipped))
	add(n(result.Ignored), "%s %s never acknowledged, on connections that stayed up", counted(n(result.Ignored), "message"), were(n(result.Ignored)))
	lost := n(result.SessionsLost)
	add(lost, "%s %s gone when their clients reconnected; check the broker's session limits", counted(lost, "session"), were(lost))
	add(n(result.Unreplied), "%s had no reply", of(n(result.Unreplied), n(result.Requests), "request"))
	wills, takeovers := n(result.WillsDue)-n(result.Wills), n(result.Takeovers)-n(result.TakenOver)
	add(wills, "%s did not arrive", of(wills, n(result.WillsDue), "will"))
	add(takeovers, "%s that were taken over were not closed (MQTT-3.1.4-3)", of(takeovers, n(result.Takeovers), "connection"))
	add(n(result.Unannounced), "%s that were taken over were closed without DISCONNECT 0x8E (MQTT-3.1.4-3)", of(n(result.Unannounced), n(result.TakenOver), "connection"))
	if t.Expected > 0 && t.Received+t.Corrupt == 0 {
		texts = append(texts, fmt.Sprintf("nothing was delivered of %s expected", counted(t.Expected, "message")))
	}
	return texts
}

// counted formats a number with its noun: 1 message, 2,000 messages.
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return units.Integer(n) + " " + noun
}

// were returns "was" or "were" for a count.
func were(n int64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// refusals returns how many requests were refused by packets of the given kinds, and
// the reason codes in brackets.
func (s *Summary) refusals(packets ...string) (n int64, codes string) {
	var list []string
	for name, count := range s.Counters {
		if p, code, ok := result.ParseReason(name); ok && code.Failed() && slices.Contains(packets, p) {
			n += count
			list = append(list, fmt.Sprintf("0x%02X", byte(code)))
		}
	}
	if slices.Sort(list); len(list) == 0 {
		return n, ""
	}
	return n, " (" + strings.Join(slices.Compact(list), ", ") + ")"
}

// queue is one of the two places where messages wait: before the broker accepts them,
// and before it delivers them.
type queue struct {
	due, through float64 // per second while measuring
	waiting      []float64
	at           []float64 // seconds
	op           []result.Op
	left         int64   // messages still waiting when measuring ended
	held         float64 // through, per second, in the second half of the measurement
	after        float64 // through, per second, in the first moment of the drain
	passed       []float64
}

// queues computes the queues during the measurement. A lost message does not wait: it
// counts as gone at the rate at which the others arrive.
func (s *Summary) queues() (accept, deliver queue) {
	accept.op = []result.Op{result.Puback, result.Pubcomp, result.Delivery}
	deliver.op = []result.Op{result.Delivery, result.Backlog}
	gone := 0.0
	if t := s.Total; t.Expected > 0 {
		gone = float64(t.Lost+t.Dropped) / float64(t.Expected)
	}
	var waits [2]float64 // for acceptance, for delivery
	from, until := time.Duration(-1), time.Duration(0)
	for _, i := range s.Result.Intervals {
		if i.Phase == result.PhaseMeasure {
			if from < 0 {
				from = i.Start
			}
			until = max(until, i.End)
		}
	}
	for at, i := range s.Result.Intervals {
		due, through, owed, came := 0.0, 0.0, 0.0, 0.0
		for k, v := range i.Counters {
			n := float64(v)
			switch k.Name {
			case result.Offered.String():
				due += n
			case result.Skipped.String():
				if k.QoS != result.NoQoS {
					due -= n
				}
			case result.Sent.String():
				if k.QoS == 0 {
					through += n
				}
			case result.Acked.String(), result.Refused.String(), result.Unaccepted.String():
				through += n
			case result.Expected.String(), result.Surplus.String():
				owed += n
			case result.Voided.String():
				owed -= n
			case result.Distinct.String(), result.Corrupt.String():
				came += n
			}
		}
		owed *= 1 - gone
		if i.Start >= until { // the first moment of the drain
			if len(accept.at) > 0 && i.Start == until && i.End > i.Start {
				span := (i.End - i.Start).Seconds()
				accept.after, deliver.after = accept.after+through/span, deliver.after+came/span
			}
			continue
		}
		// Two intervals may cover the same time: what was due in the warm-up has a
		// separate one.
		waits[0] += due - through
		waits[1] += owed - came
		if i.Start < from {
			continue
		}
		accept.due, deliver.due = accept.due+due, deliver.due+owed
		accept.through, deliver.through = accept.through+through, deliver.through+came
		if next := at + 1; next < len(s.Result.Intervals) && s.Result.Intervals[next].End == i.End {
			continue
		}
		for n, x := range []*queue{&accept, &deliver} {
			x.at, x.waiting, x.passed = append(x.at, i.End.Seconds()), append(x.waiting, max(waits[n], 0)), append(x.passed, x.through)
		}
	}
	for n, x := range []*queue{&accept, &deliver} {
		x.left = int64(max(waits[n], 0) + 0.5)
		if span := (until - from).Seconds(); span > 0 {
			x.due, x.through = x.due/span, x.through/span
			x.held = x.through
		}
		if last := len(x.at) - 1; last > 0 {
			half := last / 2
			x.held = (x.passed[last] - x.passed[half]) / (x.at[last] - x.at[half])
		}
	}
	return accept, deliver
}

// growth returns the growth of the queue per second: from its lowest point in the first
// half of the measurement to that in the second half. For a broker that pauses now and
// then both are 0. With few values it is the growth over the whole measurement.
func (x *queue) growth() float64 {
	n := len(x.waiting)
	if n == 0 {
		return 0
	}
	span := x.at[n-1] - x.at[0]
	if n < few {
		return float64(x.left) / (span + 1)
	}
	middle := n / 2
	first, second := slices.Min(x.waiting[:middle]), slices.Min(x.waiting[middle:])
	return (second - first) / (x.at[slices.Index(x.waiting[middle:], second)+middle] - x.at[slices.Index(x.waiting[:middle], first)])
}

// few is the number of intervals below which the growth of a queue is uncertain.
const few = 4

// slower returns how far the response times at the end are above those at the
// beginning. known is false if there are none.
func (s *Summary) slower(ops []result.Op) (d time.Duration, known bool) {
	var all []*result.Histogram
	for _, i := range s.Result.Intervals {
		if i.Phase != result.PhaseMeasure && i.Phase != result.PhaseDrain {
			continue
		}
		merged := i.Merged()
		for _, op := range ops {
			if h := merged[result.Key{Op: op, Kind: result.Response}]; h != nil {
				all = append(all, h)
				break
			}
		}
	}
	switch n := len(all); n {
	case 0:
		return 0, false
	case 1: // its slowest against its fastest
		return all[0].PercentileOfFew(95) - all[0].PercentileOfFew(5), true
	default:
		return max(all[n-1].Mean(), all[n-2].Mean()) - all[0].Mean(), true
	}
}

// stuck reports whether the queue keeps growing, and what gets through takes longer and
// longer.
func (s *Summary) stuck(x *queue) bool {
	growth := x.growth()
	switch {
	case x.due <= 0 || float64(x.left) <= minBacklogSeconds*x.due || x.left < 2 || growth <= minGrowth*x.due:
		return false
	case len(x.waiting) < few && (x.through >= minDelivered*x.due || x.after > rush*max(x.held, x.through)):
		return false // with so few intervals, only what follows them shows whether the queue grows
	}
	d, known := s.slower(x.op)
	return !known || d.Seconds() >= minRise*min(growth/x.due, 1)*s.Measured.Seconds()
}

// saturated adds a verdict for each side, accepting and delivering, on which what was
// due did not get through.
func (s *Summary) saturated() {
	accept, deliver := s.queues()
	x := &deliver
	if accept.left > deliver.left {
		x = &accept
	}
	s.Backlog, s.Growth = x.left, x.growth()
	say := func(x *queue, did, who string) {
		s.verdict(Saturated, "%s %s/s of %s/s due (%s); latencies grow with the length of the run: %s, and the backlog grew by %s/s to %s; the broker sustained %s/s: use that rate or less",
			did, units.Number(x.through), units.Number(x.due), units.Percent(x.through/x.due), who, units.Number(x.growth()), units.Integer(x.left), units.Number(x.held))
	}
	if s.stuck(&accept) {
		who := "the publishers waited for the broker's acknowledgements"
		if !s.acks() {
			who = "the publishers waited for room on their connections"
		}
		say(&accept, "accepted", who)
	}
	if s.stuck(&deliver) {
		say(&deliver, "delivered", "the subscribers waited for the broker")
	}
}

// limited adds a verdict if this machine made the result, and the broker does not
// explain it.
func (s *Summary) limited() {
	if !s.Result.Run.Plan.Closed {
		response, service := s.main(result.Response), s.main(result.Service)
		if s.Lag != nil {
			s.late("messages were sent late", s.Lag, response, service)
		} else { // the run is about connections
			find := func(kind result.Kind) *result.Histogram { return s.Latency(result.Connect, kind) }
			s.late("connections were begun late", find(result.Lag), find(result.Response), find(result.Service))
		}
	}
	if s.CPU > maxCPU {
		s.verdict(GeneratorLimited, "the generator used %s of its processors (limit %s); use fewer clients, --procs or a faster machine", units.Percent(s.CPU), units.Percent(maxCPU))
	}
}

// main returns the latency that the run is about.
func (s *Summary) main(kind result.Kind) *result.Histogram {
	for _, op := range []result.Op{result.Delivery, result.RTT, result.Puback, result.Pubcomp} {
		if h := s.Latency(op, kind); h != nil {
			return h
		}
	}
	return nil
}

// late checks the lag at the highest percentile that the values allow.
func (s *Summary) late(what string, lag, response, service *result.Histogram) {
	if lag == nil || lag.Count() == 0 {
		return
	}
	name, at := "max", func(h *result.Histogram) time.Duration { return h.Max() }
	for _, p := range []float64{99, 99.9, 99.99} {
		if _, ok := lag.Percentile(p); ok {
			name, at = percentileName(p), func(h *result.Histogram) time.Duration { return h.PercentileOfFew(p) }
		}
	}
	bound := maxLag
	if response != nil {
		bound = max(bound, at(response)/lagShare)
	}
	got := at(lag)
	if got <= bound {
		return
	}
	if service != nil && above(service, bound)*lag.Count() >= above(lag, bound)*service.Count() {
		return // as many were as slow after they had been sent: the broker is the cause
	}
	s.verdict(GeneratorLimited, "%s (lag %s %s, limit %s); use fewer clients, --procs or a faster machine", what, name, units.Time(got), units.Time(bound))
}

// above returns how many values lie above a bound.
func above(h *result.Histogram, bound time.Duration) (n int64) {
	for d, count := range h.Buckets {
		if d > bound {
			n += count
		}
	}
	return n
}

// hints adds verdicts for distributions whose shape has a known cause. A growing queue
// causes modes too, so a saturated run gets none of those.
func (s *Summary) hints() {
	if !sends(s.Flows) && s.Total.Received > 0 {
		s.verdict(Hint, "this run sends nothing: messages of other clients are counted, but neither timed nor checked")
	}
	if n := s.Total.Foreign; n > 0 {
		s.verdict(Hint, "other clients sent to this run's topics: %s of their messages arrived and do not count; --topic-prefix keeps runs apart", units.Integer(n))
	}
	if s.Has(Saturated) {
		return
	}
	for _, op := range []result.Op{result.Delivery, result.Puback, result.Pubcomp, result.RTT} {
		if h := s.net(op); h != nil && hasMode(h, 38*time.Millisecond, 46*time.Millisecond) {
			s.verdict(Hint, "%s has a mode at 40 ms, typical of Nagle's algorithm with delayed acknowledgements: is TCP_NODELAY set at the broker?", op)
		}
	}
	h := s.net(result.ConnectTCP)
	if h != nil && (hasMode(h, 980*time.Millisecond, 1150*time.Millisecond) || hasMode(h, 2950*time.Millisecond, 3300*time.Millisecond)) {
		s.verdict(Hint, "connect.tcp has a mode at 1 s or 3 s: SYNs were lost and resent, typical of a full listen queue (net.core.somaxconn, the broker's backlog)")
	}
}

// net returns the distribution of an operation without the generator's own lag, if that
// was recorded.
func (s *Summary) net(op result.Op) *result.Histogram {
	return cmp.Or(s.Latency(op, result.Service), s.Latency(op, result.Response))
}

// hasMode reports whether a distribution has a mode between two durations: at least ten
// values and 0.1 % of all, and far more than in the same share of the scale on either
// side.
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
