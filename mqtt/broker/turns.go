package broker

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// turns has those wait who want to do something that costs much, as judging a
// password does. Addresses take turns, and of one address the user names do: who
// asks again and again waits for nobody but itself. The queue is bounded; what
// goes beyond is the newest of the longest line.
type turns struct {
	mu      sync.Mutex
	free    int     // places that nobody has
	waiting int     // tickets in lines
	lines   []*line // of addresses, the next first
}

// line is the tickets of one address, and in it of one user name.
type line struct {
	key   string
	names []*line   // of an address, the next first
	queue []*ticket // of a user name
	n     int       // tickets
}

// ticket is one that waits.
type ticket struct {
	addr, name *line
	called     chan struct{} // closed when the wait is over
	mine       bool          // it has its turn; guarded by turns.mu
}

// maxWaiting is how many tickets there are at most.
const maxWaiting = 256

// enter waits for a turn, at most for so long or until gone is closed, and
// tells whether it has come. Who has it calls leave.
func (q *turns) enter(addr, name string, wait time.Duration, gone <-chan struct{}) bool {
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return true
	}
	t := q.add(addr, name)
	if q.waiting > maxWaiting {
		last := q.longest()
		q.drop(last)
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
		q.drop(t)
	}
	return t.mine
}

// leave gives the place to whose turn it is.
func (q *turns) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == 0 {
		q.free++
		return
	}
	a := q.lines[0]
	n := a.names[0]
	t := n.queue[0]
	// Both go behind the others of their kind, if there is more of them.
	q.lines = append(q.lines[1:], a)
	a.names = append(a.names[1:], n)
	q.drop(t)
	t.mine = true
	close(t.called)
}

func (q *turns) add(addr, name string) *ticket {
	a := lineOf(&q.lines, addr)
	n := lineOf(&a.names, name)
	t := &ticket{addr: a, name: n, called: make(chan struct{})}
	n.queue = append(n.queue, t)
	n.n++
	a.n++
	q.waiting++
	return t
}

func lineOf(lines *[]*line, key string) *line {
	if i := slices.IndexFunc(*lines, func(l *line) bool { return l.key == key }); i >= 0 {
		return (*lines)[i]
	}
	l := &line{key: key}
	*lines = append(*lines, l)
	return l
}

// longest is the newest ticket of the user name that has most, of the address
// that has most.
func (q *turns) longest() *ticket {
	most := func(a, b *line) int { return a.n - b.n }
	n := slices.MaxFunc(slices.MaxFunc(q.lines, most).names, most)
	return n.queue[len(n.queue)-1]
}

// drop takes a ticket out of its lines, if it is in them.
func (q *turns) drop(t *ticket) {
	i := slices.Index(t.name.queue, t)
	if i < 0 {
		return
	}
	t.name.queue = slices.Delete(t.name.queue, i, i+1)
	t.name.n--
	t.addr.n--
	q.waiting--
	without := func(lines []*line, l *line) []*line {
		return slices.DeleteFunc(lines, func(x *line) bool { return x == l && l.n == 0 })
	}
	t.addr.names = without(t.addr.names, t.name)
	q.lines = without(q.lines, t.addr)
}

// hostOf is who a client is for limits of one address: its IP address, or of
// IPv6 the prefix that a host has as a whole. The zero value is a client without
// one, as by a Unix socket.
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

// ledger is what addresses owe, as the time until which each has used its rate
// up. It is bounded: who cannot be noted owes nothing.
type ledger struct {
	mu    sync.Mutex
	owed  map[netip.Addr]time.Duration // broker time
	swept time.Duration
}

const maxLedger = 1 << 16

// charge adds to what an address owes, and tells how much that is now. What
// goes beyond most is not added.
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
