package plan

import (
	"math"
	"time"
)

// Message is one message of a stream, or one operation of a subscription churn.
type Message struct {
	At     time.Duration // intended time, from the stream's start
	Number uint64        // j
	Client uint32        // the client's index in its group
	Seq    uint32        // the number of the client's message in the stream
	Place  uint32        // the client's position in the schedule, in the order of Shard.Own
}

// Schedule iterates over the messages that some of the clients of a stream send, in their order.
// It is not safe for concurrent use, and does not allocate.
type Schedule struct {
	walk     walker
	even     *constantWalker // walk, if it has this type: called directly
	clients  uint64          // of the whole group
	messages uint64          // of the whole stream

	// The clients of the schedule are those of every stride-th block of `block` neighbors, from
	// client `first` on.
	first, block, stride uint64

	next    Message
	inBlock uint64
	ok      bool
}

// newSchedule returns the schedule of the clients in blocks first, first+stride ...
func newSchedule(p Pacer, clients, messages, first, block, stride uint64) *Schedule {
	s := &Schedule{walk: p.walk(), clients: clients, messages: messages, first: first * block, block: block, stride: stride}
	s.even, _ = s.walk.(*constantWalker)
	if s.messages == 0 {
		s.messages = math.MaxUint64
	}
	if s.first >= clients || s.first >= s.messages {
		return s
	}
	s.next.Client, s.next.Number = uint32(s.first), s.first
	s.next.At, s.ok = s.walk.skip(s.first)
	return s
}

// Peek returns the next message; ok is false if there are no more.
func (s *Schedule) Peek() (m Message, ok bool) { return s.next, s.ok }

// Advance moves past the next message.
func (s *Schedule) Advance() {
	if !s.ok {
		return
	}
	step := uint64(1)
	if s.inBlock++; s.inBlock == s.block {
		s.inBlock = 0
		step += (s.stride - 1) * s.block
	}
	if index := uint64(s.next.Client) + step; index < s.clients {
		s.next.Client = uint32(index)
		s.next.Place++
	} else {
		step += s.clients - index + s.first
		s.next.Client, s.next.Place, s.inBlock = uint32(s.first), 0, 0
		s.next.Seq++
	}
	if s.next.Number += step; s.next.Number >= s.messages {
		s.ok = false
		return
	}
	if s.even != nil {
		s.next.At, s.ok = s.even.skip(step)
		return
	}
	s.next.At, s.ok = s.walk.skip(step)
}
