package mosquitto

import (
	"cmp"

	"github.com/mqtools/mqtools/internal/option"
)

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

// row is one option of the programs.
type row struct {
	name   string // our option that gets the value, or true; the spellings are the same, except for
	letter bool   // its long name, if they only have the letter
	long   string // or a different long name
	in     client // the programs that have it

	// noun names a missing value in the error; empty: the option has no value. missing, if
	// set, replaces the whole line.
	noun, missing string

	// wrong is the line for a value that is not a whole number from least to most, with %s
	// for the value; empty: the value need not be a number. tight omits one of the newlines
	// after it.
	wrong       string
	tight       bool
	least, most int64

	// The last of several uses counts, except in the programs in adds, where each use adds
	// a value. check first checks a value and converts it to our form. do, if set, is
	// called instead of both.
	adds  client
	check func(c *config, value string) (string, *failure)
	do    func(c *config, value string) *failure

	// topic, if set, is the kind of topic that the value is, a topic filter if filter is set.
	topic  string
	filter bool

	// about replaces the description of our option in the help.
	about string
}

func (o *row) takesValue() bool { return o.noun != "" }

// ours returns our option for the row.
func (o *row) ours() *option.Option { return option.Table(option.PubSub).Long("--" + o.name) }

// spellings returns the programs' spellings, the letter first.
func (o *row) spellings() (all []string) {
	if short := o.ours().Short; short != "" {
		all = append(all, "-"+short)
	}
	if !o.letter {
		all = append(all, cmp.Or(o.long, "--"+o.name))
	}
	return all
}

// label returns the name of the option in errors.
func (o *row) label() string { return o.spellings()[0] }

// find returns the row of a spelling of one of ours, or nil.
func find(table option.Options, word string) *row {
	ours := table.Find(word)
	if ours == nil {
		return nil
	}
	o := rowOf(ours.Name)
	if o == nil || len(word) > 2 && (o.letter || word != cmp.Or(o.long, "--"+o.name)) {
		return nil
	}
	return o
}

// rowOf returns the row of one of our options, or nil.
func rowOf(name string) *row {
	for i := range options {
		if options[i].name == name {
			return &options[i]
		}
	}
	return nil
}

const maxInt32 = 1<<31 - 1

// options are the options of ours that the three programs have as of mosquitto 2.1, and how
// theirs differ. The error texts are theirs, because scripts match them.
var options = [...]row{
	{name: "bind-address", letter: true, in: all, noun: "address"},
	{name: "cafile", in: all, noun: "file"},
	{name: "capath", in: all, noun: "directory"},
	{name: "cert", in: all, noun: "file"},
	{name: "key", in: all, noun: "file"},
	{name: "ciphers", in: all, noun: "ciphers"},
	{name: "disable-clean-session", in: all},
	{name: "count", letter: true, in: sub, noun: "count", wrong: `Invalid message count "%s".`, least: 1, most: maxInt32},
	{name: "debug", in: all, about: "log every packet to standard output"},
	{name: "property", in: all, about: "a property: command, name and value, or command, user-property, name and value"}, // has several words
	{name: "response-topic", letter: true, in: rr, noun: "response topic", topic: "response"},
	{name: "exit-after-subscribe", letter: true, in: sub},
	{name: "file", in: senders, noun: "file"},
	{name: "format", letter: true, in: readers, noun: "format", check: (*config).checkFormat},
	{name: "help", in: all, about: "show this text"},
	{name: "host", in: all, noun: "host"},
	{name: "insecure", in: all},
	{name: "id", in: all, noun: "id"},
	{name: "id-prefix", in: all, noun: "id prefix"},
	{name: "keepalive", in: all, noun: "keepalive",
		wrong: "Invalid keepalive given, it must be between 5 and 65535 inclusive.", least: 5, most: 65535},
	{name: "keyform", in: all, noun: "keyform"},
	{name: "stdin-line", in: pub},
	{name: "url", in: all, noun: "URL", do: (*config).readURL,
		about: "the broker and the topic as mqtt(s)://[username[:password]@]host[:port]/topic, or ws(s)://"},
	{name: "latency", in: rr},
	{name: "message", in: senders, noun: "message"},
	{name: "max-inflight", letter: true, in: all, noun: "N", missing: "-M argument given but max_inflight not specified.",
		wrong: "Maximum inflight messages must be greater than 0.", least: 1, most: maxInt32, about: "the most QoS 1 and 2 messages on the way"},
	{name: "message-rate", in: sub},
	{name: "null-message", in: senders},
	{name: "no-newline", letter: true, in: readers},
	{name: "nodelay", in: all},
	{name: "no-tls", in: all},
	{name: "options-file", letter: true, in: all, noun: "options file", about: "read options from a file, one a line"}, // read before all others
	{name: "port", in: all, noun: "port", wrong: "Invalid port given: %s", tight: true, most: 65535},
	{name: "password", long: "--pw", in: all, noun: "password"},
	{name: "pretty", in: readers, about: "write the JSON of -F indented"},
	{name: "proxy", in: all, noun: "proxy url", check: (*config).checkProxy},
	{name: "psk", in: all, noun: "key"},
	{name: "psk-identity", in: all, noun: "identity"},
	{name: "qos", in: all, noun: "QoS", wrong: "Invalid QoS given: %s", tight: true, most: 2},
	{name: "quiet", in: all, about: "print no errors of the run"},
	{name: "retain", in: pub},
	{name: "skip-retained", letter: true, in: readers, about: "leave out messages that were retained"},
	{name: "random-filter", in: sub, noun: "chance", check: (*config).checkChance},
	{name: "remove-retained", in: sub},
	{name: "repeat", in: pub, noun: "count", wrong: "--repeat argument must be >0.", least: 1, most: maxInt32},
	{name: "repeat-delay", in: pub, noun: "time", check: (*config).checkDelay},
	{name: "retain-as-published", in: readers},
	{name: "retain-handling", in: readers, noun: "option", check: (*config).checkHandling},
	{name: "retained-only", in: sub},
	{name: "stdin-file", in: senders},
	{name: "srv", letter: true, in: all},
	{name: "topic", in: all, noun: "topic", adds: sub, check: (*config).checkTopic},
	{name: "filter-out", in: sub, noun: "topic filter", adds: sub, topic: "filter", filter: true},
	{name: "tls-alpn", in: all, noun: "protocol"},
	{name: "tls-engine", in: all, noun: "engine_id"},
	{name: "tls-engine-kpass-sha1", in: all, noun: "kpass sha1"},
	{name: "tls-keylog", in: all, noun: "file"},
	{name: "tls-use-os-certs", in: all},
	{name: "tls-version", in: all, noun: "version"},
	{name: "unsubscribe", in: sub, noun: "unsubscribe topic", adds: sub, topic: "unsubscribe", filter: true},
	{name: "username", in: all, noun: "username"},
	{name: "unix", in: all, noun: "socket path", do: (*config).readUnix},
	{name: "protocol-version", in: all, noun: "version", missing: "--protocol-version argument given but no version specified.", check: (*config).checkVersion},
	{name: "verbose", in: readers},
	{name: "version", in: all, about: "show the version"},
	{name: "timeout", letter: true, in: readers, noun: "timeout", wrong: `Invalid timeout "%s".`, least: 1, most: maxInt32},
	{name: "watch", in: sub},
	{name: "will-payload", in: all, noun: "will payload"},
	{name: "will-qos", in: all, noun: "will QoS", wrong: "Invalid will QoS %s.", most: 2},
	{name: "will-retain", in: all},
	{name: "will-topic", in: all, noun: "will topic", topic: "will"},
	{name: "ws", in: all},
	{name: "session-expiry-interval", letter: true, in: all, noun: "session expiry interval", check: (*config).checkExpiry},
}
