package option

import "time"

// clientTLS are the options that want TLS or say something about it.
var clientTLS = []string{
	"tls", "cafile", "capath", "tls-use-os-certs", "cert", "key", "key-password-file", "tls-server-name", "tls-pin", "tls-version", "ciphers",
	"tls-alpn", "tls-keylog", "psk", "psk-identity", "keyform", "tls-engine", "tls-engine-kpass-sha1",
}

// NotOverUnix are the options that a connection to a Unix socket cannot honor: it has no
// TLS, no proxy and no local address.
var NotOverUnix = append([]string{"insecure", "proxy", "proxy-command", "bind-address", "ipv4", "ipv6"}, clientTLS...)

var brokerOptions = []Option{
	{
		Name: "host", Short: "h", Tools: All, Group: GroupBroker, Type: TypeString,
		Placeholder: "HOST", Default: "localhost", Complete: CompleteHost,
		Help: "broker, or HOST:PORT",
	},
	{
		Name: "port", Short: "p", Tools: All, Group: GroupBroker, Type: TypeInt,
		Placeholder: "PORT", Min: 1, Max: 65535,
		Help: "TCP port (default 1883, with TLS 8883)",
	},
	{
		Name: "url", Short: "L", Tools: All, Group: GroupBroker, Type: TypeString, Repeat: true,
		Excludes: []Relation{
			{With: []string{"host", "unix"}, Ranked: true},
			{With: []string{"port", "ws", "ws-path", "srv"}, Ranked: true, Firm: true},
		},
		Placeholder: "URL", EnvFallback: "MQTT_URL", Secret: true,
		Help: "broker URL, e.g. mqtts://HOST (repeatable)",
	},
	{
		Name: "srv", Short: "S", Tools: PubSub, Group: GroupBroker, Type: TypeBool,
		Excludes: []Relation{{With: []string{"port", "ws", "ws-path"}, Ranked: true}},
		Help:     "find the broker by SRV records of --host",
	},
	{
		Name: "unix", Tools: All, Group: GroupBroker, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"host"}, Ranked: true},
			{With: []string{"port", "ws", "ws-path", "srv"}, Ranked: true, Firm: true},
			{With: NotOverUnix, Hint: "drop it: a Unix socket does not leave this machine", Ranked: true, Firm: true, Native: true},
		},
		Placeholder: "PATH", Complete: CompleteFile,
		Help: "connect to the Unix socket PATH",
	},
	{
		Name: "protocol-version", Short: "V", Tools: All, Group: GroupBroker, Type: TypeChoice,
		Placeholder: "VERSION", Default: "auto", Complete: CompleteChoice,
		Choices: []Choice{
			{"auto", nil},
			{"5", []string{"mqttv5", "5.0"}},
			{"311", []string{"mqttv311", "3.1.1"}},
			{"31", []string{"mqttv31", "3.1"}},
		},
		Help: "MQTT version: {values}",
	},
	{
		Name: "keepalive", Short: "k", Tools: All, Forms: formsShort, Group: GroupBroker, Type: TypeDuration,
		Placeholder: "DURATION", Default: "60s", Min: 0, Max: int64(65535 * time.Second), Whole: true,
		Help: "ping when idle this long; 0 is off",
	},
	{
		Name: "bind-address", Short: "A", Tools: All, Group: GroupBroker, Type: TypeString,
		Placeholder: "ADDR", Complete: CompleteHost,
		Help: "connect from this local address or name",
	},
	{
		Name: "ipv4", Short: "4", Tools: All, Group: GroupBroker, Type: TypeBool,
		Excludes: []Relation{{With: []string{"ipv6"}}},
		Help:     "use IPv4 addresses only",
	},
	{
		Name: "ipv6", Short: "6", Tools: All, Group: GroupBroker, Type: TypeBool,
		Help: "use IPv6 addresses only",
	},
	{
		Name: "ws", Tools: All, Group: GroupBroker, Type: TypeBool,
		Help: "use WebSocket (port 80, with TLS 443)",
	},
	{
		Name: "ws-path", Tools: All, Group: GroupBroker, Type: TypeString,
		Placeholder: "PATH", Secret: true,
		Help: "WebSocket path (default /mqtt); implies --ws",
	},
	{
		Name: "ws-header", Tools: All, Group: GroupBroker, Type: TypeString, Repeat: true,
		Placeholder: "NAME:VALUE", Secret: true,
		Help: "send this WebSocket HTTP header (repeatable)",
	},
	{
		Name: "proxy", Tools: All, Group: GroupBroker, Type: TypeString,
		Excludes:    []Relation{{With: []string{"proxy-command"}}},
		Placeholder: "URL", Secret: true,
		Help: "proxy URL (socks5h, socks5, http, https) or none",
	},
	{
		Name: "proxy-command", Tools: All, Group: GroupBroker, Type: TypeString,
		Placeholder: "COMMAND",
		Help:        "connect through COMMAND (%h host, %p port)",
	},
	{
		Name: "nodelay", Tools: PubSub, Hidden: true, Group: GroupBroker, Type: TypeBool,
		Help: "accepted: TCP_NODELAY is always set",
	},
}

var authOptions = []Option{
	{
		Name: "username", Short: "u", Tools: All, Group: GroupAuth, Type: TypeString,
		Placeholder: "NAME",
		Help:        "user name; password: --password-file FILE",
	},
	{
		Name: "password", Short: "P", Aliases: []string{"pw"}, Tools: All, Group: GroupAuth, Type: TypeString,
		Excludes:    []Relation{{With: []string{"password-file", "password-command", "ask-password"}}},
		Placeholder: "PASSWORD", Secret: true,
		Help: "password; visible to others, see --password-file",
	},
	{
		Name: "password-file", Tools: All, Group: GroupAuth, Type: TypeString, Stdin: true,
		Excludes:    []Relation{{With: []string{"password-command", "ask-password"}}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read the password from FILE (\"-\": stdin)",
	},
	{
		Name: "password-command", Tools: All, Group: GroupAuth, Type: TypeString,
		Excludes:    []Relation{{With: []string{"ask-password"}}},
		Placeholder: "COMMAND",
		Help:        "use the output of COMMAND as the password",
	},
	{
		Name: "ask-password", Tools: All, Group: GroupAuth, Type: TypeBool, NoEnv: true,
		Help: "prompt for the password",
	},
	{
		// Not a TypeChoice: --auth-command allows any name.
		Name: "auth", V5: true, Tools: PubSub, Group: GroupAuth, Type: TypeString,
		Placeholder: "METHOD", Complete: CompleteChoice,
		Choices: []Choice{{"scram-sha-1", nil}, {"scram-sha-256", nil}, {"scram-sha-512", nil}},
		Help:    "authenticate by scram-sha-256, ... (MQTT 5)",
	},
	{
		Name: "auth-command", V5: true, Tools: PubSub, Group: GroupAuth, Type: TypeString,
		Needs:       []Relation{{With: []string{"auth"}, Hint: "--auth names the authentication method"}},
		Placeholder: "COMMAND",
		Help:        "let COMMAND do the --auth exchange (MQTT 5)",
	},
	{
		Name: "reauthenticate-every", V5: true, Tools: PubSub, Group: GroupAuth, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"auth"}, Hint: "--auth names the authentication method"}},
		Placeholder: "DURATION", Min: int64(100 * time.Millisecond),
		Help: "repeat --auth at this interval (MQTT 5)",
	},
}

var sessionOptions = []Option{
	{
		Name: "id", Short: "i", Tools: PubSub, Group: GroupSession, Type: TypeString,
		Excludes:    []Relation{{With: []string{"id-prefix"}}},
		Placeholder: "ID",
		Help:        "client ID (default: the broker assigns one)",
	},
	{
		Name: "id-prefix", Short: "I", Tools: PubSub, Group: GroupSession, Type: TypeString,
		Placeholder: "PREFIX",
		Help:        "client ID: PREFIX and the process ID",
	},
	{
		Name: "disable-clean-session", Short: "c", Tools: PubSub, Group: GroupSession, Type: TypeBool,
		Help: "resume the session of --id, and keep it",
	},
	{
		Name: "session-expiry-interval", Short: "x", V5: true, Tools: PubSub, Group: GroupSession, Type: TypeDuration,
		Placeholder: "DURATION", Min: 0, Max: int64(4294967295 * time.Second), Whole: true,
		DurationWords: []DurationWord{
			{"never", 4294967295 * time.Second},
			{"-1", 4294967295 * time.Second},
			{"∞", 4294967295 * time.Second},
		},
		Help: "session expires after this long, or never (MQTT 5)",
	},
	{
		Name: "max-inflight", Short: "M", Tools: PubSub, Group: GroupSession, Type: TypeInt,
		Placeholder: "N", Default: "1024", Min: 1, Max: 65534,
		Help: "max unacknowledged messages sent",
	},
	{
		Name: "receive-maximum", V5: true, Tools: PubSub, Group: GroupSession, Type: TypeInt,
		Placeholder: "N", Min: 1, Max: 65535,
		Help: "max unacknowledged messages received (MQTT 5)",
	},
	{
		Name: "max-packet-size", Tools: PubSub, Group: GroupSession, Type: TypeSize,
		Placeholder: "SIZE", Min: 1, Max: 268435460,
		Help: "largest packet to accept, e.g. 64k or 1MiB",
	},
	{
		Name: "topic-alias-maximum", V5: true, Tools: PubSub, Group: GroupSession, Type: TypeInt,
		Placeholder: "N", Min: 0, Max: 65535,
		Help: "max topic aliases from the broker (MQTT 5)",
	},
	{
		Name: "property", Short: "D", V5: true, Tools: PubSub, Group: GroupSession, Type: TypeProperty, Repeat: true,
		Placeholder: "CMD PROP [KEY] VALUE", Secret: true, Complete: CompleteProperty,
		Help: "add a property to a packet (MQTT 5)",
	},
}

var retryOptions = []Option{
	{
		Name: "connect-timeout", Tools: All, For: commandsPlan | CommandPlay, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION", Default: "10s", Min: int64(time.Millisecond),
		Help: "limit for each attempt",
	},
	{
		Name: "timeout", Short: "W", Tools: Pub, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION", Min: int64(time.Millisecond),
		Help: "exit after DURATION (exit 27)",
	},
	{
		Name: "drain-timeout", Tools: Pub, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION", Default: "5s",
		Help: "await acknowledgements after a signal",
	},
	{
		Name: "wait-for", Tools: PubSub, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION",
		Help:        "keep trying the first connection this long",
	},
	{
		Name: "retry", Tools: PubSub, Group: GroupRetry, Type: TypeBool,
		Help: "retry temporary errors, even at startup",
	},
	{
		Name: "retry-for", Tools: PubSub, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION", Default: "5m",
		Help: "retry refused reconnects this long",
	},
	{
		Name: "no-reconnect", Tools: PubSub, Group: GroupRetry, Type: TypeBool,
		Help: "exit when the connection is lost",
	},
	{
		Name: "follow-references", Tools: PubSub, Group: GroupRetry, Type: TypeBool, V5: true,
		Help: "follow references to other brokers (MQTT 5)",
	},
	{
		Name: "reconnect-delay", Tools: PubSub, Group: GroupRetry, Type: TypeDuration,
		Placeholder: "DURATION", Default: "30s", Min: int64(10 * time.Millisecond),
		Help: "longest pause between attempts",
	},
}

var serveOptions = []Option{
	{
		Name: "serve", Tools: All, Group: GroupServe, Type: TypeListen, Optional: true, Repeat: true,
		Excludes: []Relation{
			{With: []string{"host", "port", "url", "unix"}, Ranked: true},
			{With: []string{"srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command", "bind-address", "ipv4", "ipv6"}, Hint: "drop it: the broker of --serve is this program", Ranked: true, Firm: true},
			{With: []string{"insecure"}, Hint: "drop it: the broker of --serve is this program, and needs no verifying", Ranked: true, Firm: true},
			{With: append([]string{"no-tls"}, clientTLS...), Hint: "to serve TLS: --serve mqtts://127.0.0.1 --serve-cert FILE --serve-key FILE", Ranked: true, Firm: true},
		},
		Placeholder: "ADDR", Implied: DefaultServeAddr,
		Help: "run a broker too (default " + DefaultServeAddr + ")",
	},
	{
		Name: "serve-users", Tools: All, Group: GroupServe, Type: TypeString, Repeat: true,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "users and access rules, see mqtools(5)",
	},
	{
		Name: "serve-cert", Tools: All, Group: GroupServe, Type: TypeString,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "serve TLS with this certificate (PEM)",
	},
	{
		Name: "serve-key", Tools: All, Group: GroupServe, Type: TypeString,
		Needs: []Relation{
			{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr},
			{With: []string{"serve-cert"}, Always: true, Beside: "serve"},
		},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "private key, if not in the --serve-cert file",
	},
	{
		Name: "serve-client-ca", Tools: All, Group: GroupServe, Type: TypeString,
		Needs: []Relation{
			{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr},
			{With: []string{"serve-cert"}, Always: true, Beside: "serve"},
		},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "require client certificates from these CAs",
	},
	{
		Name: "serve-origin", Tools: All, Group: GroupServe, Type: TypeString, Repeat: true,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "ORIGIN",
		Help:        "allow web pages of ORIGIN, or * (repeatable)",
	},
	{
		Name: "serve-proxy-protocol", Tools: PubSub, Group: GroupServe, Type: TypeBool,
		Needs: []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Help:  "take client addresses from PROXY headers",
	},
	{
		Name: "hash-password", Tools: All, Group: GroupServe, Type: TypeBool, NoEnv: true,
		Help: "hash a password for --serve-users, and exit",
	},
}

// DefaultServeAddr is the address of --serve without a value.
const DefaultServeAddr = "127.0.0.1:1883"

// PasswordSources are the options that set the password; only one of them may be used.
var PasswordSources = [...]string{"password", "password-file", "password-command", "ask-password"}
