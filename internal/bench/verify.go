package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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
// by what MQTT promises (section 4.3, 4.4, 4.6 and 4.8.2 of MQTT 5.0):
//
//   - QoS 0 may be lost, and comes at most once.
//   - QoS 1 that was acknowledged is not lost; it may come again.
//   - QoS 2 that was acknowledged comes exactly once.
//   - What comes has the publisher's order for a topic, and is as it was sent.
//
// Each subscriber is promised that for itself, and the members of a shared
// subscription all together, but for the order.
//
// The error is that of a run that could not be judged. The verdict, unless nil, only
// tells then what was left at the broker.
func Verify(ctx context.Context, o VerifyOptions) (*Verdict, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := fault.New(ln, o.Dial, o.Seed)
	defer proxy.Close()
	target := &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
	h := &haunting{o: &o, proxy: proxy, begun: map[Fault]int{}}
	ro := o.Run
	ro.During = h.haunt
	res, err := o.play(ctx, target, false, ro)
	if res == nil || errors.Is(err, ErrNotReached) {
		return nil, err // and there are no sessions
	}
	v := o.judge(res, h.begun)
	v.Leftover = o.tidy(ctx, target)
	return v, cmp.Or(err, h.failed, o.subscribed(res))
}

// ErrSubscriptions says that the broker did not take the subscriptions.
var ErrSubscriptions = errors.New("there are subscribers without a subscription")

// subscribed says why not all subscribers were.
func (o *VerifyOptions) subscribed(r *result.Result) error {
	n := r.Sum().Totals().Of(result.Subscribes)
	if n >= int64(o.Subscribers()) {
		return nil
	}
	err := fmt.Errorf("%w: %d of %d", ErrSubscriptions, int64(o.Subscribers())-n, o.Subscribers())
	for _, note := range r.Notes {
		if note.Kind == result.NoteError {
			return fmt.Errorf("%w: %s", err, note.Text)
		}
	}
	return err
}

// play runs the scenario, or with tidy the one that removes the sessions.
func (o *VerifyOptions) play(ctx context.Context, target *transport.Target, tidy bool, ro Options) (*result.Result, error) {
	p, err := o.plan(tidy)
	if err != nil {
		return nil, err
	}
	if ro.Shard, err = p.Shard(0, 1); err != nil {
		return nil, err
	}
	ro.Swarm = swarm.Options{Loops: 2, Targets: []*transport.Target{target}, Dialer: &transport.Dialer{}}
	ro.Run.Plan = result.Plan{Name: p.Name, Hash: p.Hash(), Text: string(p.Canonical()), Scale: 1, Header: true}
	return Run(ctx, ro)
}

// VerifyOptions are the settings of Verify.
type VerifyOptions struct {
	QoS      packet.QoS
	Version  packet.Version
	Shape    Shape     // empty: Pairs
	Clients  int       // publishers, subscribers or both, as the shape says
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

// Shape is who subscribes to whose messages.
type Shape string

// The shapes, of N clients.
const (
	Pairs  Shape = "pairs"   // N publishers, each with a topic and a subscriber of its own
	FanIn  Shape = "fan-in"  // N publishers and one subscriber, by a filter with a wildcard
	FanOut Shape = "fan-out" // one publisher and N subscribers
	Shared Shape = "shared"  // N publishers, and N members of one shared subscription
)

// Shapes are all of them.
func Shapes() []Shape { return []Shape{Pairs, FanIn, FanOut, Shared} }

// Publishers is how many clients publish.
func (o *VerifyOptions) Publishers() int {
	if o.Shape == FanOut {
		return 1
	}
	return o.Clients
}

// Subscribers is how many clients subscribe.
func (o *VerifyOptions) Subscribers() int {
	if o.Shape == FanIn {
		return 1
	}
	return o.Clients
}

// copies is how many subscribers get each message.
func (o *VerifyOptions) copies() int64 {
	if o.Shape == FanOut {
		return int64(o.Clients)
	}
	return 1
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
	fmt.Fprintf(&b, "name: verify-%s-qos%d\nseed: %d\nkeepalive: 30s\n", cmp.Or(o.Shape, Pairs), o.QoS, o.Seed)
	fmt.Fprintf(&b, "phases: {connect: {rate: 1000/s, timeout: 10s}, settle: 0s, warm-up: 0s, %s}\ngroups:\n", phases)
	group := func(name string, clients int, what string) {
		if tidy {
			what = ""
		}
		fmt.Fprintf(&b, "  %s: {clients: %d, client-id: \"%s-%d%c%%i\", %s, reconnect: {first: 50ms, max: 400ms}%s}\n", name, clients, o.Token, o.QoS, name[0], session, what)
	}
	prefix := fmt.Sprintf("%s/%d/", o.Token, o.QoS)
	filter := map[Shape]string{FanIn: prefix + "+", FanOut: prefix + "0", Shared: "$share/" + o.Token + "/" + prefix + "+"}[o.Shape]
	group("sub", o.Subscribers(), fmt.Sprintf(", subscribe: {filter: %q, qos: %d}", cmp.Or(filter, prefix+"%i"), o.QoS))
	group("pub", o.Publishers(), fmt.Sprintf(", publish: {topic: %q, qos: %d, payload: %d, rate: %q, window: 20}", prefix+"%i", o.QoS, o.Size, o.Rate))
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

// tidyTime is how long the removal of the sessions may take.
const tidyTime = 20 * time.Second

// tidy removes the sessions at the broker, also when ctx is over, and says why it
// could not.
func (o *VerifyOptions) tidy(ctx context.Context, target *transport.Target) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	res, err := o.play(ctx, target, true, Options{})
	if err != nil {
		return err
	}
	if n, all := res.Sum().Totals().Of(result.Connects), int64(o.Publishers()+o.Subscribers()); n < all {
		return fmt.Errorf("%d of %d clients could not connect any more", all-n, all)
	}
	return nil
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
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

// haunting is what is done to the connections of a run.
type haunting struct {
	o      *VerifyOptions
	proxy  *fault.Proxy
	begun  map[Fault]int
	failed error // the first Restart that did
}

// haunt does what the schedule says, and heals everything in the end.
func (h *haunting) haunt(ctx context.Context, tell func(result.NoteKind, string)) {
	begin, p := time.Now(), h.proxy
	defer func() {
		p.Delay(0, 0)
		p.Split(false)
		p.Refuse(false)
		p.Stall(false)
	}()
	for _, e := range h.o.schedule() {
		select {
		case <-time.After(time.Until(begin.Add(e.at))):
		case <-ctx.Done():
			return
		}
		text, err := h.o.apply(e, p)
		switch {
		case err != nil:
			tell(result.NoteFault, fmt.Sprintf("%s failed: %v", e.fault, err))
			h.failed = cmp.Or(h.failed, fmt.Errorf("%s: %w", e.fault, err))
			continue
		case text != "":
			tell(result.NoteFault, text)
		}
		if e.on {
			h.begun[e.fault]++
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
	Shape      Shape            `json:"shape"`
	QoS        packet.QoS       `json:"qos"`
	Sent       int64            `json:"sent"`
	Acked      int64            `json:"acked"`   // with success
	Refused    int64            `json:"refused"` // with a reason code of failure
	Open       int64            `json:"open"`    // neither, when the drain was over
	Received   int64            `json:"received"`
	Lost       int64            `json:"lost"`       // sent, not refused, and not received, of each subscriber that was to
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

// judge finds what MQTT does not allow, under the faults that have begun.
func (o *VerifyOptions) judge(r *result.Result, faults map[Fault]int) *Verdict {
	v := &Verdict{Shape: cmp.Or(o.Shape, Pairs), QoS: o.QoS, Result: r, Faults: faults, Violations: []string{}, Remarks: []string{}, Missing: []result.Missing{}}
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
	// What a broker that keeps its sessions in memory forgets with it, and what
	// the clients send it again then, MQTT does not hold against it.
	durable := &v.Violations
	if v.Faults[Restart] > 0 {
		durable = &v.Remarks
	}
	lost := v.Lost - v.Open*o.copies() // of those that were acknowledged
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
