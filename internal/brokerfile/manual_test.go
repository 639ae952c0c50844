package brokerfile

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
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
	defaults(t, item)
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

// defaults wants the number in brackets behind each limit to be what a broker has
// without it, to the byte.
func defaults(t *testing.T, item string) {
	t.Helper()
	var o broker.Options
	o.Fill()
	o.MaxSessionExpiry = DefaultSessionExpiry
	for i := range limits {
		l := &limits[i]
		_, rest, _ := strings.Cut(item, ".Cm "+l.key+"\n(")
		text, _, _ := strings.Cut(rest, ")")
		text, _, _ = strings.Cut(text, " ")
		n, err := strconv.Atoi(strings.NewReplacer(",", "", "no", "0").Replace(strings.TrimSuffix(text, ",")))
		if err != nil {
			t.Errorf("%s has no default on the page: %q", l.key, text)
			continue
		}
		said := o
		l.set(&said, n)
		if !reflect.DeepEqual(said, o) {
			t.Errorf("the page has %s as %q, and that is not the default", l.key, text)
		}
	}
}
