package format

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

func fileName(t testing.TB, template string) *FileName {
	t.Helper()
	f, err := CompileFileName(template)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func nameOf(f *FileName, topic string) string {
	return string(f.Append(nil, &mqtt.Message{Topic: topic}, time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// The table of mqsub(1): what becomes of topics.
func TestNamesOfTopics(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, row := range []struct{ template, topic, want string }{
		{"%t.log", "a", "a.log"},
		{"%t.log", "a/b", "a/b.log"},
		{"%t.log", "../../etc/x", "%2E./%2E./etc/x.log"},
		{"%t.log", ".", "%2E.log"},
		{"%t.log", "/a", "%/a.log"},
		{"%t.log", "a//b/", "a/%/b/%.log"},
		{"%t.log", "%", "%25.log"},
		{"%t.log", "a b/\u00e9\\:~", "a%20b/%C3%A9%5C%3A%7E.log"},
		{"%t.log", "a.log", "a.log.log"},
		{"%t.log", "a.log/b", "a%2Elog/b.log"},
		{"%t.log", "a.LOG/b", "a%2ELOG/b.log"},
		{"%t.log", "a.log.1/b", "a%2Elog.1/b.log"},
		{"%t.log", "a.log.1.2/b", "a.log.1.2/b.log"},
		{"%t.log", ".log/log/b", "%2Elog/log/b.log"},
		{"%t.log", long, long[:183] + "~" + digest(long) + ".log"},
		{"%t.log", "a/" + strings.Repeat("b/", 1000), "a/" + strings.Repeat("b/", 499) + "~" + digest("a/"+strings.Repeat("b/", 1000)) + ".log"},
		{"%{level 2}/%{level 1}/%{level 3}.log", "a/b", "b/a/%.log"},
		{"%{level 1}%{level 1}.log", strings.Repeat("y", 150), strings.Repeat("y", 219) + "~" + digest(strings.Repeat("y", 300)+".log") + ".log"},
		{"x/y/@Y-@m-@d_@H.log", "a", "2026-02-03_04.log"},
		{"x/y@@/z%%-@F/%t-%n.a.jpg", "a", "z%-2026-02-03/a-1.a.jpg"},
	} {
		f := fileName(t, row.template)
		got := nameOf(f, row.topic)
		if got != row.want {
			t.Errorf("%s of %.40q: %q, want %q", row.template, row.topic, got, row.want)
		}
	}
	if f := fileName(t, "x/y@@/z%t.log"); f.Dir() != "x/y@/" {
		t.Error(f.Dir())
	}
	if name, ok := fileName(t, "x%%/y@@z").Literal(); !ok || name != "x%/y@z" {
		t.Error(name, ok)
	}
}

func TestFileNamesThatAreRefused(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"a%":              `want %t, %n, %{level N} or %% at "%"`,
		"%q.log":          `at "%q"`,
		"%{level 0}.log":  `at "%{"`,
		"%{level 1":       `at "%{"`,
		"%{level x}.log":  `at "%{"`,
		"a@":              "incomplete time specifier @ at the end; an at sign is written @@",
		"a@!":             `unknown time specifier "@!"; an at sign is written @@`,
		"a@T":             "@T has characters that are not for file names",
		"@D":              "@D has characters that are not for file names",
		"%t":              "needs an extension, e.g. .log",
		"%t.1":            "needs an extension",
		"%t./x":           "needs an extension",
		"%t.log/@Y":       "needs an extension",
		"x.@Y%t":          "needs an extension",
		"%t/../x.log":     ".. cannot follow a field",
		"%t/./x.log":      ". cannot follow a field",
		"@Y/":             "is empty",
		"@Y//%t.log":      "is empty",
		"%{level 1}/.log": "",

		"%t." + strings.Repeat("x", 31): "",
		"%t." + strings.Repeat("x", 32): "the extension has more than 32 bytes",
	} {
		_, err := CompileFileName(template)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %s", template, err, want)
		}
	}
}

// isFile reports whether a name may be that of a file, or of one that was rotated.
func isFile(f *FileName, name string) bool {
	if i := strings.LastIndexByte(name, '.'); i >= 0 && i+1 < len(name) && strings.Trim(name[i+1:], "0123456789") == "" && strings.HasSuffix(name[:i], f.ext) {
		return true
	}
	return strings.HasSuffix(name, f.ext)
}

// TestTopicsHaveFilesOfTheirOwn goes through all topics of some pieces, those that names are
// made of among them: no two have the same file, or one that was rotated, and no file is a
// directory.
func TestTopicsHaveFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	pieces := []string{"/", "a", ".", ".log", ".1", "%", "%2E", "log", "~", "\x00"}
	var topics []string
	for from, n := 0, 0; n < 5; n++ {
		to := len(topics)
		if n == 0 {
			topics = append(topics, pieces...)
			continue
		}
		for _, before := range topics[from:to] {
			for _, p := range pieces {
				topics = append(topics, before+p)
			}
		}
		from = to
	}
	slices.Sort(topics)
	topics = slices.Compact(topics) // .log is one piece or two
	for _, template := range []string{"%t.log", "x%t.log", "%t-2E.log", "%t/x.log", "%t%%.a.log"} {
		f := fileName(t, template)
		files, dirs := make(map[string]string, len(topics)), map[string]bool{}
		for _, topic := range topics {
			name := nameOf(f, topic)
			if other, taken := files[name]; taken {
				t.Fatalf("%s: %q and %q are %q", template, topic, other, name)
			}
			files[name] = topic
			for at := strings.LastIndexByte(name, '/'); at >= 0 && !dirs[name[:at]]; at = strings.LastIndexByte(name[:at], '/') {
				dirs[name[:at]] = true
			}
		}
		for name, topic := range files {
			if dirs[name] || dirs[name+".1"] || files[name+".1"] != "" {
				t.Errorf("%s: %q of topic %q is taken", template, name, topic)
			}
		}
	}
}

// FuzzFileName: different topics have different files inside the directory, none of which is
// a directory of another.
func FuzzFileName(f *testing.F) {
	f.Add("a", "a/b", "%t.log")
	f.Add("a.log/b", "a%2Elog/b", "%t.log")
	f.Add(strings.Repeat("x", 300), strings.Repeat("x", 301), "x%t-@Y.log")
	f.Add(strings.Repeat("x/", 800), strings.Repeat("x/", 801), "%t.log")
	f.Add("..", "../", "%t/x.log")
	f.Add("", "/", "a/%t/%{level 2}.log")
	f.Add("a~0011223344556677", "%", "%t.a.gz")
	f.Add("", "0", "%%t%{level 2}.l")
	f.Fuzz(func(t *testing.T, one, two, template string) {
		n, err := CompileFileName(template)
		if err != nil || len(n.parts) == 0 {
			return
		}
		a, b := nameOf(n, one), nameOf(n, two)
		for _, name := range []string{a, b} {
			if !filepath.IsLocal(name) || n.ext != "" && !strings.HasSuffix(name, n.ext) {
				t.Errorf("%q: %q", template, name)
			}
			parts := strings.Split(name, "/")
			for i, part := range parts {
				if part == "" || part == "." || part == ".." || len(part) > maxNamePart+2 {
					t.Errorf("%q: %q", template, name)
				}
				if i < len(parts)-1 && n.ext != "" && isFile(n, part) {
					t.Errorf("%q: the directory %q may be a file", template, part)
				}
			}
		}
		fields := strings.ReplaceAll(template, "%%", "")
		if strings.Count(fields, "%t") == 1 && strings.Count(fields, "%") == 1 && one != two && a == b {
			t.Errorf("%q: %q and %q are %q", template, one, two, a)
		}
	})
}
