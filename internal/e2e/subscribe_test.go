package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
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
		{"-t", "a", "--random-filter", "x"}, {"-t", "a", "--watch"}, {"-t", "a", "--message-rate", "--retained-only"}, {"-U", "a/#/b"}} {
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
	if r.code != 0 || !strings.Contains(r.err, "the session had no subscription to") {
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

// Whatever is made of the messages, the other options mean the same.
func TestEveryViewOfMessagesFollowsTheOptions(t *testing.T) {
	t.Parallel()
	for _, view := range []string{"-v", "--message-rate", "--watch"} {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, broker.Options{})
			mqsub := func(args ...string) *running {
				args = append(append(args, h.addr...), view)
				return startIn(t, cli.Env{Args: args, StdoutIsTerminal: view == "--watch"}, "mqsub")
			}
			for _, topic := range []string{"r/1", "r/2", "keep/1"} {
				h.pub(t, "", "-t", topic, "-m", "x", "-r")
			}
			if got := mqsub("-t", "#", "-T", "keep/#", "--remove-retained", "-C", "2").wait(); got.code != 0 || got.err != "" {
				t.Errorf("--remove-retained: code %d, %q", got.code, got.err)
			}
			if left := ok(t, "", "mqsub", append(slices.Clone(h.addr), "-t", "#", "--retained-only", "-F", "%t")...); left != "keep/1\n" {
				t.Errorf("--remove-retained: %q is left", left)
			}
			// What is filtered out does not count, and the quiet is noticed.
			if got := mqsub("-t", "#", "-T", "keep/#", "-C", "1", "--idle-timeout", "0.2").wait(); got.code != 27 || !strings.Contains(got.err, "no message for 200ms") {
				t.Errorf("--idle-timeout: code %d, %q", got.code, got.err)
			}
			for len(h.subscribed) > 0 {
				<-h.subscribed
			}
			s := mqsub("-t", "ask", "--echo", "-C", "1")
			<-h.subscribed
			if got := run(t, "", "mqpub", append(slices.Clone(h.addr), "-t", "ask", "-m", "hello", "--request", "-W", "20")...); got.out != "hello\n" {
				t.Errorf("--echo: code %d, %q", got.code, got.err)
			}
			if got := s.wait(); got.code != 0 || got.err != "" {
				t.Errorf("--echo: code %d, %q", got.code, got.err)
			}
		})
	}
}

// A message that is not written stays on the broker.
func TestRandomFilterRemovesOnlyWhatIsWritten(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	for i := range 40 {
		h.pub(t, "", "-t", fmt.Sprint("r/", i), "-m", "x", "-r")
	}
	all := append(slices.Clone(h.addr), "-t", "#", "--retained-only", "-F", "%t")
	written := strings.Fields(run(t, "", "mqsub", append(slices.Clone(all), "--remove-retained", "--random-filter", "50")...).out)
	left := strings.Fields(run(t, "", "mqsub", all...).out)
	if both := append(slices.Clone(written), left...); len(both) != 40 || len(slices.Compact(slices.Sorted(slices.Values(both)))) != 40 {
		t.Errorf("written %q, left %q: not each of 40 in one of them", written, left)
	}
}

func TestRandomFilterAndMessageRate(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	all := h.sub(t, "-t", "t", "--random-filter", "100", "-C", "1000")
	some := h.sub(t, "-t", "t", "-v", "--random-filter", "10", "--idle-timeout", "5")
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
