package swarm

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// TestAServerOfAnotherKindIsRecognized: by its first bytes, whole, truncated or in pieces,
// with its address.
func TestAServerOfAnotherKindIsRecognized(t *testing.T) {
	for _, w := range []struct{ name, says, text string }{
		{"a web server", "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis line is longer than the packet would be", "speaks HTTP, not MQTT"},
		{"a web server of few words", "HTTP/1.0 400 \r\n\r\n", "speaks HTTP, not MQTT"},
		{"a TLS server", "\x15\x03\x03\x00\x02\x02\x46", "speaks TLS, not MQTT"},
		{"an SSH server", "SSH-2.0-OpenSSH_9.2p1\r\n", "speaks SSH, not MQTT"},
		{"NATS", "INFO {\"server_id\":\"x\"}\r\n", "speaks NATS, not MQTT"},
		{"AMQP", "AMQP\x00\x00\x09\x01", "speaks AMQP, not MQTT"},
		{"something else, cut off", "hel", "does not speak MQTT (it answered \"h"},
		{"a broken broker", "\x20\x02\x02\x00", "malformed CONNACK"},
		{"nothing", "", "connection closed before CONNACK"},
		{"half a CONNACK", "\x20\x02\x00", "connection closed before CONNACK"},
	} {
		t.Run(w.name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, o Options) {
				p, h := newPeer(t), newProbe()
				h.failed = func(_ *Client, err error) {
					if !strings.Contains(err.Error(), w.text) || w.text != "malformed CONNACK" && !strings.Contains(err.Error(), p.ln.Addr().String()) {
						t.Error(err)
					}
					if errors.Is(err, transport.NotMQTT) != strings.Contains(w.text, "not MQTT") && !strings.Contains(w.text, "not speak MQTT") {
						t.Errorf("%v is, or is not, about a server of something else", err)
					}
					if errors.Is(err, session.ErrNoAnswer) != (w.text == "connection closed before CONNACK") {
						t.Errorf("%v: it is, or is not, an end without an answer", err)
					}
					h.note("failed")
				}
				connectOne(start(t, o, h, p.target()), specOf(packet.V311))
				p.accept()
				p.expect(connect4)
				for _, b := range []byte(w.says) {
					if _, err := p.conn.Write([]byte{b}); err != nil {
						break // it has seen enough
					}
				}
				_ = p.conn.(*net.TCPConn).CloseWrite()
				h.want(t, "failed")
			})
		})
	}
}

// TestAResetBehindDISCONNECTIsNoGoodEnd: what was written last may not have arrived.
func TestAResetBehindDISCONNECTIsNoGoodEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		do(c, func() { c.Disconnect(nil) })
		p.expect("e0 00")
		_ = p.conn.(*net.TCPConn).SetLinger(0)
		p.conn.Close()
		h.want(t, "0 closed: reset")
	})
}

// TestAServerWithoutQoS2IsCalledThat: RabbitMQ answers with PUBACK.
func TestAServerWithoutQoS2IsCalledThat(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		h.closed = func(_ *Client, err error) {
			if !errors.Is(err, session.ErrNoQoS2) || ErrorCategory(err) != "no QoS 2" || !strings.Contains(err.Error(), "support QoS 2") {
				t.Errorf("%v, category %q", err, ErrorCategory(err))
			}
			h.note("closed")
		}
		do(c, func() { _ = c.Publish(publish(2, "t", "x"), 1) })
		p.expect("34 06 0001 74 0001 78")
		p.send("40 02 0001")
		h.want(t, "closed")
	})
}

// TestMessagesUnderAnIdentifierInUseAreCounted: without DUP they are new, and the
// server has lost its session (MQTT-3.3.1-1).
func TestMessagesUnderAnIdentifierInUseAreCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		p.send("34 06 0001 74 0001 61")
		p.expect("50 02 0001")
		h.want(t, "0 message q2 t a")
		p.send("34 06 0001 74 0001 62")
		p.expect("50 02 0001")
		h.want(t, "0 message q2 t b")
		do(c, func() {
			if n := c.Loop().Stats().Reused; n != 1 {
				t.Errorf("%d are counted", n)
			}
		})
	})
}
