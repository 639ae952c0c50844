package yamlfile

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// settings has a variable of each kind of field.
type settings struct {
	name   string
	on     bool
	count  uint16
	share  float64
	wait   time.Duration
	expiry time.Duration
	size   int
	end    uint8
	inner  inner
	more   *inner
}

type inner struct{ n int }

func (i *inner) schema() Schema { return Schema{Int("n", &i.n, 0, 9, "a digit")} }

func (s *settings) schema() Schema {
	return Schema{
		Text("name", &s.name, "a name").Needed(),
		Bool("on", &s.on, "a switch").Sparse(),
		Int("count", &s.count, 1, 65535, "a number"),
		Float("share", &s.share, 0, 1, "a share").Sparse(),
		Duration("wait", &s.wait, 0, time.Hour, "a wait").Sparse(),
		Seconds("expiry", &s.expiry, 0, time.Hour, "an expiry").Or(func(n *Node) bool {
			if n.Text == "never" {
				s.expiry = -1
			}
			return n.Text == "never"
		}).Sparse(),
		Size("size", &s.size, 1<<20, "a size").Writing(nil),
		Word("end", &s.end, []string{"cut", "close"}, "an end"),
		Part("inner", s.inner.schema, "a part"),
		Optional("more", &s.more, inner{3}, (*inner).schema, "an optional part"),
	}
}

// written is what a schema writes, on one line.
func written(s Schema) string {
	var b strings.Builder
	for key, v := range s.Values() {
		if part, ok := v.(Schema); ok {
			v = "{" + written(part) + "}"
		}
		fmt.Fprintf(&b, "%s: %v, ", key, v)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func TestASchemaReadsAndWrites(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"name: a": "name: a, count: 0, end: cut, inner: {n: 0}",
		"{name: a, on: true, count: 5, share: 0.25, wait: 1.5, expiry: 1m, size: 1k, end: close, inner: {n: 2}, more: {}}": "name: a, on: true, count: 5, share: 0.25, wait: 1.5s, expiry: 1m0s, end: close, inner: {n: 2}, more: {n: 3}",
		"{expiry: never, name: a, on: TRUE}": "name: a, on: true, count: 0, expiry: -1ns, end: cut, inner: {n: 0}",
	} {
		var s settings
		f := parse(t, text)
		if err := s.schema().Read(f, f.Root, ""); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := written(s.schema()); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestASchemaRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"on: true":                      "f:1:1: name is missing",
		"{name: a, inner: {m: 1}}":      `f:1:19: unknown key "m"`,
		"{name: a, inner: 5}":           "f:1:18: inner: want a mapping, not a text",
		"{name: a, share: 1.5}":         `f:1:18: share: invalid value "1.5" (want a number from 0 to 1)`,
		"{name: a, share: NaN}":         `f:1:18: share: invalid value "NaN" (want a number from 0 to 1)`,
		"{name: a, wait: 61m}":          `f:1:17: wait: invalid duration "61m" (want 0s to 3600s)`,
		"{name: a, wait: 99999999999h}": `f:1:17: wait: invalid duration "99999999999h" (want 0s to 3600s)`,
		"{name: a, size: 2MiB}":         `f:1:17: size: invalid size "2MiB" (want 0 to 1048576 bytes)`,
		"{name: a, count: -1}":          `f:1:18: count: invalid value "-1" (want a whole number from 1 to 65535)`,
		"{name: a, end: [cut]}":         "f:1:16: end: want cut or close, not a list",
	} {
		f := parse(t, text)
		if err := new(settings).schema().Read(f, f.Root, ""); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

// A value that is refused leaves its variable as it was.
func TestARefusedValueChangesNothing(t *testing.T) {
	t.Parallel()
	s := settings{count: 7}
	f := parse(t, "{name: a, count: 0}")
	if err := s.schema().Read(f, f.Root, ""); err == nil || s.count != 7 {
		t.Errorf("count is %d, %v", s.count, err)
	}
}

func TestASchemaPrintsItsManual(t *testing.T) {
	t.Parallel()
	s := new(settings).schema()
	want := ".Bl -tag -width Ds\n.It Cm end Ar cut|close\nan end\n.It Cm more\nan optional part\n" +
		".Bl -tag -width Ds\n.It Cm n Ar N\na digit\n.El\n.El\n"
	if got := (Schema{*s.Find("end"), *s.Find("more")}).Manual(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
