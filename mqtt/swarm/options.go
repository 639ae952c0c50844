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

// Never is a time that does not come.
const Never = time.Duration(math.MaxInt64)

// Engine says how connections are served.
type Engine uint8

// The engines.
const (
	Auto Engine = iota // Lite where it can serve all targets, else Std
	Lite
	Std
)

// String is the engine's name in small letters.
func (e Engine) String() string { return [...]string{"auto", "lite", "std"}[e] }

// Options are the settings of a Swarm. Zero values are the defaults named.
type Options struct {
	Loops  int // 1
	Engine Engine

	// Targets are the servers; a Spec chooses one of them by its number.
	// Their users, passwords and topics are not looked at.
	Targets []*transport.Target

	// Dialer opens the connections of Std, which adds source address and
	// timeout. Lite takes its Resolver. A Proxy or Command needs Std.
	Dialer *transport.Dialer

	// Dial, unless nil, opens the connections in place of Dialer, for networks
	// in memory: it needs Std, whose loops then wait by the timers of package
	// time, up to a millisecond late, so that they can be in a bubble of
	// testing/synctest.
	Dial func(ctx context.Context, t *transport.Target) (net.Conn, error)

	// Sources are local addresses to connect from, in turn; without them the
	// system chooses.
	//
	// With Lite, FirstPort to LastPort, unless 0, are the ports to connect from:
	// all that are free may be used for each source and target, whatever the
	// range of the system's own choice. They also spare the system its search,
	// which takes ever longer beyond half of its range (14,000 connections).
	// Std leaves the choice of ports to the system and does not look at these:
	// it has the system's range for each source and target, if a source is given.
	Sources             []netip.Addr
	FirstPort, LastPort uint16

	HalfOpen       int           // attempts to connect under way at once; 1,000
	ConnectTimeout time.Duration // from the socket to CONNACK; 30 s
	Buffer         int           // bytes that may wait to be written, per client; 256 KiB

	Epoch time.Time // the zero of all times; the time of New

	// Handler makes the handler of a loop; New calls it once for each.
	Handler func(l *Loop) Handler

	now func() time.Duration // of tests
}

// A Handler is what a loop's clients report to. Its methods are called with the
// loop's lock held, and must not wait for anything. Packets are views, valid
// during the call.
type Handler interface {
	// Due is called when the time has come that the last call returned, or
	// that Loop.Wake set since, and not before the first Wake. It publishes what is
	// due. A result that is not in the future has it called again as soon as
	// the sockets have been looked after.
	Due(now time.Duration) (next time.Duration)

	// Connected reports a CONNACK that accepts; t is valid during the call.
	Connected(c *Client, ack *packet.Connack, t *Timing)

	// Failed reports an attempt that ended without one: a [*transport.Error]
	// with a hint, a [*Refusal], session.ErrNoAnswer when the connection ended
	// where CONNACK was due, or what Closed may report, too.
	Failed(c *Client, err error)

	// Closed reports the end of a connection that was up. err is nil after
	// Disconnect and Reset, except where the server answers DISCONNECT by a reset,
	// and what was sent before it may not have arrived. It is a *Refusal after the
	// server's DISCONNECT, io.EOF when the server just closed, session.ErrKeepAlive,
	// session.ErrNoQoS2, a *packet.Error when it broke the rules, or a
	// *transport.Error.
	Closed(c *Client, err error)

	// Acked reports the end of a message published at QoS 1 or 2: PUBACK,
	// PUBCOMP, or PUBREC that refuses. With qos 0 the message was given up while
	// the connection was being resumed (before Connected): reason is Success if
	// the server had it already, else why this server does not take it.
	Acked(c *Client, tag uint64, qos packet.QoS, reason packet.ReasonCode)

	// Subscribed reports a SUBACK or UNSUBACK, p.Type tells which.
	Subscribed(c *Client, tag uint64, p *packet.Suback)

	// Message reports a PUBLISH, which is acknowledged when the call returns,
	// unless it called Hold. now is when it was read.
	Message(c *Client, p *packet.Publish, now time.Duration)

	// Writable reports that nothing waits to be written any more, after
	// Publish had returned ErrFull.
	Writable(c *Client)
}

// Spec is what the clients of a group have in common. It must not change while
// clients use it.
type Spec struct {
	Target int // into Options.Targets

	// Connect fills in p, which is all zero, for each connection of c. What p
	// points to is used before the loop goes on. It is called with the loop's
	// lock held, when the connection has been opened.
	Connect func(c *Client, p *packet.Connect)

	// Session holds the limits of each client; SendWindow and SendBytes bound the
	// messages without an acknowledgement. ConnectTimeout is not used.
	Session session.Config
}

// Timing tells how long the parts of a connection's beginning took.
type Timing struct {
	Begun   time.Duration // when the socket was opened
	TCP     time.Duration // until it was connected; with a name, its lookup included (Std)
	TLS     time.Duration // of the TLS handshake; else 0
	Upgrade time.Duration // of the upgrade to WebSocket; else 0
	Connack time.Duration // from CONNECT to CONNACK
}

// Total is how long the whole took.
func (t *Timing) Total() time.Duration { return t.TCP + t.TLS + t.Upgrade + t.Connack }

// A Ponger is a Handler that is told of answers to PINGREQ, those of the keep alive
// time included: took is how long after it the PINGRESP came.
type Ponger interface {
	Pong(c *Client, took time.Duration)
}
