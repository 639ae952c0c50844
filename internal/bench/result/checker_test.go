package result

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the naive checker: it remembers every number.
type model struct {
	seen map[[2]uint32]map[uint32]bool
	next map[[2]uint32]uint32
}

func (m *model) check(sub, pub, seq uint32) Outcome {
	k := [2]uint32{sub, pub}
	if m.seen[k] == nil {
		m.seen[k] = make(map[uint32]bool)
	}
	next := m.next[k]
	switch {
	case m.seen[k][seq]:
		return Duplicate
	case seq == next:
		m.next[k]++
		m.seen[k][seq] = true
		return Next
	case seq > next:
		m.next[k] = seq + 1
		m.seen[k][seq] = true
		return Gap
	}
	m.seen[k][seq] = true
	return Late
}

func (m *model) missing(sent func(uint32) uint32) (list []MissingRange, total int64) {
	for k, seen := range m.seen {
		open := false
		for seq := range max(m.next[k], sent(k[1])) {
			switch {
			case seen[seq]:
				open = false
			case open:
				list[len(list)-1].To = seq
				total++
			default:
				list = append(list, MissingRange{k[0], k[1], seq, seq})
				open = true
				total++
			}
		}
	}
	slices.SortFunc(list, compareMissing)
	return list, total
}

// drawSeqs draws messages that are mostly in order, with losses, repetitions and swaps.
func drawSeqs(t *rapid.T, pairs int) [][3]uint32 {
	next := make([]uint32, pairs)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]uint32 {
		pair := rapid.IntRange(0, pairs-1).Draw(t, "pair")
		var seq uint32
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			seq = rapid.Uint32Range(0, next[pair]+20).Draw(t, "any")
		case 1:
			next[pair] += rapid.Uint32Range(1, 5).Draw(t, "jump")
			fallthrough
		default:
			seq = next[pair]
			next[pair]++
		}
		return [3]uint32{uint32(pair % 3), uint32(pair / 3), seq}
	}), 50, 300).Draw(t, "messages")
}

func TestCheckerIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := drawSeqs(t, 7)
		c := NewChecker(rapid.IntRange(0, 8).Draw(t, "pairs"), 1000)
		m := &model{make(map[[2]uint32]map[uint32]bool), make(map[[2]uint32]uint32)}
		for i, msg := range messages {
			if got, want := c.Check(msg[0], msg[1], msg[2]), m.check(msg[0], msg[1], msg[2]); got != want {
				t.Fatalf("message %d %v: got %d, want %d", i, msg, got, want)
			}
		}
		sent := func(pub uint32) uint32 { return 10 * pub }
		want, wantTotal := m.missing(sent)
		total, got := c.Missing(sent, 1000)
		if total != wantTotal || !slices.Equal(got, want) {
			t.Fatalf("missing: got %d %v, want %d %v", total, got, wantTotal, want)
		}
		if _, few := c.Missing(sent, 2); !slices.Equal(few, want[:min(2, len(want))]) {
			t.Fatalf("two examples: got %v of %v", few, want)
		}
		if c.Forgotten() != 0 {
			t.Fatalf("forgot %d", c.Forgotten())
		}
	})
}

// TestCheckerWithinBounds: with little memory the checker never gives a wrong answer,
// but Unknown.
func TestCheckerWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := drawSeqs(t, 4)
		bound := rapid.IntRange(0, 5).Draw(t, "bound")
		c := NewChecker(0, bound)
		m := &model{make(map[[2]uint32]map[uint32]bool), make(map[[2]uint32]uint32)}
		for i, msg := range messages {
			got, want := c.Check(msg[0], msg[1], msg[2]), m.check(msg[0], msg[1], msg[2])
			if got != want && (got != Unknown || want != Late && want != Duplicate || c.Forgotten() == 0) {
				t.Fatalf("message %d %v: got %d, want %d (forgot %d)", i, msg, got, want, c.Forgotten())
			}
			if c.spans > bound {
				t.Fatalf("%d ranges held, bound %d", c.spans, bound)
			}
		}
		_, wantTotal := m.missing(func(uint32) uint32 { return 0 })
		total, _ := c.Missing(nil, 0)
		if total < wantTotal {
			t.Fatalf("missing %d, at least %d are", total, wantTotal)
		}
	})
}

func TestCheckerAtTheEdges(t *testing.T) {
	const last = ^uint32(0)
	c := NewChecker(0, 10)
	for i, step := range []struct {
		sub, pub, seq uint32
		want          Outcome
	}{
		{MaxPublishers - 1, MaxPublishers - 1, 0, Next},
		{MaxPublishers - 1, 0, 0, Next},
		{0, MaxPublishers - 1, 0, Next},
		{0, 0, last - 1, Gap},
		{0, 0, 0, Late},
		{0, 0, last - 2, Late},
		{0, 0, 0, Duplicate},
		{0, 0, last - 1, Duplicate},
		{MaxPublishers - 1, MaxPublishers - 1, 1, Next},
	} {
		if got := c.Check(step.sub, step.pub, step.seq); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
	total, list := c.Missing(nil, 10)
	if want := []MissingRange{{0, 0, 1, last - 3}}; total != int64(last-3) || !slices.Equal(list, want) {
		t.Errorf("missing: %d %v, want %v", total, list, want)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, pairs := range []uint32{1, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("pairs=%d", pairs), func(b *testing.B) {
			c := NewChecker(int(pairs), 1000)
			for p := range pairs {
				c.Check(p%16, p, 0)
			}
			b.ResetTimer()
			p, seq := uint32(0), uint32(1)
			for range b.N {
				if c.Check(p%16, p, seq) != Next {
					b.Fatal("not the next one")
				}
				if p++; p == pairs {
					p = 0
					seq++
				}
			}
		})
	}
}

func TestCheckerHas(t *testing.T) {
	c := NewChecker(4, 10)
	for _, seq := range []uint32{0, 1, 4, 3} {
		c.Check(1, 2, seq)
	}
	for seq, want := range []bool{true, true, false, true, true, false, false} {
		if got := c.Has(1, 2, uint32(seq)); got != want {
			t.Errorf("message %d: %v, want %v", seq, got, want)
		}
	}
	if c.Has(2, 2, 0) || c.Has(1, 1, 0) {
		t.Error("others have what they did not get")
	}
	bounded := NewChecker(4, 0)
	bounded.Check(1, 2, 5)
	if bounded.Has(1, 2, 3) || !bounded.Has(1, 2, 5) {
		t.Error("what was forgotten has come, or what came has not")
	}
	shared := NewSharedChecker(4, 10)
	shared.Check(2, 1)
	if !shared.Has(2, 1) || shared.Has(2, 0) || shared.Has(2, 9999) || shared.Has(9, 1) {
		t.Error("a shared subscription has what it did not get, or has not what it got")
	}
}
