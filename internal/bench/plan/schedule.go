package plan

import "time"

// Message is one message of a stream, or one operation of a subscription churn.
type Message struct {
	At     time.Duration // intended time, from the stream's start
	Number uint64        // j
	Client uint32        // the client's index in its group
	Seq    uint32        // the number of the client's message in the stream
}

// Schedule goes through the messages that some of the clients of a stream send,
// in their order. It is for one goroutine, and does not allocate.
type Schedule struct {
	walk     walker
	clients  uint64 // of the whole group
	messages uint64 // of the whole stream; 0 for no limit

	// The own clients are those of every stride-th block of `block` neighbours
	// from client `first` on.
	first, block, stride uint64

	index, round uint64 // of the next message: its client and how many rounds are behind
	inBlock      uint64
	at           time.Duration
	ok           bool
}

// newSchedule makes the schedule of the clients in blocks first, first+stride ...
func newSchedule(p Pacer, clients, messages, first, block, stride uint64) *Schedule {
	s := &Schedule{walk: p.walk(), clients: clients, messages: messages, first: first * block, block: block, stride: stride}
	s.index = s.first
	if s.index >= clients || messages > 0 && s.index >= messages {
		return s
	}
	s.at, s.ok = s.walk.skip(s.index)
	return s
}

// Peek is the next message; ok is false when there is none any more.
func (s *Schedule) Peek() (m Message, ok bool) {
	return Message{s.at, s.round*s.clients + s.index, uint32(s.index), uint32(s.round)}, s.ok
}

// Advance goes on behind the next message.
func (s *Schedule) Advance() {
	if !s.ok {
		return
	}
	step := uint64(1)
	if s.inBlock++; s.inBlock == s.block {
		s.inBlock = 0
		step += (s.stride - 1) * s.block
	}
	s.index += step
	if s.index >= s.clients {
		step -= s.index - s.clients
		s.index, s.inBlock = s.first, 0
		step += s.first
		s.round++
	}
	if s.messages > 0 && s.round*s.clients+s.index >= s.messages {
		s.ok = false
		return
	}
	s.at, s.ok = s.walk.skip(step)
}
