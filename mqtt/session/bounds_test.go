package session

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestAMessageOfExactlyTheMaximumIsSentAgain also checks that it is given up if
// the maximum is one byte less.
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

// TestACleanSessionOf31IsNotKept covers 3.1, whose CONNACK has no session
// present flag.
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

// TestEveryAcknowledgementGivesAPlaceOfOurReceiveMaximumBack checks that the
// acknowledgement that ends a message frees its slot, as the peer counts it.
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

// More than what was announced is accepted, and counted, up to a limit.
func TestALimitAboveTheReceiveMaximum(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{ReceiveMaximum: 1, ReceiveLimit: 3})
	c.in("20 03 00 00 00", "")
	for _, wire := range []string{"34 06 0001 74 0001 00", "34 06 0001 74 0002 00", "34 06 0001 74 0003 00"} {
		c.in(wire, "")
	}
	c.Ack(2, 1, packet.Success)
	c.out("50 02 0001")
	c.in("62 02 0001", "70 02 0001")
	c.in("32 06 0001 74 0004 00", "")
	c.refuses("32 06 0001 74 0005 00", packet.ReceiveMaximumExceeded, "e0 01 93")
}

// A PUBREL whose PUBLISH came on an earlier connection used no slot on this
// one, and frees none.
func TestAPUBRELOfAnEarlierConnectionGivesNoPlaceBack(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 00 00 00", "")
	c.in("34 06 0001 74 0001 00", "")
	c.Ack(2, 1, packet.Success)
	c.out("50 02 0001")
	c.Lost(nil)
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 01 00 00", "")
	c.in("62 02 0001", "70 02 0001")
	c.in("32 06 0001 74 0002 00", "")
	c.refuses("32 06 0001 74 0003 00", packet.ReceiveMaximumExceeded, "e0 01 93")
}

// The session holds up to SendBytes, and one message of any size; CanPublish agrees.
func TestSendBytesAreHeldAndNoMore(t *testing.T) {
	t.Parallel()
	const size = 8 // of 32 06 0001 74 0001 00
	for limit := 1; limit <= 4*size; limit++ {
		c := &client{t: t}
		c.open(packet.V5, Config{SendBytes: limit})
		c.in("20 03 00 00 00", "")
		want := max(1, limit/size)
		for n := 1; n <= want+1; n++ {
			room := c.CanPublish(size)
			err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, 0)
			if fits := n <= want; room != fits || (err == nil) != fits || !fits && err != ErrQuota {
				t.Errorf("limit %d, message %d: room %v, %v", limit, n, room, err)
			}
		}
	}
	c := &client{t: t}
	c.open(packet.V5, Config{SendBytes: 10})
	c.in("20 03 00 00 00", "")
	if !c.CanPublish(1000) {
		t.Error("no room for one large message")
	}
	c.publish(1, strings.Repeat("x", 100), 0)
	if c.CanPublish(1) {
		t.Error("room beside it")
	}
}

// A request that cannot be sent leaves nothing behind: the next packet gets its
// identifier, and nothing waits for an answer.
func TestARequestThatIsNotSentGivesItsIdentifierBack(t *testing.T) {
	t.Parallel()
	long := []byte(strings.Repeat("f", 20))
	for name, request := range map[string]func(c *client) error{
		"SUBSCRIBE, too large": func(c *client) error {
			return c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: long}}}, 1)
		},
		"UNSUBSCRIBE, too large":      func(c *client) error { return c.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{long}}, 1) },
		"SUBSCRIBE without filters":   func(c *client) error { return c.Subscribe(&packet.Subscribe{}, 1) },
		"UNSUBSCRIBE without filters": func(c *client) error { return c.Unsubscribe(&packet.Unsubscribe{}, 1) },
		"SUBSCRIBE at QoS 3": func(c *client) error {
			return c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("f"), Options: 3}}}, 1)
		},
	} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		c.in("20 08 00 00 05 27 00000010", "")
		if err := request(c); err == nil {
			t.Errorf("%s: no error", name)
		}
		c.out("")
		c.publish(1, "", 2)
		c.out("32 06 0001 74 0001 00")
		c.Lost(func(tag uint64) { t.Errorf("%s: dropped %d", name, tag) })
	}
}

// A limit in CONNECT's properties takes effect: it is announced once, and
// enforced, whatever the Config says.
func TestTheLimitsOfConnectsOwnPropertiesHold(t *testing.T) {
	t.Parallel()
	const props = "21 0001 22 0001 27 00000014"
	for _, cfg := range []Config{{}, {ReceiveMaximum: 7, TopicAliasMaximum: 7, MaxPacket: 700}} {
		up := func() *client {
			c := &client{t: t}
			p := packet.Connect{Version: packet.V5, ClientID: []byte("c"), Properties: unhex(t, props)}
			if err := c.Open(&c.s, &p, cfg, 0); err != nil {
				t.Fatal(err)
			}
			c.out("10 19 0004 4d515454 05 00 0000 0b " + props + " 0001 63")
			c.in("20 03 00 00 00", "")
			return c
		}
		c := up()
		c.in("32 06 0001 74 0001 00", "")
		c.refuses("32 06 0001 74 0002 00", packet.ReceiveMaximumExceeded, "e0 01 93")
		c = up()
		c.in("30 07 0001 61 03 23 0001", "")
		c.refuses("30 07 0001 61 03 23 0002", packet.TopicAliasInvalid, "e0 01 94")
		c = up()
		c.in("30 12 0001 74 00 30313233343536373839616263 64", "") // twenty bytes
		c.refuses("30 13", packet.PacketTooLarge, "e0 01 95")
	}
}
