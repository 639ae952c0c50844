package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// The options mean the same for --watch, which needs a terminal, as for messages.
func TestWatchFollowsTheOptions(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	watch := func(args ...string) *running {
		return startIn(t, cli.Env{Args: append(append(args, h.addr...), "--watch"), StdoutIsTerminal: true}, "mqsub")
	}
	for _, topic := range []string{"r/1", "r/2", "keep/1"} {
		h.pub(t, "", "-t", topic, "-m", "x", "-r")
	}
	if got := watch("-t", "#", "-T", "keep/#", "--remove-retained", "-C", "2").wait(); got.code != 0 || got.err != "" {
		t.Errorf("--remove-retained: code %d, %q", got.code, got.err)
	}
	if left := ok(t, "", "mqsub", append(slices.Clone(h.addr), "-t", "#", "--retained-only", "-F", "%t")...); left != "keep/1\n" {
		t.Errorf("--remove-retained: %q is left", left)
	}
	// What is filtered out does not count, and the quiet is noticed.
	if got := watch("-t", "#", "-T", "keep/#", "-C", "1", "--idle-timeout", "0.2").wait(); got.code != 27 || !strings.Contains(got.err, "no message for 200ms") {
		t.Errorf("--idle-timeout: code %d, %q", got.code, got.err)
	}
	for len(h.subscribed) > 0 {
		<-h.subscribed
	}
	s := watch("-t", "ask", "--echo", "-C", "1")
	<-h.subscribed
	if got := run(t, "", "mqpub", append(slices.Clone(h.addr), "-t", "ask", "-m", "hello", "--request", "-W", "20")...); got.out != "hello\n" {
		t.Errorf("--echo: code %d, %q", got.code, got.err)
	}
	if got := s.wait(); got.code != 0 || got.err != "" {
		t.Errorf("--echo: code %d, %q", got.code, got.err)
	}
}
