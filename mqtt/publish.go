package mqtt

import (
	"context"
	"errors"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Publish sends m. At QoS 0 it returns when m is written, or when it is handed
// to the writer because it is large or another write is in progress. At QoS 1
// and 2 it returns when the server has acknowledged m. While the connection is
// being restored, Publish waits. It does not keep m. For streams of messages
// Send is much faster.
//
// If ctx ends first, the error is ErrNotSent if m was not accepted yet, and
// ErrKept if m is in the session. After the connection is lost for good it is
// ErrInDoubt.
func (c *Client) Publish(ctx context.Context, m *Message) error {
	return c.publish(ctx, m, 0, true)
}

// Send is Publish without waiting for the acknowledgement: it returns as soon
// as m is accepted, and blocks only while the window or the output buffer is
// full. ctx limits that wait alone: with room, m is accepted even if ctx has
// ended, so that a program that has to stop can still send what it has taken.
// Options.OnOutcome receives the outcome with tag, whose highest bit must
// be 0; Flush waits for all outcomes, and Stats counts them. At QoS 0 there is
// no outcome but that of Flush.
func (c *Client) Send(ctx context.Context, m *Message, tag uint64) error {
	return c.publish(ctx, m, tag, false)
}

func (c *Client) publish(ctx context.Context, m *Message, tag uint64, sync bool) error {
	properties, err := m.checked()
	switch {
	case sync && ctx.Err() != nil:
		err = ctx.Err()
	case !sync && tag&syncTag != 0:
		err = errTag
	}
	if err != nil {
		return &Error{Op: "publish", Class: ErrNotSent, Err: err}
	}
	wait := sync && m.QoS > 0
	var p packet.Publish // a composite literal would be copied
	p.QoS, p.Retain, p.Payload = m.QoS, m.Retain, m.Payload
	c.mu.Lock()
	var me uint32
	for {
		if c.ended != nil || c.farewell.leaving || c.farewell.closing {
			err := c.endedLocked()
			c.mu.Unlock()
			return &Error{Op: "publish", Class: ErrNotSent, Err: err}
		}
		if c.agreed.inherited && m.QoS == 2 {
			c.mu.Unlock()
			return &Error{Op: "publish", Class: ErrNotSent, Err: ErrInherited}
		}
		if p.Properties = properties; len(properties) > 0 && c.agreed.version < packet.V5 {
			if !c.opt.DropProperties {
				c.mu.Unlock()
				return &Error{Op: "publish", Class: ErrNotSent, Err: ErrNeeds5}
			}
			p.Properties = nil
		}
		p.Topic = append(c.topicScratch[:0], m.Topic...)
		c.topicScratch = p.Topic
		err := session.ErrQuota
		full := c.conn.Pending() >= highWater && (c.nc != nil || m.QoS == 0)
		held := m.QoS == 0 && c.doubt.phase != free // the message might become a reason for the connection to end
		if !full && !held && !(c.choice.open && m.QoS > 0) {
			t := tag
			if wait {
				me = c.waiters.park()
				t = syncTag | uint64(me)
			}
			if err = c.conn.Publish(&p, t); err != nil && wait {
				c.waiters.release(me)
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, session.ErrQuota) && (!errors.Is(err, session.ErrNotUp) || c.opt.Reconnect == nil) {
			c.mu.Unlock()
			return &Error{Op: "publish", Class: ErrNotSent, Err: err}
		}
		room := c.waiters.park()
		if full && c.nc != nil {
			c.waiters.bufferWaiters = append(c.waiters.bufferWaiters, room)
		} else {
			c.waiters.windowWaiters = append(c.waiters.windowWaiters, room)
		}
		c.waiters.onReader++
		c.inbox.letReader()
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.out.wake(wake)
		answered, err := c.await(ctx, room)
		c.mu.Lock()
		c.waiters.onReader--
		if !answered {
			c.mu.Unlock()
			return &Error{Op: "publish", Class: ErrNotSent, Err: err}
		}
		c.waiters.release(room)
	}
	c.stats.Sent++
	if m.QoS == 0 {
		c.proof.accepted++
	} else if c.sess.Open() == 1 {
		c.doubt.exposed = c.now()
	}
	if !wait {
		if sync {
			c.flushInlineLocked() // unlocks c.mu
			return nil
		}
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.out.wake(wake)
		return nil
	}
	answered, err := c.awaitAnswerLocked(ctx, me)
	c.mu.Unlock()
	if !answered {
		return &Error{Op: "publish", Class: ErrKept, Err: err}
	}
	return err
}

var (
	errNil = errors.New("the message is nil")
	errTag = errors.New("the highest bit of the tag is set")
)

// checked returns the property block to publish with m, or why m cannot be
// published.
func (m *Message) checked() (packet.Properties, error) {
	if m == nil {
		return nil, errNil
	}
	if err := topic.ValidateName(m.Topic); err != nil {
		return nil, err
	}
	p, err := m.encoded()
	if err != nil {
		return nil, err
	}
	return p, CheckProperties(p)
}

// CheckProperties checks the properties of a PUBLISH from a client. Servers
// close the connection over invalid ones, and later messages are lost with it.
// Publish and Send return the same error.
func CheckProperties(p packet.Properties) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := packet.ParseProperties(p, packet.PUBLISH); err != nil {
		return err
	}
	if _, has := p.Uint(packet.SubscriptionIdentifier); has {
		return &packet.Error{Type: packet.PUBLISH, Reason: packet.ProtocolError, Rule: "MQTT-3.3.4-6",
			Text: "a client must not send a subscription identifier", Offset: -1}
	}
	return nil
}

// endedLocked returns why nothing can be sent any more.
func (c *Client) endedLocked() error {
	if c.ended != nil {
		return c.ended
	}
	return ErrClosed
}

// Flush blocks until the outcome of every message sent before it is known: at
// QoS 1 and 2 that is the acknowledgement, at QoS 0 a later PINGRESP, which
// shows that the server has read that far. Flush does not wait for messages
// that other goroutines send after it was called.
func (c *Client) Flush(ctx context.Context) error { return c.flush(ctx, true) }

// flush is Flush with an optional PINGRESP.
func (c *Client) flush(ctx context.Context, ping bool) error {
	c.mu.Lock()
	mark, q0 := c.sess.Mark(), c.proof.accepted
	for {
		open, unsure := c.sess.OpenBefore(mark), ping && q0 > c.proof.sure
		switch {
		case !open && !unsure:
			c.mu.Unlock()
			return nil
		case c.ended != nil:
			err := c.ended
			c.mu.Unlock()
			return &Error{Op: "flush", Class: ErrInDoubt, Err: err}
		case !open:
			c.mu.Unlock()
			if err := c.Ping(ctx); err != nil && ctx.Err() != nil {
				return &Error{Op: "flush", Class: ErrInDoubt, Err: ctx.Err()}
			}
			c.mu.Lock()
		default:
			me := c.waiters.park()
			c.waiters.all[me].mark = mark
			c.waiters.flushers = append(c.waiters.flushers, me)
			if answered, err := c.awaitAnswerLocked(ctx, me); !answered {
				c.mu.Unlock()
				return &Error{Op: "flush", Class: ErrKept, Err: err}
			}
		}
	}
}

// flushedLocked answers the calls of Flush whose messages all have their
// outcome.
func (c *Client) flushedLocked() {
	if len(c.waiters.flushers) == 0 {
		return
	}
	c.waiters.flushers = slices.DeleteFunc(c.waiters.flushers, func(i uint32) bool {
		over := !c.sess.OpenBefore(c.waiters.all[i].mark)
		if over {
			c.waiters.answer(i, nil)
		}
		return over
	})
}

// roomLocked wakes the calls that wait for room if there may be some.
func (c *Client) roomLocked() {
	if c.conn.Pending() >= highWater/2 {
		return
	}
	if len(c.waiters.bufferWaiters) > 0 {
		c.waiters.answerAll(&c.waiters.bufferWaiters)
	}
	if len(c.waiters.windowWaiters) > 0 && (c.nc == nil || c.conn.CanPublish(0)) {
		c.waiters.answerAll(&c.waiters.windowWaiters)
	}
}
