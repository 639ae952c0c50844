package script

import (
	"fmt"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// builder makes a packet from resolved fields.
type builder struct {
	fields []field
	err    error
}

func (b *builder) get(name string) (value, bool) {
	for i := range b.fields {
		if b.fields[i].name == name {
			return b.fields[i].vals[0], true
		}
	}
	return value{}, false
}

// uint returns a field that is a number up to most. A text in a variable is an error.
func (b *builder) uint(name string, most uint64) uint64 {
	v, ok := b.get(name)
	if ok && (v.kind == kindText || v.n > most) && b.err == nil {
		b.err = fmt.Errorf("%s: %v is not a number from 0 to %d", name, v, most)
	}
	return v.n
}

func (b *builder) flag(name string) bool { return b.uint(name, 1) != 0 }
func (b *builder) id() uint16            { return uint16(b.uint("id", 65535)) }
func (b *builder) reason() packet.ReasonCode {
	return packet.ReasonCode(b.uint("reason", 255))
}

func (b *builder) bytes(name string) []byte {
	v, ok := b.get(name)
	if ok && v.kind != kindText && v.kind != kindNumber && b.err == nil {
		b.err = fmt.Errorf("%s: %v is not a text", name, v)
	}
	if !ok {
		return nil
	}
	return v.text()
}

// properties encodes the properties under a prefix, in the order of the file.
func (b *builder) properties(prefix string) packet.Properties {
	var p packet.Properties
	var user []byte
	for i := range b.fields {
		f := &b.fields[i]
		if f.prop == 0 || !strings.HasPrefix(f.name, prefix+f.prop.String()) {
			continue
		}
		var err error
		v := f.vals[0]
		switch {
		case strings.HasSuffix(f.name, "].name"):
			user = v.b
		case strings.HasSuffix(f.name, "].value"):
			p, err = p.AppendUser(user, v.b)
		case v.kind == kindText:
			p, err = p.AppendBytes(f.prop, v.b)
		case v.n > 1<<32-1:
			err = packet.ErrPropertyValue
		default:
			p, err = p.AppendUint(f.prop, uint32(v.n))
		}
		if err != nil && b.err == nil {
			b.err = fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return p
}

// packet returns the packet of type t that the fields describe.
func (b *builder) packet(t packet.Type) packet.Packet {
	switch t {
	case packet.CONNECT:
		return b.connect()
	case packet.CONNACK:
		p := &packet.Connack{SessionPresent: b.flag("session-present"), Reason: b.reason(), Properties: b.properties("")}
		return p
	case packet.PUBLISH:
		return &packet.Publish{Dup: b.flag("dup"), QoS: packet.QoS(b.uint("qos", 2)), Retain: b.flag("retain"), Topic: b.bytes("topic"),
			PacketID: b.id(), Payload: b.bytes("payload"), Properties: b.properties("")}
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return &packet.Ack{Type: t, PacketID: b.id(), Reason: b.reason(), Properties: b.properties("")}
	case packet.SUBSCRIBE:
		p := &packet.Subscribe{PacketID: b.id(), Properties: b.properties("")}
		for i := range int(b.uint("filters", 65535)) {
			prefix := indexed("filters", i) + "."
			o := packet.SubscribeOptions(b.uint(prefix+"qos", 2)) | packet.SubscribeOptions(b.uint(prefix+"retain-handling", 2)<<4)
			if b.flag(prefix + "no-local") {
				o |= packet.NoLocal
			}
			if b.flag(prefix + "retain-as-published") {
				o |= packet.RetainAsPublished
			}
			p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: b.bytes(prefix + "filter"), Options: o})
		}
		return p
	case packet.UNSUBSCRIBE:
		p := &packet.Unsubscribe{PacketID: b.id(), Properties: b.properties("")}
		for i := range int(b.uint("filters", 65535)) {
			p.Filters = append(p.Filters, b.bytes(indexed("filters", i)+".filter"))
		}
		return p
	case packet.SUBACK, packet.UNSUBACK:
		p := &packet.Suback{Type: t, PacketID: b.id(), Properties: b.properties("")}
		for i := range int(b.uint("codes", 65535)) {
			p.Codes = append(p.Codes, byte(b.uint(indexed("codes", i), 255)))
		}
		return p
	case packet.DISCONNECT:
		return &packet.Disconnect{Reason: b.reason(), Properties: b.properties("")}
	case packet.AUTH:
		return &packet.Auth{Reason: b.reason(), Properties: b.properties("")}
	}
	return &packet.Ping{Type: t}
}

func (b *builder) connect() *packet.Connect {
	p := &packet.Connect{CleanStart: b.flag("clean"), KeepAlive: uint16(b.uint("keep-alive", 65535)), ClientID: b.bytes("client-id"),
		Version: packet.Version(b.uint("version", 255)), Properties: b.properties("")}
	if _, has := b.get("username"); has {
		p.HasUsername, p.Username = true, b.bytes("username")
	}
	if _, has := b.get("password"); has {
		p.HasPassword, p.Password = true, b.bytes("password")
	}
	if p.HasWill = b.flag("will"); p.HasWill {
		p.Will = packet.Will{QoS: packet.QoS(b.uint("will.qos", 2)), Retain: b.flag("will.retain"), Topic: b.bytes("will.topic"),
			Payload: b.bytes("will.payload"), Properties: b.properties("will.")}
	}
	return p
}

// encode returns the bytes of a step that sends, in version v of the connection called name, and
// the version after it.
func (s *step) encode(v packet.Version, name string, vars map[string]value) ([]byte, packet.Version, error) {
	fields := make([]field, 0, len(s.fields)+3)
	for i := range s.fields {
		f := s.fields[i]
		if f.ref != "" {
			known, ok := vars[f.ref]
			if !ok {
				return nil, v, fmt.Errorf("%s: <%s> has no value here", f.name, f.ref)
			}
			f.vals = []value{known}
		}
		fields = append(fields, f)
	}
	b := &builder{fields: fields}
	if s.typ == packet.CONNECT {
		for _, d := range [...]field{
			{name: "client-id", vals: []value{{kind: kindText, b: []byte(name)}}},
			{name: "clean", vals: []value{{kind: kindBool, n: 1}}},
			{name: "version", vals: []value{{kind: kindVersion, n: uint64(v)}}},
		} {
			if _, has := b.get(d.name); !has {
				b.fields = append(b.fields, d)
			}
		}
	}
	p := b.packet(s.typ)
	if b.err != nil {
		return nil, v, b.err
	}
	if c, ok := p.(*packet.Connect); ok {
		v = c.Version
	}
	out, err := p.AppendTo(nil, v)
	if code, has := b.get("code"); has && err == nil {
		if v >= packet.V5 {
			return nil, v, fmt.Errorf("code: MQTT 5.0 has a reason")
		}
		out[len(out)-1] = byte(code.n)
	}
	return out, v, err
}
