package jsontext

import (
	"math/rand/v2"
	"testing"
)

// several are paths that share steps, lead through each other, and end at one value.
var several = []string{".", ".a", ".a.b", ".a.b", ".a[0]", ".a[1].b", `."x\"y"`, ".b", ".b.a", ".[0]", ".[1][0]", ".[1].a", ".ä"}

// together compares Paths.Find with Path.Find, and returns how many values there are.
func together(t *testing.T, doc []byte) (found int) {
	t.Helper()
	var paths []Path
	for _, text := range several {
		p, err := ParsePath(text)
		if text == ".ä" {
			p, err = Path{{Key: "ä"}}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	values := make([][]byte, len(paths))
	values[0] = []byte("left over")
	valid := NewPaths(paths...).Find(doc, values)
	for i, p := range paths {
		f, ok := p.Find(doc)
		if ok != valid || string(f.Value) != string(values[i]) || (f.Value == nil) != (values[i] == nil) {
			t.Fatalf("%s of %q: got %q, %v; alone it is %q, %v", several[i], doc, values[i], valid, f.Value, ok)
		}
		if values[i] != nil {
			found++
		}
	}
	return found
}

func TestSeveralPathsFindWhatEachFinds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{"{", "}", "[", "]", ",", ":", `"a":`, `"b":`, `"\u0061":`, `"x\"y":`, `"ä":`, "1", `"a"`, "null", " ", `{"a":`, `{"b":`, "[", "{}", "[]"}
	var value func(depth int) string
	value = func(depth int) string {
		switch n := r.IntN(8); {
		case n < 4 && depth < 4:
			s := "{"
			for i := range r.IntN(4) {
				if i > 0 {
					s += ", "
				}
				s += parts[6+r.IntN(5)] + value(depth+1)
			}
			return s + "}"
		case n < 6 && depth < 4:
			s := "["
			for i := range r.IntN(4) {
				if i > 0 {
					s += ","
				}
				s += value(depth+1) + " "
			}
			return s + "]"
		}
		return parts[11+r.IntN(3)]
	}
	found := 0
	for range 10000 {
		doc := value(0)
		found += together(t, []byte(doc))
		if cut := r.IntN(len(doc) + 1); r.IntN(2) == 0 {
			doc = doc[:cut] + parts[r.IntN(len(parts))] + doc[cut:]
		} else {
			doc = doc[:cut]
		}
		together(t, []byte(doc))
	}
	if found < 10000 {
		t.Errorf("only %d values were found", found)
	}
}

func FuzzPaths(f *testing.F) {
	for _, s := range []string{`{"a":{"b":1},"a":[0,{"b":2}]}`, `[0,[1]]`, `{"x\"y":null,"\u0061":{}}`, `{"a":`, ` 7 `, `{"a":[1,`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { together(t, b) })
}
