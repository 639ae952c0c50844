package broker

import (
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// route is the way of one message to its subscribers. It is reused.
type route struct {
	pub     packet.Publish // a view
	from    *client
	now     time.Duration
	expires time.Duration // 0 for never
	kept    *message      // the copy, made when the first subscriber needs one
	hits    []hit
	at      map[*client]int // index into hits; used if there are many
	wait    []*client       // subscribers that the publisher must wait for now
	late    *client         // one that it must wait for after the messages of this read
}

// hit is a client that gets the message.
type hit struct {
	cl     *client
	qos    packet.QoS
	retain bool
	share  uint64   // number of a shared subscription, which delivers the message separately; 0 for none
	ids    []uint32 // subscription identifiers; reused
}

func (h *hit) keepIDs() []uint32 {
	if len(h.ids) == 0 {
		return nil
	}
	return slices.Clone(h.ids)
}

// keep returns the message in a form that outlives the call.
func (r *route) keep() *message {
	if r.kept == nil {
		r.kept = keep(&r.pub, r.from, r.now)
	}
	return r.kept
}

// publishLocked handles an inbound PUBLISH and acknowledges it. It reports whether that
// took noticeable time. cl.mu must be held; it is released during the call.
func (c *conn) publishLocked(cl *client, p *packet.Publish, now time.Duration) (slow bool) {
	b := c.b
	b.stats.received.Add(1)
	qos, id := p.QoS, p.PacketID
	if c.sc.Reused > 0 && !c.reused {
		c.reused = true
		b.log(Event{Kind: EventReused, ClientID: cl.id, Remote: c.remote, Topic: string(p.Topic)})
	}
	c.handling = true
	reason, words := c.deliverLocked(cl, p, now)
	c.handling = false
	if reason.Failed() {
		b.log(Event{Kind: EventNotPublished, ClientID: cl.id, Remote: c.remote, Topic: string(p.Topic), Reason: reason, Text: words})
	}
	if c.mustWait() {
		slow = true
		c.startTouchedLocked()
		c.flushLocked() // so that the acknowledgements of earlier messages do not wait too
		c.waitAllLocked(cl)
		c.sc.Heard(b.now())
	}
	switch {
	case !c.over:
		c.sc.AckWith(qos, id, reason, c.explain(words))
	case qos == 2 && cl.conn != nil: // taken over during the wait
		cl.conn.sc.AckLate(qos, id)
		cl.conn.startWriterLocked()
	case qos == 2:
		c.sc.AckLate(qos, id)
	}
	return slow
}

// waitAllLocked waits for crowded subscribers. cl.mu must be held; it is released
// during the call.
func (c *conn) waitAllLocked(cl *client) {
	cl.mu.Unlock()
	defer cl.mu.Lock()
	c.park()
	for i, other := range c.route.wait {
		c.wait(other)
		c.route.wait[i] = nil
	}
	c.route.wait = c.route.wait[:0]
}

// crowds notes that a subscriber has more queued than it should.
func (r *route) crowds(cl *client) {
	if cl.queue.bytes < cl.b.opts.QueueBytes && (r.late == nil || r.late == cl) {
		r.late = cl
	} else {
		r.wait = append(r.wait, cl)
	}
}

// mustWait reports whether the publisher must wait before the message is acknowledged.
// If only one subscriber is crowded, and only by the number of messages, the wait is
// left to the last message of those that came in one read.
func (c *conn) mustWait() bool {
	r := &c.route
	if r.late != nil {
		if _, n, err := packet.Split(c.in[c.r:c.w], c.sc.Version(), 0); n == 0 || err != nil {
			r.wait, r.late = append(r.wait, r.late), nil
		}
	}
	return len(r.wait) > 0
}

// deliverLocked checks a message and sends it to its subscribers. cl.mu must be held;
// it is released during the call.
func (c *conn) deliverLocked(cl *client, p *packet.Publish, now time.Duration) (reason packet.ReasonCode, words string) {
	cl.mu.Unlock()
	defer cl.mu.Lock()
	b, o := c.b, &c.b.opts
	if reason, words := o.check(p.Topic, p.Properties); reason != packet.Success {
		return reason, words
	}
	if o.Authorize != nil && !o.Authorize(cl.id, c.username, string(p.Topic), true) {
		return packet.NotAuthorized, "the client may not publish to this topic"
	}
	r := &c.route
	r.pub, r.from, r.now, r.expires, r.kept = *p, cl, now, expires(p.Properties, now), nil
	if p.Retain {
		b.mu.Lock()
		defer b.mu.Unlock()
		if reason := b.retainLocked(r); reason != packet.Success {
			return reason, "too many retained messages"
		}
	} else {
		b.mu.RLock()
		defer b.mu.RUnlock()
	}
	b.matchLocked(r)
	if len(r.hits) == 0 {
		return packet.NoMatchingSubscribers, ""
	}
	for i := range r.hits {
		h := &r.hits[i]
		to := h.cl
		to.mu.Lock()
		if to.offerLocked(r, h) && to != cl {
			r.crowds(to)
		}
		if oc := to.conn; oc != nil && !oc.out.touched && !oc.out.writing && oc.sc.Pending() > 0 {
			oc.out.touched = true
			c.touched = append(c.touched, to)
		}
		to.mu.Unlock()
	}
	return packet.Success, ""
}

// ownTopic reports whether a topic name belongs to the broker.
func ownTopic(name []byte) bool { return len(name) > 4 && string(name[:5]) == "$SYS/" }

// publishKeptLocked publishes a message that the broker sends itself: a will. Broker.mu
// must be held.
func (b *Broker) publishKeptLocked(m *message, now time.Duration) {
	r := route{from: m.from, now: now, kept: m}
	r.pub = packet.Publish{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: m.retain, Properties: m.props}
	if m.from != nil && !b.allows(m.from.id, m.user, string(m.topic), true) {
		b.notPublished(m, packet.NotAuthorized)
		return
	}
	if m.expires != 0 { // the interval starts when the will is published
		r.kept = keep(&r.pub, m.from, now)
	}
	r.expires = r.kept.expires
	if m.retain && !m.sys {
		if reason := b.retainLocked(&r); reason != packet.Success {
			b.notPublished(m, reason)
			return
		}
	}
	b.matchLocked(&r)
	for i := range r.hits {
		h := &r.hits[i]
		h.cl.mu.Lock()
		h.cl.offerLocked(&r, h)
		if h.cl.conn != nil {
			h.cl.conn.startWriterLocked()
		}
		h.cl.mu.Unlock()
	}
}

// notPublished logs a will that is not published.
func (b *Broker) notPublished(m *message, reason packet.ReasonCode) {
	b.log(Event{Kind: EventNotPublished, ClientID: m.from.id, Topic: string(m.topic), Reason: reason, Text: "its will"})
}

// manyHits is the number from which a client is looked up in a map.
const manyHits = 16

// matchLocked collects the recipients of the message: each client once, with the
// highest QoS and all subscription identifiers of its matching subscriptions (section
// 3.3.4). Broker.mu must be held, at least for reading.
func (b *Broker) matchLocked(r *route) {
	r.hits = r.hits[:0]
	clear(r.at)
	b.subs.MatchBytes(r.pub.Topic, func(key subscriber, s subscription) {
		if s.options&packet.NoLocal != 0 && r.from != nil && key.cl.id == r.from.id {
			return // MQTT-3.8.3-3
		}
		cl := key.cl
		if key.share != nil {
			cl, s = key.share.pick()
		}
		share := uint64(0)
		if key.share != nil {
			share = key.share.number
		}
		retain := r.pub.Retain && s.options&packet.RetainAsPublished != 0 // MQTT-3.3.1-12, -13
		h := r.find(cl)
		if h == nil || key.share != nil {
			n := len(r.hits)
			r.hits = slices.Grow(r.hits, 1)[:n+1]
			h = &r.hits[n]
			h.cl, h.qos, h.retain, h.share, h.ids = cl, s.options.QoS(), retain, share, h.ids[:0]
			if key.share == nil && r.at != nil && n >= manyHits {
				r.at[cl] = n
			}
		} else {
			h.qos = max(h.qos, s.options.QoS())
			h.retain = h.retain || retain
		}
		if s.id != 0 {
			h.ids = append(h.ids, s.id)
		}
	})
}

// find returns a client's earlier hit.
func (r *route) find(cl *client) *hit {
	if len(cl.subs) < 2 { // guarded by Broker.mu, as is the whole search
		return nil
	}
	if len(r.hits) >= manyHits {
		if r.at == nil {
			r.at = make(map[*client]int)
		}
		if i, ok := r.at[cl]; ok {
			return &r.hits[i]
		}
	}
	for i := range min(len(r.hits), manyHits) {
		if r.hits[i].cl == cl && r.hits[i].share == 0 {
			return &r.hits[i]
		}
	}
	return nil
}
