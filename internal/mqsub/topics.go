package mqsub

import (
	"container/list"
	"hash/maphash"
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// The bounds of what is kept of the topics, which strangers choose.
const (
	topicsMost = 100_000
	heldMost   = 64 << 20 // bytes of payloads and properties
)

// topicTable keeps what --changed, --throttle and --count know of each topic. If there are too
// many, the topic that was used least recently is forgotten.
type topicTable struct {
	at     map[string]*topicState
	used   list.List // of *topicState, the latest first
	seeds  [2]maphash.Seed
	forgot bool // a topic was forgotten

	held      []*topicState // those that hold a message
	heldBytes int
	order     uint64
}

// topicState is what is known of a topic.
type topicState struct {
	name  string
	place *list.Element

	sum   [2]uint64 // of the value that passed last
	size  int       // its length in bytes; -1: none has passed
	next  time.Time // the next message passes from then on
	count int64     // of messages that were printed

	held   *mqtt.Message
	heldAt time.Time // of its arrival
	order  uint64    // of its arrival among those that are held
}

// of returns the state of a topic, which is new if it is not known.
func (t *topicTable) of(name string) *topicState {
	if s := t.at[name]; s != nil {
		t.used.MoveToFront(s.place)
		return s
	}
	if t.at == nil {
		t.at = map[string]*topicState{}
		t.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	if len(t.at) == topicsMost {
		t.forgot = true
		for e := t.used.Back(); e != nil; e = e.Prev() {
			if old := e.Value.(*topicState); old.held == nil { // what is held is written first
				delete(t.at, old.name)
				t.used.Remove(e)
				break
			}
		}
	}
	s := &topicState{name: name, size: -1}
	s.place = t.used.PushFront(s)
	t.at[name] = s
	return s
}

// changes returns 128 bits of keyed hashes of a value, and whether they or its length differ
// from those that the topic has.
func (t *topicTable) changes(s *topicState, value []byte) (sum [2]uint64, differs bool) {
	sum = [2]uint64{maphash.Bytes(t.seeds[0], value), maphash.Bytes(t.seeds[1], value)}
	return sum, s.size != len(value) || s.sum != sum
}

// hold keeps a copy of a message in place of the one that its topic holds.
func (t *topicTable) hold(s *topicState, m *mqtt.Message, at time.Time) {
	if s.held == nil {
		t.held = append(t.held, s)
	} else {
		t.heldBytes -= weight(s.held)
	}
	t.order++
	s.held, s.heldAt, s.order = m.Clone(), at, t.order
	t.heldBytes += weight(m)
}

func weight(m *mqtt.Message) int { return len(m.Topic) + len(m.Payload) + len(m.Properties) }

// full reports whether no more is to be held.
func (t *topicTable) full() bool { return t.heldBytes > heldMost || len(t.held) >= topicsMost/2 }

// release calls f with the messages that are held, in the order of their arrival, until f
// returns an error.
func (t *topicTable) release(f func(m *mqtt.Message, at time.Time) error) error {
	slices.SortFunc(t.held, func(a, b *topicState) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
	for i, s := range t.held {
		m := s.held
		s.held = nil
		if err := f(m, s.heldAt); err != nil {
			t.held = t.held[i+1:]
			return err
		}
	}
	t.held, t.heldBytes = t.held[:0], 0
	return nil
}
