package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ doc, path, want string }{
		{`{"a":1}`, ".", `{"a":1}`},
		{` {"a":1} `, ".", `{"a":1}`},
		{`{"a":1}`, ".a", "1"},
		{`{"a":{"b":[1,{"c":"x"}]}}`, ".a.b[1].c", `"x"`},
		{`{"a":{"b":[1,2]}}`, ".a.b[2]", "missing"},
		{`{"a b":1,"\u0061":2}`, `."a b"`, "1"},
		{`{"a b":1,"\u0061":2}`, ".a", "2"},
		{`{"a":1}`, `.["a"]`, "1"},
		{`[[0],[1,2]]`, ".[1][0]", "1"},
		{`{"a":1,"a":2}`, ".a", "2"},
		{`{"a":{"b":1},"a":{"c":2}}`, ".a.b", "missing"},
		{`{"a":{"b":1},"a":3}`, ".a.b", "astray"},
		{`{"a":3,"a":{"b":1}}`, ".a.b", "1"},
		{`{"a":null}`, ".a", "null"},
		{`{"a":null}`, ".a.b.c", "missing"},
		{`{"a":null}`, ".a[0]", "missing"},
		{`{"a":"text"}`, ".a.b", "astray"},
		{`{"a":[1]}`, ".a.b", "astray"},
		{`{"a":{}}`, ".a[0]", "astray"},
		{`{}`, ".a.b", "missing"},
		{`[]`, ".[0]", "missing"},
		{`7`, ".", "7"},
		{`7`, ".a", "astray"},
		{`{"a":1}}`, ".a", "invalid"},
		{`{"a":1,}`, ".a", "invalid"},
		{`{"a":tru}`, ".a", "invalid"},
		{``, ".", "invalid"},
		{"{\"a\":\"\xff\"}", ".a", "invalid"},
	} {
		p, err := ParsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got := find(p, c.doc); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.path, c.doc, got, c.want)
		}
	}
}

func find(p Path, doc string) string {
	f, valid := p.Find([]byte(doc))
	switch {
	case !valid:
		return "invalid"
	case f.Place == Inside:
		return string(f.Value)
	case f.Place == Astray:
		return "astray"
	}
	return "missing"
}

func TestPathsThatAreRefused(t *testing.T) {
	t.Parallel()
	for path, at := range map[string]int{
		"": 0, "a": 0, ".a.": 3, "..a": 1, ".a b": 2, ".[": 2, ".a[-1]": 3, ".a[1": 4, `.a["b]`: 6, `.a["b"`: 6, ".1": 1, ".a[99999999999999999999]": 3, "." + `"\ud800"`: 9,
	} {
		var malformed *PathError
		if p, err := ParsePath(path); !errors.As(err, &malformed) {
			t.Errorf("%q is read as %v, %v", path, p, err)
		} else if malformed.Offset != at {
			t.Errorf("%q: %v, want offset %d", path, err, at)
		}
	}
}

// TestFindIsWhatDecodingGives compares paths into random documents with a decoder.
func TestFindIsWhatDecodingGives(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b", `\u0061`, "ä", `x\"y`}
	var value func(depth int) string
	value = func(depth int) string {
		n := r.IntN(4)
		if depth > 3 {
			n += 4
		}
		var parts []string
		switch r.IntN(6) + min(n, 4)/4*2 {
		case 0, 1:
			for range n % 4 {
				parts = append(parts, fmt.Sprintf("\"%s\" : %s", names[r.IntN(len(names))], value(depth+1)))
			}
			return "{ " + strings.Join(parts, ",") + "}"
		case 2, 3:
			for range n % 4 {
				parts = append(parts, value(depth+1))
			}
			return "[" + strings.Join(parts, " ,") + " ]"
		case 4:
			return "null"
		case 5:
			return fmt.Sprintf("\"%s\"", names[r.IntN(len(names))])
		}
		return fmt.Sprint(r.IntN(9))
	}
	steps := []Step{{Key: "a"}, {Key: "b"}, {Key: "ä"}, {Key: `x"y`}, {IsIndex: true}, {IsIndex: true, Index: 1}}
	inside := 0
	for range 20000 {
		doc := value(0)
		var p Path
		for range r.IntN(4) {
			p = append(p, steps[r.IntN(len(steps))])
		}
		var v any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		want := Inside
		for _, s := range p {
			next, there := any(nil), false
			switch v := v.(type) {
			case map[string]any:
				if want = Astray; !s.IsIndex {
					next, there = v[s.Key]
					want = Missing
				}
			case []any:
				if want = Astray; s.IsIndex {
					want = Missing
					if there = s.Index < len(v); there {
						next = v[s.Index]
					}
				}
			case nil:
				want = Missing
			default:
				want = Astray
			}
			if v = next; !there {
				break
			}
			want = Inside
		}
		f, valid := p.Find([]byte(doc))
		if !valid || f.Place != want {
			t.Fatalf("%v of %s: %v, %v, want %v", p, doc, f.Place, valid, want)
		}
		if want != Inside {
			continue
		}
		inside++
		a, _ := json.Marshal(v)
		var got any
		if err := json.Unmarshal(f.Value, &got); err != nil {
			t.Fatalf("%v of %s: %q: %v", p, doc, f.Value, err)
		}
		if b, _ := json.Marshal(got); string(a) != string(b) {
			t.Fatalf("%v of %s: %s, want %s", p, doc, b, a)
		}
	}
	if inside < 2000 {
		t.Errorf("only %d paths led to a value", inside)
	}
}

// FuzzText compares the reader with encoding/json, which replaces bytes that are not UTF-8.
func FuzzText(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x\ud83d\ude00",null]}`, `"\ud800"`, `[[[]]]`, `-0.5e+7`, `1e700`, ` 1 `, `{"a":1,}`} {
		f.Add([]byte(s))
	}
	decode := func(b []byte) (v any, err error) {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber() // any size
		if err = d.Decode(&v); err == nil && len(bytes.Trim(b[d.InputOffset():], " \t\r\n")) > 0 {
			err = errors.New("more than one value")
		}
		return v, err
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		valid := Valid(b)
		v, err := decode(b)
		if utf8.Valid(b) && bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) < MaxDepth && valid != (err == nil) {
			t.Fatalf("%q: %v, encoding/json: %v", b, valid, err)
		}
		if !valid {
			return
		}
		compact := AppendCompact(nil, b)
		w, err := decode(compact)
		if err != nil || !OneLine(compact) {
			t.Fatalf("%q becomes %q: %v", b, compact, err)
		}
		if !reflect.DeepEqual(v, w) {
			t.Fatalf("%q becomes %q", b, compact)
		}
		if s, isText := v.(string); isText {
			got, _ := AppendUnquoted(nil, compact[1:len(compact)-1])
			if string(got) != s {
				t.Fatalf("%q is %q, want %q", b, got, s)
			}
			again := AppendString(nil, s)
			if w, err := decode(again); err != nil || w != s {
				t.Fatalf("%q is quoted as %q: %v", s, again, err)
			}
		}
	})
}
