package brokerfile

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTheManualHasTheLimits(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../man/mqtools.5")
	if err != nil {
		t.Fatal(err)
	}
	_, item, _ := strings.Cut(string(b), ".It Cm limits\n")
	item, _, ok := strings.Cut(item, ".El\n")
	if !ok {
		t.Fatal("the page has no item of limits")
	}
	var got, want []string
	for line := range strings.Lines(item) {
		if words, ok := strings.CutPrefix(line, ".Cm "); ok {
			for _, w := range strings.Fields(words) {
				if strings.Trim(w, ",;.") != "" {
					got = append(got, w)
				}
			}
		}
	}
	for i := range limits {
		want = append(want, limits[i].key)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the page has the limits\n%q, the file\n%q", got, want)
	}
}
