package yamlfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

const sample = `# my brokers

defaults:   # for all
    quiet: true

contexts:

    # the big one
    prod:
        url: 'mqtts://prod'  # with care

    lab: {host: lab}
    # a trailing thought

# which one
current-context: "prod"   # today
mqsub:
    verbose: yes
`

func hostPair(values ...string) []Pair {
	return []Pair{{Key: "host", Values: values, List: len(values) > 1}}
}

func TestEditsTouchTheirLinesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it       string
		text     string
		edit     func(*File) (*File, error)
		old, new string // what changes; the rest stays
	}{
		{"adds behind the last entry", sample, func(f *File) (*File, error) { return f.Put("contexts", "new", hostPair("a b")) },
			"    lab: {host: lab}\n", "    lab: {host: lab}\n    new:\n        host: \"a b\"\n"},
		{"replaces an entry", sample, func(f *File) (*File, error) { return f.Put("contexts", "prod", hostPair("x", "y")) },
			"    prod:\n        url: 'mqtts://prod'  # with care\n", "    prod:\n        host:\n          - x\n          - \"y\"\n"},
		{"removes an entry with its comment", sample, func(f *File) (*File, error) { return f.Remove("contexts", "prod") },
			"    # the big one\n    prod:\n        url: 'mqtts://prod'  # with care\n", ""},
		{"removes the last entry", sample, func(f *File) (*File, error) { return f.Remove("contexts", "lab") }, "    lab: {host: lab}\n", ""},
		{"removes the section with its only entry", "a: 1\ncontexts:\n  x:\n    b: c\nd: 1\n", func(f *File) (*File, error) { return f.Remove("contexts", "x") },
			"contexts:\n  x:\n    b: c\n", ""},
		{"sets a scalar and keeps the comment behind it", sample, func(f *File) (*File, error) { return f.Set("current-context", "lab") },
			"current-context: \"prod\"   # today\n", "current-context: lab # today\n"},
		{"adds a scalar at the end", "a: 1", func(f *File) (*File, error) { return f.Set("b", "2") }, "a: 1", "a: 1\nb: 2\n"},
		{"takes a scalar out", sample, func(f *File) (*File, error) { return f.Unset("current-context") }, "current-context: \"prod\"   # today\n", ""},
		{"begins a file", "", func(f *File) (*File, error) { return f.Put("contexts", "a", hostPair("b")) }, "", "contexts:\n  a:\n    host: b\n"},
		{"fills an empty section", "contexts: {} # none\nx: 1\n", func(f *File) (*File, error) { return f.Put("contexts", "a", hostPair("b")) },
			"contexts: {} # none\n", "contexts: # none\n  a:\n    host: b\n"},
		{"keeps the ends of lines", "a: 1\r\ncontexts:\r\n  x:\r\n    b: c\r\n", func(f *File) (*File, error) { return f.Put("contexts", "w", hostPair("z")) },
			"    b: c\r\n", "    b: c\r\n  w:\r\n    host: z\r\n"},
		{"leaves a literal block alone", "contexts:\n  x:\n    b: |\n      one\n\n      # two\ne: f\n", func(f *File) (*File, error) { return f.Put("contexts", "w", hostPair("z")) },
			"      # two\n", "      # two\n  w:\n    host: z\n"},
		{"takes nothing out that is not there", sample, func(f *File) (*File, error) { return f.Remove("contexts", "none") }, "", ""},
	} {
		want := strings.Replace(c.text, c.old, c.new, 1)
		if !strings.Contains(c.text, c.old) {
			t.Fatalf("it %s: the file has no %q", c.it, c.old)
		}
		got, err := c.edit(parse(t, c.text))
		if err != nil || string(got.Data()) != want {
			t.Errorf("it %s: %v, got\n%s\nwant\n%s", c.it, err, got.Data(), want)
		}
	}
}

func TestEditsThatTheFormDoesNotAllowAreRefused(t *testing.T) {
	t.Parallel()
	put := func(f *File) (*File, error) { return f.Put("contexts", "new", hostPair("z")) }
	for text, edit := range map[string]func(*File) (*File, error){
		"{contexts: {a: {host: b}}}\n":                  put,
		"contexts: {a: {host: b}}\n":                    put,
		"contexts: {a: {host: b},\n  c: {host: d}}\n":   put,
		"contexts:\n  a: {host: b}\n...\n":              func(f *File) (*File, error) { return f.Set("x", "y") },
		"x: a\n  b\n":                                   func(f *File) (*File, error) { return f.Set("x", "y") },
		"x: |\n  b\n":                                   func(f *File) (*File, error) { return f.Unset("x") },
		"y: &y\n  a: {host: b}\ncontexts: *y\nz: 1\n":   func(f *File) (*File, error) { return f.Remove("contexts", "a") },
		"contexts:\n  a: &a {host: b}\n  c: *a\nz: 1\n": func(f *File) (*File, error) { return f.Remove("contexts", "a") },
	} {
		if f, err := edit(parse(t, text)); !errors.Is(err, ErrForm) {
			t.Errorf("%q: got %v, %v, want ErrForm", text, f, err)
		}
	}
}

func TestQuotedTextsAreReadBack(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "a b", "true", "NULL", "~", "y", "-", "-a", "- a", "a: b", "a:", "#", "a #b", "'", `"`, `\`, "\n", "\t", "\x01", "\x7f", "ü", "\u2028", "\u0085",
		"\ufeff", "😀", "1", "0x1", "1e3", "...", "---", "*a", "&a", "!a", "[", "{", "%", "@", "`", "?", "|", ">", "=", "<<", "a,b", ":1883", "mqtts://u@h:1/t?q"} {
		f := parse(t, "k: "+Quote(s)+"\n")
		if v := f.Root.Get("k").Value; v.Text != s || v.Null || v.Bool {
			t.Errorf("%q is written %s and read %+v", s, Quote(s), v)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesAreReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "dir", "f")
	f, err := Parse(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.Set("a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(false); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "a: 1\n" {
		t.Errorf("got %q", got)
	}
	unix := runtime.GOOS != "windows"
	mode := func(p string) os.FileMode {
		st, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		return st.Mode().Perm()
	}
	if unix && (mode(path) != 0o600 || mode(filepath.Dir(path)) != 0o700) {
		t.Errorf("modes %o and %o, want 600 and 700", mode(path), mode(filepath.Dir(path)))
	}
	// Again, with the value that was written.
	if f, err = f.Set("a", "2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(false); err != nil || unix && mode(path) != 0o644 {
		t.Errorf("%v, mode %o, want that of before", err, mode(path))
	}
	if f, err = f.Set("a", "3"); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(true); err != nil || unix && mode(path) != 0o600 {
		t.Errorf("%v, mode %o, want 600 for a secret", err, mode(path))
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v is left: %v", entries, err)
	}
}

func TestWritesThatAreRefusedLeaveTheFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it    string
		spoil func(path string) error
		want  string
		left  string
	}{
		{"a file that has changed", func(p string) error { return os.WriteFile(p, []byte("b: 2\n"), 0o600) }, "changed since it was read", "b: 2\n"},
		{"a read-only file", func(p string) error { return os.Chmod(p, 0o400) }, "read-only", "a: 1\n"},
		{"a file that has gone", os.Remove, "changed since it was read", ""},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("a: 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = f.Set("a", "9"); err != nil {
			t.Fatal(err)
		}
		if err := c.spoil(path); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.it, err, c.want)
		}
		if c.left != "" && read(t, path) != c.left {
			t.Errorf("%s: the file is %q", c.it, read(t, path))
		}
	}
}

func TestOfTwoWritersNoneIsLost(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has no lock")
	}
	path := filepath.Join(t.TempDir(), "f")
	const writers = 8
	done := make(chan error, writers)
	for i := range writers {
		go func() {
			done <- func() error {
				for {
					f, err := Read(path)
					if err != nil {
						if f, err = Parse(path, nil); err != nil {
							return err
						}
					}
					if f, err = f.Set("k"+strconv.Itoa(i), "v"); err != nil {
						return err
					}
					if err = f.Write(false); !errors.Is(err, ErrChanged) {
						return err
					}
				}
			}()
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(read(t, path), "\n"); n != writers {
		t.Errorf("%d keys, want %d:\n%s", n, writers, read(t, path))
	}
}

func TestSymbolicLinksStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("dotfiles/config", link); err != nil {
		t.Skip(err)
	}
	for _, value := range []string{"1", "2"} { // the first makes what the link leads to
		f, err := Read(link)
		if err != nil {
			if f, err = Parse(link, nil); err != nil {
				t.Fatal(err)
			}
		}
		if f, err = f.Set("a", value); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(false); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(dir, "dotfiles", "config")); got != "a: "+value+"\n" {
			t.Errorf("got %q", got)
		}
	}
	if _, err := os.Readlink(link); err != nil {
		t.Errorf("the link is none any more: %v", err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	f, _ := Parse(loop, []byte("a: 1\n"))
	if err := f.Write(false); err == nil {
		t.Error("a link that leads to itself is written")
	}
}
