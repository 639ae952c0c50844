package broker

import (
	"net"
	"net/netip"
	"sync"
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

// pace is the rate at which addresses open connections.
type pace struct {
	mu    sync.Mutex
	paid  map[netip.Addr]time.Duration // until when an address has used its rate up; broker time
	swept time.Duration
}

// enter counts a connection from an address at a rate a second. late is by how
// much it is too early; above zero it exceeds the rate.
func (p *pace) enter(from net.Addr, rate int, now time.Duration) (late time.Duration) {
	tcp, ok := from.(*net.TCPAddr)
	if !ok || rate < 0 || tcp.IP.IsLoopback() {
		return 0
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() { // which a host has a whole prefix of
		prefix, _ := ip.Prefix(64)
		ip = prefix.Addr()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now-p.swept >= time.Second {
		p.swept = now
		for other, until := range p.paid {
			if until <= now {
				delete(p.paid, other)
			}
		}
	}
	until := max(p.paid[ip], now) + time.Second/time.Duration(rate)
	late = until - now - time.Second
	if late <= time.Second { // what is not even read is not counted
		if p.paid == nil {
			p.paid = make(map[netip.Addr]time.Duration)
		}
		p.paid[ip] = until
	}
	return late
}
