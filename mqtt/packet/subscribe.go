package packet

import "strconv"

// SubscribeOptions is the options byte of one subscription (section 3.8.3.1).
type SubscribeOptions byte

// Subscribe options. Before 5.0 only the QoS exists.
const (
	NoLocal            SubscribeOptions = 1 << 2
	RetainAsPublished  SubscribeOptions = 1 << 3
	RetainHandlingNew  SubscribeOptions = 1 << 4 // retained messages only for a new subscription
	RetainHandlingNone SubscribeOptions = 2 << 4 // no retained messages
)

// QoS returns the requested maximum QoS.
func (o SubscribeOptions) QoS() QoS { return QoS(o & 3) }

// RetainHandling returns 0 (send retained messages), 1 (only for a new
// subscription) or 2 (do not send).
func (o SubscribeOptions) RetainHandling() byte { return byte(o >> 4 & 3) }

// Subscription is one topic filter with its options.
type Subscription struct {
	Filter  []byte
	Options SubscribeOptions
}

// Subscribe is the SUBSCRIBE packet (section 3.8).
type Subscribe struct {
	PacketID      uint16
	Properties    Properties
	Subscriptions []Subscription // Parse reuses the slice
}

// AppendTo appends the packet.
func (p *Subscribe) AppendTo(dst []byte, v Version) ([]byte, error) {
	if p.PacketID == 0 {
		return dst, ErrPacketID
	}
	if len(p.Subscriptions) == 0 {
		return dst, ErrNoFilters
	}
	n := 2 + propsLen(p.Properties, v)
	for i := range p.Subscriptions {
		s := &p.Subscriptions[i]
		if len(s.Filter) > MaxString {
			return dst, ErrStringTooLong
		}
		if s.Options.QoS() > 2 {
			return dst, ErrQoS
		}
		if v < V5 && s.Options > 2 {
			return dst, ErrNeedsV5
		}
		n += 3 + len(s.Filter)
	}
	if v < V5 && len(p.Properties) > 0 {
		return dst, ErrNeedsV5
	}
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, byte(SUBSCRIBE)<<4|2, n)
	dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID))
	dst = appendProps(dst, p.Properties, v)
	for i := range p.Subscriptions {
		dst = append(appendString(dst, p.Subscriptions[i].Filter), byte(p.Subscriptions[i].Options))
	}
	return dst, nil
}

// Parse decodes a SUBSCRIBE. It checks only the UTF-8 of the topic filters:
// whether they are valid is for the server to answer in SUBACK.
func (p *Subscribe) Parse(f Frame, v Version) error {
	p.Subscriptions = p.Subscriptions[:0]
	r := reader{b: f.Body, typ: SUBSCRIBE}
	p.PacketID, p.Properties = r.packetID(), nil
	if v >= V5 {
		p.Properties = r.properties(SUBSCRIBE)
	}
	for r.err == nil && r.left() > 0 {
		s := Subscription{Filter: r.text("a topic filter"), Options: SubscribeOptions(r.byte("the subscription options"))}
		if v == V31 {
			s.Options &= 3 // the other bits are unused
		}
		o := s.Options
		switch {
		case r.err != nil:
		case v < V5 && o == 3:
			r.off--
			r.fail("MQTT-3.8.3-4", "subscription QoS is 3")
		case v < V5 && o > 3:
			r.off--
			r.fail("MQTT-3.8.3-4", reservedOptions(o))
		case o&0xC0 != 0:
			r.off--
			r.fail("MQTT-3.8.3-5", reservedOptions(o))
		case o.QoS() == 3:
			r.off--
			r.failProtocol("MQTT-3.8.3.1", "subscription QoS is 3")
		case o.RetainHandling() == 3:
			r.off--
			r.failProtocol("MQTT-3.8.3.1", "retain handling is 3")
		case o&NoLocal != 0 && hasSharePrefix(s.Filter):
			r.off--
			r.failProtocol("MQTT-3.8.3-4", "no local on a shared subscription")
		}
		p.Subscriptions = append(p.Subscriptions, s)
	}
	if r.err == nil && len(p.Subscriptions) == 0 {
		r.failProtocol("MQTT-3.8.3-2", "no topic filter")
	}
	return r.end()
}

func reservedOptions(o SubscribeOptions) string {
	return "reserved subscription options are set in 0x" + strconv.FormatUint(uint64(o), 16)
}

func hasSharePrefix(filter []byte) bool { return len(filter) >= 7 && string(filter[:7]) == "$share/" }

// Unsubscribe is the UNSUBSCRIBE packet (section 3.10).
type Unsubscribe struct {
	PacketID   uint16
	Properties Properties
	Filters    [][]byte // Parse reuses the slice
}

// AppendTo appends the packet.
func (p *Unsubscribe) AppendTo(dst []byte, v Version) ([]byte, error) {
	if p.PacketID == 0 {
		return dst, ErrPacketID
	}
	if len(p.Filters) == 0 {
		return dst, ErrNoFilters
	}
	if v < V5 && len(p.Properties) > 0 {
		return dst, ErrNeedsV5
	}
	n := 2 + propsLen(p.Properties, v)
	for _, s := range p.Filters {
		if len(s) > MaxString {
			return dst, ErrStringTooLong
		}
		n += 2 + len(s)
	}
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, byte(UNSUBSCRIBE)<<4|2, n)
	dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID))
	dst = appendProps(dst, p.Properties, v)
	for _, s := range p.Filters {
		dst = appendString(dst, s)
	}
	return dst, nil
}

// Parse decodes an UNSUBSCRIBE.
func (p *Unsubscribe) Parse(f Frame, v Version) error {
	p.Filters = p.Filters[:0]
	r := reader{b: f.Body, typ: UNSUBSCRIBE}
	p.PacketID, p.Properties = r.packetID(), nil
	if v >= V5 {
		p.Properties = r.properties(UNSUBSCRIBE)
	}
	for r.err == nil && r.left() > 0 {
		p.Filters = append(p.Filters, r.text("a topic filter"))
	}
	if r.err == nil && len(p.Filters) == 0 {
		r.failProtocol("MQTT-3.10.3-2", "no topic filter")
	}
	return r.end()
}
