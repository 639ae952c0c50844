package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// bare is a connection without deadlines, like an SSH channel.
type bare struct{ net.Conn }

func (bare) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (bare) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (bare) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// barePair returns a bare connection over a pipe, and the other end.
func barePair(t *testing.T) (net.Conn, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return bare{a}, b
}

func TestAConnectionWithDeadlinesStaysAsItIs(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got := WithDeadlines(a); got != a {
		t.Errorf("got %T, want the connection itself", got)
	}
}

func TestDeadlinesOfAConnectionWithoutThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		below, peer := barePair(t)
		c := WithDeadlines(below)
		if UnderlyingConn(c) != below {
			t.Errorf("below is %T", UnderlyingConn(c))
		}
		start := time.Now()
		b := make([]byte, 3)

		// A Read times out, and data that comes later is not lost.
		_ = c.SetReadDeadline(start.Add(time.Second))
		if n, err := c.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !timedOut(err) || time.Since(start) != time.Second {
			t.Errorf("reading: got %d, %v after %v", n, err, time.Since(start))
		}
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading again: got %v", err)
		}
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Time{})
		for _, want := range []string{"hel", "lo"} {
			if n, err := c.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("got %q, %v, want %q", b[:n], err, want)
			}
		}

		// A deadline that is changed while a Read waits takes effect.
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(time.Hour))
			time.Sleep(time.Minute)
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}()
		start = time.Now()
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("an interrupted Read: got %v after %v", err, time.Since(start))
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		_ = c.SetReadDeadline(time.Time{}) // canceled
		time.Sleep(2 * time.Hour)
		go peer.Write([]byte("x"))
		if n, err := c.Read(b); n != 1 || err != nil {
			t.Errorf("after a deadline that was taken back: got %d, %v", n, err)
		}

		// Writing works, times out at once or after a while, and then the
		// connection is over.
		go func() {
			_, _ = io.ReadFull(peer, make([]byte, 4))
		}()
		if n, err := c.Write([]byte("abcd")); n != 4 || err != nil {
			t.Errorf("writing: got %d, %v", n, err)
		}
		_ = c.SetWriteDeadline(time.Unix(1, 0))
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("writing after the deadline: got %v", err)
		}
		start = time.Now()
		_ = c.SetWriteDeadline(start.Add(time.Second))
		if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("writing: got %d, %v after %v", n, err, time.Since(start))
		}
		if _, err := peer.Read(b); err != io.EOF {
			t.Errorf("the peer reads %v, want the end", err)
		}
	})
}

func TestCloseEndsAReadWithoutDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		below, _ := barePair(t)
		c := WithDeadlines(below)
		go func() { time.Sleep(time.Second); _ = c.Close() }()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("got %v", err)
		}
		// The peer's end is read as usual.
		below, peer := barePair(t)
		c = WithDeadlines(below)
		_ = peer.Close()
		for range 2 {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v, want the end", err)
			}
		}
	})
}

// The end of the context interrupts waiting for a silent peer, with or without
// deadlines, and over TLS, whose Close sends an alert.
func TestAContextEndsHandshakesWithoutDeadlines(t *testing.T) {
	t.Parallel()
	target := &Target{Network: "tcp", Host: "h", Port: 1, WebSocket: true, Resource: "/mqtt"}
	httpProxy, socks := &Proxy{Kind: "http", Host: "p", Port: 1}, &Proxy{Kind: "socks5h", Host: "p", Port: 1}
	for _, c := range []struct {
		name, op, text string
		speak          func(ctx context.Context, conn net.Conn) (net.Conn, error)
	}{
		{"TLS", OpTLS, "stayed silent for 10s", func(ctx context.Context, conn net.Conn) (net.Conn, error) {
			return handshake(ctx, conn, &tls.Config{ServerName: "h"}, target, time.Now())
		}},
		{"WebSocket", OpWebSocket, "no answer to the WebSocket handshake within 10s", func(ctx context.Context, conn net.Conn) (net.Conn, error) {
			return (&Dialer{}).upgrade(ctx, conn, target, time.Now())
		}},
		{"an HTTP proxy", OpProxy, "no answer from the proxy within 10s", func(ctx context.Context, conn net.Conn) (net.Conn, error) {
			return connectThrough(ctx, conn, httpProxy, target, time.Now())
		}},
		{"a SOCKS proxy", OpProxy, "no answer from the proxy within 10s", func(ctx context.Context, conn net.Conn) (net.Conn, error) {
			return socksThrough(ctx, conn, socks, "h:1", time.Now())
		}},
	} {
		for _, plain := range []bool{true, false} {
			for _, reads := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					conn, peer := barePair(t)
					if plain {
						conn = conn.(bare).Conn // which has deadlines
					}
					if reads {
						go io.Copy(io.Discard, peer)
					}
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					got, err := c.speak(ctx, conn)
					if took := time.Since(start); got != nil || took != 10*time.Second {
						t.Errorf("%s: got %v after %v", c.name, got, took)
					}
					wantError(t, err, c.op, Timeout, c.text)
					if _, err := conn.Write([]byte("x")); err == nil {
						t.Errorf("%s: the connection is open", c.name)
					}

					// If it was canceled, the error says so.
					conn, peer = barePair(t)
					ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					_, err = c.speak(ctx, conn)
					wantError(t, err, c.op, Canceled)
					_ = peer
				})
			}
		}
	}
}

// A stalled peer under TLS does not block Close, which sends an alert.
func TestCloseOfTLSEndsWithoutDeadlines(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	synctest.Test(t, func(t *testing.T) {
		below, peer := barePair(t)
		server := tls.Server(peer, certs.ServerConfig())
		go server.Handshake()
		conn, err := handshake(t.Context(), WithDeadlines(below), &tls.Config{InsecureSkipVerify: true}, &Target{Network: "tcp", Host: "h", Port: 1}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		_ = conn.Close() // the peer reads no more
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want the 5s of crypto/tls", took)
		}
	})
}

// The wait for a PROXY protocol header is limited on any connection.
func TestProxyHeaderIsBoundedWithoutDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		below, _ := barePair(t)
		c, err := proxyListener{&oneConn{conn: below}}.Accept()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Read(make([]byte, 1))
		if took := time.Since(start); took != proxyTime || err == nil || !strings.Contains(err.Error(), "in time") {
			t.Errorf("got %v after %v", err, took)
		}
		_ = c.Close()
	})
}

// oneConn is a listener that has accepted one connection.
type oneConn struct {
	net.Listener
	conn net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) { return l.conn, nil }
