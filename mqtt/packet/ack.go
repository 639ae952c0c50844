package packet

import "strconv"

// Ack is one of PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which
// have the same layout.
type Ack struct {
	Type       Type // PUBACK, PUBREC, PUBREL or PUBCOMP
	PacketID   uint16
	Reason     ReasonCode // Success before 5.0
	Properties Properties
}

// AppendAck appends an acknowledgement of type t without reason code and
// properties: four bytes, the same in every version.
func AppendAck(dst []byte, t Type, id uint16) []byte {
	first := byte(t) << 4
	if t == PUBREL {
		first |= 2
	}
	return append(dst, first, 2, byte(id>>8), byte(id))
}

// AppendTo appends the packet in its shortest form. Before 5.0 the reason is
// not sent.
func (p *Ack) AppendTo(dst []byte, v Version) ([]byte, error) {
	if p.PacketID == 0 {
		return dst, ErrPacketID
	}
	if v < V5 && len(p.Properties) > 0 {
		return dst, ErrNeedsV5
	}
	if v < V5 || p.Reason == Success && len(p.Properties) == 0 {
		return AppendAck(dst, p.Type, p.PacketID), nil
	}
	first := byte(p.Type) << 4
	if p.Type == PUBREL {
		first |= 2
	}
	if len(p.Properties) == 0 {
		return append(dst, first, 3, byte(p.PacketID>>8), byte(p.PacketID), byte(p.Reason)), nil
	}
	n := 3 + propsLen(p.Properties, v)
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, first, n)
	dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID), byte(p.Reason))
	return appendProps(dst, p.Properties, v), nil
}

// Parse decodes the packet; Type is taken from f.
func (p *Ack) Parse(f Frame, v Version) error {
	*p = Ack{Type: f.Type}
	r := reader{b: f.Body, typ: f.Type}
	p.PacketID = r.packetID()
	if v < V5 || r.left() == 0 {
		return r.end()
	}
	p.Reason = r.reason(f.Type)
	if r.left() > 0 {
		p.Properties = r.properties(f.Type)
	}
	return r.end()
}

// reason reads a reason code that is allowed in packets of type t.
func (r *reader) reason(t Type) ReasonCode {
	c := ReasonCode(r.byte("the reason code"))
	if r.err == nil && !c.AllowedIn(t) {
		r.off--
		r.failProtocol("MQTT-2.4", "reason code 0x"+strconv.FormatUint(uint64(c), 16)+" is not one of "+t.String()+"'s")
	}
	return c
}
