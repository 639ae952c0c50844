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
	closing // DISCONNECT was sent; the server is expected to close
	ended   // Failed or Closed is about to be called
)

// Client is one MQTT client. Its methods are for Handler methods and functions given
// to Loop.Do. It lives as long as its loop.
//
// It is small, because there are many: the session, the output buffer and the rest of
// a packet that came in parts are there only while they are needed.
type Client struct {
	conn session.Conn
	loop *Loop
	spec *Spec
	link *link // of Std

	part []byte // the beginning of a packet; nil if none
	need int    // how long part must become to get further

	deadline time.Duration // of connecting, opening and closing
	timing   Timing

	User uint32 // the owner's

	index, slot uint32
	next, prev  uint32 // neighbours in the wheel, slot + 1
	bucket      uint16 // of the wheel, + 1; 0 while in none
	try         uint8  // which of the target's addresses
	state       state
	fd          int32  // of Lite
	generation  uint32 // of Lite: tells events of this connection from earlier ones
	events      uint32 // of Lite: what epoll looks for

	touched bool // flush is due at the end of the batch
	holds   bool // conn has a buffer of the loop's pool
	blocked bool // the socket is full, or broken
	full    bool // ErrFull was returned
	paused  bool
	leaving bool // Disconnect or Reset was called: Closed reports nil
	abrupt  bool // closing is by RST
	useful  bool // a message came, or one of ours was acknowledged

	first uint8 // of Lite: which address of a local target is tried first
}

// Index is what Add was given.
func (c *Client) Index() uint32 { return c.index }

// Loop is the client's loop.
func (c *Client) Loop() *Loop { return c.loop }

// Spec is what Connect was last given.
func (c *Client) Spec() *Spec { return c.spec }

// Up reports whether the client is connected and may publish.
func (c *Client) Up() bool { return c.state == up }

// Useful reports whether the connection, or the last one, has brought a message or the
// acknowledgement of one.
func (c *Client) Useful() bool { return c.useful }

// Idle reports whether Connect may be called.
func (c *Client) Idle() bool { return c.state == idle }

// Peer is what the server announced; meaningful while Up.
func (c *Client) Peer() *session.Peer { return c.conn.Peer() }

// KeepAlive is the time in force, 0 for none.
func (c *Client) KeepAlive() time.Duration { return c.conn.KeepAlive() }

// Target is the server that the client connects to, or did last.
func (c *Client) Target() *transport.Target { return c.loop.swarm.opts.Targets[c.spec.Target] }

// Connect has the client connect as soon as its turn comes. The outcome comes to
// the Handler. The error is ErrBusy unless the client is idle, or ErrTarget.
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

// Publish sends a message, which is encoded at once; p is not kept. At QoS 1 and 2
// Acked reports tag when it is over. The error is ErrFull when Room has no bytes
// left, session.ErrQuota when it has no messages left at QoS 1 and 2, ErrNotUp, or
// another one of session.Conn.Publish.
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
		return ErrFull
	}
	return c.conn.Publish(p, tag)
}

// Room tells how many messages at QoS 1 and 2 the windows of both sides leave room
// for, and how many bytes may be published before the end of this batch. One
// message fits as long as bytes is above 0, however large it is.
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

// Open is the number of messages at QoS 1 and 2 that are not acknowledged to the
// end; also of a client that is not connected.
func (c *Client) Open() int {
	if s := c.conn.Session(); s != nil {
		return s.Open()
	}
	return 0
}

// Forget gives up what an idle client has kept of its session, and calls drop,
// unless nil, with the tag of each message. The error is ErrBusy unless the client
// is idle.
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

// Subscribe sends a SUBSCRIBE; p.PacketID is ignored. Subscribed reports tag, or
// Closed ends it.
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

// Ping sends a PINGREQ besides those of the keep alive time. A Handler that is a
// Ponger is told of the answer; if there is none, the keep alive time notices.
func (c *Client) Ping() error {
	if c.state != up {
		return session.ErrNotUp
	}
	c.loop.touch(c)
	return c.conn.Ping(c.loop.now)
}

// Hold leaves the message that Message reports unacknowledged, until Ack. It is
// for use within Message. If one message of a connection is held, those after it
// must be, too, as acknowledgements go in the order of arrival (MQTT-4.6.0-2).
func (c *Client) Hold() { c.loop.hold = true }

// Ack acknowledges a message that was held. A connection that is over needs none,
// except at QoS 2, where the session goes on.
func (c *Client) Ack(qos packet.QoS, id uint16, reason packet.ReasonCode) {
	if c.state == up {
		c.loop.touch(c)
	}
	c.conn.Ack(qos, id, reason)
}

// AckLate is Ack for a message that came by an earlier connection of c. At QoS 1
// the server sends it again, and there is nothing to do.
func (c *Client) AckLate(qos packet.QoS, id uint16) {
	if c.state == up {
		c.loop.touch(c)
	}
	c.conn.AckLate(qos, id)
}

// Pause stops reading while the client is Up, or goes on with it. Messages that have been read already are
// still delivered. A client that does not read still pings, and does not expect an
// answer.
func (c *Client) Pause(on bool) {
	if c.paused == on || c.state != up {
		return
	}
	c.paused = on
	c.loop.driver.interest(c)
}

// Disconnect sends DISCONNECT, waits for the server to close, which spares this side
// the TIME-WAIT state, and closes after a second at the latest. nil stands for a
// normal disconnection. Nothing is reported any more but Closed with nil. An
// attempt to connect is given up, and Failed reports ErrClosed.
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

// Reset ends the connection at once and without a word, by a TCP RST where there is
// TCP. Closed reports nil; an attempt to connect is given up as by Disconnect.
func (c *Client) Reset() {
	c.abrupt = true
	c.Close()
}

// Close ends the connection at once and without a DISCONNECT, otherwise as Reset
// does: the server sees an orderly end of the stream.
func (c *Client) Close() {
	switch c.state {
	case queued, connecting, opening:
		c.loop.lose(c, ErrClosed)
	case up, closing:
		c.leaving = true
		c.loop.lose(c, nil)
	}
}
