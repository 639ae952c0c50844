package result

import (
	"cmp"
	"math/bits"
	"slices"
)

// Outcome is the result of checking one message.
type Outcome uint8

// The outcomes. Every message has exactly one of them. Next, Gap and Late messages are
// received for the first time and count as Distinct.
const (
	Next      Outcome = iota // the one after the highest so far
	Gap                      // higher than that: those in between are missing so far
	Late                     // was missing; it arrived after a higher one, so the order is violated
	Duplicate                // received before
	Unknown                  // Late or Duplicate: the memory bound made the checker forget which
)

// Span is a run of consecutive sequence numbers, including both ends.
type Span struct{ From, To uint32 }

// Len returns how many sequence numbers a span has.
func (s Span) Len() int64 { return int64(s.To) - int64(s.From) + 1 }

// MissingRange is a range of a publisher's messages that a subscriber did not receive.
type MissingRange struct {
	Subscriber uint32 `json:"subscriber"` // index within the plan; AnySubscriber: no member of a share
	Publisher  uint32 `json:"publisher"`
	From       uint32 `json:"from"` // sequence numbers, both included
	To         uint32 `json:"to"`
}

// AnySubscriber stands for all members of a shared subscription.
const AnySubscriber = ^uint32(0)

// Checker tracks the sequence numbers of each publisher at each subscriber, from 0. It
// belongs to one loop and is not safe for concurrent use.
//
// A subscriber that gets only a part of a publisher's messages, because it does not
// subscribe to all its topics or because it connected late, has gaps by construction.
// Compare the counters then and ignore Missing. MQTT guarantees order only per topic
// and QoS (MQTT-4.6.0-5): for a publisher with several topics Late is not a violation.
//
// Memory is 16 bytes per pair of subscriber and publisher, up to 43 with the table's
// slack, and 8 per missing range.
type Checker struct {
	table  []stream // open addressing; the length is a power of two
	used   int
	shift  uint
	faults []fault // of the streams with missing messages
	spans  int     // ranges in faults
	bound  int
	forgot int64
}

// stream is one subscriber's view of one publisher.
type stream struct {
	key   uint64 // subscriber<<24 | publisher, plus 1; 0: empty
	next  uint32 // the sequence number after the highest received
	fault uint32 // index in faults plus 1; 0: nothing is missing
}

// fault is what a stream lacks below its next number.
type fault struct {
	spans  []Span // sorted, disjoint
	forgot Span   // spans all ranges that exceeded the bound
	has    bool   // forgot is set
}

// NewChecker returns a checker for about the given number of pairs of subscriber and
// publisher. The table grows if there are more, which stops the loop for some
// milliseconds per hundred thousand. The checker remembers at most ranges missing
// ranges at a time.
func NewChecker(pairs, ranges int) *Checker {
	c := &Checker{bound: ranges}
	c.resize(max(64, pairs+pairs/3+1))
	return c
}

// resize makes the table at least n long.
func (c *Checker) resize(n int) {
	old := c.table
	size := uint(bits.Len(uint(n - 1)))
	c.table, c.shift = make([]stream, 1<<size), 64-size
	for _, s := range old {
		if s.key != 0 {
			*c.slot(s.key) = s
		}
	}
}

// slot returns the slot of a key, or the empty one where it belongs.
func (c *Checker) slot(key uint64) *stream {
	mask := uint(len(c.table) - 1)
	for i := uint(key * 0x9e3779b97f4a7c15 >> c.shift); ; i++ {
		if s := &c.table[i&mask]; s.key == key || s.key == 0 {
			return s
		}
	}
}

// Check returns the outcome of a message with sequence number seq that a subscriber
// received from a publisher. Both are indices within the plan, below MaxPublishers.
func (c *Checker) Check(subscriber, publisher, seq uint32) Outcome {
	key := (uint64(subscriber)<<24 | uint64(publisher)) + 1
	s := c.slot(key)
	if s.key == 0 {
		if c.used++; c.used > len(c.table)/4*3 {
			c.resize(2 * len(c.table))
			s = c.slot(key)
		}
		s.key = key
	}
	switch {
	case seq == s.next:
		s.next++
		return Next
	case seq > s.next:
		c.miss(c.fault(s), Span{s.next, seq - 1})
		s.next = seq + 1
		return Gap
	case s.fault == 0:
		return Duplicate
	}
	return c.late(&c.faults[s.fault-1], seq)
}

// Has reports whether a subscriber has certainly received a message. It returns false
// for what the bound made the checker forget.
func (c *Checker) Has(subscriber, publisher, seq uint32) bool {
	s := c.slot((uint64(subscriber)<<24 | uint64(publisher)) + 1)
	switch {
	case s.key == 0 || seq >= s.next:
		return false
	case s.fault == 0:
		return true
	}
	f := &c.faults[s.fault-1]
	if f.has && f.forgot.From <= seq && seq <= f.forgot.To {
		return false
	}
	return !slices.ContainsFunc(f.spans, func(s Span) bool { return s.From <= seq && seq <= s.To })
}

func (c *Checker) fault(s *stream) *fault {
	if s.fault == 0 {
		c.faults = append(c.faults, fault{})
		s.fault = uint32(len(c.faults))
	}
	return &c.faults[s.fault-1]
}

// miss adds a missing range above all others of a stream.
func (c *Checker) miss(f *fault, gap Span) {
	if c.spans >= c.bound {
		c.forget(f, gap)
		return
	}
	f.spans = append(f.spans, gap)
	c.spans++
}

func (c *Checker) forget(f *fault, gap Span) {
	c.forgot += gap.Len()
	if !f.has {
		f.forgot, f.has = gap, true
		return
	}
	f.forgot = Span{min(f.forgot.From, gap.From), max(f.forgot.To, gap.To)}
}

// late returns the outcome of a message below the highest one.
func (c *Checker) late(f *fault, seq uint32) Outcome {
	i, found := slices.BinarySearchFunc(f.spans, seq, func(s Span, seq uint32) int {
		switch {
		case s.To < seq:
			return -1
		case s.From > seq:
			return 1
		}
		return 0
	})
	if !found {
		if f.has && f.forgot.From <= seq && seq <= f.forgot.To {
			return Unknown
		}
		return Duplicate
	}
	switch gap := f.spans[i]; {
	case gap.From == gap.To:
		f.spans = slices.Delete(f.spans, i, i+1)
		c.spans--
	case seq == gap.From:
		f.spans[i].From++
	case seq == gap.To:
		f.spans[i].To--
	case c.spans >= c.bound:
		f.spans[i].To = seq - 1
		c.forget(f, Span{seq + 1, gap.To})
	default:
		f.spans[i].To = seq - 1
		f.spans = slices.Insert(f.spans, i+1, Span{seq + 1, gap.To})
		c.spans++
	}
	return Late
}

// Forgotten returns how many missing messages the bound made the checker forget. If it
// is 0, every outcome was exact.
func (c *Checker) Forgotten() int64 { return c.forgot }

// Missing returns how many messages are missing at all subscribers, and the first
// missing ranges, at most examples, sorted by subscriber, publisher and sequence
// number. sent returns how many messages a publisher has sent, so that those after the
// last one received count. If sent is nil they do not count, and neither does a
// subscriber that received nothing at all from a publisher. Forgotten ranges count,
// though some of their messages may have arrived later, as Unknown.
func (c *Checker) Missing(sent func(publisher uint32) uint32, examples int) (int64, []MissingRange) {
	var total int64
	var list []MissingRange
	for i := range c.table {
		s := &c.table[i]
		if s.key == 0 {
			continue
		}
		m := MissingRange{Subscriber: uint32((s.key - 1) >> 24), Publisher: uint32(s.key-1) & (MaxPublishers - 1)}
		add := func(gap Span) {
			total += gap.Len()
			m.From, m.To = gap.From, gap.To
			list = append(list, m)
		}
		if s.fault != 0 {
			for _, gap := range c.faults[s.fault-1].spans {
				add(gap)
			}
		}
		if sent != nil {
			if n := sent(m.Publisher); n > s.next {
				add(Span{s.next, n - 1})
			}
		}
		if len(list) > 4*examples {
			list = firstMissing(list, examples)
		}
	}
	return total + c.forgot, firstMissing(list, examples)
}

// firstMissing sorts a list and returns its first n.
func firstMissing(list []MissingRange, n int) []MissingRange {
	slices.SortFunc(list, compareMissing)
	return list[:min(n, len(list))]
}

func compareMissing(a, b MissingRange) int {
	return cmp.Or(cmp.Compare(a.Subscriber, b.Subscriber), cmp.Compare(a.Publisher, b.Publisher), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}
