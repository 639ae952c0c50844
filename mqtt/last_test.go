package mqtt

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// framed is a connection with an end of its own, as a WebSocket's, over another.
type framed struct {
	net.Conn
	below net.Conn
	last  bool // the end went with the last bytes
}

func (f *framed) NetConn() net.Conn { return f.below }

func (f *framed) WriteLast(p []byte) (int, error) {
	f.last = true
	return f.Write(p)
}

// Two frames in one record of TLS: mosquitto sees the second when more comes, and
// nothing does.
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
