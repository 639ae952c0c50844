package e2e

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// What the broker has announced that it does not do is denied, as it is when
// the broker says so afterwards; the connection is not lost.
func TestWhatTheBrokerDoesNotDoIsDenied(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{MaxPacketSize: 1000, MaximumQoS: 1, LimitQoS: true, DisableRetain: true, DisableSharedGroups: true})
	for _, c := range []struct {
		words, says string
	}{
		{"mqpub -t t -m x -q 2", "QoS is above the server's maximum"},
		{"mqpub -t t -l -q 2", "QoS is above the server's maximum"},
		{"mqpub -t t -m x -r", "server does not support retained messages"},
		{"mqpub -t t -m " + strings.Repeat("x", 2000), "bytes is too large: at most "},
		{"mqsub -t $share/g/t", "does not support this kind of subscription"},
		{"mqsub -t t -t $share/g/t", "does not support this kind of subscription"},
	} {
		words := strings.Fields(c.words)
		r := run(t, "a\nb\n", words[0], append(words[1:], h.addr...)...)
		if r.code != 5 || !strings.Contains(r.err, c.says) {
			t.Errorf("%.30s: code %d, stderr %q; want 5 and %q", c.words, r.code, r.err, c.says)
		}
	}
}
