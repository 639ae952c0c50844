package swarm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestMain(m *testing.M) {
	if os.Getenv(sinkVar) != "" {
		runSink()
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests. Only a failing test waits that long.
const patience = 20 * time.Second

// probe is a Handler that records its calls, and calls its functions.
type probe struct {
	notes chan string

	due       func(now time.Duration) time.Duration
	connected func(c *Client)
	failed    func(c *Client, err error)
	closed    func(c *Client, err error)
	acked     func(c *Client, tag uint64)
	message   func(c *Client, p *packet.Publish)
	writable  func(c *Client)
}

func newProbe() *probe { return &probe{notes: make(chan string, 1<<16)} }

func (p *probe) note(format string, args ...any) { p.notes <- fmt.Sprintf(format, args...) }

func (p *probe) Due(now time.Duration) time.Duration {
	if p.due != nil {
		return p.due(now)
	}
	return Never
}

func (p *probe) Connected(c *Client, ack *packet.Connack, _ *Timing) {
	if p.connected != nil {
		p.connected(c)
		return
	}
	p.note("%d connected present=%v", c.Index(), ack.SessionPresent)
}

func (p *probe) Failed(c *Client, err error) {
	if p.failed != nil {
		p.failed(c, err)
		return
	}
	p.note("%d failed: %v", c.Index(), ErrorCategory(err))
}

func (p *probe) Closed(c *Client, err error) {
	if p.closed != nil {
		p.closed(c, err)
		return
	}
	p.note("%d closed: %v", c.Index(), ErrorCategory(err))
}

func (p *probe) Acked(c *Client, tag uint64, qos packet.QoS, reason packet.ReasonCode) {
	if p.acked != nil {
		p.acked(c, tag)
		return
	}
	p.note("%d acked %d q%d 0x%02x", c.Index(), tag, qos, byte(reason))
}

func (p *probe) Subscribed(c *Client, tag uint64, s *packet.Suback) {
	p.note("%d %v %d % x", c.Index(), s.Type, tag, s.Codes)
}

func (p *probe) Message(c *Client, m *packet.Publish, _ time.Duration) {
	if p.message != nil {
		p.message(c, m)
		return
	}
	body := string(m.Payload)
	if len(body) > 20 {
		body = fmt.Sprintf("%d bytes of %q", len(body), body[0])
	}
	p.note("%d message q%d %s %s", c.Index(), m.QoS, m.Topic, body)
}

func (p *probe) Writable(c *Client) {
	if p.writable != nil {
		p.writable(c)
		return
	}
	p.note("%d writable", c.Index())
}

// want waits for these notes, in this order, with no others in between.
func (p *probe) want(t testing.TB, notes ...string) {
	t.Helper()
	for _, want := range notes {
		select {
		case got := <-p.notes:
			if got != want {
				t.Fatalf("it reported %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("no report, want %q", want)
		}
	}
}

// none checks that nothing was reported.
func (p *probe) none(t testing.TB) {
	t.Helper()
	select {
	case got := <-p.notes:
		t.Fatalf("it reported %q, want nothing", got)
	default:
	}
}

// peer is the server's side, scripted by hand.
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
	p := &peer{t: t, ln: ln}
	t.Cleanup(func() {
		ln.Close()
		if p.conn != nil {
			p.conn.Close()
		}
	})
	return p
}

func (p *peer) target() *transport.Target { return targetOf(p.ln.Addr().String()) }

func targetOf(addr string) *transport.Target {
	t, err := transport.ParseURL("mqtt://" + addr)
	if err != nil {
		panic(err)
	}
	return t
}

// accept accepts the next connection.
func (p *peer) accept() {
	p.t.Helper()
	if p.conn != nil {
		p.conn.Close()
	}
	var err error
	p.ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	if p.conn, err = p.ln.Accept(); err != nil {
		p.t.Fatal(err)
	}
	p.conn.SetDeadline(time.Now().Add(patience))
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
	n, err := io.ReadFull(p.conn, got)
	if err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("it sent % x (%v), want % x", got[:n], err, want)
	}
}

// expectEnd checks that the client closes without sending anything more.
func (p *peer) expectEnd() {
	p.t.Helper()
	if n, err := p.conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		p.t.Fatalf("%d bytes, %v; want the end", n, err)
	}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write(unhex(s)); err != nil {
		p.t.Fatal(err)
	}
}

// greet accepts the CONNECT of a client of specOf(packet.V311) with one digit.
func (p *peer) greet() {
	p.t.Helper()
	if _, err := io.ReadFull(p.conn, make([]byte, 16)); err != nil {
		p.t.Fatal(err)
	}
	p.send(connack4)
}

// CONNECT packets of client 0 of specs, in the encoding of 3.1.1 and 5.0.
const (
	connect4 = "10 0e 00 04 4d515454 04 02 0000 0002 6330"
	connack4 = "20 02 00 00"
	connect5 = "10 0f 00 04 4d515454 05 02 0000 00 0002 6330"
)

// specOf returns the Spec of clients named c0, c1 ... of a version, with clean start.
func specOf(v packet.Version) *Spec {
	return &Spec{Connect: func(c *Client, p *packet.Connect) {
		p.Version, p.CleanStart, p.ClientID = v, true, fmt.Appendf(nil, "c%d", c.Index())
	}}
}

// eachEngine runs a test on both engines.
func eachEngine(t *testing.T, f func(t *testing.T, o Options)) {
	for _, e := range []Engine{Lite, Std} {
		if e == Lite && !liteHere {
			continue
		}
		t.Run(e.String(), func(t *testing.T) { f(t, Options{Engine: e}) })
	}
}

// start returns a swarm that is closed when the test ends.
func start(t testing.TB, o Options, h Handler, targets ...*transport.Target) *Swarm {
	t.Helper()
	o.Targets = targets
	o.Handler = func(*Loop) Handler { return h }
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// connectOne adds client 0 and connects it.
func connectOne(s *Swarm, spec *Spec) *Client {
	var c *Client
	s.Loop(0).Do(func() {
		c = s.Loop(0).Add(0)
		_ = c.Connect(spec)
	})
	return c
}

// dialogue returns a client that has connected to a peer.
func dialogue(t *testing.T, o Options, spec *Spec) (*peer, *probe, *Client) {
	t.Helper()
	p, h := newPeer(t), newProbe()
	s := start(t, o, h, p.target())
	c := connectOne(s, spec)
	p.accept()
	var connect packet.Connect
	spec.Connect(c, &connect)
	if connect.Version == packet.V5 {
		p.expect(connect5)
		p.send("20 03 00 00 00")
	} else {
		p.expect(connect4)
		p.send(connack4)
	}
	h.want(t, "0 connected present=false")
	return p, h, c
}

func do(c *Client, f func()) { c.loop.Do(f) }

func TestAClientConnectsAndSaysGoodbye(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() { c.Disconnect(nil) })
		p.expect("e0 00")
		h.none(t) // until the server closes
		p.conn.Close()
		h.want(t, "0 closed: ")
	})
}
