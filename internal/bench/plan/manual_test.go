package plan

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/yamlfile"
)

func manual(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../man/mqbench-scenario.5")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestTheExamplesOfTheManualAreScenarios(t *testing.T) {
	t.Parallel()
	blocks := strings.Split(manual(t), ".Bd -literal -offset indent\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		text, _, ok := strings.Cut(b, ".Ed\n")
		if !ok {
			t.Fatal("an example without end")
		}
		p, err := Parse("mqbench-scenario.5", []byte(text), Options{})
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if len(p.Notes) > 0 || len(p.FanOut().Reasons()) > 0 {
			t.Errorf("%v, %v\n%s", p.Notes, p.FanOut().Reasons(), text)
		}
	}
}

// The keys that the reader knows are those of its error for one it does not.
func TestTheManualHasEveryKey(t *testing.T) {
	t.Parallel()
	page := manual(t)
	known := map[string]bool{}
	find := func(n *yamlfile.Node, read func(r *reader, n *yamlfile.Node)) {
		r := &reader{file: &yamlfile.File{Path: "x"}, draft: newDraft()}
		read(r, n)
		if r.err == nil {
			t.Fatal("an unknown key is accepted")
		}
		e, _ := r.err.(*yamlfile.Error)
		list, ok := strings.CutPrefix(e.Help, "the keys here are ")
		if !ok {
			t.Fatalf("got %v", r.err)
		}
		for _, key := range strings.Split(strings.Replace(list, " and ", ", ", 1), ", ") {
			known[key] = true
		}
	}
	wrong := &yamlfile.Node{Kind: yamlfile.Mapping, Entries: []yamlfile.Entry{{Key: &yamlfile.Node{Text: "zzzzzzzzzzzzzzzzzzz"}, Value: &yamlfile.Node{}}}}
	under := func(keys ...string) *yamlfile.Node {
		n := wrong
		for _, key := range slices.Backward(keys) {
			n = &yamlfile.Node{Kind: yamlfile.Mapping, Entries: []yamlfile.Entry{{Key: &yamlfile.Node{Text: key}, Value: n}}}
		}
		return n
	}
	find(wrong, func(r *reader, n *yamlfile.Node) { r.file.Root = n; r.scenario() })
	for _, path := range []string{"", "connect"} {
		find(under(strings.Fields(path)...), func(r *reader, n *yamlfile.Node) { r.phases(n) })
	}
	find(wrong, func(r *reader, n *yamlfile.Node) { r.origin(n) })
	for _, path := range []string{"", "respond", "slow", "churn", "reconnect"} {
		find(under(strings.Fields(path)...), func(r *reader, n *yamlfile.Node) { r.group(n, &Group{}) })
	}
	for _, path := range []string{"", "properties"} {
		find(under(strings.Fields(path)...), func(r *reader, n *yamlfile.Node) { r.streamKeys(n, &Publish{Payload: newPayload()}, &stream{}) })
	}
	find(wrong, func(r *reader, n *yamlfile.Node) { r.pace(n, &paceSpec{}) })
	find(wrong, func(r *reader, n *yamlfile.Node) { r.payload(n, newPayload()) })
	find(wrong, func(r *reader, n *yamlfile.Node) { r.sizes(n, &sizes{}) })
	if len(known) < 80 {
		t.Fatalf("only %d keys: %v", len(known), slices.Sorted(maps.Keys(known)))
	}
	for key := range known {
		if !regexp.MustCompile(`(?m)^(\.It|\.Cm)[^\n]*[ ,]` + regexp.QuoteMeta(key) + `\b`).MatchString(page) {
			t.Errorf("the page has no %s", key)
		}
	}
}
