package script

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// kind is the type of a field's value.
type kind uint8

const (
	kindNumber kind = iota
	kindBool
	kindText
	kindReason
	kindVersion
	kindAbsent // the packet does not have the field
)

// value is the value of a field.
type value struct {
	kind kind
	n    uint64 // of all kinds but texts
	b    []byte // of texts
}

// text returns the bytes of a text, or the digits of a number where a text is needed.
func (v value) text() []byte {
	if v.kind == kindNumber {
		return strconv.AppendUint(nil, v.n, 10)
	}
	return v.b
}

func (v value) equal(o value) bool {
	switch {
	case v.kind == kindAbsent || o.kind == kindAbsent:
		return v.kind == o.kind
	case v.kind == kindText || o.kind == kindText:
		return v.kind == o.kind && bytes.Equal(v.b, o.b)
	}
	return v.n == o.n
}

// shownText is how many bytes of a text a failure prints.
const shownText = 80

// String returns the value as a diff prints it.
func (v value) String() string {
	switch v.kind {
	case kindAbsent:
		return "absent"
	case kindBool:
		return strconv.FormatBool(v.n != 0)
	case kindText:
		if len(v.b) > shownText {
			return fmt.Sprintf("%q... (%d bytes)", v.b[:shownText], len(v.b))
		}
		return strconv.Quote(string(v.b))
	case kindReason:
		return packet.ReasonCode(v.n).Error()
	case kindVersion:
		return packet.Version(v.n).String()
	}
	return strconv.FormatUint(v.n, 10)
}

// field is a field of a packet, as a script or a packet has it. The name of a nested field is a
// path: "will.topic", "filters[0].qos".
type field struct {
	node *yamlfile.Node // nil in a packet
	name string
	prop packet.PropertyID // 0 unless it is a property
	vals []value           // the alternatives; exactly one in packets and fields to send
	ref  string            // a variable, in place of vals
}

func (f *field) is(v value) bool {
	for _, want := range f.vals {
		if want.equal(v) {
			return true
		}
	}
	return false
}

// spec describes the values of a field.
type spec struct {
	name string
	kind kind
	max  uint64
}

var (
	reasonSpec = spec{"reason", kindReason, 255}
	idSpec     = spec{"id", kindNumber, 65535}

	connectSpecs = []spec{{"version", kindVersion, 0}, {"client-id", kindText, 0}, {"clean", kindBool, 0}, {"keep-alive", kindNumber, 65535},
		{"username", kindText, 0}, {"password", kindText, 0}}
	connackSpecs = []spec{{"session-present", kindBool, 0}, reasonSpec, {"code", kindNumber, 255}}
	publishSpecs = []spec{{"topic", kindText, 0}, {"payload", kindText, 0}, {"payload-size", kindNumber, packet.MaxRemainingLength},
		{"qos", kindNumber, 2}, {"retain", kindBool, 0}, {"dup", kindBool, 0}, idSpec}
	ackSpecs       = []spec{idSpec, reasonSpec}
	subackSpecs    = []spec{idSpec}
	subscribeSpecs = []spec{idSpec}
	filterSpecs    = []spec{{"filter", kindText, 0}, {"qos", kindNumber, 2}, {"no-local", kindBool, 0},
		{"retain-as-published", kindBool, 0}, {"retain-handling", kindNumber, 2}}
	willSpecs   = []spec{{"topic", kindText, 0}, {"payload", kindText, 0}, {"qos", kindNumber, 2}, {"retain", kindBool, 0}}
	reasonSpecs = []spec{reasonSpec}
)

// specs returns the fields of a packet type, except lists and properties.
func specs(t packet.Type) []spec {
	switch t {
	case packet.CONNECT:
		return connectSpecs
	case packet.CONNACK:
		return connackSpecs
	case packet.PUBLISH:
		return publishSpecs
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return ackSpecs
	case packet.SUBSCRIBE, packet.UNSUBSCRIBE:
		return subscribeSpecs
	case packet.SUBACK, packet.UNSUBACK:
		return subackSpecs
	case packet.DISCONNECT, packet.AUTH:
		return reasonSpecs
	}
	return nil
}

func findSpec(list []spec, name string) (spec, bool) {
	for _, s := range list {
		if s.name == name {
			return s, true
		}
	}
	return spec{}, false
}

// propertySpec returns the spec of a property; for a user property, that of its name and value.
func propertySpec(id packet.PropertyID) spec {
	s := spec{name: id.String()}
	switch id.Type() {
	case packet.TypeBool:
		s.kind, s.max = kindBool, 1
	case packet.TypeByte:
		s.max = 255
	case packet.TypeUint16:
		s.max = 65535
	case packet.TypeUint32:
		s.max = 1<<32 - 1
	case packet.TypeVarint:
		s.max = packet.MaxRemainingLength
	default:
		s.kind = kindText
	}
	return s
}

// typeByName returns the packet type with a name in capitals.
func typeByName(name string) (packet.Type, bool) {
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// reasonByName returns the reason code with a name of the specification.
func reasonByName(name string) (packet.ReasonCode, bool) {
	switch name {
	case "normal disconnection", "granted QoS 0":
		return packet.Success, true
	}
	for c := range 256 {
		if r := packet.ReasonCode(c); r.String() == name {
			return r, true
		}
	}
	return 0, false
}
