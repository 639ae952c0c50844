package broker

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// A client that has said DISCONNECT and closed its socket is through, and may
// connect again at once. What it has sent is in the socket then, and was sent:
// so a connection hears out what its socket has, and what was on the way to it,
// before another takes its place (MQTT-3.1.4-3), and so it does when it can no
// longer be written to. Else messages would be lost without anybody's fault, and
// the will of a client that has said goodbye would be published (MQTT-3.14.4-3).

const (
	// hearSize is how much a connection still reads then, in bytes: one whose
	// client goes on sending must not keep its successor waiting.
	hearSize = 1 << 20

	// quietTime is how long its socket must have been empty: what the client has
	// written may be on the way still when the socket has been read empty.
	quietTime = 100 * time.Millisecond

	// quietMost is how long it waits for that, if its client goes on sending a
	// little at a time. What is in the socket then is read all the same.
	quietMost = 500 * time.Millisecond

	// hearTime is how long the successor waits while subscribers of what is
	// heard are behind. Then they are not waited for.
	hearTime = time.Second

	// orderTime is how long it waits for the CONNECT and for the login of an
	// earlier connection.
	orderTime = 250 * time.Millisecond

	// precedeMost is how many earlier connections are looked at for that.
	precedeMost = 16
)

// hearing is how a connection is heard out.
type hearing struct {
	// Guarded by client.mu.
	done   chan struct{} // somebody waits until what the socket has is handled; nil while nobody does
	urgent bool          // and has waited for long: subscribers that are behind are not waited for
	urged  chan struct{} // closed when that comes to be, for run; nil while it does not wait

	// Of run alone.
	listens bool          // it reads only what the socket has
	found   bool          // the last look into it has found something
	left    int           // bytes that it may still read
	quietBy time.Duration // until when it waits to find nothing; broker time
}

// end tells who waits for it. It is called by run, with client.mu.
func (h *hearing) end() {
	h.listens = false
	if h.done != nil {
		close(h.done)
		h.done = nil
	}
}

// hearOutLocked has the connection handle what its socket has. The channel is closed
// when it has, or is over. client.mu is held.
func (c *conn) hearOutLocked() <-chan struct{} {
	if c.hearing.done == nil {
		c.hearing.done = make(chan struct{})
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // ends the read
	}
	return c.hearing.done
}

// hearsLocked reports whether the connection is being heard out, and sets the read
// deadline for that. It ends the hearing when that is over. client.mu is held.
func (c *conn) hearsLocked() bool {
	h := &c.hearing
	if h.done == nil {
		return false
	}
	now := c.b.now()
	if !h.listens { // asked since it has looked into the socket last
		h.listens, h.found, h.left, h.quietBy = true, true, hearSize, now+quietMost
	}
	wait := time.Duration(0)
	if !h.found {
		wait = min(c.heard+quietTime, h.quietBy) - now
	}
	switch {
	case h.left <= 0, !h.found && wait <= 0:
		h.end()
		c.deadline = 0 // that of the socket has been moved
		return false
	case h.found: // there may be more
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	default:
		_ = c.nc.SetReadDeadline(c.b.start.Add(now + wait))
	}
	return true
}

// urgeLocked has the connection wait for nobody. client.mu is held.
func (c *conn) urgeLocked() {
	h := &c.hearing
	h.urgent = true
	c.out.drained()
	if h.urged != nil {
		close(h.urged)
		h.urged = nil
	}
}

// impatience is closed when the connection is to wait for nobody; nil if that
// is so already. No lock is held.
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

// claim waits until the identifier is the connection's to take, and returns
// its session, if it has one. Broker.mu is locked then, and client.mu of that
// session.
func (b *Broker) claim(c *conn, id string) *client {
	began := b.now()
	for b.preceded(c) && b.now()-began < orderTime {
		time.Sleep(time.Millisecond) // seldom: its reader is about to run
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

// heed waits until a connection is heard out. It has StallTimeout for that,
// however busy the machine or slow Authorize.
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

// preceded reports whether a connection that came before c from the same address has
// a CONNECT in its socket still, as far as can be told. A client that sends all it
// has and closes, without waiting for CONNACK, may be here again before anybody has
// read that; it must not be taken over by its own past. Who is silent is in nobody's
// way.
func (b *Broker) preceded(c *conn) bool {
	from := func(c *conn) netip.Addr { return hostOf(transport.UnderlyingConn(c.nc).RemoteAddr()) } // which is there at once
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

// hasSpoken notes that nobody needs to wait for the connection's CONNECT.
func (c *conn) hasSpoken() {
	c.try = c.tryRead
	c.b.connMu.Lock()
	defer c.b.connMu.Unlock()
	c.entry.spoke = true
}

// comers are the connections whose CONNECT is being judged, by who they say
// they are, in the order in which the connections came: a login that takes long is not
// overtaken by that of the connection which the client has made after it. Who
// has another address or user name stands elsewhere, and is in nobody's way.
type comers struct {
	mu sync.Mutex
	of map[string][]place
}

type place struct {
	c    *conn
	turn chan struct{} // closed when the place is the first; nil while nobody waits for that
}

// enter is for a CONNECT that has come; one without an identifier gets its own.
func (l *comers) enter(c *conn, id, username string) {
	if id == "" {
		return
	}
	c.entry.comer = id + "\x00" + username + "\x00" + c.host() // the first two have no null characters
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = make(map[string][]place)
	}
	places := l.of[c.entry.comer]
	i, _ := slices.BinarySearchFunc(places, c.number, func(p place, n uint64) int { return cmp.Compare(p.c.number, n) })
	l.of[c.entry.comer] = slices.Insert(places, i, place{c: c})
}

// leave is for one that is accepted, or is not going to be. It may be called
// again.
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

// wait waits until the connection is the first of its kind, but not for longer
// than most: whoever cannot log in must not keep others from it.
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
