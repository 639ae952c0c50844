package mqtt

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the server's end of a pipe, scripted with bytes written by hand.
type peer struct {
	t  *testing.T
	nc net.Conn
}

// unhex reads hex digits; blanks and text in parentheses are comments.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	for {
		open := strings.IndexByte(s, '(')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], ')')
		s = s[:open] + s[open+end+1:]
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex %q: %v", s, err)
	}
	return b
}

// expect reads exactly these bytes.
func (p *peer) expect(s string) {
	p.t.Helper()
	want := unhex(p.t, s)
	got := make([]byte, len(want))
	p.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := io.ReadFull(p.nc, got)
	if err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("the client sent %x (%v), want %x", got[:n], err, want)
	}
}

// send writes these bytes.
func (p *peer) send(s string) {
	p.t.Helper()
	p.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := p.nc.Write(unhex(p.t, s)); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// expectEnd waits for the client's end of the stream.
func (p *peer) expectEnd() {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 64)
	n, err := p.nc.Read(b)
	if err == nil || n > 0 {
		p.t.Fatalf("the client sent %x, want the end", b[:n])
	}
}

// pipes provides the server's ends of the connections that a client dials.
type pipes struct {
	conns chan net.Conn
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn, 8)} }

func (p *pipes) dial(context.Context) (net.Conn, error) {
	c, s := net.Pipe()
	p.conns <- s
	return c, nil
}

func (p *pipes) accept(t *testing.T) *peer {
	select {
	case nc := <-p.conns:
		t.Cleanup(func() { nc.Close() })
		return &peer{t, nc}
	case <-time.After(10 * time.Second):
		t.Fatal("the client did not dial")
		return nil
	}
}

// tcpPair provides the server's ends of loopback TCP connections.
func tcpPair(t *testing.T) (dialFunc, func() *peer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", ln.Addr().String())
	}
	return dial, func() *peer {
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return &peer{t, nc}
	}
}

// overTLS adds TLS to the connections of a pair.
func overTLS(certs *certtest.Set, dial dialFunc, accept func() *peer) (dialFunc, func() *peer) {
	return func(ctx context.Context) (net.Conn, error) {
			nc, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			tc := tls.Client(nc, certs.ClientConfig())
			return tc, tc.HandshakeContext(ctx)
		}, func() *peer {
			p := accept()
			p.nc = tls.Server(p.nc, certs.ServerConfig())
			return p
		}
}

// dialFunc opens the byte stream of a connection.
type dialFunc = func(context.Context) (net.Conn, error)

// connectOver is Connect over streams that dial opens.
func connectOver(ctx context.Context, dial dialFunc, opt *Options) (*Client, error) {
	var o Options
	if opt != nil {
		o = *opt
	}
	o.Dial = func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return dial(ctx) }
	return Connect(ctx, "mqtt://server.test", &o)
}

const (
	connect4 = "10 0d 0004 4d515454 04 02 0000 0001 61 (clean session, id a)"
	connack4 = "20 02 00 00"
	connect5 = "10 0e 0004 4d515454 05 02 0000 00 0001 61 (clean start, id a)"
	// with maximum packet size 4096
	connect5limited = "10 13 0004 4d515454 05 02 0000 05 27 00001000 0001 61"
	connack5        = "20 03 00 00 00"
	disconn         = "e0 00"
	resumed4        = "20 02 01 00"
	connect4c       = "10 0d 0004 4d515454 04 00 0000 0001 61 (session continued)"
)

// connected calls Connect against a scripted handshake over TCP.
func connected(t *testing.T, opt Options, connect, connack string) (*Client, *peer, func() *peer) {
	t.Helper()
	dial, accept := tcpPair(t)
	c, p := connectedOver(t, dial, accept, opt, connect, connack)
	return c, p, accept
}

// connectedOver is connected over any kind of connection.
func connectedOver(t *testing.T, dial dialFunc, accept func() *peer, opt Options, connect, connack string) (*Client, *peer) {
	t.Helper()
	opt.ClientID = "a"
	if opt.KeepAlive == 0 {
		opt.KeepAlive = NoKeepAlive
	}
	type result struct {
		c   *Client
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := connectOver(t.Context(), dial, &opt)
		done <- result{c, err}
	}()
	p := accept()
	p.expect(connect)
	p.send(connack)
	r := <-done
	if r.err != nil {
		t.Fatalf("Connect: %v", r.err)
	}
	return r.c, p
}

// closed closes a client whose server sends nothing more.
func closed(t *testing.T, c *Client, p *peer) {
	t.Helper()
	errs := make(chan error, 1)
	go func() { errs <- c.Close(context.Background()) }()
	p.expect(disconn)
	p.nc.Close()
	if err := <-errs; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := c.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("Err after Close: %v", err)
	}
}
