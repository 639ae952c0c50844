// Package session implements the protocol state of one MQTT peer, in both
// roles: bytes and time are its input, events and bytes to write are its
// output. It has no goroutine, lock, clock or I/O; the caller, called the
// driver, provides those.
//
// [Conn] is one network connection and [Session] is what outlives it: the
// unacknowledged outbound packets and the packet identifiers of unfinished
// inbound QoS 2 messages (MQTT 5.0 section 4.1). A Session serves one Conn at a
// time.
//
// Time is a [time.Duration] since an instant of the driver's choice; it must
// not run backwards.
package session

import (
	"encoding/binary"
	"errors"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Session is the state that survives a network connection. The zero value is an
// empty session.
//
// Outbound packets that await an acknowledgement are kept in a ring of slots in
// the order in which they were first sent, which is the order of resending
// (MQTT-4.6.0-1). Packet identifiers are consecutive in the ring, so that an
// acknowledgement finds its slot by subtraction, and because the ring never
// spans 65,535 slots no identifier is in use twice (MQTT-2.2.1-3). Invariants:
// slots[head] is open unless the ring is empty; log holds the encoded PUBLISH
// of every slot from head on, at off - base.
type Session struct {
	slots      []slot // ring, length a power of two or 0
	head, tail uint32 // absolute slot numbers; tail - head is the ring's length
	lastID     uint16 // identifier of slot tail-1
	serial     uint32 // of the next slot
	open       int    // unfinished PUBLISH slots
	open2      int    // those at QoS 2
	log        []byte
	base       uint64 // absolute offset of log[0]

	// inbound holds the QoS 2 packet identifiers between PUBLISH and PUBREL;
	// nil until the first.
	inbound map[uint16]inbound

	// forgotten is set when a server has accepted us without this session,
	// until it is resumed. If the next CONNACK reports a session, that is a new
	// one. A restored session does not have the flag, as if that CONNACK had
	// been lost.
	forgotten bool

	// Changed, if not nil, is called with every change that is needed to
	// restore the session. publish, only for ChangeSent, is a view of the
	// encoded packet.
	Changed func(kind ChangeKind, id uint16, tag uint64, publish []byte)

	// Doubt, if not nil, is called for each message at QoS 2 that was sent and
	// is not completely acknowledged when the server has lost the session: it
	// may have been delivered. If Doubt returns false, the message is finished;
	// otherwise it is sent again. publish is a view of the encoded packet; it is
	// empty if the packet was not restored.
	Doubt func(tag uint64, publish []byte) (resend bool)
}

// ChangeKind is a kind of change of a Session.
type ChangeKind uint8

// The kinds of changes.
const (
	ChangeSent     ChangeKind = iota + 1 // a PUBLISH was accepted for sending
	ChangeReceived                       // its PUBREC came
	ChangeDone                           // an outbound message is finished
	ChangeArrived                        // an inbound QoS 2 message was acknowledged with PUBREC
	ChangeReleased                       // its PUBREL came
	ChangeCleared                        // the session was emptied
)

func (s *Session) changed(kind ChangeKind, id uint16, tag uint64, publish []byte) {
	if s.Changed != nil {
		s.Changed(kind, id, tag, publish)
	}
}

// Restore restores an unfinished message of an earlier program's session, as
// reported by ChangeSent, ChangeReceived and ChangeArrived. Outbound messages
// must be restored in the order of sending, before the first connection. They
// must fit, and their identifiers must be distinct.
func (s *Session) Restore(kind ChangeKind, id uint16, tag uint64, publish []byte) error {
	if id == 0 {
		return packet.ErrPacketID
	}
	switch kind {
	case ChangeArrived:
		if s.inbound == nil {
			s.inbound = make(map[uint16]inbound)
		}
		s.inbound[id] = inbound{state: inboundAcked}
		return nil
	case ChangeSent, ChangeReceived:
	default:
		return errRestore
	}
	state := slotPuback
	switch {
	case kind == ChangeReceived && len(publish) == 0:
		state = slotPubcomp
	case !isPublish(publish, id):
		return errRestore
	case kind == ChangeReceived:
		state = slotPubcomp
	case publish[0]&6 == 4:
		state = slotPubrec
	}
	// Identifiers are consecutive in the ring: those in between are finished.
	gap := (int(id) - int(s.lastID) + 65535) % 65535
	if s.span() == 0 {
		s.lastID, gap = id-1, 1
		if id == 1 {
			s.lastID = 65535
		}
	}
	if gap == 0 || int(s.span())+gap > maxSpan {
		return errRestore
	}
	for range gap - 1 {
		s.push(0, slotDone)
	}
	sl := s.push(tag, state)
	sl.size, sl.sent = uint32(len(publish)), true
	s.log = append(s.log, publish...)
	s.opened(state)
	return nil
}

// isPublish reports whether b is one PUBLISH at QoS 1 or 2 with this
// identifier.
func isPublish(b []byte, id uint16) bool {
	f, n, err := packet.Split(b, 0, 0)
	if err != nil || n == 0 || n != len(b) || f.Type != packet.PUBLISH || f.Flags&6 == 0 || len(f.Body) < 4 {
		return false
	}
	at := 2 + int(binary.BigEndian.Uint16(f.Body))
	return at+2 <= len(f.Body) && binary.BigEndian.Uint16(f.Body[at:]) == id
}

var errRestore = errors.New("not a message that can be restored")

type slotState uint8

const (
	slotDone     slotState = iota
	slotPuback             // QoS 1 PUBLISH, waiting for PUBACK
	slotPubrec             // QoS 2 PUBLISH, waiting for PUBREC
	slotPubcomp            // PUBREL, waiting for PUBCOMP
	slotSuback             // SUBSCRIBE, waiting for SUBACK
	slotUnsuback           // UNSUBSCRIBE, waiting for UNSUBACK
)

type slot struct {
	tag     uint64
	off     uint64 // absolute offset of the encoded PUBLISH in the log
	size    uint32 // of the encoded PUBLISH; of a request: the number of its filters
	serial  uint32 // stays with the message when renumber changes its identifier
	id      uint16
	state   slotState
	sent    bool // a resend carries DUP
	counted bool // uses a slot of the peer's Receive Maximum on this connection
}

// Open returns the number of PUBLISH packets at QoS 1 and 2 that are not
// completely acknowledged.
func (s *Session) Open() int { return s.open }

// Held returns the number of bytes that the session keeps for resending.
func (s *Session) Held() int { return len(s.log) }

func (s *Session) span() uint32 { return s.tail - s.head }

func (s *Session) at(n uint32) *slot { return &s.slots[n&uint32(len(s.slots)-1)] }

// find returns the slot number of an open packet identifier.
func (s *Session) find(id uint16) (uint32, bool) {
	n := s.span()
	if n == 0 || id == 0 {
		return 0, false
	}
	first := s.at(s.head).id
	d := uint32(id) - uint32(first)
	if id < first {
		d = uint32(id) + 65535 - uint32(first)
	}
	if d >= n || s.at(s.head+d).state == slotDone {
		return 0, false
	}
	return s.head + d, true
}

// maxSpan keeps the ring below the number of packet identifiers.
const maxSpan = 65535

func nextID(id uint16) uint16 {
	if id == 65535 {
		return 1
	}
	return id + 1
}

// push adds a slot with the next packet identifier. The caller has checked that
// the span is below maxSpan.
func (s *Session) push(tag uint64, state slotState) *slot {
	if n := uint32(len(s.slots)); s.span() == n {
		bigger := make([]slot, max(2*n, 4))
		for i := s.head; i != s.tail; i++ {
			bigger[i&uint32(len(bigger)-1)] = *s.at(i)
		}
		s.slots = bigger
	}
	s.lastID = nextID(s.lastID)
	sl := s.at(s.tail)
	*sl = slot{tag: tag, off: s.base + uint64(len(s.log)), id: s.lastID, state: state, serial: s.serial}
	s.serial++
	s.tail++
	return sl
}

// opened counts a PUBLISH slot.
func (s *Session) opened(state slotState) {
	s.open++
	if state != slotPuback {
		s.open2++
	}
}

// unpush removes the newest slot.
func (s *Session) unpush() {
	s.tail--
	s.lastID--
	if s.lastID == 0 {
		s.lastID = 65535
	}
}

// bytes returns the encoded PUBLISH of a slot.
func (s *Session) bytes(sl *slot) []byte {
	at := sl.off - s.base
	return s.log[at : at+uint64(sl.size)]
}

// finish closes a slot and frees what the ring's head no longer needs.
func (s *Session) finish(sl *slot) {
	if sl.state <= slotPubcomp {
		s.open--
		if sl.state != slotPuback {
			s.open2--
		}
		s.changed(ChangeDone, sl.id, sl.tag, nil)
	}
	sl.state = slotDone
	for s.head != s.tail && s.at(s.head).state == slotDone {
		s.head++
	}
	end := s.base + uint64(len(s.log))
	if s.head != s.tail {
		end = s.at(s.head).off
	}
	// Bytes before the head are removed when they are half of the log, so that
	// each byte is moved at most once on average.
	if dead := int(end - s.base); dead == len(s.log) {
		s.base, s.log = end, s.log[:0]
		if cap(s.log) > keepLog {
			s.log = nil
		}
	} else if dead > 4096 && dead > len(s.log)/2 {
		s.base, s.log = end, s.log[:copy(s.log, s.log[dead:])]
	}
}

// keepLog is the capacity, in bytes, that an empty log keeps.
const keepLog = 1 << 20

// Shrink frees the memory that an empty session keeps for the next messages.
func (s *Session) Shrink() {
	if s.span() == 0 {
		s.slots, s.base, s.log = nil, s.base+uint64(len(s.log)), nil
	}
	if len(s.inbound) == 0 {
		s.inbound = nil
	}
}

// renumber gives every open PUBLISH a new identifier and clears DUP, for a
// server that has lost the session: to it they are new messages. That includes
// a message at QoS 2 whose PUBREC had come: the server may have kept it for
// PUBREL and lost it with the session. It may then arrive twice, which is the
// lesser evil. over is called for messages that cannot be sent again: with
// Success for such a QoS 2 message of which only the identifier is left.
func (s *Session) renumber(over func(tag uint64, reason packet.ReasonCode)) {
	s.forgotten = false
	if s.span() == 0 && len(s.inbound) == 0 {
		return
	}
	if s.Doubt != nil {
		for n := s.head; n != s.tail; n++ {
			sl := s.at(n)
			if (sl.state == slotPubcomp || sl.state == slotPubrec && sl.sent) && !s.Doubt(sl.tag, s.bytes(sl)) {
				s.finish(sl)
			}
		}
	}
	s.changed(ChangeCleared, 0, 0, nil)
	old := *s
	s.slots, s.log = nil, nil
	s.tail, s.open, s.open2, s.base = s.head, 0, 0, 0 // starts at the old head, for Mark
	type gone struct {
		tag    uint64
		reason packet.ReasonCode
	}
	var lost []gone // reported at the end: over may publish, and that is queued last
	for n := old.head; n != old.tail; n++ {
		sl := old.at(n)
		switch sl.state {
		case slotDone:
		case slotPuback, slotPubrec, slotPubcomp:
			if sl.size == 0 { // restored without its packet
				lost = append(lost, gone{sl.tag, packet.Success})
				continue
			}
			fresh := s.push(sl.tag, min(sl.state, slotPubrec))
			fresh.size, fresh.serial = sl.size, sl.serial
			s.log = append(s.log, old.bytes(sl)...)
			patchID(s.bytes(fresh), fresh.id)
			s.opened(fresh.state)
			s.changed(ChangeSent, fresh.id, fresh.tag, s.bytes(fresh))
		default: // a request that Lost should have dropped
			lost = append(lost, gone{sl.tag, packet.UnspecifiedError})
		}
	}
	clear(s.inbound)
	for _, g := range lost {
		over(g.tag, g.reason)
	}
}

// patchID overwrites the packet identifier of an encoded PUBLISH.
func patchID(b []byte, id uint16) {
	at := 1
	for b[at] >= 128 {
		at++
	}
	at++
	at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	binary.BigEndian.PutUint16(b[at:], id)
}

// Range calls yield for every unacknowledged PUBLISH in sending order, with its
// tag and its encoded packet (a view into the session) or, if only PUBREL is
// still to be completed, with nil.
func (s *Session) Range(yield func(id uint16, tag uint64, publish []byte) bool) {
	for n := s.head; n != s.tail; n++ {
		switch sl := s.at(n); sl.state {
		case slotPuback, slotPubrec:
			if !yield(sl.id, sl.tag, s.bytes(sl)) {
				return
			}
		case slotPubcomp:
			if !yield(sl.id, sl.tag, nil) {
				return
			}
		}
	}
}

// Drop gives up the message with this serial number and returns its tag, if it
// is unfinished. It must be called between connections.
func (s *Session) Drop(serial uint32) (tag uint64, ok bool) {
	for n := s.head; n != s.tail; n++ {
		if sl := s.at(n); sl.serial == serial && slotPuback <= sl.state && sl.state <= slotPubcomp {
			tag = sl.tag
			s.finish(sl)
			return tag, true
		}
	}
	return 0, false
}

// DropIf gives up the unacknowledged messages for whose encoded packets which
// returns true, and returns their number. The others keep their identifiers and
// their order. It must be called between connections.
func (s *Session) DropIf(which func(publish []byte) bool) (n int) {
	for at := s.head; at != s.tail; at++ {
		if sl := s.at(at); (sl.state == slotPuback || sl.state == slotPubrec) && which(s.bytes(sl)) {
			s.finish(sl)
			n++
		}
	}
	return n
}

// Reencode calls encode to append a new packet for each unacknowledged message
// to dst, for a peer that returns with another protocol version. Packet
// identifiers, order and acknowledgements are kept. It must be called between
// connections.
func (s *Session) Reencode(encode func(dst []byte, tag uint64, publish []byte) []byte) {
	log := make([]byte, 0, len(s.log))
	for at := s.head; at != s.tail; at++ {
		sl := s.at(at)
		off := s.base + uint64(len(log))
		if slotPuback <= sl.state && sl.state <= slotPubcomp && sl.size > 0 {
			before := len(log)
			log = encode(log, sl.tag, s.bytes(sl))
			sl.size = uint32(len(log) - before)
		}
		sl.off = off
	}
	s.log = log
}

// Mark returns a position after everything that has been published so far, for
// OpenBefore.
func (s *Session) Mark() uint32 { return s.tail }

// OpenBefore reports whether a message that was published before a Mark is not
// completely acknowledged. Once the server has lost the session, some messages
// after the mark may count as well.
func (s *Session) OpenBefore(mark uint32) bool {
	for n := s.head; n != s.tail && int32(n-mark) < 0; n++ {
		switch s.at(n).state {
		case slotPuback, slotPubrec, slotPubcomp:
			return true
		}
	}
	return false
}

// Inbound calls yield for the identifier of every inbound QoS 2 message whose
// PUBREL has not come.
func (s *Session) Inbound(yield func(id uint16) bool) {
	for id := range s.inbound {
		if !yield(id) {
			return
		}
	}
}

// Clear empties the session, as a clean start does. drop is called with the tag
// of every unfinished packet.
func (s *Session) Clear(drop func(tag uint64)) {
	for n := s.head; n != s.tail; n++ {
		if sl := s.at(n); sl.state != slotDone && drop != nil {
			drop(sl.tag)
		}
	}
	s.changed(ChangeCleared, 0, 0, nil)
	*s = Session{head: s.tail, tail: s.tail, lastID: s.lastID, serial: s.serial, Changed: s.Changed, Doubt: s.Doubt}
}

// Tags calls yield with the tag of every unfinished packet, in sending order.
func (s *Session) Tags(yield func(tag uint64)) {
	for n := s.head; n != s.tail; n++ {
		if sl := s.at(n); sl.state != slotDone {
			yield(sl.tag)
		}
	}
}
