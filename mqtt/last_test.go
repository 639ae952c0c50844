package mqtt

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// framed is a connection with its own end marker, like a WebSocket, over
// another one.
type framed struct {
	net.Conn
	below net.Conn
	last  bool // the end was sent with the last bytes
}

func (f *framed) NetConn() net.Conn { return f.below }

func (f *framed) WriteLast(p []byte) (int, error) {
	f.last = true
	return f.Write(p)
}

// With two frames in one TLS record, mosquitto sees the second only when more
// data arrives, which does not happen here.
func TestTheEndOfAWebSocketGoesWithDisconnectButNotOverTLS(t *testing.T) {
	for it, c := range map[string]struct {
		below func(net.Conn) net.Conn
		want  bool
	}{
		"TCP": {func(nc net.Conn) net.Conn { return nc }, true},
		"TLS": {func(nc net.Conn) net.Conn { return tls.Client(nc, new(tls.Config)) }, false},
	} {
		a, b := net.Pipe()
		read := make(chan string, 1)
		go func() {
			said, _ := io.ReadAll(b)
			read <- string(said)
		}()
		f := &framed{Conn: a, below: c.below(a)}
		err := writeLast(t.Context(), f, []byte{0xe0, 0})
		a.Close()
		if said := <-read; err != nil || said != "\xe0\x00" || f.last != c.want || secure(f) == c.want {
			t.Errorf("over %s: %x, %v, the end in the same write: %v, want %v", it, said, err, f.last, c.want)
		}
	}
}
