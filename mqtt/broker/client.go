package broker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// client is a session: what the broker knows about a client ID, connected or not.
type client struct {
	b  *Broker
	id string

	// Guarded by Broker.mu.
	subs map[string]subscription // by whole filter
	most int                     // most subscriptions that subs has had at once
	away absence                 // its place in Broker.away

	// Guarded by Broker.waitMu.
	waitsFor *client // whose queue this client's reader waits for
	waiting  *conn   // that reader's connection

	written atomic.Uint64 // bytes that the network has taken: a sign of progress

	// mu guards the rest, and the engine of the connection. Methods of client and conn
	// whose names end in Locked must be called with mu held.
	mu       sync.Mutex
	user     string // of the last connection
	sess     session.Session
	version  packet.Version // in which sess has encoded its messages
	conn     *conn          // nil while absent
	queue    queue
	held     int           // bytes of sess that are counted in Broker.queued
	popped   uint64        // messages that have left the queue: a sign of progress
	waiters  chan struct{} // closed when publishers that wait for room may continue; nil if none waits
	expiry   uint32        // session expiry interval, seconds
	will     *message
	willSize int           // of will, as counted in Broker.queued
	delay    time.Duration // will delay interval
	timer    *time.Timer   // of session expiry or the delayed will
	gone     bool          // the session has ended
	stale    bool          // the rules have changed since the unacknowledged messages were sent
	full     bool          // a drop has been logged since the queue was last below its limit
}

// forever is the session expiry interval that never ends (section 3.1.2.11.2).
const forever = 0xFFFFFFFF

// outSoft is how many bytes wait in a connection's output before messages stay in the
// queue.
const outSoft = 256 << 10

// onlineLocked reports whether messages can be written to the client now.
func (cl *client) onlineLocked() bool {
	return cl.conn != nil && !cl.conn.over && cl.conn.out.mute == nil
}

// queueBytes returns how many bytes may wait for the client: fewer if all queues
// together are full.
func (cl *client) queueBytes() int {
	if cl.b.queuesFull() {
		return cl.b.opts.QueueBytes / 16
	}
	return cl.b.opts.QueueBytes
}

func (b *Broker) queuesFull() bool { return b.queued.Load() >= int64(b.opts.MaxQueuedBytes) }

// crowdedLocked reports whether publishers should wait for the client.
func (cl *client) crowdedLocked() bool {
	return cl.queue.count >= cl.b.opts.QueueMessages || cl.queue.bytes >= cl.queueBytes()
}

// roomyLocked reports whether waiting publishers may continue.
func (cl *client) roomyLocked() bool {
	return !cl.onlineLocked() || cl.queue.count <= cl.b.opts.QueueMessages/2 && cl.queue.bytes <= cl.queueBytes()/2
}

// excessLocked returns why a message may not wait for an absent client, or "" if it
// may. m is nil for a message that is not in any queue yet.
func (cl *client) excessLocked(m *message) string {
	switch {
	case cl.crowdedLocked():
		return "its queue is full"
	case cl.b.queuesFull() && (m == nil || m.queues.Load() == 0):
		return "all queues together are full"
	}
	return ""
}

// roomLocked reports whether the engine may take another message at QoS 1 or 2.
func (cl *client) roomLocked(size int) bool {
	c := cl.conn
	cl.accountLocked()
	if cl.held > heldStep && cl.b.queuesFull() {
		return false
	}
	return cl.sess.Open() < c.window && c.sc.CanPublish(size)
}

// heldStep is the precision with which unacknowledged messages are counted. They are
// copies, and come and go too often to count each.
const heldStep = 16 << 10

// accountLocked counts the unacknowledged messages. cl.mu must be held.
func (cl *client) accountLocked() {
	if d := cl.sess.Held() - cl.held; d >= heldStep || d <= -heldStep || d != 0 && cl.sess.Held() == 0 {
		cl.held += d
		cl.b.queued.Add(int64(d))
	}
}

// offerLocked passes a message to the client: at once if nothing is queued before it,
// otherwise through the queue. It reports whether the publisher should wait before its
// next message. cl.mu must be held.
func (cl *client) offerLocked(r *route, h *hit) (wait bool) {
	p := &r.pub
	qos := min(p.QoS, h.qos)
	c := cl.conn
	if !cl.onlineLocked() {
		if qos == 0 || cl.gone {
			return false // MQTT-3.1.2-5 requires it for QoS 1 and 2 only
		}
		if cl.excessLocked(r.kept) != "" {
			cl.b.stats.dropped.Add(uint64(cl.queue.dropExpired(r.now)))
		}
		if why := cl.excessLocked(r.kept); why != "" {
			cl.dropLocked(string(p.Topic), why)
			return false
		}
		cl.queue.push(pending{m: r.keep(), qos: qos, retain: h.retain, ids: h.keepIDs(), share: h.share})
		return false
	}
	if cl.queue.n == 0 && c.sc.Pending() < outSoft && (qos == 0 || cl.roomLocked(len(p.Payload)+len(p.Topic)+len(p.Properties)+64)) {
		q := packet.Publish{Topic: p.Topic, Payload: p.Payload, QoS: qos, Retain: h.retain}
		q.Properties = c.propertiesLocked(p.Properties, h.ids, 0)
		c.lendLocked()
		if cl.writeLocked(&q, tag(h.share, r.expires)) {
			return false
		}
	}
	if cl.queue.bytes >= 4*cl.queueBytes() { // each message counts its overhead
		if qos == 0 {
			cl.dropLocked(string(p.Topic), "its queue is full")
			return true
		}
		c.kickForLocked(packet.QuotaExceeded, "it does not keep up")
	}
	cl.queue.push(pending{m: r.keep(), qos: qos, retain: h.retain, ids: h.keepIDs(), share: h.share})
	return cl.crowdedLocked()
}

// tooLarge is the reason for dropping a message that exceeds the client's limit.
const tooLarge = "it is larger than the client's maximum packet size"

// writeLocked passes a message to the engine. It returns false if the message with all
// its properties does not fit after all.
func (cl *client) writeLocked(q *packet.Publish, tag uint64) bool {
	switch err := cl.conn.sc.Publish(q, tag); {
	case err == nil:
		cl.b.stats.sent.Add(1)
	case errors.Is(err, session.ErrQuota):
		return false
	case errors.Is(err, session.ErrTooLarge):
		// MQTT-3.1.2-25: act as if it had been sent.
		cl.dropLocked(string(q.Topic), tooLarge)
	default:
		cl.dropLocked(string(q.Topic), err.Error())
	}
	return true
}

// dropLocked counts and logs a message that the client does not get.
func (cl *client) dropLocked(topic, why string) {
	cl.b.stats.dropped.Add(1)
	if cl.full {
		return
	}
	cl.full = true
	cl.b.log(Event{Kind: EventDropped, ClientID: cl.id, Topic: topic, Text: why})
}

// pumpLocked moves messages from the queue to the engine as far as there is room. cl.mu
// must be held.
func (cl *client) pumpLocked(now time.Duration) {
	cl.accountLocked()
	if !cl.onlineLocked() {
		return
	}
	c := cl.conn
	if cl.queue.n > 0 {
		c.lendLocked()
	}
	for cl.queue.n > 0 && c.sc.Pending() < outSoft {
		e := cl.queue.front()
		m := e.m
		if e.qos > 0 && !cl.roomLocked(m.size()) {
			break
		}
		if m.expired(now) {
			cl.b.stats.dropped.Add(1) // MQTT-3.3.2-5
		} else {
			q := packet.Publish{Topic: m.topic, Payload: m.payload, QoS: e.qos, Retain: e.retain}
			left := time.Duration(0)
			if m.expires != 0 {
				left = m.expires - now
			}
			q.Properties = c.propertiesLocked(m.props, e.ids, left)
			if !cl.writeLocked(&q, tag(e.share, m.expires)) {
				break
			}
		}
		cl.queue.pop()
		cl.popped++
		cl.full = false
	}
	if cl.roomyLocked() {
		cl.wakeWaitersLocked()
	}
}

func (cl *client) wakeWaitersLocked() {
	if cl.waiters != nil {
		close(cl.waiters)
		cl.waiters = nil
	}
}

// shrink frees memory that a client without messages keeps for the next ones.
func (cl *client) shrink() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.sess.Shrink()
	if cl.queue.n == 0 {
		cl.queue.ring, cl.queue.head = nil, 0
	}
}

func (cl *client) stopTimerLocked() {
	if cl.timer != nil {
		cl.timer.Stop()
		cl.timer = nil
	}
}

// propertiesLocked returns the PUBLISH properties for this connection: those of the
// publisher (MQTT-3.3.2-4, -15, -17, -18, -20), the subscription identifiers
// (MQTT-3.3.4-3 to -5), and what is left of the message expiry interval (MQTT-3.3.2-6)
// unless left is 0. The result is valid until the next call.
func (c *conn) propertiesLocked(p packet.Properties, ids []uint32, left time.Duration) packet.Properties {
	if c.sc.Version() < packet.V5 {
		return nil
	}
	if len(ids) == 0 && left == 0 {
		return p
	}
	q := c.props[:0]
	if left != 0 {
		q = withExpiry(q, p, left)
	} else {
		q = append(q, p...)
	}
	for _, id := range ids {
		if with, err := q.AppendUint(packet.SubscriptionIdentifier, id); err == nil {
			q = with
		}
	}
	c.props = q[:0]
	return q
}
