package broker

import "github.com/mqtools/mqtools/mqtt/packet"

// Recheck asks Authorize again about all that it has allowed, for when its
// answers have changed. A subscription that is no longer allowed ends, and
// with it the connection, so that the client learns of it; messages that wait
// for a client that may no longer read their topic are dropped. admit, unless
// nil, is asked about each connection, and one that it does not admit ends
// too. They end with reason 0x87, not authorized. Admit must not call the
// broker.
func (b *Broker) Recheck(admit func(clientID, username string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cl := range b.sessions {
		cl.mu.Lock()
		ok := b.recheck(cl, cl.user)
		if cl.conn != nil && (!ok || admit != nil && !admit(cl.id, cl.conn.username)) {
			cl.conn.kickFor(packet.NotAuthorized, "the rules have changed")
		}
		cl.mu.Unlock()
	}
}

// recheck removes what a session may no longer have; false if there was such
// a subscription. Broker.mu and cl.mu are held.
func (b *Broker) recheck(cl *client, username string) (ok bool) {
	if b.opts.Authorize == nil {
		return true
	}
	ok = true
	for filter := range cl.subs {
		if !b.mayRead(cl.id, username, filter) {
			b.remove(cl, filter)
			ok = false
		}
	}
	for range cl.queue.n {
		p := *cl.queue.front()
		cl.queue.pop()
		if b.opts.Authorize(cl.id, username, string(p.m.topic), false) {
			cl.queue.push(p)
		} else {
			b.stats.dropped.Add(1)
		}
	}
	return ok
}
