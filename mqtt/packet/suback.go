package packet

import "strconv"

// Suback is one of SUBACK and UNSUBACK (sections 3.9 and 3.11), which have the
// same layout: a reason code per topic filter, in the order of the request.
type Suback struct {
	Type       Type // SUBACK or UNSUBACK
	PacketID   uint16
	Properties Properties
	Codes      []byte // one ReasonCode each; empty in an UNSUBACK before 5.0
}

// Reason returns the code for filter i.
func (p *Suback) Reason(i int) ReasonCode { return ReasonCode(p.Codes[i]) }

// AppendTo appends the packet. Before 5.0 every failure becomes 0x80, and an
// UNSUBACK has no codes.
func (p *Suback) AppendTo(dst []byte, v Version) ([]byte, error) {
	if p.PacketID == 0 {
		return dst, ErrPacketID
	}
	if v < V5 && len(p.Properties) > 0 {
		return dst, ErrNeedsV5
	}
	codes := p.Codes
	if v < V5 && p.Type == UNSUBACK {
		codes = nil
	}
	n := 2 + propsLen(p.Properties, v) + len(codes)
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, byte(p.Type)<<4, n)
	dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID))
	dst = appendProps(dst, p.Properties, v)
	for _, c := range codes {
		if v < V5 && c > 0x80 {
			c = 0x80
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// Parse decodes the packet; Type is taken from f. Before 5.0 every failure
// becomes 0x80.
func (p *Suback) Parse(f Frame, v Version) error {
	*p = Suback{Type: f.Type}
	r := reader{b: f.Body, typ: f.Type}
	p.PacketID = r.packetID()
	if v >= V5 {
		p.Properties = r.properties(f.Type)
	}
	if r.err != nil || f.Type == UNSUBACK && v < V5 {
		return r.end()
	}
	order, listed := "MQTT-3.9.3-1", "MQTT-3.9.3-2"
	if f.Type == UNSUBACK {
		order, listed = "MQTT-3.11.3-1", "MQTT-3.11.3-2"
	}
	if r.left() == 0 {
		r.failProtocol(order, "no reason code")
	}
	given := r.rest()
	p.Codes = given
	for i, c := range given {
		ok := ReasonCode(c).AllowedIn(f.Type)
		if v < V5 && ok && c > 0x80 {
			// Some servers, such as ejabberd, answer old clients with the codes
			// of 5.0. They mean the only failure code of those versions.
			p.Codes = append([]byte(nil), p.Codes...)
			p.Codes[i] = 0x80
		} else if v < V5 {
			ok = c <= 2 || c == 0x80
		}
		if !ok {
			r.off -= len(given) - i
			r.failProtocol(listed, "reason code 0x"+strconv.FormatUint(uint64(c), 16)+" is not one of "+f.Type.String()+"'s")
			break
		}
	}
	return r.end()
}
