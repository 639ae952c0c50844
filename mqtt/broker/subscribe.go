package broker

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// subscriber is a key of the subscription trie: a client or a shared group.
type subscriber struct {
	cl    *client
	share *share
}

// subscription is one client's subscription to one filter.
type subscription struct {
	options packet.SubscribeOptions
	id      uint32 // subscription identifier; 0 for none
}

// share is a group of clients with a shared subscription (section 4.8.2). Broker.mu
// guards its members.
type share struct {
	inner   string
	number  uint64 // from 1; 32 bits
	members []member

	mu   sync.Mutex // for pick, which may be called concurrently with Broker.mu read-locked
	next int
}

type member struct {
	cl *client
	s  subscription
}

// pick chooses the member for the next message: in turn among those that are connected
// and not crowded, otherwise among those connected, otherwise among all.
func (g *share) pick() (*client, subscription) {
	g.mu.Lock()
	defer g.mu.Unlock()
	best, rank := -1, 0
	for i := range g.members {
		n := (g.next + i) % len(g.members)
		cl := g.members[n].cl
		cl.mu.Lock()
		k := 1
		if cl.onlineLocked() {
			k = 2
			if !cl.crowdedLocked() {
				k = 3
			}
		}
		cl.mu.Unlock()
		if k > rank {
			best, rank = n, k
		}
		if k == 3 {
			break
		}
	}
	g.next = (best + 1) % len(g.members)
	m := &g.members[best]
	return m.cl, m.s
}

// subscribeLocked handles SUBSCRIBE. cl.mu must be held; it is released during the
// call.
func (c *conn) subscribeLocked(cl *client, p *packet.Subscribe, now time.Duration) {
	b := c.b
	cl.mu.Unlock()
	defer cl.mu.Lock()
	// Held to the end, so that no live message overtakes SUBACK or a retained message.
	b.mu.Lock()
	defer b.mu.Unlock()
	cl.mu.Lock()
	gone := cl.gone
	cl.mu.Unlock()
	if gone { // taken over; the subscriptions would never be removed
		return
	}
	id, _ := p.Properties.Uint(packet.SubscriptionIdentifier)
	ack := packet.Suback{Type: packet.SUBACK, PacketID: p.PacketID, Codes: make([]byte, len(p.Subscriptions))}
	type send struct {
		filter string
		s      subscription
	}
	var sends []send
	var words string
	crammed := b.opts.crammed(p.Properties)
	if crammed {
		words = "too many user properties"
	}
	for i := range p.Subscriptions {
		sub := &p.Subscriptions[i]
		filter := string(sub.Filter)
		s := subscription{sub.Options, id}
		_, again := cl.subs[filter]
		reason := packet.QuotaExceeded
		if !crammed {
			reason = b.addLocked(c, cl, filter, s, again)
		}
		if reason.Failed() && words == "" {
			words = refusedFilter(filter, reason)
		}
		ack.Codes[i] = byte(reason)
		b.log(Event{Kind: EventSubscribed, ClientID: cl.id, Topic: filter, Reason: reason})
		if reason.Failed() {
			continue
		}
		if _, _, shared := topic.ParseShare(filter); shared {
			continue // MQTT-4.8.2: no retained messages
		}
		if h := sub.Options.RetainHandling(); h == 0 || h == 1 && !again { // MQTT-3.3.1-9 to -11
			// Once for each filter, however often the packet has it.
			at := slices.IndexFunc(sends, func(x send) bool { return x.filter == filter })
			if at < 0 {
				at = len(sends)
				sends = append(sends, send{})
			}
			sends[at] = send{filter, s}
		}
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if !c.over {
		ack.Properties = c.explain(words)
		c.subackLocked(&ack)
		for _, s := range sends {
			b.retainedOfLocked(s.filter, func(m *message) {
				if m.expired(now) || s.s.options&packet.NoLocal != 0 && m.from != nil && m.from.id == cl.id { // MQTT-3.8.3-3
					return
				}
				e := pending{m: m, qos: min(m.qos, s.s.options.QoS()), retain: true, exempt: true} // MQTT-3.3.1-8
				if s.s.id != 0 {
					e.ids = []uint32{s.s.id}
				}
				if cl.queue.n-cl.queue.count < b.opts.MaxRetained && (cl.queue.n < b.opts.QueueMessages || !b.queuesFull()) {
					cl.queue.push(e)
				} else {
					c.kickForLocked(packet.QuotaExceeded, "it subscribes faster than it reads the retained messages")
				}
			})
		}
		cl.pumpLocked(now)
	}
}

// subackLocked answers a request. A client that cannot take the answer is disconnected
// (MQTT-3.1.2-24). client.mu must be held.
func (c *conn) subackLocked(p *packet.Suback) {
	if errors.Is(c.sc.Suback(p), session.ErrTooLarge) {
		c.kickLocked(packet.PacketTooLarge)
	}
}

// wellFormed returns an error for a packet with an invalid topic filter. Such a packet
// is malformed and ends the connection (MQTT-4.8.0-1 of 3.1.1, MQTT-4.13.1-1 of 5.0):
// 0x8F is for filters that are correctly formed but not accepted. Share names exist
// only in 5.0. Before that, $share/g is a filter like any other, which is refused since
// it has no meaning here.
func (c *conn) wellFormed(t packet.Type, filter []byte) error {
	err := topic.ValidateFilterBytes(filter)
	if err == nil {
		return nil
	}
	if c.sc.Version() < packet.V5 && len(filter) > 0 && topic.ValidateFilterBytes(filter[1:]) == nil && filter[0] == '$' {
		return nil
	}
	bad := packet.Error{Type: t, Reason: packet.MalformedPacket, Text: err.Error(), Offset: -1}
	if te := (*topic.Error)(nil); errors.As(err, &te) {
		bad.Rule, bad.Text = te.Rule, "topic filter "+topic.Quote(te.Topic)+": "+te.Reason
	}
	return &bad
}

// refusedFilter returns the text for a refused filter.
func refusedFilter(filter string, reason packet.ReasonCode) string {
	switch reason {
	case packet.TopicFilterInvalid:
		return strconv.Quote(filter) + " is longer than this server's topic filters"
	case packet.NotAuthorized:
		return "the client may not subscribe to " + strconv.Quote(filter)
	}
	return strconv.Quote(filter) + ": " + reason.String()
}

// addLocked adds or replaces a subscription. Broker.mu must be held.
func (b *Broker) addLocked(c *conn, cl *client, filter string, s subscription, again bool) packet.ReasonCode {
	o := &b.opts
	if topic.ValidateFilter(filter) != nil || len(filter) > o.MaxTopicBytes {
		return packet.TopicFilterInvalid
	}
	_, inner, shared := topic.ParseShare(filter)
	switch {
	case shared && o.DisableSharedGroups:
		return packet.SharedSubscriptionsNotSupported
	case o.DisableWildcards && strings.ContainsAny(inner, "+#"):
		return packet.WildcardSubscriptionsNotSupported
	case o.DisableSubscriptionIDs && s.id != 0:
		return packet.SubscriptionIdentifiersNotSupported
	}
	if o.Authorize != nil && !o.Authorize(cl.id, c.username, inner, false) { // not the group
		return packet.NotAuthorized
	}
	if !again && len(cl.subs) >= o.MaxSubscriptions {
		return packet.QuotaExceeded
	}
	if o.LimitQoS && s.options.QoS() > o.MaximumQoS {
		s.options = s.options&^3 | packet.SubscribeOptions(o.MaximumQoS)
	}
	if shared {
		g := b.shares[filter]
		if g == nil {
			b.lastShare++
			g = &share{inner: inner, number: uint64(b.lastShare)}
			if _, err := b.subs.Insert(inner, subscriber{share: g}, subscription{}); err != nil {
				return packet.TopicFilterInvalid
			}
			b.shares[filter], b.sharesBy[g.number] = g, g
		}
		if i := slices.IndexFunc(g.members, func(m member) bool { return m.cl == cl }); i >= 0 {
			g.members[i].s = s
		} else {
			g.members = append(g.members, member{cl, s})
		}
	} else if _, err := b.subs.Insert(filter, subscriber{cl: cl}, s); err != nil {
		return packet.TopicFilterInvalid
	}
	cl.subs[filter] = s
	cl.most = max(cl.most, len(cl.subs))
	if !again {
		b.countedLocked(filter, 1)
		if b.subscriptionBytesLocked() > o.MaxSubscriptionBytes {
			b.removeLocked(cl, filter) // its memory depends on what is stored already
			return packet.QuotaExceeded
		}
	}
	return packet.ReasonCode(s.options.QoS())
}

// removeLocked ends a subscription. Broker.mu must be held.
func (b *Broker) removeLocked(cl *client, filter string) bool {
	if _, has := cl.subs[filter]; !has {
		return false
	}
	delete(cl.subs, filter)
	if cl.most > 64 && len(cl.subs) < cl.most/4 { // otherwise the map would keep its greatest size
		cl.subs, cl.most = maps.Clone(cl.subs), len(cl.subs)
	}
	b.countedLocked(filter, -1)
	g := b.shares[filter]
	if g == nil {
		b.subs.Remove(filter, subscriber{cl: cl})
		return true
	}
	g.members = slices.DeleteFunc(g.members, func(m member) bool { return m.cl == cl })
	if cap(g.members) > 64 && len(g.members) < cap(g.members)/4 {
		g.members = slices.Clone(g.members)
	}
	if len(g.members) == 0 {
		b.subs.Remove(g.inner, subscriber{share: g})
		delete(b.shares, filter)
		delete(b.sharesBy, g.number)
	}
	return true
}

// unsubscribeLocked handles UNSUBSCRIBE. cl.mu must be held; it is released during the
// call.
func (c *conn) unsubscribeLocked(cl *client, p *packet.Unsubscribe) {
	ack := packet.Suback{Type: packet.UNSUBACK, PacketID: p.PacketID, Codes: make([]byte, len(p.Filters))}
	c.removeAllLocked(cl, p, &ack)
	if !c.over {
		c.subackLocked(&ack)
	}
}

func (c *conn) removeAllLocked(cl *client, p *packet.Unsubscribe, ack *packet.Suback) {
	b := c.b
	cl.mu.Unlock()
	defer cl.mu.Lock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range p.Filters {
		if topic.ValidateFilterBytes(f) != nil {
			ack.Codes[i] = byte(packet.TopicFilterInvalid)
		} else if !b.removeLocked(cl, string(f)) {
			ack.Codes[i] = byte(packet.NoSubscriptionExisted)
		}
	}
}
