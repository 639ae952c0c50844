package broker

import (
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// retainLocked stores or deletes the retained message of a topic (MQTT-3.3.1-5 to -7).
// Broker.mu must be held.
func (b *Broker) retainLocked(r *route) packet.ReasonCode {
	old, had := b.retained.GetBytes(r.pub.Topic)
	if len(r.pub.Payload) == 0 {
		if had {
			b.retained.Delete(string(r.pub.Topic))
			b.unstoreLocked(old)
		}
		return packet.Success
	}
	m := r.keep()
	reason := b.putLocked(m)
	if reason == packet.QuotaExceeded && b.forgetExpiredLocked(r.now) {
		reason = b.putLocked(m)
	}
	return reason
}

// putLocked stores a retained message in place of the one that its topic has, if the
// limits allow it. Broker.mu must be held.
func (b *Broker) putLocked(m *message) packet.ReasonCode {
	name := string(m.topic)
	old, had := b.retained.Get(name)
	if !had && b.retained.Len() >= b.opts.MaxRetained {
		return packet.QuotaExceeded
	}
	if _, err := b.retained.Set(name, m); err != nil {
		return packet.TopicNameInvalid
	}
	b.storeLocked(m)
	if had {
		b.unstoreLocked(old)
	}
	if b.retainedBytesLocked() <= b.opts.MaxRetainedBytes {
		return packet.Success
	}
	if had { // its memory depends on what is stored already
		_, _ = b.retained.Set(name, old)
		b.storeLocked(old)
	} else {
		b.retained.Delete(name)
	}
	b.unstoreLocked(m)
	return packet.QuotaExceeded
}

// storeLocked and unstoreLocked count a retained message. It may be in queues as well,
// and remains counted for them when it is no longer retained. Broker.mu must be held.
func (b *Broker) storeLocked(m *message) {
	b.retainedOwn += m.size()
	m.enter(&b.queued)
	b.queued.Add(-int64(m.size()))
}

func (b *Broker) unstoreLocked(m *message) {
	b.retainedOwn -= m.size()
	b.queued.Add(int64(m.size()))
	m.leave(&b.queued)
}

// forgetExpiredLocked removes the retained messages that have expired (MQTT-3.3.2-5).
// It does so at most once a second, since it looks at all. It reports whether there
// were any. Broker.mu must be held.
func (b *Broker) forgetExpiredLocked(now time.Duration) bool {
	if b.swept != 0 && now-b.swept < time.Second {
		return false
	}
	b.swept = now
	var gone []*message
	b.retained.Match("#", func(_ string, m *message) {
		if m.expired(now) {
			gone = append(gone, m)
		}
	})
	for _, m := range gone {
		b.retained.Delete(string(m.topic))
		b.unstoreLocked(m)
	}
	return len(gone) > 0
}
