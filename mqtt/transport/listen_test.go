package transport

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestListenTCP(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "mqtt://127.0.0.1:0", "tcp://localhost:0"} {
		ln, err := Listen(t.Context(), addr, nil)
		if err != nil {
			t.Fatalf("%s: got %v", addr, err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		_, err = Listen(t.Context(), "127.0.0.1:"+strconv.Itoa(port), nil)
		wantError(t, err, OpListen, AddrInUse, "cannot listen on 127.0.0.1:", ": address already in use")
		_ = ln.Close()
	}
}

func TestListenTLS(t *testing.T) {
	s := certtest.New(t)
	for _, addr := range []string{"127.0.0.1:0", "mqtts://127.0.0.1:0"} {
		ln, err := Listen(t.Context(), addr, s.ServerConfig())
		if err != nil {
			t.Fatalf("%s: got %v", addr, err)
		}
		done := make(chan error)
		go func() {
			c, err := ln.Accept()
			if err == nil {
				_, err = c.Write([]byte{'!'})
				_ = c.Close()
			}
			done <- err
		}()
		d := Dialer{TLS: &TLSOptions{CAFile: s.CA.CertFile}}
		c, err := d.Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, TLS: true})
		if err != nil {
			t.Fatalf("%s: dial: got %v", addr, err)
		}
		if err := readByte(c); err != nil {
			t.Errorf("%s: read: got %v", addr, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: accept: got %v", addr, err)
		}
		_ = c.Close()
		_ = ln.Close()
	}
}

func TestListenRefuses(t *testing.T) {
	s := certtest.New(t)
	noCert := s.ServerConfig()
	noCert.Certificates = nil
	for _, c := range []struct {
		it, addr string
		tls      bool
		op       string
		kind     Kind
	}{
		{"TLS without a certificate", "mqtts://127.0.0.1:0", false, OpListen, BadOption},
		{"a certificate without TLS", "mqtt://127.0.0.1:0", true, OpListen, BadOption},
		{"a user", "mqtt://u@127.0.0.1:0", false, OpURL, InvalidURL},
		{"a topic", "mqtt://127.0.0.1:0/t", false, OpURL, InvalidURL},
		{"an unknown scheme", "http://127.0.0.1:0", false, OpURL, UnsupportedScheme},
		{"http", "http://127.0.0.1:0", false, OpURL, UnsupportedScheme},
		{"wss without certificate", "wss://127.0.0.1:0", false, OpListen, BadOption},
		{"ws with a certificate", "ws://127.0.0.1:0", true, OpListen, BadOption},
		{"a path", "/run/x.sock", false, OpURL, InvalidURL},
		{"a port by name", "127.0.0.1:mqtt", false, OpURL, InvalidURL},
		{"a foreign address", "192.0.2.77:0", false, OpListen, AddrNotAvailable},
		{"a missing directory", "unix:///nonexistent/dir/s", false, OpListen, SocketMissing},
	} {
		t.Run("it refuses "+c.it, func(t *testing.T) {
			cfg := s.ServerConfig()
			if !c.tls {
				cfg = nil
			}
			ln, err := Listen(t.Context(), c.addr, cfg)
			if err == nil {
				_ = ln.Close()
			}
			wantError(t, err, c.op, c.kind)
		})
	}
	_, err := Listen(t.Context(), "127.0.0.1:0", noCert)
	wantError(t, err, OpListen, BadOption, "without a certificate")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Listen(ctx, "localhost:0", nil)
	wantError(t, err, OpListen, Canceled)
}

func TestListenTargets(t *testing.T) {
	for _, c := range []struct {
		addr string
		want Target
	}{
		{":1883", Target{Network: "tcp", Port: 1883}},
		{"", Target{Network: "tcp", Port: 1883}},
		{"localhost", Target{Network: "tcp", Host: "localhost", Port: 1883}},
		{"[::1]:0", Target{Network: "tcp", Host: "::1"}},
		{"mqtt://", Target{Network: "tcp", Port: 1883}},
		{"mqtt://:0", Target{Network: "tcp"}},
		{"ws://:0", Target{Network: "tcp", WebSocket: true}},
		{"ws://:0/x", Target{Network: "tcp", WebSocket: true, Resource: "/x"}},
		{"UNIX:rel", Target{Network: "unix", Path: "rel"}},
	} {
		got, err := ListenConfig{}.Target(c.addr)
		if err != nil || *got != c.want {
			t.Errorf("%q: got %+v, %v, want %+v", c.addr, got, err, c.want)
		}
	}
}

func TestSchemeOf(t *testing.T) {
	for _, addr := range []string{"1883", ":1883", "localhost:1883", "tcp:1883", "ws:80", "http://:80", ""} { // tcp and ws are host names here
		if got, ok := SchemeOf(addr); ok || got != (Scheme{}) {
			t.Errorf("%q: got %+v, want none", addr, got)
		}
	}
	for addr, want := range map[string]Scheme{
		"mqtt://:1883": {"tcp", false, false}, "tcp://:1": {"tcp", false, false}, "MQTTS://:8883": {"tcp", true, false}, "ssl://:1": {"tcp", true, false},
		"WS://:80/x": {"tcp", false, true}, "wss://:443": {"tcp", true, true},
		"unix:rel": {"unix", false, false}, "unix:///run/s": {"unix", false, false}, "mqtt+unix:///run/s": {"unix", false, false},
	} {
		if got, ok := SchemeOf(addr); !ok || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", addr, got, ok, want)
		}
	}
}

func TestListenUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("socket files differ")
	}
	path := filepath.Join(t.TempDir(), "s")
	addr := "unix://" + path
	for _, mode := range []fs.FileMode{0, 0o666} {
		ln, err := ListenConfig{SocketMode: mode}.Listen(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		want := mode
		if mode == 0 {
			want = 0o600
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("got %v, %v, want mode %v", info, err, want)
		}
		_, err = Listen(t.Context(), addr, nil)
		wantError(t, err, OpListen, AddrInUse, path, "in use")
		if err := ln.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
		_ = ln.Close() // must do no harm
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("after close: got %v, want the socket gone", err)
		}
	}

	// A stale socket, left by a program that was killed.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	_, err = (&Dialer{}).Dial(t.Context(), &Target{Network: "unix", Path: path})
	wantError(t, err, OpConnect, Refused)
	first, err := Listen(t.Context(), addr, nil)
	if err != nil {
		t.Fatalf("over a stale socket: got %v", err)
	}

	// Another listener has taken the path: Close must not remove it.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(t.Context(), addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("closing the first listener took the second's socket away: %v", err)
	}
	_ = second.Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Listen(t.Context(), addr, nil)
	wantError(t, err, OpListen, NotSocket, "not a socket")
	if data, _ := os.ReadFile(path); string(data) != "precious" {
		t.Error("the file was touched")
	}
}

func TestListenAbstract(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	addr := "unix:%40mqtools-test-" + strconv.Itoa(os.Getpid())
	ln, err := Listen(t.Context(), addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	target, err := ParseURL(addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Dialer{}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = ln.Close()
}
