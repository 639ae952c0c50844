package session

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// opened returns an engine in one of its phases, as the low bits of kind say:
// version, role and whether it is up.
func opened(kind byte) (*Conn, *Session) {
	v := packet.V31 + packet.Version(kind%3)
	s := new(Session)
	c := new(Conn)
	cfg := Config{MaxPacket: 1000, ReceiveMaximum: 3, TopicAliasMaximum: 2, SendAliases: 2}
	var ev Event
	if kind/3%2 == 0 {
		if err := c.Open(s, &packet.Connect{Version: v, ClientID: []byte("c")}, cfg, 0); err != nil {
			panic(err)
		}
		if kind/6%2 == 0 {
			return c, s
		}
		b, _ := (&packet.Connack{}).AppendTo(nil, v)
		if _, err := c.Next(b, 0, &ev); err != nil {
			panic(err)
		}
		c.Resume(false, func(uint64, packet.ReasonCode) {})
	} else {
		c.Serve(cfg, 0)
		if kind/6%2 == 0 {
			return c, s
		}
		b, _ := (&packet.Connect{Version: v, ClientID: []byte("c")}).AppendTo(nil, v)
		if _, err := c.Next(b, 0, &ev); err != nil {
			panic(err)
		}
		if err := c.Accept(s, &packet.Connack{}, 0, 0); err != nil {
			panic(err)
		}
	}
	// One packet in every state: QoS 1 and 2 sent, and a request.
	_ = c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, 1)
	_ = c.Publish(&packet.Publish{QoS: 2, Topic: []byte("t")}, 2)
	if kind/3%2 == 0 {
		_ = c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}, 3)
	}
	return c, s
}

// FuzzNext feeds arbitrary bytes to an engine in any phase, as a driver does.
// It checks that the engine does not panic, bounds its output, and ends with a
// whole packet.
func FuzzNext(f *testing.F) {
	for kind := range byte(12) {
		for _, b := range []string{
			"\x20\x02\x00\x00", "\x20\x03\x00\x00\x00", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a",
			"\x32\x06\x00\x01t\x00\x01x", "\x34\x06\x00\x01t\x00\x01x\x62\x02\x00\x01", "\x40\x02\x00\x01\x50\x02\x00\x02\x70\x02\x00\x02",
			"\x90\x03\x00\x03\x00", "\xc0\x00\xd0\x00\xe0\x00", "\x82\x06\x00\x01\x00\x01t\x00", "\xf0\x00",
			"\x30\x08\x00\x01t\x03\x23\x00\x01x\x30\x07\x00\x00\x03\x23\x00\x01x",
		} {
			f.Add(kind, []byte(b))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		c, s := opened(kind)
		var ev Event
		before := c.Pending()
		for packets := 1; ; packets++ {
			n, err := c.Next(in, 1, &ev)
			if err != nil {
				c.Fail(err)
				break
			}
			if n == 0 {
				if ev.Need <= len(in) || ev.Need > 1000 {
					t.Fatalf("%x needs %d", in, ev.Need)
				}
				break
			}
			in = in[n:]
			switch ev.Kind {
			case Connect:
				if err := c.Accept(s, &packet.Connack{}, 0, 1); err != nil {
					t.Fatal(err)
				}
			case Connack:
				c.Resume(ev.Connack.SessionPresent, func(uint64, packet.ReasonCode) {})
			case Publish:
				if len(ev.Publish.Topic) == 0 {
					t.Fatal("a message without a topic")
				}
				c.Ack(ev.Publish.QoS, ev.Publish.PacketID, packet.Success)
			}
			if c.Pending()-before > 100*packets+2000 {
				t.Fatalf("%d bytes of output for %d packets", c.Pending(), packets)
			}
			if len(s.inbound) > packets {
				t.Fatalf("%d inbound identifiers of %d packets", len(s.inbound), packets)
			}
		}
		out := c.Swap(nil, 1)
		for len(out) > 0 {
			_, n, err := packet.Split(out, c.Version(), 0)
			if err != nil || n == 0 {
				t.Fatalf("output %x: %v", out, err)
			}
			out = out[n:]
		}
	})
}
