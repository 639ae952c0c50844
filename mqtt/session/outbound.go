package session

import (
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Publish sends a message. At QoS 0 it is encoded into the output at once. At
// QoS 1 and 2 it is stored in the session under the next packet identifier, is
// written as soon as the peer's Receive Maximum allows, and is reported by one
// Done event with tag; that also works without a connection. p.PacketID and
// p.Dup are ignored. p is not kept.
func (c *Conn) Publish(p *packet.Publish, tag uint64) error {
	if p.QoS > 2 {
		return packet.ErrQoS
	}
	if p.QoS > c.peer.MaximumQoS {
		return ErrQoS
	}
	if p.Retain && !c.peer.RetainAvailable {
		return ErrRetain
	}
	if len(p.Properties) > 0 {
		if _, has := p.Properties.Uint(packet.TopicAlias); has {
			return ErrAlias
		}
	}
	var q packet.Publish // a composite literal would be copied
	q.QoS, q.Retain, q.Topic, q.Properties, q.Payload = p.QoS, p.Retain, p.Topic, p.Properties, p.Payload
	if q.QoS == 0 {
		if c.phase != up {
			return ErrNotUp
		}
		if n := q.Size(c.version); n > c.peer.MaximumPacketSize {
			return &TooLarge{n, c.peer.MaximumPacketSize}
		}
		if c.cfg.SendAliases > 0 {
			return c.appendAliased(&q)
		}
		out, err := q.AppendTo(c.out, c.version)
		if err == nil {
			c.out = out
		}
		return err
	}
	s := c.s
	if s == nil {
		return ErrNotUp
	}
	size := q.Size(c.version)
	if size > c.peer.MaximumPacketSize {
		return &TooLarge{size, c.peer.MaximumPacketSize}
	}
	if q.QoS == 2 && s.open2 >= c.cfg.QoS2Window {
		return ErrQuota
	}
	if s.open >= c.cfg.SendWindow || s.span() >= maxSpan || len(s.log) > 0 && len(s.log)+size > c.cfg.SendBytes {
		return ErrQuota
	}
	state := slotPuback
	if q.QoS == 2 {
		state = slotPubrec
	}
	sl := s.push(tag, state)
	q.PacketID = sl.id
	log, err := q.AppendTo(slices.Grow(s.log, size), c.version)
	if err != nil {
		s.unpush()
		return err
	}
	sl.size = uint32(len(log) - len(s.log))
	s.log = log
	s.opened(state)
	s.changed(ChangeSent, sl.id, tag, s.bytes(sl))
	if c.phase == up {
		c.pump(false)
	}
	return nil
}

// CanPublish reports whether Publish at QoS 1 or 2 would accept a message of size
// bytes now.
func (c *Conn) CanPublish(size int) bool {
	s := c.s
	return s != nil && s.open < c.cfg.SendWindow && s.span() < maxSpan && (len(s.log) == 0 || len(s.log)+size <= c.cfg.SendBytes)
}

// pump writes the slots from the cursor on, as far as the window and the peer's
// Receive Maximum allow: new publishes for the first time, and after a resume
// those of earlier connections with DUP, and PUBREL (MQTT-4.4.0-1,
// MQTT-3.3.4-9). late is false for a message that Publish has added just now.
func (c *Conn) pump(late bool) {
	s := c.s
	if int32(c.cursor-s.head) < 0 {
		c.cursor = s.head
	}
	for ; c.cursor != s.tail; c.cursor++ {
		if c.held && c.cursor-s.head >= c.most {
			return
		}
		sl := s.at(c.cursor)
		switch sl.state {
		case slotPuback, slotPubrec:
			if late && c.cfg.Due != nil && !c.cfg.Due(sl.tag, c.version, s.bytes(sl), sl.sent) {
				s.finish(sl)
				continue
			}
			if c.sent >= min(int(c.peer.ReceiveMaximum), c.cfg.SendWindow) {
				return
			}
			c.sent++
			sl.counted = true
			c.write(sl)
		case slotPubcomp:
			c.out = packet.AppendAck(c.out, packet.PUBREL, sl.id)
		}
	}
}

// Hold restricts PUBLISH and PUBREL to the most oldest unfinished packets,
// where 0 means none; a negative number removes the restriction. It is for a
// driver that looks for the packet at which the peer ends its connections. It
// applies to this connection, and may be called before Resume.
func (c *Conn) Hold(most int) {
	held, before := c.held, c.most
	c.held, c.most = most >= 0, uint32(max(most, 0))
	if more := held && (!c.held || c.most > before); more && c.phase == up {
		c.pump(true)
	}
}

// Outstanding is a message that was sent on a connection and is not completely
// acknowledged.
type Outstanding struct {
	Tag      uint64
	Serial   uint32 // stays the same if the packet identifier changes
	Released bool   // PUBREL was sent, waiting for PUBCOMP
	Publish  []byte // the encoded packet, a view; empty if only its identifier was restored
}

// Oldest returns the oldest message that was sent on this connection and is not
// completely acknowledged, and how many of them there are. It may be called
// after the connection is over.
func (c *Conn) Oldest() (o Outstanding, n int) {
	s := c.s
	if s == nil {
		return o, 0
	}
	for at := s.head; int32(at-c.cursor) < 0; at++ {
		sl := s.at(at)
		if sl.state < slotPuback || sl.state > slotPubcomp {
			continue
		}
		if n++; n == 1 {
			o = Outstanding{Tag: sl.tag, Serial: sl.serial, Released: sl.state == slotPubcomp, Publish: s.bytes(sl)}
		}
	}
	return o, n
}

// write copies a slot's PUBLISH into the output.
func (c *Conn) write(sl *slot) {
	b := c.s.bytes(sl)
	if sl.sent || c.cfg.SendAliases == 0 || c.peer.TopicAliasMaximum == 0 {
		at := len(c.out)
		c.out = append(c.out, b...)
		if sl.sent {
			c.out[at] |= 8
		}
		sl.sent = true
		return
	}
	sl.sent = true
	f, _, err := packet.Split(b, c.version, 0)
	if err == nil {
		resent := &c.aliases().resent
		if err = resent.Parse(f, c.version); err == nil {
			err = c.appendAliased(resent)
		}
	}
	if err != nil { // our own encoding cannot be decoded: send it unchanged
		c.out = append(c.out, b...)
	}
}

// aliasSize is the size of a topic alias as a property, in bytes.
const aliasSize = 3

// appendAliased appends p with a topic alias if its topic has one or one can be
// assigned (section 3.3.2.3.4). Aliases are assigned to the first topics used.
func (c *Conn) appendAliased(p *packet.Publish) error {
	limit := int(min(c.cfg.SendAliases, c.peer.TopicAliasMaximum))
	a := c.aliases()
	alias, known := a.out[string(p.Topic)]
	if !known {
		// A server, which uses aliases unasked, uses them only if they save
		// bytes.
		if len(a.out) >= limit || c.server && len(p.Topic) <= aliasSize {
			out, err := p.AppendTo(c.out, c.version)
			if err == nil {
				c.out = out
			}
			return err
		}
		alias = uint16(len(a.out) + 1)
	}
	q := *p
	props, err := append(a.scratch[:0], p.Properties...).AppendUint(packet.TopicAlias, uint32(alias))
	if err != nil {
		return err
	}
	a.scratch, q.Properties = props[:0], props
	if known {
		q.Topic = nil
	}
	if q.Size(c.version) > c.peer.MaximumPacketSize {
		q = *p // the alias, which is longer than a short topic, does not fit
	}
	out, err := q.AppendTo(c.out, c.version)
	if err != nil {
		return err
	}
	c.out = out
	if !known && len(q.Properties) != len(p.Properties) {
		if a.out == nil {
			a.out = make(map[string]uint16)
		}
		a.out[string(p.Topic)] = alias
	}
	return nil
}

// Subscribe sends a SUBSCRIBE under the next packet identifier; p.PacketID is
// ignored. The answer is reported by one Suback event with tag, or its absence
// by Lost.
func (c *Conn) Subscribe(p *packet.Subscribe, tag uint64) error {
	if err := c.subscribable(p); err != nil {
		return err
	}
	return c.request(p, slotSuback, tag, len(p.Subscriptions), func(id uint16) { p.PacketID = id })
}

// Unsubscribe is Subscribe for UNSUBSCRIBE.
func (c *Conn) Unsubscribe(p *packet.Unsubscribe, tag uint64) error {
	return c.request(p, slotUnsuback, tag, len(p.Filters), func(id uint16) { p.PacketID = id })
}

// subscribable refuses subscriptions that the server said it does not support.
func (c *Conn) subscribable(p *packet.Subscribe) error {
	if !c.peer.SubscriptionIDs {
		if _, has := p.Properties.Uint(packet.SubscriptionIdentifier); has {
			return ErrPeerCan
		}
	}
	if c.peer.Wildcards && c.peer.Shared {
		return nil
	}
	for _, s := range p.Subscriptions {
		shared := len(s.Filter) > 7 && string(s.Filter[:7]) == "$share/"
		wild := false
		for _, b := range s.Filter {
			wild = wild || b == '+' || b == '#'
		}
		if shared && !c.peer.Shared || wild && !c.peer.Wildcards {
			return ErrPeerCan
		}
	}
	return nil
}

func (c *Conn) request(p packet.Packet, state slotState, tag uint64, filters int, setID func(uint16)) error {
	if c.phase != up {
		return ErrNotUp
	}
	if c.s.span() >= maxSpan {
		return ErrQuota
	}
	sl := c.s.push(tag, state)
	setID(sl.id)
	sl.size = uint32(filters)
	err := c.put(p)
	if err != nil {
		c.s.unpush()
	}
	return err
}

// Suback answers a SUBSCRIBE or UNSUBSCRIBE of the peer. Properties that exceed
// the peer's maximum packet size are omitted (MQTT-3.9.2-1, -2, MQTT-3.11.2-1,
// -2); if the rest is still too large, the error is ErrTooLarge.
func (c *Conn) Suback(p *packet.Suback) error {
	if c.phase != up {
		return ErrNotUp
	}
	bare := *p
	bare.Properties = nil
	if c.put(p) == nil || c.put(&bare) == nil {
		return nil
	}
	return ErrTooLarge
}

// Auth sends an AUTH packet, also before the connection is up. The peer's
// maximum packet size is known only after that (MQTT-3.2.2-15).
func (c *Conn) Auth(p *packet.Auth) error {
	if c.phase == closed || c.phase == idle {
		return ErrNotUp
	}
	return c.put(p)
}

// Ping sends a PINGREQ. A Pong event reports the answer.
func (c *Conn) Ping(now time.Duration) error {
	if c.phase != up {
		return ErrNotUp
	}
	err := c.put(&packet.Ping{Type: packet.PINGREQ})
	c.pinging, c.pingAt, c.pingOut = true, now, len(c.out)
	return err
}

// PingTime returns when the last PINGREQ was sent.
func (c *Conn) PingTime() time.Duration { return c.pingAt }

// Disconnect sends DISCONNECT, which a client may do before CONNACK; nothing
// may be sent after it. Properties that the version or the peer's maximum
// packet size forbids are omitted, and so is a session expiry interval after
// one of 0 in CONNECT (section 3.14.2.2.2), for which the server would publish
// the will. Before 5.0 a server has no DISCONNECT, and nothing is appended.
func (c *Conn) Disconnect(p *packet.Disconnect) {
	if c.phase != up && c.phase != accepted && c.phase != connecting {
		return
	}
	if !c.server || c.version >= packet.V5 {
		full := *p
		if c.brief && !c.server {
			full.Properties = p.Properties.Without(nil, packet.SessionExpiryInterval)
		}
		for _, q := range [...]packet.Disconnect{full, {Reason: p.Reason}} {
			if c.put(&q) == nil {
				break
			}
		}
	}
	c.phase = closed
}
