package packet

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Connect is the CONNECT packet (section 3.1). The version that it announces is
// its own field: the version argument of Parse is ignored, and that of AppendTo
// is written into the packet.
type Connect struct {
	Version     Version
	CleanStart  bool // "clean session" before 5.0
	HasWill     bool
	HasUsername bool
	HasPassword bool
	KeepAlive   uint16 // in seconds, 0 for none
	Properties  Properties
	ClientID    []byte
	Will        Will // used if HasWill is set
	Username    []byte
	Password    []byte
}

// Will is the will message of a CONNECT.
type Will struct {
	QoS        QoS
	Retain     bool
	Properties Properties // for WillProperties
	Topic      []byte
	Payload    []byte
}

// protocolName returns the protocol name of a version (MQTT-3.1.2-1).
func protocolName(v Version) string {
	if v == V31 {
		return "MQIsdp"
	}
	return "MQTT"
}

// AppendTo appends the packet in version v.
func (p *Connect) AppendTo(dst []byte, v Version) ([]byte, error) {
	if !v.Valid() {
		return dst, ErrUnknownVersion
	}
	if v < V5 && (len(p.Properties) > 0 || len(p.Will.Properties) > 0) {
		return dst, ErrNeedsV5
	}
	name := protocolName(v)
	n := 2 + len(name) + 1 + 1 + 2 + propsLen(p.Properties, v) + 2 + len(p.ClientID)
	flags := byte(0)
	if p.CleanStart {
		flags |= 2
	}
	long := len(p.ClientID) > MaxString
	if p.HasWill {
		if p.Will.QoS > 2 {
			return dst, ErrQoS
		}
		flags |= 4 | byte(p.Will.QoS)<<3
		if p.Will.Retain {
			flags |= 1 << 5
		}
		n += propsLen(p.Will.Properties, v) + 4 + len(p.Will.Topic) + len(p.Will.Payload)
		long = long || len(p.Will.Topic) > MaxString || len(p.Will.Payload) > MaxString
	}
	if p.HasUsername {
		flags |= 1 << 7
		n += 2 + len(p.Username)
		long = long || len(p.Username) > MaxString
	}
	if p.HasPassword {
		flags |= 1 << 6
		n += 2 + len(p.Password)
		long = long || len(p.Password) > MaxString
	}
	if long {
		return dst, ErrStringTooLong
	}
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	dst = appendHeader(dst, byte(CONNECT)<<4, n)
	dst = append(append(dst, 0, byte(len(name))), name...)
	dst = append(dst, byte(v), flags)
	dst = binary.BigEndian.AppendUint16(dst, p.KeepAlive)
	dst = appendProps(dst, p.Properties, v)
	dst = appendString(dst, p.ClientID)
	if p.HasWill {
		dst = appendProps(dst, p.Will.Properties, v)
		dst = appendString(dst, p.Will.Topic)
		dst = appendString(dst, p.Will.Payload)
	}
	if p.HasUsername {
		dst = appendString(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendString(dst, p.Password)
	}
	return dst, nil
}

// Parse decodes a CONNECT of any version. An unknown protocol name or level is
// an Error with reason UnsupportedProtocolVersion (MQTT-3.1.2-1, -2); p.Version
// then holds the requested level, if there was one.
func (p *Connect) Parse(f Frame, _ Version) error {
	*p = Connect{}
	r := reader{b: f.Body, typ: CONNECT}
	name := r.binary("the protocol name")
	if r.err != nil {
		return r.err
	}
	if !bytes.Equal(name, []byte("MQTT")) && !bytes.Equal(name, []byte("MQIsdp")) {
		if len(name) > 16 {
			name = name[:16]
		}
		return &Error{Type: CONNECT, Reason: UnsupportedProtocolVersion, Rule: "MQTT-3.1.2-1",
			Text: "protocol name " + strconv.QuoteToASCII(string(name)), Offset: -1}
	}
	p.Version = Version(r.byte("the protocol level"))
	if r.err != nil {
		return r.err
	}
	if !p.Version.Valid() || protocolName(p.Version) != string(name) {
		return &Error{Type: CONNECT, Reason: UnsupportedProtocolVersion, Rule: "MQTT-3.1.2-2",
			Text: "protocol " + string(name) + " level " + strconv.Itoa(int(p.Version)), Offset: -1}
	}
	flags := r.byte("the connect flags")
	if flags&1 != 0 && p.Version != V31 {
		r.off--
		r.fail("MQTT-3.1.2-3", "the reserved connect flag is set")
	}
	p.CleanStart = flags&2 != 0
	p.HasWill = flags&4 != 0
	p.HasUsername = flags&0x80 != 0
	p.HasPassword = flags&0x40 != 0
	if p.HasWill {
		p.Will.QoS = QoS(flags >> 3 & 3)
		p.Will.Retain = flags&0x20 != 0
	}
	switch {
	case r.err != nil:
	case p.HasPassword && !p.HasUsername && p.Version < V5:
		r.fail("MQTT-3.1.2-22", "a password without a user name")
	case !p.HasWill && flags&0x38 != 0 && p.Version != V31: // 3.1 ignores them
		r.fail("MQTT-3.1.2-11", "will QoS or will retain is set without a will")
	case p.Will.QoS > 2:
		r.fail("MQTT-3.1.2-12", "will QoS is 3")
	}
	p.KeepAlive = r.uint16("the keep alive")
	if p.Version >= V5 {
		p.Properties = r.properties(CONNECT)
		if r.err == nil {
			_, data := p.Properties.find(AuthenticationData)
			if _, method := p.Properties.find(AuthenticationMethod); data && !method {
				r.failProtocol("MQTT-3.1.2.11.10", "authentication data without authentication method")
			}
		}
	}
	p.ClientID = r.text("the client identifier")
	if r.err == nil {
		switch {
		case p.Version == V31 && len(p.ClientID) == 0:
			return &Error{Type: CONNECT, Reason: ClientIdentifierNotValid, Rule: "MQTT-3.1.3-9",
				Text: "MQTT 3.1 needs a client identifier", Offset: -1}
		case p.Version == V311 && len(p.ClientID) == 0 && !p.CleanStart:
			return &Error{Type: CONNECT, Reason: ClientIdentifierNotValid, Rule: "MQTT-3.1.3-8",
				Text: "no client identifier with clean session 0", Offset: -1}
		}
	}
	if p.HasWill {
		if p.Version >= V5 {
			p.Will.Properties = r.properties(WillProperties)
		}
		p.Will.Topic = r.text("the will topic")
		if r.err == nil {
			if len(p.Will.Topic) == 0 {
				r.fail("MQTT-4.7.3-1", "the will topic is empty")
			} else if rule, why := checkTopicName(p.Will.Topic); rule != "" {
				r.err = malformed(CONNECT, rule, "the will topic "+why, r.off)
			}
		}
		p.Will.Payload = r.binary("the will payload")
	}
	if p.Version == V31 && r.err == nil {
		// The remaining length takes precedence over the flags.
		p.HasUsername = p.HasUsername && r.left() > 0
	}
	if p.HasUsername {
		p.Username = r.text("the user name")
	}
	if p.Version == V31 && r.err == nil {
		p.HasPassword = p.HasPassword && r.left() > 0
	}
	if p.HasPassword {
		p.Password = r.binary("the password")
	}
	return r.end()
}
