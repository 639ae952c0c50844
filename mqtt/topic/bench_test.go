package topic

import (
	"fmt"
	"testing"
)

func TestHotPathsDoNotAllocate(t *testing.T) {
	name := []byte("plant/7/line/3/łódź/temperature")
	var tr Trie[int, int]
	for i, f := range []string{"#", "plant/+/line/#", "plant/7/line/3/+/temperature", "+/+/+/+/+/+", "other"} {
		if _, err := tr.Insert(f, i, i); err != nil {
			t.Fatal(err)
		}
	}
	var retained NameMap[int]
	if _, err := retained.Set(string(name), 1); err != nil {
		t.Fatal(err)
	}
	sum := 0
	visit := func(_, v int) { sum += v }
	visitName := func(string, int) { sum++ }
	for _, c := range []struct {
		what string
		f    func()
	}{
		{"ValidateNameBytes", func() { _ = ValidateNameBytes(name) }},
		{"ValidateFilter", func() { _ = ValidateFilter("$share/g/plant/+/line/#") }},
		{"Match", func() { MatchBytes("$share/g/plant/+/line/3/#", name) }},
		{"Trie.Match", func() { tr.MatchBytes(name, visit) }},
		{"NameMap.Match", func() { retained.Match("plant/+/line/#", visitName) }},
		{"NameMap.Get", func() { retained.GetBytes(name) }},
		{"FirstDiscouraged", func() { FirstDiscouraged("plant/7") }},
	} {
		if got := testing.AllocsPerRun(100, c.f); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", c.what, got)
		}
	}
}

func BenchmarkValidateNameBytes(b *testing.B) {
	name := []byte("plant/7/line/3/sensor/temperature")
	for b.Loop() {
		_ = ValidateNameBytes(name)
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("plant/+/line/3/#", "plant/7/line/3/sensor/temperature")
	}
}

func BenchmarkTrieMatch(b *testing.B) {
	var tr Trie[int, int]
	for i := range 10000 {
		for _, f := range []string{"plant/%d/line/3/#", "plant/%d/line/+/sensor/temperature", "plant/%d/+/3/+/x"} {
			if _, err := tr.Insert(fmt.Sprintf(f, i), i, i); err != nil {
				b.Fatal(err)
			}
		}
	}
	name := []byte("plant/7777/line/3/sensor/temperature")
	visit := func(int, int) {}
	for b.Loop() {
		tr.MatchBytes(name, visit)
	}
}

func BenchmarkNamesMatch(b *testing.B) {
	var s NameMap[int]
	for i := range 10000 {
		if _, err := s.Set(fmt.Sprintf("plant/%d/line/3", i), i); err != nil {
			b.Fatal(err)
		}
	}
	visit := func(string, int) {}
	for b.Loop() {
		s.Match("plant/7777/#", visit)
	}
}
