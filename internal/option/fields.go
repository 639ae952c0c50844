// Code generated from the tables by go test -run Field -update; DO NOT EDIT.

package option

// Fields has a field for the option of each name, nil where the tool has none.
type Fields struct {
	AskPassword           *Value // --ask-password
	Auth                  *Value // --auth
	AuthCommand           *Value // --auth-command
	BindAddress           *Value // --bind-address
	CAFile                *Value // --cafile
	Calibration           *Value // --calibration
	CAPath                *Value // --capath
	Cert                  *Value // --cert
	Ciphers               *Value // --ciphers
	Clients               *Value // --clients
	Color                 *Value // --color
	Compat                *Value // --compat
	Completion            *Value // --completion
	Config                *Value // --config
	Connect               *Value // --connect
	ConnectRate           *Value // --connect-rate
	ConnectTimeout        *Value // --connect-timeout
	Context               *Value // --context
	Count                 *Value // --count
	Debug                 *Value // --debug
	Delimiter             *Value // --delimiter
	DisableCleanSession   *Value // --disable-clean-session
	DrainTimeout          *Value // --drain-timeout
	Duration              *Value // --duration
	Echo                  *Value // --echo
	Engine                *Value // --engine
	ExitAfterSubscribe    *Value // --exit-after-subscribe
	FailOn                *Value // --fail-on
	Faults                *Value // --faults
	File                  *Value // --file
	Filter                *Value // --filter
	FilterOut             *Value // --filter-out
	First                 *Value // --first
	FollowReferences      *Value // --follow-references
	Force                 *Value // --force
	Format                *Value // --format
	FromLoad              *Value // --from-load
	Gate                  *Value // --gate
	HashPassword          *Value // --hash-password
	Help                  *Value // --help
	Hold                  *Value // --hold
	Host                  *Value // --host
	ID                    *Value // --id
	IDPrefix              *Value // --id-prefix
	IdleTimeout           *Value // --idle-timeout
	Image                 *Value // --image
	Input                 *Value // --input
	Insecure              *Value // --insecure
	Interval              *Value // --interval
	JSON                  *Value // --json
	JSONPayload           *Value // --json-payload
	KeepSessions          *Value // --keep-sessions
	Keepalive             *Value // --keepalive
	Key                   *Value // --key
	KeyPasswordFile       *Value // --key-password-file
	Keyform               *Value // --keyform
	Latency               *Value // --latency
	Limit                 *Value // --limit
	Listen                *Value // --listen
	Load                  *Value // --load
	Loops                 *Value // --loops
	MaxInflight           *Value // --max-inflight
	MaxPacketSize         *Value // --max-packet-size
	Message               *Value // --message
	MessageRate           *Value // --message-rate
	Metric                *Value // --metric
	Metrics               *Value // --metrics
	Name                  *Value // --name
	Names                 *Value // --names
	Namespace             *Value // --namespace
	NoLocal               *Value // --no-local
	NoNewline             *Value // --no-newline
	NoReconnect           *Value // --no-reconnect
	NoTLS                 *Value // --no-tls
	Nodelay               *Value // --nodelay
	None                  *Value // --none
	Null                  *Value // --null
	NullMessage           *Value // --null-message
	OnUndeliverable       *Value // --on-undeliverable
	OptionsFile           *Value // --options-file
	Out                   *Value // --out
	Password              *Value // --password
	PasswordCommand       *Value // --password-command
	PasswordFile          *Value // --password-file
	Port                  *Value // --port
	Precision             *Value // --precision
	Pretty                *Value // --pretty
	Print0                *Value // --print0
	Procs                 *Value // --procs
	Property              *Value // --property
	ProtocolVersion       *Value // --protocol-version
	Proxy                 *Value // --proxy
	ProxyCommand          *Value // --proxy-command
	PSK                   *Value // --psk
	PSKIdentity           *Value // --psk-identity
	QoS                   *Value // --qos
	Quiet                 *Value // --quiet
	RandomFilter          *Value // --random-filter
	Rate                  *Value // --rate
	Raw                   *Value // --raw
	ReauthenticateEvery   *Value // --reauthenticate-every
	ReceiveMaximum        *Value // --receive-maximum
	ReconnectDelay        *Value // --reconnect-delay
	RemoveRetained        *Value // --remove-retained
	Repeat                *Value // --repeat
	RepeatDelay           *Value // --repeat-delay
	Replies               *Value // --replies
	ReplyCommand          *Value // --reply-command
	Request               *Value // --request
	ResponseTopic         *Value // --response-topic
	Resume                *Value // --resume
	Retain                *Value // --retain
	RetainAsPublished     *Value // --retain-as-published
	RetainHandling        *Value // --retain-handling
	RetainedOnly          *Value // --retained-only
	RetainedQuiet         *Value // --retained-quiet
	Retry                 *Value // --retry
	RetryFor              *Value // --retry-for
	RunID                 *Value // --run-id
	Scale                 *Value // --scale
	Secret                *Value // --secret
	Seed                  *Value // --seed
	Serve                 *Value // --serve
	ServeCert             *Value // --serve-cert
	ServeClientCA         *Value // --serve-client-ca
	ServeKey              *Value // --serve-key
	ServeOrigin           *Value // --serve-origin
	ServeProxyProtocol    *Value // --serve-proxy-protocol
	ServeUsers            *Value // --serve-users
	SessionExpiryInterval *Value // --session-expiry-interval
	Shapes                *Value // --shapes
	Shard                 *Value // --shard
	Shards                *Value // --shards
	ShowConfig            *Value // --show-config
	Size                  *Value // --size
	SkipBlank             *Value // --skip-blank
	SkipRetained          *Value // --skip-retained
	SLO                   *Value // --slo
	SourceIP              *Value // --source-ip
	SRV                   *Value // --srv
	StartAt               *Value // --start-at
	StartIn               *Value // --start-in
	StdinFile             *Value // --stdin-file
	StdinLine             *Value // --stdin-line
	Strict                *Value // --strict
	Sub                   *Value // --sub
	Subscribers           *Value // --subscribers
	Timeout               *Value // --timeout
	TLS                   *Value // --tls
	TLSALPN               *Value // --tls-alpn
	TLSEngine             *Value // --tls-engine
	TLSEngineKPassSHA1    *Value // --tls-engine-kpass-sha1
	TLSKeylog             *Value // --tls-keylog
	TLSPin                *Value // --tls-pin
	TLSServerName         *Value // --tls-server-name
	TLSUseOSCerts         *Value // --tls-use-os-certs
	TLSVersion            *Value // --tls-version
	Topic                 *Value // --topic
	TopicAliasMaximum     *Value // --topic-alias-maximum
	TopicPrefix           *Value // --topic-prefix
	Unix                  *Value // --unix
	Unsubscribe           *Value // --unsubscribe
	URL                   *Value // --url
	Username              *Value // --username
	Verbose               *Value // --verbose
	Version               *Value // --version
	WaitFor               *Value // --wait-for
	WarmUp                *Value // --warm-up
	Watch                 *Value // --watch
	WillPayload           *Value // --will-payload
	WillQoS               *Value // --will-qos
	WillRetain            *Value // --will-retain
	WillTopic             *Value // --will-topic
	WS                    *Value // --ws
	WSHeader              *Value // --ws-header
	WSPath                *Value // --ws-path
}

// fieldNames are the options of the fields, in the same order, which is that of the alphabet.
var fieldNames = [...]string{
	"ask-password",
	"auth",
	"auth-command",
	"bind-address",
	"cafile",
	"calibration",
	"capath",
	"cert",
	"ciphers",
	"clients",
	"color",
	"compat",
	"completion",
	"config",
	"connect",
	"connect-rate",
	"connect-timeout",
	"context",
	"count",
	"debug",
	"delimiter",
	"disable-clean-session",
	"drain-timeout",
	"duration",
	"echo",
	"engine",
	"exit-after-subscribe",
	"fail-on",
	"faults",
	"file",
	"filter",
	"filter-out",
	"first",
	"follow-references",
	"force",
	"format",
	"from-load",
	"gate",
	"hash-password",
	"help",
	"hold",
	"host",
	"id",
	"id-prefix",
	"idle-timeout",
	"image",
	"input",
	"insecure",
	"interval",
	"json",
	"json-payload",
	"keep-sessions",
	"keepalive",
	"key",
	"key-password-file",
	"keyform",
	"latency",
	"limit",
	"listen",
	"load",
	"loops",
	"max-inflight",
	"max-packet-size",
	"message",
	"message-rate",
	"metric",
	"metrics",
	"name",
	"names",
	"namespace",
	"no-local",
	"no-newline",
	"no-reconnect",
	"no-tls",
	"nodelay",
	"none",
	"null",
	"null-message",
	"on-undeliverable",
	"options-file",
	"out",
	"password",
	"password-command",
	"password-file",
	"port",
	"precision",
	"pretty",
	"print0",
	"procs",
	"property",
	"protocol-version",
	"proxy",
	"proxy-command",
	"psk",
	"psk-identity",
	"qos",
	"quiet",
	"random-filter",
	"rate",
	"raw",
	"reauthenticate-every",
	"receive-maximum",
	"reconnect-delay",
	"remove-retained",
	"repeat",
	"repeat-delay",
	"replies",
	"reply-command",
	"request",
	"response-topic",
	"resume",
	"retain",
	"retain-as-published",
	"retain-handling",
	"retained-only",
	"retained-quiet",
	"retry",
	"retry-for",
	"run-id",
	"scale",
	"secret",
	"seed",
	"serve",
	"serve-cert",
	"serve-client-ca",
	"serve-key",
	"serve-origin",
	"serve-proxy-protocol",
	"serve-users",
	"session-expiry-interval",
	"shapes",
	"shard",
	"shards",
	"show-config",
	"size",
	"skip-blank",
	"skip-retained",
	"slo",
	"source-ip",
	"srv",
	"start-at",
	"start-in",
	"stdin-file",
	"stdin-line",
	"strict",
	"sub",
	"subscribers",
	"timeout",
	"tls",
	"tls-alpn",
	"tls-engine",
	"tls-engine-kpass-sha1",
	"tls-keylog",
	"tls-pin",
	"tls-server-name",
	"tls-use-os-certs",
	"tls-version",
	"topic",
	"topic-alias-maximum",
	"topic-prefix",
	"unix",
	"unsubscribe",
	"url",
	"username",
	"verbose",
	"version",
	"wait-for",
	"warm-up",
	"watch",
	"will-payload",
	"will-qos",
	"will-retain",
	"will-topic",
	"ws",
	"ws-header",
	"ws-path",
}
