package broker

import (
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// authenticate calls Authenticate for a CONNECT, when it is this client's turn.
func (c *conn) authenticate(p *packet.Connect) error {
	o := &c.b.opts
	if o.Recall != nil && o.Recall(p, c.nc.RemoteAddr()) {
		return c.admit(p, nil)
	}
	if !c.b.logins.enter(c.host(), string(p.Username), string(p.ClientID), c.entry.begun+o.ConnectTimeout-c.b.now(), c.waits()) {
		return c.refuse(string(p.ClientID), packet.ServerBusy, "too many logins at once")
	}
	reason := c.ask(p)
	switch {
	case reason != packet.Success:
		return c.deny(string(p.ClientID), reason)
	case c.b.now() >= c.entry.begun+o.ConnectTimeout:
		return c.refuse(string(p.ClientID), packet.ServerBusy, "the login has taken too long")
	}
	return c.admit(p, nil)
}

// ask calls Authenticate, and ends the turn.
func (c *conn) ask(p *packet.Connect) packet.ReasonCode {
	defer c.b.logins.leave()
	return c.b.opts.Authenticate(p, c.nc.RemoteAddr())
}

// deny refuses a client that failed to authenticate, but not before DenyTime has
// passed: how long the check took then reveals nothing, and guessing is slow. Each
// failed login slows down the next failed ones from its address, but never a successful
// one.
func (c *conn) deny(id string, reason packet.ReasonCode) error {
	c.b.comers.leave(c)
	o, now := &c.b.opts, c.b.now()
	if o.DenyTime > 0 {
		late := c.b.failed.charge(hostOf(c.nc.RemoteAddr()), o.DenyTime/8, o.ConnectTimeout, now)
		c.pause(min(c.entry.asked+o.DenyTime+late, c.entry.begun+o.ConnectTimeout) - now)
	}
	return c.refuse(id, reason, "")
}

// pause waits for d, or until the connection is closed.
func (c *conn) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.waits():
	}
}

// host returns the address for turns.
func (c *conn) host() string {
	if ip := hostOf(c.nc.RemoteAddr()); ip.IsValid() {
		return ip.String()
	}
	return ""
}

// waits returns a channel that is closed when the connection, which has not been
// accepted yet, is closed from the server side.
func (c *conn) waits() <-chan struct{} {
	c.b.connMu.Lock()
	defer c.b.connMu.Unlock()
	if c.entry.cut == nil {
		c.entry.cut = make(chan struct{})
		if c.b.closing || c.entry.place == nil {
			close(c.entry.cut)
		}
	}
	return c.entry.cut
}

// minEarly is how many connections that are not accepted yet are always allowed.
const minEarly = 256

// earlyLocked counts a connection that is not accepted yet, and returns the connection
// that must be closed to make room: nil, or the oldest. A client that opens many
// connections and sends nothing thus does not block others. connMu must be held.
func (b *Broker) earlyLocked(c *conn) (oldest *conn) {
	c.entry.place = b.unaccepted.PushBack(c)
	if b.unaccepted.Len() <= max(b.opts.MaxConnections/4, minEarly) {
		return nil
	}
	oldest = b.unaccepted.Front().Value.(*conn)
	b.acceptedLocked(oldest)
	delete(b.conns, oldest)
	return oldest
}

// acceptedLocked removes a connection from those that are not accepted. connMu must be
// held.
func (b *Broker) acceptedLocked(c *conn) {
	if c.entry.place == nil {
		return
	}
	b.unaccepted.Remove(c.entry.place)
	c.entry.place = nil
	if c.entry.cut != nil {
		close(c.entry.cut)
	}
}
