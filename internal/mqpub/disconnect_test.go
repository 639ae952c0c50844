package mqpub

import (
	"strings"
	"testing"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/option"
)

// A DISCONNECT that answers ours means that what we sent was not accepted; a server that
// shuts down does not blame us.
func TestAnErrorThatAnswersOurDisconnectIsAStatus(t *testing.T) {
	t.Parallel()
	const connect, ok = "10 0e 0004 4d515454 05 02 0000 00 0001 61", "20 03 00 00 00"
	for _, row := range []struct {
		it, answer string
		status     int
		says       string
	}{
		{"protocol error", "e0 01 82", option.ExitLost, "protocol error"},
		{"malformed packet", "e0 01 81", option.ExitLost, "malformed packet"},
		{"the broker stops", "e0 01 8b", 0, ""},
		{"closed", "close", 0, ""},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			r := Start(t, []Step{{connect, ok}, {"32 07 0001 74 0001 00 78", "40 02 0001"}, {bye, row.answer}}).
				Run(t.Context(), Tool(), "", "-V", "5", "-i", "a", "-q", "1", "-t", "t", "-m", "x")
			if r.Code != row.status || !strings.Contains(r.Stderr, row.says) || row.says == "" && r.Stderr != "" {
				t.Errorf("publish: status %d, stderr %q; want %d and %q", r.Code, r.Stderr, row.status, row.says)
			}
		})
	}
}
