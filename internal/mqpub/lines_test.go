package mqpub

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestSplitterCutsAsIfTheStreamWereWhole splits random streams, in blocks of random sizes,
// at delimiters with repeated parts.
func TestSplitterCutsAsIfTheStreamWereWhole(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20_000 {
		delim := [...]string{"\n", "\x00", "\r\n", "||", "|||", "aab", "abab"}[r.IntN(7)]
		stream := make([]byte, r.IntN(40))
		for i := range stream {
			stream[i] = "ab|\r\n\x00"[r.IntN(6)]
		}
		if r.IntN(2) == 0 {
			stream = bytes.ReplaceAll(stream, []byte("a"), []byte(delim))
		}
		s := splitter{delim: []byte(delim)}
		var got []string
		take := func(line []byte) error { got = append(got, string(line)); return nil }
		for rest := stream; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			block := bytes.Clone(rest[:n]) // blocks are reused
			if err := s.feed(block, take); err != nil {
				t.Fatal(err)
			}
			clear(block)
			rest = rest[n:]
		}
		got = append(got, string(s.carry))
		want := bytes.Split(stream, []byte(delim))
		ok := len(got) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = got[i] == string(want[i])
		}
		if !ok {
			t.Fatalf("round %d: %q at %q: got %q, want %q", round, stream, delim, got, want)
		}
	}
}

// A long line must not be searched again for every block of it.
func BenchmarkLongLine(b *testing.B) {
	block := bytes.Repeat([]byte("a"), blockSize)
	b.SetBytes(64 * blockSize)
	for b.Loop() {
		s := splitter{delim: []byte("||")}
		for range 64 {
			_ = s.feed(block, nil)
		}
	}
}
