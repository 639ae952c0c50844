package topic

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// shapes are filters and names of very different kinds.
var shapes = []struct {
	name string
	n    int
	text func(i int) string
}{
	{"many short", 50_000, func(i int) string { return fmt.Sprint(i) }},
	{"few long", 200, func(i int) string { return fmt.Sprint(i) + strings.Repeat("x", 30_000) }},
	{"deep", 1000, func(i int) string { return fmt.Sprint(i) + strings.Repeat("/a", 100) }},
	{"long levels", 2000, func(i int) string { return fmt.Sprint(i) + strings.Repeat("/"+strings.Repeat("b", 200), 10) }},
	{"a common beginning", 20_000, func(i int) string { return fmt.Sprintf("plant/line/station/%d/value", i) }},
	{"in branches of ten", 50_000, func(i int) string { return fmt.Sprintf("%d/%d/%d/%d/%d", i%10, i/10%10, i/100%10, i/1000%10, i/10_000) }},
}

// heap returns the memory in use.
func heap() int {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// measured compares the memory that fill allocates with the number that it
// returns, and describes the difference if it is too large.
func measured(fill func() (said int, keep any)) string {
	far := ""
	for range 5 { // allocations of the runtime only add to the result
		before := heap()
		said, keep := fill()
		got := heap() - before
		runtime.KeepAlive(keep)
		if got*2 > said*3 || said*2 > got*3 {
			far = fmt.Sprintf("it says %d bytes and takes %d", said, got)
			continue
		}
		return ""
	}
	return far
}

func TestBytesAreMemory(t *testing.T) {
	type key [2]*int
	for _, c := range shapes {
		texts := make([]string, c.n)
		for i := range texts {
			texts[i] = c.text(i)
		}
		if far := measured(func() (int, any) {
			var tr Trie[key, [2]uint32]
			for _, f := range texts {
				if _, err := tr.Insert(f, key{}, [2]uint32{}); err != nil {
					t.Fatal(err)
				}
			}
			return tr.Bytes(), &tr
		}); far != "" {
			t.Errorf("filters, %s: %s", c.name, far)
		}
		if far := measured(func() (int, any) {
			var s NameMap[*int]
			for _, f := range texts {
				if _, err := s.Set(f, nil); err != nil {
					t.Fatal(err)
				}
			}
			return s.Bytes(), &s
		}); far != "" {
			t.Errorf("names, %s: %s", c.name, far)
		}
	}
	keys := make([]int, 100_000)
	if far := measured(func() (int, any) {
		var tr Trie[key, [2]uint32]
		for i := range keys {
			if _, err := tr.Insert("a/+", key{&keys[i]}, [2]uint32{}); err != nil {
				t.Fatal(err)
			}
		}
		return tr.Bytes(), &tr
	}); far != "" {
		t.Errorf("many subscriptions of one filter: %s", far)
	}
}

// Removal is subtracted, and the rest uses no more memory than is counted.
func TestBytesGoWithWhatIsRemoved(t *testing.T) {
	for _, c := range shapes {
		var tr Trie[int, int]
		var s NameMap[int]
		texts := make([]string, min(c.n, 2000))
		for i := range texts {
			texts[i] = c.text(i)
			_, _ = tr.Insert(texts[i], 1, 0)
			_, _ = s.Set(texts[i], 0)
			a, b := tr.Bytes(), s.Bytes()
			_, _ = tr.Insert(texts[i], 1, 1) // replaces the value
			_, _ = s.Set(texts[i], 1)
			if tr.Remove(texts[i], 2) || s.Delete(texts[i]+"/none") || tr.Bytes() != a || s.Bytes() != b {
				t.Fatalf("%s: %d and %d bytes, were %d and %d", c.name, tr.Bytes(), s.Bytes(), a, b)
			}
		}
		rand.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		for _, text := range texts {
			tr.Remove(text, 1)
			s.Delete(text)
		}
		if tr.Bytes() != 0 || s.Bytes() != 0 {
			t.Errorf("%s: nothing is left, and it takes %d and %d bytes", c.name, tr.Bytes(), s.Bytes())
		}
	}
	// Many are removed until one is left, repeatedly.
	type key = int
	if far := measured(func() (int, any) {
		var tr Trie[key, int]
		for f := range 200 {
			for k := range 2000 {
				_, _ = tr.Insert(fmt.Sprint(f), k, 0)
				_, _ = tr.Insert(fmt.Sprint(f, "/", k), 1, 0)
			}
			for k := range 1999 {
				tr.Remove(fmt.Sprint(f), k)
				tr.Remove(fmt.Sprint(f, "/", k), 1)
			}
		}
		return tr.Bytes() + 200*2000*strconv.IntSize/64, &tr // the minimum room of a small map and a small list
	}); far != "" {
		t.Errorf("one of many is left: %s", far)
	}
}
