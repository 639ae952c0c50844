package packet

import (
	"errors"
	"strconv"
)

// Error describes why bytes are not a valid control packet.
type Error struct {
	Type   Type       // the packet concerned; 0 if unknown
	Reason ReasonCode // the reason code for an MQTT 5.0 peer: MalformedPacket, ProtocolError, ...
	Rule   string     // statement identifier, such as "MQTT-3.3.1-4"; empty if there is none
	Text   string     // what is wrong, without the packet's name
	Offset int        // position in bytes from the start of the body; -1 if there is none
}

func (e *Error) Error() string {
	s := e.Reason.adjective() + " "
	if e.Type == 0 {
		s += "packet"
	} else {
		s += e.Type.String()
	}
	s += ": " + e.Text
	if e.Offset > 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	if e.Rule != "" {
		s += " [" + e.Rule + "]"
	}
	return s
}

// Is reports whether target is the reason code of e.
func (e *Error) Is(target error) bool { r, ok := target.(ReasonCode); return ok && r == e.Reason }

// Errors of the encoders.
var (
	ErrStringTooLong  = errors.New("string or binary data above 65535 bytes [MQTT-1.5.4]")
	ErrPacketTooLong  = errors.New("packet above 268435455 bytes")
	ErrPacketID       = errors.New("packet identifier 0 [MQTT-2.2.1-3]")
	ErrQoS            = errors.New("QoS above 2 [MQTT-3.3.1-4]")
	ErrDup            = errors.New("DUP at QoS 0 [MQTT-3.3.1-2]")
	ErrNeedsV5        = errors.New("properties, reason codes and AUTH need MQTT 5.0")
	ErrNoFilters      = errors.New("no topic filter [MQTT-3.8.3-2]")
	ErrPropertyType   = errors.New("property does not have this type")
	ErrPropertyValue  = errors.New("property value out of range")
	ErrUnknownVersion = errors.New("unsupported protocol version (want 3.1, 3.1.1 or 5.0)")
)

func malformed(t Type, rule, text string, off int) error {
	return &Error{Type: t, Reason: MalformedPacket, Rule: rule, Text: text, Offset: off}
}

func protocol(t Type, rule, text string, off int) error {
	return &Error{Type: t, Reason: ProtocolError, Rule: rule, Text: text, Offset: off}
}
