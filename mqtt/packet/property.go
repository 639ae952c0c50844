package packet

import (
	"encoding/binary"
	"iter"
	"strconv"
)

// PropertyID identifies a property of MQTT 5.0 (section 2.2.2.2).
type PropertyID byte

// The properties of MQTT 5.0.
const (
	PayloadFormatIndicator          PropertyID = 0x01
	MessageExpiryInterval           PropertyID = 0x02
	ContentType                     PropertyID = 0x03
	ResponseTopic                   PropertyID = 0x08
	CorrelationData                 PropertyID = 0x09
	SubscriptionIdentifier          PropertyID = 0x0B
	SessionExpiryInterval           PropertyID = 0x11
	AssignedClientIdentifier        PropertyID = 0x12
	ServerKeepAlive                 PropertyID = 0x13
	AuthenticationMethod            PropertyID = 0x15
	AuthenticationData              PropertyID = 0x16
	RequestProblemInformation       PropertyID = 0x17
	WillDelayInterval               PropertyID = 0x18
	RequestResponseInformation      PropertyID = 0x19
	ResponseInformation             PropertyID = 0x1A
	ServerReference                 PropertyID = 0x1C
	ReasonString                    PropertyID = 0x1F
	ReceiveMaximum                  PropertyID = 0x21
	TopicAliasMaximum               PropertyID = 0x22
	TopicAlias                      PropertyID = 0x23
	MaximumQoS                      PropertyID = 0x24
	RetainAvailable                 PropertyID = 0x25
	UserProperty                    PropertyID = 0x26
	MaximumPacketSize               PropertyID = 0x27
	WildcardSubscriptionAvailable   PropertyID = 0x28
	SubscriptionIdentifierAvailable PropertyID = 0x29
	SharedSubscriptionAvailable     PropertyID = 0x2A
)

// PropertyType is the encoding of a property's value.
type PropertyType byte

// The property types. Bool is a byte that is 0 or 1.
const (
	TypeNone PropertyType = iota
	TypeBool
	TypeByte
	TypeUint16
	TypeUint32
	TypeVarint
	TypeString
	TypeBinary
	TypePair
)

// WillProperties stands for the property block of a will message wherever a
// packet type is required. It is not a packet type on the wire.
const WillProperties Type = 0

const (
	pWill        = 1 << WillProperties
	pCONNECT     = 1 << CONNECT
	pCONNACK     = 1 << CONNACK
	pPUBLISH     = 1 << PUBLISH
	pSUBSCRIBE   = 1 << SUBSCRIBE
	pUNSUBSCRIBE = 1 << UNSUBSCRIBE
	pDISCONNECT  = 1 << DISCONNECT
	pAUTH        = 1 << AUTH
	pAcks        = 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBACK | 1<<UNSUBACK
	pAll         = pWill | pCONNECT | pCONNACK | pPUBLISH | pSUBSCRIBE | pUNSUBSCRIBE | pDISCONNECT | pAUTH | pAcks
)

type propertyInfo struct {
	name    string
	typ     PropertyType
	nonzero bool   // 0 is an error
	packets uint16 // bit t: allowed in packets of type t
}

// propertyTable is table 2-4 of MQTT 5.0. The names are those of the mosquitto
// clients.
var propertyTable = [0x2B]propertyInfo{
	PayloadFormatIndicator:          {"payload-format-indicator", TypeBool, false, pPUBLISH | pWill},
	MessageExpiryInterval:           {"message-expiry-interval", TypeUint32, false, pPUBLISH | pWill},
	ContentType:                     {"content-type", TypeString, false, pPUBLISH | pWill},
	ResponseTopic:                   {"response-topic", TypeString, false, pPUBLISH | pWill},
	CorrelationData:                 {"correlation-data", TypeBinary, false, pPUBLISH | pWill},
	SubscriptionIdentifier:          {"subscription-identifier", TypeVarint, true, pPUBLISH | pSUBSCRIBE},
	SessionExpiryInterval:           {"session-expiry-interval", TypeUint32, false, pCONNECT | pCONNACK | pDISCONNECT},
	AssignedClientIdentifier:        {"assigned-client-identifier", TypeString, false, pCONNACK},
	ServerKeepAlive:                 {"server-keep-alive", TypeUint16, false, pCONNACK},
	AuthenticationMethod:            {"authentication-method", TypeString, false, pCONNECT | pCONNACK | pAUTH},
	AuthenticationData:              {"authentication-data", TypeBinary, false, pCONNECT | pCONNACK | pAUTH},
	RequestProblemInformation:       {"request-problem-information", TypeBool, false, pCONNECT},
	WillDelayInterval:               {"will-delay-interval", TypeUint32, false, pWill},
	RequestResponseInformation:      {"request-response-information", TypeBool, false, pCONNECT},
	ResponseInformation:             {"response-information", TypeString, false, pCONNACK},
	ServerReference:                 {"server-reference", TypeString, false, pCONNACK | pDISCONNECT},
	ReasonString:                    {"reason-string", TypeString, false, pCONNACK | pAcks | pDISCONNECT | pAUTH},
	ReceiveMaximum:                  {"receive-maximum", TypeUint16, true, pCONNECT | pCONNACK},
	TopicAliasMaximum:               {"topic-alias-maximum", TypeUint16, false, pCONNECT | pCONNACK},
	TopicAlias:                      {"topic-alias", TypeUint16, true, pPUBLISH},
	MaximumQoS:                      {"maximum-qos", TypeBool, false, pCONNACK},
	RetainAvailable:                 {"retain-available", TypeBool, false, pCONNACK},
	UserProperty:                    {"user-property", TypePair, false, pAll},
	MaximumPacketSize:               {"maximum-packet-size", TypeUint32, true, pCONNECT | pCONNACK},
	WildcardSubscriptionAvailable:   {"wildcard-subscription-available", TypeBool, false, pCONNACK},
	SubscriptionIdentifierAvailable: {"subscription-identifier-available", TypeBool, false, pCONNACK},
	SharedSubscriptionAvailable:     {"shared-subscription-available", TypeBool, false, pCONNACK},
}

// PropertyByName returns the property with a name in lower case with hyphens,
// such as "content-type".
func PropertyByName(name string) (PropertyID, bool) {
	for id := range propertyTable {
		if propertyTable[id].typ != TypeNone && propertyTable[id].name == name {
			return PropertyID(id), true
		}
	}
	return 0, false
}

func (id PropertyID) info() *propertyInfo {
	if int(id) < len(propertyTable) {
		return &propertyTable[id]
	}
	return &propertyTable[0]
}

// String returns the property's name, such as "content-type".
func (id PropertyID) String() string {
	if s := id.info().name; s != "" {
		return s
	}
	return "property 0x" + strconv.FormatUint(uint64(id), 16)
}

// Type returns the encoding of the property's value, or TypeNone for an
// identifier that MQTT 5.0 does not define.
func (id PropertyID) Type() PropertyType { return id.info().typ }

// AllowedIn reports whether packets of type t, or WillProperties, may carry the
// property.
func (id PropertyID) AllowedIn(t Type) bool { return id.info().packets&(1<<t) != 0 }

// RepeatableIn reports whether a packet of type t may carry the property more
// than once: user properties everywhere, and subscription identifiers in
// PUBLISH.
func (id PropertyID) RepeatableIn(t Type) bool {
	return id == UserProperty || id == SubscriptionIdentifier && t == PUBLISH
}

// Properties is an encoded property block without its leading length, in the
// order of the wire. The zero value is an empty block. A decoded block has
// been validated for its packet and aliases the packet's buffer.
type Properties []byte

// Property is one property of a block.
type Property struct {
	ID    PropertyID
	Uint  uint32 // value of a numeric type
	Bytes []byte // value of a string or of binary data, or the name of a user property; aliases the block
	Value []byte // value of a user property; aliases the block
}

// property decodes the property at r without checking it.
func (r *reader) property() (p Property) {
	id := r.varint("the property identifier")
	if r.err != nil {
		return p
	}
	if id >= len(propertyTable) || propertyTable[id].typ == TypeNone {
		r.fail("MQTT-2.2.2.2", "unknown property identifier 0x"+strconv.FormatUint(uint64(id), 16))
		return p
	}
	p.ID = PropertyID(id)
	name := propertyTable[id].name
	switch propertyTable[id].typ {
	case TypeBool, TypeByte:
		p.Uint = uint32(r.byte(name))
	case TypeUint16:
		p.Uint = uint32(r.uint16(name))
	case TypeUint32:
		p.Uint = r.uint32(name)
	case TypeVarint:
		p.Uint = uint32(r.varint(name))
	case TypeString:
		p.Bytes = r.text(name)
	case TypeBinary:
		p.Bytes = r.binary(name)
	case TypePair:
		p.Bytes = r.text("user-property name")
		p.Value = r.text("user-property value")
	}
	return p
}

// properties reads and validates a property block of packet type t, or
// WillProperties: identifiers must be known, allowed in the packet and unique,
// values in range (MQTT-2.2.2.2, MQTT-3.1.2.11 ff.).
func (r *reader) properties(t Type) Properties {
	n := r.varint("the property length")
	if r.err != nil {
		return nil
	}
	if n > r.left() {
		r.fail("MQTT-2.2.2.1", "property length "+strconv.Itoa(n)+" with "+strconv.Itoa(r.left())+" bytes left")
		return nil
	}
	if n == 0 {
		return nil
	}
	end := r.off + n
	block := Properties(r.b[r.off:end:end])
	sub := reader{b: r.b[:end], off: r.off, typ: r.typ}
	if sub.validate(t); sub.err != nil {
		r.err, r.off = sub.err, len(r.b)
		return nil
	}
	r.off = end
	return block
}

func (r *reader) validate(t Type) {
	seen := uint64(0)
	for r.off < len(r.b) && r.err == nil {
		start := r.off
		if id, next := r.plain(t); next > 0 && (seen&(1<<id) == 0 || id.RepeatableIn(t)) {
			seen |= 1 << id
			r.off = next
			continue
		}
		p := r.property()
		if r.err != nil {
			return
		}
		in := &propertyTable[p.ID]
		if in.packets&(1<<t) == 0 {
			r.off = start
			r.fail("MQTT-2.2.2.2", p.ID.String()+" is not allowed here")
			return
		}
		why, rule := "", "MQTT-2.2.2.2"
		switch {
		case p.ID == TopicAlias && p.Uint == 0:
			r.err = &Error{Type: r.typ, Reason: TopicAliasInvalid, Rule: "MQTT-3.3.2-8", Text: "topic-alias is 0", Offset: start}
			return
		case seen&(1<<p.ID) != 0 && !p.ID.RepeatableIn(t):
			why = " appears twice"
		case in.typ == TypeBool && p.Uint > 1:
			why = " is " + strconv.Itoa(int(p.Uint)) + ", not 0 or 1"
		case in.nonzero && p.Uint == 0:
			why = " is 0"
		case p.ID == ResponseTopic && len(p.Bytes) == 0:
			why, rule = " is empty", "MQTT-4.7.3-1"
		case p.ID == ResponseTopic:
			if _, w := checkTopicName(p.Bytes); w != "" {
				why, rule = " "+w, "MQTT-3.3.2-14"
			}
		}
		if why != "" {
			r.off = start
			r.failProtocol(rule, p.ID.String()+why)
			return
		}
		seen |= 1 << p.ID
	}
}

// plain returns the property at r and the offset after it if it is valid for
// packet type t. Otherwise next is 0, and the slow path finds the error.
func (r *reader) plain(t Type) (id PropertyID, next int) {
	b := r.b
	id = PropertyID(b[r.off])
	if int(id) >= len(propertyTable) {
		return 0, 0
	}
	in := &propertyTable[id]
	if in.packets&(1<<t) == 0 {
		return 0, 0
	}
	at := r.off + 1
	switch in.typ {
	case TypeUint32:
		if at+4 > len(b) || in.nonzero && binary.BigEndian.Uint32(b[at:]) == 0 {
			return 0, 0
		}
		return id, at + 4
	case TypeUint16:
		if at+2 > len(b) || in.nonzero && binary.BigEndian.Uint16(b[at:]) == 0 {
			return 0, 0
		}
		return id, at + 2
	case TypePair:
		if at = plainText(b, at); at == 0 {
			return 0, 0
		}
		return id, plainText(b, at)
	case TypeString:
		if id != ResponseTopic {
			return id, plainText(b, at)
		}
	}
	return 0, 0
}

// plainText returns the offset after the valid string at b[at:], or 0.
func plainText(b []byte, at int) int {
	if at+2 > len(b) {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[at:]))
	at += 2
	if n > len(b)-at {
		return 0
	}
	if rule, _ := checkUTF8(b[at : at+n]); rule != "" {
		return 0
	}
	return at + n
}

// ParseProperties validates b, a property block without its length, for
// packet type t or WillProperties. The result aliases b.
func ParseProperties(b []byte, t Type) (Properties, error) {
	r := reader{b: b, typ: t}
	if r.validate(t); r.err != nil {
		return nil, r.err
	}
	return Properties(b), nil
}

// All returns an iterator over the properties in the order of the wire. It ends
// early at bytes that are not a property, which a decoded block does not
// contain.
func (p Properties) All() iter.Seq[Property] {
	return func(yield func(Property) bool) {
		for r := (reader{b: p}); r.off < len(r.b); {
			if q := r.property(); r.err != nil || !yield(q) {
				return
			}
		}
	}
}

// find returns the first property with this identifier.
func (p Properties) find(id PropertyID) (Property, bool) {
	for r := (reader{b: p}); r.off < len(r.b); {
		q := r.property()
		if r.err != nil {
			break
		}
		if q.ID == id {
			return q, true
		}
	}
	return Property{}, false
}

// Uint returns the first numeric property with this identifier.
func (p Properties) Uint(id PropertyID) (n uint32, ok bool) {
	q, ok := p.find(id)
	return q.Uint, ok
}

// UintOr is Uint with a default value.
func (p Properties) UintOr(id PropertyID, otherwise uint32) uint32 {
	if q, ok := p.find(id); ok {
		return q.Uint
	}
	return otherwise
}

// Bytes returns the first string or binary property with this identifier. The
// slice aliases p.
func (p Properties) Bytes(id PropertyID) (b []byte, ok bool) {
	q, ok := p.find(id)
	return q.Bytes, ok
}

// Text returns the value of Bytes as a string, or "" if the property is absent.
func (p Properties) Text(id PropertyID) string {
	q, _ := p.find(id)
	return string(q.Bytes)
}

// AppendUint appends a numeric property.
func (p Properties) AppendUint(id PropertyID, n uint32) (Properties, error) {
	switch id.Type() {
	case TypeBool:
		if n > 1 {
			return p, ErrPropertyValue
		}
		return append(p, byte(id), byte(n)), nil
	case TypeByte:
		if n > 255 {
			return p, ErrPropertyValue
		}
		return append(p, byte(id), byte(n)), nil
	case TypeUint16:
		if n > 65535 || n == 0 && id.info().nonzero {
			return p, ErrPropertyValue
		}
		return binary.BigEndian.AppendUint16(append(p, byte(id)), uint16(n)), nil
	case TypeUint32:
		if n == 0 && id.info().nonzero {
			return p, ErrPropertyValue
		}
		return binary.BigEndian.AppendUint32(append(p, byte(id)), n), nil
	case TypeVarint:
		if n > MaxRemainingLength || n == 0 && id.info().nonzero {
			return p, ErrPropertyValue
		}
		return appendVarint(append(p, byte(id)), int(n)), nil
	}
	return p, ErrPropertyType
}

// AppendBytes appends a string or binary property.
func (p Properties) AppendBytes(id PropertyID, b []byte) (Properties, error) {
	switch id.Type() {
	case TypeString:
		if rule, why := checkUTF8(b); rule != "" {
			return p, &Error{Reason: MalformedPacket, Rule: rule, Text: id.String() + " " + why, Offset: -1}
		}
	case TypeBinary:
	default:
		return p, ErrPropertyType
	}
	if len(b) > MaxString {
		return p, ErrStringTooLong
	}
	return appendString(append(p, byte(id)), b), nil
}

// AppendUser appends a user property.
func (p Properties) AppendUser(name, value []byte) (Properties, error) {
	if len(name) > MaxString || len(value) > MaxString {
		return p, ErrStringTooLong
	}
	for _, s := range [2][]byte{name, value} {
		if rule, why := checkUTF8(s); rule != "" {
			return p, &Error{Reason: MalformedPacket, Rule: rule, Text: "user-property " + why, Offset: -1}
		}
	}
	return appendString(appendString(append(p, byte(UserProperty)), name), value), nil
}

// Append appends one property taken from another block.
func (p Properties) Append(q Property) (Properties, error) {
	switch q.ID.Type() {
	case TypePair:
		return p.AppendUser(q.Bytes, q.Value)
	case TypeString, TypeBinary:
		return p.AppendBytes(q.ID, q.Bytes)
	}
	return p.AppendUint(q.ID, q.Uint)
}

// Without appends to dst the properties of p whose identifier is not id.
func (p Properties) Without(dst Properties, id PropertyID) Properties {
	for r := (reader{b: p}); r.off < len(r.b); {
		start := r.off
		q := r.property()
		if r.err != nil {
			break
		}
		if q.ID != id {
			dst = append(dst, p[start:r.off]...)
		}
	}
	return dst
}
