package broker

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// message is an application message that the broker keeps. It is immutable except for
// the number of its queues, and shared by all queues and the retained messages.
type message struct {
	topic   []byte
	payload []byte
	props   packet.Properties // as published, without topic alias
	qos     packet.QoS
	retain  bool
	from    *client       // nil for the broker itself
	sys     bool          // of a $SYS topic: retained, but not stored
	user    string        // for a will: the user name of its client
	expires time.Duration // broker time; 0 for never
	queues  atomic.Int32  // in which it waits, counting the retained messages as one
}

// The memory of a message besides its own bytes: the struct, and its place in a queue,
// which has spare places.
const (
	messageBytes = int(unsafe.Sizeof(message{}))
	placeBytes   = int(unsafe.Sizeof(pending{})) * 3 / 2
)

// size returns the memory of the message, without its places in queues.
func (m *message) size() int {
	return messageBytes + topic.TextBytes(len(m.topic)+len(m.payload)+len(m.props))
}

// enter and leave count a queue in which the message waits, and the message itself
// once, whatever the number of queues.
func (m *message) enter(total *atomic.Int64) {
	if m.queues.Add(1) == 1 {
		total.Add(int64(m.size()))
	}
}

func (m *message) leave(total *atomic.Int64) {
	if m.queues.Add(-1) == 0 {
		total.Add(-int64(m.size()))
	}
}

// keep copies a received message.
func keep(p *packet.Publish, from *client, now time.Duration) *message {
	b := make([]byte, 0, len(p.Topic)+len(p.Payload)+len(p.Properties))
	b = append(b, p.Topic...)
	n := len(b)
	b = append(b, p.Properties...)
	k := len(b)
	b = append(b, p.Payload...)
	m := &message{topic: b[:n:n], props: packet.Properties(b[n:k:k]), payload: b[k:], qos: p.QoS, retain: p.Retain, from: from}
	m.expires = expires(m.props, now)
	return m
}

// expires returns when a message with these properties, received now, expires; 0 for
// never.
func expires(p packet.Properties, now time.Duration) time.Duration {
	if len(p) == 0 {
		return 0
	}
	if s, ok := p.Uint(packet.MessageExpiryInterval); ok {
		return now + max(time.Duration(s)*time.Second, 1)
	}
	return 0
}

// decode decodes a message from a session's log.
func decode(b []byte, v packet.Version, tag uint64, now time.Duration) *message {
	var p packet.Publish
	f, n, err := packet.Split(b, v, 0)
	if err != nil || n == 0 || p.Parse(f, v) != nil {
		return nil
	}
	m := keep(&p, nil, now)
	m.expires = expiryOf(tag)
	return m
}

// A tag is what a session keeps beside a message that it has taken: the number of the
// shared subscription that it came by, and in the lower bits when it expires, in ticks
// of broker time; 0 for never. The packet itself does not hold that: before 5.0 it has
// no room for it, and from 5.0 on only the interval that was left then.
const (
	tagBits = 36
	tick    = time.Second / 8
)

func tag(share uint64, expires time.Duration) uint64 {
	if expires == 0 {
		return share << tagBits
	}
	return share<<tagBits | uint64(max(expires/tick, 1))&(1<<tagBits-1)
}

func shareOf(tag uint64) uint64 { return tag >> tagBits }

func expiryOf(tag uint64) time.Duration { return time.Duration(tag&(1<<tagBits-1)) * tick }

// due reports whether a message that a session has taken earlier may still be sent, and
// sets what is left of its expiry interval (MQTT-3.3.2-6). A QoS 2 message that has
// been sent is completed (MQTT-4.3.3-7). There is no such rule for QoS 1: a client that
// has not received it does not need it any more.
func (b *Broker) due(tag uint64, v packet.Version, publish []byte, sent bool) bool {
	at := expiryOf(tag)
	if at == 0 {
		return true
	}
	left := at - b.now()
	if left <= 0 && !(sent && publish[0]&6 == 4) {
		b.stats.dropped.Add(1)
		return false
	}
	var p packet.Publish
	if f, _, err := packet.Split(publish, v, 0); err == nil && p.Parse(f, v) == nil && len(p.Properties) > 0 {
		copy(p.Properties, withExpiry(nil, p.Properties, left)) // the same length
	}
	return true
}

// withExpiry appends properties to dst, with what is left of the message expiry
// interval.
func withExpiry(dst, p packet.Properties, left time.Duration) packet.Properties {
	dst = p.Without(dst, packet.MessageExpiryInterval)
	seconds := uint32((max(left, 0) + time.Second - 1) / time.Second)
	if with, err := dst.AppendUint(packet.MessageExpiryInterval, seconds); err == nil {
		dst = with
	}
	return dst
}

func (m *message) expired(now time.Duration) bool { return m.expires != 0 && now >= m.expires }

// pending is a message that waits for one client.
type pending struct {
	m      *message
	qos    packet.QoS
	retain bool
	share  uint64 // number of the shared subscription that it came by; 0 for none
	exempt bool   // a retained message sent on subscribing: the queue's limits do not apply
	ids    []uint32
}

// queue is a first-in, first-out ring.
type queue struct {
	ring  []pending
	head  int
	n     int
	count int           // messages that are not exempt
	bytes int           // of messages that are not exempt
	total *atomic.Int64 // the same over all queues, each message once

	expires time.Duration // no message expires before; 0: none does
}

func (q *queue) push(p pending) {
	if q.n == len(q.ring) {
		q.resize(max(minRing, 2*q.n))
	}
	q.ring[(q.head+q.n)%len(q.ring)] = p
	q.n++
	if e := p.m.expires; e != 0 && (q.expires == 0 || e < q.expires) {
		q.expires = e
	}
	q.total.Add(int64(placeBytes))
	p.m.enter(q.total)
	if !p.exempt {
		q.count++
		q.bytes += p.m.size() + placeBytes
	}
}

// minRing is the length of a small ring, which is kept.
const minRing = 16

// resize moves the messages to a ring of another length.
func (q *queue) resize(n int) {
	ring := make([]pending, n)
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = ring, 0
}

func (q *queue) front() *pending { return &q.ring[q.head] }

func (q *queue) pop() {
	p := &q.ring[q.head]
	q.total.Add(-int64(placeBytes))
	p.m.leave(q.total)
	if !p.exempt {
		q.count--
		q.bytes -= p.m.size() + placeBytes
	}
	*p = pending{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	switch size := len(q.ring); {
	case size <= 4*minRing: // small enough for a connected client to keep
	case q.n == 0:
		q.ring, q.head = nil, 0
	case q.n < size/4: // otherwise the ring would keep its greatest length
		q.resize(size / 2)
	}
}

func (q *queue) clear() {
	for q.n > 0 {
		q.pop()
	}
	q.ring = nil
}

// keep removes the messages for which keep returns false, and returns how many.
func (q *queue) keep(keep func(p *pending) bool) (removed int) {
	q.expires = 0
	for range q.n {
		p := *q.front()
		q.pop()
		if keep(&p) {
			q.push(p)
		} else {
			removed++
		}
	}
	return removed
}

// dropExpired removes the messages that have expired, and returns how many. It looks at
// them only if there may be one.
func (q *queue) dropExpired(now time.Duration) int {
	if q.expires == 0 || now < q.expires {
		return 0
	}
	return q.keep(func(p *pending) bool { return !p.m.expired(now) })
}
