package broker

import (
	"fmt"
	"runtime/debug"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// allows calls Authorize where there is no connection to close if it panics. A panic
// then counts as a refusal; without the recovery the locks would stay locked.
func (b *Broker) allows(clientID, username, topic string, write bool) (ok bool) {
	if b.opts.Authorize == nil {
		return true
	}
	defer func() {
		if p := recover(); p != nil {
			b.log(Event{Kind: EventPanic, ClientID: clientID, Topic: topic, Text: fmt.Sprintf("%v\n%s", p, debug.Stack())})
			ok = false
		}
	}()
	return b.opts.Authorize(clientID, username, topic, write)
}

// Recheck calls Authorize again for all that it has allowed. It is meant for when its
// answers have changed. A subscription that is no longer allowed ends, and with it the
// connection, so that the client learns of it. Messages that wait for a client that may
// no longer read their topic are dropped, and so are unacknowledged ones before they
// would be resent. admit, if not nil, is called for each connection; one that it does
// not admit is closed as well. All are closed with reason 0x87, not authorized. A
// CONNECT that is being checked is checked again. admit must not call the broker.
func (b *Broker) Recheck(admit func(clientID, username string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if admit != nil {
		b.rules.Add(1)
	}
	for _, cl := range b.sessions {
		cl.mu.Lock()
		ok := b.recheckLocked(cl, cl.user)
		if cl.conn != nil && (!ok || admit != nil && !admit(cl.id, cl.conn.username)) {
			cl.conn.kickForLocked(packet.NotAuthorized, "the rules have changed")
			b.recheckLocked(cl, cl.user) // unacknowledged messages
		}
		// those of a connected client are sent already, and are checked before they
		// would be resent
		cl.stale = cl.onlineLocked()
		cl.mu.Unlock()
	}
}

// recheckLocked removes what a session may no longer have. It returns false if that
// included a subscription. Broker.mu and cl.mu must be held.
func (b *Broker) recheckLocked(cl *client, username string) (ok bool) {
	if b.opts.Authorize == nil {
		return true
	}
	ok = true
	for filter := range cl.subs {
		if _, inner, _ := topic.ParseShare(filter); !b.allows(cl.id, username, inner, false) {
			b.removeLocked(cl, filter)
			ok = false
		}
	}
	allowed := func(topic []byte) bool { return b.allows(cl.id, username, string(topic), false) }
	removed := 0
	if !cl.onlineLocked() {
		removed = cl.sess.DropIf(func(publish []byte) bool { return !allowed(topicOf(publish, cl.version)) })
		cl.accountLocked()
	}
	removed += cl.queue.keep(func(p *pending) bool { return allowed(p.m.topic) })
	b.stats.dropped.Add(uint64(removed))
	return ok
}
