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

func TestTheManualHasEveryKey(t *testing.T) {
	t.Parallel()
	page := manual(t)
	known := map[string]string{} // its lines of the manual, by key
	for _, s := range schemas() {
		for _, x := range s {
			known[x.Key] = yamlfile.Schema{x}.Manual()
		}
	}
	if len(known) < 80 {
		t.Fatalf("only %d keys: %v", len(known), slices.Sorted(maps.Keys(known)))
	}
	for key, lines := range known {
		if !regexp.MustCompile(`(?m)^(\.It|\.Cm)[^\n]*[ ,]` + regexp.QuoteMeta(key) + `\b`).MatchString(page) {
			t.Errorf("the page has no %s, such as\n%s", key, lines)
		}
	}
}

// schemas returns all schemas of a scenario.
func schemas() []yamlfile.Schema {
	r, p, g := new(reader), &Plan{}, &Group{}
	s := &Publish{Payload: newPayload()}
	all := []yamlfile.Schema{r.scenario(p), r.origin(p), r.phases(p), r.connect(&p.Phases), r.group(g), r.defaults(g),
		r.churnKeys(&SubscriptionChurn{}, &stream{}), r.publish(s, &stream{}), r.properties(s), r.subscribe(&Subscribe{}), r.payloadKeys(s.Payload),
		r.action(&Action{}, &actionDraft{}), r.pace(&paceSpec{}, new(int)), r.sizes(&sizes{})}
	for _, s := range all {
		for _, x := range s {
			if x.Inner != nil {
				all = append(all, x.Inner())
			}
		}
	}
	return all
}
