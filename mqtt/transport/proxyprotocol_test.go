package transport

import (
	"bytes"
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

const (
	proxy2 = "\r\n\r\n\x00\r\nQUIT\n"
	inet   = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x07\x5b" // 192.0.2.1:56324 to 198.51.100.1:1883
	inet6  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x07\x5b"
)

func unixPair(from, to string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", 108-len(s)) }
	return pad(from) + pad(to)
}

// proxyHeaders are headers with the client's address in them; "pipe" is the
// proxy's address.
var proxyHeaders = []struct{ it, bytes, from string }{
	{"takes TCP4", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n", "192.0.2.1:56324"},
	{"takes TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 1883\r\n", "[2001:db8::1]:56324"},
	{"takes the longest line", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"takes UNKNOWN", "PROXY UNKNOWN\r\n", "pipe"},
	{"takes UNKNOWN with anything", "PROXY UNKNOWN ffff::1 ? 65536 x\r\n", "pipe"},
	{"takes version 2 over IPv4", proxy2 + "\x21\x11\x00\x0c" + inet, "192.0.2.1:56324"},
	{"takes version 2 over IPv6", proxy2 + "\x21\x21\x00\x24" + inet6, "[2001:db8::1]:56324"},
	{"takes version 2 over a Unix socket", proxy2 + "\x21\x31\x00\xd8" + unixPair("/run/client", "/run/broker"), "/run/client"},
	{"takes version 2 over an abstract socket", proxy2 + "\x21\x31\x00\xd8" + unixPair("\x00client", "\x00broker"), "@client"},
	{"takes version 2 over a Unix socket without a name", proxy2 + "\x21\x31\x00\xd8" + unixPair("", "/run/broker"), ""},
	{"skips TLVs", proxy2 + "\x21\x11\x00\x14" + inet + "\x01\x00\x05mqtt!", "192.0.2.1:56324"},
	{"skips many TLVs", proxy2 + "\x21\x11\xff\xff" + inet + strings.Repeat("\x04", 0xffff-12), "192.0.2.1:56324"},
	{"takes LOCAL", proxy2 + "\x20\x00\x00\x00", "pipe"},
	{"takes LOCAL with addresses", proxy2 + "\x20\x11\x00\x0c" + inet, "pipe"},
	{"takes LOCAL with an unknown family", proxy2 + "\x20\x77\x00\x03abc", "pipe"},
	{"takes an unspecified family", proxy2 + "\x21\x00\x00\x03abc", "pipe"},
}

// throughProxy returns a connection that received parts, the last of which is
// "rest".
func throughProxy(t *testing.T, parts ...string) net.Conn {
	t.Helper()
	mine, theirs := net.Pipe()
	t.Cleanup(func() { _ = mine.Close() })
	go func() {
		for _, p := range parts {
			_, _ = io.WriteString(mine, p)
		}
		_ = mine.Close()
	}()
	return &proxyConn{prefixed: prefixed{Conn: theirs}}
}

func TestProxyHeader(t *testing.T) {
	for _, c := range proxyHeaders {
		all := c.bytes + "rest"
		ways := [][]string{{all}, {c.bytes, "rest"}}
		if len(all) < 1000 {
			ways = append(ways, strings.Split(all, ""))
		}
		for _, way := range ways {
			conn := throughProxy(t, way...)
			from := conn.RemoteAddr().String()
			if b, err := io.ReadAll(conn); from != c.from || string(b) != "rest" || err != nil {
				t.Errorf("it %s: in %d pieces: got %q, then %q, %v; want %q", c.it, len(way), from, b, err, c.from)
			}
		}
		// A truncated header is invalid.
		for n := range min(len(c.bytes), 300) {
			conn := throughProxy(t, c.bytes[:n])
			from := conn.RemoteAddr().String()
			_, err := io.ReadAll(conn)
			if n == 0 && err != nil || n > 0 && !errors.Is(err, ProxyFailed) || from != "pipe" {
				t.Errorf("it %s, cut after %d bytes: from %q, got %v", c.it, n, from, err)
			}
		}
	}
}

func TestProxyHeaderRefuses(t *testing.T) {
	for _, c := range []struct{ it, bytes, text string }{
		{"MQTT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", "this looks like MQTT"},
		{"TLS", "\x16\x03\x01\x02\x00\x01", "this looks like TLS"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "this looks like HTTP"},
		{"anything", "hello", "there is none"},
		{"a small word", "proxy TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n", "there is none"},
		{"another family", "PROXY UDP4 192.0.2.1 198.51.100.1 56324 1883\r\n", "not of version 1"},
		{"too few words", "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", "not of version 1"},
		{"two spaces", "PROXY TCP4  192.0.2.1 198.51.100.1 56324 1883\r\n", "not of version 1"},
		{"an address of IPv6 in TCP4", "PROXY TCP4 2001:db8::1 198.51.100.1 56324 1883\r\n", "bad address"},
		{"an address of IPv4 in TCP6", "PROXY TCP6 2001:db8::1 198.51.100.1 56324 1883\r\n", "bad address"},
		{"a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 56324 1883\r\n", "bad address"},
		{"a port of more", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 1883\r\n", "bad address"},
		{"a port with a zero", "PROXY TCP4 192.0.2.1 198.51.100.1 056 1883\r\n", "bad address"},
		{"a bad port of the destination", "PROXY TCP4 192.0.2.1 198.51.100.1 56 -1\r\n", "bad address"},
		{"a line of more than 107 bytes", "PROXY UNKNOWN" + strings.Repeat("x", 93) + "\r\n", "does not end"},
		{"version 1 in version 2", proxy2 + "\x11\x11\x00\x0c" + inet, "0x11"},
		{"an unknown command", proxy2 + "\x22\x11\x00\x0c" + inet, "0x22"},
		{"an unknown family", proxy2 + "\x21\x41\x00\x0c" + inet, "0x41"},
		{"an unknown transport", proxy2 + "\x21\x13\x00\x0c" + inet, "0x13"},
		{"too few bytes for IPv4", proxy2 + "\x21\x11\x00\x0b" + inet[:11], "too few"},
		{"too few bytes for IPv6", proxy2 + "\x21\x21\x00\x0c" + inet, "too few"},
		{"too few bytes for Unix", proxy2 + "\x21\x31\x00\xd7" + unixPair("a", "b")[:215], "too few"},
	} {
		conn := throughProxy(t, c.bytes)
		for range 2 { // the error persists
			_, err := conn.Read(make([]byte, 10))
			wantError(t, err, OpProxy, ProxyFailed, c.text)
		}
		if from := conn.RemoteAddr().String(); from != "pipe" {
			t.Errorf("%s: from %q", c.it, from)
		}
	}
}

func TestProxyHeaderHasATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		defer mine.Close()
		start := time.Now()
		conn := &proxyConn{prefixed: prefixed{Conn: theirs}}
		go func() { _, _ = io.WriteString(mine, "PROXY TCP4 ") }()
		_, err := conn.Read(make([]byte, 1))
		wantError(t, err, OpProxy, ProxyFailed, "in time")
		if d := time.Since(start); d != 5*time.Second || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("failed after %v with %v", d, err)
		}
	})
	// The user's deadline applies if it is earlier, and is restored afterwards.
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		defer mine.Close()
		start := time.Now()
		conn := &proxyConn{prefixed: prefixed{Conn: theirs}}
		_ = conn.SetDeadline(start.Add(time.Second))
		_ = conn.RemoteAddr()
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v for the header", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		defer mine.Close()
		start := time.Now()
		conn := &proxyConn{prefixed: prefixed{Conn: theirs}}
		_ = conn.SetDeadline(start.Add(time.Minute))
		go func() { _, _ = io.WriteString(mine, "PROXY UNKNOWN\r\n") }()
		_, err := conn.Read(make([]byte, 1))
		if d := time.Since(start); d != time.Minute || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("failed after %v with %v", d, err)
		}
	})
}

// The header comes before TLS and before the upgrade to WebSocket.
func TestListenBehindAProxy(t *testing.T) {
	certs := certtest.New(t)
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		l := ListenConfig{ProxyProtocol: true}
		if strings.HasSuffix(scheme, "s") && scheme != "ws" {
			l.TLS = certs.ServerConfig()
		}
		ln, err := l.Listen(t.Context(), scheme+"://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 2)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				got <- err.Error()
				return
			}
			b := make([]byte, 5)
			_, _ = io.ReadFull(c, b)
			got <- c.RemoteAddr().String() + " " + string(b)
			_ = c.Close()
		}()
		to := TargetFor(ln)
		raw, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(raw, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n")
		conn := raw
		if l.TLS != nil {
			conn = tls.Client(conn, certs.ClientConfig())
		}
		if to.WebSocket {
			if conn, err = (&Dialer{}).upgrade(t.Context(), conn, to, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.WriteString(conn, "hello")
		if s := <-got; s != "192.0.2.1:56324 hello" {
			t.Errorf("%s: got %q", scheme, s)
		}
		_, _ = conn.Close(), ln.Close()
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, c := range proxyHeaders {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		from, size, err := parseProxy(b)
		if err != nil {
			return
		}
		if size == 0 {
			if len(b) >= proxyFixed+2*proxyUnix {
				t.Errorf("%q: not enough bytes to decide", b)
			}
			return
		}
		// What follows does not matter, and no shorter prefix is a whole
		// header.
		again, n, err := parseProxy(append(bytes.Clone(b), "rest"...))
		if err != nil || n != size || (again == nil) != (from == nil) || from != nil && again.String() != from.String() {
			t.Errorf("%q: %v, %d; with more bytes %v, %d, %v", b, from, size, again, n, err)
		}
	})
}
