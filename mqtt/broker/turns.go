package broker

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// turns limits how many goroutines do something expensive at once, such as checking a
// password; the others wait. Addresses take turns, then the user names of an address,
// then the client IDs of a user name: a client that asks again and again only delays
// itself. The queue is bounded; if it is full, the newest ticket of the longest line is
// dropped.
type turns struct {
	mu   sync.Mutex
	free int  // free places
	line line // all tickets, by address
}

// line is a queue of tickets: divided into lines by the next key, or at the last level
// in order of arrival.
type line struct {
	in    *line // nil for the outermost
	key   string
	n     int       // tickets
	lines []*line   // the next one first
	queue []*ticket // used if there are no lines
}

// ticket is one waiting caller.
type ticket struct {
	line   *line
	called chan struct{} // closed when the wait is over
	mine   bool          // it has its turn; guarded by turns.mu
}

// maxWaiting is the largest number of tickets.
const maxWaiting = 256

// enter waits for a turn, at most for the given time or until gone is closed, and
// reports whether the turn has come. If so, the caller must call leave.
func (q *turns) enter(addr, name, id string, wait time.Duration, gone <-chan struct{}) bool {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return true
	}
	t := q.line.add(addr, name, id)
	if q.line.n > maxWaiting {
		last := q.line.longest()
		last.drop()
		close(last.called)
	}
	q.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.called:
	case <-timer.C:
	case <-gone:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !t.mine {
		t.drop()
	}
	return t.mine
}

// leave gives the place to the next ticket.
func (q *turns) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.line.n == 0 {
		q.free++
		return
	}
	l := &q.line
	for len(l.lines) > 0 {
		next := l.lines[0]
		l.lines = append(l.lines[1:], next) // to the end of its level, if it has more tickets
		l = next
	}
	t := l.queue[0]
	t.drop()
	t.mine = true
	close(t.called)
}

// add returns a new ticket at the end of its line.
func (l *line) add(keys ...string) *ticket {
	for _, key := range keys {
		i := slices.IndexFunc(l.lines, func(x *line) bool { return x.key == key })
		if i < 0 {
			i = len(l.lines)
			l.lines = append(l.lines, &line{in: l, key: key})
		}
		l = l.lines[i]
	}
	t := &ticket{line: l, called: make(chan struct{})}
	l.queue = append(l.queue, t)
	for ; l != nil; l = l.in {
		l.n++
	}
	return t
}

// longest returns the newest ticket of the longest line of the longest line, and so on.
func (l *line) longest() *ticket {
	for len(l.lines) > 0 {
		l = slices.MaxFunc(l.lines, func(a, b *line) int { return a.n - b.n })
	}
	return l.queue[len(l.queue)-1]
}

// drop removes a ticket from its line, if it is in it.
func (t *ticket) drop() {
	l := t.line
	i := slices.Index(l.queue, t)
	if i < 0 {
		return
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	for l.n--; l.in != nil; l.n-- {
		empty := l
		l = l.in
		if empty.n == 0 {
			l.lines = slices.DeleteFunc(l.lines, func(x *line) bool { return x == empty })
		}
	}
}

// hostOf returns what identifies a client for limits per address: its IP address, or
// for IPv6 the prefix that a host has as a whole. The zero value is for a client
// without an IP address, such as on a Unix socket.
func hostOf(from net.Addr) netip.Addr {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		prefix, _ := ip.Prefix(64)
		ip = prefix.Addr()
	}
	return ip
}

// ledger holds what addresses owe, as the time until which each has used up its rate.
// It is bounded: an address for which there is no room owes nothing.
type ledger struct {
	mu    sync.Mutex
	owed  map[netip.Addr]time.Duration // broker time
	swept time.Duration
}

const maxLedger = 1 << 16

// charge adds to what an address owes, and returns how much that is now. An amount
// beyond most is not added.
func (l *ledger) charge(ip netip.Addr, cost, most, now time.Duration) (debt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now-l.swept >= time.Second {
		l.swept = now
		for other, until := range l.owed {
			if until <= now {
				delete(l.owed, other)
			}
		}
	}
	old, has := l.owed[ip]
	until := max(old, now) + cost
	if debt = until - now; debt <= most && (has || len(l.owed) < maxLedger) {
		if l.owed == nil {
			l.owed = make(map[netip.Addr]time.Duration)
		}
		l.owed[ip] = until
	}
	return debt
}
