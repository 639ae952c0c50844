package result

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestSharedCheckerIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewSharedChecker(3, 1000)
		seen := make(map[[2]uint32]bool)
		for _, block := range rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]uint32 {
			return [3]uint32{rapid.Uint32Range(0, 2).Draw(t, "publisher"), rapid.Uint32Range(0, 5000).Draw(t, "from"), rapid.Uint32Range(1, 3000).Draw(t, "length")}
		}), 0, 6).Draw(t, "blocks") {
			for seq := block[1]; seq < block[1]+block[2]; seq++ {
				want := Next
				if seen[[2]uint32{block[0], seq}] {
					want = Duplicate
				}
				seen[[2]uint32{block[0], seq}] = true
				if got := c.Check(block[0], seq); got != want {
					t.Fatalf("%d of publisher %d: got %d, want %d", seq, block[0], got, want)
				}
			}
		}
		n := rapid.Uint32Range(0, 9000).Draw(t, "sent")
		var want []MissingRange
		var wantTotal int64
		for p := range uint32(3) {
			open := false
			for seq := range n {
				if seen[[2]uint32{p, seq}] {
					open = false
					continue
				}
				wantTotal++
				if open {
					want[len(want)-1].To = seq
				} else {
					want = append(want, MissingRange{AnySubscriber, p, seq, seq})
				}
				open = true
			}
		}
		total, got := c.Missing(func(uint32) uint32 { return n }, 1000)
		if total != wantTotal || !slices.Equal(got, want) {
			t.Fatalf("missing: got %d %v, want %d %v", total, got, wantTotal, want)
		}
	})
}

// TestSharedCheckerAcrossLoops: members in several loops receive every message twice.
// Each is the first exactly once, and full pages are freed.
func TestSharedCheckerAcrossLoops(t *testing.T) {
	const n = 20 * pageBits
	c := NewSharedChecker(2, 100)
	var first, again atomic.Int64
	var wg sync.WaitGroup
	for member := range uint32(4) {
		wg.Go(func() {
			for i := range uint32(n) {
				seq := i
				if member >= 2 {
					seq = n - 1 - i
				}
				switch c.Check(member%2, seq) {
				case Next:
					first.Add(1)
				case Duplicate:
					again.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if first.Load() != 2*n || again.Load() != 2*n {
		t.Errorf("%d first, %d again, want %d of each", first.Load(), again.Load(), 2*n)
	}
	if c.pages.Load() != 0 {
		t.Errorf("%d pages are held, want none", c.pages.Load())
	}
}

func TestSharedCheckerWithinBounds(t *testing.T) {
	c := NewSharedChecker(2, 2)
	for i, step := range []struct {
		pub, seq uint32
		want     Outcome
	}{
		{0, 0, Next},
		{1, ^uint32(0), Unknown}, // its directory alone would be large
		{1, 5 * pageBits, Next},
		{0, pageBits, Unknown}, // a third page
		{0, 1, Next},
		{0, 1, Duplicate},
		{2, 0, Unknown}, // no such publisher
	} {
		if got := c.Check(step.pub, step.seq); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
}

func BenchmarkSharedCheck(b *testing.B) {
	c := NewSharedChecker(1000, 1<<20)
	b.RunParallel(func(pb *testing.PB) {
		for seq := uint32(0); pb.Next(); seq++ {
			c.Check(seq%1000, seq/1000)
		}
	})
}
