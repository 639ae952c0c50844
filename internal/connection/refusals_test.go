package connection

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func TestRefusalsAreReportedOnceForEachClientAndKind(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := refusals{talk: cli.NewTalk(&out, "mqsub", false, false, false)}
	for range 3 {
		for _, id := range []string{"a", "b"} {
			r.take(broker.Event{Kind: broker.EventSubscribed, ClientID: id, Topic: "t", Reason: packet.QuotaExceeded})
			r.take(broker.Event{Kind: broker.EventSubscribed, ClientID: id, Topic: "t"})
			r.take(broker.Event{Kind: broker.EventNotPublished, ClientID: id, Topic: "t", Reason: packet.NotAuthorized})
			r.take(broker.Event{Kind: broker.EventRefused, ClientID: id, Remote: "192.0.2.1:" + id, Reason: packet.BadUserNameOrPassword})
			r.take(broker.Event{Kind: broker.EventEvicted, ClientID: id})
			r.take(broker.Event{Kind: broker.EventConnected, ClientID: id})
			r.take(broker.Event{Kind: broker.EventDisconnected, ClientID: id})
		}
	}
	const want = `mqsub: warning: broker: "a" may not subscribe to "t": quota exceeded (0x97)
mqsub: warning: broker: "a" may not publish to "t": not authorized (0x87)
mqsub: warning: broker: "a" refused: bad user name or password (0x86)
mqsub: warning: broker: session of "a" ended to make room for another
mqsub: warning: broker: "b" may not subscribe to "t": quota exceeded (0x97)
mqsub: warning: broker: "b" may not publish to "t": not authorized (0x87)
`
	if out.String() != want {
		t.Errorf("reported\n%swant\n%s", out.String(), want)
	}
}

// A client that asks under many names fills neither the memory nor stderr.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := refusals{talk: cli.NewTalk(&out, "mqsub", false, false, false)}
	for i := range 10_000 {
		r.take(broker.Event{Kind: broker.EventNotPublished, ClientID: fmt.Sprint(i), Topic: strings.Repeat("t", 60_000), Reason: packet.QuotaExceeded})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != maxRefusals+1 || lines[maxRefusals] != "mqsub: warning: broker: further refusals are logged with --debug only" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if len(r.reported) != maxRefusals+1 || out.Len() > 60_000 {
		t.Errorf("%d are recorded, %d bytes reported", len(r.reported), out.Len())
	}
}

// --debug has already logged it.
func TestRefusalsAreNotReportedTwice(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := refusals{talk: cli.NewTalk(&out, "mqsub", false, true, false)}
	r.take(broker.Event{Kind: broker.EventEvicted, ClientID: "a"})
	if out.Len() > 0 {
		t.Errorf("reported %q", out.String())
	}
}
