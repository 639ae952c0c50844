package packet

import "strconv"

// Connack is the CONNACK packet (section 3.2).
type Connack struct {
	SessionPresent bool
	Reason         ReasonCode // return codes of 3.1 and 3.1.1 are mapped
	Properties     Properties
}

// AppendTo appends the packet. Before 5.0 the reason is mapped to the nearest
// return code.
func (p *Connack) AppendTo(dst []byte, v Version) ([]byte, error) {
	flags := byte(0)
	if p.SessionPresent && v != V31 {
		flags = 1
	}
	if v < V5 {
		if len(p.Properties) > 0 {
			return dst, ErrNeedsV5
		}
		return append(dst, byte(CONNACK)<<4, 2, flags, p.Reason.ReturnCode()), nil
	}
	n := 2 + propsLen(p.Properties, v)
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, byte(CONNACK)<<4, n)
	return appendProps(append(dst, flags, byte(p.Reason)), p.Properties, v), nil
}

// Parse decodes a CONNACK. A server that does not support 5.0 may answer a 5.0
// CONNECT with the two-byte body of 3.1.1; a refusal in that form is decoded in
// every version.
func (p *Connack) Parse(f Frame, v Version) error {
	*p = Connack{}
	r := reader{b: f.Body, typ: CONNACK}
	flags := r.byte("the acknowledge flags")
	if flags > 1 && v != V31 {
		r.off--
		r.fail("MQTT-3.2.2-1", "the reserved acknowledge flags are 0x"+strconv.FormatUint(uint64(flags), 16))
	}
	p.SessionPresent = flags&1 != 0 && v != V31
	if v < V5 || len(f.Body) == 2 && f.Body[1] != 0 && f.Body[1] < 6 {
		code := r.byte("the return code")
		if int(code) >= len(connackReason) {
			r.off--
			r.failProtocol("MQTT-3.2.2-6", "return code "+strconv.Itoa(int(code))+" is reserved")
		} else {
			p.Reason = connackReason[code]
		}
	} else {
		p.Reason = r.reason(CONNACK)
		p.Properties = r.properties(CONNACK)
	}
	if r.err == nil && p.SessionPresent && p.Reason != Success {
		r.failProtocol("MQTT-3.2.2-6", "session present is set on a refusal")
	}
	return r.end()
}
