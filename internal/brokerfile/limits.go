package brokerfile

import (
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// limit is a key of limits, its largest value, and the option that it sets.
type limit struct {
	key     string
	most    int
	seconds bool // a duration of whole seconds
	doc     string
	set     func(o *broker.Options, n int)
}

// DefaultSessionExpiry is how long --serve keeps the session of an absent client unless the file
// has a limit: a broker without an expiry collects sessions forever.
const DefaultSessionExpiry = 7 * 24 * time.Hour

const many = 1<<31 - 1

var limits = [...]limit{
	{"connections", many, false, "network connections at a time", func(o *broker.Options, n int) { o.MaxConnections = n }},
	{"connect-rate", many, false, "new connections per second from one address", func(o *broker.Options, n int) { o.ConnectRate = n }},
	{"sessions", many, false, "sessions, connected or not", func(o *broker.Options, n int) { o.MaxSessions = n }},
	{"session-expiry", many, true, "longest time that the session of an absent client is kept", func(o *broker.Options, n int) { o.MaxSessionExpiry = time.Duration(n) * time.Second }},
	{"keep-alive", 65535, true, "longest keep-alive interval", func(o *broker.Options, n int) { o.MaxKeepAlive = time.Duration(n) * time.Second }},
	{"subscriptions", many, false, "subscriptions of a session", func(o *broker.Options, n int) { o.MaxSubscriptions = n }},
	{"subscription-bytes", many, false, "bytes of the topic filters of all sessions", func(o *broker.Options, n int) { o.MaxSubscriptionBytes = n }},
	{"packet-bytes", 268435460, false, "bytes of a packet", func(o *broker.Options, n int) { o.MaxPacketSize = n }},
	{"topic-bytes", 65535, false, "bytes of a topic", func(o *broker.Options, n int) { o.MaxTopicBytes = n }},
	{"topic-levels", 65536, false, "levels of a topic", func(o *broker.Options, n int) { o.MaxTopicLevels = n }},
	{"user-properties", many, false, "user properties of a packet", func(o *broker.Options, n int) { o.MaxUserProperties = n }},
	{"receive-maximum", 65535, false, "unacknowledged messages from a client", func(o *broker.Options, n int) { o.ReceiveMaximum = uint16(n) }},
	{"inflight", 65534, false, "unacknowledged messages to a client", func(o *broker.Options, n int) { o.MaxInflight = n }},
	{"queue-messages", many, false, "messages queued for a session", func(o *broker.Options, n int) { o.QueueMessages = n }},
	{"queue-bytes", many, false, "bytes of messages queued for a session", func(o *broker.Options, n int) { o.QueueBytes = n }},
	{"queued-bytes", many, false, "bytes of messages queued for all sessions", func(o *broker.Options, n int) { o.MaxQueuedBytes = n }},
	{"retained", many, false, "retained messages", func(o *broker.Options, n int) { o.MaxRetained = n }},
	{"retained-bytes", many, false, "bytes of retained messages", func(o *broker.Options, n int) { o.MaxRetainedBytes = n }},
}

// limitKeys returns the keys of limits.
func (r *rules) limitKeys(f *yamlfile.File) yamlfile.Schema {
	s := make(yamlfile.Schema, len(limits))
	for i, l := range limits {
		s[i] = yamlfile.Func(l.key, l.kind(), func(n *yamlfile.Node) (err error) {
			if r.limits == nil {
				r.limits = make(map[string]int)
			}
			r.limits[l.key], err = l.read(f, n)
			return err
		}, l.doc)
	}
	return s
}

func (l *limit) kind() string {
	if l.seconds {
		return "DURATION"
	}
	return "N"
}

// read returns a number from 1 to the largest. It may have a plus sign, as YAML's numbers may.
func (l *limit) read(f *yamlfile.File, n *yamlfile.Node) (int, error) {
	unsigned := *n
	if digits, ok := strings.CutPrefix(n.Text, "+"); ok && strings.Trim(digits, "0123456789") == "" {
		unsigned.Text = digits
	}
	if l.seconds {
		d, err := f.Seconds(&unsigned, l.key, time.Second, time.Duration(l.most)*time.Second)
		return int(d / time.Second), err
	}
	number, err := f.Int(&unsigned, l.key, 1, int64(l.most))
	return int(number), err
}
