// Code generated from the tables by go test -run Field -update; DO NOT EDIT.

package option

// Fields has a field for the option of each name, nil where the tool has none.
type Fields struct {
	AckReport             *Value // --ack-report
	Arg                   *Value // --arg
	As                    *Value // --as
	AskPassword           *Value // --ask-password
	Auth                  *Value // --auth
	AuthCommand           *Value // --auth-command
	BindAddress           *Value // --bind-address
	CAFile                *Value // --cafile
	Calibration           *Value // --calibration
	CAPath                *Value // --capath
	Cert                  *Value // --cert
	Changed               *Value // --changed
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
	End                   *Value // --end
	Engine                *Value // --engine
	Exec                  *Value // --exec
	ExecReply             *Value // --exec-reply
	ExecTimeout           *Value // --exec-timeout
	ExitAfterSubscribe    *Value // --exit-after-subscribe
	FailOn                *Value // --fail-on
	Faults                *Value // --faults
	FieldList             *Value // --fields
	File                  *Value // --file
	Filter                *Value // --filter
	FilterOut             *Value // --filter-out
	First                 *Value // --first
	FollowReferences      *Value // --follow-references
	Force                 *Value // --force
	Format                *Value // --format
	From                  *Value // --from
	FromLoad              *Value // --from-load
	Gate                  *Value // --gate
	Grep                  *Value // --grep
	HashPassword          *Value // --hash-password
	Help                  *Value // --help
	Hold                  *Value // --hold
	Host                  *Value // --host
	ID                    *Value // --id
	IDPrefix              *Value // --id-prefix
	IdleTimeout           *Value // --idle-timeout
	Image                 *Value // --image
	InDoubt               *Value // --in-doubt
	Input                 *Value // --input
	Insecure              *Value // --insecure
	Interval              *Value // --interval
	IPv4                  *Value // --ipv4
	IPv6                  *Value // --ipv6
	Jobs                  *Value // --jobs
	JQ                    *Value // --jq
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
	OnError               *Value // --on-error
	OnUndeliverable       *Value // --on-undeliverable
	OptionsFile           *Value // --options-file
	Out                   *Value // --out
	OutputFile            *Value // --output-file
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
	Repair                *Value // --repair
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
	Rotate                *Value // --rotate
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
	Spool                 *Value // --spool
	SpoolSize             *Value // --spool-size
	SRV                   *Value // --srv
	StartAt               *Value // --start-at
	StartIn               *Value // --start-in
	StdinFile             *Value // --stdin-file
	StdinLine             *Value // --stdin-line
	Strict                *Value // --strict
	Sub                   *Value // --sub
	Subscribers           *Value // --subscribers
	Sync                  *Value // --sync
	Throttle              *Value // --throttle
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
	TS                    *Value // --ts
	Unix                  *Value // --unix
	Unsubscribe           *Value // --unsubscribe
	Until                 *Value // --until
	URL                   *Value // --url
	Username              *Value // --username
	Verbose               *Value // --verbose
	Version               *Value // --version
	WaitFor               *Value // --wait-for
	WarmUp                *Value // --warm-up
	Watch                 *Value // --watch
	Where                 *Value // --where
	WillPayload           *Value // --will-payload
	WillQoS               *Value // --will-qos
	WillRetain            *Value // --will-retain
	WillTopic             *Value // --will-topic
	WS                    *Value // --ws
	WSHeader              *Value // --ws-header
	WSPath                *Value // --ws-path
}

// at returns the field for the option of a name; nil where no tool has one.
func (f *Fields) at(name string) **Value {
	switch name {
	case "ack-report":
		return &f.AckReport
	case "arg":
		return &f.Arg
	case "as":
		return &f.As
	case "ask-password":
		return &f.AskPassword
	case "auth":
		return &f.Auth
	case "auth-command":
		return &f.AuthCommand
	case "bind-address":
		return &f.BindAddress
	case "cafile":
		return &f.CAFile
	case "calibration":
		return &f.Calibration
	case "capath":
		return &f.CAPath
	case "cert":
		return &f.Cert
	case "changed":
		return &f.Changed
	case "ciphers":
		return &f.Ciphers
	case "clients":
		return &f.Clients
	case "color":
		return &f.Color
	case "compat":
		return &f.Compat
	case "completion":
		return &f.Completion
	case "config":
		return &f.Config
	case "connect":
		return &f.Connect
	case "connect-rate":
		return &f.ConnectRate
	case "connect-timeout":
		return &f.ConnectTimeout
	case "context":
		return &f.Context
	case "count":
		return &f.Count
	case "debug":
		return &f.Debug
	case "delimiter":
		return &f.Delimiter
	case "disable-clean-session":
		return &f.DisableCleanSession
	case "drain-timeout":
		return &f.DrainTimeout
	case "duration":
		return &f.Duration
	case "echo":
		return &f.Echo
	case "end":
		return &f.End
	case "engine":
		return &f.Engine
	case "exec":
		return &f.Exec
	case "exec-reply":
		return &f.ExecReply
	case "exec-timeout":
		return &f.ExecTimeout
	case "exit-after-subscribe":
		return &f.ExitAfterSubscribe
	case "fail-on":
		return &f.FailOn
	case "faults":
		return &f.Faults
	case "fields":
		return &f.FieldList
	case "file":
		return &f.File
	case "filter":
		return &f.Filter
	case "filter-out":
		return &f.FilterOut
	case "first":
		return &f.First
	case "follow-references":
		return &f.FollowReferences
	case "force":
		return &f.Force
	case "format":
		return &f.Format
	case "from":
		return &f.From
	case "from-load":
		return &f.FromLoad
	case "gate":
		return &f.Gate
	case "grep":
		return &f.Grep
	case "hash-password":
		return &f.HashPassword
	case "help":
		return &f.Help
	case "hold":
		return &f.Hold
	case "host":
		return &f.Host
	case "id":
		return &f.ID
	case "id-prefix":
		return &f.IDPrefix
	case "idle-timeout":
		return &f.IdleTimeout
	case "image":
		return &f.Image
	case "in-doubt":
		return &f.InDoubt
	case "input":
		return &f.Input
	case "insecure":
		return &f.Insecure
	case "interval":
		return &f.Interval
	case "ipv4":
		return &f.IPv4
	case "ipv6":
		return &f.IPv6
	case "jobs":
		return &f.Jobs
	case "jq":
		return &f.JQ
	case "json":
		return &f.JSON
	case "json-payload":
		return &f.JSONPayload
	case "keep-sessions":
		return &f.KeepSessions
	case "keepalive":
		return &f.Keepalive
	case "key":
		return &f.Key
	case "key-password-file":
		return &f.KeyPasswordFile
	case "keyform":
		return &f.Keyform
	case "latency":
		return &f.Latency
	case "limit":
		return &f.Limit
	case "listen":
		return &f.Listen
	case "load":
		return &f.Load
	case "loops":
		return &f.Loops
	case "max-inflight":
		return &f.MaxInflight
	case "max-packet-size":
		return &f.MaxPacketSize
	case "message":
		return &f.Message
	case "message-rate":
		return &f.MessageRate
	case "metric":
		return &f.Metric
	case "metrics":
		return &f.Metrics
	case "name":
		return &f.Name
	case "names":
		return &f.Names
	case "namespace":
		return &f.Namespace
	case "no-local":
		return &f.NoLocal
	case "no-newline":
		return &f.NoNewline
	case "no-reconnect":
		return &f.NoReconnect
	case "no-tls":
		return &f.NoTLS
	case "nodelay":
		return &f.Nodelay
	case "none":
		return &f.None
	case "null":
		return &f.Null
	case "null-message":
		return &f.NullMessage
	case "on-error":
		return &f.OnError
	case "on-undeliverable":
		return &f.OnUndeliverable
	case "options-file":
		return &f.OptionsFile
	case "out":
		return &f.Out
	case "output-file":
		return &f.OutputFile
	case "password":
		return &f.Password
	case "password-command":
		return &f.PasswordCommand
	case "password-file":
		return &f.PasswordFile
	case "port":
		return &f.Port
	case "precision":
		return &f.Precision
	case "pretty":
		return &f.Pretty
	case "print0":
		return &f.Print0
	case "procs":
		return &f.Procs
	case "property":
		return &f.Property
	case "protocol-version":
		return &f.ProtocolVersion
	case "proxy":
		return &f.Proxy
	case "proxy-command":
		return &f.ProxyCommand
	case "psk":
		return &f.PSK
	case "psk-identity":
		return &f.PSKIdentity
	case "qos":
		return &f.QoS
	case "quiet":
		return &f.Quiet
	case "random-filter":
		return &f.RandomFilter
	case "rate":
		return &f.Rate
	case "raw":
		return &f.Raw
	case "reauthenticate-every":
		return &f.ReauthenticateEvery
	case "receive-maximum":
		return &f.ReceiveMaximum
	case "reconnect-delay":
		return &f.ReconnectDelay
	case "remove-retained":
		return &f.RemoveRetained
	case "repair":
		return &f.Repair
	case "repeat":
		return &f.Repeat
	case "repeat-delay":
		return &f.RepeatDelay
	case "replies":
		return &f.Replies
	case "reply-command":
		return &f.ReplyCommand
	case "request":
		return &f.Request
	case "response-topic":
		return &f.ResponseTopic
	case "resume":
		return &f.Resume
	case "retain":
		return &f.Retain
	case "retain-as-published":
		return &f.RetainAsPublished
	case "retain-handling":
		return &f.RetainHandling
	case "retained-only":
		return &f.RetainedOnly
	case "retained-quiet":
		return &f.RetainedQuiet
	case "retry":
		return &f.Retry
	case "retry-for":
		return &f.RetryFor
	case "rotate":
		return &f.Rotate
	case "run-id":
		return &f.RunID
	case "scale":
		return &f.Scale
	case "secret":
		return &f.Secret
	case "seed":
		return &f.Seed
	case "serve":
		return &f.Serve
	case "serve-cert":
		return &f.ServeCert
	case "serve-client-ca":
		return &f.ServeClientCA
	case "serve-key":
		return &f.ServeKey
	case "serve-origin":
		return &f.ServeOrigin
	case "serve-proxy-protocol":
		return &f.ServeProxyProtocol
	case "serve-users":
		return &f.ServeUsers
	case "session-expiry-interval":
		return &f.SessionExpiryInterval
	case "shapes":
		return &f.Shapes
	case "shard":
		return &f.Shard
	case "shards":
		return &f.Shards
	case "show-config":
		return &f.ShowConfig
	case "size":
		return &f.Size
	case "skip-blank":
		return &f.SkipBlank
	case "skip-retained":
		return &f.SkipRetained
	case "slo":
		return &f.SLO
	case "source-ip":
		return &f.SourceIP
	case "spool":
		return &f.Spool
	case "spool-size":
		return &f.SpoolSize
	case "srv":
		return &f.SRV
	case "start-at":
		return &f.StartAt
	case "start-in":
		return &f.StartIn
	case "stdin-file":
		return &f.StdinFile
	case "stdin-line":
		return &f.StdinLine
	case "strict":
		return &f.Strict
	case "sub":
		return &f.Sub
	case "subscribers":
		return &f.Subscribers
	case "sync":
		return &f.Sync
	case "throttle":
		return &f.Throttle
	case "timeout":
		return &f.Timeout
	case "tls":
		return &f.TLS
	case "tls-alpn":
		return &f.TLSALPN
	case "tls-engine":
		return &f.TLSEngine
	case "tls-engine-kpass-sha1":
		return &f.TLSEngineKPassSHA1
	case "tls-keylog":
		return &f.TLSKeylog
	case "tls-pin":
		return &f.TLSPin
	case "tls-server-name":
		return &f.TLSServerName
	case "tls-use-os-certs":
		return &f.TLSUseOSCerts
	case "tls-version":
		return &f.TLSVersion
	case "topic":
		return &f.Topic
	case "topic-alias-maximum":
		return &f.TopicAliasMaximum
	case "topic-prefix":
		return &f.TopicPrefix
	case "ts":
		return &f.TS
	case "unix":
		return &f.Unix
	case "unsubscribe":
		return &f.Unsubscribe
	case "until":
		return &f.Until
	case "url":
		return &f.URL
	case "username":
		return &f.Username
	case "verbose":
		return &f.Verbose
	case "version":
		return &f.Version
	case "wait-for":
		return &f.WaitFor
	case "warm-up":
		return &f.WarmUp
	case "watch":
		return &f.Watch
	case "where":
		return &f.Where
	case "will-payload":
		return &f.WillPayload
	case "will-qos":
		return &f.WillQoS
	case "will-retain":
		return &f.WillRetain
	case "will-topic":
		return &f.WillTopic
	case "ws":
		return &f.WS
	case "ws-header":
		return &f.WSHeader
	case "ws-path":
		return &f.WSPath
	}
	return nil
}
