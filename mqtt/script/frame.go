package script

import (
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// decoder collects the fields of a packet.
type decoder struct{ out []field }

func (d *decoder) add(name string, v value) {
	d.out = append(d.out, field{name: name, vals: []value{v}})
}

func (d *decoder) num(name string, n int)      { d.add(name, value{n: uint64(n)}) }
func (d *decoder) text(name string, b []byte)  { d.add(name, value{kind: kindText, b: slices.Clone(b)}) }
func (d *decoder) reason(name string, c uint8) { d.add(name, value{kind: kindReason, n: uint64(c)}) }

func (d *decoder) flag(name string, on bool) {
	v := value{kind: kindBool}
	if on {
		v.n = 1
	}
	d.add(name, v)
}

// properties adds the fields of a block. For properties that may occur several times it also adds
// their number. Subscription identifiers are sorted: their order has no meaning.
func (d *decoder) properties(prefix string, t packet.Type, p packet.Properties) {
	var ids []uint32
	users := 0
	for q := range p.All() {
		name := prefix + q.ID.String()
		switch {
		case q.ID.Type() == packet.TypePair:
			d.text(indexed(name, users)+".name", q.Bytes)
			d.text(indexed(name, users)+".value", q.Value)
			users++
		case q.ID.RepeatableIn(t):
			ids = append(ids, q.Uint)
		case q.ID.Type() == packet.TypeString || q.ID.Type() == packet.TypeBinary:
			d.text(name, q.Bytes)
		default:
			d.add(name, value{kind: propertySpec(q.ID).kind, n: uint64(q.Uint)})
		}
	}
	d.num(prefix+packet.UserProperty.String(), users)
	if packet.SubscriptionIdentifier.RepeatableIn(t) {
		slices.Sort(ids)
		name := prefix + packet.SubscriptionIdentifier.String()
		for i, id := range ids {
			d.num(indexed(name, i), int(id))
		}
		d.num(name, len(ids))
	}
}

// decode returns the fields of a packet in version v. version is the version of a CONNECT,
// otherwise 0.
func decode(f packet.Frame, v packet.Version) (fields []field, version packet.Version, err error) {
	var d decoder
	switch f.Type {
	case packet.CONNECT:
		var p packet.Connect
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.connect(&p)
		version = p.Version
	case packet.CONNACK:
		var p packet.Connack
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.flag("session-present", p.SessionPresent)
		d.reason("reason", uint8(p.Reason))
		if v < packet.V5 {
			d.num("code", int(f.Body[1]))
		}
		d.properties("", f.Type, p.Properties)
	case packet.PUBLISH:
		var p packet.Publish
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.publish(&p)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		var p packet.Ack
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.num("id", int(p.PacketID))
		d.reason("reason", uint8(p.Reason))
		d.properties("", f.Type, p.Properties)
	case packet.SUBSCRIBE:
		var p packet.Subscribe
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.num("id", int(p.PacketID))
		d.num("filters", len(p.Subscriptions))
		for i, s := range p.Subscriptions {
			prefix := indexed("filters", i) + "."
			d.text(prefix+"filter", s.Filter)
			d.num(prefix+"qos", int(s.Options.QoS()))
			d.flag(prefix+"no-local", s.Options&packet.NoLocal != 0)
			d.flag(prefix+"retain-as-published", s.Options&packet.RetainAsPublished != 0)
			d.num(prefix+"retain-handling", int(s.Options.RetainHandling()))
		}
		d.properties("", f.Type, p.Properties)
	case packet.UNSUBSCRIBE:
		var p packet.Unsubscribe
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.num("id", int(p.PacketID))
		d.num("filters", len(p.Filters))
		for i, s := range p.Filters {
			d.text(indexed("filters", i)+".filter", s)
		}
		d.properties("", f.Type, p.Properties)
	case packet.SUBACK, packet.UNSUBACK:
		var p packet.Suback
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.num("id", int(p.PacketID))
		d.num("codes", len(p.Codes))
		for i, c := range p.Codes {
			d.reason(indexed("codes", i), c)
		}
		d.properties("", f.Type, p.Properties)
	case packet.DISCONNECT:
		var p packet.Disconnect
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.reason("reason", uint8(p.Reason))
		d.properties("", f.Type, p.Properties)
	case packet.AUTH:
		var p packet.Auth
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
		d.reason("reason", uint8(p.Reason))
		d.properties("", f.Type, p.Properties)
	default:
		var p packet.Ping
		if err := p.Parse(f, v); err != nil {
			return nil, 0, err
		}
	}
	return d.out, version, nil
}

func (d *decoder) connect(p *packet.Connect) {
	d.add("version", value{kind: kindVersion, n: uint64(p.Version)})
	d.text("client-id", p.ClientID)
	d.flag("clean", p.CleanStart)
	d.num("keep-alive", int(p.KeepAlive))
	if p.HasUsername {
		d.text("username", p.Username)
	}
	if p.HasPassword {
		d.text("password", p.Password)
	}
	d.properties("", packet.CONNECT, p.Properties)
	if p.HasWill {
		d.flag("will", true)
		d.text("will.topic", p.Will.Topic)
		d.text("will.payload", p.Will.Payload)
		d.num("will.qos", int(p.Will.QoS))
		d.flag("will.retain", p.Will.Retain)
		d.properties("will.", packet.WillProperties, p.Will.Properties)
	}
}

func (d *decoder) publish(p *packet.Publish) {
	d.text("topic", p.Topic)
	d.text("payload", p.Payload)
	d.num("payload-size", len(p.Payload))
	d.num("qos", int(p.QoS))
	d.flag("retain", p.Retain)
	d.flag("dup", p.Dup)
	if p.QoS > 0 {
		d.num("id", int(p.PacketID))
	}
	d.properties("", packet.PUBLISH, p.Properties)
}
