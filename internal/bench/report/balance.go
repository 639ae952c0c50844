package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Flow counts what became of the messages of one QoS over the whole run: the messages
// due, and the deliveries owed by those accepted. Each is in one state:
//
//	due      = sent + skipped + unsent
//	sent     = acked + refused + unaccepted, at QoS 1 and 2
//	expected = received + corrupt + lost + dropped + in flight
//
// A run that sends nothing is owed nothing: it receives what others send.
type Flow struct {
	QoS        packet.QoS `json:"qos"`
	Due        int64      `json:"due"`
	Skipped    int64      `json:"skipped"` // not sent: the publisher was not connected
	Unsent     int64      `json:"unsent"`  // not sent: there was no room for it until the end
	Sent       int64      `json:"sent"`
	Acked      int64      `json:"acked"`
	Refused    int64      `json:"refused"`
	Unaccepted int64      `json:"unaccepted"` // not acknowledged before the connection closed

	Expected int64 `json:"expected"` // owed to subscriptions that were granted and lived
	Received int64 `json:"received"` // for the first time and unchanged
	Corrupt  int64 `json:"corrupt"`
	Lost     int64 `json:"lost"`      // at QoS 1 and 2, after a drain that ended quiet
	Dropped  int64 `json:"dropped"`   // the same at QoS 0
	InFlight int64 `json:"in_flight"` // not received, and not known to be lost

	Duplicates int64 `json:"duplicates"`
	Copies     int64 `json:"copies"` // received again as MQTT allows
	Reordered  int64 `json:"reordered"`
	Unchecked  int64 `json:"unchecked"`
	Foreign    int64 `json:"foreign"`
}

// missing returns the number of deliveries that did not arrive.
func (f *Flow) missing() int64 { return f.Lost + f.Dropped + f.InFlight }

// balance computes the flows of a whole run. Everything that reports say about
// messages, in figures, thresholds, verdicts and statuses, comes from them.
func (s *Summary) balance(whole *result.Interval) {
	settled := s.Counters.Of(result.Settled) >= int64(len(s.Result.Shards)) && s.Result.Partial() == ""
	var of [result.NoQoS + 1]map[string]int64
	for q := range of {
		of[q] = map[string]int64{}
	}
	for k, n := range whole.Counters {
		of[k.QoS][k.Name] += n
	}
	var flows [result.NoQoS]Flow
	var short, more [3]int64
	for q := range flows {
		n := func(c result.Counter) int64 { return of[q][c.String()] }
		flows[q] = Flow{QoS: packet.QoS(q), Due: n(result.Offered), Skipped: n(result.Skipped), Unsent: n(result.Unsent), Sent: n(result.Sent),
			Acked: n(result.Acked), Refused: n(result.Refused), Unaccepted: n(result.Unaccepted),
			Expected: n(result.Expected) - n(result.Voided) + n(result.Surplus), Received: n(result.Distinct), Corrupt: n(result.Corrupt),
			Lost: n(result.Lost), Dropped: n(result.Dropped), InFlight: n(result.InFlight),
			Duplicates: n(result.Duplicates), Copies: n(result.Copies), Reordered: n(result.Reordered), Unchecked: n(result.Unchecked), Foreign: n(result.Foreign)}
		away := n(result.ExpectedAway) - n(result.DistinctAway)
		short[q], more[q] = max(away, 0), max(-away, 0)
	}
	// Deliveries that cross shards have one account over all shards.
	for q := range flows {
		flows[q].Expected += more[q]
	}
	instead := result.Offset(&short, &more)
	for q := range flows {
		f := &flows[q]
		f.Expected -= instead[q]
		switch {
		case !settled || !s.steady():
			f.InFlight += short[q]
		case q == 0:
			f.Dropped += short[q]
		default:
			f.Lost += short[q]
		}
	}
	s.Flows, s.Total = nil, Flow{QoS: result.NoQoS}
	for q := range flows {
		f := &flows[q]
		if !settled && sends(flows[:]) { // the accounts were never closed
			f.Lost, f.Dropped = 0, 0
			f.Expected = max(f.Expected, f.Received+f.Corrupt)
			f.InFlight = f.Expected - f.Received - f.Corrupt
		}
		s.Total.add(f)
		if *f != (Flow{QoS: f.QoS}) {
			s.Flows = append(s.Flows, *f)
		}
	}
	s.wrong = s.check(settled)
}

// sends reports whether a run has something to send.
func sends(flows []Flow) bool {
	return slices.ContainsFunc(flows, func(f Flow) bool { return f.Due > 0 || f.Sent > 0 })
}

// steady reports whether all subscriptions stood throughout the run and all shards
// ended quiet. A delivery that crosses shards and is missing is then lost.
func (s *Summary) steady() bool {
	refused := false
	for name := range s.Counters {
		refused = refused || strings.HasPrefix(name, "reason.suback.")
	}
	return !refused && s.Counters.Of(result.Restless, result.Voided, result.Losses, result.Unready, result.SessionsLost, result.Unsubscribes, result.Returns) == 0
}

// figure is a figure of a flow with its name in reports.
type figure struct {
	name string
	n    *int64
}

// figures returns all figures of a flow.
func (f *Flow) figures() [18]figure {
	return [...]figure{
		{"due", &f.Due}, {"skipped", &f.Skipped}, {"unsent", &f.Unsent}, {"sent", &f.Sent}, {"acknowledged", &f.Acked}, {"refused", &f.Refused},
		{"not accepted", &f.Unaccepted}, {"expected", &f.Expected}, {"received", &f.Received}, {"corrupt", &f.Corrupt}, {"lost", &f.Lost},
		{"dropped", &f.Dropped}, {"in flight", &f.InFlight}, {"duplicates", &f.Duplicates}, {"copies", &f.Copies}, {"out of order", &f.Reordered},
		{"not checked", &f.Unchecked}, {"not this run's", &f.Foreign},
	}
}

func (f *Flow) add(g *Flow) {
	from := g.figures()
	for i, to := range f.figures() {
		*to.n += *from[i].n
	}
}

// check verifies the invariant of the flows: no figure is below 0, and each column adds
// up.
func (s *Summary) check(settled bool) error {
	for _, f := range s.Flows {
		for _, c := range f.figures() {
			if *c.n < 0 {
				return fmt.Errorf("QoS %d: %s is %d", f.QoS, c.name, *c.n)
			}
		}
		if sum := f.Received + f.Corrupt + f.missing(); f.Expected != sum && (f.Expected > 0 || sends(s.Flows)) {
			return fmt.Errorf("QoS %d: expected is %d, and received %d, corrupt %d, lost %d, dropped %d and in flight %d are %d together",
				f.QoS, f.Expected, f.Received, f.Corrupt, f.Lost, f.Dropped, f.InFlight, sum)
		}
		if !settled {
			continue
		}
		if sum := f.Sent + f.Skipped + f.Unsent; f.Due != sum {
			return fmt.Errorf("QoS %d: due is %d, and sent %d, not connected %d and no room %d are %d together", f.QoS, f.Due, f.Sent, f.Skipped, f.Unsent, sum)
		}
		if sum := f.Acked + f.Refused + f.Unaccepted; f.QoS > 0 && f.Sent != sum {
			return fmt.Errorf("QoS %d: sent is %d, and acknowledged %d, refused %d and not accepted %d are %d together", f.QoS, f.Sent, f.Acked, f.Refused, f.Unaccepted, sum)
		}
	}
	if arrived, received := s.Counters.Of(result.Arrived), s.Total.Received; settled && arrived != received {
		return fmt.Errorf("%d deliveries are counted when they came, and %d when they were due", arrived, received)
	}
	return nil
}

// agree verifies that verdicts, thresholds and status agree.
func (s *Summary) agree() error {
	lost := false
	for _, f := range s.Flows {
		lost = lost || f.Lost > 0
	}
	known := s.lossUnknown() == nil && s.Total.InFlight == 0
	v, err := (&metric{flow: "lost", qos: result.NoQoS}).value(s)
	switch {
	case known && (err != nil || (v > 0) != lost):
		return fmt.Errorf("lost is %d, and the threshold's loss %v", s.Total.Lost, v)
	case known && lost && s.Total.Unchecked == 0 && !s.Has(Violated):
		return fmt.Errorf("lost is %d, and there is no violation", s.Total.Lost)
	case s.Has(Violated) != (s.ExitCode(nil) == option.ExitLoss):
		return fmt.Errorf("the verdicts and the exit status %d differ", s.ExitCode(nil))
	}
	return nil
}

// Err returns an internal error if figures contradict each other. No report should be
// written then.
func (s *Summary) Err() error {
	if s.wrong == nil {
		return nil
	}
	return fmt.Errorf("internal error: the columns of the report do not add up: %w", s.wrong)
}
