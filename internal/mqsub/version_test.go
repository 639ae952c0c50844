package mqsub

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/option"
)

// Before MQTT 5 messages have no response topic, so a subscriber with --echo would never
// reply.
func TestRepliesNeedMQTT5(t *testing.T) {
	t.Parallel()
	for word, connect := range map[string]string{
		"--echo":              "10 0d 0004 4d515454 05 02 0000 00 0000",
		"--reply-command=cat": "10 10 0004 4d515454 05 02 0000 03 21 0002 0000", // twice as many as run at once
	} {
		name, _, _ := strings.Cut(word, "=")
		for _, version := range []string{"311", "31"} {
			r := bytebroker.Start(t).Run(t.Context(), Tool(), "", "-t", "a", "-V", version, word)
			if r.Code != option.ExitUsage || !strings.Contains(r.Stderr, name+" needs MQTT 5, not 3.1") {
				t.Errorf("%s with -V %s: status %d, %q", word, version, r.Code, r.Stderr)
			}
		}
		for answer, code := range map[string]int{"20 03 00 84 00": option.ExitRefused, "20 02 00 01": option.ExitRefused, "close": option.ExitUnreached} {
			r := bytebroker.Start(t, []bytebroker.Step{{connect, answer}}).
				Run(t.Context(), Tool(), "", "-t", "a", word)
			if r.Code != code || !strings.Contains(r.Stderr, name+" needs MQTT 5\n") {
				t.Errorf("%s, and the broker answers %s: status %d, %q; want %d", word, answer, r.Code, r.Stderr, code)
			}
		}
	}
}

// A topic alias is not a property any more when a message is received, but mosquitto's JSON
// contains it.
func TestAReceivedTopicAliasIsInMosquittosJSON(t *testing.T) {
	t.Parallel()
	r := bytebroker.Start(t, []bytebroker.Step{
		{"10 10 0004 4d515454 05 02 0000 03 22 0005 0000", "20 06 00 00 03 12 0000"},
		{"82 07 0001 00 0001 61 00", "90 04 0001 00 00  30 08 0001 61 03 23 0002 78  30 07 0000 03 23 0002 79  30 05 0001 62 00 7a"},
		{"e0 ...", ""},
	}).Run(t.Context(), Tool(), "", "-t", "a", "--topic-alias-maximum", "5", "-C", "3", "-F", "%j")
	lines := strings.Split(r.Stdout, "\n")
	if r.Code != 0 || len(lines) != 4 || !strings.Contains(lines[0], `"topic":"a"`) || !strings.Contains(lines[0], `"properties":{"topic-alias":2},"payload":"x"`) ||
		!strings.Contains(lines[1], `"topic":"a"`) || !strings.Contains(lines[1], `{"topic-alias":2},"payload":"y"`) || strings.Contains(lines[2], "alias") {
		t.Errorf("status %d, %q, %q", r.Code, r.Stdout, r.Stderr)
	}
}
