package mqsub

import (
	"testing"

	. "github.com/mqtools/mqtools/internal/bytebroker"
)

const (
	connect   = "10 0e 0004 4d515454 05 02 0000 00 0001 61"
	connack   = "20 03 00 00 00"
	subscribe = "82 07 0001 00 0001 71 02"
	suback    = "90 04 0001 00 02"
	bye       = "e0 00"
	// requests on q with response topic r
	request0 = "30 0d 0001 71 04 08 0001 72 7878787878"
	request1 = "32 0b 0001 71 0007 04 08 0001 72 78"
	request2 = "34 0b 0001 71 0007 04 08 0001 72 78"
)

// A reply that is not accepted does not count.
func TestRepliesThatTheBrokerRefusesAreReportedAndCounted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it               string
		connack, request string
		steps            []Step
		code             int
		stderr           string
	}{
		{"a PUBACK that refuses", connack, request1, []Step{
			{"32 07 0001 72 0002 00 78", "40 04 0002 87 00"}, {"40 02 0007", ""}, {bye, ""},
		}, 5, "mqsub: reply on \"r\": publish refused: not authorized (0x87)\nmqsub: 1 of 1 published message refused by the broker\n"},
		{"a PUBREC that refuses", connack, request2, []Step{
			{"34 07 0001 72 0002 00 78", ""}, {"50 02 0007", "62 02 0007"}, {"70 02 0007", "50 04 0002 97 00"}, {bye, ""}, // as below
		}, 5, "mqsub: reply on \"r\": publish refused: quota exceeded (0x97)\nmqsub: 1 of 1 published message refused by the broker\n"},
		{"a PUBACK without subscribers", connack, request1, []Step{
			{"32 07 0001 72 0002 00 78", "40 04 0002 10 00"}, {"40 02 0007", ""}, {bye, ""},
		}, 0, ""},
		{"a broker that takes no such reply at all", "20 08 00 00 05 27 00000009", request0, []Step{{bye, ""}},
			5, "mqsub: warning: no reply to a request on \"q\": publish: not sent: a packet of 11 bytes is too large: at most 9 are accepted\n" +
				"mqsub: 1 of 1 published message refused by the broker\n"},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			b := Start(t, append([]Step{{connect, row.connack}, {subscribe, suback + row.request}}, row.steps...))
			r := b.Run(t.Context(), Tool(), "", "-i", "a", "-V", "5", "-q", "2", "-t", "q", "--echo", "-C", "1")
			if r.Code != row.code || r.Stderr != row.stderr {
				t.Errorf("status %d, stderr %q; want %d and %q", r.Code, r.Stderr, row.code, row.stderr)
			}
		})
	}
}

// In a session that an earlier run started, a reply at QoS 2 could be taken for one of that
// run.
func TestRepliesInAnOldSessionAreNotTakenForOldOnes(t *testing.T) {
	t.Parallel()
	b := Start(t, []Step{
		{"10 16 0004 4d515454 05 00 0000 08 11 ffffffff 21 03e8 0001 61", "20 03 01 00 00"},
		{subscribe, suback + request2},
		{"32 07 0001 72 0002 00 78", ""},
		{"50 02 0007", "62 02 0007"}, {"70 02 0007", "40 02 0002"}, {bye, ""}, // the answer to the reply comes last: the end waits for it
	})
	r := b.Run(t.Context(), Tool(), "", "-i", "a", "-V", "5", "-c", "-q", "2", "-t", "q", "--echo", "-C", "1")
	if want := "mqsub: warning: the session is from an earlier run: replies at QoS 2 go out at QoS 1\n"; r.Code != 0 || r.Stderr != want {
		t.Errorf("status %d, stderr %q; want 0 and %q", r.Code, r.Stderr, want)
	}
}
