package broker

import (
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// orphan is a message of a shared subscription whose member's session has ended before
// it took the message.
type orphan struct {
	m     *message
	share uint64
}

// orphanLocked collects the messages of shared subscriptions that a session leaves
// behind: those whose delivery has not begun, and those at QoS 1 that are
// unacknowledged. A QoS 2 delivery that has begun ends with the session (MQTT-4.8.2-5),
// and so does a message that the client has refused (MQTT-4.8.2-6), which is in no
// session any more. Broker.mu and cl.mu must be held.
func (b *Broker) orphanLocked(cl *client) {
	if len(b.shares) == 0 {
		return
	}
	now := b.now()
	cl.sess.Range(func(_ uint16, tag uint64, publish []byte) bool {
		if share := shareOf(tag); share != 0 && publish != nil && publish[0]&6 == 2 {
			if m := decode(publish, cl.version, tag, now); m != nil {
				m.props = m.props.Without(nil, packet.SubscriptionIdentifier)
				b.orphans = append(b.orphans, orphan{m, share})
			}
		}
		return true
	})
	for n := range cl.queue.n {
		if e := &cl.queue.ring[(cl.queue.head+n)%len(cl.queue.ring)]; e.share != 0 {
			b.orphans = append(b.orphans, orphan{e.m, e.share})
		}
	}
}

// adoptLocked gives orphans to other members of their shared subscriptions, if there
// are any. Broker.mu must be held and no client.mu.
func (b *Broker) adoptLocked(now time.Duration) {
	if len(b.orphans) == 0 {
		return
	}
	for _, o := range b.orphans {
		g := b.sharesBy[o.share]
		if g == nil {
			continue
		}
		cl, s := g.pick()
		e := pending{m: o.m, qos: min(o.m.qos, s.options.QoS()), retain: o.m.retain && s.options&packet.RetainAsPublished != 0, share: o.share}
		if s.id != 0 {
			e.ids = []uint32{s.id}
		}
		cl.mu.Lock()
		switch {
		case o.m.expired(now):
			b.stats.dropped.Add(1)
		case !cl.onlineLocked() && e.qos == 0:
		case !cl.onlineLocked() && cl.excessLocked(o.m) != "":
			cl.dropLocked(string(o.m.topic), cl.excessLocked(o.m))
		case cl.queue.bytes >= 4*cl.queueBytes():
			cl.dropLocked(string(o.m.topic), "its queue is full")
		default:
			cl.queue.push(e)
			cl.pumpLocked(now)
			if cl.conn != nil {
				cl.conn.startWriterLocked()
			}
		}
		cl.mu.Unlock()
	}
	b.orphans = nil
}
