package broker

import (
	heaps "container/heap"
	"container/list"
	"net/netip"
)

// absentees holds the sessions without a connection, by the address of their last
// connection. The address that has left most behind makes room first, so that no
// address crowds out the others. Broker.mu guards it.
type absentees struct {
	hosts []*host // a heap; the one that makes room first is at the top
	by    map[netip.Addr]*host
	last  uint64
}

// host is an address with absent sessions.
type host struct {
	ip       netip.Addr // the zero value stands for all clients without an address
	sessions list.List  // longest absent first
	place    int        // in hosts
}

// absence is a session's place among the absentees.
type absence struct {
	of      *host // nil while connected
	element *list.Element
	number  uint64 // the higher, the later
}

// add adds a session that has lost its connection from ip.
func (a *absentees) add(cl *client, ip netip.Addr) {
	h := a.by[ip]
	a.last++
	cl.away = absence{of: h, number: a.last}
	if h != nil {
		cl.away.element = h.sessions.PushBack(cl)
		heaps.Fix(a, h.place)
		return
	}
	if a.by == nil {
		a.by = make(map[netip.Addr]*host)
	}
	h = &host{ip: ip}
	a.by[ip], cl.away.of, cl.away.element = h, h, h.sessions.PushBack(cl)
	heaps.Push(a, h)
}

// remove removes a session that is connected again, or ends.
func (a *absentees) remove(cl *client) {
	h := cl.away.of
	if h == nil {
		return
	}
	h.sessions.Remove(cl.away.element)
	cl.away = absence{}
	if h.sessions.Len() > 0 {
		heaps.Fix(a, h.place)
		return
	}
	heaps.Remove(a, h.place)
	delete(a.by, h.ip)
}

// first returns the session that must make room: of the address with most sessions, the
// one that has been absent for longest. It returns nil if there is none.
func (a *absentees) first() *client {
	if len(a.hosts) == 0 {
		return nil
	}
	return a.hosts[0].first()
}

func (h *host) first() *client { return h.sessions.Front().Value.(*client) }

// The methods of heap.Interface.

func (a *absentees) Len() int { return len(a.hosts) }

func (a *absentees) Less(i, j int) bool {
	x, y := a.hosts[i], a.hosts[j]
	if n := x.sessions.Len() - y.sessions.Len(); n != 0 {
		return n > 0
	}
	return x.first().away.number < y.first().away.number
}

func (a *absentees) Swap(i, j int) {
	a.hosts[i], a.hosts[j] = a.hosts[j], a.hosts[i]
	a.hosts[i].place, a.hosts[j].place = i, j
}

func (a *absentees) Push(x any) {
	h := x.(*host)
	h.place = len(a.hosts)
	a.hosts = append(a.hosts, h)
}

func (a *absentees) Pop() any {
	n := len(a.hosts) - 1
	h := a.hosts[n]
	a.hosts[n] = nil
	a.hosts = a.hosts[:n]
	return h
}
