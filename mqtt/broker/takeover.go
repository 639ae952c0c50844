package broker

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// A client that has sent DISCONNECT and closed its socket is done, and may reconnect at
// once. What it has sent may then still be in the server's socket, and must be handled.
// So before another connection takes its place (MQTT-3.1.4-3), and when it can no
// longer be written to, a connection is heard out: it handles what its socket has, and
// what is still on the way to it. Otherwise messages would be lost without any fault of
// the client, and the will of a client that has sent DISCONNECT would be published
// (MQTT-3.14.4-3).

const (
	// hearSize is how much a connection that is heard out may still read, in bytes: a
	// client that keeps sending must not keep its successor waiting.
	hearSize = 1 << 20

	// quietTime is how long the socket must have been empty: what the client has
	// written may still be on the way when the socket has been read empty.
	quietTime = 100 * time.Millisecond

	// quietMost is how long the connection waits for that, if its client keeps sending
	// a little at a time. What is in the socket by then is still read.
	quietMost = 500 * time.Millisecond

	// hearTime is how long the successor waits while subscribers of the messages that
	// are heard out are behind. After that they are not waited for.
	hearTime = time.Second

	// orderTime is how long the successor waits for the CONNECT and for the login of an
	// earlier connection.
	orderTime = 250 * time.Millisecond

	// precedeMost is how many earlier connections are searched for that.
	precedeMost = 16
)

// hearing is the state of a connection that is heard out.
type hearing struct {
	// Guarded by client.mu.
	done   chan struct{} // closed when the socket's input is handled; nil if no goroutine waits for that
	urgent bool          // the wait has been long: subscribers that are behind are not waited for
	urged  chan struct{} // closed when urgent is set, for run; nil while run does not wait

	// Used by run only.
	listens bool          // it reads only what the socket has
	found   bool          // the last look into the socket found something
	left    int           // bytes that it may still read
	quietBy time.Duration // until when it waits for the socket to be quiet; broker time
}

// end ends the hearing and wakes its waiters. run calls it, with client.mu held.
func (h *hearing) end() {
	h.listens = false
	if h.done != nil {
		close(h.done)
		h.done = nil
	}
}

// hearOutLocked makes the connection handle what its socket has. The channel is closed
// when it has done so, or is over. client.mu must be held.
func (c *conn) hearOutLocked() <-chan struct{} {
	if c.hearing.done == nil {
		c.hearing.done = make(chan struct{})
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // ends the read
	}
	return c.hearing.done
}

// hearsLocked reports whether the connection is being heard out, and sets the read
// deadline for that. It ends the hearing when that is complete. client.mu must be held.
func (c *conn) hearsLocked() bool {
	h := &c.hearing
	if h.done == nil {
		return false
	}
	now := c.b.now()
	if !h.listens { // requested since its last look into the socket
		h.listens, h.found, h.left, h.quietBy = true, true, hearSize, now+quietMost
	}
	wait := time.Duration(0)
	if !h.found {
		wait = min(c.heard+quietTime, h.quietBy) - now
	}
	switch {
	case h.left <= 0, !h.found && wait <= 0:
		h.end()
		c.deadline = 0 // the deadline of the socket has been changed
		return false
	case h.found: // there may be more
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	default:
		_ = c.nc.SetReadDeadline(c.b.start.Add(now + wait))
	}
	return true
}

// urgeLocked makes the connection stop waiting for subscribers. client.mu must be held.
func (c *conn) urgeLocked() {
	h := &c.hearing
	h.urgent = true
	c.out.drained()
	if h.urged != nil {
		close(h.urged)
		h.urged = nil
	}
}

// impatience returns a channel that is closed when the connection must stop waiting for
// subscribers, nil if it must already. No lock may be held.
func (c *conn) impatience(cl *client) <-chan struct{} {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if c.hearing.urgent {
		return nil
	}
	if c.hearing.urged == nil {
		c.hearing.urged = make(chan struct{})
	}
	return c.hearing.urged
}

// claim waits until the connection may take the client ID, and returns its session, if
// it has one. Broker.mu is then locked, and client.mu of that session.
func (b *Broker) claim(c *conn, id string) *client {
	began := b.now()
	for b.preceded(c) && b.now()-began < orderTime {
		time.Sleep(time.Millisecond) // rare: its reader is about to run
	}
	b.comers.wait(c, began+orderTime-b.now(), b.done)
	var heard *conn
	for {
		b.mu.Lock()
		cl := b.sessions[id]
		if cl == nil {
			return nil
		}
		cl.mu.Lock()
		old := cl.conn
		if old == nil || old.over || old == heard || b.now()-began >= b.opts.StallTimeout {
			return cl
		}
		done := old.hearOutLocked()
		cl.mu.Unlock()
		b.mu.Unlock()
		b.heed(cl, old, done)
		heard = old
	}
}

// heed waits until a connection is heard out. That may take StallTimeout after it was
// urged, however busy the machine or slow Authorize.
func (b *Broker) heed(cl *client, old *conn, done <-chan struct{}) {
	timer := time.NewTimer(hearTime)
	defer timer.Stop()
	for range 2 {
		select {
		case <-done:
			return
		case <-b.done:
			return
		case <-timer.C:
			cl.mu.Lock()
			old.urgeLocked()
			cl.mu.Unlock()
			timer.Reset(b.opts.StallTimeout)
		}
	}
}

// preceded reports whether, as far as is known, an earlier connection from the same
// address still has a CONNECT in its socket. A client that sends everything and closes,
// without waiting for CONNACK, may be back before that has been read; its old
// connection must not take over the new one. A connection that has sent nothing delays
// no other.
func (b *Broker) preceded(c *conn) bool {
	// which is known at once
	from := func(c *conn) netip.Addr { return hostOf(transport.UnderlyingConn(c.nc).RemoteAddr()) }
	b.connMu.Lock()
	defer b.connMu.Unlock()
	if c.entry.place == nil || b.closing {
		return false
	}
	e := c.entry.place.Prev()
	for n := 0; e != nil && n < precedeMost; e, n = e.Prev(), n+1 {
		if old := e.Value.(*conn); !old.entry.spoke && from(old) == from(c) && old.unread() {
			return true
		}
	}
	return false
}

// hasSpoken notes that the connection's CONNECT has arrived and is not waited for any
// more.
func (c *conn) hasSpoken() {
	c.try = c.tryRead
	c.b.connMu.Lock()
	defer c.b.connMu.Unlock()
	c.entry.spoke = true
}

// comers holds the connections whose CONNECT is being checked, by client ID, user name
// and address, in the order in which they were opened. A login that takes long is thus
// not overtaken by that of a later connection of the same client. Clients with another
// address or user name do not wait for it.
type comers struct {
	mu sync.Mutex
	of map[string][]place
}

type place struct {
	c    *conn
	turn chan struct{} // closed when the place is the first; nil if no goroutine waits for that
}

// enter adds a connection whose CONNECT has arrived. One without a client ID gets no
// place, since its ID is unique.
func (l *comers) enter(c *conn, id, username string) {
	if id == "" {
		return
	}
	// neither the ID nor the user name has null characters
	c.entry.comer = id + "\x00" + username + "\x00" + c.host()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[string][]place)
	}
	places := l.of[c.entry.comer]
	i, _ := slices.BinarySearchFunc(places, c.number, func(p place, n uint64) int { return cmp.Compare(p.c.number, n) })
	l.of[c.entry.comer] = slices.Insert(places, i, place{c: c})
}

// leave removes a connection that is accepted, or will not be. It may be called more
// than once.
func (l *comers) leave(c *conn) {
	if c.entry.comer == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	places := slices.DeleteFunc(l.of[c.entry.comer], func(p place) bool { return p.c == c })
	if len(places) == 0 {
		delete(l.of, c.entry.comer)
	} else {
		l.of[c.entry.comer] = places
		if first := &places[0]; first.turn != nil {
			close(first.turn)
			first.turn = nil
		}
	}
	c.entry.comer = ""
}

// wait waits until the connection is the first for its key, but no longer than most: a
// client that cannot log in must not keep others from it.
func (l *comers) wait(c *conn, most time.Duration, done <-chan struct{}) {
	l.mu.Lock()
	places := l.of[c.entry.comer]
	i := slices.IndexFunc(places, func(p place) bool { return p.c == c })
	if i <= 0 {
		l.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	places[i].turn = turn
	l.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-turn:
	case <-timer.C:
	case <-done:
	}
}
