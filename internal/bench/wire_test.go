package bench

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/swarm"
)

// peer is a server that answers the packets it is told to expect, byte by byte.
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

// serve talks to the first client, and to others not at all. The channel it
// returns is closed behind that.
func (p *peer) serve(talk func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if p.conn, err = p.ln.Accept(); err != nil {
			p.t.Error(err)
			return
		}
		defer p.conn.Close()
		talk()
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

// The run ends when the brokers have had the DISCONNECT: a connection that was
// reset before that would have its will sent.
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
`, e, at(t, p.ln.Addr().String()))
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
`, e, at(t, p.ln.Addr().String()))
			<-done
			if o.Total.Sent != 2 {
				t.Errorf("%s: %+v", name, o.Total)
			}
		}
	})
}
