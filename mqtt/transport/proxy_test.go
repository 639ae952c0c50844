package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestParseProxy(t *testing.T) {
	for _, c := range []struct {
		url  string
		want Proxy
		text string
	}{
		{"socks5h://h", Proxy{Kind: "socks5h", Host: "h", Port: 1080}, "socks5h://h:1080"},
		{"SOCKS5://[::1]:9/", Proxy{Kind: "socks5", Host: "::1", Port: 9}, "socks5://[::1]:9"},
		{"http://u:p%40@h", Proxy{Kind: "http", Host: "h", Port: 8080, Username: "u", Password: "p@", HasUsername: true}, "http://***@h:8080"},
		{"https://u@h", Proxy{Kind: "https", Host: "h", Port: 443, Username: "u", HasUsername: true}, "https://***@h:443"},
	} {
		got, err := ParseProxy(c.url)
		if err != nil || *got != c.want || got.String() != c.text {
			t.Errorf("%s: got %#v, %v, want %s", c.url, got, err, c.text)
		}
	}
	for _, c := range []struct {
		url  string
		kind Kind
		text string
	}{
		{"h:1080", InvalidURL, "no scheme"},
		{"socks4://h", UnsupportedScheme, `unknown kind of proxy "socks4"`},
		{"http://h/x", InvalidURL, "path"},
		{"http://h:0", InvalidURL, "port"},
		{"http://", InvalidURL, "no host"},
		{"http://u:hunter2/@h", InvalidURL, "path"},
		{"http://u:%zzhunter2@h", InvalidURL, "percent-encoding"},
		{"socks5://u:" + strings.Repeat("x", 256) + "@h", InvalidURL, "255"},
	} {
		_, err := ParseProxy(c.url)
		e := wantError(t, err, OpURL, c.kind, c.text)
		if strings.Contains(fmt.Sprintf("%v %+v", err, *e), "hunter2") {
			t.Errorf("%s: the password is in %v", c.url, err)
		}
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	target := func(s string) *Target {
		u, err := ParseURL(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, c := range []struct {
		no, target string
		want       bool
	}{
		{"", "mqtt://h", true},
		{"*", "mqtt://h", false},
		{"", "mqtt://localhost", false},
		{"", "mqtt://127.0.0.9", false},
		{"", "mqtt://[::1]", false},
		{"", "unix:///x", false},
		{"other, h", "mqtt://h", false},
		{"example.com", "mqtt://broker.example.com", false},
		{".example.com", "mqtt://broker.Example.com.", false},
		{"*.example.com", "mqtt://broker.example.com", false},
		{"ample.com", "mqtt://example.com", true},
		{"h:1883", "mqtt://h", false},
		{"h:1883", "mqtt://h:1884", true},
		{"10.0.0.0/8", "mqtt://10.1.2.3", false},
		{"10.0.0.0/8", "mqtt://11.1.2.3", true},
		{"2001:db8::1", "mqtt://[2001:db8::1]", false},
		{"[2001:db8::1]:1883", "mqtt://[2001:db8::1]", false},
		{"192.0.2.1", "mqtt://192.0.2.1", false},
		{",,", "mqtt://h", true},
	} {
		env := map[string]string{"all_proxy": "socks5h://p", "NO_PROXY": c.no}
		lookup := func(n string) (string, bool) { v, ok := env[n]; return v, ok }
		if p, err := ProxyFromEnvironment(lookup, target(c.target)); err != nil || (p != nil) != c.want {
			t.Errorf("NO_PROXY=%s %s: got %v, %v", c.no, c.target, p, err)
		}
	}
	if p, err := ProxyFromEnvironment(func(string) (string, bool) { return "", false }, target("mqtt://h")); p != nil || err != nil {
		t.Errorf("no variable: got %v, %v", p, err)
	}
	if _, err := ProxyFromEnvironment(func(string) (string, bool) { return "x", true }, target("mqtt://h")); err == nil {
		t.Error("a bad ALL_PROXY: no error")
	}
}

// dialogue plays the server's side of a handshake: it reads what is expected
// and writes the answer, in turn, then echoes.
func dialogue(t *testing.T, turns ...string) int {
	return serve(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		for i, turn := range turns {
			if i%2 == 1 {
				_, _ = io.WriteString(c, turn)
				continue
			}
			got := make([]byte, len(turn))
			if n, err := io.ReadFull(c, got); string(got[:n]) != turn {
				t.Errorf("the proxy got %q, %v, want %q", got[:n], err, turn)
				return
			}
		}
		_, _ = io.Copy(c, c)
	})
}

// The bytes of SOCKS 5 follow RFC 1928 and 1929.
const (
	socksHello    = "\x05\x01\x00"
	socksNoAuth   = "\x05\x00"
	socksHelloPw  = "\x05\x02\x00\x02"
	socksWantPw   = "\x05\x02"
	socksUser     = "\x01\x01u\x02pw"
	socksUserOK   = "\x01\x00"
	socksConnect  = "\x05\x01\x00\x03\x06broker\x07\x5b" // port 1883
	socksConnect4 = "\x05\x01\x00\x01\x7f\x00\x00\x01\x07\x5b"
	socksDone     = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
)

func TestProxies(t *testing.T) {
	for _, c := range []struct {
		it, scheme, host string
		turns            []string
		kind             Kind
		text, hint       string
		temporary        bool
	}{
		{"socks5h has the proxy look up", "socks5h://", "broker", []string{socksHello, socksNoAuth, socksConnect, socksDone}, 0, "", "", false},
		{"socks5 looks up itself", "socks5://", "127.0.0.1", []string{socksHello, socksNoAuth, socksConnect4, socksDone}, 0, "", "", false},
		{"socks5h authenticates", "socks5h://u:pw@", "broker", []string{socksHelloPw, socksWantPw, socksUser, socksUserOK, socksConnect, socksDone}, 0, "", "", false},
		{"a refused password", "socks5h://u:pw@", "broker", []string{socksHelloPw, socksWantPw, socksUser, "\x01\x01"}, ProxyFailed, "authentication failed", "check user and password", false},
		{"authentication that is wanted", "socks5h://", "broker", []string{socksHello, "\x05\xff"}, ProxyFailed, "authentication", "socks5h://user:password@host", false},
		{"a broker that is down", "socks5h://", "broker", []string{socksHello, socksNoAuth, socksConnect, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"}, ProxyFailed, "no connection to broker:1883: connection refused", "", true},
		{"a rule against it", "socks5h://", "broker", []string{socksHello, socksNoAuth, socksConnect, "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"}, ProxyFailed, "no connection to broker:1883: connection not allowed", "", false},
		{"HTML instead of SOCKS", "socks5h://", "broker", []string{socksHello, "HTTP/1.1 400 Bad Request\r\n\r\n<html>"}, ProxyFailed, "does not speak SOCKS 5", "port", false},
		{"CONNECT", "http://", "broker", []string{"CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\n"}, 0, "", "", false},
		{"CONNECT with a password", "http://u:pw@", "broker", []string{"CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\nProxy-Authorization: Basic dTpwdw==\r\n\r\n", "HTTP/1.0 200 OK\r\nX: y\r\n\r\n"}, 0, "", "", false},
		{"a password that is wanted", "http://", "broker", []string{"CONNECT ", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"}, ProxyFailed, "answers 407 Proxy Authentication Required", "http://user:password@host", false},
		{"a password that is wrong", "http://u:pw@", "broker", []string{"CONNECT ", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"}, ProxyFailed, "answers 407", "check user and password", false},
		{"a password that is wrong, as tinyproxy says it", "http://u:pw@", "broker", []string{"CONNECT ", "HTTP/1.0 401 Unauthorized\r\n\r\n"}, ProxyFailed, "answers 401 Unauthorized", "check user and password", false},
		{"a port that is forbidden", "http://", "broker", []string{"CONNECT ", "HTTP/1.1 403 Forbidden\r\n\r\n<html>"}, ProxyFailed, "answers 403 Forbidden", "443", false},
		{"a gateway error", "http://", "broker", []string{"CONNECT ", "HTTP/1.1 502 Bad Gateway\r\n\r\n"}, ProxyFailed, "answers 502", "", true},
		{"a peer that is no HTTP proxy", "http://", "broker", []string{"CONNECT ", "\x20\x02\x00\x00 and more"}, ProxyFailed, "the peer speaks MQTT, not HTTP (it answered", "port", false},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			port := dialogue(t, c.turns...)
			p, err := ParseProxy(c.scheme + fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			conn, err := (&Dialer{Proxy: p}).Dial(t.Context(), &Target{Network: "tcp", Host: c.host, Port: 1883})
			if c.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_, _ = conn.Write([]byte("ping"))
				b := make([]byte, 4)
				if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
					t.Errorf("through the proxy: %q, %v", b, err)
				}
				// Without a half-close a client's last packet could be lost.
				if half, ok := conn.(halfCloser); !ok || half.CloseWrite() != nil {
					t.Fatalf("%T does not close one side", conn)
				}
				if _, err := conn.Read(b); err != io.EOF {
					t.Errorf("after closing our side: %v, want the end", err)
				}
				return
			}
			e := wantError(t, err, OpProxy, c.kind, c.text)
			if !strings.Contains(e.Hint, c.hint) || e.Temporary() != c.temporary {
				t.Errorf("got hint %q, temporary %v", e.Hint, e.Temporary())
			}
			if strings.Contains(err.Error(), "pw") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
	for _, scheme := range []string{"socks5h", "http"} {
		t.Run("silence of "+scheme, func(t *testing.T) {
			t.Parallel()
			ctx, port := silent(t)
			p := &Proxy{Kind: scheme, Host: "127.0.0.1", Port: port}
			_, err := (&Dialer{Proxy: p}).Dial(ctx, &Target{Network: "tcp", Host: "h", Port: 1})
			wantError(t, err, OpProxy, Timeout, "no answer from the proxy within")
		})
		t.Run("no "+scheme, func(t *testing.T) {
			t.Parallel()
			p := &Proxy{Kind: scheme, Host: "127.0.0.1", Port: unusedPort(t)}
			_, err := (&Dialer{Proxy: p}).Dial(t.Context(), &Target{Network: "tcp", Host: "h", Port: 1})
			if e := wantError(t, err, OpConnect, Refused); !strings.Contains(e.Hint, "check the proxy") {
				t.Errorf("got hint %q", e.Hint)
			}
		})
	}
}

// Bytes that follow the proxy's answer belong to the stream.
func TestBytesBehindTheTunnelsAnswerAreKept(t *testing.T) {
	port := dialogue(t, "CONNECT ", "HTTP/1.1 200 OK\r\n\r\nearly")
	conn, err := (&Dialer{Proxy: &Proxy{Kind: "http", Host: "127.0.0.1", Port: port}}).Dial(t.Context(), &Target{Network: "tcp", Host: "h", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "early" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
}

// TLS and WebSocket work through a proxy, and verify the broker, not the proxy.
func TestTLSThroughAProxy(t *testing.T) {
	certs := certtest.New(t)
	broker := serveTLS(t, certs.ServerConfig())
	through := serve(t, func(c net.Conn) {
		head, _, err := readHead(c)
		if err != nil || head.method != "CONNECT" {
			t.Errorf("got %+v, %v", head, err)
			return
		}
		out, err := net.Dial("tcp", head.resource)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, c); _ = out.Close() }()
		_, _ = io.Copy(c, out)
	})
	d := Dialer{Proxy: &Proxy{Kind: "http", Host: "127.0.0.1", Port: through}, TLS: &TLSOptions{CAFile: certs.CA.CertFile}}
	conn, err := d.Dial(t.Context(), loopback(broker, true))
	if err != nil {
		t.Fatal(err)
	}
	if err := readByte(conn); err != nil {
		t.Error(err)
	}
	if !Relayed(conn) {
		t.Error("TLS through a proxy is said to be direct")
	}
	_ = conn.Close()
	d.TLS = &TLSOptions{CAFile: certs.OtherCA.CertFile}
	_, err = d.Dial(t.Context(), loopback(broker, true))
	wantError(t, err, OpTLS, UnknownAuthority)
}

func TestProxyCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no shell")
	}
	target := &Target{Network: "tcp", Host: "broker.example", Port: 1883}
	conn, err := (&Dialer{Command: "echo %h:%p %%; cat"}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if !Relayed(conn) {
		t.Error("a command is said to be direct")
	}
	want := "broker.example:1883 %\nping"
	go func() { _, _ = conn.Write([]byte("ping")) }()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != want {
		t.Errorf("got %q, %v", b, err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(b); err != io.EOF {
		t.Errorf("at its end: %v, want EOF", err)
	}
	_ = conn.Close()

	conn, err = (&Dialer{Command: "exit 3"}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(b)
	wantError(t, err, OpProxy, ProxyFailed, "ended with exit status 3")
	_ = conn.Close()

	conn, err = (&Dialer{Command: "cat"}).Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := conn.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
	_ = conn.Close() // ends cat

	for command, text := range map[string]string{"nc %x": "%x is neither", "nc %": "lone %"} {
		_, err := (&Dialer{Command: command}).Dial(t.Context(), target)
		wantError(t, err, OpProxy, ProxyFailed, text)
	}
	_, err = (&Dialer{Command: "nc %h"}).Dial(t.Context(), &Target{Network: "tcp", Host: "-oProxy", Port: 1})
	wantError(t, err, OpProxy, ProxyFailed, "begins with a hyphen")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (&Dialer{Command: "cat"}).Dial(ctx, target); err == nil {
		t.Error("started under a cancelled context")
	}
	if got := shellQuote("a'b $(x)"); got != `'a'\''b $(x)'` {
		t.Errorf("quoted %s", got)
	}
}

// A proxy that goes down is not taken for another kind of server: retrying may
// help.
func TestAProxyThatResetsIsTemporary(t *testing.T) {
	for _, scheme := range []string{"socks5h", "http"} {
		port := serve(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1)) // the rest is unread, which causes a reset
			_ = c.(*net.TCPConn).SetLinger(0)
		})
		_, err := (&Dialer{Proxy: &Proxy{Kind: scheme, Host: "127.0.0.1", Port: port}}).Dial(t.Context(), &Target{Network: "tcp", Host: "broker", Port: 1883})
		if e := wantError(t, err, OpProxy, ProxyFailed, "the proxy closed the connection"); !e.Temporary() {
			t.Errorf("%s: %v is permanent", scheme, err)
		}
	}
}
