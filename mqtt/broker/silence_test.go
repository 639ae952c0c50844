package broker_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// A packet that takes longer than the keep alive is not silence, as long as it
// progresses. Its last kilobyte, which any link can carry in that time, gets no
// extension.
func TestALongPacketIsNoSilence(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ connect, ok, publish, answer, bye string }{
		{`10 0d 0004 "MQTT" 04 02 000a 0001 "a"`, "{ok4}", `32 85a006 0001 "t" 0001`, "40 02 0001", ""},
		{`10 0e 0004 "MQTT" 05 02 000a 00 0001 "a"`, "{ok5}", `32 86a006 0001 "t" 0001 00`, "40 03 0001 10", "e0 01 8d"},
	} {
		for _, whole := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{})
				defer closeBroker(t, b)
				p := connectPipe(t, b)
				p.send(v.connect)
				p.expect(v.ok)
				p.send(v.publish)
				piece := make([]byte, 1024)
				for range 99 {
					time.Sleep(9 * time.Second)
					if _, err := p.nc.Write(piece); err != nil {
						t.Fatal(err)
					}
				}
				if whole {
					time.Sleep(14 * time.Second)
					if _, err := p.nc.Write(piece); err != nil {
						t.Fatal(err)
					}
					p.expect(v.answer)
				} else {
					start := time.Now()
					time.Sleep(9 * time.Second)
					if _, err := p.nc.Write(piece[:100]); err != nil {
						t.Fatal(err)
					}
					p.expect(v.bye)
					p.end()
					if d := time.Since(start); d != 15*time.Second {
						t.Errorf("cut off %v after the last but 1 kB, want 15 s", d)
					}
				}
				_ = p.nc.Close()
			})
		}
	}
}

// A subscriber that reads 2 kB a second is reading.
func TestASlowLinkIsNotStalled(t *testing.T) {
	t.Parallel()
	const size = 100_000
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{StallTimeout: 10 * time.Second})
		defer closeBroker(t, b)
		slow, fast := connectPipe(t, b), connectPipe(t, b)
		for i, p := range []*pipePeer{slow, fast} {
			p.send(fmt.Sprintf(`10 0d 0004 "MQTT" 04 02 0000 0001 "%d"`, i))
			p.expect("{ok4}")
		}
		slow.send(`82 06 0001 0001 "t" 00`)
		slow.expect("90 03 0001 00")
		fast.send(`30 a38d06 0001 "t"`)
		if _, err := fast.nc.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		for left := 7 + size; left > 0; left -= min(left, 2000) {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(slow.nc, make([]byte, min(left, 2000))); err != nil {
				t.Fatalf("with %d bytes to come: %v", left, err)
			}
		}
		_ = slow.nc.Close()
		_ = fast.nc.Close()
	})
}

// A silent client is disconnected one and a half times its keep alive after its last
// packet, and not before. The server's keep alive overrides the client's (section
// 3.2.2.3.14).
//
// It shows MQTT-3.1.2-22 and MQTT-3.2.2-21.
func TestWhenSilenceEnds(t *testing.T) {
	t.Parallel()
	const (
		never = 0
		ok5   = "{ok5}"
		ok20  = "20 11 00 00 0e 13 0014 21 0400 27 01000000 22 0040" // server keep alive 20
	)
	for _, c := range []struct {
		name            string
		longest         time.Duration
		connect, answer string
		after           time.Duration
		bye             string
	}{
		{"the client's", 0, `10 0e 0004 "MQTT" 05 02 000a 00 0001 "a"`, ok5, 15 * time.Second, "e0 01 8d"},
		{"an odd one", 0, `10 0e 0004 "MQTT" 05 02 0001 00 0001 "a"`, ok5, 1500 * time.Millisecond, "e0 01 8d"},
		{"none", 0, `10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`, ok5, never, ""},
		{"of 3.1.1", 0, `10 0d 0004 "MQTT" 04 02 0007 0001 "a"`, "{ok4}", 10500 * time.Millisecond, ""},
		{"of 3.1", 0, `10 0f 0006 "MQIsdp" 03 02 0007 0001 "a"`, "{ok4}", 10500 * time.Millisecond, ""},
		{"the server's for a longer one", 20 * time.Second, `10 0e 0004 "MQTT" 05 02 0015 00 0001 "a"`, ok20, 30 * time.Second, "e0 01 8d"},
		{"the server's for none", 20 * time.Second, `10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`, ok20, 30 * time.Second, "e0 01 8d"},
		{"the client's that is as long as the server's", 20 * time.Second, `10 0e 0004 "MQTT" 05 02 0014 00 0001 "a"`, ok5, 30 * time.Second, "e0 01 8d"},
		{"the client's that is shorter", 20 * time.Second, `10 0e 0004 "MQTT" 05 02 000a 00 0001 "a"`, ok5, 15 * time.Second, "e0 01 8d"},
		{"of 3.1.1, as long as the server's", 20 * time.Second, `10 0d 0004 "MQTT" 04 02 0014 0001 "a"`, "{ok4}", 30 * time.Second, ""},
		{"of 3.1.1, longer than the server's: it is refused", 20 * time.Second, `10 0d 0004 "MQTT" 04 02 0015 0001 "a"`, "20 02 00 02", 0, ""},
		{"of 3.1.1, none: it is refused", 20 * time.Second, `10 0d 0004 "MQTT" 04 02 0000 0001 "a"`, "20 02 00 02", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{MaxKeepAlive: c.longest})
				defer closeBroker(t, b)
				p := connectPipe(t, b)
				p.send(c.connect)
				p.expect(c.answer)
				if c.answer == "20 02 00 02" {
					p.end()
					return
				}
				if c.after == never {
					time.Sleep(24 * time.Hour)
					p.send("{ping}")
					p.expect("{pong}")
					_ = p.nc.Close()
					synctest.Wait()
					return
				}
				// The last moment, and a packet of another kind.
				for _, packet := range []string{"{ping}", `30 03 0001 "t"`} {
					if c.answer != "{ok4}" && packet[0] == '3' {
						packet = `30 04 0001 "t" 00`
					}
					time.Sleep(c.after - time.Nanosecond)
					p.send(packet)
					if packet == "{ping}" {
						p.expect("{pong}")
					}
				}
				start := time.Now()
				p.expect(c.bye)
				p.end()
				if d := time.Since(start); d != c.after {
					t.Errorf("cut off after %v, want %v", d, c.after)
				}
			})
		})
	}
}

// A client that is redirected is not asked for anything, and nothing of it is kept.
func TestARedirectedClientLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to              broker.Redirect
		new5, old, gone string
	}{
		"for now, with a name":     {broker.Redirect{Reason: 0x9c, Reference: "b:1"}, `20 09 00 9c 06 1c 0003 "b:1"`, "20 02 00 03", `e0 08 9c 06 1c 0003 "b:1"`},
		"for good, without a name": {broker.Redirect{Reason: 0x9d}, "20 03 00 9d 00", "20 02 00 03", "e0 01 9d"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{Redirect: &c.to, Authenticate: slowCheck})
				defer closeBroker(t, b)
				start := time.Now()
				for connect, answer := range map[string]string{
					// With a will, and a session that stays.
					`10 1a 0004 "MQTT" 05 04 0000 05 11 ffffffff 0001 "a" 00 0001 "w" 0001 "x"`: c.new5,
					`10 13 0004 "MQTT" 04 04 0000 0001 "a" 0001 "w" 0001 "x"`:                   c.old,
				} {
					p := connectPipe(t, b)
					p.send(connect)
					p.expect(answer)
					p.end()
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("it took %v", d)
				}
				synctest.Wait()
				if s := b.Stats(); s.Sessions != 0 || s.Clients != 0 || s.Queued != 0 {
					t.Errorf("there are %+v", s)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Options{ShutdownRedirect: &c.to})
				p, q := connectPipe(t, b), connectPipe(t, b)
				p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
				p.expect("{ok5}")
				q.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "b"`)
				q.expect("{ok4}")
				go closeBroker(t, b)
				p.expect(c.gone)
				p.end()
				q.end()
				synctest.Wait()
			})
		})
	}
}
