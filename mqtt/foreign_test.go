package mqtt

import (
	"errors"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// If the peer is not an MQTT server, the error shows its first bytes and names
// the protocol if it is known, in every version and however the bytes are
// split. The client does not retry such a peer.
func TestAPeerThatIsNotAServerIsRecognizedByItsFirstBytes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ greeting, says string }{
		{"INFO {\"server_id\":\"NDKX7SQ2KXYZZY\",\"version\":\"2.15.0\"}\r\n", `pipe speaks NATS, not MQTT (it answered "INFO {\"server_id\":\"NDKX7SQ2KXYZZ"...)`},
		{"AMQP\x00\x00\x09\x01", `pipe speaks AMQP, not MQTT (it answered "AMQP\x00\x00\t\x01")`},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", `pipe speaks HTTP, not MQTT (it answered "HTTP/1.1 400 Bad Request\r\n\r\n")`},
		{"SSH-2.0-OpenSSH_9.2\r\n", `pipe speaks SSH, not MQTT`},
		{"220 mx.example ESMTP\r\n", `pipe speaks SMTP or FTP, not MQTT`},
		{"-ERR unknown command\r\n", `pipe speaks Redis, not MQTT`},
		{"\x15\x03\x01\x00\x02\x02\x46", `pipe speaks TLS, not MQTT (it answered "\x15\x03\x01\x00\x02\x02F")`},
		{"hello\r\n", `pipe does not speak MQTT (it answered "hello\r\n")`},
		{"\x00\x00\x00\x00", `pipe does not speak MQTT (it answered "\x00\x00\x00\x00")`},
		{"\x1b[31mPWNED\x07", `pipe does not speak MQTT (it answered "\x1b[31mPWNED\a")`},
	} {
		for _, v := range []packet.Version{0, packet.V5, packet.V311, packet.V31} {
			for _, end := range []string{"closes", "stays", "sends it in bytes", "closes in its middle"} {
				greeting, says := row.greeting, row.says
				switch end {
				case "sends it in bytes":
					if says, _, _ = strings.Cut(says, " (it"); !strings.Contains(says, "speaks") {
						continue // there are no other bytes to show
					}
				case "closes in its middle":
					greeting, says = greeting[:2], "MQTT (it answered "
				}
				// A pipe has no queue: one read by the client is one write of
				// the peer.
				p := newPipes()
				go func() {
					nc := <-p.conns
					defer nc.Close()
					_, _ = nc.Read(make([]byte, 100))
					if end == "sends it in bytes" {
						for i := range len(greeting) {
							if _, err := nc.Write([]byte{greeting[i]}); err != nil {
								return
							}
						}
					} else {
						_, _ = nc.Write([]byte(greeting))
					}
					if strings.HasPrefix(end, "closes") {
						return
					}
					_, _ = nc.Read(make([]byte, 1)) // the client closes
				}()
				_, err := connectOver(t.Context(), p.dial, &Options{Version: v, ClientID: "a"})
				var e *transport.Error
				if !errors.As(err, &e) || !errors.Is(err, transport.NotMQTT) || !errors.Is(err, ErrNotSent) || !strings.Contains(e.Error(), says) {
					t.Errorf("version %v, a peer that begins with %q and %s: got %v, want %q", v, greeting, end, err, says)
				}
				if !Permanent(err) {
					t.Errorf("%v is tried again", err)
				}
			}
		}
	}
}

// A server packet that comes too early is still a protocol error of an MQTT
// server.
func TestAPacketBeforeConnackIsAServersMistake(t *testing.T) {
	t.Parallel()
	for _, hex := range []string{"30 03 0001 61", "40 02 0001", "d0 00"} {
		p := newPipes()
		go func() {
			nc := <-p.conns
			defer nc.Close()
			_, _ = nc.Read(make([]byte, 100))
			_, _ = nc.Write(unhex(t, hex))
			_, _ = nc.Read(make([]byte, 100))
		}()
		_, err := connectOver(t.Context(), p.dial, &Options{Version: packet.V311, ClientID: "a"})
		if bad, ok := errors.AsType[*packet.Error](err); !ok || bad.Rule != "MQTT-3.2.0-1" {
			t.Errorf("%s: got %v", hex, err)
		}
	}
}
