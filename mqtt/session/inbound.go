package session

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strconv"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// inboundState is the state of an inbound QoS 2 message between its PUBLISH and
// its PUBREL.
type inboundState uint8

const (
	inboundAcked   inboundState = 1 << iota // PUBREC was sent, or is due at the next redelivery
	inboundCounted                          // counts against our Receive Maximum on this connection
	inboundAgain                            // came again on this connection before the owner's Ack
)

// inbound is an inbound QoS 2 message, and the earlier messages under the same
// packet identifier that the peer has forgotten but the owner has not
// acknowledged yet. Their Acks come before its own (MQTT-4.6.0-3) and are not
// sent.
type inbound struct {
	state inboundState
	sum   uint32 // checksum of its content
	now   uint16 // earlier messages of this connection, which use slots of our Receive Maximum
	late  uint16 // earlier messages of earlier connections
}

// Next handles the first packet of in and reports it in ev. n is its length. If
// n is 0 and the error is nil, in holds only a part of a packet, and ev.Need is
// the length it must reach. After an error the connection is over: call Fail,
// write the remaining output, and close.
//
// Next may change in: it cuts a topic alias out of a PUBLISH's properties.
func (c *Conn) Next(in []byte, now time.Duration, ev *Event) (n int, err error) {
	ev.Kind, ev.Need = None, 0
	if c.phase != up {
		if err := c.early(in); err != nil {
			return 0, err
		}
	}
	f, n, err := packet.Split(in, c.version, c.limit())
	if err != nil {
		return 0, err
	}
	if n == 0 {
		ev.Need = f.Need
		return 0, nil
	}
	if c.phase != deciding { // an exchange of AUTH packets has one time limit
		c.lastIn = now
	}
	c.pinging = false
	if c.phase == up {
		switch f.Type {
		case packet.PUBLISH:
			return n, c.publish(f, ev)
		case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
			if err := ev.ack.Parse(f, c.version); err != nil {
				return n, err
			}
			return n, c.ack(&ev.ack, ev)
		}
	}
	return n, c.handle(f, ev)
}

// maxEarly is the largest packet, in bytes, that a server accepts from a peer
// before it has accepted its CONNECT. It exceeds the maximum size of a
// CONNECT's strings, and allows a megabyte with their properties.
const maxEarly = 1 << 20

// limit returns the largest packet accepted now, or 0 for the protocol's limit.
func (c *Conn) limit() int {
	if c.server && c.phase != up && (c.cfg.MaxPacket == 0 || c.cfg.MaxPacket > maxEarly) {
		return maxEarly
	}
	return c.cfg.MaxPacket
}

// early checks the first byte on a connection that is not up, before it waits
// for a body of any length (MQTT-3.1.0-1, MQTT-3.2.0-1).
func (c *Conn) early(in []byte) error {
	if len(in) == 0 {
		return nil
	}
	t := packet.Type(in[0] >> 4)
	switch c.phase {
	case opening:
		if in[0] != byte(packet.CONNECT)<<4 {
			return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: "MQTT-3.1.0-1", Text: "the first packet is not CONNECT", Offset: -1}
		}
	case connecting:
		if t != packet.CONNACK && (t != packet.AUTH || c.version < packet.V5) {
			return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: "MQTT-3.2.0-1", Text: "the first packet is not CONNACK", Offset: -1}
		}
	case deciding:
		if c.version < packet.V5 || t != packet.AUTH && t != packet.DISCONNECT {
			return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: "MQTT-3.1.2-30", Text: "before CONNACK", Offset: -1}
		}
	default:
		return ErrNotUp
	}
	return nil
}

func illegal(t packet.Type, rule, text string) error {
	return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: rule, Text: text, Offset: -1}
}

// handle handles all packets except PUBLISH and acknowledgements, which come
// only when the connection is up, and often.
func (c *Conn) handle(f packet.Frame, ev *Event) error {
	if !c.mayReceive(f.Type) {
		return illegal(f.Type, "", "not a packet for "+c.role())
	}
	switch f.Type {
	case packet.CONNECT:
		return c.connect(f, ev)
	case packet.CONNACK:
		return c.connack(f, ev)
	case packet.SUBSCRIBE:
		ev.Kind = Subscribe
		return ev.Subscribe.Parse(f, c.version)
	case packet.UNSUBSCRIBE:
		ev.Kind = Unsubscribe
		return ev.Unsubscribe.Parse(f, c.version)
	case packet.SUBACK, packet.UNSUBACK:
		return c.suback(f, ev)
	case packet.PINGREQ, packet.PINGRESP:
		var p packet.Ping
		if err := p.Parse(f, c.version); err != nil {
			return err
		}
		if f.Type == packet.PINGREQ {
			return c.put(&packet.Ping{Type: packet.PINGRESP})
		}
		ev.Kind = Pong
		return nil
	case packet.DISCONNECT:
		if err := ev.Disconnect.Parse(f, c.version); err != nil {
			return err
		}
		if !c.server && c.version < packet.V5 {
			return illegal(f.Type, "MQTT-3.14.0-1", "a server sends it only in MQTT 5.0")
		}
		if expiry, has := ev.Disconnect.Properties.Uint(packet.SessionExpiryInterval); has && !c.server {
			return illegal(f.Type, "MQTT-3.14.2-2", "a server may not send session-expiry-interval")
		} else if c.brief && expiry != 0 {
			return illegal(f.Type, "MQTT-3.14.2.2.2", "a session expiry interval after one of 0 in CONNECT")
		}
		ev.Kind, c.phase = Disconnect, closed
		return nil
	case packet.AUTH:
		ev.Kind = Auth
		return ev.Auth.Parse(f, c.version)
	}
	return nil
}

func (c *Conn) role() string {
	if c.server {
		return "a server"
	}
	return "a client"
}

// mayReceive implements the direction column of table 2-1.
func (c *Conn) mayReceive(t packet.Type) bool {
	switch t {
	case packet.CONNECT, packet.SUBSCRIBE, packet.UNSUBSCRIBE, packet.PINGREQ:
		return c.server
	case packet.CONNACK, packet.SUBACK, packet.UNSUBACK, packet.PINGRESP:
		return !c.server
	}
	return true
}

func (c *Conn) connect(f packet.Frame, ev *Event) error {
	if c.phase != opening {
		return illegal(f.Type, "MQTT-3.1.0-2", "a second CONNECT")
	}
	p := &ev.Connect
	err := p.Parse(f, 0)
	c.version = p.Version
	if !c.version.Valid() {
		// The client's version is unknown: answer in 5.0 if it is higher than
		// that, else in 3.1.1.
		c.version = packet.V311
		if p.Version > packet.V5 {
			c.version = packet.V5
		}
	}
	if err != nil {
		return err
	}
	c.clean = p.CleanStart
	if c.version < packet.V5 {
		c.cfg.ReceiveMaximum = 65535 // the client cannot announce another
	}
	c.brief = p.Properties.UintOr(packet.SessionExpiryInterval, 0) == 0
	c.limits(p.Properties)
	ev.Kind, c.phase = Connect, deciding
	return nil
}

// limits stores the limits that CONNECT or CONNACK announce.
func (c *Conn) limits(p packet.Properties) {
	for q := range p.All() {
		switch q.ID {
		case packet.ReceiveMaximum:
			c.peer.ReceiveMaximum = uint16(q.Uint)
		case packet.TopicAliasMaximum:
			c.peer.TopicAliasMaximum = uint16(q.Uint)
		case packet.MaximumPacketSize:
			c.peer.MaximumPacketSize = int(min(q.Uint, packet.MaxSize))
		case packet.MaximumQoS:
			c.peer.MaximumQoS = packet.QoS(q.Uint)
		case packet.RetainAvailable:
			c.peer.RetainAvailable = q.Uint != 0
		case packet.WildcardSubscriptionAvailable:
			c.peer.Wildcards = q.Uint != 0
		case packet.SubscriptionIdentifierAvailable:
			c.peer.SubscriptionIDs = q.Uint != 0
		case packet.SharedSubscriptionAvailable:
			c.peer.Shared = q.Uint != 0
		case packet.ServerKeepAlive:
			c.keepAlive = time.Duration(q.Uint) * time.Second
		}
	}
}

func (c *Conn) connack(f packet.Frame, ev *Event) error {
	if c.phase != connecting {
		return illegal(f.Type, "MQTT-3.2.0-2", "a second CONNACK")
	}
	p := &ev.Connack
	if err := p.Parse(f, c.version); err != nil {
		if !acceptsIn311(f, c.version) {
			return err
		}
		words, _ := packet.Properties(nil).AppendBytes(packet.ReasonString, []byte("it answers in the format of MQTT 3.1.1"))
		*p = packet.Connack{Reason: packet.UnsupportedProtocolVersion, Properties: words}
	}
	ev.Kind, ev.Reason, ev.Properties = Connack, p.Reason, p.Properties
	if p.Reason.Failed() {
		c.phase = closed
		return nil
	}
	if p.SessionPresent && c.clean {
		return illegal(f.Type, "MQTT-3.2.2-2", "session present after a clean start")
	}
	c.limits(p.Properties)
	if c.peer.MaximumPacketSize < minPeer {
		return &packet.Error{Type: f.Type, Reason: packet.PacketTooLarge, Rule: "MQTT-3.2.2-15",
			Text: "the server accepts packets of at most " + strconv.Itoa(c.peer.MaximumPacketSize) + " bytes, less than an acknowledgement needs", Offset: -1}
	}
	c.phase = accepted
	if !p.SessionPresent && !(c.version == packet.V31 && !c.clean) {
		c.s.forgotten = true
	}
	return nil
}

// acceptsIn311 reports whether a CONNACK accepts a 5.0 CONNECT in the two bytes
// of 3.1.1: the server has ignored the protocol level, and speaks 3.1.1.
func acceptsIn311(f packet.Frame, v packet.Version) bool {
	return v >= packet.V5 && len(f.Body) == 2 && f.Body[0] <= 1 && f.Body[1] == 0
}

// minPeer is the smallest usable maximum packet size of a peer, in bytes: the
// size of an acknowledgement. A client does not accept a server that allows
// less, because it could neither acknowledge messages nor complete its own. A
// client that allows less than the 5 bytes of CONNACK gets none.
const minPeer = 4

// minReason is the size, in bytes, of an acknowledgement with a reason code.
const minReason = 5

// publish implements the receiver of section 4.3.
func (c *Conn) publish(f packet.Frame, ev *Event) error {
	p := &ev.Publish
	if err := p.Parse(f, c.version); err != nil {
		return err
	}
	ev.TopicAlias = 0
	if len(p.Properties) > 0 {
		if err := c.inboundProperties(p, ev); err != nil {
			return err
		}
	}
	ev.Kind = Publish
	if p.QoS == 0 {
		return nil
	}
	if c.cfg.LimitQoS && p.QoS > c.cfg.MaximumQoS {
		return &packet.Error{Type: f.Type, Reason: packet.QoSNotSupported, Rule: "MQTT-3.2.2-11",
			Text: "QoS " + strconv.Itoa(int(p.QoS)), Offset: -1}
	}
	if p.QoS == 2 {
		m, known := c.s.inbound[p.PacketID]
		sum := contentSum(p)
		if known && (p.Dup || m.state&inboundCounted != 0 && m.sum == sum) {
			ev.Kind = None
			return c.again(p.PacketID, m)
		}
		if known {
			m = c.reused(p.PacketID, m)
		}
		if err := c.takeQuota(); err != nil {
			return err
		}
		if c.s.inbound == nil {
			c.s.inbound = make(map[uint16]inbound)
		}
		m.state, m.sum = inboundCounted, sum
		c.s.inbound[p.PacketID] = m
		return nil
	}
	return c.takeQuota()
}

var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// contentSum returns a checksum that distinguishes copies of a message from
// other messages.
func contentSum(p *packet.Publish) uint32 {
	sum := crc32.Checksum(p.Topic, castagnoli())
	sum = crc32.Update(sum, castagnoli(), p.Properties)
	return crc32.Update(sum, castagnoli(), p.Payload)
}

// again handles a message that was delivered and comes again before its PUBREL
// (MQTT-4.3.3-10), as shown by DUP (MQTT-3.3.1-1) or, on the same connection,
// by identical content.
func (c *Conn) again(id uint16, m inbound) error {
	if m.state&inboundCounted == 0 {
		if err := c.takeQuota(); err != nil {
			return err
		}
		m.state |= inboundCounted
		if m.state&inboundAcked == 0 {
			m.state |= inboundAgain
		}
	}
	if m.state&inboundAcked != 0 {
		c.out = packet.AppendAck(c.out, packet.PUBREC, id)
	}
	c.s.inbound[id] = m
	return nil
}

// reused handles a new message under an identifier whose PUBREL has not come:
// the peer has forgotten the old one. A journal must not treat the new one as
// acknowledged.
func (c *Conn) reused(id uint16, m inbound) inbound {
	c.Reused++
	switch {
	case m.state&inboundAcked != 0:
		c.s.changed(ChangeReleased, id, 0, nil)
		if m.state&inboundCounted != 0 {
			c.waiting--
		}
	case m.state&(inboundCounted|inboundAgain) == inboundCounted:
		m.now++
	default:
		if m.state&inboundCounted != 0 { // for the repetition
			c.waiting--
		}
		m.late = max(m.late, m.late+1)
	}
	delete(c.s.inbound, id) // until the new one has a slot
	return m
}

// takeQuota counts an inbound message against our Receive Maximum
// (MQTT-3.3.4-7, -8), or what is accepted beyond it.
func (c *Conn) takeQuota() error {
	if limit := int(max(c.cfg.ReceiveMaximum, c.cfg.ReceiveLimit)); c.waiting >= limit {
		return &packet.Error{Type: packet.PUBLISH, Reason: packet.ReceiveMaximumExceeded, Rule: "MQTT-3.3.4-7",
			Text: "more than " + strconv.Itoa(limit) + " unacknowledged messages", Offset: -1}
	}
	c.waiting++
	return nil
}

// inboundProperties resolves a topic alias (section 3.3.2.3.4) and refuses
// properties that only a server may send. The alias is cut out of the property
// block in place.
func (c *Conn) inboundProperties(p *packet.Publish, ev *Event) error {
	alias, has := p.Properties.Uint(packet.TopicAlias)
	if has {
		if alias == 0 || alias > uint32(c.cfg.TopicAliasMaximum) {
			return &packet.Error{Type: packet.PUBLISH, Reason: packet.TopicAliasInvalid, Rule: "MQTT-3.3.2-8",
				Text: "topic alias " + strconv.Itoa(int(alias)) + ", maximum " + strconv.Itoa(int(c.cfg.TopicAliasMaximum)), Offset: -1}
		}
		ev.TopicAlias = uint16(alias)
		p.Properties = p.Properties.Without(p.Properties[:0], packet.TopicAlias)
		i, a := int(alias)-1, c.aliases()
		if len(p.Topic) > 0 {
			for len(a.in) <= i {
				a.in = append(a.in, nil)
			}
			if !bytes.Equal(a.in[i], p.Topic) {
				// Use a new slice: messages not yet consumed may view the old
				// one.
				a.in[i] = bytes.Clone(p.Topic)
			}
		} else if i >= len(a.in) || a.in[i] == nil {
			return illegal(packet.PUBLISH, "MQTT-3.3.4-1", "topic alias "+strconv.Itoa(int(alias))+" was never set")
		} else {
			p.Topic = a.in[i]
		}
	}
	if c.server {
		if _, has := p.Properties.Uint(packet.SubscriptionIdentifier); has {
			return illegal(packet.PUBLISH, "MQTT-3.3.4-6", "a subscription identifier from a client")
		}
	}
	return nil
}

// Ack acknowledges a message that Next reported, after the owner has processed
// it: PUBACK at QoS 1, PUBREC at QoS 2, nothing at QoS 0. Messages must be
// acknowledged in the order of their arrival (MQTT-4.6.0-2, -3). A failing
// reason is sent only in 5.0. Once the connection is over, Ack acts as AckLate.
func (c *Conn) Ack(qos packet.QoS, id uint16, reason packet.ReasonCode) {
	c.AckWith(qos, id, reason, nil)
}

// AckWith is Ack with properties for MQTT 5.0, which are omitted if they exceed
// the peer's maximum packet size (MQTT-3.4.2-2, -3, MQTT-3.5.2-2, -3). If the
// failing reason is too large as well, nothing is sent (MQTT-3.2.2-15): the
// message stays unacknowledged, because success would be false.
func (c *Conn) AckWith(qos packet.QoS, id uint16, reason packet.ReasonCode, props packet.Properties) {
	if c.phase != up {
		c.AckLate(qos, id)
		return
	}
	if qos == 0 {
		return
	}
	if c.peer.MaximumPacketSize < minReason {
		if reason.Failed() {
			return
		}
		reason = packet.Success
	}
	t := packet.PUBACK
	if qos == 2 {
		t = packet.PUBREC
		m, known := c.s.inbound[id]
		switch {
		case !known:
			return
		case m.now > 0:
			m.now--
			c.waiting--
			c.s.inbound[id] = m
			return
		case reason.Failed() && c.version >= packet.V5:
			delete(c.s.inbound, id)
			c.waiting--
		default:
			m.state |= inboundAcked
			c.s.inbound[id] = m
			c.s.changed(ChangeArrived, id, 0, nil)
		}
	} else {
		c.waiting--
	}
	if reason == packet.Success || c.version < packet.V5 {
		c.out = packet.AppendAck(c.out, t, id)
		return
	}
	if len(props) == 0 || c.put(&packet.Ack{Type: t, PacketID: id, Reason: reason, Properties: props}) != nil {
		_ = c.put(&packet.Ack{Type: t, PacketID: id, Reason: reason})
	}
}

// answer appends a PUBREL or PUBCOMP. The reason that the identifier is unknown
// is omitted if it is too large.
func (c *Conn) answer(t packet.Type, id uint16, reason packet.ReasonCode) {
	if reason == packet.Success || c.version < packet.V5 || c.put(&packet.Ack{Type: t, PacketID: id, Reason: reason}) != nil {
		c.out = packet.AppendAck(c.out, t, id)
	}
}

// AckLate acknowledges a message that came on an earlier connection of this
// session. At QoS 1 it does nothing: the server sends the message again. At QoS
// 2 it answers the redelivery if that has come already. A server's connection
// has no session before Accept: until then the message is acknowledged on its
// own connection.
func (c *Conn) AckLate(qos packet.QoS, id uint16) {
	if qos != 2 || c.s == nil {
		return
	}
	m, known := c.s.inbound[id]
	switch {
	case !known:
		return
	case m.late > 0: // its identifier has been used again
		m.late--
	case m.now > 0 && c.phase != up:
		m.now--
	case m.state&inboundAcked != 0 || c.phase == up && m.state&inboundCounted != 0 && m.state&inboundAgain == 0:
		return // the message came on this connection
	default:
		m.state |= inboundAcked
	}
	c.s.inbound[id] = m
	if m.state&inboundAcked == 0 {
		return
	}
	c.s.changed(ChangeArrived, id, 0, nil)
	if m.state&inboundAgain != 0 && c.phase == up {
		c.out = packet.AppendAck(c.out, packet.PUBREC, id)
	}
}

// ack handles PUBACK, PUBREC, PUBREL and PUBCOMP.
func (c *Conn) ack(p *packet.Ack, ev *Event) error {
	if p.Type == packet.PUBREL {
		return c.pubrel(p)
	}
	n, ok := c.s.find(p.PacketID)
	if !ok || int32(n-c.cursor) >= 0 { // unknown, or not sent on this connection
		c.Stray++
		// A slot that waits to be resent gets another PUBREC later. A PUBREL
		// now would make the receiver take the repetition for a new message.
		if p.Type == packet.PUBREC && !p.Reason.Failed() && !(ok && c.s.at(n).sent) {
			c.answer(packet.PUBREL, p.PacketID, packet.PacketIdentifierNotFound)
		}
		return nil
	}
	sl := c.s.at(n)
	switch {
	case p.Type == packet.PUBREC && sl.state == slotPubrec && !p.Reason.Failed():
		sl.state = slotPubcomp
		c.s.changed(ChangeReceived, sl.id, sl.tag, nil)
		c.out = packet.AppendAck(c.out, packet.PUBREL, p.PacketID)
		return nil
	case p.Type == packet.PUBREC && sl.state == slotPubcomp:
		c.out = packet.AppendAck(c.out, packet.PUBREL, p.PacketID)
		return nil
	case p.Type == packet.PUBREC && sl.state == slotPubrec,
		p.Type == packet.PUBACK && sl.state == slotPuback,
		p.Type == packet.PUBCOMP && sl.state == slotPubcomp:
		ev.Kind, ev.Tag, ev.QoS, ev.Reason, ev.Properties = Done, sl.tag, 1, p.Reason, p.Properties
		if p.Type != packet.PUBACK {
			ev.QoS = 2
		}
		if p.Type == packet.PUBCOMP && p.Reason == packet.PacketIdentifierNotFound {
			ev.Reason = packet.Success // the receiver had completed it before
		}
		if sl.counted {
			c.sent--
		}
		c.s.finish(sl)
		c.pump(true)
		return nil
	}
	c.NoQoS2 = p.Type == packet.PUBACK && sl.state == slotPubrec && n == c.s.head
	return illegal(p.Type, "MQTT-4.3.3-1", "not the answer expected for packet identifier "+strconv.Itoa(int(p.PacketID)))
}

func (c *Conn) pubrel(p *packet.Ack) error {
	m, known := c.s.inbound[p.PacketID]
	reason := packet.Success
	switch {
	case !known:
		if !p.Reason.Failed() {
			reason = packet.PacketIdentifierNotFound
		}
		c.Stray++
	case m.state&inboundAcked == 0:
		return illegal(p.Type, "MQTT-4.3.3-5", "before PUBREC was sent")
	default:
		delete(c.s.inbound, p.PacketID)
		c.s.changed(ChangeReleased, p.PacketID, 0, nil)
		if m.state&inboundCounted != 0 {
			c.waiting--
		}
	}
	c.answer(packet.PUBCOMP, p.PacketID, reason)
	return nil
}

func (c *Conn) suback(f packet.Frame, ev *Event) error {
	p := &ev.Suback
	if err := p.Parse(f, c.version); err != nil {
		return err
	}
	want := slotSuback
	if f.Type == packet.UNSUBACK {
		want = slotUnsuback
	}
	n, ok := c.s.find(p.PacketID)
	if !ok {
		c.Stray++
		return nil
	}
	sl := c.s.at(n)
	if sl.state != want {
		return illegal(f.Type, "MQTT-3.8.4-2", "not the answer expected for packet identifier "+strconv.Itoa(int(p.PacketID)))
	}
	if (f.Type == packet.SUBACK || c.version >= packet.V5) && len(p.Codes) != int(sl.size) {
		return illegal(f.Type, "MQTT-3.8.4-5", strconv.Itoa(len(p.Codes))+" reason codes for "+strconv.Itoa(int(sl.size))+" topic filters")
	}
	ev.Kind, ev.Tag = Suback, sl.tag
	c.s.finish(sl)
	return nil
}

// Fail appends the reason for a peer's protocol error, where the version has a
// packet for it: DISCONNECT with the reason in 5.0, or a refusing CONNACK from
// a server that has not accepted yet. The connection is over then.
func (c *Conn) Fail(err error) {
	reason := packet.UnspecifiedError
	var words packet.Properties
	if c.cfg.Explain && c.version >= packet.V5 {
		words, _ = words.AppendBytes(packet.ReasonString, []byte(err.Error()))
	}
	var e *packet.Error
	switch {
	case errors.As(err, &e):
		reason = e.Reason
	case errors.Is(err, ErrKeepAlive):
		reason = packet.KeepAliveTimeout
	}
	switch c.phase {
	case opening, deciding:
		// Send nothing to a peer that has not sent an MQTT CONNECT. Before 5.0
		// a reason without a return code is not sent (MQTT-3.2.2-6 of 3.1.1).
		send := c.version >= packet.V5 && reason.AllowedIn(packet.CONNACK)
		switch reason {
		case packet.UnsupportedProtocolVersion, packet.ClientIdentifierNotValid:
			send = c.version != 0
		}
		if send {
			c.Refuse(&packet.Connack{Reason: reason, Properties: words})
		}
	case connecting, accepted, up:
		if c.version >= packet.V5 && reason.AllowedIn(packet.DISCONNECT) {
			c.Disconnect(&packet.Disconnect{Reason: reason, Properties: words})
		}
	}
	c.phase = closed
}
