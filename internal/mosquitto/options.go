package mosquitto

// client is one of the three programs, or a set of them.
type client uint8

const (
	pub client = 1 << iota
	sub
	rr

	all     = pub | sub | rr
	senders = pub | rr
	readers = sub | rr
)

// row is one option that the programs know.
type row struct {
	short, long string // spellings; one may be empty
	in          client

	// noun is what a missing value is called; empty: the option has none.
	// missing, if set, is the whole line about it.
	noun, missing string

	// wrong is the line about a value that is no whole number from least to
	// most, with %s for the value; empty: it need not be one. tight leaves one
	// of the newlines behind it out.
	wrong       string
	tight       bool
	least, most int64

	// name is our option that gets the value, or true. Of several uses the last
	// one counts, but in the clients where each adds one. check judges a value first and puts
	// it into our form. do is called instead of both.
	name  string
	adds  client
	check func(c *config, value string) (string, *failure)
	do    func(c *config, value string) *failure
}

func (o *row) takesValue() bool { return o.noun != "" }

// label is how errors name the option.
func (o *row) label() string {
	if o.short != "" {
		return o.short
	}
	return o.long
}

// find returns the row of a spelling, or nil.
func find(word string) *row {
	if len(word) < 2 || word[0] != '-' {
		return nil
	}
	for i := range options {
		if o := &options[i]; o.short == word || o.long == word {
			return o
		}
	}
	return nil
}

const maxInt32 = 1<<31 - 1

// options are what the three programs know as of mosquitto 2.1. The texts are
// theirs: scripts look for them.
var options = [...]row{
	{short: "-A", in: all, noun: "address", name: "bind-address"},
	{long: "--cafile", in: all, noun: "file", name: "cafile"},
	{long: "--capath", in: all, noun: "directory", name: "capath"},
	{long: "--cert", in: all, noun: "file", name: "cert"},
	{long: "--key", in: all, noun: "file", name: "key"},
	{long: "--ciphers", in: all, noun: "ciphers", name: "ciphers"},
	{short: "-c", long: "--disable-clean-session", in: all, name: "disable-clean-session"},
	{short: "-C", in: sub, noun: "count", name: "count", wrong: `Invalid message count "%s".`, least: 1, most: maxInt32},
	{short: "-d", long: "--debug", in: all, name: "debug"},
	{short: "-D", long: "--property", in: all}, // takes several words
	{short: "-e", in: rr, noun: "response topic", name: "response-topic", check: (*config).checkResponseTopic},
	{short: "-E", in: sub, name: "exit-after-subscribe"},
	{short: "-f", long: "--file", in: senders, noun: "file", name: "file"},
	{short: "-F", in: readers, noun: "format", name: "format", check: (*config).checkFormat},
	{long: "--help", in: all},
	{short: "-h", long: "--host", in: all, noun: "host", name: "host"},
	{long: "--insecure", in: all, name: "insecure"},
	{short: "-i", long: "--id", in: all, noun: "id", name: "id"},
	{short: "-I", long: "--id-prefix", in: all, noun: "id prefix", name: "id-prefix"},
	{short: "-k", long: "--keepalive", in: all, noun: "keepalive", name: "keepalive",
		wrong: "Invalid keepalive given, it must be between 5 and 65535 inclusive.", least: 5, most: 65535},
	{long: "--keyform", in: all, noun: "keyform", name: "keyform"},
	{short: "-l", long: "--stdin-line", in: pub, name: "stdin-line"},
	{short: "-L", long: "--url", in: all, noun: "URL", do: (*config).readURL},
	{long: "--latency", in: rr, name: "latency"},
	{short: "-m", long: "--message", in: senders, noun: "message", name: "message"},
	{short: "-M", in: all, noun: "N", missing: "-M argument given but max_inflight not specified.", name: "max-inflight",
		wrong: "Maximum inflight messages must be greater than 0.", least: 1, most: maxInt32},
	{long: "--message-rate", in: sub, name: "message-rate"},
	{short: "-n", long: "--null-message", in: senders, name: "null-message"},
	{short: "-N", in: readers, name: "no-newline"},
	{long: "--nodelay", in: all, name: "nodelay"},
	{long: "--no-tls", in: all, name: "no-tls"},
	{short: "-o", in: all, noun: "options file"}, // read before all others
	{short: "-p", long: "--port", in: all, noun: "port", name: "port", wrong: "Invalid port given: %s", tight: true, most: 65535},
	{short: "-P", long: "--pw", in: all, noun: "password", name: "password"},
	{long: "--pretty", in: readers, name: "pretty"},
	{long: "--proxy", in: all, noun: "proxy url", name: "proxy", check: (*config).checkProxy},
	{long: "--psk", in: all, noun: "key", name: "psk"},
	{long: "--psk-identity", in: all, noun: "identity", name: "psk-identity"},
	{short: "-q", long: "--qos", in: all, noun: "QoS", name: "qos", wrong: "Invalid QoS given: %s", tight: true, most: 2},
	{long: "--quiet", in: all, name: "quiet"},
	{short: "-r", long: "--retain", in: pub, name: "retain"},
	{short: "-R", in: readers, name: "skip-retained"},
	{long: "--random-filter", in: sub, noun: "chance", name: "random-filter", check: (*config).checkChance},
	{long: "--remove-retained", in: sub, name: "remove-retained"},
	{long: "--repeat", in: pub, noun: "count", name: "repeat", wrong: "--repeat argument must be >0.", least: 1, most: maxInt32},
	{long: "--repeat-delay", in: pub, noun: "time", name: "repeat-delay", check: (*config).checkDelay},
	{long: "--retain-as-published", in: readers, name: "retain-as-published"},
	{long: "--retain-handling", in: readers, noun: "option", name: "retain-handling", check: (*config).checkHandling},
	{long: "--retained-only", in: sub, name: "retained-only"},
	{short: "-s", long: "--stdin-file", in: senders, name: "stdin-file"},
	{short: "-S", in: all, name: "srv"},
	{short: "-t", long: "--topic", in: all, noun: "topic", name: "topic", adds: sub, check: (*config).checkTopic},
	{short: "-T", long: "--filter-out", in: sub, noun: "topic filter", name: "filter-out", adds: sub, check: (*config).checkFilterOut},
	{long: "--tls-alpn", in: all, noun: "protocol", name: "tls-alpn"},
	{long: "--tls-engine", in: all, noun: "engine_id", name: "tls-engine"},
	{long: "--tls-engine-kpass-sha1", in: all, noun: "kpass sha1", name: "tls-engine-kpass-sha1"},
	{long: "--tls-keylog", in: all, noun: "file", name: "tls-keylog"},
	{long: "--tls-use-os-certs", in: all, name: "tls-use-os-certs"},
	{long: "--tls-version", in: all, noun: "version", name: "tls-version"},
	{short: "-U", long: "--unsubscribe", in: sub, noun: "unsubscribe topic", name: "unsubscribe", adds: sub, check: (*config).checkUnsubscribe},
	{short: "-u", long: "--username", in: all, noun: "username", name: "username"},
	{long: "--unix", in: all, noun: "socket path", do: (*config).readUnix},
	{short: "-V", long: "--protocol-version", in: all, noun: "version", missing: "--protocol-version argument given but no version specified.",
		name: "protocol-version", check: (*config).checkVersion},
	{short: "-v", long: "--verbose", in: readers, name: "verbose"},
	{long: "--version", in: all},
	{short: "-W", in: readers, noun: "timeout", name: "timeout", wrong: `Invalid timeout "%s".`, least: 1, most: maxInt32},
	{short: "-w", long: "--watch", in: sub, name: "watch"},
	{long: "--will-payload", in: all, noun: "will payload", name: "will-payload"},
	{long: "--will-qos", in: all, noun: "will QoS", name: "will-qos", wrong: "Invalid will QoS %s.", most: 2},
	{long: "--will-retain", in: all, name: "will-retain"},
	{long: "--will-topic", in: all, noun: "will topic", name: "will-topic", check: (*config).checkWillTopic},
	{long: "--ws", in: all, name: "ws"},
	{short: "-x", in: all, noun: "session expiry interval", name: "session-expiry-interval", check: (*config).checkExpiry},
}
