package fault

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// pipes is a listener without a network.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	nc, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (l pipes) dial() net.Conn {
	here, there := net.Pipe()
	l <- there
	return here
}

// through makes a proxy between pipes, and one connection through it.
func through(t *testing.T, configure func(*Proxy)) (p *Proxy, client, server net.Conn) {
	front, back := make(pipes), make(pipes)
	p = New(front, func(context.Context) (net.Conn, error) { return back.dial(), nil }, 1)
	t.Cleanup(p.Close)
	if configure != nil {
		configure(p)
	}
	client = front.dial()
	server, _ = back.Accept()
	return p, client, server
}

func TestCarriesBothWaysAndTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, server := through(t, func(p *Proxy) { p.Split(true) })
		sent := bytes.Repeat([]byte("0123456789"), 1000)
		go func() {
			_, _ = client.Write(sent)
			client.Close()
		}()
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, server := through(t, func(p *Proxy) { p.Delay(50*time.Millisecond, 10*time.Millisecond) })
		start := time.Now()
		go func() { _, _ = client.Write([]byte("abc")) }()
		got := make([]byte, 3)
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "abc" {
			t.Fatalf("%q, %v", got, err)
		}
		if d := time.Since(start); d < 40*time.Millisecond || d > 60*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestStallsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := through(t, nil)
		p.Stall(true)
		go func() { _, _ = client.Write([]byte("abc")) }()
		_ = server.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := server.Read(make([]byte, 3)); err == nil {
			t.Errorf("%d bytes came through a stall", n)
		}
		_ = server.SetReadDeadline(time.Time{})
		p.Stall(false)
		got := make([]byte, 3)
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "abc" {
			t.Errorf("behind the stall: %q, %v", got, err)
		}
	})
}

func TestCutsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := through(t, nil)
		synctest.Wait()
		if n := p.Open(); n != 1 {
			t.Fatalf("%d connections are open", n)
		}
		if n := p.Cut(5); n != 1 {
			t.Errorf("%d connections were cut", n)
		}
		for _, nc := range [...]net.Conn{client, server} {
			if _, err := nc.Read(make([]byte, 1)); err == nil {
				t.Error("a side goes on behind the cut")
			}
		}
		if n := p.Cut(-1) + p.Open(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		front := make(pipes)
		p := New(front, func(context.Context) (net.Conn, error) { return nil, errors.New("unexpected dial") }, 1)
		defer p.Close()
		p.Refuse(true)
		if _, err := front.dial().Read(make([]byte, 1)); err == nil {
			t.Error("a refused connection goes on")
		}
		p.Refuse(false) // and now the server is unreachable
		if _, err := front.dial().Read(make([]byte, 1)); err == nil {
			t.Error("a connection without a server stays open")
		}
	})
}

// On TCP a cut is a reset. Neither side may mistake it for an orderly close, as
// close_notify would be under TLS.
func TestCutIsAReset(t *testing.T) {
	certs := certtest.New(t)
	for name, w := range map[string]struct {
		dialed, accepted func(net.Conn) net.Conn
	}{
		"TCP": {func(nc net.Conn) net.Conn { return nc }, func(nc net.Conn) net.Conn { return nc }},
		"TLS": {func(nc net.Conn) net.Conn { return tls.Client(nc, certs.ClientConfig()) }, func(nc net.Conn) net.Conn { return tls.Server(nc, certs.ServerConfig()) }},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, server := overTCP(t, w.dialed, w.accepted)
			p.Cut(-1)
			for name, nc := range map[string]net.Conn{"client": client, "server": server} {
				if _, err := nc.Read(make([]byte, 1)); !transport.IsReset(err) {
					t.Errorf("the %s sees %v", name, err)
				}
			}
		})
	}
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestMutesTheServerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, server := through(t, func(p *Proxy) { p.Mute(true) })
		go func() { _, _ = client.Write([]byte("ask")) }()
		got := make([]byte, 3)
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "ask" {
			t.Fatalf("%q, %v", got, err)
		}
		heard := make(chan string, 1)
		go func() {
			answer := make([]byte, 6)
			n, _ := io.ReadFull(client, answer)
			heard <- string(answer[:n])
		}()
		_, _ = server.Write([]byte("answer"))
		synctest.Wait()
		select {
		case got := <-heard:
			t.Fatalf("muted, and %q is heard", got)
		default:
		}
		p.Mute(false)
		if got := <-heard; got != "answer" {
			t.Errorf("%q", got)
		}
	})
}

func TestHangUpIsNoReset(t *testing.T) {
	plain := func(nc net.Conn) net.Conn { return nc }
	p, client, server := overTCP(t, plain, plain)
	p.HangUp(-1)
	for name, nc := range map[string]net.Conn{"client": client, "server": server} {
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the %s sees %v", name, err)
		}
	}
}

// overTCP makes a proxy and one connection through it, which the proxy knows. The functions
// make what the proxy has dialed and what the server has accepted into other connections.
func overTCP(t *testing.T, dialed, accepted func(net.Conn) net.Conn) (p *Proxy, client, server net.Conn) {
	back := listen(t)
	p = New(listen(t), func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, "tcp", back.Addr().String())
		if err != nil {
			return nil, err
		}
		return dialed(nc), nil
	}, 1)
	t.Cleanup(p.Close)
	client, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = back.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = accepted(server)
	t.Cleanup(func() { server.Close() })
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err != nil { // the proxy now knows both
		t.Fatal(err)
	}
	return p, client, server
}
