package swarm

import (
	"math/bits"
	"time"
)

// wheel holds the timers of a loop, at most one for each client: a hashed timing wheel
// of lists through the clients themselves. A deadline beyond the wheel's turn is put at
// its end and checked again then. Keep alive works the same way: what is sent and
// received does not touch the wheel.
type wheel struct {
	heads [buckets]uint32 // slot + 1 of the first client
	used  [buckets / 64]uint64
	next  int64 // the first tick that has not been handled
}

const (
	tick    = 10 * time.Millisecond
	buckets = 4096
)

// arm sets the client's timer to the first tick that is not before at.
func (w *wheel) arm(l *Loop, c *Client, at time.Duration) {
	w.disarm(l, c)
	t := int64((at-1)/tick) + 1
	t = min(max(t, w.next), w.next+buckets-1)
	b := uint16(t % buckets)
	c.bucket, c.prev, c.next = b+1, 0, w.heads[b]
	if c.next != 0 {
		l.at(c.next - 1).prev = c.slot + 1
	}
	w.heads[b] = c.slot + 1
	w.used[b/64] |= 1 << (b % 64)
}

func (w *wheel) disarm(l *Loop, c *Client) {
	if c.bucket == 0 {
		return
	}
	b := c.bucket - 1
	if c.prev != 0 {
		l.at(c.prev - 1).next = c.next
	} else if w.heads[b] = c.next; c.next == 0 {
		w.used[b/64] &^= 1 << (b % 64)
	}
	if c.next != 0 {
		l.at(c.next - 1).prev = c.prev
	}
	c.bucket = 0
}

// expire calls fire for every client whose time has come, with its timer off. fire may
// arm the timer of its client, which does not fire again in this call.
func (w *wheel) expire(l *Loop, now time.Duration, fire func(c *Client)) {
	last := int64(now / tick)
	first := w.next
	if last < first {
		return
	}
	w.next = last + 1
	if last-first >= buckets {
		first = last - buckets + 1
	}
	for t := first; t <= last; t++ {
		b := t % buckets
		if w.used[b/64]>>(b%64) == 0 {
			t += 63 - b%64 // nothing more in this word
			continue
		}
		// What fire arms may land in this bucket, a turn later: take the list first.
		head := w.heads[b]
		w.heads[b] = 0
		w.used[b/64] &^= 1 << (b % 64)
		for n := head; n != 0; n = l.at(n - 1).next {
			l.at(n - 1).bucket = 0
		}
		for head != 0 {
			c := l.at(head - 1)
			head = c.next
			fire(c)
		}
	}
}

// deadline returns the time of the first timer, or Never.
func (w *wheel) deadline() time.Duration {
	b := w.next % buckets
	for i := range int64(len(w.used) + 1) {
		at := (b/64 + i) % int64(len(w.used))
		word := w.used[at]
		if i == 0 {
			word &= ^uint64(0) << (b % 64)
		} else if i == int64(len(w.used)) {
			word &= 1<<(b%64) - 1
		}
		if word != 0 {
			found := at*64 + int64(bits.TrailingZeros64(word))
			return time.Duration(w.next+(found-b+buckets)%buckets) * tick
		}
	}
	return Never
}
