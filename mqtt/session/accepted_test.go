package session

import (
	"errors"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// accepted gives a client its CONNACK without resuming the session.
func (c *client) accepted(connack string) {
	c.t.Helper()
	if _, err := c.Next(unhex(c.t, connack), 0, &c.ev); err != nil || c.ev.Kind != Connack {
		c.t.Fatalf("%s: event %d, %v", connack, c.ev.Kind, err)
	}
	c.out("")
}

// TestWhatIsCalledBeforeResumeOnlyQueues checks calls between CONNACK and
// Resume, where a driver allows its callers in: the session must be sent once.
func TestWhatIsCalledBeforeResumeOnlyQueues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		version packet.Version
		first   string // CONNACK
		again   string
		kept    bool
		want    string
		redo    string // the unacknowledged message comes again
		answer  string
	}{
		{"3.1.1, the server kept the session", packet.V311, "20 02 00 00", "20 02 01 00", true,
			"3c 06 0001 74 0001 31  32 06 0001 74 0002 32  34 06 0001 74 0003 33", "3c 05 0001 74 0009", "50 02 0009"},
		{"3.1.1, the server lost the session", packet.V311, "20 02 00 00", "20 02 00 00", false,
			"34 06 0001 74 0004 31  32 06 0001 74 0005 32  34 06 0001 74 0006 33", "", ""},
		{"3.1, which does not say", packet.V31, "20 02 00 00", "20 02 00 00", true,
			"3c 06 0001 74 0001 31  32 06 0001 74 0002 32  34 06 0001 74 0003 33", "3c 05 0001 74 0009", "50 02 0009"},
		{"5.0, the server kept the session", packet.V5, "20 03 00 00 00", "20 03 01 00 00", true,
			"3c 07 0001 74 0001 00 31  32 07 0001 74 0002 00 32  34 07 0001 74 0003 00 33", "3c 06 0001 74 0009 00", "50 02 0009"},
		{"5.0, a Receive Maximum of 2", packet.V5, "20 03 00 00 00", "20 06 01 00 03 21 0002", true,
			"3c 07 0001 74 0001 00 31  32 07 0001 74 0002 00 32", "3c 06 0001 74 0009 00", "50 02 0009"},
		{"5.0, the server lost the session and has a Receive Maximum of 1", packet.V5, "20 03 00 00 00", "20 06 00 00 03 21 0001", false,
			"34 07 0001 74 0004 00 31", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := &client{t: t}
			none := ""
			if row.version == packet.V5 {
				none = "00"
			}
			c.open(row.version, Config{})
			c.in(row.first, "")
			c.publish(2, "1", 1)
			c.Swap(nil, 0)
			c.in("34 "+map[string]string{"": "05", "00": "06"}[none]+" 0001 74 0009 "+none, "")
			c.Lost(nil)
			c.open(row.version, Config{})
			c.accepted(row.again)

			sub := &packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}
			for name, err := range map[string]error{
				"Publish at QoS 0": c.Publish(&packet.Publish{Topic: []byte("t")}, 9),
				"Subscribe":        c.Subscribe(sub, 9),
				"Unsubscribe":      c.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{[]byte("t")}}, 9),
				"Ping":             c.Ping(0),
				"Suback":           c.Suback(&packet.Suback{}),
			} {
				if !errors.Is(err, ErrNotUp) {
					t.Errorf("%s: %v, want %v", name, err, ErrNotUp)
				}
			}
			c.publish(1, "2", 2)
			c.publish(2, "3", 3)
			c.Ack(2, 9, packet.Success)
			c.Heard(5 * sec)
			tick(t, &c.Conn, 1e6*sec, true, never, nil, "")
			if c.Up() || c.Detach() != nil {
				t.Error("the connection is up, or its session is lent out")
			}
			if n, err := c.Next([]byte{0xd0, 0}, 0, &c.ev); n != 0 || !errors.Is(err, ErrNotUp) {
				t.Errorf("Next: %d, %v", n, err)
			}
			c.out("")
			if kept := c.Resume(c.ev.Connack.SessionPresent, func(tag uint64, _ packet.ReasonCode) { t.Errorf("message %d is over", tag) }); kept != row.kept {
				t.Errorf("the session goes on: %v", kept)
			}
			c.out(row.want)
			if !c.Up() || c.s.Open() != 3 {
				t.Errorf("up: %v, %d messages open", c.Up(), c.s.Open())
			}
			if row.redo != "" {
				c.in(row.redo, row.answer) // and is not delivered again
				if c.ev.Kind != None {
					t.Errorf("the message acknowledged in between is event %d", c.ev.Kind)
				}
			}
			// A second Resume sends nothing again.
			c.Resume(row.kept, nil)
			c.out("")
		})
	}
}

func TestAGoodbyeMayComeBeforeResume(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		call func(c *client)
		want string
	}{
		{"Disconnect", func(c *client) { c.Disconnect(&packet.Disconnect{}) }, "e0 00"},
		{"Fail", func(c *client) { c.Fail(illegal(packet.CONNACK, "", "")) }, "e0 01 82"},
		{"Lost", func(c *client) { c.Lost(nil) }, ""},
	} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		c.in("20 03 00 00 00", "")
		c.publish(1, "1", 1)
		c.out("32 07 0001 74 0001 00 31")
		c.Lost(nil)
		c.open(packet.V5, Config{})
		c.accepted("20 03 01 00 00")
		row.call(c)
		c.out(row.want)
		c.Resume(true, func(uint64, packet.ReasonCode) { t.Errorf("%s: a message is over", row.name) })
		c.out("") // nothing follows a DISCONNECT
		if c.Up() || c.s.Open() != 1 {
			t.Errorf("%s: up %v, %d messages open", row.name, c.Up(), c.s.Open())
		}
		c.open(packet.V5, Config{})
		c.in("20 03 01 00 00", "3a 07 0001 74 0001 00 31")
	}
}

// Calls made while Resume reports finished messages are queued after the
// session, which is sent once.
func TestWhatIsCalledWithinResumeOnlyQueues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, connack, want string
		call                func(c *client)
		up                  bool
		open                int
	}{
		{"Publish, the session is kept", "20 08 01 00 05 27 00000010", "3a 07 0001 74 0002 00 32  32 07 0001 74 0003 00 33",
			func(c *client) { c.publish(1, "3", 3) }, true, 2},
		{"Publish, the session is lost", "20 08 00 00 05 27 00000010", "32 07 0001 74 0004 00 32  32 07 0001 74 0005 00 33",
			func(c *client) { c.publish(1, "3", 3) }, true, 2},
		{"Publish at QoS 0", "20 08 01 00 05 27 00000010", "3a 07 0001 74 0002 00 32",
			func(c *client) {
				if err := c.Publish(&packet.Publish{Topic: []byte("t")}, 3); !errors.Is(err, ErrNotUp) {
					c.t.Errorf("%v, want %v", err, ErrNotUp)
				}
			}, true, 1},
		{"Disconnect", "20 08 01 00 05 27 00000010", "e0 00", func(c *client) { c.Disconnect(&packet.Disconnect{}) }, false, 1},
		{"Lost", "20 08 01 00 05 27 00000010", "", func(c *client) { c.Lost(nil) }, false, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := &client{t: t}
			c.open(packet.V5, Config{})
			c.in("20 03 00 00 00", "")
			c.publish(1, "too large for the limit to come", 1)
			c.publish(1, "2", 2)
			c.Swap(nil, 0)
			c.Lost(nil)
			c.open(packet.V5, Config{})
			c.accepted(row.connack)
			over := 0
			c.Resume(c.ev.Connack.SessionPresent, func(tag uint64, reason packet.ReasonCode) {
				if over++; tag != 1 || reason != packet.PacketTooLarge || over > 1 {
					t.Errorf("message %d is over: %v", tag, reason)
				}
				row.call(c)
			})
			c.out(row.want)
			if over != 1 || c.Up() != row.up || c.s.Open() != row.open {
				t.Errorf("%d messages over, up %v, %d open", over, c.Up(), c.s.Open())
			}
		})
	}
}

// Neither the peer's limits nor the state of its session are known yet.
func TestAClientMayLeaveBeforeCONNACK(t *testing.T) {
	t.Parallel()
	for v, want := range map[packet.Version]string{packet.V31: "e0 00", packet.V311: "e0 00", packet.V5: "e0 01 04"} {
		c := &client{t: t}
		c.open(v, Config{})
		c.Disconnect(&packet.Disconnect{Reason: packet.DisconnectWithWill})
		c.out(want)
		if n, err := c.Next(unhex(t, "20 02 00 00"), 0, &c.ev); n != 0 || !errors.Is(err, ErrNotUp) {
			t.Errorf("%v: a CONNACK after it: %d, %v", v, n, err)
		}
	}
}

// TestASessionOnceLostStaysLost covers a server that lost the session: it has
// begun another one, to which its next CONNACK refers.
func TestASessionOnceLostStaysLost(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.publish(2, "1", 1)
	c.publish(2, "2", 2)
	c.in("50 02 0001  34 06 0001 74 0007 00", "34 07 0001 74 0001 00 31  34 07 0001 74 0002 00 32  62 02 0001")
	c.Ack(2, 7, packet.Success)
	c.out("50 02 0007")
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.accepted("20 03 00 00 00")
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.accepted("20 03 01 00 00")
	if c.Resume(true, nil) {
		t.Error("the session goes on")
	}
	c.out("34 07 0001 74 0003 00 31  34 07 0001 74 0004 00 32")
	// Packet identifier 7 of the new session is not a redelivery.
	c.in("3c 06 0001 74 0007 00", "")
	if c.ev.Kind != Publish {
		t.Errorf("a message of the new session is event %d", c.ev.Kind)
	}
	// That holds once.
	c.Lost(nil)
	c.open(packet.V5, Config{})
	c.in("20 03 01 00 00", "3c 07 0001 74 0003 00 31  3c 07 0001 74 0004 00 32")
}

// TestAnEmptySessionIsNotLentOutBeforeResume checks that Detach keeps a session
// that Resume needs.
func TestAnEmptySessionIsNotLentOutBeforeResume(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.accepted("20 03 00 00 00")
	if c.Detach() != nil {
		t.Error("it is lent out")
	}
	c.Resume(false, nil)
	if c.Detach() != &c.s || c.s.forgotten {
		t.Error("it is not lent out, or remembers another connection")
	}
}
