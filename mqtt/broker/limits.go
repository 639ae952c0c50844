package broker

import (
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// judge tells why the limits forbid a message, or a will, and Success if they
// do not.
func (o *Options) judge(name []byte, p packet.Properties) (reason packet.ReasonCode, words string) {
	switch {
	case topic.Levels(name) > o.MaxTopicLevels:
		return packet.TopicNameInvalid, "the topic name has too many levels"
	case len(name) > o.MaxTopicBytes:
		return packet.TopicNameInvalid, "the topic name is too long"
	case o.crammed(p):
		return packet.QuotaExceeded, "too many user properties"
	case ownTopic(name):
		return packet.NotAuthorized, "$SYS topics are the server's own"
	}
	return packet.Success, ""
}

// weight is about what a topic name or filter takes in memory: each level may
// be a node of its own.
func weight[S string | []byte](name S) int { return len(name) + overhead*topic.Levels(name) }

// crammed tells whether there are more user properties than MaxUserProperties.
func (o *Options) crammed(p packet.Properties) bool {
	const least = 5 // bytes of a user property
	if len(p) <= least*o.MaxUserProperties {
		return false
	}
	n := 0
	for q := range p.All() {
		if q.ID == packet.UserProperty {
			n++
		}
	}
	return n > o.MaxUserProperties
}

// tooSoon counts a connection from an address. late is by how much it comes
// before ConnectRate allows it; above zero it exceeds the rate.
func (b *Broker) tooSoon(from net.Addr, now time.Duration) (late time.Duration) {
	ip, rate := hostOf(from), b.opts.ConnectRate
	if !ip.IsValid() || ip.IsLoopback() || rate < 0 {
		return 0
	}
	// Of a second's worth at once, and of as much that is refused: what is not
	// even read is not counted.
	return b.pace.charge(ip, time.Second/time.Duration(rate), 2*time.Second, now) - time.Second
}
