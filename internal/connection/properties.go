package connection

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// PacketProperties holds the properties of the -D options, by packet.
type PacketProperties struct {
	Connect, Publish, Subscribe, Unsubscribe, Disconnect, Will packet.Properties
}

// Subscription returns a subscription with the properties of -D subscribe.
func (p *PacketProperties) Subscription() (s mqtt.Subscription) {
	for q := range p.Subscribe.All() {
		if q.ID == packet.SubscriptionIdentifier {
			s.ID = q.Uint
		} else {
			s.Properties, _ = s.Properties.AppendUser(q.Bytes, q.Value)
		}
	}
	return s
}

// Bye sets the properties of a DISCONNECT. It is an argument of mqtt.Client.Close.
func (p *PacketProperties) Bye(bye *packet.Disconnect) { bye.Properties = p.Disconnect }

// block returns the properties of the packet that word names after -D.
func (p *PacketProperties) block(word string) *packet.Properties {
	switch word {
	case "connect":
		return &p.Connect
	case "publish":
		return &p.Publish
	case "subscribe":
		return &p.Subscribe
	case "unsubscribe":
		return &p.Unsubscribe
	case "disconnect":
		return &p.Disconnect
	}
	return &p.Will
}

// readProperties converts the -D options to property blocks. It checks names, types, ranges
// and repetition.
func (c *Connection) readProperties() error {
	v := c.inv.Values
	if !v.Property.Known() {
		return nil
	}
	p := &c.Properties
	all := v.Property.Properties()
	for _, q := range all {
		label := v.Property.Name() + " " + q.Command + " " + q.Name
		to := option.PacketOf(q.Command)
		if to == nil {
			return option.Invalid(v.Property.Name(), "packet", q.Command, "want connect, publish, subscribe, unsubscribe, disconnect or will")
		}
		id, ok := packet.PropertyByName(q.Name)
		if !ok {
			return option.Usagef("%s: unknown property %q", v.Property.Name(), q.Name)
		}
		if !to.Takes(id) {
			return option.Usagef("%s: not a property of this packet", label)
		}
		if id == packet.TopicAlias { // the client assigns it, as far as the broker allows
			if c.Options.SendAliases != 0 {
				return option.Usagef("%s is given twice", label)
			}
			n, err := strconv.ParseUint(q.Value, 10, 16)
			if err != nil || n == 0 {
				return option.Invalid(label, "value", q.Value, "%s", units.WantNumber(1, 65535))
			}
			c.Options.SendAliases = uint16(n)
			continue
		}
		block := p.block(to.Word)
		if !id.RepeatableIn(to.In) {
			if _, has := block.Uint(id); has {
				return option.Usagef("%s is given twice", label)
			}
		}
		grown, err := appendValue(*block, id, q)
		if err == nil {
			_, err = packet.ParseProperties(grown[len(*block):], to.In) // rules beyond the types
		}
		if err != nil {
			return problemOf(q, label, id, err)
		}
		*block = grown
	}
	_, method := p.Connect.Bytes(packet.AuthenticationMethod)
	if _, data := p.Connect.Bytes(packet.AuthenticationData); data && !method {
		return option.Usagef("%s connect authentication-data needs an authentication-method", v.Property.Name())
	}
	if method && c.Options.Authenticate != nil {
		return option.Usagef("%s and %s connect authentication-method cannot be used together", v.Auth.Name(), v.Property.Name())
	}
	if err := c.checkUse(all); err != nil {
		return err
	}
	c.Options.Properties, c.Options.UnsubscribeProperties = p.Connect, p.Unsubscribe
	if len(all) > 0 {
		c.Require5(v.Property)
	}
	if seconds, has := p.Connect.Uint(packet.SessionExpiryInterval); has {
		if v.SessionExpiryInterval.IsSet() {
			return option.Usagef("%s and %s connect session-expiry-interval cannot be used together", v.SessionExpiryInterval.Name(), v.Property.Name())
		}
		c.Options.Session.Expiry = time.Duration(seconds) * time.Second
	}
	// A DISCONNECT cannot turn no session expiry into one (MQTT 5.0, 3.14.2.2.2).
	if seconds, has := p.Disconnect.Uint(packet.SessionExpiryInterval); has && seconds > 0 && c.Options.Session.Expiry == 0 {
		return option.Usagef("%s disconnect session-expiry-interval: the connection has no session to keep", v.Property.Name()).
			WithHint("keep one from the beginning: -x %d", seconds)
	}
	return nil
}

// checkUse refuses properties that would not be sent, or that describe a payload wrongly.
func (c *Connection) checkUse(all []option.Property) error {
	v := c.inv.Values
	if c.inv.As != nil { // mosquitto's clients ignore properties that they do not send
		return nil
	}
	for _, q := range all {
		if v.Property.Origin() < option.OriginFile {
			break // a configuration may serve both tools
		}
		need := ""
		sends := option.PacketOf(q.Command).Tools&c.inv.Tool.Bit != 0
		switch pub := c.inv.Tool.Bit == option.Pub; {
		case q.Command == "subscribe" && pub && !v.Request.On() && !v.ResponseTopic.IsSet():
			need = "--request"
		case !sends && pub:
			return option.Usagef("%s unsubscribe: mqpub sends no UNSUBSCRIBE", v.Property.Name())
		case !sends:
			return option.Usagef("%s publish: mqsub publishes nothing of its own", v.Property.Name()).WithHint("replies have the properties of their requests")
		case q.Command == "unsubscribe" && c.inv.Tool.Bit == option.Sub && !v.Unsubscribe.IsSet():
			need = "--unsubscribe"
		}
		if need != "" {
			return option.Usagef("%s %s needs %s", v.Property.Name(), q.Command, need)
		}
	}
	for _, text := range [...]struct {
		word, option string
		block        packet.Properties
	}{{"publish", "message", c.Properties.Publish}, {"will", "will-payload", c.Properties.Will}} {
		if n, _ := text.block.Uint(packet.PayloadFormatIndicator); n == 1 && v.Of(text.option).Known() && !utf8.ValidString(v.Of(text.option).Text()) {
			return option.Usagef("%s %s payload-format-indicator: %s is not UTF-8 text", v.Property.Name(), text.word, v.Of(text.option).Name())
		}
	}
	return nil
}

// problemOf returns the error that says which word of a property is wrong, and why.
func problemOf(p option.Property, label string, id packet.PropertyID, err error) error {
	what, value := "value", p.Value
	if id.Type() == packet.TypePair {
		if _, keyErr := packet.Properties(nil).AppendUser([]byte(p.Key), nil); keyErr != nil {
			what, value = "key", p.Key
		}
	}
	if errors.Is(err, packet.ErrPropertyValue) {
		most := map[packet.PropertyType]int64{packet.TypeBool: 1, packet.TypeByte: 1, packet.TypeUint16: 65535, packet.TypeUint32: 4294967295, packet.TypeVarint: 268435455}[id.Type()]
		if most > 0 {
			least := int64(0)
			if id == packet.ReceiveMaximum || id == packet.MaximumPacketSize || id == packet.SubscriptionIdentifier {
				least = 1
			}
			return option.Invalid(label, what, value, "%s", units.WantNumber(least, most))
		}
	}
	var e *packet.Error
	if errors.As(err, &e) {
		return option.Invalid(label, what, value, "%s", e.Text)
	}
	return option.Invalid(label, what, value, "%v", err)
}

func appendValue(p packet.Properties, id packet.PropertyID, q option.Property) (packet.Properties, error) {
	switch id.Type() {
	case packet.TypePair:
		return p.AppendUser([]byte(q.Key), []byte(q.Value))
	case packet.TypeString:
		return p.AppendBytes(id, []byte(q.Value))
	case packet.TypeBinary:
		b, err := parseBinary(q.Value)
		if err != nil {
			return p, fmt.Errorf("it %w", err)
		}
		return p.AppendBytes(id, b)
	}
	n, err := strconv.ParseUint(q.Value, 10, 32)
	if err != nil {
		return p, packet.ErrPropertyValue
	}
	return p.AppendUint(id, uint32(n))
}

// parseBinary parses the value of a binary property: hex:00ff, base64:AP8=, or plain bytes,
// after text: if they begin with one of these words.
func parseBinary(s string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, errors.New("has something else than pairs of hex digits")
		}
		return b, nil
	}
	if text, ok := strings.CutPrefix(s, "base64:"); ok {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("is not base64")
		}
		return b, nil
	}
	return []byte(strings.TrimPrefix(s, "text:")), nil
}
