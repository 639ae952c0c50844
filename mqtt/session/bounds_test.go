package session

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestAMessageOfExactlyTheMaximumIsSentAgain: one byte less, and it is given up.
func TestAMessageOfExactlyTheMaximumIsSentAgain(t *testing.T) {
	t.Parallel()
	for size, want := range map[string]string{"08": "3a 06 0001 74 0001 00", "07": ""} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		c.in("20 03 00 00 00", "")
		c.publish(1, "", 1)
		c.out("32 06 0001 74 0001 00")
		c.Lost(nil)
		c.open(packet.V5, Config{})
		c.in("20 08 01 00 05 27 000000"+size, want)
		if (len(c.over) == 0) != (want != "") {
			t.Errorf("%s: %d messages are over", size, len(c.over))
		}
	}
}

// TestACleanSessionOf31IsNotKept, whatever its CONNACK cannot say.
func TestACleanSessionOf31IsNotKept(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		clean bool
		want  string
	}{{true, "34 05 0001 74 0002"}, {false, "3c 05 0001 74 0001"}} {
		c := &client{t: t}
		open := func() {
			if err := c.Open(&c.s, &packet.Connect{Version: packet.V31, CleanStart: row.clean, ClientID: []byte("c")}, Config{}, 0); err != nil {
				t.Fatal(err)
			}
			c.Swap(nil, 0)
			c.accepted("20 02 00 00")
		}
		open()
		c.Resume(false, nil)
		c.publish(2, "", 1)
		c.Swap(nil, 0)
		c.Lost(nil)
		open()
		if kept := c.Resume(false, nil); kept == row.clean {
			t.Errorf("clean %v: the session goes on: %v", row.clean, kept)
		}
		c.out(row.want)
	}
}

// TestEveryAcknowledgementGivesAPlaceOfOurReceiveMaximumBack when it ends the
// message: the peer counts it so, too.
func TestEveryAcknowledgementGivesAPlaceOfOurReceiveMaximumBack(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, first string
		end         func(c *client)
		wire        string
	}{
		{"PUBACK", "32 06 0001 74 0001 00", func(c *client) { c.Ack(1, 1, packet.Success) }, "40 02 0001"},
		{"a refusing PUBACK", "32 06 0001 74 0001 00", func(c *client) { c.Ack(1, 1, packet.QuotaExceeded) }, "40 03 0001 97"},
		{"a refusing PUBREC", "34 06 0001 74 0001 00", func(c *client) { c.Ack(2, 1, packet.QuotaExceeded) }, "50 03 0001 97"},
		{"PUBCOMP", "34 06 0001 74 0001 00", func(c *client) { c.Ack(2, 1, packet.Success); c.feed("62 02 0001") }, "50 02 0001 70 02 0001"},
	} {
		c := &client{t: t}
		c.open(packet.V5, Config{ReceiveMaximum: 1})
		c.in("20 03 00 00 00", "")
		c.in(row.first, "")
		row.end(c)
		c.out(row.wire)
		c.in("34 06 0001 74 0002 00", "")
		if c.ev.Kind != Publish {
			t.Errorf("%s: the next message is event %d", row.name, c.ev.Kind)
		}
		c.refuses("32 06 0001 74 0003 00", packet.ReceiveMaximumExceeded, "e0 01 93")
	}
}
