package swarm

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// clock is a clock that tests can advance.
type clock struct {
	start time.Time
	ahead atomic.Int64
}

func newClock(o *Options) *clock {
	c := &clock{start: time.Now()}
	o.now = func() time.Duration { return time.Since(c.start) + time.Duration(c.ahead.Load()) }
	return c
}

func (c *clock) forward(l *Loop, d time.Duration) {
	c.ahead.Add(int64(d))
	l.driver.wake()
}

func publish(qos packet.QoS, topic, payload string) *packet.Publish {
	return &packet.Publish{QoS: qos, Topic: []byte(topic), Payload: []byte(payload)}
}

func TestARefusalIsReportedWithItsReason(t *testing.T) {
	for _, w := range []struct {
		name    string
		v       packet.Version
		connack string
		kind    string
		reason  packet.ReasonCode
		text    string
	}{
		{"3.1.1 not authorized", packet.V311, "20 02 00 05", "connack 0x87", packet.NotAuthorized, ""},
		{"3.1.1 server unavailable", packet.V311, "20 02 00 03", "connack 0x88", packet.ServerUnavailable, ""},
		{"5.0 with a reason string", packet.V5, "20 08 00 97 05 1f 0002 6e6f", "connack 0x97", packet.QuotaExceeded, "no"},
		{"5.0 answered in 3.1.1", packet.V5, "20 02 00 01", "connack 0x84", packet.UnsupportedProtocolVersion, ""},
	} {
		t.Run(w.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, o Options) {
				p, h := newPeer(t), newProbe()
				h.failed = func(_ *Client, err error) {
					var r *Refusal
					if !errors.As(err, &r) || !errors.Is(err, w.reason) || r.Text != w.text || ErrorCategory(err) != w.kind {
						t.Errorf("%v, kind %q", err, ErrorCategory(err))
					}
					h.note("failed")
				}
				c := connectOne(start(t, o, h, p.target()), specOf(w.v))
				p.accept()
				p.send(w.connack)
				h.want(t, "failed")
				do(c, func() {
					if !c.Idle() || c.loop.half != 0 || c.loop.stats.Connecting != 0 {
						t.Errorf("state %v, %d half open", c.state, c.loop.half)
					}
				})
			})
		})
	}
}

func TestTheEndOfAConnectionHasItsCause(t *testing.T) {
	for _, w := range []struct {
		name string
		v    packet.Version
		end  func(p *peer)
		kind string
	}{
		{"the server closes", packet.V311, func(p *peer) { p.conn.Close() }, "eof"},
		{"the server resets", packet.V311, func(p *peer) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() }, "reset"},
		{"DISCONNECT, session taken over", packet.V5, func(p *peer) { p.send("e0 01 8e"); p.expectEnd() }, "disconnect 0x8E"},
		{"a second CONNACK", packet.V5, func(p *peer) { p.send("20 03 00 00 00"); p.expect("e0 01 82"); p.expectEnd() }, "protocol"},
		{"a reserved type", packet.V311, func(p *peer) { p.send("00 00"); p.expectEnd() }, "protocol"},
		{"DISCONNECT before 5.0", packet.V311, func(p *peer) { p.send("e0 00"); p.expectEnd() }, "protocol"},
		{"AUTH without a method", packet.V5, func(p *peer) { p.send("f0 00"); p.expect("e0 01 82"); p.expectEnd() }, "protocol"},
		{"half a packet, then the end", packet.V311, func(p *peer) { p.send("30 05 00"); p.conn.Close() }, "eof"},
	} {
		t.Run(w.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, o Options) {
				p, h, c := dialogue(t, o, specOf(w.v))
				w.end(p)
				h.want(t, "0 closed: "+w.kind)
				do(c, func() {
					if !c.Idle() || c.partial != nil || c.holds || c.conn.Session() != nil || c.loop.stats.Connected != 0 {
						t.Errorf("it keeps %+v", c)
					}
				})
			})
		})
	}
}

func TestAnAttemptThatFailsSaysWhy(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		p.ln.Close()
		h.failed = func(_ *Client, err error) {
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != transport.Refused || !strings.Contains(e.Error(), p.ln.Addr().String()) {
				t.Errorf("%v", err)
			}
			h.note("%s", ErrorCategory(err))
		}
		connectOne(start(t, o, h, p.target()), specOf(packet.V311))
		h.want(t, "refused")

		h2, p2 := newProbe(), newPeer(t)
		c := connectOne(start(t, o, h2, p2.target()), specOf(packet.V311))
		p2.accept()
		p2.expect(connect4)
		p2.conn.Close()
		h2.want(t, "0 failed: eof")
		do(c, func() {
			if err := c.Connect(&Spec{Target: 1}); err != ErrTarget {
				t.Errorf("a target that is not there: %v", err)
			}
			if err := c.Connect(specOf(packet.V311)); err != nil {
				t.Error(err)
			}
			if err := c.Connect(&Spec{Target: 1}); err != ErrBusy {
				t.Errorf("a second Connect: %v", err)
			}
			c.Reset()
		})
		h2.want(t, "0 failed: given up")
	})
}

func TestSilenceAtConnectTimesOut(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		ck := newClock(&o)
		p, h := newPeer(t), newProbe()
		h.failed = func(_ *Client, err error) { h.note("%v", err) }
		c := connectOne(start(t, o, h, p.target()), specOf(packet.V311))
		p.accept()
		p.expect(connect4)
		do(c, func() {}) // the deadline remains
		ck.forward(c.loop, 29*time.Second)
		do(c, func() {})
		h.none(t)
		ck.forward(c.loop, time.Second)
		h.want(t, "cannot connect to "+p.ln.Addr().String()+": no CONNACK within 30s")
		p.expectEnd()
	})
}

func TestMessagesGoOutAtEachQoS(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() {
			for qos := range packet.QoS(3) {
				if err := c.Publish(publish(qos, "a", "x"), 70+uint64(qos)); err != nil {
					t.Error(err)
				}
			}
			if c.Open() != 2 {
				t.Errorf("%d messages are open", c.Open())
			}
		})
		p.expect("30 04 0001 61 78   32 06 0001 61 0001 78   34 06 0001 61 0002 78")
		p.send("40 02 0001   50 02 0002")
		h.want(t, "0 acked 71 q1 0x00")
		p.expect("62 02 0002")
		p.send("70 02 0002")
		h.want(t, "0 acked 72 q2 0x00")
		do(c, func() {
			if c.Open() != 0 || c.conn.Session() != nil || c.holds {
				t.Error("a client that has nothing open keeps a session or a buffer")
			}
		})
	})
}

func TestAServersReasonReachesAcked(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V5))
		do(c, func() {
			_ = c.Publish(publish(1, "a", ""), 1)
			_ = c.Publish(publish(2, "a", ""), 2)
			_ = c.Publish(publish(1, "a", ""), 3)
		})
		p.expect("32 06 0001 61 0001 00  34 06 0001 61 0002 00  32 06 0001 61 0003 00")
		p.send("40 03 0001 10   50 03 0002 87   40 03 0003 97")
		h.want(t, "0 acked 1 q1 0x10", "0 acked 2 q2 0x87", "0 acked 3 q1 0x97")
	})
}

func TestMessagesComeInAtEachQoS(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, _ := dialogue(t, o, specOf(packet.V311))
		p.send("30 04 0001 61 78   32 06 0001 61 0001 79   34 06 0001 61 0002 7a   3c 06 0001 61 0002 7a")
		h.want(t, "0 message q0 a x", "0 message q1 a y", "0 message q2 a z")
		p.expect("40 02 0001   50 02 0002   50 02 0002")
		p.send("62 02 0002")
		p.expect("70 02 0002")
		h.none(t) // the repetition at QoS 2 is not reported
	})
}

func TestAHeldMessageIsAcknowledgedLater(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() {
			h.message = func(c *Client, m *packet.Publish) {
				c.Hold()
				h.note("held %d", m.PacketID)
			}
		})
		p.send("32 05 0001 61 0001   34 05 0001 61 0002")
		h.want(t, "held 1", "held 2")
		do(c, func() { _ = c.Ping() })
		p.expect("c0 00") // and no acknowledgement before it
		do(c, func() { c.Ack(1, 1, packet.Success); c.Ack(2, 2, packet.Success) })
		p.expect("40 02 0001   50 02 0002")
	})
}

func TestSubscribeAndUnsubscribe(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V5))
		do(c, func() {
			sub := packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("a"), Options: 1}, {Filter: []byte("b"), Options: 2}}}
			if err := c.Subscribe(&sub, 5); err != nil {
				t.Error(err)
			}
			if err := c.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{[]byte("a")}}, 6); err != nil {
				t.Error(err)
			}
		})
		p.expect("82 0b 0001 00 0001 61 01 0001 62 02   a2 06 0002 00 0001 61")
		p.send("90 05 0001 00 01 87   b0 04 0002 00 11")
		h.want(t, "0 SUBACK 5 01 87", "0 UNSUBACK 6 11")
		do(c, func() {
			if c.conn.Session() != nil {
				t.Error("a client that has nothing open keeps a session")
			}
		})
	})
}

// TestPacketsMayBeSplitAnywhere passes the bytes to the loop in two parts, cut at every
// place, and one by one.
func TestPacketsMayBeSplitAnywhere(t *testing.T) {
	in := unhex("32 06 0001 61 0001 78   30 84 01 0001 62" + strings.Repeat("79", 129) + "d0 00   34 06 0001 61 0002 7a   62 02 0002   32 05 0001 63 0003")
	out := "40 02 0001   50 02 0002   70 02 0002   40 02 0003"
	notes := []string{"0 message q1 a x", "0 message q0 b 129 bytes of 'y'", "0 message q2 a z", "0 message q1 c "}
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		for cut := range in {
			do(c, func() {
				c.loop.input(c, in[:cut])
				c.loop.settle(c)
				c.loop.input(c, in[cut:])
				c.loop.settle(c)
			})
			h.want(t, notes...)
			p.expect(out)
		}
		do(c, func() {
			for i := range in {
				c.loop.input(c, in[i:i+1])
			}
			c.loop.settle(c)
			if c.partial != nil {
				t.Errorf("% x is left", c.partial)
			}
		})
		h.want(t, notes...)
		p.expect(out)
	})
}

func TestPacketsMayBeLargerThanTheReadBuffer(t *testing.T) {
	const size = 300_000
	payload := strings.Repeat("z", size)
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() {
			if err := c.Publish(publish(1, "a", payload), 9); err != nil {
				t.Error(err)
			}
		})
		wire := append(unhex("32 e5 a7 12 0001 61 0001"), payload...) // 300,005
		got := make([]byte, len(wire))
		if _, err := io.ReadFull(p.conn, got); err != nil || !bytes.Equal(got, wire) {
			t.Fatalf("%v, or other bytes", err)
		}
		p.send("40 02 0001")
		h.want(t, "0 acked 9 q1 0x00")
		for range 3 {
			if _, err := p.conn.Write(wire); err != nil {
				t.Fatal(err)
			}
			h.want(t, "0 message q1 a 300000 bytes of 'z'")
			p.expect("40 02 0001")
		}
	})
}

func TestTheMaximumPacketSizeOfBothSidesIsRespected(t *testing.T) {
	spec := &Spec{Session: session.Config{MaxPacket: 20}, Connect: specOf(packet.V5).Connect}
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		c := connectOne(start(t, o, h, p.target()), spec)
		p.accept()
		p.expect("10 14 0004 4d515454 05 02 0000 05 27 00000014 0002 6330")
		p.send("20 08 00 00 05 27 0000000a")
		h.want(t, "0 connected present=false")
		do(c, func() {
			if err := c.Publish(publish(0, "a", "12345"), 0); !errors.Is(err, session.ErrTooLarge) {
				t.Errorf("11 bytes: %v", err)
			}
			if err := c.Publish(publish(0, "a", "1234"), 0); err != nil {
				t.Errorf("10 bytes: %v", err)
			}
		})
		p.expect("30 08 0001 61 00 31323334")
		p.send("30 13") // 21 bytes
		h.want(t, "0 closed: protocol")
		p.expect("e0 01 95")
	})
}

func TestTheWindowBoundsWhatIsOpen(t *testing.T) {
	spec := specOf(packet.V311)
	spec.Session.SendWindow = 2
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, spec)
		do(c, func() {
			for tag := range uint64(3) {
				n, _ := c.Room()
				err := c.Publish(publish(1, "a", ""), tag)
				if (err == nil) != (n > 0) || n != 2-int(tag) || err != nil && err != session.ErrQuota {
					t.Errorf("message %d: room for %d, %v", tag, n, err)
				}
			}
		})
		p.expect("32 05 0001 61 0001   32 05 0001 61 0002")
		do(c, func() {
			h.acked = func(c *Client, tag uint64) { // a closed loop
				_ = c.Publish(publish(1, "a", ""), tag+2)
				h.note("%d", tag)
			}
		})
		p.send("40 02 0001")
		h.want(t, "0")
		p.expect("32 05 0001 61 0003")
		p.send("40 02 0002   40 02 0003")
		h.want(t, "1", "2")
		p.expect("32 05 0001 61 0004   32 05 0001 61 0005")
	})
}

func TestTheReceiveMaximumOfTheServerIsRespected(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		c := connectOne(start(t, o, h, p.target()), specOf(packet.V5))
		p.accept()
		p.expect(connect5)
		p.send("20 06 00 00 03 21 0002")
		h.want(t, "0 connected present=false")
		do(c, func() {
			for tag := range uint64(3) {
				_ = c.Publish(publish(1, "a", ""), tag)
			}
			if n, _ := c.Room(); n != 0 {
				t.Errorf("room for %d messages", n)
			}
			_ = c.Ping()
		})
		p.expect("32 06 0001 61 0001 00   32 06 0001 61 0002 00   c0 00")
		p.send("40 02 0002   d0 00")
		p.expect("32 06 0001 61 0003 00")
		h.want(t, "0 acked 1 q1 0x00")
	})
}

func TestOpenMessagesAreSentAgain(t *testing.T) {
	spec := &Spec{Connect: func(c *Client, p *packet.Connect) {
		p.Version, p.ClientID = packet.V311, []byte("c0")
	}}
	connect := "10 0e 00 04 4d515454 04 00 0000 0002 6330"
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		h.closed = func(c *Client, err error) {
			h.note("closed: %s, %d open", ErrorCategory(err), c.Open())
			if err := c.Connect(spec); err != nil {
				t.Error(err)
			}
		}
		c := connectOne(start(t, o, h, p.target()), spec)
		p.accept()
		p.expect(connect)
		p.send(connack4)
		h.want(t, "0 connected present=false")
		do(c, func() {
			_ = c.Publish(publish(1, "a", ""), 1)
			_ = c.Publish(publish(2, "b", ""), 2)
			_ = c.Publish(publish(2, "c", ""), 3)
		})
		p.expect("32 05 0001 61 0001   34 05 0001 62 0002   34 05 0001 63 0003")
		p.send("50 02 0002")
		p.expect("62 02 0002")
		p.conn.(*net.TCPConn).SetLinger(0)
		p.conn.Close()
		h.want(t, "closed: reset, 3 open")

		p.accept()
		p.expect(connect)
		p.send("20 02 01 00")
		h.want(t, "0 connected present=true")
		p.expect("3a 05 0001 61 0001   62 02 0002   3c 05 0001 63 0003")
		p.send("40 02 0001   70 02 0002")
		h.want(t, "0 acked 1 q1 0x00", "0 acked 2 q2 0x00")
		p.conn.Close()
		h.want(t, "closed: eof, 1 open")

		p.accept() // a server that has lost the session: a new message
		p.expect(connect)
		p.send(connack4)
		h.want(t, "0 connected present=false")
		p.expect("34 05 0001 63 0004")
		do(c, func() { h.closed = nil })
		p.conn.Close()
		h.want(t, "0 closed: eof")

		do(c, func() {
			var tags []uint64
			if err := c.Forget(func(tag uint64) { tags = append(tags, tag) }); err != nil || len(tags) != 1 || tags[0] != 3 || c.Open() != 0 || c.conn.Session() != nil {
				t.Errorf("%v: forgot %v, %d open", err, tags, c.Open())
			}
		})
	})
}

// Acked reports during the resumption what cannot be resent. Methods called from it
// must not send the session twice, and may give up the attempt.
func TestCallsFromAckedDuringTheResumption(t *testing.T) {
	for _, row := range []struct {
		name string
		call func(h *probe, c *Client)
		more []string // notes
		wire string
	}{
		{"Publish", func(h *probe, c *Client) {
			if err := c.Publish(publish(1, "c", ""), 3); !errors.Is(err, session.ErrNotUp) {
				h.note("Publish: %v", err)
			}
			if n, b := c.Room(); n != 0 || b != 0 || c.Up() {
				h.note("room for %d, %d bytes, up %v", n, b, c.Up())
			}
		}, []string{"0 connected present=true"}, "3a 06 0001 62 0002 00"},
		{"Reset", func(h *probe, c *Client) { c.Reset() }, []string{"0 failed: given up"}, ""},
		{"Disconnect", func(h *probe, c *Client) { c.Disconnect(nil) }, []string{"0 failed: given up"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := &Spec{Connect: func(c *Client, p *packet.Connect) {
				p.Version, p.ClientID = packet.V5, []byte("c0")
			}}
			connect := "10 0f 00 04 4d515454 05 00 0000 00 0002 6330"
			eachEngine(t, func(t *testing.T, o Options) {
				p, h := newPeer(t), newProbe()
				h.acked = func(c *Client, tag uint64) {
					h.note("acked %d", tag)
					row.call(h, c)
				}
				c := connectOne(start(t, o, h, p.target()), spec)
				p.accept()
				p.expect(connect)
				p.send("20 03 00 00 00")
				h.want(t, "0 connected present=false")
				do(c, func() {
					_ = c.Publish(publish(1, "a", "too large"), 1)
					_ = c.Publish(publish(1, "b", ""), 2)
				})
				p.expect("32 0f 0001 61 0001 00 746f6f206c61726765   32 06 0001 62 0002 00")
				p.conn.Close()
				h.want(t, "0 closed: eof")
				do(c, func() { _ = c.Connect(spec) })
				p.accept()
				p.expect(connect)
				p.send("20 08 01 00 05 27 0000000a")
				h.want(t, append([]string{"acked 1"}, row.more...)...)
				if row.wire != "" {
					p.expect(row.wire)
					do(c, func() { c.Disconnect(nil) })
					p.expect("e0 00")
				}
				do(c, func() {
					if c.loop.half != 0 || c.loop.stats.Connecting != 0 || c.loop.stats.Connected != 0 || c.Open() != 1 {
						t.Errorf("%d half open, %+v, %d open", c.loop.half, c.loop.stats, c.Open())
					}
				})
			})
		})
	}
}

func TestKeepAlivePingsAndNoticesSilence(t *testing.T) {
	spec := &Spec{Connect: func(c *Client, p *packet.Connect) {
		p.Version, p.CleanStart, p.ClientID, p.KeepAlive = packet.V311, true, []byte("c0"), 60
	}}
	eachEngine(t, func(t *testing.T, o Options) {
		ck := newClock(&o)
		p, h := newPeer(t), newProbe()
		c := connectOne(start(t, o, h, p.target()), spec)
		p.accept()
		p.expect("10 0e 00 04 4d515454 04 02 003c 0002 6330")
		p.send(connack4)
		h.want(t, "0 connected present=false")
		for range 3 {
			ck.forward(c.loop, 60*time.Second) // beyond the wheel's turn
			p.expect("c0 00")
			p.send("d0 00   30 03 0001 61")
			h.want(t, "0 message q0 a ")
		}
		// Sending and receiving postpone the ping: it is due 60 s after the older of
		// both.
		ck.forward(c.loop, 50*time.Second)
		do(c, func() { _ = c.Publish(publish(0, "b", ""), 0) })
		p.expect("30 03 0001 62")
		p.send("30 03 0001 61")
		h.want(t, "0 message q0 a ")
		ck.forward(c.loop, 50*time.Second)
		do(c, func() { _ = c.Publish(publish(0, "b", ""), 0) })
		p.expect("30 03 0001 62") // not a ping before
		ck.forward(c.loop, 10*time.Second)
		p.expect("c0 00")
		ck.forward(c.loop, 60*time.Second)
		h.want(t, "0 closed: keepalive")
		p.expectEnd()
	})
}

func TestAPausedClientDoesNotReadAndStillPings(t *testing.T) {
	spec := &Spec{Connect: func(c *Client, p *packet.Connect) {
		p.Version, p.CleanStart, p.ClientID, p.KeepAlive = packet.V311, true, []byte("c0"), 60
	}}
	eachEngine(t, func(t *testing.T, o Options) {
		ck := newClock(&o)
		p, h := newPeer(t), newProbe()
		s := start(t, o, h, p.target())
		c := connectOne(s, spec)
		p.accept()
		p.expect("10 0e 00 04 4d515454 04 02 003c 0002 6330")
		p.send(connack4)
		h.want(t, "0 connected present=false")
		// Std may be in the middle of a read: let that return something.
		do(c, func() { c.Pause(true) })
		first := 0
		if s.Engine() == Std {
			p.send("30 03 0001 61")
			h.want(t, "0 message q0 a ")
			first = 1
		}
		for range 5 {
			p.send("30 03 0001 61")
		}
		for range 3 {
			ck.forward(c.loop, 60*time.Second)
			p.expect("c0 00")
			do(c, func() {})
		}
		h.none(t)
		do(c, func() {
			if c.loop.stats.Reads != int64(1+first) {
				t.Errorf("%d reads", c.loop.stats.Reads)
			}
			c.Pause(false)
		})
		for range 5 {
			h.want(t, "0 message q0 a ")
		}
		p.conn.Close()
		h.want(t, "0 closed: eof")
	})
}

func TestResetIsSeenAsOne(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() { c.Reset() })
		h.want(t, "0 closed: ")
		if _, err := p.conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server reads %v, want a reset", err)
		}
	})
}

func TestAServerThatDoesNotCloseIsLeft(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		ck := newClock(&o)
		p, h, c := dialogue(t, o, specOf(packet.V5))
		do(c, func() {
			c.Disconnect(&packet.Disconnect{Reason: packet.DisconnectWithWill})
			if err := c.Publish(publish(0, "a", ""), 0); err != session.ErrNotUp {
				t.Errorf("Publish after Disconnect: %v", err)
			}
		})
		p.expect("e0 01 04")
		p.send("30 04 0001 61 00") // is not reported
		ck.forward(c.loop, goodbye)
		h.want(t, "0 closed: ")
		// The end, or a reset if that message was not read before.
		if _, err := p.conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server reads %v, want the end", err)
		}
	})
}

// TestWhatWaitsToBeWrittenIsBounded publishes to a server that does not read, and then
// counts what has arrived.
func TestWhatWaitsToBeWrittenIsBounded(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.Buffer = 32 << 10
		p, h, c := dialogue(t, o, specOf(packet.V311))
		m := publish(0, "a", strings.Repeat("x", 1000))
		size := m.Size(packet.V311)
		sent := 0
		for full := 0; full < 3; {
			do(c, func() {
				for {
					err := c.Publish(m, 0)
					if err == ErrBufferFull {
						if _, bytes := c.Room(); bytes != 0 || c.unsent() > o.Buffer+size {
							t.Errorf("room for %d bytes, %d wait", bytes, c.unsent())
						}
						break
					}
					sent++
				}
			})
			select {
			case note := <-h.notes:
				if note != "0 writable" {
					t.Fatal(note)
				}
				full = 0
			default:
				full++
			}
		}
		got, err := io.CopyN(io.Discard, p.conn, int64(sent*size))
		if err != nil || got != int64(sent*size) {
			t.Fatalf("%d bytes of %d arrived: %v", got, sent*size, err)
		}
		h.want(t, "0 writable")
		do(c, func() {
			if c.unsent() != 0 || c.holds {
				t.Errorf("%d bytes wait", c.unsent())
			}
			c.Disconnect(nil)
		})
		p.expect("e0 00")
	})
}

// TestAServerThatDoesNotReadIsNotReadEither: acknowledgements must not pile up.
func TestAServerThatDoesNotReadIsNotReadEither(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		_, _, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() {
			c.blocked = true // nothing can be sent
			if c.link != nil {
				c.link.writing = true
			}
			in := bytes.Repeat(unhex("62 02 0001"), 100)
			for range 10_000 {
				if !c.wantsInput() {
					break
				}
				c.loop.input(c, in)
			}
			limit := c.loop.swarm.opts.Buffer + maxAnswers
			if n := c.unsent(); n < limit || n > limit+len(in) {
				t.Errorf("%d bytes wait, the limit is %d", n, limit)
			}
			c.Reset()
		})
	})
}

// TestWhatTheServerSaidBeforeAResetIsHeard: the write that fails comes first.
func TestWhatTheServerSaidBeforeAResetIsHeard(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		for range 20 {
			p, h, c := dialogue(t, o, specOf(packet.V5))
			do(c, func() {
				p.send("e0 01 98")
				p.conn.(*net.TCPConn).SetLinger(0)
				p.conn.Close()
				_ = c.Publish(publish(0, "a", "x"), 0)
				c.loop.settle(c)
				for range 3 {
					_ = c.Publish(publish(0, "a", "x"), 0)
				}
			})
			h.want(t, "0 closed: disconnect 0x98")
		}
	})
}

func TestWhatIsGivenUpIsReportedOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.HalfOpen = 1
		p, h := newPeer(t), newProbe()
		s := start(t, o, h, p.target())
		l := s.Loop(0)
		var first, second *Client
		spec := specOf(packet.V311)
		l.Do(func() {
			first, second = l.Add(0), l.Add(1)
			_, _ = first.Connect(spec), second.Connect(spec)
			second.Disconnect(nil) // waits in the queue
		})
		h.want(t, "1 failed: given up")
		p.accept()
		p.expect(connect4)
		l.Do(func() { first.Disconnect(nil) }) // waits for CONNACK
		h.want(t, "0 failed: given up")
		p.expectEnd()
		l.Do(func() {
			if !first.Idle() || first.Up() || first.Loop() != l || first.Spec() != spec {
				t.Errorf("state %v", first.state)
			}
			_ = first.Connect(spec)
			first.Reset() // before its turn, and again
		})
		h.want(t, "0 failed: given up")

		l.Do(func() { _ = second.Connect(spec) })
		p.accept()
		p.greet()
		h.want(t, "1 connected present=false")
		l.Do(func() {
			if second.KeepAlive() != 0 || second.Peer().ReceiveMaximum != 65535 {
				t.Errorf("keep alive %v, %+v", second.KeepAlive(), second.Peer())
			}
			if err := second.Forget(nil); err != ErrBusy {
				t.Errorf("Forget: %v", err)
			}
			second.Disconnect(nil)
			second.Disconnect(nil)
			second.Reset()
			second.Reset()
		})
		h.want(t, "1 closed: ")
		l.Do(func() {
			if n, b := second.Room(); n != 0 || b != 0 {
				t.Errorf("room for %d messages, %d bytes", n, b)
			}
			for _, err := range []error{second.Publish(publish(0, "a", ""), 0), second.Subscribe(&packet.Subscribe{}, 0), second.Unsubscribe(&packet.Unsubscribe{}, 0), second.Ping()} {
				if err != session.ErrNotUp {
					t.Errorf("while idle: %v", err)
				}
			}
			if st := l.Stats(); st.Connecting != 0 || st.Connected != 0 || l.half != 0 {
				t.Errorf("%+v, %d half open", st, l.half)
			}
		})
		h.none(t)
	})
}

func TestAConnectThatCannotBeEncodedFails(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		h.failed = func(_ *Client, err error) { h.note("%v", err) }
		connectOne(start(t, o, h, p.target()), specOf(7))
		h.want(t, packet.ErrUnknownVersion.Error())
	})
}

func TestKindsAreShort(t *testing.T) {
	for _, w := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&Refusal{packet.CONNACK, packet.NotAuthorized, "x"}, "connack 0x87"},
		{errAuth, "protocol"},
		{session.ErrKeepAlive, "keepalive"},
		{ErrClosed, "given up"},
		{io.EOF, "eof"},
		{&transport.Error{Kind: transport.TooManyFiles}, "too many files"},
		{&transport.Error{Kind: transport.UnknownAuthority}, transport.UnknownAuthority.String()},
		{errors.New("?"), "other"},
	} {
		if got := ErrorCategory(w.err); got != w.want {
			t.Errorf("%v is %q, want %q", w.err, got, w.want)
		}
	}
	if got := (&Refusal{packet.CONNACK, packet.NotAuthorized, "no\n"}).Error(); got != `CONNACK: not authorized (0x87): "no\n"` {
		t.Error(got)
	}
}
