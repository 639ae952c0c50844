package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/fault"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Verify sends messages of one QoS through a broker, from publishers to subscribers
// with sessions, over connections that break, and checks the deliveries against what
// MQTT guarantees (section 4.3, 4.4, 4.6 and 4.8.2 of MQTT 5.0):
//
//   - A QoS 0 message may be lost, and arrives at most once.
//   - An acknowledged QoS 1 message is not lost; it may arrive again.
//   - An acknowledged QoS 2 message arrives exactly once.
//   - Deliveries keep the publisher's order for a topic, and are unchanged.
//
// The guarantees hold for each subscriber, and for the members of a shared subscription
// taken together, except for the order.
//
// Verify returns an error if the run could not be checked. The verdict may then be nil;
// if it is not, it says only what was left at the broker.
func Verify(ctx context.Context, o VerifyOptions) (*Verdict, error) {
	ln, by, err := o.front()
	if err != nil {
		return nil, err
	}
	proxy := fault.New(ln, o.Dial, o.Seed)
	defer proxy.Close()
	h := &haunting{o: &o, proxy: proxy, begun: map[Fault]int{}}
	ro := o.Run
	ro.Swarm, ro.During, ro.proven, ro.fatal = by, h.haunt, true, o.fatal
	ro.expected = func(what Failure) bool { return len(o.Faults) > 0 && (what == FailConnect || what == FailLost) }
	var left error
	ro.Left = func(n int, err error) { left = fmt.Errorf("%s: %w", units.Count(n, "session"), err) }
	res, err := o.play(ctx, ro)
	if res == nil || errors.Is(err, ErrNotReached) {
		return nil, err // there are no sessions to remove
	}
	v := o.verdict(res, h.begun)
	v.Leftover = left
	return v, cmp.Or(err, h.failed, o.subscribed(res))
}

// front returns the listener of the proxy and the options of clients that connect to
// it.
func (o *VerifyOptions) front() (net.Listener, swarm.Options, error) {
	target := &transport.Target{Network: "tcp", Host: "127.0.0.1"}
	by := swarm.Options{Loops: 2, Targets: []*transport.Target{target}}
	if n := o.network; n != nil {
		by.Dial = func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return n.Dial(ctx) }
		return n, by, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		target.Port = ln.Addr().(*net.TCPAddr).Port
	}
	return ln, by, err
}

// Why there is nothing to check: the broker does not accept the subscriptions or the
// messages.
var (
	ErrSubscriptions = errors.New("some subscribers have no subscription")
	ErrMessages      = errors.New("the broker does not accept the messages")
)

// fatal returns the error that ends a verification which cannot succeed, else nil. A
// refusal for the broker's own reasons, such as a quota, is reported and counted.
func (o *VerifyOptions) fatal(what Failure, err error) error {
	denied, refused := errors.AsType[*Denied](err)
	// from CONNACK
	announced := errors.Is(err, session.ErrPeerCan) || errors.Is(err, session.ErrQoS) || errors.Is(err, session.ErrTooLarge)
	switch {
	case what == FailSubscribe && (refused || announced):
		return fmt.Errorf("%w: %w", ErrSubscriptions, err)
	case what == FailPublish && (announced || refused && (denied.Reason == packet.NotAuthorized || denied.Reason == packet.TopicNameInvalid)),
		errors.Is(err, session.ErrNoQoS2):
		return fmt.Errorf("%w: %w", ErrMessages, err)
	}
	return nil
}

// subscribed returns an error that says why not all subscribers were subscribed.
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

// play runs the scenario.
func (o *VerifyOptions) play(ctx context.Context, ro Options) (*result.Result, error) {
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	if ro.Shard, err = p.Shard(0, 1); err != nil {
		return nil, err
	}
	ro.Run.Plan = result.Plan{Name: p.Name, Hash: p.Hash(), Text: string(p.Canonical()), Scale: 1, Header: true}
	return Run(ctx, ro)
}

// VerifyOptions are the settings of Verify.
type VerifyOptions struct {
	QoS      packet.QoS
	Version  packet.Version
	Shape    Shape     // empty: Pairs
	Clients  int       // publishers, subscribers or both, depending on Shape
	Rate     plan.Rate // messages of all publishers together
	Size     int       // of a payload, in bytes: at least result.HeaderSize
	Duration time.Duration
	Drain    time.Duration // longest wait for messages after the faults; a tenth if loss is allowed
	Seed     uint64        // of the faults
	Faults   []Fault
	Token    string // in client IDs and topics, to keep concurrent runs apart

	TopicPrefix string // prefix of all topics

	Username, Password string // both empty for none

	// Dial opens a connection to the broker. Restart, for the fault of that name, stops
	// the broker and starts it again.
	Dial    func(context.Context) (net.Conn, error)
	Restart func() error

	Run Options // only Run, Header, Out, OnNote and Status are used; Verify sets the others

	network network // for tests: the clients' side of the proxy; nil: a port of this machine
}

// network is a network with a single address.
type network interface {
	net.Listener
	Dial(ctx context.Context) (net.Conn, error)
}

// Shape is who subscribes to whose messages.
type Shape string

// The shapes, for N clients.
const (
	Pairs  Shape = "pairs"   // N publishers, each with its own topic and subscriber
	FanIn  Shape = "fan-in"  // N publishers and one subscriber with a wildcard filter
	FanOut Shape = "fan-out" // one publisher and N subscribers
	Shared Shape = "shared"  // N publishers, and N members of one shared subscription
)

// Shapes returns all shapes.
func Shapes() []Shape { return []Shape{Pairs, FanIn, FanOut, Shared} }

// Publishers returns how many clients publish.
func (o *VerifyOptions) Publishers() int {
	if o.Shape == FanOut {
		return 1
	}
	return o.Clients
}

// Subscribers returns how many clients subscribe.
func (o *VerifyOptions) Subscribers() int {
	if o.Shape == FanIn {
		return 1
	}
	return o.Clients
}

// copies returns how many subscribers get each message.
func (o *VerifyOptions) copies() int64 {
	if o.Shape == FanOut {
		return int64(o.Clients)
	}
	return 1
}

// scenario returns the plan's text.
func (o *VerifyOptions) scenario() string {
	var b strings.Builder
	drain := o.Drain
	if o.QoS == 0 || slices.Contains(o.Faults, Restart) {
		drain /= 10 // a lost message will not arrive any more
	}
	phases, session := fmt.Sprintf("measure: %v, drain: %v", o.Duration, drain), "clean-start: false"
	if o.Version == packet.V5 {
		session += ", session-expiry: 1h"
	}
	fmt.Fprintf(&b, "name: verify-%s-qos%d\nseed: %d\nkeepalive: 30s\n", cmp.Or(o.Shape, Pairs), o.QoS, o.Seed)
	fmt.Fprintf(&b, "phases: {connect: {rate: 1000/s, timeout: 10s}, settle: 0s, warm-up: 0s, %s}\ngroups:\n", phases)
	group := func(name string, clients int, what string) {
		fmt.Fprintf(&b, "  %s: {clients: %d, client-id: \"%s-%d%c%%i\", %s, reconnect: {first: 50ms, max: 400ms}%s}\n", name, clients, o.Token, o.QoS, name[0], session, what)
	}
	prefix := fmt.Sprintf("%s/%d/", o.Token, o.QoS)
	filter := map[Shape]string{FanIn: prefix + "+", FanOut: prefix + "0", Shared: "$share/" + o.Token + "/" + prefix + "+"}[o.Shape]
	group("sub", o.Subscribers(), fmt.Sprintf(", subscribe: {filter: %q, qos: %d}", cmp.Or(filter, prefix+"%i"), o.QoS))
	group("pub", o.Publishers(), fmt.Sprintf(", publish: {topic: %q, qos: %d, payload: %d, rate: %q, window: 20}", prefix+"%i", o.QoS, o.Size, o.Rate))
	return b.String()
}

// plan returns the plan made from the scenario and the options.
func (o *VerifyOptions) plan() (*plan.Plan, error) {
	po := plan.Options{Version: o.Version, TopicPrefix: o.TopicPrefix}
	if o.Username != "" {
		user := strings.ReplaceAll(o.Username, "%", "%%")
		po.Username = &user
	}
	if o.Password != "" {
		po.Password = &o.Password
	}
	return plan.Parse("verify", []byte(o.scenario()), po)
}
