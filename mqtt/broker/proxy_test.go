package broker_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Behind a proxy a client's address is that of the PROXY protocol's header, and a
// connection without one is closed without a reply.
func TestTheBrokerBehindAProxy(t *testing.T) {
	t.Parallel()
	var j journal
	remotes := make(chan string, 10)
	b := broker.New(broker.Options{Log: j.log, ConnectRate: 1, Authenticate: func(_ *packet.Connect, remote net.Addr) packet.ReasonCode {
		remotes <- remote.String()
		return packet.Success
	}})
	ln, err := transport.ListenConfig{ProxyProtocol: true}.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Serve(ln) }()
	// Neither a silent peer nor one without a header delays others.
	silent, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const connect = `10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`
	speak := func(first, want string) string {
		t.Helper()
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = nc.Write(append([]byte(first), wireBytes(t, connect)...))
		got := make([]byte, len(wireBytes(t, want)))
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != string(wireBytes(t, want)) {
			t.Errorf("%q: got % x, %v, want %s", first, got, err, want)
		}
		if want == "" {
			if b, err := io.ReadAll(nc); len(b) > 0 || err != nil {
				t.Errorf("%q: got % x, %v, want the end", first, b, err)
			}
		}
		return nc.LocalAddr().String()
	}
	const header = "PROXY TCP4 192.0.2.%d 198.51.100.1 5%d 1883\r\n"
	speak(fmt.Sprintf(header, 1, 1), "{ok5}")
	proxy := speak("", "")
	speak(fmt.Sprintf(header, 1, 2), `20 35 00 9f 32 1f 002f "too many connections a second from this address"`)
	speak(fmt.Sprintf(header, 2, 3), "{ok5}")
	local := speak("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "{ok5}")
	_ = silent.Close()
	closeBroker(t, b)
	<-done
	close(remotes)
	if got := slices.Collect(func(yield func(string) bool) {
		for s := range remotes {
			yield(s)
		}
	}); !slices.Equal(got, []string{"192.0.2.1:51", "192.0.2.2:53", local}) {
		t.Errorf("Authenticate is passed %q", got)
	}
	if got := j.of(broker.EventConnected); len(got) != 3 || got[0] != `"a" connected from 192.0.2.1:51: MQTT 5.0` {
		t.Errorf("logged %q", got)
	}
	if got := j.of(broker.EventRejected); len(got) != 1 || got[0] != proxy+" rejected: proxy: PROXY protocol header: there is none: this looks like MQTT" {
		t.Errorf("logged %q, want %s", got, proxy)
	}
	if got := j.of(broker.EventRefused); len(got) != 1 || !strings.Contains(got[0], "connection rate exceeded") {
		t.Errorf("logged %q", got)
	}
}
