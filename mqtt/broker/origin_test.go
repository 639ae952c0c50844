package broker_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestARefusedOriginIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var j journal
	b := broker.New(broker.Options{Log: j.log})
	ln, err := transport.Listen(t.Context(), "ws://127.0.0.1:0/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Serve(ln) }()
	ask := func(origin string) string {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(nc, "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", origin)
		_ = nc.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(nc)
		status, _, _ := strings.Cut(string(got), "\r\n")
		return status
	}
	for range 3 {
		for _, origin := range []string{"https://evil.example", "null"} {
			if got := ask(origin); got != "HTTP/1.1 403 Forbidden" {
				t.Errorf("%s: got %q", origin, got)
			}
		}
	}
	if got := ask("http://localhost:3000"); got != "HTTP/1.1 101 Switching Protocols" {
		t.Errorf("a page of this machine: got %q", got)
	}
	for i := range 200 { // strangers must fill neither the memory nor the log
		_ = ask(fmt.Sprintf("https://%d.example", i))
	}
	closeBroker(t, b)
	<-done
	var logged []string
	for _, line := range j.of(broker.EventRejected) {
		if strings.Contains(line, "web page") {
			logged = append(logged, line)
		}
	}
	if len(logged) != 100 || !strings.HasSuffix(logged[0], ` rejected: WebSocket: a web page of "https://evil.example" may not connect: --serve-origin allows the pages of an origin`) ||
		!strings.Contains(logged[1], `"null"`) {
		t.Errorf("logged %d: %q", len(logged), logged[:min(len(logged), 3)])
	}
}
