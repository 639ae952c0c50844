package packet

// Disconnect is the DISCONNECT packet (section 3.14).
type Disconnect struct {
	Reason     ReasonCode // Success, "normal disconnection", before 5.0
	Properties Properties
}

// AppendTo appends the packet in its shortest form. Before 5.0 it has no body
// and the reason is not sent.
func (p *Disconnect) AppendTo(dst []byte, v Version) ([]byte, error) {
	return appendOptional(dst, DISCONNECT, p.Reason, p.Properties, v)
}

// Parse decodes a DISCONNECT.
func (p *Disconnect) Parse(f Frame, v Version) error {
	*p = Disconnect{}
	r := reader{b: f.Body, typ: DISCONNECT}
	if v >= V5 && r.left() > 0 {
		p.Reason = r.reason(DISCONNECT)
		if r.left() > 0 {
			p.Properties = r.properties(DISCONNECT)
		}
	}
	return r.end()
}

// Auth is the AUTH packet of MQTT 5.0 (section 3.15).
type Auth struct {
	Reason     ReasonCode // Success, ContinueAuthentication or ReAuthenticate
	Properties Properties
}

// AppendTo appends the packet in its shortest form. It does not check for the
// authentication method, without which only success is legal.
func (p *Auth) AppendTo(dst []byte, v Version) ([]byte, error) {
	if v < V5 {
		return dst, ErrNeedsV5
	}
	if p.Reason != Success && len(p.Properties) == 0 {
		return append(dst, byte(AUTH)<<4, 2, byte(p.Reason), 0), nil // AUTH has no short form like that of DISCONNECT
	}
	return appendOptional(dst, AUTH, p.Reason, p.Properties, v)
}

// Parse decodes an AUTH.
func (p *Auth) Parse(f Frame, v Version) error {
	*p = Auth{}
	r := reader{b: f.Body, typ: AUTH}
	if v < V5 {
		return malformed(0, "MQTT-2.1.2", "packet type 15 is reserved before MQTT 5.0", -1)
	}
	if r.left() > 0 {
		p.Reason = r.reason(AUTH)
		p.Properties = r.properties(AUTH) // not optional after a reason code, unlike in DISCONNECT
		if _, ok := p.Properties.find(AuthenticationMethod); !ok && r.err == nil && (p.Reason != Success || len(p.Properties) > 0) {
			r.failProtocol("MQTT-3.15.2.2.2", "no authentication method")
		}
	}
	return r.end()
}

// appendOptional appends a packet that consists of an optional reason code and
// optional properties (MQTT-3.14.2.1, MQTT-3.15.2.1).
func appendOptional(dst []byte, t Type, reason ReasonCode, props Properties, v Version) ([]byte, error) {
	switch {
	case v < V5 && len(props) > 0:
		return dst, ErrNeedsV5
	case v < V5, reason == Success && len(props) == 0:
		return append(dst, byte(t)<<4, 0), nil
	case len(props) == 0:
		return append(dst, byte(t)<<4, 1, byte(reason)), nil
	}
	n := 1 + propsLen(props, v)
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	return appendProps(append(appendHeader(dst, byte(t)<<4, n), byte(reason)), props, v), nil
}
