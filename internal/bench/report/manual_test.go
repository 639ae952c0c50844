package report

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// section returns a section of mqbench(1).
func section(t *testing.T, title string) string {
	t.Helper()
	page, err := os.ReadFile("../../../man/mqbench.1")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), ".Ss "+title+"\n")
	if !ok {
		t.Fatalf("mqbench(1) has no section %q", title)
	}
	text, _, _ := strings.Cut(rest, "\n.S")
	return text
}

// names returns the words that a section marks as literals with .Cm.
func names(text string) (all []string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		for i := 0; i < len(words); i++ {
			if words[i] == "Cm" || words[i] == ".Cm" {
				for i++; i < len(words) && words[i] != "Ns" && words[i] != "Oc"; i++ {
					if w := words[i]; len(w) > 1 {
						all = append(all, w)
					}
				}
			}
		}
	}
	return all
}

// members returns the names of a JSON object's members, and of those inside them.
func members(t reflect.Type) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			all = append(append(all, name), members(t.Field(i).Type)...)
		}
	}
	return all
}

// TestTheManualHasEveryMember compares the entries of the manual with the types.
func TestTheManualHasEveryMember(t *testing.T) {
	inner := make(map[string][]string) // by the member of the document
	for i := range reflect.TypeFor[Document]().NumField() {
		f := reflect.TypeFor[Document]().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner[name] = members(f.Type)
	}
	seen := make(map[string]bool)
	for _, entry := range strings.Split(section(t, "The JSON report"), "\n.It ")[1:] {
		head, text, _ := strings.Cut(entry, "\n")
		var known []string
		for _, name := range names(head) {
			if _, ok := inner[name]; !ok {
				t.Errorf("the report has no member %s", name)
			}
			seen[name] = true
			known = append(known, inner[name]...)
		}
		has := names(text)
		for _, name := range known {
			if !slices.Contains(has, name) {
				t.Errorf("%s: the manual does not have %s", head, name)
			}
		}
		for _, name := range has {
			if !slices.Contains(known, name) {
				t.Errorf("%s: the manual has %s, and the report does not", head, name)
			}
		}
	}
	for name := range inner {
		if !seen[name] {
			t.Errorf("the manual does not have %s", name)
		}
	}
}

// TestTheManualHasEveryMetric: the manual lists every metric that can be compared, and
// no other.
func TestTheManualHasEveryMetric(t *testing.T) {
	listed := names(section(t, "Metrics"))
	want := slices.Concat(flowNames, rateNames, statNames, []string{"loss", "response", "service", "lag", "lag.", "rate.", "rate", "errors", "skipped", "connected", "cpu"})
	for _, op := range result.Ops() {
		want = append(want, op.String())
	}
	for _, name := range want {
		if !slices.Contains(listed, name) {
			t.Errorf("the manual does not have %s", name)
		}
	}
	for _, name := range listed {
		known := slices.Contains(want, name)
		for _, form := range []string{name, name + ".p99", name + "sent", "lost" + name} {
			_, err := parseMetric(form)
			known = known || err == nil
		}
		if !known {
			t.Errorf("the manual has %s, which is not a metric", name)
		}
	}
}
