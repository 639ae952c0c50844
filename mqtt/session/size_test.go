package session

import (
	"errors"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestAServerThatTakesNoAcknowledgementIsNotAccepted checks that nothing larger
// than its maximum is sent, and that the connection fails with an error instead
// of stalling.
func TestAServerThatTakesNoAcknowledgementIsNotAccepted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ size, bye string }{
		{"00000001", ""}, {"00000002", ""}, {"00000003", "e0 01 95"},
	} {
		c := &client{t: t}
		c.open(packet.V5, Config{})
		c.refuses("20 08 00 00 05 27 "+row.size, packet.PacketTooLarge, row.bye)
		if c.Up() {
			t.Errorf("%s: the connection is up", row.size)
		}
	}
}

// TestAClientThatTakesNoConnackGetsNone includes the refusing CONNACK.
func TestAClientThatTakesNoConnackGetsNone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		size, refusal string
		want          error
	}{
		{"00000001", "", ErrTooLarge}, {"00000004", "", ErrTooLarge}, {"00000005", "20 03 00 97 00", nil},
	} {
		for _, refuse := range []bool{false, true} {
			v := &server{t: t}
			v.Serve(Config{}, 0)
			v.in("10 13 0004 4d515454 05 02 0000 05 27 "+row.size+" 0001 61", "")
			if refuse {
				v.Refuse(&packet.Connack{Reason: packet.QuotaExceeded, Properties: unhex(t, "1f 0001 78")})
				v.out(row.refusal)
				continue
			}
			if err := v.Accept(&v.s, &packet.Connack{}, 0, 0); !errors.Is(err, row.want) || v.Up() != (err == nil) {
				t.Errorf("%s: accepted: %v, up %v; want %v", row.size, err, v.Up(), row.want)
			}
		}
	}
}

// TestNoPacketIsLargerThanThePeerTakes checks every packet of either role, at
// the smallest maximum and at each above it (MQTT-3.1.2-24, MQTT-3.2.2-15).
func TestNoPacketIsLargerThanThePeerTakes(t *testing.T) {
	t.Parallel()
	words := unhex(t, "1f 0001 78") // a reason string of one character
	user := unhex(t, "26 0001 61 0001 62")
	for size := 4; size <= 40; size++ {
		limit := packet.Properties(nil)
		limit, _ = limit.AppendUint(packet.MaximumPacketSize, uint32(size))
		for name, do := range map[string]func(c *Conn, in func(s string)){
			"PUBACK":           func(c *Conn, in func(string)) { in("32 06 0001 74 0001 00"); c.Ack(1, 1, packet.Success) },
			"a failing PUBACK": func(c *Conn, in func(string)) { in("32 06 0001 74 0001 00"); c.Ack(1, 1, packet.NotAuthorized) },
			"PUBACK in words": func(c *Conn, in func(string)) {
				in("32 06 0001 74 0001 00")
				c.AckWith(1, 1, packet.NotAuthorized, words)
			},
			"a PUBACK of no subscriber": func(c *Conn, in func(string)) {
				in("32 06 0001 74 0001 00")
				c.AckWith(1, 1, packet.NoMatchingSubscribers, words)
			},
			"PUBREC and PUBCOMP": func(c *Conn, in func(string)) {
				in("34 06 0001 74 0001 00")
				c.AckWith(2, 1, packet.Success, nil)
				in("62 02 0001")
			},
			"a failing PUBREC": func(c *Conn, in func(string)) {
				in("34 06 0001 74 0001 00")
				c.AckWith(2, 1, packet.QuotaExceeded, words)
			},
			"a stray PUBREC": func(c *Conn, in func(string)) { in("50 02 0009") },
			"a stray PUBREL": func(c *Conn, in func(string)) { in("62 02 0009") },
			"DISCONNECT":     func(c *Conn, in func(string)) { c.Disconnect(&packet.Disconnect{}) },
			"DISCONNECT in words": func(c *Conn, in func(string)) {
				c.Disconnect(&packet.Disconnect{Reason: packet.UnspecifiedError, Properties: words})
			},
			"Fail":    func(c *Conn, in func(string)) { c.Fail(illegal(packet.PUBLISH, "", "")) },
			"PINGREQ": func(c *Conn, in func(string)) { _ = c.Ping(0) },
			"AUTH": func(c *Conn, in func(string)) {
				_ = c.Auth(&packet.Auth{Reason: packet.ReAuthenticate, Properties: unhex(t, "15 0001 6d")})
			},
			"PUBLISH": func(c *Conn, in func(string)) {
				for qos := range packet.QoS(3) {
					_ = c.Publish(&packet.Publish{QoS: qos, Topic: []byte("t"), Properties: user}, 0)
				}
			},
			"SUBSCRIBE": func(c *Conn, in func(string)) {
				_ = c.Subscribe(&packet.Subscribe{Properties: user, Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}, 0)
			},
			"UNSUBSCRIBE": func(c *Conn, in func(string)) {
				_ = c.Unsubscribe(&packet.Unsubscribe{Properties: user, Filters: [][]byte{[]byte("t")}}, 0)
			},
			"SUBACK": func(c *Conn, in func(string)) {
				_ = c.Suback(&packet.Suback{Type: packet.SUBACK, PacketID: 1, Properties: words, Codes: []byte{0, 0}})
			},
			"PINGRESP": func(c *Conn, in func(string)) {
				if c.server {
					in("c0 00")
				}
			},
		} {
			cl := &client{t: t}
			cl.open(packet.V5, Config{SendAliases: 2})
			v := &server{t: t}
			v.Serve(Config{SendAliases: 2}, 0)
			ack, _ := (&packet.Connack{Properties: limit}).AppendTo(nil, packet.V5)
			if _, err := cl.Next(ack, 0, &cl.ev); err != nil {
				t.Fatal(err)
			}
			cl.Resume(false, nil)
			conns := []*Conn{&cl.Conn}
			if size >= 5 {
				con, _ := (&packet.Connect{Version: packet.V5, ClientID: []byte("c"), Properties: limit}).AppendTo(nil, packet.V5)
				if _, err := v.Next(con, 0, &v.ev); err != nil {
					t.Fatal(err)
				}
				if err := v.Accept(&v.s, &packet.Connack{}, 0, 0); err != nil {
					t.Fatal(err)
				}
				conns = append(conns, &v.Conn)
			}
			for _, c := range conns {
				do(c, func(s string) {
					for b := unhex(t, s); len(b) > 0; {
						n, err := c.Next(b, 0, &cl.ev)
						if err != nil {
							t.Fatalf("%s of %s: %v", name, c.role(), err)
						}
						b = b[n:]
					}
				})
				for b := c.Swap(nil, 0); len(b) > 0; {
					_, n, err := packet.Split(b, packet.V5, 0)
					if err != nil || n == 0 {
						t.Fatalf("%s of %s: %x, %v", name, c.role(), b, err)
					}
					if n > size {
						t.Errorf("%s of %s: %x has more than %d bytes", name, c.role(), b[:n], size)
					}
					b = b[n:]
				}
			}
		}
	}
}

// TestAReasonThatDoesNotFit checks that a reason is omitted if the
// acknowledgement means the same without it. A refusal does not: the message
// stays unacknowledged.
func TestAReasonThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		do       func(c *client)
		at4, at5 string
	}{
		{"PUBREL for an identifier that is unknown", func(c *client) { c.feed("50 02 0009") }, "62 02 0009", "62 03 0009 92"},
		{"PUBCOMP for one", func(c *client) { c.feed("62 02 0009") }, "70 02 0009", "70 03 0009 92"},
		{"PUBACK without a subscriber", func(c *client) { c.feed("32 06 0001 74 0001 00"); c.Ack(1, 1, packet.NoMatchingSubscribers) }, "40 02 0001", "40 03 0001 10"},
		{"a refusing PUBACK", func(c *client) { c.feed("32 06 0001 74 0001 00"); c.Ack(1, 1, packet.QuotaExceeded) }, "", "40 03 0001 97"},
		{"a refusing PUBREC", func(c *client) { c.feed("34 06 0001 74 0001 00"); c.Ack(2, 1, packet.QuotaExceeded) }, "", "50 03 0001 97"},
	} {
		for size, want := range map[string]string{"04": row.at4, "05": row.at5} {
			c := &client{t: t}
			c.open(packet.V5, Config{ReceiveMaximum: 1})
			c.in("20 08 00 00 05 27 000000"+size, "")
			row.do(c)
			c.out(want)
			if want == "" && c.waiting != 1 {
				t.Errorf("%s: %d messages wait for their acknowledgement", row.name, c.waiting)
			}
		}
	}
}

// feed is in without a check of what is written.
func (c *client) feed(s string) {
	c.t.Helper()
	if _, err := c.Next(unhex(c.t, s), 0, &c.ev); err != nil {
		c.t.Fatal(err)
	}
}
