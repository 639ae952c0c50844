package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestOriginsOfThisMachineAndThoseAllowedMayConnect(t *testing.T) {
	t.Parallel()
	own := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 9001}
	own6 := &net.TCPAddr{IP: net.ParseIP("fe80::7"), Port: 9001, Zone: "eth0"}
	allowed := []string{"https://app.example", "http://Dev.example.:8080", "capacitor://app", "https://[2001:db8::0:1]"}
	for _, c := range []struct {
		origin string
		want   bool
	}{
		{"http://localhost", true},
		{"http://localhost:3000", true}, // of a development server
		{"https://LocalHost:3000", true},
		{"http://localhost.", true},
		{"http://app.localhost:5173", true},
		{"http://127.0.0.1", true},
		{"http://127.255.255.254:1", true},
		{"http://[::1]:8080", true},
		{"http://[0:0:0:0:0:0:0:1]", true},
		{"http://[::ffff:127.0.0.1]", true},
		{"http://192.0.2.7", true},
		{"https://192.0.2.7:65535", true},
		{"http://broker.lan:8080", true}, // the name of the listener
		{"http://BROKER.lan.", true},
		{"capacitor://localhost", true},
		{"https://app.example", true},
		{"HTTPS://APP.EXAMPLE.", true},
		{"https://app.example:443", true},
		{"http://dev.example:8080", true},
		{"capacitor://app", true},
		{"https://[2001:db8::1]", true},

		{"https://evil.example", false},
		{"http://app.example", false}, // another scheme is another origin
		{"https://app.example:8443", false},
		{"https://sub.app.example", false},
		{"http://dev.example", false},
		{"http://dev.example:80", false},
		{"http://localhost.evil.example", false},
		{"http://evillocalhost", false},
		{"http://localhost@evil.example", false},
		{"http://localhost:80@evil.example", false},
		{"http://evil.example#localhost", false},
		{"http://evil.example/localhost", false},
		{"http://evil.example?.localhost", false},
		{"http://evil.example\\.localhost", false},
		{"http://evil.example%2f.localhost", false},
		{"http://evil.example http://localhost", false},
		{"http://localhost http://evil.example", false},
		{"http://localhost, http://evil.example", false},
		{"http://127.0.0.1.evil.example", false},
		{"http://128.0.0.1", false},
		{"http://126.255.255.255", false},
		{"http://127.1.evil", false},
		{"http://[::2]", false},
		{"http://[::1", false},
		{"http://[::1]evil.example", false},
		{"http://::1", false},
		{"http://[::1%25eth0]", false},
		{"http://0.0.0.0", false},
		{"http://192.0.2.8", false},
		{"http://192.168.0.1", false}, // a neighbor is not this machine
		{"http://10.0.0.1", false},
		{"http://169.254.1.1", false},
		{"http://[fd00::1]", false},
		{"http://192.0.2.70", false},
		{"http://broker.lan.evil.example", false},
		{"http://localho\u017ft", false}, // a long s folds to s
		{"http://.localhost", false},
		{"http://", false},
		{"http://:80", false},
		{"http://.", false},
		{"http://localhost:", false},
		{"http://localhost:0", false},
		{"http://localhost:65536", false},
		{"http://localhost:+80", false},
		{"localhost", false},
		{"//localhost", false},
		{"://localhost", false},
		{"1http://localhost", false},
		{"http:localhost", false},
		{"null", false},
		{"NULL", false},
		{"", false},
		{"*", false},
		{"file://", false},
	} {
		if got := mayConnect(c.origin, own, "broker.lan", allowed); got != c.want {
			t.Errorf("%q: got %v, want %v", c.origin, got, c.want)
		}
	}
	for _, c := range []struct {
		origin  string
		own     net.Addr
		name    string
		allowed []string
		want    bool
	}{
		{"http://[fe80::7]:80", own6, "", nil, true}, // a browser's origin has no zone
		{"http://192.0.2.7", &net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.7")}, "", nil, true},
		{"http://192.0.2.7", &net.UnixAddr{Name: "/x"}, "", nil, false},
		{"http://localhost", &net.UnixAddr{Name: "/x"}, "", nil, true},
		{"http://broker.lan", own, "", nil, false},
		{"null", own, "", []string{"null"}, true},
		{"https://evil.example", own, "", []string{"null"}, false},
		{"https://evil.example", own, "", []string{"*"}, true},
		{"null", own, "", []string{"*"}, true},
	} {
		if got := mayConnect(c.origin, c.own, c.name, c.allowed); got != c.want {
			t.Errorf("%q to %v of %q with %q: got %v, want %v", c.origin, c.own, c.name, c.allowed, got, c.want)
		}
	}
	for _, s := range allowed {
		if err := CheckOrigin(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"*", "null"} {
		if err := CheckOrigin(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{"", "app.example", "https://app.example/", "https://*.example", "https://a, https://b", "https://u@a"} {
		if err := CheckOrigin(s); err == nil || !strings.Contains(err.Error(), "scheme://host") {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

// askedFor sends a request for target with fields to a WebSocket listener on
// addr, and returns the answer and the error of its first Read.
func askedFor(t *testing.T, l ListenConfig, addr, target, fields string) (answer string, err error) {
	t.Helper()
	ln, lerr := l.Listen(t.Context(), addr)
	if lerr != nil {
		t.Fatal(lerr)
	}
	defer ln.Close()
	read := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		read <- err
	}()
	nc, derr := net.Dial("tcp", ln.Addr().String())
	if derr != nil {
		t.Fatal(derr)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	// A frame with one byte follows, so that Read has data.
	_, _ = io.WriteString(nc, "GET "+target+" HTTP/1.1\r\nHost: evil.example\r\n"+fields+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"+
		"\x82\x81\x00\x00\x00\x00\xc0")
	var b bytes.Buffer
	for !strings.Contains(b.String(), "\r\n\r\n") {
		if _, err := io.CopyN(&b, nc, 1); err != nil {
			break
		}
	}
	return b.String(), <-read
}

func TestAWebSocketListenerAsksWhosePageItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields  string
		allowed []string
		status  string
	}{
		{"", nil, "101"}, // not a browser
		{"Origin: http://127.0.0.1:5173\r\n", nil, "101"},
		{"origin:http://localhost\r\n", nil, "101"},
		{"Origin: https://evil.example\r\n", nil, "403"}, // although Host has the same name
		{"ORIGIN: https://evil.example\r\n", nil, "403"},
		{"Origin: \r\n", nil, "403"},
		{"Origin: null\r\n", nil, "403"},
		{"Origin: https://evil.example\r\n", []string{"https://evil.example"}, "101"},
		{"Origin: http://localhost\r\nOrigin: https://evil.example\r\n", nil, "400"},
	} {
		answer, err := askedFor(t, ListenConfig{Origins: c.allowed}, "ws://127.0.0.1:0", "/mqtt", c.fields)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status) {
			t.Errorf("%q: got %q, want %s", c.fields, answer, c.status)
		}
		if (err == nil) != (c.status == "101") {
			t.Errorf("%q: got %v", c.fields, err)
		}
		if c.status != "403" {
			continue
		}
		e := wantError(t, err, OpWebSocket, OriginRefused, "a web page of ", "may not connect")
		var from OriginError
		if !errors.As(err, &from) || !strings.Contains(c.fields, string(from)) {
			t.Errorf("%q: got %q in %v", c.fields, from, e)
		}
	}
	// The text with what a peer sent fits into one line of a log.
	_, err := askedFor(t, ListenConfig{}, "ws://127.0.0.1:0", "/mqtt", "Origin: http://"+strings.Repeat("x", 5000)+"\r\n")
	if e := wantError(t, err, OpWebSocket, OriginRefused); len(e.Error()) > 300 {
		t.Errorf("the text has %d bytes", len(e.Error()))
	}
}

func TestAListenerComparesThePathAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ addr, target, status string }{
		{"ws://127.0.0.1:0/mqtt", "/mqtt", "101"},
		{"ws://127.0.0.1:0/mqtt", "/mqtt?token=x", "101"},
		{"ws://127.0.0.1:0/mqtt", "/mqtt?", "101"},
		{"ws://127.0.0.1:0/mqtt", "/mqtt?a=/b?c", "101"},
		{"ws://127.0.0.1:0/mqtt", "/mqt%74", "101"},
		{"ws://127.0.0.1:0/mqt%74", "/mqtt?x", "101"},
		{"ws://127.0.0.1:0/a%2fb", "/a%2Fb", "101"},
		{"ws://127.0.0.1:0/mqtt", "http://h:9001/mqtt", "101"},
		{"ws://127.0.0.1:0/mqtt", "ws://h/mqtt?token=x", "101"},
		{"ws://127.0.0.1:0/", "/", "101"},
		{"ws://127.0.0.1:0/", "http://h", "101"},
		{"ws://127.0.0.1:0/", "http://h?x", "101"},
		{"ws://127.0.0.1:0", "/anything?x", "101"},
		{"ws://127.0.0.1:0", "http://h", "101"},

		{"ws://127.0.0.1:0/mqtt", "/", "404"},
		{"ws://127.0.0.1:0/mqtt", "/mqtt/", "404"},
		{"ws://127.0.0.1:0/mqtt", "/MQTT", "404"},
		{"ws://127.0.0.1:0/mqtt", "/mqttx", "404"},
		{"ws://127.0.0.1:0/mqtt", "/x?/mqtt", "404"},
		{"ws://127.0.0.1:0/mqtt", "/mqt%7", "404"},
		{"ws://127.0.0.1:0/mqtt", "http://h", "404"},
		{"ws://127.0.0.1:0/mqtt", "http://h?/mqtt", "404"},
		{"ws://127.0.0.1:0/a%2fb", "/a/b", "404"},
		{"ws://127.0.0.1:0/", "/mqtt", "404"},
		{"ws://127.0.0.1:0/mqtt", "mqtt", "400"},
		{"ws://127.0.0.1:0/mqtt", "*", "400"},
		{"ws://127.0.0.1:0", "h:9001", "400"},
		{"ws://127.0.0.1:0/mqtt", "/mqtt#x", "400"},
	} {
		answer, _ := askedFor(t, ListenConfig{}, c.addr, c.target, "")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status) {
			t.Errorf("%s asked for %q: got %.40q, want %s", c.addr, c.target, answer, c.status)
		}
	}
	_, err := ListenConfig{}.Listen(t.Context(), "ws://127.0.0.1:0/mqtt?token=x")
	wantError(t, err, OpURL, InvalidURL, "a query in an address to listen on")
}
