package option

import "time"

var connectionOptions = []Option{
	{
		Name: "host", Short: "h", Tools: All, Group: GroupConnection, Type: TypeString,
		Placeholder: "HOST", Default: "localhost", Complete: CompleteHost,
		Help: "name or address of the broker, or HOST:PORT, or [IPV6]:PORT",
	},
	{
		Name: "port", Short: "p", Tools: All, Group: GroupConnection, Type: TypeInt,
		Placeholder: "PORT", Min: 1, Max: 65535,
		Help: "TCP port of the broker; unless given 1883, with TLS 8883",
	},
	{
		Name: "srv", Short: "S", Tools: PubSub, Group: GroupConnection, Type: TypeBool,
		Excludes: []Relation{{With: []string{"port", "url", "unix", "ws", "ws-path"}, Ranked: true}},
		Help:     "take --host for a domain and connect to the brokers of its SRV records",
	},
	{
		Name: "url", Short: "L", Tools: All, Group: GroupConnection, Type: TypeString, Repeat: true,
		Excludes: []Relation{
			{With: []string{"host", "unix"}, Ranked: true},
			{With: []string{"port", "ws", "ws-path"}, Ranked: true, Firm: true},
		},
		Placeholder: "URL", EnvFallback: "MQTT_URL", Secret: true,
		Help: "broker as mqtt://[USER[:PASSWORD]@]HOST[:PORT][/TOPIC]; also mqtts, tcp, ssl, tls, ws, wss, unix; several are tried in turn",
	},
	{
		Name: "unix", Tools: All, Group: GroupConnection, Type: TypeString,
		Excludes: []Relation{
			{With: []string{"host"}, Ranked: true},
			{With: []string{"port", "ws", "ws-path"}, Ranked: true, Firm: true},
		},
		Placeholder: "PATH", Complete: CompleteFile,
		Help: "connect to the Unix socket at PATH",
	},
	{
		Name: "ws", Tools: All, Group: GroupConnection, Type: TypeBool,
		Help: "connect by WebSocket, port 80 or with TLS 443 unless given; as the URLs ws: and wss:",
	},
	{
		Name: "ws-path", Tools: All, Group: GroupConnection, Type: TypeString,
		Placeholder: "PATH", Secret: true,
		Help: "path of the WebSocket with its query, unless given /mqtt; implies --ws",
	},
	{
		Name: "ws-header", Tools: All, Group: GroupConnection, Type: TypeString, Repeat: true,
		Placeholder: "NAME:VALUE", Secret: true,
		Help: "send this header field with the upgrade to WebSocket; may be repeated",
	},
	{
		Name: "proxy", Tools: All, Group: GroupConnection, Type: TypeString,
		Excludes:    []Relation{{With: []string{"proxy-command"}}},
		Placeholder: "URL", Secret: true,
		Help: "connect through socks5h://, socks5://, http:// or https://[USER:PASSWORD@]HOST[:PORT]; none ignores ALL_PROXY",
	},
	{
		Name: "proxy-command", Tools: All, Group: GroupConnection, Type: TypeString,
		Placeholder: "COMMAND",
		Help:        "run COMMAND and speak with its input and output; %h is the host, %p the port",
	},
	{
		Name: "username", Short: "u", Tools: All, Group: GroupConnection, Type: TypeString,
		Placeholder: "NAME",
		Help:        "user name for the broker",
	},
	{
		Name: "password", Short: "P", Aliases: []string{"pw"}, Tools: All, Group: GroupConnection, Type: TypeString,
		Excludes:    []Relation{{With: []string{"password-file", "password-command", "ask-password"}}},
		Placeholder: "PASSWORD", Secret: true,
		Help: "password for the broker; other users of this machine can see it, --password-file hides it",
	},
	{
		Name: "password-file", Tools: All, Group: GroupConnection, Type: TypeString,
		Excludes:    []Relation{{With: []string{"password-command", "ask-password"}}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "read the password from FILE, less one newline at its end; - is standard input",
	},
	{
		Name: "password-command", Tools: All, Group: GroupConnection, Type: TypeString,
		Excludes:    []Relation{{With: []string{"ask-password"}}},
		Placeholder: "COMMAND",
		Help:        "run COMMAND in the shell and take what it prints as password, less one newline at its end",
	},
	{
		Name: "ask-password", Tools: All, Group: GroupConnection, Type: TypeBool, NoEnv: true,
		Help: "ask for the password on the terminal",
	},
	{
		// Not a TypeChoice: with --auth-command any name is right.
		Name: "auth", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeString,
		Placeholder: "METHOD", Complete: CompleteChoice,
		Choices: []Choice{{"scram-sha-1", nil}, {"scram-sha-256", nil}, {"scram-sha-512", nil}},
		Help:    "authenticate by scram-sha-1, scram-sha-256 or scram-sha-512, or by any METHOD with --auth-command (MQTT 5)",
	},
	{
		Name: "auth-command", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeString,
		Needs:       []Relation{{With: []string{"auth"}, Hint: "--auth names the authentication method"}},
		Placeholder: "COMMAND",
		Help:        "run COMMAND in the shell for every authentication by --auth, which may be any method; what it prints goes to the broker (MQTT 5)",
	},
	{
		Name: "reauthenticate-every", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeDuration,
		Needs:       []Relation{{With: []string{"auth"}, Hint: "--auth names the authentication method"}},
		Placeholder: "DURATION", Min: int64(100 * time.Millisecond),
		Help: "authenticate again on the connection after this long, by --auth, before a token expires (MQTT 5)",
	},
	{
		Name: "id", Short: "i", Tools: PubSub, Group: GroupConnection, Type: TypeString,
		Excludes:    []Relation{{With: []string{"id-prefix"}}},
		Placeholder: "ID",
		Help:        "client identifier; unless given the broker assigns one",
	},
	{
		Name: "id-prefix", Short: "I", Tools: PubSub, Group: GroupConnection, Type: TypeString,
		Placeholder: "PREFIX",
		Help:        "make the client identifier from PREFIX and the process id",
	},
	{
		Name: "keepalive", Short: "k", Tools: All, Forms: formsShort, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION", Default: "60s", Min: 0, Max: int64(65535 * time.Second), Whole: true,
		Help: "longest silence on the connection before a PINGREQ; 0 turns it off",
	},
	{
		Name: "disable-clean-session", Short: "c", Tools: PubSub, Group: GroupConnection, Type: TypeBool,
		Help: "resume the session of this client identifier and keep it after the end",
	},
	{
		Name: "session-expiry-interval", Short: "x", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION", Min: 0, Max: int64(4294967295 * time.Second), Whole: true,
		Specials: []Special{
			{"never", 4294967295 * time.Second},
			{"-1", 4294967295 * time.Second},
			{"∞", 4294967295 * time.Second},
		},
		Help: "how long the broker keeps the session after the end, or never (MQTT 5)",
	},
	{
		Name: "protocol-version", Short: "V", Tools: All, Group: GroupConnection, Type: TypeChoice,
		Placeholder: "VERSION", Default: "auto", Complete: CompleteChoice,
		Choices: []Choice{
			{"auto", nil},
			{"5", []string{"mqttv5", "5.0"}},
			{"311", []string{"mqttv311", "3.1.1"}},
			{"31", []string{"mqttv31", "3.1"}},
		},
		Help: "MQTT version: 5, 311, 31, or auto, which is 5 and falls back to 311",
	},
	{
		Name: "bind-address", Short: "A", Tools: All, Group: GroupConnection, Type: TypeString,
		Placeholder: "ADDR", Complete: CompleteHost,
		Help: "connect from this local address or host name",
	},
	{
		Name: "nodelay", Tools: PubSub, Hidden: true, Group: GroupConnection, Type: TypeBool,
		Help: "set TCP_NODELAY; it is always set, the option is accepted for old scripts",
	},
	{
		Name: "max-inflight", Short: "M", Tools: PubSub, Group: GroupConnection, Type: TypeInt,
		Placeholder: "N", Default: "1024", Min: 1, Max: 65534,
		Help: "most QoS 1 and 2 messages sent and not yet acknowledged; 20 at QoS 2 before MQTT 5",
	},
	{
		Name: "receive-maximum", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeInt,
		Placeholder: "N", Min: 1, Max: 65535,
		Help: "most QoS 1 and 2 messages the broker may send unacknowledged (MQTT 5)",
	},
	{
		Name: "max-packet-size", Tools: PubSub, Group: GroupConnection, Type: TypeSize,
		Placeholder: "SIZE", Min: 1, Max: 268435460,
		Help: "largest packet accepted from the broker, as 64k or 1MiB; without it MQTT's limit, 256MiB",
	},
	{
		Name: "topic-alias-maximum", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeInt,
		Placeholder: "N", Min: 0, Max: 65535,
		Help: "most topic aliases the broker may use (MQTT 5)",
	},
	{
		Name: "property", Short: "D", V5: true, Tools: PubSub, Group: GroupConnection, Type: TypeProperty, Repeat: true,
		Placeholder: "CMD PROP [KEY] VALUE", Secret: true, Complete: CompleteProperty,
		Help: "add property PROP to packet CMD; user-property takes KEY and VALUE, the others only VALUE (MQTT 5)",
	},
	{
		Name: "connect-timeout", Tools: All, For: commandsPlan | CommandPlay, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION", Default: "10s", Min: int64(time.Millisecond),
		Help: "give up one attempt to connect after this long",
	},
	{
		Name: "wait-for", Tools: PubSub, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION",
		Help:        "keep trying the first connect that long before giving up",
	},
	{
		Name: "retry", Tools: PubSub, Group: GroupConnection, Type: TypeBool,
		Help: "retry temporary errors, even at startup",
	},
	{
		Name: "retry-for", Tools: PubSub, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION", Default: "5m",
		Help: "keep trying a broker that refuses a reconnect",
	},
	{
		Name: "no-reconnect", Tools: PubSub, Group: GroupConnection, Type: TypeBool,
		Help: "end when the connection is lost",
	},
	{
		Name: "reconnect-delay", Tools: PubSub, Group: GroupConnection, Type: TypeDuration,
		Placeholder: "DURATION", Default: "30s", Min: int64(10 * time.Millisecond),
		Help: "longest pause between two attempts to connect",
	},
	{
		Name: "serve", Tools: All, Group: GroupConnection, Type: TypeListen, Optional: true, Repeat: true,
		Excludes: []Relation{
			{With: []string{"host", "port", "url", "unix"}, Ranked: true},
			{With: []string{"srv", "ws", "ws-path", "ws-header", "proxy", "proxy-command", "bind-address"}, Hint: "drop it: the broker of --serve is this program", Ranked: true, Firm: true},
			{With: []string{"insecure"}, Hint: "drop it: the broker of --serve is this program, and needs no verifying", Ranked: true, Firm: true},
			{With: []string{"tls", "no-tls", "cafile", "capath", "tls-use-os-certs", "cert", "key", "key-password-file", "tls-server-name", "tls-pin", "tls-version", "ciphers", "tls-alpn", "tls-keylog", "psk", "psk-identity", "keyform", "tls-engine", "tls-engine-kpass-sha1"}, Hint: "to serve TLS: --serve mqtts://127.0.0.1 --serve-cert FILE --serve-key FILE", Ranked: true, Firm: true},
		},
		Placeholder: "ADDR", Implied: DefaultServeAddr,
		Help: "start the development broker on PORT, HOST:PORT or a URL and connect to it; alone on " + DefaultServeAddr + "; may be repeated",
	},
	{
		Name: "serve-users", Tools: All, Group: GroupConnection, Type: TypeString, Repeat: true,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "users and access rules of --serve, see mqtools(5), or mosquitto's files of them; SIGHUP reads FILE again; may be repeated",
	},
	{
		Name: "serve-cert", Tools: All, Group: GroupConnection, Type: TypeString,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "certificate (PEM) of --serve: of its mqtts: and wss: addresses, or if there are none, of HOST:PORT",
	},
	{
		Name: "serve-key", Tools: All, Group: GroupConnection, Type: TypeString,
		Needs: []Relation{
			{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr},
			{With: []string{"serve-cert"}, Always: true},
		},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "private key of --serve-cert (PEM), if it is not in the same file",
	},
	{
		Name: "serve-client-ca", Tools: All, Group: GroupConnection, Type: TypeString,
		Needs: []Relation{
			{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr},
			{With: []string{"serve-cert"}, Always: true},
		},
		Placeholder: "FILE", Complete: CompleteFile,
		Help: "have --serve require client certificates by FILE (PEM); their common name is the user name",
	},
	{
		Name: "serve-origin", Tools: All, Group: GroupConnection, Type: TypeString, Repeat: true,
		Needs:       []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Placeholder: "ORIGIN",
		Help:        "let web pages of ORIGIN, as https://app.example, use the WebSockets of --serve; null, or * for all; may be repeated",
	},
	{
		Name: "serve-proxy-protocol", Tools: PubSub, Group: GroupConnection, Type: TypeBool,
		Needs: []Relation{{With: []string{"serve"}, Hint: "add --serve, which runs a broker on " + DefaultServeAddr}},
		Help:  "have --serve take the clients' addresses from a proxy, by the PROXY protocol, versions 1 and 2",
	},
	{
		Name: "hash-password", Tools: All, Group: GroupConnection, Type: TypeBool, NoEnv: true,
		Help: "ask for a password, or read it from standard input, write what --serve-users wants of it and end",
	},
}

// DefaultServeAddr is where --serve listens when it is given without a value.
const DefaultServeAddr = "127.0.0.1:1883"

// PasswordSources are the options that give the password; only one may.
var PasswordSources = [...]string{"password", "password-file", "password-command", "ask-password"}
