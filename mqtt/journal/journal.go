// Package journal stores what must outlive a connection or a program: the
// unacknowledged messages and the open packet identifiers of an MQTT session
// (MQTT 5.0 section 4.1).
package journal

import (
	"slices"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Kind is a kind of change of a session.
type Kind uint8

// The kinds of records.
const (
	// Sent: a message at QoS 1 or 2 was accepted for sending. PacketID, Tag,
	// Version and Packet are set.
	Sent Kind = iota + 1
	// Received: the peer has received the message at QoS 2. PUBREL comes next,
	// and the packet is needed only if the peer loses the session. PacketID and
	// Tag are set; Load also sets Packet if it can.
	Received
	// Done: the message is finished.
	Done
	// Arrived: a message at QoS 2 came from the peer and was acknowledged
	// with PUBREC.
	Arrived
	// Released: its PUBREL came.
	Released
	// Cleared: the session is empty.
	Cleared
)

// Record is one change of a session.
type Record struct {
	Kind     Kind
	PacketID uint16
	Tag      uint64         // the owner's mark of an outbound message
	Version  packet.Version // in which Packet is encoded
	Packet   []byte         // the PUBLISH as it was first encoded, without DUP
}

// Journal stores the changes of a session, and restores them at its start. Its
// methods are called from several goroutines.
type Journal interface {
	// Append adds a record. It must not block: slow work belongs in Sync.
	// r.Packet is valid only during the call.
	Append(r Record)
	// Sync makes everything appended so far as durable as the journal can.
	// Nothing is written to the network before it returns.
	Sync() error
	// Load calls yield with what is needed to restore the session, in order:
	// Sent and Received records of open messages in the order of sending, then
	// Arrived records. Packets are valid only during the call.
	Load(yield func(Record) error) error
}

// Memory is a Journal that lasts as long as the program. The zero value is
// empty and ready to use.
type Memory struct {
	mu      sync.Mutex
	out     map[uint16]*Record
	order   []uint16 // identifiers in the order of sending; may include finished ones
	inbound map[uint16]bool
}

// Append implements Journal.
func (m *Memory) Append(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out == nil {
		m.out, m.inbound = make(map[uint16]*Record), make(map[uint16]bool)
	}
	switch r.Kind {
	case Sent:
		r.Packet = slices.Clone(r.Packet)
		m.out[r.PacketID] = &r
		m.order = append(m.order, r.PacketID)
		if len(m.order) > 2*len(m.out)+1000 {
			m.compact()
		}
	case Received:
		if old := m.out[r.PacketID]; old != nil {
			old.Kind = Received
		}
	case Done:
		delete(m.out, r.PacketID)
	case Arrived:
		m.inbound[r.PacketID] = true
	case Released:
		delete(m.inbound, r.PacketID)
	case Cleared:
		clear(m.out)
		clear(m.inbound)
		m.order = m.order[:0]
	}
}

// compact drops finished identifiers. For one that was used again, the later
// position counts.
func (m *Memory) compact() {
	last := make(map[uint16]int, len(m.out))
	for i, id := range m.order {
		last[id] = i
	}
	kept := m.order[:0]
	for i, id := range m.order {
		if m.out[id] != nil && last[id] == i {
			kept = append(kept, id)
		}
	}
	m.order = kept
}

// Sync implements Journal; it does nothing.
func (m *Memory) Sync() error { return nil }

// Load implements Journal.
func (m *Memory) Load(yield func(Record) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compact()
	for _, id := range m.order {
		if err := yield(*m.out[id]); err != nil {
			return err
		}
	}
	ids := make([]uint16, 0, len(m.inbound))
	for id := range m.inbound {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if err := yield(Record{Kind: Arrived, PacketID: id}); err != nil {
			return err
		}
	}
	return nil
}

// Len returns the number of open messages in both directions.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.out) + len(m.inbound)
}
