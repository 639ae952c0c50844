package transport

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
)

// wrote is a connection that reports the end of each write.
type wrote struct {
	net.Conn
	done chan error
}

func (w wrote) NetConn() net.Conn { return w.Conn }

func (w wrote) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.done <- err
	return n, err
}

// A server that closes after it has read DISCONNECT may be gone when its Close
// frame is answered. The answer is not a message that was lost.
func TestArrivedWithoutTheAnswerToAClose(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says what the peer has acknowledged")
	}
	for _, c := range []struct {
		name   string
		reads  bool // the server has read the DISCONNECT when it closes
		wanted bool
	}{{"read", true, true}, {"not read", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			over := wrote{client, make(chan error, 4)}
			w := newWSConn(over, true, nil)
			disconnect := func() {
				if _, err := w.Write([]byte{0xe0, 0}); err != nil {
					t.Fatal(err)
				}
				<-over.done
			}
			closes := func() {
				if _, err := server.Write([]byte{0x88, 2, 3, 0xe8}); err != nil { // Close, status 1000
					t.Fatal(err)
				}
				server.Close()
			}
			if c.reads {
				disconnect()
				if _, err := io.ReadFull(server, make([]byte, 8)); err != nil {
					t.Fatal(err)
				}
				closes()
			} else {
				closes()
				disconnect() // this end does not know yet
			}
			if n, err := w.Read(make([]byte, 16)); n != 0 || !errors.Is(err, io.EOF) {
				if c.reads {
					t.Fatalf("%d bytes, %v", n, err)
				}
			} else {
				<-over.done // the answer
			}
			if got := Arrived(w); got != c.wanted {
				t.Errorf("arrived: %v, want %v", got, c.wanted)
			}
		})
	}
}
