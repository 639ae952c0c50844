package result

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crc32c is CRC-32C bit by bit (RFC 3720 appendix B.4), to compare with.
func crc32c(p []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range p {
		crc ^= uint32(b)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	return ^crc
}

func TestHeaderBytes(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Fatalf("the reference CRC-32C of 123456789 is %#x, want 0xe3069283", got)
	}
	h := Header{Kind: KindRequest, Shard: 0xabc, Publisher: 0x123456, Seq: 0x789abcde, Intended: 0x0102030405 * time.Microsecond}
	payload := append(h.AppendTo([]byte{}, 0), "hello"...)
	WriteChecksum(payload)
	bare, err := hex.DecodeString("4abc123456789abc" + "de01020304050000" + "68656c6c6f")
	if err != nil {
		t.Fatal(err)
	}
	crc := crc32c(bare)
	folded := uint16(crc>>16) ^ uint16(crc)
	want := append([]byte{}, bare...)
	want[14], want[15] = byte(folded>>8), byte(folded)
	if string(payload) != string(want) {
		t.Errorf("got  %x\nwant %x", payload, want)
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Mark(rapid.Uint64().Draw(t, "mark"))
		h := Header{
			Kind:      MessageKind(rapid.IntRange(1, 5).Draw(t, "kind")),
			Shard:     uint16(rapid.IntRange(0, MaxShards-1).Draw(t, "shard")),
			Publisher: uint32(rapid.IntRange(0, MaxPublishers-1).Draw(t, "publisher")),
			Seq:       rapid.Uint32().Draw(t, "seq"),
			Intended:  time.Duration(rapid.Int64Range(0, int64(MaxIntended/time.Microsecond)).Draw(t, "intended")) * time.Microsecond,
		}
		payload := append(h.AppendTo(nil, m), rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "rest")...)
		WriteChecksum(payload)
		got, err := ParseHeader(payload, m)
		if err != nil || got != h {
			t.Fatalf("got %+v, %v, want %+v", got, err, h)
		}
		bit := rapid.IntRange(4, 8*len(payload)-1).Draw(t, "bit")
		payload[bit/8] ^= 0x80 >> (bit % 8)
		if _, err := ParseHeader(payload, m); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bit %d turned: got %v, want ErrCorrupt", bit, err)
		}
	})
}

// A mark changes only the shard and the publisher, by which a run recognizes its
// messages. The bits of this mark are those that are 0 in the header.
func TestMark(t *testing.T) {
	h := Header{Kind: KindReply, Shard: 0xabc, Publisher: 0x123456, Seq: 0xffffffff, Intended: MaxIntended}
	for _, c := range []struct {
		mark Mark
		want string
	}{
		{0, "5abc123456ffffff"},
		{0xf_ffff_ffff, "5543edcba9ffffff"},
		{0xfffffff_0_0000_0000, "5abc123456ffffff"},
		{0x1_0000_0001, "5bbc123457ffffff"},
	} {
		payload := h.AppendTo(nil, c.mark)
		WriteChecksum(payload)
		if got := hex.EncodeToString(payload[:8]); got != c.want {
			t.Errorf("mark %x: got %s, want %s", uint64(c.mark), got, c.want)
		}
		if got, err := ParseHeader(payload, 0); err != nil || (c.mark&0xf_ffff_ffff != 0) == (got == h) {
			t.Errorf("mark %x, read by a run without: %+v, %v", uint64(c.mark), got, err)
		}
	}
	if a, b := MarkOf("a", "b"), MarkOf("a", "c"); a == b || a != MarkOf("a", "b") {
		t.Errorf("marks %x and %x of other facts", uint64(a), uint64(b))
	}
}

// A reply has the header of its request, whichever run has made it.
func TestAnswer(t *testing.T) {
	payload := append(Header{Kind: KindRequest, Shard: 3, Publisher: 4, Seq: 5, Intended: time.Second}.AppendTo(nil, 77), "hello"...)
	WriteChecksum(payload)
	Answer(payload)
	want := Header{Kind: KindReply, Shard: 3, Publisher: 4, Seq: 5, Intended: time.Second}
	if got, err := ParseHeader(payload, 77); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestHeaderRefusals(t *testing.T) {
	sealed := func(kind MessageKind) []byte {
		p := Header{Kind: kind}.AppendTo(nil, 0)
		WriteChecksum(p)
		return p
	}
	for _, c := range []struct {
		name    string
		payload []byte
		want    error
	}{
		{"is foreign when empty", nil, ErrNoHeader},
		{"is foreign one byte short", sealed(KindMessage)[:15], ErrNoHeader},
		{"is foreign with kind 0", sealed(0), ErrNoHeader},
		{"is foreign with kind 6", sealed(6), ErrNoHeader},
		{"is foreign as a JSON text", []byte(`{"temperature": 21.5}`), ErrNoHeader},
		{"is ours with nothing behind the header", sealed(KindReply), nil},
		{"is corrupt with a byte more", append(sealed(KindReply), 1), ErrCorrupt},
	} {
		if _, err := ParseHeader(c.payload, 0); err != c.want {
			t.Errorf("it %s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestHeaderAllocatesNothing(t *testing.T) {
	buffer := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		p := Header{Kind: KindMessage, Seq: 7}.AppendTo(buffer, 5)[:64]
		WriteChecksum(p)
		if _, err := ParseHeader(p, 5); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkHeader(b *testing.B) {
	payload := []byte(strings.Repeat("x", 64))
	b.Run("append", func(b *testing.B) {
		for i := range b.N {
			Header{Kind: KindMessage, Publisher: 5, Seq: uint32(i), Intended: time.Second}.AppendTo(payload[:0], 5)
			WriteChecksum(payload)
		}
	})
	b.Run("parse", func(b *testing.B) {
		for range b.N {
			if _, err := ParseHeader(payload, 5); err != nil {
				b.Fatal(err)
			}
		}
	})
}
