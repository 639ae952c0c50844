package swarm

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// With TLS 1.3 a server refuses a client's certificate after the handshake is complete
// for the client, and a WebSocket may be closed with a code: both are more than the end
// of a stream.
func TestTheEndOfAStreamKeepsItsKind(t *testing.T) {
	certs := certtest.New(t)
	_, mutual := brokertest.StartOn(t, "127.0.0.1:0", certs.MutualConfig(), broker.Options{})
	ca := certs.CA.CertFile
	for name, w := range map[string]struct {
		url  string
		tls  transport.TLSOptions
		kind transport.Kind
	}{
		"no client certificate": {"mqtts://" + mutual, transport.TLSOptions{CAFile: ca}, transport.ClientCertificateMissing},
		"a client certificate of another authority": {"mqtts://" + mutual,
			transport.TLSOptions{CAFile: ca, CertFile: certs.OtherClient.CertFile, KeyFile: certs.OtherClient.KeyFile}, transport.ClientCertificateRefused},
		"a Close frame": {"ws://" + closingWebSocket(t) + "/mqtt", transport.TLSOptions{}, transport.WebSocketClosed},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := transport.ParseURL(w.url)
			if err != nil {
				t.Fatal(err)
			}
			h := newProbe()
			h.failed = func(_ *Client, err error) {
				var e *transport.Error
				if !errors.As(err, &e) || e.Kind != w.kind {
					t.Errorf("%v", err)
				}
				h.note("%s", ErrorCategory(err))
			}
			connectOne(start(t, Options{Engine: Std, Dialer: &transport.Dialer{TLS: &w.tls}}, h, target), specOf(packet.V5))
			h.want(t, w.kind.String())
		})
	}
}

// closingWebSocket returns the address of a server that accepts one WebSocket and
// closes it with code 1008 (RFC 6455, 5.5.1).
func closingWebSocket(t *testing.T) string {
	p := newPeer(t)
	go func() {
		nc, err := p.ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			t.Error(err)
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		_, _ = nc.Write(unhex("88 06 03f0 66756c6c"))
		_, _ = io.Copy(io.Discard, nc)
	}()
	return p.ln.Addr().String()
}
