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

// row is one option that the programs know.
type row struct {
	name   string // our option that gets the value, or true; its spellings are theirs, but
	letter bool   // its long name, where they know the letter alone
	long   string // or where theirs is another
	in     client // who knows it

	// noun is what a missing value is called; empty: the option has none.
	// missing, if set, is the whole line about it.
	noun, missing string

	// wrong is the line about a value that is no whole number from least to
	// most, with %s for the value; empty: it need not be one. tight leaves one
	// of the newlines behind it out.
	wrong       string
	tight       bool
	least, most int64

	// Of several uses the last one counts, but in the clients where each adds one. check
	// judges a value first and puts it into our form. do is called instead of both.
	adds  client
	check func(c *config, value string) (string, *failure)
	do    func(c *config, value string) *failure
}

func (o *row) takesValue() bool { return o.noun != "" }

// ours is our option of the row.
func (o *row) ours() *option.Option { return option.Table(option.PubSub).Long("--" + o.name) }

// spellings are how they write it, the letter first.
func (o *row) spellings() (all []string) {
	if short := o.ours().Short; short != "" {
		all = append(all, "-"+short)
	}
	if !o.letter {
		all = append(all, cmp.Or(o.long, "--"+o.name))
	}
	return all
}

// label is how errors name the option.
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

// options are what of ours the three programs know as of mosquitto 2.1, and what is
// theirs about it. The texts are theirs: scripts look for them.
var options = [...]row{
	{name: "bind-address", letter: true, in: all, noun: "address"},
	{name: "cafile", in: all, noun: "file"},
	{name: "capath", in: all, noun: "directory"},
	{name: "cert", in: all, noun: "file"},
	{name: "key", in: all, noun: "file"},
	{name: "ciphers", in: all, noun: "ciphers"},
	{name: "disable-clean-session", in: all},
	{name: "count", letter: true, in: sub, noun: "count", wrong: `Invalid message count "%s".`, least: 1, most: maxInt32},
	{name: "debug", in: all},
	{name: "property", in: all}, // takes several words
	{name: "response-topic", letter: true, in: rr, noun: "response topic", check: (*config).checkResponseTopic},
	{name: "exit-after-subscribe", letter: true, in: sub},
	{name: "file", in: senders, noun: "file"},
	{name: "format", letter: true, in: readers, noun: "format", check: (*config).checkFormat},
	{name: "help", in: all},
	{name: "host", in: all, noun: "host"},
	{name: "insecure", in: all},
	{name: "id", in: all, noun: "id"},
	{name: "id-prefix", in: all, noun: "id prefix"},
	{name: "keepalive", in: all, noun: "keepalive",
		wrong: "Invalid keepalive given, it must be between 5 and 65535 inclusive.", least: 5, most: 65535},
	{name: "keyform", in: all, noun: "keyform"},
	{name: "stdin-line", in: pub},
	{name: "url", in: all, noun: "URL", do: (*config).readURL},
	{name: "latency", in: rr},
	{name: "message", in: senders, noun: "message"},
	{name: "max-inflight", letter: true, in: all, noun: "N", missing: "-M argument given but max_inflight not specified.",
		wrong: "Maximum inflight messages must be greater than 0.", least: 1, most: maxInt32},
	{name: "message-rate", in: sub},
	{name: "null-message", in: senders},
	{name: "no-newline", letter: true, in: readers},
	{name: "nodelay", in: all},
	{name: "no-tls", in: all},
	{name: "options-file", letter: true, in: all, noun: "options file"}, // read before all others
	{name: "port", in: all, noun: "port", wrong: "Invalid port given: %s", tight: true, most: 65535},
	{name: "password", long: "--pw", in: all, noun: "password"},
	{name: "pretty", in: readers},
	{name: "proxy", in: all, noun: "proxy url", check: (*config).checkProxy},
	{name: "psk", in: all, noun: "key"},
	{name: "psk-identity", in: all, noun: "identity"},
	{name: "qos", in: all, noun: "QoS", wrong: "Invalid QoS given: %s", tight: true, most: 2},
	{name: "quiet", in: all},
	{name: "retain", in: pub},
	{name: "skip-retained", letter: true, in: readers},
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
	{name: "filter-out", in: sub, noun: "topic filter", adds: sub, check: (*config).checkFilterOut},
	{name: "tls-alpn", in: all, noun: "protocol"},
	{name: "tls-engine", in: all, noun: "engine_id"},
	{name: "tls-engine-kpass-sha1", in: all, noun: "kpass sha1"},
	{name: "tls-keylog", in: all, noun: "file"},
	{name: "tls-use-os-certs", in: all},
	{name: "tls-version", in: all, noun: "version"},
	{name: "unsubscribe", in: sub, noun: "unsubscribe topic", adds: sub, check: (*config).checkUnsubscribe},
	{name: "username", in: all, noun: "username"},
	{name: "unix", in: all, noun: "socket path", do: (*config).readUnix},
	{name: "protocol-version", in: all, noun: "version", missing: "--protocol-version argument given but no version specified.", check: (*config).checkVersion},
	{name: "verbose", in: readers},
	{name: "version", in: all},
	{name: "timeout", letter: true, in: readers, noun: "timeout", wrong: `Invalid timeout "%s".`, least: 1, most: maxInt32},
	{name: "watch", in: sub},
	{name: "will-payload", in: all, noun: "will payload"},
	{name: "will-qos", in: all, noun: "will QoS", wrong: "Invalid will QoS %s.", most: 2},
	{name: "will-retain", in: all},
	{name: "will-topic", in: all, noun: "will topic", check: (*config).checkWillTopic},
	{name: "ws", in: all},
	{name: "session-expiry-interval", letter: true, in: all, noun: "session expiry interval", check: (*config).checkExpiry},
}
