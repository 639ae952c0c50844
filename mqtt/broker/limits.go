package broker

import (
	"net"
	"time"
	"unsafe"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// check returns why the limits forbid a message or a will, Success if they do not.
func (o *Options) check(name []byte, p packet.Properties) (reason packet.ReasonCode, words string) {
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

// The memory that things take besides their texts. A map has spare slots for its
// entries.
const (
	mapSlot     = 2 * 24 // of a text and a word
	shareBytes  = int(unsafe.Sizeof(share{})) + 2*mapSlot
	memberBytes = int(unsafe.Sizeof(member{})) * 3 / 2
)

// subscriptionBytesLocked returns the memory of all subscriptions. Broker.mu must be
// held.
func (b *Broker) subscriptionBytesLocked() int {
	return b.subs.Bytes() + b.subOwn + len(b.shares)*shareBytes
}

// ownBytes returns the memory of a session's subscription outside of the trie.
func ownBytes(filter string) int {
	n := mapSlot + topic.TextBytes(len(filter))
	if _, _, shared := topic.ParseShare(filter); shared {
		n += memberBytes
	}
	return n
}

// retainedBytesLocked returns the memory of all retained messages. Broker.mu must be
// held.
func (b *Broker) retainedBytesLocked() int { return b.retained.Bytes() + b.retainedOwn }

// crammed reports whether there are more user properties than MaxUserProperties.
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

// tooSoon counts a connection from an address. It returns by how much the connection
// comes before ConnectRate allows it; above zero it exceeds the rate.
func (b *Broker) tooSoon(from net.Addr, now time.Duration) (late time.Duration) {
	ip, rate := hostOf(from), b.opts.ConnectRate
	if !ip.IsValid() || ip.IsLoopback() || rate < 0 {
		return 0
	}
	// A second's worth is allowed at once, and as much again is refused. What is closed
	// unread is not counted.
	return b.pace.charge(ip, time.Second/time.Duration(rate), 2*time.Second, now) - time.Second
}
