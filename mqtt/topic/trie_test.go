package topic

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func found(t *Trie[int, string], name string) []string {
	var got []string
	t.Match(name, func(k int, v string) { got = append(got, fmt.Sprint(k, "=", v)) })
	slices.Sort(got)
	return got
}

func TestTrie(t *testing.T) {
	var tr Trie[int, string]
	for i, f := range []string{"#", "+", "a/#", "a/+", "a/b", "+/b", "$SYS/#", "$SYS/+", "+/+/#", "/", "a"} {
		if replaced, err := tr.Insert(f, i, f); replaced || err != nil {
			t.Fatalf("insert %q: got %v, %v", f, replaced, err)
		}
	}
	for _, c := range []struct {
		it, name string
		want     []string
	}{
		{"finds each matching filter", "a/b", []string{"0=#", "2=a/#", "3=a/+", "4=a/b", "5=+/b", "8=+/+/#"}},
		{"finds the parent's #", "a", []string{"0=#", "10=a", "1=+", "2=a/#"}},
		{"keeps wildcards away from $ names", "$SYS/x", []string{"6=$SYS/#", "7=$SYS/+"}},
		{"finds the parent's # of a $ name", "$SYS", []string{"6=$SYS/#"}},
		{"finds empty levels", "/", []string{"0=#", "8=+/+/#", "9=/"}},
		{"finds nothing for nothing", "", nil},
	} {
		if got := found(&tr, c.name); !slices.Equal(got, c.want) {
			t.Errorf("it %s: got %q, want %q", c.it, got, c.want)
		}
	}
	if replaced, err := tr.Insert("a/b", 4, "new"); !replaced || err != nil {
		t.Errorf("second insert: got %v, %v, want it replaced", replaced, err)
	}
	if v, ok := tr.Get("a/b", 4); v != "new" || !ok {
		t.Errorf("get: got %q, %v", v, ok)
	}
	for _, miss := range []struct {
		filter string
		key    int
	}{{"a/b", 5}, {"a/b/c", 4}, {"x", 0}, {"+/#", 0}, {"a/+/+", 0}} {
		if _, ok := tr.Get(miss.filter, miss.key); ok {
			t.Errorf("get %q of %d: got a value, want none", miss.filter, miss.key)
		}
		if tr.Remove(miss.filter, miss.key) {
			t.Errorf("remove %q of %d: got true, want false", miss.filter, miss.key)
		}
	}
	if tr.Len() != 11 {
		t.Errorf("length: got %d, want 11", tr.Len())
	}
}

func TestTrieRefuses(t *testing.T) {
	var tr Trie[int, int]
	for _, c := range []struct{ it, filter, text string }{
		{"an invalid filter", "a#", "MQTT-4.7.1-1"},
		{"a shared subscription's filter", "$share/g/a", "filter is not allowed here"},
		{"more levels than the default", strings.Repeat("/", 200), "201 levels, the limit is 200"},
		{"65536 levels", strings.Repeat("/", 65535), "65536 levels"},
	} {
		_, err := tr.Insert(c.filter, 1, 1)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("it refuses %s: got %v, want %q in it", c.it, err, c.text)
		}
	}
	if tr.Len() != 0 || !tr.root.children.empty() {
		t.Errorf("refused filters left something behind")
	}
	if _, err := tr.Insert(strings.Repeat("/", 199), 1, 1); err != nil {
		t.Errorf("200 levels: got %v, want no error", err)
	}
}

func TestTriesSurviveTheDeepestTopic(t *testing.T) {
	tr := Trie[int, int]{MaxLevels: 1 << 16}
	deep := strings.Repeat("/", MaxLength)
	if _, err := tr.Insert(deep, 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Insert(strings.Repeat("+/", 32767)+"#", 2, 2); err != nil {
		t.Fatal(err)
	}
	n := 0
	tr.Match(deep, func(int, int) { n++ })
	if n != 2 {
		t.Errorf("got %d matches, want 2", n)
	}
	s := NameMap[int]{MaxLevels: 1 << 16}
	if _, err := s.Set(deep, 1); err != nil {
		t.Fatal(err)
	}
	n = 0
	s.Match("#", func(string, int) { n++ })
	if n != 1 {
		t.Errorf("got %d names, want 1", n)
	}
	if !tr.Remove(deep, 1) || !s.Delete(deep) || !s.root.children.empty() {
		t.Error("not removed")
	}
}

// TestTriePathological counts node visits: all filters of {a,+}^10 with and
// without # cover every combination, and each node is still entered once.
func TestTriePathological(t *testing.T) {
	var tr Trie[int, int]
	nodes := 0
	for bits := range 1 << 10 {
		levels := make([]string, 10)
		for i := range levels {
			levels[i] = "a"
			if bits>>i&1 == 1 {
				levels[i] = "+"
			}
		}
		for _, tail := range []string{"", "/#"} {
			if _, err := tr.Insert(strings.Join(levels, "/")+tail, 2*bits+len(tail)/2, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := map[int]int{}
	tr.Match("a"+strings.Repeat("/a", 9), func(k, _ int) { seen[k]++; nodes++ })
	if len(seen) != 2048 || nodes != 2048 {
		t.Errorf("got %d keys in %d visits, want 2048 in 2048", len(seen), nodes)
	}
}

func TestTrieCopiesLevels(t *testing.T) {
	var tr Trie[int, int]
	b := []byte("abc/def")
	if _, err := tr.Insert(view(b), 1, 1); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if _, ok := tr.Get("abc/def", 1); !ok {
		t.Error("the trie kept the caller's bytes")
	}
}

// Generators with few different levels, so that topics collide.
func genLevel() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "", "$x", "c", "d", "e", "f", "g", "h", "i"})
}

func genName() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(genLevel(), 1, 4).Draw(t, "levels"), "/")
		if s == "" {
			return "a"
		}
		return s
	})
}

func genFilter() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		levels := rapid.SliceOfN(rapid.OneOf(genLevel(), rapid.Just("+")), 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "hash") {
			levels = append(levels[:len(levels)-1], "#")
		}
		if s := strings.Join(levels, "/"); s != "" {
			return s
		}
		return "+"
	})
}

func TestTrieModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sub struct {
			filter string
			key    int
		}
		var tr Trie[int, string]
		model := map[sub]string{}
		draw := func(t *rapid.T) sub {
			if len(model) > 0 && rapid.Bool().Draw(t, "known") {
				all := make([]sub, 0, len(model))
				for s := range model {
					all = append(all, s)
				}
				slices.SortFunc(all, func(a, b sub) int {
					return strings.Compare(a.filter, b.filter)*1000 + a.key - b.key
				})
				return rapid.SampledFrom(all).Draw(t, "sub")
			}
			return sub{genFilter().Draw(t, "filter"), rapid.IntRange(0, 40).Draw(t, "key")}
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				s, v := draw(t), rapid.String().Draw(t, "value")
				_, had := model[s]
				if replaced, err := tr.Insert(s.filter, s.key, v); err != nil || replaced != had {
					t.Fatalf("insert %q: got %v, %v, want %v", s.filter, replaced, err, had)
				}
				model[s] = v
			},
			"crowd": func(t *rapid.T) {
				f := genFilter().Draw(t, "filter")
				for k := range 30 {
					if _, err := tr.Insert(f, k, "crowd"); err != nil {
						t.Fatal(err)
					}
					model[sub{f, k}] = "crowd"
				}
			},
			"remove": func(t *rapid.T) {
				s := draw(t)
				_, had := model[s]
				if got := tr.Remove(s.filter, s.key); got != had {
					t.Fatalf("remove %v: got %v, want %v", s, got, had)
				}
				delete(model, s)
			},
			"get": func(t *rapid.T) {
				s := draw(t)
				want, had := model[s]
				if got, ok := tr.Get(s.filter, s.key); got != want || ok != had {
					t.Fatalf("get %v: got %q, %v, want %q, %v", s, got, ok, want, had)
				}
			},
			"match": func(t *rapid.T) {
				name := genName().Draw(t, "name")
				var want []string
				for s, v := range model {
					if naiveMatch(s.filter, name) {
						want = append(want, fmt.Sprint(s.key, "=", v))
					}
				}
				slices.Sort(want)
				if got := found(&tr, name); !slices.Equal(got, want) {
					t.Fatalf("match %q: got %q, want %q", name, got, want)
				}
			},
			"": func(t *rapid.T) {
				if tr.Len() != len(model) {
					t.Fatalf("length: got %d, want %d", tr.Len(), len(model))
				}
			},
		})
		for s := range model {
			tr.Remove(s.filter, s.key)
		}
		if tr.Len() != 0 || tr.root.plus != nil || !tr.root.children.empty() {
			t.Fatal("nodes stay after the last subscription is gone")
		}
	})
}

func FuzzTrie(f *testing.F) {
	f.Add("a/b\na/+\n#\n+/b\n$SYS/#", "a/b")
	f.Add("/\n//\n+/#\n+", "/")
	f.Fuzz(func(t *testing.T, filters, name string) {
		tr := Trie[int, string]{MaxLevels: 1 << 16}
		var want []string
		for i, s := range strings.Split(filters, "\n") {
			if _, err := tr.Insert(s, i, s); err == nil && Match(s, name) && name != "" {
				want = append(want, fmt.Sprint(i, "=", s))
			}
		}
		if ValidateName(name) != nil {
			tr.Match(name, func(int, string) {}) // must return
		} else if got := found(&tr, name); !slices.Equal(got, sorted(want)) {
			t.Fatalf("name %q: got %q, want %q", name, got, want)
		}
		for i, s := range strings.Split(filters, "\n") {
			tr.Remove(s, i)
		}
		if tr.Len() != 0 || tr.root.plus != nil || !tr.root.children.empty() {
			t.Fatalf("filters %q: nodes stay", filters)
		}
	})
}

func sorted(s []string) []string { slices.Sort(s); return s }
