package bench

import (
	"sync/atomic"
	"time"
)

// newTag returns a tag, which carries through to the acknowledgement when the message
// was due and how much later it was sent: 40 bits of microseconds, and 24 bits of lag.

func newTag(intended, lag time.Duration) uint64 {
	return uint64(intended/time.Microsecond)<<24 | packLag(lag)
}

func readTag(tag uint64) (intended, lag time.Duration) {
	return time.Duration(tag>>24) * time.Microsecond, unpackLag(tag & lagMask)
}

const (
	lagMask   = 1<<24 - 1
	lagCoarse = 1 << 23 // the bit that makes the others milliseconds
)

// packLag packs a lag into 24 bits: microseconds up to 8.4 s, then milliseconds up to
// 2.3 hours, which is also the limit.
func packLag(lag time.Duration) uint64 {
	if us := max(lag, 0) / time.Microsecond; us < lagCoarse {
		return uint64(us)
	}
	return lagCoarse | uint64(min(lag/time.Millisecond, lagCoarse-1))
}

func unpackLag(v uint64) time.Duration {
	if v&lagCoarse != 0 {
		return time.Duration(v&^lagCoarse) * time.Millisecond
	}
	return time.Duration(v) * time.Microsecond
}

// latest holds 24 bits about each of the latest messages. It passes them from the
// senders to the receivers, since the header has no room for them. A message's place is
// reused some ten thousand messages later; nothing is then known about the first.
type latest [latestSlots]atomic.Uint64

const latestSlots = 1 << 16

// place returns where a message's bits are kept, and the 40 bits that distinguish it
// from the others there.
func (t *latest) place(publisher, seq uint32) (slot *atomic.Uint64, key uint64) {
	h := (uint64(publisher)<<32 | uint64(seq)) * 0x9E3779B97F4A7C15
	return &t[h>>48], (uint64(publisher)<<16 | uint64(seq)&0xFFFF) << 24
}

func (t *latest) put(publisher, seq uint32, bits uint64) {
	slot, key := t.place(publisher, seq)
	slot.Store(key | bits&lagMask)
}

func (t *latest) get(publisher, seq uint32) (bits uint64, ok bool) {
	slot, key := t.place(publisher, seq)
	v := slot.Load()
	return v & lagMask, v&^lagMask == key
}

// before reports whether a tick, whose last 24 bits are bits, is earlier than another
// one. The two must be no more than eight million ticks apart.
func before(bits uint64, tick int64) bool { return (uint64(tick)-1-bits)&lagMask < 1<<23 }
