package broker

import (
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/topic"
)

// system publishes the broker's own values in $SYS topics (section 4.7.2), while there
// are subscriptions to them. Broker.mu guards it.
type system struct {
	subs  int // subscriptions to $SYS topics
	timer *time.Timer
	last  map[string]string // what was published, by topic
}

func (s *system) stop() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// countedLocked notes that a subscription was added (1) or removed (-1). Broker.mu must
// be held.
func (b *Broker) countedLocked(filter string, n int) {
	b.subCount += n
	b.subOwn += n * ownBytes(filter)
	_, inner, _ := topic.ParseShare(filter)
	if !strings.HasPrefix(inner, "$SYS/") || b.opts.SysInterval < 0 {
		return
	}
	b.sys.subs += n
	switch {
	case b.sys.subs == 0:
		b.sys.stop()
	case b.sys.timer == nil:
		b.sys.last = b.sysValuesLocked()
		b.tickLaterLocked()
	}
}

func (b *Broker) tickLaterLocked() {
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(b.opts.SysInterval, func() {
		<-ready
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.sys.timer != timer {
			return
		}
		now, values := b.now(), b.sysValuesLocked()
		for name, value := range values {
			if b.sys.last[name] != value {
				b.publishKeptLocked(sysMessage(name, value), now)
			}
		}
		b.sys.last = values
		b.tickLaterLocked()
	})
	b.sys.timer = timer
	close(ready)
}

// sysMessage returns a retained message that is never stored.
func sysMessage(name, value string) *message {
	return &message{topic: []byte(name), payload: []byte(value), retain: true, sys: true}
}

// sysValuesLocked returns the topics and their current values. Broker.mu must be held.
func (b *Broker) sysValuesLocked() map[string]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return map[string]string{
		"$SYS/broker/version":                  b.opts.Version,
		"$SYS/broker/uptime":                   number(int64(b.now()/time.Second)) + " seconds",
		"$SYS/broker/clients/connected":        number(b.stats.connected.Load()),
		"$SYS/broker/clients/total":            number(int64(len(b.sessions))),
		"$SYS/broker/messages/received":        number(int64(b.stats.received.Load())),
		"$SYS/broker/messages/sent":            number(int64(b.stats.sent.Load())),
		"$SYS/broker/publish/messages/dropped": number(int64(b.stats.dropped.Load())),
		"$SYS/broker/retained messages/count":  number(int64(b.retained.Len())),
		"$SYS/broker/subscriptions/count":      number(int64(b.subCount)),
	}
}

// retainedOfLocked calls visit for the retained messages that match a filter; those of
// $SYS are created by the call. Broker.mu must be held.
func (b *Broker) retainedOfLocked(filter string, visit func(m *message)) {
	if !strings.HasPrefix(filter, "$SYS/") {
		b.retained.Match(filter, func(_ string, m *message) { visit(m) })
		return
	}
	if b.opts.SysInterval < 0 {
		return
	}
	for name, value := range b.sysValuesLocked() {
		if topic.Match(filter, name) {
			visit(sysMessage(name, value))
		}
	}
}
