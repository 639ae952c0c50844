package swarm

import (
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

type state uint8

const (
	idle       state = iota
	queued           // waits for its turn to connect
	connecting       // the connection is being opened
	opening          // CONNECT was sent
	up
	closing // DISCONNECT was sent; the server should close
	ended   // Failed or Closed is about to be called
)

// Client is one MQTT client. Its methods may be called only from Handler methods and
// from functions passed to Loop.Do. It lives as long as its loop.
//
// It is small, because there are many: the session, the output buffer and the rest of a
// packet that arrived in parts exist only while they are needed.
type Client struct {
	conn session.Conn
	loop *Loop
	spec *Spec
	link *link // used by Std

	partial []byte // the beginning of a packet; nil if none
	need    int    // how long partial must become before parsing it can continue

	deadline time.Duration // of connecting, opening and closing
	timing   Timing

	User uint32 // for the caller's use

	index, slot uint32
	next, prev  uint32 // neighbors in the wheel, slot + 1
	bucket      uint16 // of the wheel, + 1; 0 while in none
	try         uint8  // which of the target's addresses
	state       state
	fd          int32  // used by Lite
	generation  uint32 // used by Lite: distinguishes events of this connection from earlier ones
	events      uint32 // used by Lite: what epoll waits for

	touched bool // flush is due at the end of the batch
	holds   bool // conn has a buffer from the loop's pool
	blocked bool // the socket is full, or broken
	full    bool // ErrBufferFull was returned
	paused  bool
	leaving bool // Disconnect or Reset was called: Closed reports nil
	abrupt  bool // close with an RST
	useful  bool // a message arrived, or one of ours was acknowledged

	first uint8 // used by Lite: which address of a local target to try first
}

// Index returns the index passed to Add.
func (c *Client) Index() uint32 { return c.index }

// Loop returns the client's loop.
func (c *Client) Loop() *Loop { return c.loop }

// Spec returns the Spec last passed to Connect.
func (c *Client) Spec() *Spec { return c.spec }

// Up reports whether the client is connected and may publish.
func (c *Client) Up() bool { return c.state == up }

// Useful reports whether the present or last connection has brought a message or the
// acknowledgement of one.
func (c *Client) Useful() bool { return c.useful }

// Idle reports whether Connect may be called.
func (c *Client) Idle() bool { return c.state == idle }

// Peer returns what the server announced. It is meaningful only while Up.
func (c *Client) Peer() *session.Peer { return c.conn.Peer() }

// KeepAlive returns the keep alive time in effect, 0 for none.
func (c *Client) KeepAlive() time.Duration { return c.conn.KeepAlive() }

// Target returns the server that the client connects to, or connected to last.
func (c *Client) Target() *transport.Target { return c.loop.swarm.opts.Targets[c.spec.Target] }

// Connect makes the client connect as soon as its turn comes. The outcome is reported
// to the Handler. The error is ErrBusy unless the client is idle, or ErrTarget.
func (c *Client) Connect(spec *Spec) error {
	if c.state != idle {
		return ErrBusy
	}
	if spec.Target < 0 || spec.Target >= len(c.loop.swarm.opts.Targets) {
		return ErrTarget
	}
	l := c.loop
	c.spec, c.state = spec, queued
	c.try, c.paused, c.full, c.leaving, c.abrupt, c.useful = 0, false, false, false, false, false
	l.queue = append(l.queue, c)
	l.stats.Connecting++
	return nil
}

// Publish sends a message. It encodes p at once and does not keep it. At QoS 1 and 2
// Acked reports tag when the message is complete. The error is ErrBufferFull when Room has no
// bytes left, session.ErrQuota when it has no messages left at QoS 1 and 2, ErrNotUp,
// or another one of session.Conn.Publish.
func (c *Client) Publish(p *packet.Publish, tag uint64) error {
	if c.state != up {
		return session.ErrNotUp
	}
	l := c.loop
	if !c.touched {
		l.touch(c)
	}
	if c.unsent() >= l.swarm.opts.Buffer {
		c.full = true
		return ErrBufferFull
	}
	return c.conn.Publish(p, tag)
}

// Room returns for how many messages at QoS 1 and 2 the windows of both sides have
// room, and how many bytes may be published before the end of this batch. A message of
// any size fits as long as bytes is above 0.
func (c *Client) Room() (messages, bytes int) {
	if c.state != up {
		return 0, 0
	}
	return c.conn.Window(), max(0, c.loop.swarm.opts.Buffer-c.unsent())
}

func (c *Client) unsent() int {
	n := c.conn.Pending()
	if c.link != nil {
		n += c.loop.driver.unsent(c)
	}
	return n
}

// Open returns the number of messages at QoS 1 and 2 whose acknowledgement is not
// complete, also for a client that is not connected.
func (c *Client) Open() int {
	if s := c.conn.Session(); s != nil {
		return s.Open()
	}
	return 0
}

// Forget drops what an idle client has kept of its session, and calls drop, if not nil,
// with the tag of each message. The error is ErrBusy unless the client is idle.
func (c *Client) Forget(drop func(tag uint64)) error {
	if c.state != idle {
		return ErrBusy
	}
	if s := c.conn.Session(); s != nil {
		s.Clear(drop)
		c.loop.release(c)
	}
	return nil
}

// Subscribe sends a SUBSCRIBE; p.PacketID is ignored. Subscribed reports tag, unless
// Closed is reported first.
func (c *Client) Subscribe(p *packet.Subscribe, tag uint64) error {
	if c.state != up {
		return session.ErrNotUp
	}
	c.loop.touch(c)
	return c.conn.Subscribe(p, tag)
}

// Unsubscribe is Subscribe for UNSUBSCRIBE.
func (c *Client) Unsubscribe(p *packet.Unsubscribe, tag uint64) error {
	if c.state != up {
		return session.ErrNotUp
	}
	c.loop.touch(c)
	return c.conn.Unsubscribe(p, tag)
}

// Ping sends a PINGREQ in addition to those of the keep alive time. The answer is
// reported to a Handler that is a Ponger. A missing answer is detected by the keep
// alive time.
func (c *Client) Ping() error {
	if c.state != up {
		return session.ErrNotUp
	}
	c.loop.touch(c)
	return c.conn.Ping(c.loop.now)
}

// Hold leaves the message that Message reports unacknowledged until Ack. It may be
// called only within Message. If one message of a connection is held, those after it
// must be held too, since acknowledgements are sent in the order of arrival
// (MQTT-4.6.0-2).
func (c *Client) Hold() { c.loop.hold = true }

// Ack acknowledges a message that was held. A connection that is over needs no Ack,
// except at QoS 2, where the session continues.
func (c *Client) Ack(qos packet.QoS, id uint16, reason packet.ReasonCode) {
	if c.state == up {
		c.loop.touch(c)
	}
	c.conn.Ack(qos, id, reason)
}

// AckLate is Ack for a message from an earlier connection of c. At QoS 1 it does
// nothing, since the server resends the message.
func (c *Client) AckLate(qos packet.QoS, id uint16) {
	if c.state == up {
		c.loop.touch(c)
	}
	c.conn.AckLate(qos, id)
}

// Pause stops or resumes reading while the client is Up. Messages that have been read
// already are still delivered. A paused client keeps pinging, but does not expect an
// answer.
func (c *Client) Pause(on bool) {
	if c.paused == on || c.state != up {
		return
	}
	c.paused = on
	c.loop.driver.interest(c)
}

// Disconnect sends DISCONNECT and waits for the server to close, which spares this side
// the TIME-WAIT state; it closes after a second at the latest. If p is nil, it sends a
// normal disconnection. After this only Closed is reported, with nil. An attempt to
// connect is given up, and Failed reports ErrClosed.
func (c *Client) Disconnect(p *packet.Disconnect) {
	l := c.loop
	switch c.state {
	case queued, connecting, opening:
		l.lose(c, ErrClosed)
	case up:
		if p == nil {
			p = &packet.Disconnect{}
		}
		l.touch(c)
		c.conn.Disconnect(p)
		c.state, c.leaving = closing, true
		l.stats.Connected--
		c.deadline = l.now + goodbye
		l.wheel.arm(l, c, c.deadline)
		if c.paused {
			c.paused = false
			l.driver.interest(c)
		}
	}
}

// goodbye is how long a server may take to close after DISCONNECT.
const goodbye = time.Second

// Reset ends the connection at once, without a DISCONNECT, with a TCP RST where there
// is TCP. Closed reports nil. An attempt to connect is given up as by Disconnect.
func (c *Client) Reset() {
	c.abrupt = true
	c.Close()
}

// Close is Reset without the RST: it ends the connection at once, without a DISCONNECT,
// and the server sees an orderly end of the stream.
func (c *Client) Close() {
	switch c.state {
	case queued, connecting, opening:
		c.loop.lose(c, ErrClosed)
	case up, closing:
		c.leaving = true
		c.loop.lose(c, nil)
	}
}
