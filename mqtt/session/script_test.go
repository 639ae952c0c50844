package session

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client is an engine in the client's role, driven by hand-written bytes.
type client struct {
	t *testing.T
	Conn
	s    Session
	ev   Event
	over []uint64
}

func (c *client) open(v packet.Version, cfg Config) {
	c.t.Helper()
	if err := c.Open(&c.s, &packet.Connect{Version: v, ClientID: []byte("c")}, cfg, 0); err != nil {
		c.t.Fatal(err)
	}
	c.Swap(nil, 0)
}

// in feeds bytes and checks what the engine writes in answer.
func (c *client) in(s, want string) {
	c.t.Helper()
	for b := unhex(c.t, s); len(b) > 0; {
		n, err := c.Next(b, 0, &c.ev)
		if err != nil || n == 0 {
			c.t.Fatalf("%s: %v", s, err)
		}
		b = b[n:]
		if c.ev.Kind == Connack {
			c.Resume(c.ev.Connack.SessionPresent, func(tag uint64, _ packet.ReasonCode) { c.over = append(c.over, tag) })
		}
	}
	c.out(want)
}

func (c *client) out(want string) {
	c.t.Helper()
	if got := c.Swap(nil, 0); !bytes.Equal(got, unhex(c.t, want)) {
		c.t.Fatalf("writes %x, want %s", got, want)
	}
}

func (c *client) refuses(s string, reason packet.ReasonCode, goodbye string) {
	c.t.Helper()
	_, err := c.Next(unhex(c.t, s), 0, &c.ev)
	var e *packet.Error
	if err == nil || !asError(err, &e) || e.Reason != reason {
		c.t.Fatalf("%s: %v, want %v", s, err, reason)
	}
	c.Fail(err)
	c.out(goodbye)
}

func asError(err error, e **packet.Error) bool {
	pe, ok := err.(*packet.Error)
	*e = pe
	return ok
}

func (c *client) publish(qos packet.QoS, payload string, tag uint64) {
	c.t.Helper()
	if err := c.Publish(&packet.Publish{QoS: qos, Topic: []byte("t"), Payload: []byte(payload)}, tag); err != nil {
		c.t.Fatal(err)
	}
}

func TestResendingInTheOriginalOrder(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.publish(1, "1", 1)
	c.publish(2, "2", 2)
	c.publish(2, "3", 3)
	c.out("32 06 0001 74 0001 31  34 06 0001 74 0002 32  34 06 0001 74 0003 33")
	c.in("50 02 0002", "62 02 0002")
	c.Lost(nil)
	c.open(packet.V311, Config{})
	c.in("20 02 01 00", "3a 06 0001 74 0001 31  62 02 0002  3c 06 0001 74 0003 33")
	c.in("40 02 0001  70 02 0002  50 02 0003", "62 02 0003")
	c.in("70 02 0003", "")
	if c.s.Open() != 0 || c.s.Held() != 0 {
		t.Errorf("%d messages open, %d bytes held", c.s.Open(), c.s.Held())
	}
}

func TestAServerThatLostTheSessionGetsEverythingAgain(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.publish(1, "1", 1)
	c.publish(2, "2", 2)
	c.out("32 06 0001 74 0001 31  34 06 0001 74 0002 32")
	c.in("50 02 0002", "62 02 0002")
	c.Lost(nil)
	c.open(packet.V311, Config{})
	// New identifiers, no DUP, and the message whose PUBREC had come as well:
	// the server may have kept it for PUBREL.
	c.in("20 02 00 00", "32 06 0001 74 0003 31  34 06 0001 74 0004 32")
	if len(c.over) != 0 {
		t.Errorf("given up: %d", c.over)
	}
}

func TestReceiveMaximumOfTheServer(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 06 00 00 03 21 0001", "")
	c.publish(1, "1", 1)
	c.publish(2, "2", 2)
	c.out("32 07 0001 74 0001 00 31")
	c.in("40 02 0001", "34 07 0001 74 0002 00 32")
	if c.ev.Kind != Done || c.ev.Tag != 1 {
		t.Errorf("event %d of %d", c.ev.Kind, c.ev.Tag)
	}
	c.publish(0, "0", 0) // not counted
	c.out("30 05 0001 74 00 30")
	// A PUBREC that refuses ends the message and frees its slot.
	c.publish(1, "3", 3)
	c.in("50 03 0002 97", "32 07 0001 74 0003 00 33")
	if c.ev.Kind != Done || c.ev.Tag != 2 || c.ev.Reason != packet.QuotaExceeded {
		t.Errorf("event %d of %d: %v", c.ev.Kind, c.ev.Tag, c.ev.Reason)
	}
}

func TestOurReceiveMaximum(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 00 00 00", "")
	c.in("32 06 0001 74 0001 00", "")
	c.Ack(1, 1, packet.Success)
	c.out("40 02 0001")
	c.in("34 06 0001 74 0002 00", "")
	c.Ack(2, 2, packet.Success)
	c.out("50 02 0002")
	// The slot is in use until PUBCOMP.
	c.refuses("32 06 0001 74 0003 00", packet.ReceiveMaximumExceeded, "e0 01 93")
}

func TestTopicAliasesBothWays(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{TopicAliasMaximum: 1, SendAliases: 5})
	c.in("20 06 00 00 03 22 0001", "")
	c.publish(0, "1", 0)
	c.publish(0, "2", 0)
	c.out("30 08 0001 74 03 23 0001 31  30 07 0000 03 23 0001 32")
	c.in("30 07 0001 61 03 23 0001", "")
	c.in("30 06 0000 03 23 0001", "")
	if string(c.ev.Publish.Topic) != "a" || len(c.ev.Publish.Properties) != 0 {
		t.Errorf("alias gives topic %q, properties %x", c.ev.Publish.Topic, []byte(c.ev.Publish.Properties))
	}
	c.refuses("30 06 0000 03 23 0002", packet.TopicAliasInvalid, "e0 01 94")
	// Aliases end with the connection.
	c.open(packet.V5, Config{TopicAliasMaximum: 1, SendAliases: 5})
	c.in("20 06 00 00 03 22 0001", "")
	c.publish(0, "3", 0)
	c.out("30 08 0001 74 03 23 0001 33")
	c.refuses("30 06 0000 03 23 0001", packet.ProtocolError, "e0 01 82")
}

func TestAMessageAboveTheServersNewLimitIsGivenUp(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.publish(1, strings.Repeat("x", 50), 1)
	c.publish(1, "2", 2)
	c.Swap(nil, 0)
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.in("20 08 01 00 05 27 00000014", "3a 07 0001 74 0002 00 32")
	if len(c.over) != 1 || c.over[0] != 1 {
		t.Errorf("given up: %d", c.over)
	}
	if err := c.Publish(&packet.Publish{Topic: []byte("t"), Payload: make([]byte, 50)}, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large message: %v", err)
	}
}

func TestWhatAServerMayNotSend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		reason   packet.ReasonCode
		bye5     string
	}{
		{"a second CONNACK", "20 03 00 00 00", packet.ProtocolError, "e0 01 82"},
		{"CONNECT", "10 0e 0004 4d515454 05 02 0000 00 0001 61", packet.ProtocolError, "e0 01 82"},
		{"SUBSCRIBE", "82 07 0001 00 0001 61 00", packet.ProtocolError, "e0 01 82"},
		{"PINGREQ", "c0 00", packet.ProtocolError, "e0 01 82"},
		{"PUBREL before PUBREC", "34 06 0001 74 0001 00 62 02 0001", packet.ProtocolError, "e0 01 82"},
		{"PUBCOMP where PUBREC is due", "70 02 0001", packet.ProtocolError, "e0 01 82"},
		{"PUBACK where PUBREC is due", "40 02 0001", packet.ProtocolError, "e0 01 82"},
		{"two codes for one filter", "90 05 0002 00 00 00", packet.ProtocolError, "e0 01 82"},
		{"UNSUBACK for SUBSCRIBE", "b0 04 0002 00 00", packet.ProtocolError, "e0 01 82"},
		{"DISCONNECT with a session expiry interval", "e0 07 00 05 11 00000000", packet.ProtocolError, "e0 01 82"},
		{"more than we take", "30 80 80 01", packet.PacketTooLarge, "e0 01 95"},
	} {
		cl := &client{t: t}
		cl.open(packet.V5, Config{MaxPacket: 1000})
		cl.in("20 03 00 00 00", "")
		cl.publish(2, "", 1)
		if err := cl.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}, 2); err != nil {
			t.Fatal(err)
		}
		cl.Swap(nil, 0)
		in := unhex(t, c.in)
		var err error
		for err == nil && len(in) > 0 {
			n := 0
			if n, err = cl.Next(in, 0, &cl.ev); n == 0 && err == nil {
				break
			}
			in = in[n:]
		}
		var e *packet.Error
		if err == nil || !asError(err, &e) || e.Reason != c.reason {
			t.Errorf("%s: %v, want %v", c.name, err, c.reason)
			continue
		}
		cl.Fail(err)
		if got := cl.Swap(nil, 0); !bytes.Equal(got, unhex(t, c.bye5)) {
			t.Errorf("%s: goodbye %x, want %s", c.name, got, c.bye5)
		}
	}
}

func TestTheFirstPacketIsCONNACK(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"30 03 0001 74", "d0 00", "10", "48 54 54 50", "15 03 01 00 02"} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		if _, err := c.Next(unhex(t, in), 0, &c.ev); err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
}

// Section 3.3.2.3.4: a sender may assign an alias to another topic. An
// unacknowledged message keeps the topic that it came with.
func TestATopicAliasMayBeSetAgain(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{TopicAliasMaximum: 3})
	c.in("20 03 00 00 00", "")
	c.in("30 07 0001 61 03 23 0002", "")
	c.in("30 06 0000 03 23 0002", "")
	held := c.ev.Publish.Topic
	c.in("30 07 0001 62 03 23 0002", "")
	c.in("30 06 0000 03 23 0002", "")
	if got := string(c.ev.Publish.Topic); got != "b" || string(held) != "a" {
		t.Errorf("the alias gives %q, and the message in hand is of %q", got, held)
	}
	c.in("30 07 0001 63 03 23 0003", "") // the highest
	c.in("30 06 0000 03 23 0003", "")
	if got := string(c.ev.Publish.Topic); got != "c" {
		t.Errorf("the highest alias gives %q", got)
	}
	c.refuses("30 06 0000 03 23 0001", packet.ProtocolError, "e0 01 82")
}

// An alias has three bytes as a property. A server, which uses aliases unasked,
// uses them for longer topics.
func TestAServerHasAliasesWhereTheySaveBytes(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]string{
		"abc":  "30 06 0003 616263 00  30 06 0003 616263 00",
		"abcd": "30 0a 0004 61626364 03 23 0001  30 06 0000 03 23 0001",
	} {
		v := serve(t, Config{SendAliases: 5}, "10 11 0004 4d515454 05 02 0000 03 22 000a 0001 63")
		v.Swap(nil, 0)
		for range 2 {
			if err := v.Publish(&packet.Publish{Topic: []byte(topic)}, 0); err != nil {
				t.Fatal(err)
			}
		}
		v.out(want)
	}
}

// The peer knows an alias only after it was sent; a message in which it did not
// fit has not sent it. There are as many as the peer allows.
func TestAnAliasIsAssignedWhenItIsSent(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{SendAliases: 5})
	c.in("20 0b 00 00 08 22 0001 27 0000000a", "") // one alias, ten bytes
	c.publish(0, "1234", 0)
	c.out("30 08 0001 74 00 31323334")
	c.publish(0, "", 0)
	c.out("30 07 0001 74 03 23 0001")
	c.publish(0, "", 0)
	c.out("30 06 0000 03 23 0001")
	if err := c.Publish(&packet.Publish{Topic: []byte("u")}, 0); err != nil {
		t.Fatal(err)
	}
	c.out("30 04 0001 75 00")
}
