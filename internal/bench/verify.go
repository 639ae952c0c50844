package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/fault"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Verify sends messages of one QoS through a broker, from publishers to
// subscribers with sessions, over connections that break, and judges what came
// by what MQTT promises (section 4.3, 4.4 and 4.6 of MQTT 5.0):
//
//   - QoS 0 may be lost, and comes at most once.
//   - QoS 1 that was acknowledged is not lost; it may come again.
//   - QoS 2 that was acknowledged comes exactly once.
//   - What comes has the publisher's order for a topic, and is as it was sent.
//
// The error is that of a run that could not be judged.
func Verify(ctx context.Context, o VerifyOptions) (*Verdict, error) {
	p, err := o.plan(false)
	if err != nil {
		return nil, err
	}
	shard, err := p.Shard(0, 1)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := fault.New(ln, o.Dial, o.Seed)
	defer proxy.Close()
	target := &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
	do := func(shard *plan.Shard, ro Options) (*result.Result, error) {
		ro.Shard = shard
		ro.Swarm = swarm.Options{Loops: 2, Targets: []*transport.Target{target}, Dialer: &transport.Dialer{}}
		return Run(ctx, ro)
	}
	ro := o.Run
	ro.Run.Plan = result.Plan{Name: p.Name, Hash: p.Hash(), Text: string(p.Canonical()), Scale: 1, Header: true}
	ro.During = func(ctx context.Context, tell func(result.NoteKind, string)) { o.haunt(ctx, proxy, tell) }
	res, err := do(shard, ro)
	if res == nil || err != nil {
		return nil, err
	}
	v := o.judge(res)
	v.Leftover = o.tidy(do)
	return v, nil
}

// VerifyOptions are the settings of Verify.
type VerifyOptions struct {
	QoS      packet.QoS
	Version  packet.Version
	Clients  int       // publishers, and as many subscribers, each with a topic of its own
	Rate     plan.Rate // messages of all publishers together
	Size     int       // of a payload, in bytes: at least result.HeaderSize
	Duration time.Duration
	Drain    time.Duration // at most so long for what is under way when the faults are over; a tenth where loss is allowed
	Seed     uint64        // of the faults
	Faults   []Fault
	Token    string // in client identifiers and topics, so that no other run is in the way

	Username, Password string // both empty for none

	// Dial opens a connection to the broker; Restart, for the fault of that name,
	// ends the broker and starts it again.
	Dial    func(context.Context) (net.Conn, error)
	Restart func() error

	Run Options // Run, Header, Out, Tell and Status; the others are set
}

// Fault is something that is done to connections.
type Fault string

// The faults.
const (
	Delay   Fault = "delay"   // bytes come late
	Stall   Fault = "stall"   // nothing moves for a while
	Split   Fault = "split"   // bytes come a few at a time
	Cut     Fault = "cut"     // connections are reset, and what is on its way is gone
	Refuse  Fault = "refuse"  // a connection is reset, and new ones for a while
	Restart Fault = "restart" // the broker ends, and begins anew
)

// Faults are all of them.
func Faults() []Fault { return []Fault{Delay, Stall, Split, Cut, Refuse, Restart} }

// scenario is the plan's text. To tidy up, it has the same clients begin new
// sessions that end with them.
func (o *VerifyOptions) scenario(tidy bool) string {
	var b strings.Builder
	drain := o.Drain
	if o.QoS == 0 || slices.Contains(o.Faults, Restart) {
		drain /= 10 // what is lost does not come any more
	}
	phases, session := fmt.Sprintf("measure: %v, drain: %v", o.Duration, drain), "clean-start: false"
	if o.Version == packet.V5 {
		session += ", session-expiry: 1h"
	}
	if tidy {
		phases, session = "measure: 1ms, drain: 1ms", "clean-start: true"
	}
	fmt.Fprintf(&b, "name: verify-qos%d\nseed: %d\nkeepalive: 30s\n", o.QoS, o.Seed)
	fmt.Fprintf(&b, "phases: {connect: {rate: 1000/s, timeout: 10s}, settle: 0s, warm-up: 0s, %s}\ngroups:\n", phases)
	group := func(name, what string) {
		if tidy {
			what = ""
		}
		fmt.Fprintf(&b, "  %s: {clients: %d, client-id: \"%s-%d%c%%i\", %s, reconnect: {first: 50ms, max: 400ms}%s}\n", name, o.Clients, o.Token, o.QoS, name[0], session, what)
	}
	topic := fmt.Sprintf("%s/%d/%%i", o.Token, o.QoS)
	group("sub", fmt.Sprintf(", subscribe: {filter: %q, qos: %d}", topic, o.QoS))
	group("pub", fmt.Sprintf(", publish: {topic: %q, qos: %d, payload: %d, rate: %q, window: 20}", topic, o.QoS, o.Size, o.Rate))
	return b.String()
}

// plan is the plan that the scenario and the options make.
func (o *VerifyOptions) plan(tidy bool) (*plan.Plan, error) {
	po := plan.Options{Version: o.Version}
	if o.Username != "" {
		user := strings.ReplaceAll(o.Username, "%", "%%")
		po.Username = &user
	}
	if o.Password != "" {
		po.Password = &o.Password
	}
	return plan.Parse("verify", []byte(o.scenario(tidy)), po)
}

// tidy removes the sessions at the broker, and says why it could not.
func (o *VerifyOptions) tidy(do func(*plan.Shard, Options) (*result.Result, error)) error {
	p, err := o.plan(true)
	if err != nil {
		return err
	}
	shard, err := p.Shard(0, 1)
	if err != nil {
		return err
	}
	_, err = do(shard, Options{})
	return err
}

// event is a fault's beginning or end.
type event struct {
	at    time.Duration // since the beginning of the publishing
	fault Fault
	on    bool
	share float64       // of the connections, for Cut
	by    time.Duration // for Delay
	long  time.Duration // until its end
}

// schedule makes the plan of faults: the same for the same seed, whatever other
// faults there are.
func (o *VerifyOptions) schedule() []event {
	var all []event
	for i, f := range Faults() {
		if !slices.Contains(o.Faults, f) {
			continue
		}
		r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		between := func(least, most time.Duration) time.Duration {
			return least + time.Duration(r.Int64N(int64(most-least)))
		}
		gap := func() time.Duration { return between(200*time.Millisecond, 1500*time.Millisecond) }
		if f == Restart {
			gap = func() time.Duration { return between(2*time.Second, 5*time.Second) }
		}
		for at := gap(); at < o.Duration; at += gap() {
			e := event{at: at, fault: f, on: true}
			switch f {
			case Delay:
				e.by, e.long = between(time.Millisecond, 60*time.Millisecond), between(200*time.Millisecond, time.Second)
			case Stall, Refuse:
				e.long = between(50*time.Millisecond, 600*time.Millisecond)
			case Split:
				e.long = between(200*time.Millisecond, time.Second)
			case Cut:
				e.long = between(20*time.Millisecond, 120*time.Millisecond)
				e.share = []float64{0, 0.5, 1}[r.IntN(3)] // at least one
			}
			all = append(all, e)
			if at += e.long; e.long > 0 {
				all = append(all, event{at: at, fault: f, share: e.share})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return int(a.at - b.at) })
	return all
}

// haunt does what the schedule says, and heals everything in the end.
func (o *VerifyOptions) haunt(ctx context.Context, p *fault.Proxy, tell func(result.NoteKind, string)) {
	begin := time.Now()
	defer func() {
		p.Delay(0, 0)
		p.Split(false)
		p.Refuse(false)
		p.Stall(false)
	}()
	for _, e := range o.schedule() {
		select {
		case <-time.After(time.Until(begin.Add(e.at))):
		case <-ctx.Done():
			return
		}
		if text, err := o.apply(e, p); err != nil {
			tell(result.NoteFault, fmt.Sprintf("%s failed: %v", e.fault, err))
		} else if text != "" {
			tell(result.NoteFault, text)
		}
	}
	<-ctx.Done()
}

// apply does one fault, and says what it did.
func (o *VerifyOptions) apply(e event, p *fault.Proxy) (string, error) {
	long := e.long.Round(time.Millisecond)
	switch e.fault {
	case Delay:
		p.Delay(e.by, e.by/2)
		if e.on {
			return fmt.Sprintf("delay of %v for %v", e.by.Round(time.Millisecond), long), nil
		}
	case Split:
		p.Split(e.on)
		if e.on {
			return fmt.Sprintf("bytes a few at a time for %v", long), nil
		}
	case Stall:
		p.Stall(e.on)
		if e.on {
			return fmt.Sprintf("nothing moves for %v", long), nil
		}
	case Refuse:
		p.Refuse(e.on)
		if e.on {
			return fmt.Sprintf("%d cut, and new connections refused for %v", p.Cut(1), long), nil
		}
	case Cut:
		// What is held back while nothing moves is gone with the connections.
		if e.on {
			p.Stall(true)
			return "", nil
		}
		n := p.Cut(max(1, int(e.share*float64(p.Open()))))
		p.Stall(false)
		return fmt.Sprintf("%d connections cut", n), nil
	case Restart:
		return "broker restarted", o.Restart()
	}
	return "", nil
}

// Verdict is what a broker did with the messages of one QoS.
type Verdict struct {
	QoS        packet.QoS       `json:"qos"`
	Sent       int64            `json:"sent"`
	Acked      int64            `json:"acked"`   // with success
	Refused    int64            `json:"refused"` // with a reason code of failure
	Open       int64            `json:"open"`    // neither, when the drain was over
	Received   int64            `json:"received"`
	Lost       int64            `json:"lost"`       // sent, not refused, and not received
	Duplicates int64            `json:"duplicates"` // received again
	Reordered  int64            `json:"reordered"`
	Corrupt    int64            `json:"corrupt"`
	Foreign    int64            `json:"foreign"` // received, and not sent by this run
	Faults     map[Fault]int    `json:"faults"`  // those that began
	Connects   int64            `json:"connects"`
	Violations []string         `json:"violations"`
	Remarks    []string         `json:"remarks"`
	Missing    []result.Missing `json:"missing"` // examples

	Leftover error          `json:"-"` // why sessions were left at the broker
	Result   *result.Result `json:"-"`
}

// OK tells that nothing was violated.
func (v *Verdict) OK() bool { return len(v.Violations) == 0 }

// judge finds what MQTT does not allow.
func (o *VerifyOptions) judge(r *result.Result) *Verdict {
	v := &Verdict{QoS: o.QoS, Result: r, Faults: map[Fault]int{}, Violations: []string{}, Remarks: []string{}, Missing: []result.Missing{}}
	totals := r.Sum().Totals()
	of := func(c result.Counter) int64 { return totals.Of(c) }
	v.Sent, v.Acked, v.Refused = of(result.Sent), of(result.Acked), of(result.Refused)
	v.Received, v.Duplicates, v.Reordered = of(result.Distinct), of(result.Duplicates), of(result.Reordered)
	v.Corrupt, v.Foreign, v.Connects = of(result.Corrupt), of(result.Foreign), of(result.Connects)
	v.Lost = max(0, v.Sent-v.Refused-v.Received)
	if o.QoS > 0 {
		v.Open = v.Sent - v.Acked - v.Refused
	}
	for _, e := range o.schedule() {
		if e.on && e.at < o.Duration {
			v.Faults[e.fault]++
		}
	}
	for _, e := range r.Ends {
		v.Missing = append(v.Missing, e.Missing...)
	}
	add := func(list *[]string, n int64, what string) {
		if n > 0 {
			*list = append(*list, fmt.Sprintf("%d %s", n, what))
		}
	}
	// What a broker that keeps its sessions in memory forgets with it, and what
	// the clients send it again then, MQTT does not hold against it.
	durable := &v.Violations
	if v.Faults[Restart] > 0 {
		durable = &v.Remarks
	}
	switch o.QoS {
	case 0:
		add(&v.Remarks, v.Lost, "lost, which QoS 0 allows")
		add(&v.Violations, v.Duplicates, "received twice: QoS 0 is at most once (MQTT-4.3.1-1)")
	case 1:
		add(durable, v.Lost-v.Open, "acknowledged and lost: QoS 1 is at least once")
		add(&v.Remarks, v.Duplicates, "received twice, which QoS 1 allows")
	case 2:
		add(durable, v.Lost-v.Open, "acknowledged and lost: QoS 2 is exactly once")
		add(durable, v.Duplicates, "received twice: QoS 2 is exactly once")
	}
	add(&v.Violations, v.Open, "not acknowledged to the end, long after the last fault")
	add(&v.Violations, v.Reordered, "out of order (MQTT-4.6.0-5, MQTT-4.6.0-6)")
	add(&v.Violations, v.Corrupt, "not as they were sent")
	add(&v.Violations, v.Foreign, "that this run did not send")
	add(&v.Remarks, v.Refused, "refused by the broker, with a reason code")
	if v.Faults[Restart] > 0 {
		v.Remarks = append(v.Remarks, "the broker was restarted, and has its sessions in memory: loss and repetition are told, not judged")
	}
	return v
}

// Text is the verdict for a reader.
func (v *Verdict) Text() string {
	var b bytes.Buffer
	word := "ok  "
	if !v.OK() {
		word = "FAIL"
	}
	fmt.Fprintf(&b, "%s QoS %d: %d sent", word, v.QoS, v.Sent)
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
	for _, s := range v.Remarks {
		fmt.Fprintf(&b, "     %s\n", s)
	}
	const most = 5
	if !v.OK() {
		for i, m := range v.Missing {
			if i == most {
				fmt.Fprintf(&b, "     and more that are missing\n")
				break
			}
			fmt.Fprintf(&b, "     missing: %d to %d of publisher %d\n", m.From, m.To, m.Publisher)
		}
	}
	return b.String()
}
