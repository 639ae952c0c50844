package topic

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func matched(s *NameMap[string], filter string) []string {
	var got []string
	s.Match(filter, func(name, v string) { got = append(got, name+"="+v) })
	slices.Sort(got)
	return got
}

func TestNames(t *testing.T) {
	var s NameMap[string]
	for _, n := range []string{"a", "a/b", "a/b/c", "a/", "/", "$SYS/x", "$SYS", "b/b"} {
		if replaced, err := s.Set(n, "v"); replaced || err != nil {
			t.Fatalf("set %q: got %v, %v", n, replaced, err)
		}
	}
	for _, c := range []struct {
		filter string
		want   []string
	}{
		{"#", []string{"/=v", "a/=v", "a/b/c=v", "a/b=v", "a=v", "b/b=v"}},
		{"a/#", []string{"a/=v", "a/b/c=v", "a/b=v", "a=v"}},
		{"a/+", []string{"a/=v", "a/b=v"}},
		{"+/b", []string{"a/b=v", "b/b=v"}},
		{"+", []string{"a=v"}},
		{"$SYS/#", []string{"$SYS/x=v", "$SYS=v"}},
		{"+/x", nil},
		{"$share/g/+/b/c", []string{"a/b/c=v"}},
		{"a", []string{"a=v"}},
		{"nowhere/#", nil},
		{"", nil},
	} {
		if got := matched(&s, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("filter %q: got %q, want %q", c.filter, got, c.want)
		}
	}
	if v, ok := s.GetBytes([]byte("a/")); v != "v" || !ok {
		t.Errorf("get: got %q, %v", v, ok)
	}
	for _, miss := range []string{"", "a/b/c/d", "x", "b"} {
		if _, ok := s.Get(miss); ok || s.Delete(miss) {
			t.Errorf("%q: got a value, want none", miss)
		}
	}
}

func TestNamesRefuses(t *testing.T) {
	s := NameMap[int]{MaxLevels: 3}
	for _, c := range []struct{ it, name, text string }{
		{"a wildcard", "a/+", "MQTT-4.7.0-1"},
		{"too many levels", "a/b/c/d", "4 levels, the limit is 3"},
	} {
		_, err := s.Set(c.name, 1)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("it refuses %s: got %v, want %q in it", c.it, err, c.text)
		}
	}
	if s.Len() != 0 || !s.root.children.empty() {
		t.Error("refused names left something behind")
	}
}

func TestNamesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s NameMap[string]
		model := map[string]string{}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				name, v := genName().Draw(t, "name"), rapid.String().Draw(t, "value")
				_, had := model[name]
				if replaced, err := s.Set(name, v); err != nil || replaced != had {
					t.Fatalf("set %q: got %v, %v, want %v", name, replaced, err, had)
				}
				model[name] = v
			},
			"delete": func(t *rapid.T) {
				name := genName().Draw(t, "name")
				_, had := model[name]
				if got := s.Delete(name); got != had {
					t.Fatalf("delete %q: got %v, want %v", name, got, had)
				}
				delete(model, name)
			},
			"get": func(t *rapid.T) {
				name := genName().Draw(t, "name")
				want, had := model[name]
				if got, ok := s.Get(name); got != want || ok != had {
					t.Fatalf("get %q: got %q, %v, want %q, %v", name, got, ok, want, had)
				}
			},
			"match": func(t *rapid.T) {
				filter := genFilter().Draw(t, "filter")
				var want []string
				for name, v := range model {
					if naiveMatch(filter, name) {
						want = append(want, name+"="+v)
					}
				}
				if got := matched(&s, filter); !slices.Equal(got, sorted(want)) {
					t.Fatalf("match %q: got %q, want %q", filter, got, want)
				}
			},
			"": func(t *rapid.T) {
				if s.Len() != len(model) {
					t.Fatalf("length: got %d, want %d", s.Len(), len(model))
				}
			},
		})
		for name := range model {
			s.Delete(name)
		}
		if s.Len() != 0 || !s.root.children.empty() {
			t.Fatal("nodes stay after the last name is gone")
		}
	})
}
