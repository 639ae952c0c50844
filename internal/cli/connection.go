package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Connection is what the options say about the broker and how to reach it.
// Tools adjust Options before they call Connect.
type Connection struct {
	Options    mqtt.Options
	Properties PacketProperties

	// Hold has the broker of --serve let clients wait until Admit: whoever finds
	// it there finds this one subscribed. It is set before Connect.
	Hold bool

	inv     *Invocation
	ctx     context.Context // of what is run to find options
	targets []*transport.Target
	last    atomic.Int32 // the index of the target that answered last
	dialer  transport.Dialer
	proxies []*transport.Proxy // of the environment, one for each target; nil without
	reached bool               // a first connection was made
	needs   string             // the option that needs MQTT 5 where the version is open; "" without
	serving *server

	up       chan struct{}  // 1 slot: a connection was restored; nil unless somebody wants to know
	reused   bool           // it has been told that the broker uses packet identifiers again
	stop     func()         // ends what runs beside the client; nil when nothing does
	children sync.WaitGroup // what runs beside the client
}

// NewConnection reads and checks the connection options. The end of ctx ends the
// commands that it runs for them.
func NewConnection(ctx context.Context, inv *Invocation) (*Connection, error) {
	return ConnectionTo(ctx, inv, nil)
}

// ConnectionTo is NewConnection to brokers that the options do not name; nil: those of the
// options.
func ConnectionTo(ctx context.Context, inv *Invocation, brokers []*transport.Target) (*Connection, error) {
	c := &Connection{inv: inv, ctx: ctx, targets: brokers}
	for _, step := range []func() error{c.readTargets, c.readTLS, c.readWay, c.readVersion, c.readIdentity, c.readSession, c.readProperties, c.readWill} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Resolve is the broker that the options lead to, as a run would find it, and the
// option that says so; a cli.Tool's Resolve.
func Resolve(ctx context.Context, inv *Invocation) (broker, from string, err error) {
	c, err := NewConnection(ctx, inv)
	if err != nil {
		return "", "", err
	}
	var all []string
	for _, t := range c.targets {
		all = append(all, strconv.Quote(t.Redacted()))
	}
	if from = "default"; inv.Values.IsSet("serve") {
		all = []string{"this program"}
	}
	for _, name := range [...]string{"host", "unix", "url", "serve"} {
		if inv.Values.Origin(name) != option.OriginDefault {
			from = "--" + name
		}
	}
	return strings.Join(all, " "), from, nil
}

// Answered notes which of the targets has answered: errors are about it.
func (c *Connection) Answered(t *transport.Target) {
	if n := slices.Index(c.targets, t); n >= 0 {
		c.last.Store(int32(n))
	}
}

// Broker is the address that was reached last, for a heading.
func (c *Connection) Broker() string { return c.targets[c.last.Load()].Address() }

// Targets are the addresses of the broker; with --serve they are known when it
// serves.
func (c *Connection) Targets() []*transport.Target { return c.targets }

// URLTopic is the topic of the first --url that has one.
func (c *Connection) URLTopic() string {
	for _, t := range c.targets {
		if t.Topic != "" {
			return t.Topic
		}
	}
	return ""
}

// checkServe refuses options that need --serve, and with it those about a broker that
// is another program: this process reaches its own one as it wants.
func (c *Connection) checkServe() error {
	v := c.inv.Values
	serving := v.IsSet("serve")
	for _, o := range option.Table(c.inv.Tool.Bit) {
		if v.Origin(o.Name) < option.OriginFile || !v.Given(o.Name) {
			continue
		}
		switch {
		case !serving && strings.HasPrefix(o.Name, "serve-"):
			return option.Usagef("%s needs --serve", v.Name(o.Name)).WithHint("add --serve, which runs a broker on %s", option.DefaultServeAddr)
		case serving && o.Name == "insecure":
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("drop it: the broker of --serve is this program, and needs no verifying")
		case serving && o.Group == option.GroupTLS:
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("to serve TLS: --serve mqtts://127.0.0.1 --serve-cert FILE --serve-key FILE")
		case serving && slices.Contains(reaching[:], o.Name):
			return option.Usagef("%s has no effect with --serve", v.Name(o.Name)).WithHint("drop it: the broker of --serve is this program")
		}
	}
	return nil
}

// reaching are options for the way to another broker.
var reaching = [...]string{"srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command", "bind-address"}

func (c *Connection) readTargets() error {
	v := c.inv.Values
	if err := c.checkServe(); err != nil || c.targets != nil {
		return err
	}
	v.Yield("serve", "host", "port", "url", "unix")
	if v.Has("srv") {
		v.Yield("srv", "port", "url", "unix", "ws", "ws-path")
	}
	if v.Has("srv") && v.Bool("srv") {
		for _, other := range [...]string{"port", "url", "unix", "ws", "ws-path"} {
			if v.Clash("srv", other) {
				return option.Usagef("%s and %s cannot be used together", v.Name("srv"), v.Name(other))
			}
		}
		host := v.String("host")
		if strings.ContainsAny(host, "/: \t\n") {
			return v.Invalid("host", "value", host, "want a domain, with --srv")
		}
		c.targets = []*transport.Target{{Network: "tcp", Host: host, SRV: true, TLS: !v.Bool("no-tls") && c.wantsTLS()}}
		return nil
	}
	// A port or path alone leads to no other broker, and is an error beside a URL.
	v.Yield("url", "host", "unix")
	v.Yield("unix", "url", "host")
	for _, name := range [...]string{"host", "port", "ws", "ws-path"} {
		v.Yield(name, "url", "unix")
	}
	if v.IsSet("url") {
		for _, other := range [...]string{"host", "port", "unix", "ws", "ws-path"} {
			if v.Clash("url", other) || other != "host" && v.Above(other, "url") {
				return option.Usagef("%s and %s cannot be used together", v.Name("url"), v.Name(other))
			}
			if v.Given(other) {
				c.inv.Warnf("%s has no effect beside %s", v.Name(other), v.Name("url"))
			}
		}
		for _, s := range v.Strings("url") {
			t, err := transport.ParseURL(s)
			if err != nil {
				return option.Usagef("%s: %v", v.Name("url"), err)
			}
			if t.TLS && v.Bool("no-tls") && v.Origin("no-tls") >= v.Origin("url") {
				return option.Usagef("%s and the URL %s cannot be used together", v.Name("no-tls"), t.Redacted())
			}
			c.targets = append(c.targets, t)
		}
		return nil
	}
	if path := v.String("unix"); path != "" {
		for _, other := range [...]string{"host", "port", "ws", "ws-path"} {
			if v.Given(other) && (other != "host" || v.Clash("unix", other)) {
				return option.Usagef("%s and %s cannot be used together", v.Name("unix"), v.Name(other))
			}
		}
		c.targets = []*transport.Target{{Network: "unix", Path: path}}
		return nil
	}
	host, port := v.String("host"), v.Int("port")
	if host == "" {
		return v.Invalid("host", "value", host, "%v", option.ErrEmpty)
	}
	if strings.Contains(host, "://") {
		switch t, err := transport.ParseURL(host); {
		case err != nil:
			host = host[:strings.Index(host, "://")+3] + "..."
		case t.HasPassword:
			host = t.Redacted()
		}
		return option.Usagef("%s takes a host, not a URL: %q", v.Name("host"), host).WithHint("use -L %s", host)
	}
	// HOST:PORT and [IPV6]:PORT; a bare IPv6 address has several colons.
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		h, p, err := net.SplitHostPort(host)
		if err == nil {
			n, err := strconv.Atoi(p)
			if err != nil || n < 1 || n > 65535 {
				return v.Invalid("host", "value", host, "want a port from 1 to 65535")
			}
			switch {
			case !v.IsSet("port") || n == port || v.Origin("host") > v.Origin("port"):
				port = n
			case v.Origin("host") == v.Origin("port"):
				return option.Usagef("%s %q and %s %d disagree", v.Name("host"), host, v.Name("port"), port)
			}
			host = h
		} else if strings.HasSuffix(host, "]") {
			host = strings.Trim(host, "[]")
		} else {
			return v.Invalid("host", "value", host, "want HOST, HOST:PORT or [IPV6]:PORT")
		}
	}
	if strings.ContainsAny(host, "/ \t\n") {
		return v.Invalid("host", "value", host, "want a host name or address").WithHint("a URL goes after --url, a socket's path after --unix")
	}
	t := &transport.Target{Network: "tcp", Host: host, TLS: !v.Bool("no-tls") && (port == 8883 || c.wantsTLS())}
	if v.Bool("ws") || v.IsSet("ws-path") {
		t.WebSocket, t.Resource = true, transport.DefaultResource
		if v.IsSet("ws-path") {
			t.Resource = v.String("ws-path")
		}
		if !strings.HasPrefix(t.Resource, "/") {
			t.Resource = "/" + t.Resource
		}
		if err := transport.CheckResource(t.Resource); err != nil {
			return v.Invalid("ws-path", "value", v.String("ws-path"), "it %v", err)
		}
	}
	if t.Port = port; port == 0 {
		t.Port = t.DefaultPort()
	}
	c.targets = []*transport.Target{t}
	return nil
}

// wantsTLS tells whether an option turns TLS on.
func (c *Connection) wantsTLS() bool {
	v := c.inv.Values
	return v.Bool("tls") || v.IsSet("tls-pin") || v.IsSet("cafile") || v.IsSet("capath") || v.Bool("tls-use-os-certs") || v.IsSet("cert")
}

func (c *Connection) readTLS() error {
	v := c.inv.Values
	v.Yield("tls", "no-tls")
	v.Yield("no-tls", "tls")
	if v.Bool("no-tls") && v.Bool("tls") {
		return option.Usagef("%s and %s cannot be used together", v.Name("tls"), v.Name("no-tls"))
	}
	if err := c.refuseOpenSSL(); err != nil {
		return err
	}
	switch cert, key := v.IsSet("cert"), v.IsSet("key"); {
	case cert && !key:
		return option.Usagef("--cert needs --key")
	case key && !cert:
		return option.Usagef("--key needs --cert")
	}
	for _, p := range v.Strings("tls-alpn") {
		if p == "" || len(p) > 255 {
			return v.Invalid("tls-alpn", "value", p, "want a name of 1 to 255 bytes")
		}
	}
	c.dialer = transport.Dialer{Timeout: v.Duration("connect-timeout"), LocalAddr: v.String("bind-address")}
	secure := false
	for _, t := range c.targets {
		if t.Network == "tcp" && c.wantsTLS() && !v.Bool("no-tls") {
			t.TLS = true
		}
		secure = secure || t.TLS
	}
	if !secure {
		if v.Bool("insecure") && v.Origin("insecure") >= option.OriginFile {
			return option.Usagef("--insecure needs TLS").WithHint("add --tls, or use mqtts://")
		}
		return nil
	}
	o := &transport.TLSOptions{CAFile: v.String("cafile"), CAPath: v.String("capath"), UseSystemRoots: v.Bool("tls-use-os-certs"),
		CertFile: v.String("cert"), KeyFile: v.String("key"), ServerName: v.String("tls-server-name"),
		ALPN: v.Strings("tls-alpn"), Insecure: v.Bool("insecure"), MinVersion: tls.VersionTLS12}
	if v.String("tls-version") == "1.3" {
		o.MinVersion = tls.VersionTLS13
	}
	if list := v.String("ciphers"); list != "" {
		ids, err := transport.ParseCiphers(list)
		if err != nil {
			return option.Usagef("%s: %v", v.Name("ciphers"), err)
		}
		if o.MinVersion == tls.VersionTLS13 {
			return option.Usagef("%s and --tls-version 1.3 cannot be used together", v.Name("ciphers")).WithHint("the suites of TLS 1.3 cannot be chosen")
		}
		o.CipherSuites = ids
	}
	for _, s := range v.Strings("tls-pin") {
		pin, err := transport.ParsePin(s)
		if err != nil {
			return v.Invalid("tls-pin", "value", s, "want SHA-256: 64 hex digits, or sha256// and base64").WithHint("openssl x509 -in server.pem -noout -fingerprint -sha256 prints it")
		}
		o.Pins = append(o.Pins, pin)
	}
	if o.KeyLogFile = v.String("tls-keylog"); c.inv.dry {
		o.KeyLogFile = "" // which would be made
	} else if o.KeyLogFile == "" {
		if o.KeyLogFile = c.inv.Getenv("SSLKEYLOGFILE"); o.KeyLogFile != "" {
			c.inv.Infof("SSLKEYLOGFILE: appending the secrets of TLS connections to %s", o.KeyLogFile)
		}
	}
	if o.Insecure && c.inv.As != nil { // mosquitto drops the name only
		o.UseSystemRoots = o.UseSystemRoots || o.CAFile == "" && o.CAPath == ""
	}
	if err := c.readKeyPassword(o); err != nil {
		return err
	}
	if _, err := o.Config(c.targets[0].Host); err != nil {
		return fileOf(v, err, "cafile", "capath", "cert", "key", "tls-keylog")
	}
	if o.CertFile != "" && o.KeyPassword == "" {
		c.warnKey(v.String("key"))
	}
	if o.Insecure && c.inv.As == nil {
		switch {
		case o.CAFile != "" || o.CAPath != "" || o.UseSystemRoots:
			c.inv.Infof("--insecure: the broker's certificate may be for another name; who signed it is verified")
		case len(o.Pins) > 0:
			c.inv.Infof("--insecure: the broker's certificate is verified by its pin alone")
		default:
			c.inv.Warnf("--insecure: anyone on the network can pose as the broker")
		}
	}
	c.dialer.TLS = o
	return nil
}

// warnKey warns of a private key that everybody can read. In place of another program
// there is no such warning.
func (c *Connection) warnKey(path string) {
	if c.inv.As == nil && !c.inv.dry {
		c.inv.warnExposed(c.inv.Talk, path, "a private key", notPublic)
	}
}

// fileOf is an error of loading files, with the one of options that names the file.
func fileOf(v *option.Values, err error, options ...string) *option.UsageError {
	for _, name := range options {
		if path := v.String(name); path != "" && strings.Contains(err.Error(), fileerror.Quote(path)) {
			return option.Usagef("%s: %v", v.Name(name), err)
		}
	}
	return option.Usagef("%v", err)
}

// readWay reads how the connections are made: headers of WebSocket, proxies.
func (c *Connection) readWay() error {
	v := c.inv.Values
	webSocket := false
	for _, t := range c.targets {
		webSocket = webSocket || t.WebSocket
	}
	for _, s := range v.Strings("ws-header") {
		name, value, ok := strings.Cut(s, ":")
		h := transport.Header{Name: name, Value: strings.TrimSpace(value)}
		if !ok {
			return option.Usagef("%s: invalid value (want NAME: VALUE)", v.Name("ws-header"))
		}
		if err := transport.CheckHeader(h); err != nil {
			return v.Invalid("ws-header", "name", name, "it %v", err)
		}
		c.dialer.Headers = append(c.dialer.Headers, h)
	}
	if v.Origin("ws-header") == option.OriginFlag && !webSocket {
		return option.Usagef("--ws-header needs WebSocket").WithHint("add --ws, or use a ws: or wss: URL")
	}
	v.Yield("proxy", "proxy-command")
	v.Yield("proxy-command", "proxy")
	c.dialer.Command = v.String("proxy-command")
	proxy := v.String("proxy")
	if proxy != "" && c.dialer.Command != "" {
		return option.Usagef("%s and %s cannot be used together", v.Name("proxy"), v.Name("proxy-command"))
	}
	if c.dialer.Command != "" || proxy == "none" {
		return nil
	}
	if proxy != "" {
		p, err := transport.ParseProxy(proxy)
		if err != nil {
			return option.Usagef("%s: %v", v.Name("proxy"), err)
		}
		c.dialer.Proxy = p
		return nil
	}
	for _, t := range c.targets {
		p, err := transport.ProxyFromEnvironment(c.inv.Variable, t)
		if err != nil {
			return &option.UsageError{Text: "ALL_PROXY: " + err.Error(), Help: "--proxy none ignores the variable"}
		}
		c.proxies = append(c.proxies, p)
	}
	return nil
}

// readVersion reads the version of MQTT, and refuses options that it does not know.
// Those of a weaker origin have no effect then, which is told.
func (c *Connection) readVersion() error {
	const version = "protocol-version"
	v, o := c.inv.Values, &c.Options
	if o.Version = ProtocolVersion(v); o.Version == 0 || o.Version >= packet.V5 {
		return nil
	}
	for _, name := range c.of5() {
		if v.Origin(name) >= v.Origin(version) {
			return option.Usagef("%s needs MQTT 5, not %s", v.Name(name), o.Version).WithHint("drop it, or pass -V 5")
		}
		c.inv.Warnf("%s has no effect with MQTT %s", v.Name(name), o.Version)
		v.Yield(name, version)
	}
	return nil
}

// ProtocolVersion is that of --protocol-version; 0: auto.
func ProtocolVersion(v *option.Values) packet.Version {
	switch v.String("protocol-version") {
	case "5":
		return packet.V5
	case "311":
		return packet.V311
	case "31":
		return packet.V31
	}
	return 0
}

// of5 are the options in use that MQTT knows only since 5.0.
func (c *Connection) of5() (names []string) {
	v := c.inv.Values
	for _, opt := range option.Table(c.inv.Tool.Bit) {
		if opt.V5 && v.Given(opt.Name) && !(opt.Type == option.TypeChoice && v.String(opt.Name) == opt.Default) {
			names = append(names, opt.Name)
		}
	}
	return names
}

// Require5 has the connection speak MQTT 5 or none: without it an option would do
// nothing at all.
func (c *Connection) Require5(option string) {
	if c.Options.Version == 0 {
		c.Options.Version, c.needs = packet.V5, option
	}
}

func (c *Connection) readIdentity() error {
	v, o := c.inv.Values, &c.Options
	if err := c.readID(); err != nil {
		return err
	}
	for _, t := range c.targets {
		if t.HasUsername && o.Username == nil {
			o.Username = &t.Username
		}
		if t.HasPassword && o.Password == nil {
			o.Password = []byte(t.Password)
		}
	}
	// The user and the password of a URL go before those of weaker origins.
	if v.IsSet("username") && (o.Username == nil || v.Origin("username") >= v.Origin("url")) {
		name := v.String("username")
		o.Username = &name
	}
	if o.Password != nil {
		for _, name := range option.PasswordSources {
			v.Yield(name, "url")
		}
	}
	password, err := c.findPassword()
	if err != nil {
		return err
	}
	if password != nil {
		o.Password = password
	}
	for _, f := range [...]struct{ name, value string }{{"id", o.ClientID}, {"username", deref(o.Username)}, {"password", string(o.Password)}} {
		if len(f.value) > packet.MaxString {
			return option.Usagef("%s has %d bytes; MQTT carries at most 65535", v.Name(f.name), len(f.value))
		}
		if f.name != "password" && !validText(f.value) {
			return v.Invalid(f.name, "value", f.value, "want UTF-8 text")
		}
	}
	if err := c.readAuth(); err != nil || o.Authenticate != nil {
		return err
	}
	if o.Password != nil && o.Username == nil && o.Version != packet.V5 && o.Version != 0 {
		return option.Usagef("a password without --username needs MQTT 5")
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// validText tells whether s can stand in an MQTT string.
func validText(s string) bool {
	_, err := packet.Properties(nil).AppendUser(nil, []byte(s))
	return err == nil || errors.Is(err, packet.ErrStringTooLong)
}

// readID reads the client identifier of tools that are one client.
func (c *Connection) readID() error {
	v, o := c.inv.Values, &c.Options
	if !v.Has("id-prefix") {
		return nil
	}
	v.Yield("id", "id-prefix")
	v.Yield("id-prefix", "id")
	if v.IsSet("id") && v.IsSet("id-prefix") {
		return option.Usagef("%s and %s cannot be used together", v.Name("id"), v.Name("id-prefix"))
	}
	o.ClientID = v.String("id")
	if v.IsSet("id-prefix") {
		o.ClientID = v.String("id-prefix") + strconv.Itoa(os.Getpid())
	}
	if o.ClientID == "" && o.Version == packet.V31 {
		o.NewClientID = true
		o.ClientID = "mq-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano()&0xffffff, 36)
	}
	return nil
}

func (c *Connection) readSession() error {
	v, o := c.inv.Values, &c.Options
	o.KeepAlive = v.Duration("keepalive")
	if o.KeepAlive == 0 {
		o.KeepAlive = mqtt.NoKeepAlive
	}
	o.ConnectTimeout = v.Duration("connect-timeout")
	if !v.Has("receive-maximum") {
		return nil
	}
	o.MaxPacket = int(v.Int64("max-packet-size"))
	o.MaxInflight = v.Int("max-inflight")
	if !v.IsSet("max-inflight") {
		o.OldInflight = oldInflight
	}
	o.ReceiveMaximum = uint16(v.Int("receive-maximum"))
	o.TopicAliasMaximum = uint16(v.Int("topic-alias-maximum"))
	o.Resume = v.Bool("disable-clean-session")
	if v.IsSet("session-expiry-interval") {
		o.SessionExpiry = v.Duration("session-expiry-interval")
		o.Keep = !o.Resume && o.SessionExpiry > 0
	} else if o.Resume {
		o.SessionExpiry = 4294967295 * time.Second
	}
	if o.Resume && o.ClientID == "" {
		return option.Usagef("%s needs a client ID", v.Name("disable-clean-session")).WithHint("add --id NAME")
	}
	return nil
}

// oldInflight is how many messages at QoS 2 are in flight to a broker that cannot
// say how many it takes: mosquitto ends the connection at one more.
const oldInflight = 20

func (c *Connection) readWill() error {
	v := c.inv.Values
	if !v.Has("will-topic") {
		return nil
	}
	if !v.IsSet("will-topic") {
		for _, name := range [...]string{"will-payload", "will-qos", "will-retain"} {
			if v.Origin(name) == option.OriginFlag {
				return option.Usagef("--%s needs --will-topic", name)
			}
		}
		if len(c.Properties.Will) > 0 {
			return option.Usagef("%s will needs --will-topic", v.Name("property"))
		}
		return nil
	}
	t := v.String("will-topic")
	if err := CheckTopic(v.Name("will-topic"), t); err != nil {
		return err
	}
	payload := v.String("will-payload")
	if len(payload) > packet.MaxString {
		return option.Usagef("%s has %d bytes; MQTT carries at most 65535", v.Name("will-payload"), len(payload))
	}
	c.Options.Will = &mqtt.Will{Message: mqtt.Message{Topic: t, Payload: []byte(payload), QoS: packet.QoS(v.Int("will-qos")),
		Retain: v.Bool("will-retain"), Properties: c.Properties.Will}}
	return nil
}

// CheckTopic judges a topic name given by the user.
func CheckTopic(label, name string) error {
	err := topic.ValidateName(name)
	if err == nil {
		return checkCharacters(label, name)
	}
	e := option.Usagef("%s %s: %s", label, topic.Quote(name), reasonOf(err))
	if strings.ContainsAny(name, "+#") {
		return option.Usagef("%s %s: cannot publish to a wildcard", label, topic.Quote(name)).WithHint("publish to one topic; + and # are for subscribing")
	}
	return e
}

// CheckFilter judges a topic filter given by the user.
func CheckFilter(label, filter string) error {
	if err := topic.ValidateFilter(filter); err != nil {
		return option.Usagef("%s %s: %s", label, topic.Quote(filter), reasonOf(err)).
			WithHint("+ and # stand for whole levels, and # comes last, e.g. 'a/+/b/#'")
	}
	return checkCharacters(label, filter)
}

func checkCharacters(label, s string) error {
	if r, at, found := topic.Discouraged(s); found {
		return option.Usagef("%s %s: U+%04X at byte %d is a control character or no character", label, topic.Quote(s), r, at)
	}
	return nil
}

func reasonOf(err error) string {
	var e *topic.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return err.Error()
}

// dial opens the stream: the target that answered last first, then the
// others. Of several failures it returns one that may pass, and tells the rest.
func (c *Connection) dial(ctx context.Context) (net.Conn, error) {
	var errs []error
	for i := range c.targets {
		n := (int(c.last.Load()) + i) % len(c.targets)
		nc, err := c.dialTarget(ctx, n)
		if err == nil {
			for _, e := range errs {
				c.inv.Infof("%v", e)
			}
			c.last.Store(int32(n))
			return nc, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	chosen := len(errs) - 1
	for i, err := range errs {
		if !mqtt.Permanent(err) {
			chosen = i
		}
	}
	for i, err := range errs {
		if i != chosen {
			c.inv.Infof("%v", err)
		}
	}
	return nil, errs[chosen]
}

// dialTarget opens the stream to one of the targets.
func (c *Connection) dialTarget(ctx context.Context, n int) (net.Conn, error) {
	if c.serving != nil && c.serving.piped {
		return c.serving.dial(), nil
	}
	if c.inv.Dial != nil {
		return c.inv.Dial(ctx)
	}
	d := c.dialer
	if c.proxies != nil {
		d.Proxy = c.proxies[n]
	}
	return d.Dial(ctx, c.targets[n])
}

// Way is how tools reach the broker that make many connections of their own. It
// starts the broker of --serve, with room for so many.
func (c *Connection) Way(ctx context.Context, connections int) ([]*transport.Target, *transport.Dialer, error) {
	if c.inv.Values.IsSet("serve") {
		err := c.serve(ctx, func(o *broker.Options) {
			o.MaxConnections = max(o.MaxConnections, connections)
			o.MaxSessions = max(o.MaxSessions, connections)
			o.ConnectRate = -1
		})
		if err != nil {
			return nil, nil, err
		}
	}
	d := c.dialer
	if c.proxies != nil {
		d.Proxy = c.proxies[0]
	}
	if c.serving != nil && c.serving.piped { // it has a certificate, and is this process
		o := transport.TLSOptions{}
		if d.TLS != nil {
			o = *d.TLS
		}
		o.Insecure, d.TLS = true, &o
		o.CAFile, o.CAPath, o.UseSystemRoots = "", "", false
		c.targets[0].TLS = true
	}
	return c.targets, &d, nil
}

// Direct tells that neither a proxy nor a command makes the connections of Way.
func (c *Connection) Direct() bool {
	return c.dialer.Command == "" && c.dialer.Proxy == nil && (len(c.proxies) == 0 || c.proxies[0] == nil)
}

// Probed is what a connection of its own has shown of a broker.
type Probed struct {
	Version  string         // of the program, as $SYS/broker/version says; "" if it does not
	Protocol packet.Version // that it takes; 0 where no connection came about
}

// Probe makes a connection to each broker as username and password, which may be nil,
// and says what they have shown: whether they can be reached at all, else the error is
// that of Connect, and which version of MQTT all of them take where the options leave
// that open. What else a broker may have against this client is not told: it may let
// others in. A broker that says nothing is told of while it does.
func (c *Connection) Probe(ctx context.Context, username *string, password []byte) (p Probed, err error) {
	for n := range c.targets {
		one, err := c.probe(ctx, n, username, password)
		if err != nil {
			return p, err
		}
		p.Version = cmp.Or(p.Version, one.Version)
		if p.Protocol == 0 || one.Protocol != 0 && one.Protocol < p.Protocol {
			p.Protocol = one.Protocol
		}
	}
	return p, nil
}

// probe is Probe for one broker.
func (c *Connection) probe(ctx context.Context, n int, username *string, password []byte) (p Probed, err error) {
	c.last.Store(int32(n))
	o := c.Options
	o.ClientID, o.NewClientID = fmt.Sprintf("mqbench-%016x", rand.Uint64()), true
	o.Username, o.Password = username, password
	c.inv.CatchSignals()
	o.OnEvent = func(e mqtt.Event) {
		if e.Kind == mqtt.EventFallback {
			c.fellBack(e.Err)
		}
	}
	silence := time.AfterFunc(silentTime, func() {
		c.inv.Warnf("%s has not answered yet; waiting for up to %s", c.Broker(), units.Short(o.ConnectTimeout))
	})
	client, err := mqtt.Connect(ctx, func(ctx context.Context) (net.Conn, error) { return c.dialTarget(ctx, n) }, &o)
	silence.Stop()
	var unreached *transport.Error
	switch {
	case ctx.Err() != nil:
		return p, context.Cause(ctx)
	case errors.As(err, &unreached):
		return p, c.connectError(err)
	case errors.Is(err, mqtt.ErrNoConnack):
		c.inv.Warnf("%s accepts connections and does not answer: no CONNACK within %s; is it an MQTT broker?", c.Broker(), units.Short(o.ConnectTimeout))
		return p, nil
	case err != nil:
		c.inv.Debugf("%v", err)
		return p, nil
	}
	p.Protocol = client.Version()
	defer c.Leave(client, false)
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	if _, err := client.Subscribe(ctx, mqtt.Subscription{Filter: "$SYS/broker/version"}); err != nil {
		return p, nil
	}
	for {
		b, err := client.Receive(ctx)
		if err != nil {
			return p, nil
		}
		for i := range b.Messages {
			if text := string(b.Messages[i].Payload); utf8.ValidString(text) && len(text) < 256 {
				p.Version = text
				return p, nil
			}
		}
		b.Release()
	}
}

// silentTime is how long a broker may take to answer CONNECT before that is told.
const silentTime = 3 * time.Second

// Explain words an error of a connection that a tool has made itself, in one line
// with the way out: a *mqtt.Error, a *transport.Error, mqtt.ErrNoAnswer.
func (c *Connection) Explain(err error) string {
	err = c.connectError(err)
	if hint := hintOf(err); hint != "" {
		return fmt.Sprintf("%v (%s)", err, hint)
	}
	return err.Error()
}

// versionTime is how long a broker may take to tell its version.
const versionTime = 500 * time.Millisecond

// Connect makes the first connection, again and again as far as --wait-for
// and --retry say. reconnect tells whether the tool wants lost connections
// restored when the user did not say.
func (c *Connection) Connect(ctx context.Context, reconnect bool) (*mqtt.Client, error) {
	v, o := c.inv.Values, &c.Options
	if v.IsSet("serve") {
		if err := c.serve(ctx, nil); err != nil {
			return nil, err
		}
	}
	most := v.Duration("reconnect-delay")
	backoff := mqtt.Backoff(min(500*time.Millisecond, most), most)
	if (reconnect || v.Bool("retry")) && !v.Bool("no-reconnect") {
		o.Reconnect = c.retrying(backoff)
	}
	o.NewPassword = c.newPassword()
	if c.inv.BeginBriefly(); reconnect {
		c.inv.catchNow()
	}
	o.OnEvent = c.tell(o.OnEvent)
	switch {
	case c.inv.trace != nil:
		o.Trace = c.inv.trace
	case c.inv.Debugging():
		o.Trace = c.trace
	}
	deadline := time.Now().Add(v.Duration("wait-for"))
	for attempt := 1; ; attempt++ {
		client, err := mqtt.Connect(ctx, c.dial, o)
		if err == nil {
			c.reached = true
			c.connected()
			c.keepAuthenticated(client)
			return client, nil
		}
		if hasEnded(ctx) {
			return nil, context.Cause(ctx)
		}
		wait, again := backoff(attempt, err)
		left := time.Until(deadline)
		if !again || !v.Bool("retry") && left <= 0 {
			return nil, c.connectError(err)
		}
		if !v.Bool("retry") {
			wait = min(wait, left)
		}
		if refused, ok := errors.AsType[*mqtt.Error](err); ok && refused.Reason.Failed() && o.NewPassword != nil {
			if b, err := o.NewPassword(ctx); err == nil {
				o.Password = b
			}
		}
		if v.Bool("retry") {
			c.inform("%v; retrying in %s", c.connectError(err), units.Short(wait.Round(100*time.Millisecond)))
		} else {
			c.inform("%v; retrying in %s (until %s, --wait-for)", c.connectError(err), units.Short(wait.Round(100*time.Millisecond)), deadline.Format(time.TimeOnly))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// hasEnded reports whether ctx has ended, or ends now: package net keeps its deadline
// by a timer of its own, which may be the first.
func hasEnded(ctx context.Context) bool {
	if deadline, has := ctx.Deadline(); has && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// retrying returns the policy for connections that are lost. What the first connect
// takes for permanent is not so any more: a broker that has let this client in and
// refuses it now may have lost its users for a while. It is tried again for
// --retry-for, and for ever with --retry.
func (c *Connection) retrying(backoff func(int, error) (time.Duration, bool)) func(int, error) (time.Duration, bool) {
	limit, forever := c.inv.Values.Duration("retry-for"), c.inv.Values.Bool("retry")
	var since, latest time.Time // when such refusals in a row began, and the latest
	return func(attempt int, err error) (time.Duration, bool) {
		e, ok := errors.AsType[*mqtt.Error](err)
		letIn := ok && e.Op == "connection"
		if !mqtt.Permanent(err) || letIn && e.Reason != packet.NotAuthorized { // as when its password has expired
			since = time.Time{}
			return backoff(attempt, err)
		}
		now := time.Now()
		if since.IsZero() || letIn && now.Sub(latest) > limit { // and was up in between
			since = now
		}
		latest = now
		wait, _ := backoff(attempt, nil)
		return wait, forever || now.Sub(since)+wait <= limit
	}
}

// LeaveTime is how long a client may take to say goodbye.
const LeaveTime = 2 * time.Second

// Leave says goodbye for a client that has nothing left to lose. early tells
// that a signal or a time limit ended its work, for tools that then want the
// will to be published.
func (c *Connection) Leave(client *mqtt.Client, early bool) {
	ctx, cancel := context.WithTimeout(context.Background(), LeaveTime)
	defer cancel()
	c.inv.Service.Stopping()
	bye := c.Properties.Bye(client.Version())
	if early && client.Version() >= packet.V5 && c.inv.Habits().WillAtEnd {
		bye.Reason = packet.DisconnectWithWill
	}
	if err := client.CloseWith(ctx, &bye); Disapproved(err) {
		c.inv.farewell = Failed(ExitLost, bareError(err))
	}
}

// Disapproved tells whether a broker answered our DISCONNECT with an error that is
// about what we sent. That it stops or is busy says nothing of us.
func Disapproved(err error) bool {
	e, ok := errors.AsType[*mqtt.Error](err)
	if !ok {
		return false
	}
	switch e.Reason {
	case packet.MalformedPacket, packet.ProtocolError, packet.ImplementationSpecificError, packet.NotAuthorized, packet.PacketTooLarge:
		return true
	}
	return false
}

// DiscardSession has the broker forget the session of a client that has ended, and
// warns if it may not have.
func (c *Connection) DiscardSession(client *mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), LeaveTime)
	defer cancel()
	if err := client.DiscardSession(ctx); err != nil {
		c.inv.Warnf("%s may still have the session of %q, until that connects clean: %v", c.Broker(), client.ClientID(), bareError(err))
	}
}

// Close ends what Connect started beside the client.
func (c *Connection) Close() {
	if c.stop != nil {
		c.stop()
	}
	c.children.Wait()
	c.StopServing()
}

// Admit lets clients of the broker of --serve in, if there is one that holds
// them.
func (c *Connection) Admit() {
	if c.serving != nil {
		c.serving.admit()
	}
}

// StopServing ends the broker of --serve, if it runs. Way begins another one.
func (c *Connection) StopServing() {
	if c.serving != nil {
		c.serving.close()
		c.serving = nil
	}
}

// tell puts changes of the connection on stderr.
func (c *Connection) tell(next func(mqtt.Event)) func(mqtt.Event) {
	return func(e mqtt.Event) {
		switch e.Kind {
		case mqtt.EventDown:
			c.inform("%s; reconnecting", c.lossOf(e.Err))
		case mqtt.EventRetry:
			c.inform("%v; retrying in %s", c.connectError(e.Err), units.Short(e.Wait.Round(100*time.Millisecond)))
		case mqtt.EventFallback:
			c.fellBack(e.Err)
		case mqtt.EventReused:
			if !c.reused {
				c.reused = true
				c.inv.Warnf("the broker began new QoS 2 messages under packet identifiers still in use: it seems to have lost its session; they are printed as new")
			}
		case mqtt.EventNarrowed:
			c.inv.Infof("connection lost with many messages in flight; sending at most %d at a time, and more as they are acknowledged", e.Count)
		case mqtt.EventUp:
			c.connected()
			select {
			case c.up <- struct{}{}:
			default:
			}
			switch {
			case e.Count > 0 && !e.SessionPresent:
				c.inv.Infof("reconnected to %s; it lost our session: %s may be delivered twice", c.Broker(), units.Count(e.Count, "message"))
			case c.Options.Resume && !c.Options.PublishOnly && !e.SessionPresent:
				c.inv.Warnf("reconnected to %s; it lost our session: messages published meanwhile may be missing", c.Broker())
			default:
				c.inv.Infof("reconnected to %s", c.Broker())
			}
		case mqtt.EventSubscribed:
			c.inv.Warnf("%v", e.Err)
		case mqtt.EventSuspected:
			c.inform("%v", e.Err)
		case mqtt.EventUndeliverable:
			if u, ok := errors.AsType[*mqtt.Undeliverable](e.Err); ok && len(u.Filters) > 0 {
				c.inv.Warnf("%v; still trying", u)
			}
		}
		if next != nil {
			next(e)
		}
	}
}

// fellBack tells that the broker's MQTT is 3.1.1, and what that takes away from what
// the user asked for. A broker that says so itself is heard with --debug only.
func (c *Connection) fellBack(why error) {
	if errors.Is(why, packet.UnsupportedProtocolVersion) {
		c.inv.Debugf("%s does not support MQTT 5: using MQTT 3.1.1", c.Broker())
	} else {
		c.inv.Infof("%s closes connections that speak MQTT 5: using MQTT 3.1.1; -V 311 spares the attempts", c.Broker())
	}
	v, o := c.inv.Values, &c.Options
	var names []string
	for _, name := range c.of5() {
		if name != "session-expiry-interval" {
			names = append(names, v.Name(name))
		}
	}
	if len(names) > 0 {
		have := "have"
		if len(names) == 1 {
			have = "has"
		}
		c.inv.Warnf("%s speaks MQTT 3.1.1: %s %s no effect", c.Broker(), strings.Join(names, ", "), have)
	}
	if !v.Has("receive-maximum") || !v.IsSet("session-expiry-interval") || o.SessionExpiry == 0 {
		return
	}
	if o.Resume || o.Keep && o.ClientID != "" && !o.NewClientID {
		c.inv.Warnf("%s speaks MQTT 3.1.1: the session does not expire, the broker keeps it until %q connects clean", c.Broker(), o.ClientID)
	} else {
		c.inv.Warnf("%s speaks MQTT 3.1.1: %s has no effect without --id", c.Broker(), v.Name("session-expiry-interval"))
	}
}

// connected tells the service manager where the connection leads.
func (c *Connection) connected() {
	if c.inv.Service != nil {
		c.inv.Service.Status("connected to %s", c.Broker())
	}
}

// inform tells a change of the connection, and the service manager too.
func (c *Connection) inform(format string, args ...any) {
	c.inv.Infof(format, args...)
	c.inv.Service.Status("%s", shorten(fmt.Sprintf(format, args...)))
}

func (c *Connection) trace(sent bool, f packet.Frame, v packet.Version) {
	verb := "received"
	if sent {
		verb = "sent"
	}
	c.inv.Debugf("%s %s", verb, packet.AppendSummary(nil, f, v))
}

// lossOf words the loss of a connection.
func (c *Connection) lossOf(err error) string {
	text := bareError(err).Error()
	if rest, ok := strings.CutPrefix(text, "connection "); ok { // lost, or ended by the broker
		return "connection to " + c.Broker() + " " + rest
	}
	return "connection to " + c.Broker() + " lost: " + text
}

// bareError strips the engine's frames off errors that speak for themselves.
func bareError(err error) error {
	var te *transport.Error
	if errors.As(err, &te) {
		return te
	}
	var me *mqtt.Error
	for errors.As(err, &me) && me.Err != nil && !me.Reason.Failed() {
		err = me.Err
	}
	return err
}

// connectError gives a failed first connection its exit code and hint.
func (c *Connection) connectError(err error) error {
	var e *mqtt.Error
	if errors.As(err, &e) && e.Reason.Failed() {
		return c.refused(e)
	}
	if errors.Is(err, mqtt.ErrAuthentication) {
		return authError(err)
	}
	if errors.Is(err, mqtt.ErrNoAnswer) {
		t := c.targets[c.last.Load()]
		exit := &Exit{Code: ExitUnreached, Err: reworded(mqtt.ErrNoAnswer, "%s closed the connection before CONNACK", t.Address())}
		switch {
		case c.Options.Version == packet.V5 || c.Options.Authenticate != nil: // others have been tried in 3.1.1, too
			exit.Help = "the broker may not support MQTT 5: " + c.otherVersion()
		case t.Network == "tcp" && !t.TLS:
			exit.Help = "if the port expects TLS, add --tls or --cafile FILE"
		}
		return exit
	}
	if errors.Is(err, mqtt.ErrNoConnack) {
		return &Exit{Code: ExitUnreached, Help: "is it an MQTT port? --connect-timeout sets the limit",
			Err: reworded(mqtt.ErrNoConnack, "%s accepted the connection but sent no CONNACK within %s", c.Broker(), units.Short(c.Options.ConnectTimeout))}
	}
	if bad, ok := errors.AsType[*packet.Error](err); ok && bad.Type == packet.CONNACK && bad.Rule == "MQTT-3.2.2-2" {
		return &Exit{Code: ExitUnreached, Err: fmt.Errorf("connect to %s: the broker has a session of %q after a clean start, which breaks MQTT: %w", c.Broker(), c.Options.ClientID, bad),
			Help: "pass another --id, or end that session at the broker"}
	}
	return &Exit{Code: ExitUnreached, Err: c.dialed(bareError(err))}
}

// dialed is err with the address that the user has given, where the engine only knows
// what it led to.
func (c *Connection) dialed(err error) error {
	e, ok := err.(*transport.Error)
	if !ok || e.Kind != transport.NotMQTT {
		return err
	}
	named := *e
	if named.Addr = c.Broker(); e.Addr != "" && e.Addr != named.Addr {
		named.Addr += " (" + e.Addr + ")"
	}
	return &named
}

// isSet tells whether an option is set that the tool may not have.
func (c *Connection) isSet(name string) bool {
	return c.inv.Values.Has(name) && c.inv.Values.IsSet(name)
}

// otherVersion says what to try when the broker does not speak this one.
func (c *Connection) otherVersion() string {
	v := c.inv.Values
	switch o := &c.Options; {
	case o.Authenticate != nil && v.Has("auth"):
		return v.Name("auth") + " needs MQTT 5"
	case c.needs != "":
		return v.Name(c.needs) + " needs MQTT 5"
	case o.Version == packet.V5:
		return "try -V 311"
	case o.Version == 0:
		return "try -V 31"
	}
	return "try another -V, or -V auto"
}

// refused words a CONNACK that refuses.
func (c *Connection) refused(e *mqtt.Error) *Exit {
	v, o := c.inv.Values, &c.Options
	exit := &Exit{Code: ExitRefused}
	text := c.Broker() + " refused the connection: " + e.Reason.Error()
	code := fmt.Sprintf(" (0x%02x)", byte(e.Reason))
	switch e.Reason {
	case packet.BadUserNameOrPassword:
		exit.Help = "check --username and --password-file"
	case packet.NotAuthorized:
		exit.Help = "check --username and --password-file, and the broker's access rules"
	case packet.BadAuthenticationMethod:
		exit.Help = "it wants another way to authenticate, or none"
		if c.isSet("auth") {
			text = c.Broker() + " does not support --auth " + v.String("auth") + code
			exit.Help = "drop --auth, or ask the broker's operator which methods it has"
		} else if v.Has("auth") {
			exit.Help = "it may want --auth METHOD"
		}
	case packet.UnsupportedProtocolVersion:
		version := "MQTT 5 and 3.1.1" // of auto
		switch {
		case o.Version != 0:
			version = "MQTT " + strings.TrimSuffix(o.Version.String(), ".0")
		case c.inv.Tool.Bit == option.Bench: // where a scenario may say
			version = "this version of MQTT"
		}
		text = c.Broker() + " refused the connection: " + version + " not supported" + code
		exit.Help = c.otherVersion()
	case packet.ClientIdentifierNotValid:
		text = c.Broker() + " refused the client ID " + strconv.Quote(o.ClientID) + code
		if exit.Help = "pass another --id"; o.ClientID == "" {
			text = c.Broker() + " wants a client ID" + code
			exit.Help = "pass --id NAME"
		}
	}
	if c.isSet("auth-command") && (e.Reason == packet.BadUserNameOrPassword || e.Reason == packet.NotAuthorized) {
		exit.Help = "check what --auth-command prints"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Ref != "" {
		text += ": use " + e.Ref
	}
	exit.Err = reworded(e, "%s", text)
	return exit
}

// reworded is err with a text of its own.
func reworded(err error, format string, args ...any) error {
	return &wording{fmt.Sprintf(format, args...), err}
}

type wording struct {
	text string
	err  error
}

func (w *wording) Error() string { return w.text }

func (w *wording) Unwrap() error { return w.err }

// WorkError gives an error of a running client its exit code: 5 for a
// refusal, 7 for a connection that was lost or that the broker has ended. A
// subscription that ends every connection is refused in that way. A connection that
// was refused, or not made, has the words and the code of the first one.
func (c *Connection) WorkError(err error) error {
	var e *mqtt.Error
	u, undeliverable := errors.AsType[*mqtt.Undeliverable](err)
	switch {
	case err == nil:
		return nil
	case undeliverable && len(u.Filters) > 0:
		return &Exit{Code: ExitDenied, Err: u, Help: "check the broker's access rules"}
	case undeliverable && u.NoQoS2:
		return &Exit{Code: ExitLost, Err: u, Help: "use -q 1"}
	case undeliverable:
		return &Exit{Code: ExitLost, Err: u, Help: "check the broker's access rules, and which messages it takes"}
	case !errors.As(err, &e):
		return err
	case c.NotReconnected(err):
		return c.connectError(bareError(err))
	case e.Reason.Failed() && e.Op != "connection":
		return Failed(ExitDenied, err)
	case mqtt.Unsupported(err):
		return Failed(ExitDenied, bareError(err))
	case e.Op == "publish" && errors.Is(err, mqtt.ErrInDoubt):
		return &Exit{Code: ExitLost, Err: fmt.Errorf("message not acknowledged: %w", bareError(err)), Help: "it may have been delivered"}
	}
	return Failed(ExitLost, bareError(err))
}

// NotReconnected reports whether err is that the broker refused a later connection.
func (c *Connection) NotReconnected(err error) bool {
	e, ok := bareError(err).(*mqtt.Error)
	return ok && e.Op == "connect" && e.Reason.Failed()
}
