package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Verdict is what a broker did with the messages of one QoS.
type Verdict struct {
	Shape      Shape                 `json:"shape"`
	QoS        packet.QoS            `json:"qos"`
	Sent       int64                 `json:"sent"`
	Acked      int64                 `json:"acked"`   // with a success code
	Refused    int64                 `json:"refused"` // with a failure code
	Open       int64                 `json:"open"`    // neither, at the end of the drain
	Received   int64                 `json:"received"`
	Lost       int64                 `json:"lost"`       // sent, not refused, and not received, per subscriber
	Duplicates int64                 `json:"duplicates"` // received again
	Reordered  int64                 `json:"reordered"`
	Corrupt    int64                 `json:"corrupt"`
	Foreign    int64                 `json:"foreign"` // received, but not sent by this run
	Faults     map[Fault]int         `json:"faults"`  // those that began
	Connects   int64                 `json:"connects"`
	Violations []string              `json:"violations"`
	Incomplete []string              `json:"incomplete"` // what was not checked
	Remarks    []string              `json:"remarks"`
	Missing    []result.MissingRange `json:"missing"` // examples

	Leftover error          `json:"-"` // why sessions were left at the broker
	Result   *result.Result `json:"-"`
}

// OK reports whether everything was checked and nothing was violated.
func (v *Verdict) OK() bool { return len(v.Violations) == 0 && len(v.Incomplete) == 0 }

// verdict finds what MQTT does not allow, given the faults that have begun.
func (o *VerifyOptions) verdict(r *result.Result, faults map[Fault]int) *Verdict {
	v := &Verdict{Shape: cmp.Or(o.Shape, Pairs), QoS: o.QoS, Result: r, Faults: faults, Violations: []string{}, Incomplete: []string{}, Remarks: []string{}, Missing: []result.MissingRange{}}
	totals := r.Sum().Totals()
	of := func(c result.Counter) int64 { return totals.Of(c) }
	v.Sent, v.Acked, v.Refused = of(result.Sent), of(result.Acked), of(result.Refused)
	v.Received, v.Duplicates, v.Reordered = of(result.Distinct), of(result.Duplicates), of(result.Reordered)
	v.Corrupt, v.Foreign, v.Connects = of(result.Corrupt), of(result.Foreign), of(result.Connects)
	v.Lost = max(0, (v.Sent-v.Refused)*o.copies()-v.Received)
	if o.QoS > 0 {
		v.Open = v.Sent - v.Acked - v.Refused
	}
	for _, e := range r.Ends {
		v.Missing = append(v.Missing, e.Missing...)
	}
	add := func(list *[]string, n int64, what string) {
		if n > 0 {
			*list = append(*list, fmt.Sprintf("%d %s", n, what))
		}
	}
	// MQTT does not blame a broker that keeps its sessions in memory for what it
	// forgets in a restart, nor for what the clients then resend.
	durable := &v.Violations
	if v.Faults[Restart] > 0 {
		durable = &v.Remarks
	}
	lost := v.Lost - v.Open*o.copies() // acknowledged ones
	switch o.QoS {
	case 0:
		add(&v.Remarks, v.Lost, "lost, which QoS 0 allows")
		add(&v.Violations, v.Duplicates, "received twice: QoS 0 is at most once (MQTT-4.3.1-1)")
	case 1:
		add(durable, lost, "acknowledged and lost: QoS 1 is at least once")
		add(&v.Remarks, v.Duplicates, "received twice, which QoS 1 allows")
	case 2:
		add(durable, lost, "acknowledged and lost: QoS 2 is exactly once")
		add(durable, v.Duplicates, "received twice: QoS 2 is exactly once")
	}
	add(&v.Violations, v.Open, "not completely acknowledged, long after the last fault")
	add(&v.Violations, v.Reordered, "out of order (MQTT-4.6.0-5, MQTT-4.6.0-6)")
	add(&v.Violations, v.Corrupt, "corrupt")
	add(&v.Violations, v.Foreign, "that this run did not send")
	add(&v.Incomplete, v.Refused, "refused by the broker, with a reason code")
	switch { // a check that has checked nothing does not pass
	case v.Sent == 0:
		v.Incomplete = append(v.Incomplete, "nothing was sent")
	case o.QoS > 0 && v.Acked == 0:
		v.Incomplete = append(v.Incomplete, "nothing was acknowledged with success")
	case v.Received == 0:
		v.Incomplete = append(v.Incomplete, "nothing was received: check that these clients may publish and subscribe there")
	}
	if v.Faults[Restart] > 0 {
		v.Remarks = append(v.Remarks, "the broker was restarted, and has its sessions in memory: loss and duplicates are reported, but are not violations")
	}
	return v
}

// Text returns the verdict as text for the user.
func (v *Verdict) Text() string {
	var b bytes.Buffer
	word := "ok  "
	switch {
	case len(v.Violations) > 0:
		word = "FAIL"
	case !v.OK():
		word = "PART"
	}
	fmt.Fprintf(&b, "%s QoS %d", word, v.QoS)
	if v.Shape != Pairs {
		fmt.Fprintf(&b, ", %s", v.Shape)
	}
	fmt.Fprintf(&b, ": %d sent", v.Sent)
	if v.QoS > 0 {
		fmt.Fprintf(&b, ", %d acknowledged", v.Acked)
	}
	fmt.Fprintf(&b, ", %d received; %d lost, %d twice, %d out of order, %d corrupt\n", v.Received, v.Lost, v.Duplicates, v.Reordered, v.Corrupt)
	var faults []string
	for _, f := range Faults() {
		if n := v.Faults[f]; n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, f))
		}
	}
	if len(faults) > 0 {
		fmt.Fprintf(&b, "     faults: %s; %d connections\n", strings.Join(faults, ", "), v.Connects)
	}
	for _, s := range v.Violations {
		fmt.Fprintf(&b, "     VIOLATION: %s\n", s)
	}
	for _, s := range v.Incomplete {
		fmt.Fprintf(&b, "     INCOMPLETE: %s\n", s)
	}
	for _, s := range v.Remarks {
		fmt.Fprintf(&b, "     %s\n", s)
	}
	const most = 5
	if !v.OK() {
		for i, m := range v.Missing {
			if i == most {
				fmt.Fprintf(&b, "     and more\n")
				break
			}
			fmt.Fprintf(&b, "     missing: %d to %d of publisher %d\n", m.From, m.To, m.Publisher)
		}
	}
	return b.String()
}
