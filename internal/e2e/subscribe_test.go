package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
)

func TestOptionsOfSubscriptions(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.pub(t, "", "-t", "r/1", "-m", "kept", "-r")
	// Retain as published: the flag of a live message is its publisher's.
	plain := h.sub(t, "-t", "live", "-F", "%r", "-C", "1", "-N")
	asPublished := h.sub(t, "--sub", "live;rap;qos=1", "-F", "%r %q", "-C", "1", "-N")
	h.pub(t, "", "-t", "live", "-m", "x", "-r", "-q", "1")
	if got := plain.wait().out + "," + asPublished.wait().out; got != "0,1 1" {
		t.Errorf("retain flags %q, want 0 and 1", got)
	}
	// Retain handling: none, for the filter that says so.
	s := h.subs(t, 2, "--sub", "r/#;rh=2", "-t", "end", "-v", "-C", "1")
	h.pub(t, "", "-t", "end", "-m", "x")
	if got := s.wait().out; got != "end x\n" {
		t.Errorf("retain handling 2: %q", got)
	}
	s = h.subs(t, 2, "-t", "r/#", "--retain-handling", "never", "-t", "end", "-v", "-C", "1")
	h.pub(t, "", "-t", "end", "-m", "x")
	if got := s.wait().out; got != "end x\n" {
		t.Errorf("--retain-handling never: %q", got)
	}
	// Subscription identifiers of two filters that match.
	s = h.subs(t, 2, "--sub", "two/#;id=7", "--sub", "two/+;id=300", "--json", "-C", "1")
	h.pub(t, "", "-t", "two/x", "-m", "x")
	if got := s.wait().out; !strings.Contains(got, `"subscription-identifiers":[7,300]`) && !strings.Contains(got, `"subscription-identifiers":[300,7]`) {
		t.Errorf("two identifiers: %s", got)
	}
	for _, args := range [][]string{{"--sub", "a;nope"}, {"--sub", "$share/g/a;nl"}, {"-t", "a", "--no-local", "-V", "311"}, {"-t", "a", "--random-filter", "0"},
		{"-t", "a", "--random-filter", "x"}, {"-t", "a", "--watch"}, {"-U", "a/#/b"}} {
		if r := run(t, "", "mqsub", append(slices.Clone(h.addr), args...)...); r.code != 2 || strings.Count(r.err, "\n") != 2 {
			t.Errorf("%q: code %d, %q", args, r.code, r.err)
		}
	}
}

func TestUnsubscribingFromAKeptSession(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	session := append(slices.Clone(h.addr), "-c", "-i", "s", "-q", "1")
	ok(t, "", "mqsub", append(session, "-t", "a", "-t", "b", "-E")...)
	ok(t, "", "mqsub", append(session, "-U", "b")...) // and ends
	for _, topic := range []string{"b", "a"} {
		h.pub(t, "", "-t", topic, "-m", "to "+topic, "-q", "1")
	}
	if got := ok(t, "", "mqsub", append(session, "-t", "a", "-C", "1")...); got != "to a\n" {
		t.Errorf("got %q", got)
	}
	r := run(t, "", "mqsub", append(session, "-U", "never")...)
	if r.code != 0 || !strings.Contains(r.err, "there was no subscription to") {
		t.Errorf("code %d, %q", r.code, r.err)
	}
}

func TestRemovingRetainedMessagesEnds(t *testing.T) {
	t.Parallel()
	for _, end := range [][]string{{"--retained-only"}, {"-C", "3"}} {
		h := newHub(t, broker.Options{})
		for _, topic := range []string{"r/1", "r/2", "r/3", "keep/1"} {
			h.pub(t, "", "-t", topic, "-m", topic, "-r")
		}
		got := strings.Fields(ok(t, "", "mqsub", append(append(slices.Clone(h.addr), "-t", "#", "-T", "keep/#", "--remove-retained"), end...)...))
		slices.Sort(got)
		if !slices.Equal(got, []string{"r/1", "r/2", "r/3"}) {
			t.Errorf("%q: wrote %q", end, got)
		}
		if left := ok(t, "", "mqsub", append(slices.Clone(h.addr), "-t", "#", "--retained-only")...); left != "keep/1\n" {
			t.Errorf("%q: %q is left", end, left)
		}
	}
}

func TestRandomFilterAndMessageRate(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	all := h.sub(t, "-t", "t", "--random-filter", "100", "-C", "1000")
	some := h.sub(t, "-t", "t", "-v", "--random-filter", "10", "--idle-timeout", "1")
	h.pub(t, strings.Repeat("x\n", 1000), "-t", "t", "-l", "-q", "1")
	if got := all.wait(); strings.Count(got.out, "x\n") != 1000 {
		t.Errorf("100 percent: %d messages", strings.Count(got.out, "x\n"))
	}
	if n := strings.Count(some.wait().out, "t x\n"); n < 30 || n > 250 { // ten deviations
		t.Errorf("10 percent of 1000: %d messages", n)
	}
	rate := h.sub(t, "-t", "t", "--message-rate", "-C", "500")
	h.pub(t, strings.Repeat("x\n", 500), "-t", "t", "-l", "-q", "1")
	if got := rate.wait(); got.code != 0 || !regexp.MustCompile(`^([0-9]+ msgs/s\n)*$`).MatchString(got.out) {
		t.Errorf("--message-rate: code %d, %q", got.code, got.out)
	}
}
