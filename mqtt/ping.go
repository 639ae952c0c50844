package mqtt

import "context"

// proof tracks which QoS 0 messages have arrived. They are not acknowledged,
// but those accepted before a PINGREQ have arrived when its PINGRESP comes.
// Client.mu must be held.
type proof struct {
	pings    []ping // unanswered, in order
	accepted uint64 // number of QoS 0 messages
	sure     uint64 // of these: known to have arrived, or given up
	unproven uint64 // of these: not known to have arrived when the latest connection ended
}

// ping is an unanswered PINGREQ.
type ping struct {
	mark    uint64 // number of QoS 0 messages accepted before it
	waiter  uint32
	control bool // sent by the rule in undeliverable.go
}

// ping records a PINGREQ.
func (p *proof) ping(waiter uint32, control bool) {
	p.pings = append(p.pings, ping{mark: p.accepted, waiter: waiter, control: control})
}

// pong handles a PINGRESP. It returns the oldest PINGREQ, if there is one.
func (p *proof) pong() (answered ping, ok bool) {
	if len(p.pings) == 0 {
		return ping{}, false
	}
	answered = p.pings[0]
	p.pings = append(p.pings[:0], p.pings[1:]...)
	p.sure = max(p.sure, answered.mark)
	return answered, true
}

// unsure returns the number of messages that are not known to have arrived.
func (p *proof) unsure() uint64 { return p.accepted - p.sure }

// lost handles the end of the connection. It gives up the messages that may be
// lost with it, and returns their number.
func (p *proof) lost() (unsure uint64) {
	p.pings = p.pings[:0]
	p.unproven, p.sure = p.unsure(), p.accepted
	return p.unproven
}

// Ping sends a PINGREQ and blocks until the server answers. While the
// connection is being restored, it waits for that first.
func (c *Client) Ping(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.ended != nil {
			err := c.ended
			c.mu.Unlock()
			return &Error{Op: "ping", Class: ErrNotSent, Err: err}
		}
		me := c.waiters.park()
		sent := c.conn.Ping(c.now()) == nil
		if sent {
			c.proof.ping(me, false)
		} else {
			c.waiters.windowWaiters = append(c.waiters.windowWaiters, me)
		}
		_, err := c.awaitAnswerLocked(ctx, me)
		c.mu.Unlock()
		switch {
		case err != nil && sent:
			return &Error{Op: "ping", Class: ErrInDoubt, Err: err}
		case err != nil:
			return &Error{Op: "ping", Class: ErrNotSent, Err: err}
		case sent:
			return nil
		}
	}
}

// pongLocked answers the oldest PINGREQ.
func (c *Client) pongLocked() {
	p, ok := c.proof.pong()
	if !ok {
		return
	}
	if p.control {
		if c.doubt.pong(c.now()) {
			c.pingForControlLocked()
		}
		c.loosenLocked()
	}
	c.waiters.answer(p.waiter, nil)
}
