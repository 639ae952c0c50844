package result

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// SharedChecker tracks the sequence numbers of publishers at a shared subscription as a
// whole. Its members, which may be in different loops, get interleaved parts, and a
// duplicate may reach another member than the first copy. It is safe for concurrent
// use. It does not check the order.
//
// It keeps a bitmap per publisher, in pages of 1024 messages. A page whose messages
// have all arrived is freed, so memory grows only with the messages in flight or lost.
type SharedChecker struct {
	publishers []bitmap
	bound      int64
	pages      atomic.Int64 // held now
	mu         sync.Mutex   // guards directories and the creation of pages
}

type bitmap struct {
	dir atomic.Pointer[[]atomic.Pointer[page]]
}

const pageBits = 1024

type page struct {
	words [pageBits / 64]atomic.Uint64
	count atomic.Int32
}

// full stands for every page whose messages have all arrived.
var full page

// NewSharedChecker returns a checker for publishers with the indices 0 to publishers-1.
// It holds at most the given number of pages, of 132 bytes each, at a time; a message
// that would need another one is Unknown.
func NewSharedChecker(publishers, pages int) *SharedChecker {
	return &SharedChecker{publishers: make([]bitmap, publishers), bound: int64(pages)}
}

// Check returns the outcome of a message that a member received from a publisher: Next
// for one received for the first time, Duplicate for one received before, and Unknown
// if there was no memory to track it or if its publisher is not one of the plan's.
func (c *SharedChecker) Check(publisher, seq uint32) Outcome {
	if int64(publisher) >= int64(len(c.publishers)) {
		return Unknown
	}
	b := &c.publishers[publisher]
	p := b.page(seq)
	if p == nil {
		if p = c.make(b, seq); p == nil {
			return Unknown
		}
	}
	if p == &full {
		return Duplicate
	}
	bit := uint64(1) << (seq % 64)
	if p.words[seq%pageBits/64].Or(bit)&bit != 0 {
		return Duplicate
	}
	if p.count.Add(1) == pageBits {
		c.mu.Lock()
		(*b.dir.Load())[seq/pageBits].Store(&full)
		c.mu.Unlock()
		c.pages.Add(-1)
	}
	return Next
}

// Has reports whether a member has received a message.
func (c *SharedChecker) Has(publisher, seq uint32) bool {
	if int64(publisher) >= int64(len(c.publishers)) {
		return false
	}
	p := c.publishers[publisher].page(seq)
	return p == &full || p != nil && p.words[seq%pageBits/64].Load()&(1<<(seq%64)) != 0
}

func (b *bitmap) page(seq uint32) *page {
	dir := b.dir.Load()
	if dir == nil || int(seq/pageBits) >= len(*dir) {
		return nil
	}
	return (*dir)[seq/pageBits].Load()
}

// make returns the page of a message, and creates it if there is none. It returns nil
// if the bound is reached.
func (c *SharedChecker) make(b *bitmap, seq uint32) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := b.page(seq); p != nil {
		return p
	}
	if c.pages.Load() >= c.bound {
		return nil
	}
	i := int(seq / pageBits)
	dir := b.dir.Load()
	if dir == nil || i >= len(*dir) {
		// A number far ahead, which only a malicious message has, must not take more
		// memory than the pages would.
		if int64(i) > 32*c.bound {
			return nil
		}
		grown := make([]atomic.Pointer[page], i+1+i/2)
		if dir != nil {
			for k := range *dir {
				grown[k].Store((*dir)[k].Load())
			}
		}
		dir = &grown
		b.dir.Store(dir)
	}
	p := new(page)
	(*dir)[i].Store(p)
	c.pages.Add(1)
	return p
}

// Missing returns how many messages no member has received, and the first of them, as
// Checker.Missing does. sent returns how many messages a publisher has sent. Messages
// that were Unknown count as missing. Check must not be called at the same time.
func (c *SharedChecker) Missing(sent func(publisher uint32) uint32, examples int) (int64, []MissingRange) {
	var total int64
	var list []MissingRange
	for i := range c.publishers {
		m := MissingRange{Subscriber: AnySubscriber, Publisher: uint32(i)}
		c.publishers[i].unset(sent(m.Publisher), func(gap Span) {
			total += gap.Len()
			if len(list) < examples {
				m.From, m.To = gap.From, gap.To
				list = append(list, m)
			}
		})
	}
	return total, list
}

// unset calls f for each run of messages below n that did not arrive.
func (b *bitmap) unset(n uint32, f func(Span)) {
	for seq := uint64(0); seq < uint64(n); {
		from := b.find(seq, uint64(n), false)
		if from >= uint64(n) {
			return
		}
		seq = b.find(from, uint64(n), true)
		f(Span{uint32(from), uint32(seq - 1)})
	}
}

// find returns the first number from seq on and below n that has arrived, or that has
// not, depending on come. It returns n if there is none.
func (b *bitmap) find(seq, n uint64, come bool) uint64 {
	for seq < n {
		p := b.page(uint32(seq))
		if p == nil || p == &full {
			if (p != nil) == come {
				return seq
			}
			seq = (seq/pageBits + 1) * pageBits
			continue
		}
		word := p.words[seq%pageBits/64].Load()
		if !come {
			word = ^word
		}
		if word >>= seq % 64; word != 0 {
			return min(n, seq+uint64(bits.TrailingZeros64(word)))
		}
		seq = (seq/64 + 1) * 64
	}
	return n
}
