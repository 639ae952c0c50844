package cli

import (
	"strconv"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// PacketProperties are the -D options, by packet.
type PacketProperties struct {
	Connect, Publish, Subscribe, Unsubscribe, Disconnect, Will packet.Properties
}

// readProperties turns the -D options into property blocks. Names, types,
// ranges and repetition are checked here.
func (c *Connection) readProperties() error {
	v := c.inv.Values
	if !v.Has("property") {
		return nil
	}
	p := &c.Properties
	commands := map[string]struct {
		block *packet.Properties
		in    packet.Type
	}{
		"connect": {&p.Connect, packet.CONNECT}, "publish": {&p.Publish, packet.PUBLISH},
		"subscribe": {&p.Subscribe, packet.SUBSCRIBE}, "unsubscribe": {&p.Unsubscribe, packet.UNSUBSCRIBE},
		"disconnect": {&p.Disconnect, packet.DISCONNECT}, "will": {&p.Will, packet.WillProperties},
	}
	all := v.Properties("property")
	if len(all) > 0 && c.Options.Version != 0 && c.Options.Version != packet.V5 {
		return Usagef("--property needs MQTT 5")
	}
	for _, q := range all {
		label := v.Label("property") + " " + q.Command + " " + q.Name
		to, ok := commands[q.Command]
		if !ok {
			return Usagef("%s: no properties can be given for %q", label, q.Command).
				WithHint("the packets are connect, publish, subscribe, unsubscribe, disconnect and will")
		}
		id, ok := packet.PropertyByName(q.Name)
		if !ok {
			return Usagef("%s: %q is not a property of MQTT 5", label, q.Name)
		}
		if !id.AllowedIn(to.in) || id == packet.TopicAlias {
			return Usagef("%s: %s is not allowed for %s", label, q.Name, q.Command)
		}
		if !id.RepeatableIn(to.in) {
			if _, has := to.block.Uint(id); has {
				return Usagef("%s is given twice", label)
			}
		}
		block, err := appendValue(*to.block, id, q)
		if err != nil {
			return Usagef("%s: value %q: %v", label, q.Value, err)
		}
		*to.block = block
	}
	c.Options.Properties = p.Connect
	if len(all) > 0 {
		c.Options.Version = packet.V5
	}
	if _, has := p.Connect.Uint(packet.SessionExpiryInterval); has && v.IsSet("session-expiry-interval") {
		return Usagef("--session-expiry-interval and --property connect session-expiry-interval exclude each other")
	}
	return nil
}

func appendValue(p packet.Properties, id packet.PropertyID, q Property) (packet.Properties, error) {
	switch id.Type() {
	case packet.TypePair:
		return p.AppendUser([]byte(q.Key), []byte(q.Value))
	case packet.TypeString, packet.TypeBinary:
		return p.AppendBytes(id, []byte(q.Value))
	}
	n, err := strconv.ParseUint(q.Value, 10, 32)
	if err != nil {
		return p, packet.ErrPropertyValue
	}
	return p.AppendUint(id, uint32(n))
}
