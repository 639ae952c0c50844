package yamlfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return f
}

func TestNodesKnowTheirPlaceAndText(t *testing.T) {
	t.Parallel()
	f := parse(t, "# c\n--- # d\na: 1_0 # e\nb:\n  - 'true'\n  - true\n  - ~\n\"ü\": {x: 0x10, y: on}\n")
	b := f.Root.Get("b").Value
	u := f.Root.Get("ü").Value
	for _, c := range []struct {
		it           string
		n            *Node
		line, column int
		text         string
		isBool, null bool
	}{
		{"keeps a number as written", f.Root.Get("a").Value, 3, 4, "1_0", false, false},
		{"takes quotes for a text", b.Items[0], 5, 5, "true", false, false},
		{"knows a bare true", b.Items[1], 6, 5, "true", true, false},
		{"knows nothing", b.Items[2], 7, 5, "~", false, true},
		{"counts characters, not bytes", u.Get("x").Value, 8, 10, "0x10", false, false},
		{"takes on for a text", u.Get("y").Value, 8, 19, "on", false, false},
	} {
		if c.n.Line != c.line || c.n.Column != c.column || c.n.Text != c.text || c.n.Bool != c.isBool || c.n.Null != c.null {
			t.Errorf("it %s: got %+v, want %d:%d %q, bool %v, null %v", c.it, c.n, c.line, c.column, c.text, c.isBool, c.null)
		}
	}
	if many, one := b.AsList(), b.Items[0].AsList(); len(many) != 3 || len(one) != 1 || many[0] != one[0] {
		t.Errorf("as lists: %v, %v", many, one)
	}
	if f.Root.Get("c") != nil || (*Node)(nil).Get("x") != nil {
		t.Error("a key is found that is not there")
	}
}

func TestFilesWithoutContentAreEmpty(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# only\n", "---\n", "null\n", "\ufeff"} {
		if f := parse(t, text); f.Root.Kind != Mapping || len(f.Root.Entries) != 0 {
			t.Errorf("%q: got %+v, want an empty mapping", text, f.Root)
		}
	}
}

func TestBrokenFilesAreRefusedByPlace(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for _, c := range []string{"ba", "cb", "dc", "ed", "fe"} {
		bomb += c[:1] + ": &" + c[:1] + " [" + strings.TrimSuffix(strings.Repeat("*"+c[1:]+",", 10), ",") + "]\n"
	}
	for text, want := range map[string]string{
		"a: b: c\n": "f:1:1: mapping values are not allowed",
		"contexts:\n  prod:\n    host: a\n   port: 3\n": "f:4:4: did not find expected key",
		"a: 1\nb\nc: 3\n":       "f:2:1: could not find expected ':'",
		"a:\n\tb: 1\n":          "f:2:1: a tab in the indentation",
		"a:\n  b: 1\n \tc: 1\n": "f:3:2: a tab in the indentation",
		"b: 1\na: 'x\nb: 2\n":   "f:2:1: found unexpected end of stream",
		"a: [1,\nb: 2\n":        "f:2:1: did not find expected ',' or ']'",
		"a: 1\n'a': 2\n":        `f:2:1: key "a" is already on line 1`,
		"a: {b: 1, b: 2}\n":     `f:1:11: key "b" is already on line 1`,
		"{pw:x: 1, pw:x: 2}\n":  `f:1:11: key "pw" is already on line 1`,
		"a: *x\n":               "f:1:1: unknown anchor 'x' referenced",
		"a: &a [*a]\n":          "f:1:4: nested deeper than 64 levels",
		"a: " + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "\n": "f:1:68: nested deeper than 64 levels",
		bomb:                               "more than 100000 values",
		"a: 1\n---\nb: 2\n":                "f:2:1: a second document begins here",
		"a: 1\n...\n}\n":                   "f:3:1: did not find expected",
		"x\n":                              "f:1:1: want lines of the form 'key: value', not a text",
		"# c\n- 1\n":                       "f:2:1: want lines of the form 'key: value', not a list",
		"a: !!int 3\n":                     "f:1:4: tags such as !!int",
		"a: !!binary aGk=\n":               "f:1:4: tags such as !!binary",
		"? [a]\n: b\n":                     "f:1:3: want a key, not a list",
		"~: b\n":                           "f:1:1: want a key, not nothing",
		"<<: {a: b}\n":                     "f:1:1: merge keys",
		"<<: [{[a]: b}, {[a]: c}]\n[a]: d": "f:1:1: merge keys",
		"a: 1\nb: \xff\n":                  "f:2:4: byte 0xff is not UTF-8",
		"\xff\xfea\x00":                    "f:1:1: the text is UTF-16; save it as UTF-8",
		"ä: \x00":                          "f:1:4: control character U+0000",
		"a: \u0085\x7f":                    "f:1:5: control character U+007F",
		"a: \ufeff":                        "f:1:4: a byte order mark",
		"#" + strings.Repeat("x", MaxSize): "read f: has more than 1048576 bytes",
	} {
		f, err := Parse("f", []byte(text))
		if err == nil || f != nil || !strings.Contains(err.Error(), want) || strings.HasPrefix(want, "f:") && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

func TestAliasesAreTheirNodes(t *testing.T) {
	t.Parallel()
	f := parse(t, "a: &a {x: 1}\nb: *a\n")
	if x := f.Root.Get("b").Value.Get("x"); x == nil || x.Value.Text != "1" || x.Value.Line != 1 {
		t.Errorf("got %+v", x)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("a: 1\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path)
	if err != nil || f.Mode.Perm()&0o077 == 0 && f.Mode != 0o600 && os.PathSeparator == '/' {
		t.Errorf("%v, %+v", err, f)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a: b\n", "contexts:\n  x:\n    host: a # c\n", "a: [1, {b: 'c'}]\n", "a: &x |\n  t\nb: *x\n", "\ta: b", "? a\n: - b\n", "<<: [{[a]: b}]\n", "a: \"\\x41\"\r\n"} {
		f.Add(s, "name", "some value")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		file, err := Parse("f", []byte(text))
		if err != nil {
			if file != nil || err.Error() == "" {
				t.Errorf("got %v with %q", file, err)
			}
			return
		}
		// An edit is what was meant, or refused; and it can be taken back.
		edited, err := file.Put("contexts", name, []Pair{{Key: "host", Values: []string{value}}})
		if err != nil {
			return
		}
		if got := edited.Root.Get("contexts").Value.Get(name).Value.Get("host").Value.Text; got != value {
			t.Errorf("host is %q, want %q", got, value)
		}
		if out, err := edited.Remove("contexts", name); err == nil && out.Root.Get("contexts") != nil && out.Root.Get("contexts").Value.Get(name) != nil {
			t.Errorf("%q is there after Remove", name)
		}
	})
}
