package result

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"sync"
	"time"
)

// HeaderSize is the length of a Header in bytes. Shorter payloads have none.
const HeaderSize = 16

// MessageKind is the purpose of a message with a Header.
type MessageKind uint8

// The kinds of messages. 0 means no kind, and values above KindReply are not ours.
const (
	KindMessage MessageKind = 1 + iota // an ordinary message
	KindFill                           // fills a backlog or is retained
	KindWill
	KindRequest
	KindReply
)

// The bounds of a Header's numbers.
const (
	MaxShards     = 1 << 12
	MaxPublishers = 1 << 24
	MaxIntended   = 1<<40*time.Microsecond - time.Microsecond // 12 days
)

// Header is at the beginning of the payload of every message that is checked. It is 16
// bytes long, big-endian:
//
//	kind        4 bits
//	shard      12 bits  the shard that published the message
//	publisher  24 bits  the client's index within the plan
//	sequence   32 bits  from 0 per publisher, over all its topics
//	intended   40 bits  us since the epoch of that shard
//	check      16 bits  CRC-32C of the whole payload with 0 here, halves XORed
type Header struct {
	Kind      MessageKind
	Shard     uint16        // below MaxShards
	Publisher uint32        // below MaxPublishers
	Seq       uint32        // sequence
	Intended  time.Duration // whole microseconds, up to MaxIntended
}

// ErrNoHeader is returned for a payload without a Header: it is too short or its kind is
// not one of ours. ErrCorrupt is returned if the check is wrong. The first four bits of
// a payload from another program may look like a kind, and then it is ErrCorrupt as
// well.
var (
	ErrNoHeader = errors.New("no header")
	ErrCorrupt  = errors.New("the payload's check is wrong")
)

// Mark distinguishes the headers of a run from those of other runs. Shard and publisher
// are written XORed with its lower 36 bits, so that hardly any header of another run
// names a shard and a publisher that this run has.
type Mark uint64

// MarkOf returns the mark for the given facts, which is the same in all shards.
func MarkOf(facts ...string) Mark {
	sum := sha256.Sum256([]byte(strings.Join(facts, "\n")))
	return Mark(binary.BigEndian.Uint64(sum[:]))
}

// put adds the mark to a header's first half, or removes it.
func (m Mark) put(half uint64) uint64 { return half ^ uint64(m&(1<<36-1))<<24 }

// AppendTo appends the header without its check. When the rest of the payload has been
// appended as well, WriteChecksum adds the check. Numbers out of bounds are truncated.
func (h Header) AppendTo(dst []byte, m Mark) []byte {
	dst = binary.BigEndian.AppendUint64(dst, m.put(uint64(h.Kind)<<60|uint64(h.Shard&(MaxShards-1))<<48|uint64(h.Publisher&(MaxPublishers-1))<<24|uint64(h.Seq>>8)))
	return binary.BigEndian.AppendUint64(dst, uint64(h.Seq&0xff)<<56|(uint64(h.Intended/time.Microsecond)&(1<<40-1))<<16)
}

// WriteChecksum writes the check into a whole payload that begins with a header as AppendTo left
// it. The payload must be at least HeaderSize long.
func WriteChecksum(payload []byte) {
	binary.BigEndian.PutUint16(payload[14:16], fold(crc32.Update(0, castagnoli(), payload)))
}

// ParseHeader parses the header of a payload and verifies the check. The error is
// ErrNoHeader or ErrCorrupt; with ErrCorrupt the header is what the bytes say. The
// caller must check that the run has the shard and the publisher.
func ParseHeader(payload []byte, m Mark) (Header, error) {
	if len(payload) < HeaderSize {
		return Header{}, ErrNoHeader
	}
	a, b := m.put(binary.BigEndian.Uint64(payload)), binary.BigEndian.Uint64(payload[8:])
	h := Header{
		Kind:      MessageKind(a >> 60),
		Shard:     uint16(a>>48) & (MaxShards - 1),
		Publisher: uint32(a>>24) & (MaxPublishers - 1),
		Seq:       uint32(a<<8) | uint32(b>>56),
		Intended:  time.Duration(b>>16&(1<<40-1)) * time.Microsecond,
	}
	switch {
	case h.Kind == 0 || h.Kind > KindReply:
		return Header{}, ErrNoHeader
	case uint16(b) != check(payload):
		return h, ErrCorrupt
	}
	return h, nil
}

// Answer turns a request's payload into that of its reply. The header stays the
// requester's.
func Answer(payload []byte) {
	payload[0] = byte(KindReply)<<4 | payload[0]&0x0f
	payload[14], payload[15] = 0, 0
	WriteChecksum(payload)
}

// check returns the check that WriteChecksum wrote: that of the payload as if its own two bytes
// were zero. It does not modify the payload, which may be a view.
func check(payload []byte) uint16 {
	table := castagnoli()
	crc := crc32.Update(0, table, payload[:HeaderSize])
	// A CRC is linear: this is what the two bytes alone contributed.
	own := table[payload[14]]
	crc ^= table[byte(own)^payload[15]] ^ own>>8
	if len(payload) > HeaderSize {
		crc = crc32.Update(crc, table, payload[HeaderSize:])
	}
	return fold(crc)
}

func fold(crc uint32) uint16 { return uint16(crc>>16) ^ uint16(crc) }

// castagnoli is created at its first use: it takes package crc32 a fifth of a
// millisecond.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })
