package bench

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// peer is a server that answers the packets that it expects, byte by byte.
type peer struct {
	t    testing.TB
	ln   net.Listener
	conn net.Conn
}

func newPeer(t testing.TB) *peer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &peer{t: t, ln: ln}
}

// serve runs each of the talks with one client after another. The channel that it
// returns is closed after them.
func (p *peer) serve(talks ...func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		for _, talk := range talks {
			var err error
			if p.conn, err = p.ln.Accept(); err != nil {
				p.t.Error(err)
				return
			}
			talk()
			p.conn.Close()
		}
	}()
	return done
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// expect reads these bytes.
func (p *peer) expect(s string) {
	p.t.Helper()
	want := unhex(s)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.conn, got); err != nil || !bytes.Equal(got, want) {
		p.t.Errorf("it sent % x (%v), want % x", got[:n], err, want)
	}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write(unhex(s)); err != nil {
		p.t.Error(err)
	}
}

// The run ends after the brokers have received the DISCONNECT: if a connection were
// reset before that, its will would be sent.
func TestAllClientsSayGoodbye(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		p := newPeer(t)
		done := p.serve(func() {
			p.expect("10 0d 0004 4d515454 04 02 003c 0001 63")
			p.send("20 02 00 00")
			p.expect("e0 00")
		})
		play(t, `
version: 3.1.1
keepalive: 60s
phases: {settle: 0s, warm-up: 0s, measure: 1ms, drain: 1s}
groups: {conns: {clients: 1, client-id: c}}
`, over(e, at(t, p.ln.Addr().String())))
		<-done
	})
}
func TestTopicsGoByAliasWhereTheBrokerTakesThem(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for name, w := range map[string]struct{ connack, first, second string }{
			"two aliases": {"20 06 00 00 03 22 0002", "30 0a 0003 612f62 03 23 0001 78", "30 07 0000 03 23 0001 78"},
			"none":        {"20 03 00 00 00", "30 07 0003 612f62 00 78", "30 07 0003 612f62 00 78"},
		} {
			p := newPeer(t)
			done := p.serve(func() {
				p.expect("10 0e 0004 4d515454 05 02 003c 00 0001 63")
				p.send(w.connack)
				p.expect(w.first)
				p.expect(w.second)
				p.expect("e0 00")
			})
			o := play(t, `
keepalive: 60s
phases: {settle: 0s, warm-up: 0s, measure: 0s, drain: 1s}
groups: {pubs: {clients: 1, client-id: c, publish: {topic: a/b, payload: {template: x}, rate: 100/s, messages: 2, topic-alias: true}}}
`, over(e, at(t, p.ln.Addr().String())))
			<-done
			if o.Total.Sent != 2 {
				t.Errorf("%s: %+v", name, o.Total)
			}
		}
	})
}

// A refusal is counted under the packet that carried it. A message that the broker
// stops accepting between two connections is counted under no packet.
func TestRefusalsAreCountedAsWhatTheyAre(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for name, w := range map[string]struct {
			qos   int
			talks func(p *peer) []func()
			want  map[string]int64
		}{
			"PUBACK": {1, func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 13 0004 4d515454 05 02 003c 05 11 0000003c 0001 63")
					p.send("20 03 00 00 00")
					p.expect("32 07 0001 74 0001 00 78")
					p.send("40 03 0001 97")
					p.expect("e0 07 00 05 11 00000000")
				}}
			}, map[string]int64{"refused": 1, "acked": 0, "reason.puback.0x97": 1}},
			"PUBREC": {2, func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 13 0004 4d515454 05 02 003c 05 11 0000003c 0001 63")
					p.send("20 03 00 00 00")
					p.expect("34 07 0001 74 0001 00 78")
					p.send("50 03 0001 97")
					p.expect("e0 07 00 05 11 00000000")
				}}
			}, map[string]int64{"refused": 1, "acked": 0, "reason.puback.0x97": 0, "reason.pubrec.0x97": 1}},
			"CONNACK": {2, func(p *peer) []func() {
				return []func(){func() {
					p.expect("10 13 0004 4d515454 05 02 003c 05 11 0000003c 0001 63")
					p.send("20 03 00 00 00")
					p.expect("34 07 0001 74 0001 00 78")
				}, func() {
					p.expect("10 13 0004 4d515454 05 00 003c 05 11 0000003c 0001 63")
					p.send("20 05 00 00 02 24 01")
					p.expect("e0 07 00 05 11 00000000")
				}}
			}, map[string]int64{"refused": 1, "acked": 0, "reason.puback.0x9b": 0, "error.resume.QoS not supported": 1}},
		} {
			t.Run(name, func(t *testing.T) {
				p := newPeer(t)
				done := p.serve(w.talks(p)...)
				o := play(t, fmt.Sprintf(`
keepalive: 60s
phases: {settle: 0s, warm-up: 0s, measure: 0s, drain: 20s}
groups:
  pubs: {clients: 1, client-id: c, clean-start: false, session-expiry: 60s, reconnect: {first: 1ms, max: 2ms},
    publish: {topic: t, qos: %d, payload: {template: x}, rate: 100/s, messages: 1}}
`, w.qos), over(e, at(t, p.ln.Addr().String())))
				<-done
				o.want("pubs", w.want)
				if n := o.Result.Sum().Counters[result.CounterKey{Name: "refused", Group: "pubs", QoS: packet.QoS(w.qos)}]; n != 1 {
					t.Errorf("%d are refused at QoS %d", n, w.qos)
				}
			})
		}
	})
}

// The run does not wait for the SUBACK to a SUBSCRIBE that the broker does not support,
// nor forever for a SUBACK in place of which the broker closes the connection.
func TestASubscriptionThatCannotBeIsNotWaitedFor(t *testing.T) {
	connect := "10 0e 0004 4d515454 05 02 003c 00 0001 63"
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		t.Run("excluded by CONNACK", func(t *testing.T) {
			p := newPeer(t)
			done := p.serve(func() {
				p.expect(connect)
				p.send("20 05 00 00 02 28 00")
				p.expect("e0 00")
			})
			o := play(t, `
keepalive: 60s
phases: {settle: 0s, warm-up: 0s, measure: 1ms, drain: 1s}
groups: {subs: {clients: 1, client-id: c, subscribe: a/#}}
`, over(e, at(t, p.ln.Addr().String())))
			<-done
			o.want("subs", map[string]int64{"connects": 1, "subscribes": 0, "error.subscribe.other": 1})
		})
		t.Run("answered by DISCONNECT", func(t *testing.T) {
			p := newPeer(t)
			go func() {
				for {
					nc, err := p.ln.Accept()
					if err != nil {
						return
					}
					_, _ = nc.Write(unhex("20 03 00 00 00"))
					if _, err := io.ReadFull(nc, make([]byte, 16+11)); err == nil { // CONNECT and SUBSCRIBE
						_, _ = nc.Write(unhex("e0 01 a2"))
					}
					nc.Close()
				}
			}()
			o := play(t, `
keepalive: 60s
phases: {settle: 0s, warm-up: 0s, measure: 1ms, drain: 1s}
groups: {subs: {clients: 1, client-id: c, subscribe: a/#, reconnect: {first: 1ms, max: 2ms}}}
`, over(e, at(t, p.ln.Addr().String())))
			if got := o.counted("subs"); got["subscribes"] != 0 || got["losses"] < 4 {
				t.Errorf("%v", got)
			}
		})
	})
}
