package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDialTCP(t *testing.T) {
	port := serve(t, func(c net.Conn) { _, _ = c.Write([]byte{'!'}) })
	for _, d := range []Dialer{{}, {LocalAddr: "127.0.0.1"}, {LocalAddr: "127.0.0.1:0", Delay: true}, {LocalAddr: "localhost"}, {Timeout: -1}} {
		ctx, cancel := context.WithCancel(t.Context())
		c, err := d.Dial(ctx, &Target{Network: "tcp", Host: "127.0.0.1", Port: port})
		cancel() // has no effect any more
		if err != nil {
			t.Fatalf("%+v: got %v", d, err)
		}
		if err := readByte(c); err != nil {
			t.Errorf("%+v: read: got %v", d, err)
		}
		_ = c.Close()
	}
}

// The error gives the limit as it was set, whenever the clock was read.
func TestTheReportedTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, late, want time.Duration }{
		{10 * time.Second, 9 * time.Millisecond, 10 * time.Second},
		{10*time.Second - time.Microsecond, 0, 10 * time.Second}, // the caller's, which has started earlier
		{1500 * time.Millisecond, time.Second, 1500 * time.Millisecond},
		{127345 * time.Millisecond, 0, 130 * time.Second},
		{34 * time.Millisecond, 0, 34 * time.Millisecond},
		{time.Hour, -time.Hour + 1234*time.Millisecond, 1200 * time.Millisecond}, // it failed before the limit
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), c.limit)
			defer cancel()
			time.Sleep(c.limit + c.late)
			if got := spent(ctx, start); got != c.want {
				t.Errorf("%v, %v late: %v, want %v", c.limit, c.late, got, c.want)
			}
		})
	}
}

// A broker may listen on only one of localhost's addresses.
func TestDialLocalhost(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err) // no IPv6 here
			continue
		}
		port := ln.Addr().(*net.TCPAddr).Port
		c, err := (&Dialer{}).Dial(t.Context(), &Target{Network: "tcp", Host: "localhost", Port: port})
		if err != nil {
			t.Errorf("listener at %s: got %v", addr, err)
		} else {
			if got := c.RemoteAddr().String(); got != ln.Addr().String() {
				t.Errorf("listener at %s: connected to %s", addr, got)
			}
			_ = c.Close()
		}
		_ = ln.Close()
	}
	// The local address decides which of the two is meant, even if both have
	// listeners.
	for _, from := range []string{"127.0.0.1", "::1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(from, "0"))
		if err != nil {
			t.Logf("%s: %v", from, err)
			continue
		}
		nd := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := (&Dialer{}).dial(t.Context(), nd, &Target{Network: "tcp", Host: "localhost", Port: ln.Addr().(*net.TCPAddr).Port})
		if err != nil {
			t.Errorf("from %s: %v", from, err)
		} else {
			_ = c.Close()
		}
		_ = ln.Close()
	}
	_, err := (&Dialer{}).Dial(t.Context(), &Target{Network: "tcp", Host: "localhost", Port: unusedPort(t)})
	wantError(t, err, OpConnect, Refused, "cannot connect to localhost:", "(127.0.0.1:", "connection refused")
}

// TestFamily: both addresses of localhost have a listener with the same port where the system
// allows it, and the family decides.
func TestFamily(t *testing.T) {
	four, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer four.Close()
	port := four.Addr().(*net.TCPAddr).Port
	six, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port)))
	if err != nil {
		t.Skip(err)
	}
	defer six.Close()
	for _, c := range []struct {
		family     int
		host, want string
	}{
		{0, "localhost", "[::1]"}, {4, "localhost", "127.0.0.1"}, {6, "localhost", "[::1]"},
		{4, "127.0.0.1", "127.0.0.1"}, {6, "::1", "[::1]"}, {6, "127.0.0.1", ""}, {4, "::1", ""},
	} {
		d, target := &Dialer{Family: c.family}, &Target{Network: "tcp", Host: c.host, Port: port}
		conn, err := d.Dial(t.Context(), target)
		all, listErr := d.Addresses(t.Context(), target)
		if c.want == "" {
			wantError(t, err, OpConnect, AddrNotAvailable, fmt.Sprint("no IPv", c.family, " address"))
			wantError(t, listErr, OpConnect, AddrNotAvailable, fmt.Sprint("no IPv", c.family, " address"))
			continue
		}
		if err != nil || listErr != nil {
			t.Errorf("%d, %s: %v, %v", c.family, c.host, err, listErr)
			continue
		}
		want := fmt.Sprint(c.want, ":", port)
		if got := conn.RemoteAddr().String(); got != want {
			t.Errorf("%d, %s: connected to %s, want %s", c.family, c.host, got, want)
		}
		if c.family != 0 && (len(all) != 1 || all[0].String() != want) {
			t.Errorf("%d, %s: addresses %v, want %s", c.family, c.host, all, want)
		}
		_ = conn.Close()
	}
}

func TestDialRefused(t *testing.T) {
	port := unusedPort(t)
	_, err := (&Dialer{}).Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: port})
	e := wantError(t, err, OpConnect, Refused, "cannot connect to 127.0.0.1:", "connection refused")
	if !e.Temporary() || e.Timeout() {
		t.Errorf("got temporary %v timeout %v", e.Temporary(), e.Timeout())
	}
}

func TestDialNotFound(t *testing.T) {
	// RFC 6761: this name never exists. Without a name service the lookup
	// fails.
	_, err := (&Dialer{Timeout: 5 * time.Second}).Dial(t.Context(), &Target{Network: "tcp", Host: "broker.invalid", Port: 1883})
	var e *Error
	if !errors.As(err, &e) || e.Op != OpLookup || !strings.Contains(err.Error(), `cannot resolve "broker.invalid"`) {
		t.Fatalf("got %v, want a lookup error with the name", err)
	}
	if e.Kind != NotFound && e.Kind != LookupFailed && e.Kind != Timeout {
		t.Errorf("got kind %q", e.Kind)
	}
}

func TestLookupErrors(t *testing.T) {
	for _, c := range []struct {
		it   string
		dns  net.DNSError
		kind Kind
		text string
	}{
		{"knows a missing name", net.DNSError{Err: "no such host", IsNotFound: true}, NotFound, `cannot resolve "localhost": no such host`},
		{"knows a slow server", net.DNSError{Err: "i/o timeout", IsTimeout: true}, Timeout, "timed out after 2s"},
		{"knows a broken server", net.DNSError{Err: "server misbehaving", IsTemporary: true}, LookupFailed, "server misbehaving"},
	} {
		err := connectError(t.Context(), loopback(1, false), &net.OpError{Op: "dial", Err: &c.dns}, 2*time.Second)
		wantError(t, err, OpLookup, c.kind, c.text)
	}
}

func TestDialCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&Dialer{}).Dial(ctx, &Target{Network: "tcp", Host: "127.0.0.1", Port: unusedPort(t)})
	wantError(t, err, OpConnect, Canceled, "canceled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("errors.Is(%v, context.Canceled) is false", err)
	}
}

func TestDialDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	_, err := (&Dialer{}).Dial(ctx, &Target{Network: "tcp", Host: "127.0.0.1", Port: unusedPort(t)})
	e := wantError(t, err, OpConnect, Timeout, "timed out") // without a duration if the clock did not advance
	if !e.Timeout() || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v (inner %v), want a timeout", err, e.Err)
	}
}

func TestDialBadLocalAddr(t *testing.T) {
	var e *Error
	_, err := (&Dialer{LocalAddr: "missing.invalid", Timeout: 5 * time.Second}).Dial(t.Context(), loopback(1, false))
	if !errors.As(err, &e) || e.Op != OpLookup || !strings.Contains(err.Error(), `cannot resolve "missing.invalid"`) {
		t.Errorf("a name that does not exist: got %v", err)
	}
	_, err = (&Dialer{LocalAddr: "::1"}).Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: 1})
	wantError(t, err, OpConnect, AddrNotAvailable, "same family")
	_, err = (&Dialer{LocalAddr: "192.0.2.77"}).Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: 1})
	wantError(t, err, OpConnect, AddrNotAvailable)
}

func TestDialUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("socket files differ")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	target := &Target{Network: "unix", Path: path}

	_, err := (&Dialer{}).Dial(t.Context(), target)
	wantError(t, err, OpConnect, SocketMissing, path, "no such socket")

	ln, err := Listen(t.Context(), target.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&Dialer{LocalAddr: "127.0.0.1"}).Dial(t.Context(), target)
	if err != nil {
		t.Fatalf("got %v", err)
	}
	_ = c.Close()
	_ = ln.Close()

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = (&Dialer{}).Dial(t.Context(), target)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Refused && e.Kind != NotSocket {
		t.Errorf("a plain file: got %v", err)
	}

	long := filepath.Join(dir, strings.Repeat("x", 200))
	_, err = (&Dialer{}).Dial(t.Context(), &Target{Network: "unix", Path: long})
	wantError(t, err, OpConnect, PathTooLong, "the system's limit is")
	_, err = Listen(t.Context(), "unix://"+long, nil)
	wantError(t, err, OpListen, PathTooLong)

	if os.Getuid() != 0 {
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
		_, err = (&Dialer{}).Dial(t.Context(), target)
		wantError(t, err, OpConnect, Permission)
		_ = os.Chmod(dir, 0o700)
	}
}

func TestDialLongestUnixPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("socket files differ")
	}
	t.Chdir(t.TempDir())
	ln, err := Listen(t.Context(), "unix:"+strings.Repeat("x", maxPath), nil)
	if err != nil {
		t.Fatalf("a path at the limit: got %v", err)
	}
	_ = ln.Close()
}

func TestDialSilentPeer(t *testing.T) {
	ctx, port := silent(t)
	_, err := (&Dialer{}).Dial(ctx, loopback(port, true))
	e := wantError(t, err, OpTLS, Timeout, " accepted the connection and stayed silent for ")
	if e.Hint == "" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got hint %q inner %v", e.Hint, e.Err)
	}
}

// Timeout also limits everything after the connection. The test does not depend
// on how far a busy machine has got.
func TestDialTimesOut(t *testing.T) {
	port := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for it, target := range map[string]*Target{"TLS": loopback(port, true), "WebSocket": {Network: "tcp", Host: "localhost", Port: port, WebSocket: true, Resource: "/"}} {
		if _, err := (&Dialer{Timeout: 50 * time.Millisecond}).Dial(t.Context(), target); !errors.Is(err, Timeout) {
			t.Errorf("%s: got %v", it, err)
		}
	}
	for _, scheme := range []string{"socks5h", "http"} {
		p := &Proxy{Kind: scheme, Host: "localhost", Port: port}
		if _, err := (&Dialer{Proxy: p, Timeout: 50 * time.Millisecond}).Dial(t.Context(), &Target{Network: "tcp", Host: "h", Port: 1}); !errors.Is(err, Timeout) {
			t.Errorf("%s: got %v", scheme, err)
		}
	}
}

func TestDialCanceledInHandshake(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	port := serve(t, func(c net.Conn) {
		_ = readByte(c) // of the ClientHello
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	_, err := (&Dialer{}).Dial(ctx, loopback(port, true))
	wantError(t, err, OpTLS, Canceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("errors.Is(%v, context.Canceled) is false", err)
	}
}

func TestDialReportsWhenTheStreamIsOpen(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	opened := 0
	d := Dialer{Opened: func() { opened++; ln.Close() }, TLS: &TLSOptions{Insecure: true}}
	// After that comes the handshake, which is not answered.
	_, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, TLS: true})
	if err == nil || opened != 1 {
		t.Errorf("%v, opened %d times", err, opened)
	}
	_, err = d.Dial(t.Context(), &Target{Network: "tcp", Host: "127.0.0.1", Port: unusedPort(t)})
	if err == nil || opened != 1 {
		t.Errorf("refused: %v, opened %d times", err, opened)
	}
}

func TestAddressesAreWhatDialTries(t *testing.T) {
	for host, want := range map[string]string{
		"localhost": "[[::1]:1883 127.0.0.1:1883]",
		"192.0.2.7": "[192.0.2.7:1883]",
		"fe80::1%1": "[[fe80::1%1]:1883]",
	} {
		got, err := (&Dialer{}).Addresses(t.Context(), &Target{Network: "tcp", Host: host, Port: 1883})
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	refusing := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, syscall.ECONNREFUSED
	}}
	_, err := (&Dialer{Resolver: refusing}).Addresses(t.Context(), &Target{Network: "tcp", Host: "broker.invalid", Port: 1})
	wantError(t, err, OpLookup, LookupFailed, "broker.invalid")
}

func TestASystemErrorNamesItsOperation(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its error numbers have other names")
	}
	target := &Target{Network: "tcp", Host: "192.0.2.7", Port: 1883}
	if e := SystemError(OpStream, target, syscall.ECONNRESET); e.Kind != Reset || !strings.HasPrefix(e.Error(), "connection to 192.0.2.7:1883: ") {
		t.Errorf("%v", e)
	}
	if e := SystemError(OpStream, target, syscall.ETIMEDOUT); e.Kind != Timeout || e.Error() != "connection to 192.0.2.7:1883: timed out" {
		t.Errorf("it contains a duration that was not measured: %v", e)
	}
	if e := SystemError(OpConnect, target, syscall.EMFILE); e.Kind != TooManyFiles || e.Hint == "" || !strings.HasPrefix(e.Error(), "cannot connect to ") {
		t.Errorf("%v", e)
	}
}
