package connection

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// readVersion reads the version of MQTT, and refuses options that the version does not
// know. If such an option has a weaker origin, it has no effect, which is reported.
func (c *Connection) readVersion() error {
	v, o := c.inv.Values, &c.Options
	if o.Version = ProtocolVersion(v); o.Version == 0 || o.Version >= packet.V5 {
		return nil
	}
	for _, name := range c.of5() {
		if v.Of(name).Origin() >= v.ProtocolVersion.Origin() || name == "auth" { // the password would be sent in clear text
			return v.Of(name).Lacks("MQTT 5, not " + o.Version.String()).WithHint("drop it, or pass -V 5")
		}
		c.inv.Warnf("%s has no effect with MQTT %s", v.Of(name).Name(), o.Version)
		v.Of(name).Yield(v.ProtocolVersion)
	}
	return nil
}

// ProtocolVersion returns the version of --protocol-version; 0 is auto.
func ProtocolVersion(v *option.Values) packet.Version {
	switch v.ProtocolVersion.Text() {
	case "5":
		return packet.V5
	case "311":
		return packet.V311
	case "31":
		return packet.V31
	}
	return 0
}

// of5 returns the names of the options in use that only MQTT 5.0 knows.
func (c *Connection) of5() (names []string) {
	v := c.inv.Values
	for _, opt := range option.Table(c.inv.Tool.Bit) {
		if opt.V5 && v.Of(opt.Name).Given() && !(opt.Type == option.TypeChoice && v.Of(opt.Name).Text() == opt.Default) {
			names = append(names, opt.Name)
		}
	}
	return names
}

// Require5 makes the connection use MQTT 5 or fail: with an older version, the option by
// would do nothing.
func (c *Connection) Require5(by *option.Value) {
	if c.Options.Version == 0 {
		c.Options.Version, c.needs = packet.V5, by
	}
}

func (c *Connection) readIdentity() error {
	v, o := c.inv.Values, &c.Options
	if err := c.readID(); err != nil {
		return err
	}
	for _, t := range c.targets {
		if t.HasUsername && o.Username == "" {
			o.Username = t.Username
		}
		if t.HasPassword && o.Password == nil {
			o.Password = []byte(t.Password)
		}
	}
	// The user and the password of a URL override those of weaker origins.
	if v.Username.IsSet() && (o.Username == "" || v.Username.Origin() >= v.URL.Origin()) {
		o.Username = v.Username.Text()
	}
	if o.Password != nil {
		for _, name := range option.PasswordSources {
			v.Of(name).Yield(v.URL)
		}
	}
	password, err := c.findPassword()
	if err != nil {
		return err
	}
	if password != nil {
		o.Password = password
	}
	for _, f := range [...]struct{ name, value string }{{"id", o.ClientID}, {"username", o.Username}, {"password", string(o.Password)}} {
		if len(f.value) > packet.MaxString {
			return option.Usagef("%s has %d bytes; MQTT carries at most 65535", v.Of(f.name).Name(), len(f.value))
		}
		if f.name != "password" && !validText(f.value) {
			return v.Of(f.name).Invalid("value", f.value, "want UTF-8 text")
		}
	}
	if err := c.readAuth(); err != nil || o.Authenticate != nil {
		return err
	}
	if o.Password != nil && o.Username == "" && o.Version != packet.V5 && o.Version != 0 {
		return option.Usagef("a password without --username needs MQTT 5")
	}
	return nil
}

// validText reports whether s is allowed in an MQTT string.
func validText(s string) bool {
	_, err := packet.Properties(nil).AppendUser(nil, []byte(s))
	return err == nil || errors.Is(err, packet.ErrStringTooLong)
}

// readID reads the client identifier, for tools that are a single client.
func (c *Connection) readID() error {
	v, o := c.inv.Values, &c.Options
	if !v.IDPrefix.Known() {
		return nil
	}
	o.ClientID = v.ID.Text()
	if v.IDPrefix.IsSet() {
		o.ClientID = v.IDPrefix.Text() + strconv.Itoa(os.Getpid())
	}
	if o.ClientID == "" && o.Version == packet.V31 {
		o.NewClientID = true
		o.ClientID = "mq-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano()&0xffffff, 36)
	}
	return nil
}

func (c *Connection) readSession() error {
	v, o := c.inv.Values, &c.Options
	o.KeepAlive = v.Keepalive.Duration()
	if o.KeepAlive == 0 {
		o.KeepAlive = mqtt.NoKeepAlive
	}
	o.ConnectTimeout = v.ConnectTimeout.Duration()
	if !v.ReceiveMaximum.Known() {
		return nil
	}
	o.MaxPacket = int(v.MaxPacketSize.Int64())
	o.MaxInflight = v.MaxInflight.Int()
	if !v.MaxInflight.IsSet() {
		o.OldInflight = oldInflight
	}
	o.ReceiveMaximum = uint16(v.ReceiveMaximum.Int())
	o.TopicAliasMaximum = uint16(v.TopicAliasMaximum.Int())
	s := &o.Session
	s.Resume = v.DisableCleanSession.On()
	if v.SessionExpiryInterval.IsSet() {
		s.Expiry = v.SessionExpiryInterval.Duration()
		s.Keep = !s.Resume && s.Expiry > 0
	} else if s.Resume {
		s.Expiry = mqtt.Forever
	}
	if c.inv.Tool.Bit == option.Sub && !v.ReceiveMaximum.IsSet() && (s.Resume || s.Keep) {
		o.ReceiveMaximum, o.ReceiveLimit = keptReceiveMaximum, 65535
	}
	o.NewClientID = o.NewClientID || o.ClientID == "" // the broker assigns one
	if s.Resume && o.ClientID == "" {
		return v.DisableCleanSession.Lacks("a client ID").WithHint("add --id NAME")
	}
	return nil
}

// keptReceiveMaximum is the default Receive Maximum of a subscriber whose session is kept: how many
// messages, at most, a crash repeats. It is a wish, since mosquitto 2.0 sends more when it
// resumes a session.
const keptReceiveMaximum = 1000

// oldInflight is the number of messages at QoS 2 in flight to a broker that cannot announce
// its limit: mosquitto closes the connection at one more.
const oldInflight = 20

func (c *Connection) readWill() error {
	v := c.inv.Values
	if !v.WillTopic.Known() {
		return nil
	}
	if !v.WillTopic.IsSet() {
		if len(c.Properties.Will) > 0 && v.Property.Origin() >= option.OriginFile {
			return option.Usagef("%s will needs --will-topic", v.Property.Name())
		}
		return nil
	}
	t := v.WillTopic.Text()
	if err := CheckTopic(v.WillTopic.Name(), t); err != nil {
		return err
	}
	payload := v.WillPayload.Text()
	if len(payload) > packet.MaxString {
		return option.Usagef("%s has %d bytes; MQTT carries at most 65535", v.WillPayload.Name(), len(payload))
	}
	c.Options.Will = &mqtt.Will{Message: mqtt.Message{Topic: t, Payload: []byte(payload), QoS: packet.QoS(v.WillQoS.Int()),
		Retain: v.WillRetain.On(), Properties: c.Properties.Will}}
	return nil
}
