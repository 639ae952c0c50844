package brokerfile

import (
	"strconv"
	"time"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// limit is a key of limits: its largest value, and the setting.
type limit struct {
	key  string
	most int
	set  func(o *broker.Options, n int)
}

// DefaultSessionExpiry is how long a session of an absent client stays with
// --serve unless a file says otherwise: nobody cleans up after a broker's users.
const DefaultSessionExpiry = 7 * 24 * time.Hour

const many = 1<<31 - 1

var limits = [...]limit{
	{"connections", many, func(o *broker.Options, n int) { o.MaxConnections = n }},
	{"connect-rate", many, func(o *broker.Options, n int) { o.ConnectRate = n }},
	{"sessions", many, func(o *broker.Options, n int) { o.MaxSessions = n }},
	{"session-expiry", many, func(o *broker.Options, n int) { o.MaxSessionExpiry = time.Duration(n) * time.Second }},
	{"keep-alive", 65535, func(o *broker.Options, n int) { o.MaxKeepAlive = time.Duration(n) * time.Second }},
	{"subscriptions", many, func(o *broker.Options, n int) { o.MaxSubscriptions = n }},
	{"subscription-bytes", many, func(o *broker.Options, n int) { o.MaxSubscriptionBytes = n }},
	{"packet-bytes", 268435460, func(o *broker.Options, n int) { o.MaxPacketSize = n }},
	{"topic-bytes", 65535, func(o *broker.Options, n int) { o.MaxTopicBytes = n }},
	{"topic-levels", 65536, func(o *broker.Options, n int) { o.MaxTopicLevels = n }},
	{"user-properties", many, func(o *broker.Options, n int) { o.MaxUserProperties = n }},
	{"receive-maximum", 65535, func(o *broker.Options, n int) { o.ReceiveMaximum = uint16(n) }},
	{"inflight", 65534, func(o *broker.Options, n int) { o.MaxInflight = n }},
	{"queue-messages", many, func(o *broker.Options, n int) { o.QueueMessages = n }},
	{"queue-bytes", many, func(o *broker.Options, n int) { o.QueueBytes = n }},
	{"queued-bytes", many, func(o *broker.Options, n int) { o.MaxQueuedBytes = n }},
	{"retained", many, func(o *broker.Options, n int) { o.MaxRetained = n }},
	{"retained-bytes", many, func(o *broker.Options, n int) { o.MaxRetainedBytes = n }},
}

func (r *rules) readLimits(f *yamlfile.File, n *yamlfile.Node) error {
	if n.Kind != yamlfile.Mapping {
		return f.Want(n, "limits", "a mapping")
	}
	for _, e := range n.Entries {
		l, err := findLimit(f, e.Key)
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(e.Value.Text)
		if e.Value.Kind != yamlfile.Scalar || err != nil || number < 1 || number > l.most {
			return f.Invalid(e.Value, l.key, "value", units.WantNumber(1, int64(l.most)))
		}
		if r.limits == nil {
			r.limits = make(map[string]int)
		}
		r.limits[l.key] = number
	}
	return nil
}

func findLimit(f *yamlfile.File, key *yamlfile.Node) (*limit, error) {
	for i := range limits {
		if limits[i].key == key.Text {
			return &limits[i], nil
		}
	}
	var known []string
	for _, l := range limits {
		known = append(known, l.key)
	}
	return nil, f.UnknownKey(key, known...)
}
