package swarm

import (
	"context"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Never is a time that never comes.
const Never = time.Duration(math.MaxInt64)

// Engine is how connections are served.
type Engine uint8

// The engines.
const (
	Auto Engine = iota // Lite if it can serve all targets, otherwise Std
	Lite
	Std
)

// String returns the engine's name in lower case.
func (e Engine) String() string { return [...]string{"auto", "lite", "std"}[e] }

// Options are the settings of a Swarm. A zero value stands for the default named here.
type Options struct {
	Loops  int // 1
	Engine Engine

	// Targets are the servers; a Spec chooses one of them by its index. Their users,
	// passwords and topics are ignored.
	Targets []*transport.Target

	// Dialer opens the connections of Std, which adds source address and timeout. Lite
	// uses its Resolver. A Proxy or Command needs Std.
	Dialer *transport.Dialer

	// Dial, if not nil, opens the connections in place of Dialer, for networks in
	// memory. It needs Std. The loops then wait with the timers of package time, up to
	// a millisecond late, so that they can be in a bubble of testing/synctest.
	Dial func(ctx context.Context, t *transport.Target) (net.Conn, error)

	// Sources are local addresses to connect from, in turn. Without them the system
	// chooses.
	//
	// With Lite, FirstPort to LastPort, unless 0, are the ports to connect from. All
	// that are free may be used for each source and target, whatever the system's own
	// range. They also spare the system its search, which takes longer and longer
	// beyond half of its range (14,000 connections). Std ignores them and leaves the
	// choice of ports to the system: it has the system's range for each source and
	// target, if a source is given.
	Sources             []netip.Addr
	FirstPort, LastPort uint16

	HalfOpen       int           // connection attempts in progress at once; 1,000
	ConnectTimeout time.Duration // from the socket to CONNACK; 30 s
	Buffer         int           // bytes that may wait to be written, per client; 256 KiB

	Epoch time.Time // the zero of all times; the time of New

	// Handler returns the handler of a loop; New calls it once for each loop.
	Handler func(l *Loop) Handler

	now func() time.Duration // for tests
}

// A Handler receives the reports about a loop's clients. Its methods are called with
// the loop's lock held, and must not block. Packets are views, valid only during the
// call.
type Handler interface {
	// Due is called at the time that its last call returned, or that Loop.Wake has set
	// since; it is not called before the first Wake. It publishes what is due. If the
	// time returned is not in the future, it is called again as soon as the sockets
	// have been served.
	Due(now time.Duration) (next time.Duration)

	// Connected reports a CONNACK that accepts; t is valid only during the call.
	Connected(c *Client, ack *packet.Connack, t *Timing)

	// Failed reports an attempt that ended without such a CONNACK: a [*transport.Error]
	// with a hint, a [*Refusal], session.ErrNoAnswer if the connection ended where
	// CONNACK was due, or an error that Closed may report.
	Failed(c *Client, err error)

	// Closed reports the end of a connection that was up. err is nil after Disconnect
	// and Reset, unless the server answers DISCONNECT with a reset: what was sent
	// before it may then not have arrived. It is a *Refusal after the server's
	// DISCONNECT, io.EOF if the server only closed, session.ErrKeepAlive,
	// session.ErrNoQoS2, a *packet.Error if the server violated the protocol, or a
	// *transport.Error.
	Closed(c *Client, err error)

	// Acked reports the end of a message published at QoS 1 or 2: PUBACK, PUBCOMP, or a
	// PUBREC that refuses. If qos is 0 the message was given up while the connection
	// was being resumed (before Connected): reason is Success if the server had it
	// already, otherwise why this server does not accept it.
	Acked(c *Client, tag uint64, qos packet.QoS, reason packet.ReasonCode)

	// Subscribed reports a SUBACK or UNSUBACK, depending on p.Type.
	Subscribed(c *Client, tag uint64, p *packet.Suback)

	// Message reports a PUBLISH, which is acknowledged when the call returns, unless it
	// called Hold. now is when it was read.
	Message(c *Client, p *packet.Publish, now time.Duration)

	// Writable reports that nothing waits to be written any more, after Publish has
	// returned ErrBufferFull.
	Writable(c *Client)
}

// Spec is what the clients of a group have in common. It must not be modified while
// clients use it.
type Spec struct {
	Target int // index in Options.Targets

	// Connect fills in p, which is zero, for each connection of c. What p points to is
	// used before the loop continues. It is called with the loop's lock held, when the
	// connection has been opened.
	Connect func(c *Client, p *packet.Connect)

	// Session holds the limits of each client. SendWindow and SendBytes bound the
	// messages without an acknowledgement. ConnectTimeout is not used.
	Session session.Config
}

// Timing holds how long the parts of connecting took.
type Timing struct {
	Begun   time.Duration // when the socket was opened
	TCP     time.Duration // until it was connected, including the name lookup (Std)
	TLS     time.Duration // of the TLS handshake, or 0
	Upgrade time.Duration // of the upgrade to WebSocket, or 0
	Connack time.Duration // from CONNECT to CONNACK
}

// Total returns how long connecting took as a whole.
func (t *Timing) Total() time.Duration { return t.TCP + t.TLS + t.Upgrade + t.Connack }

// A Ponger is a Handler to which answers to PINGREQ are reported, including those of
// the keep alive time. took is how long after the PINGREQ the PINGRESP arrived.
type Ponger interface {
	Pong(c *Client, took time.Duration)
}
