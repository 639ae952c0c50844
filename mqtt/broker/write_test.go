package broker

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// slowTaker takes some bytes of each write before its deadline passes.
type slowTaker struct {
	net.Conn
	takes []int // bytes taken by each write in turn; later writes take all
	sizes []int // of the writes
}

func (s *slowTaker) SetWriteDeadline(time.Time) error { return nil }

func (s *slowTaker) Write(b []byte) (int, error) {
	s.sizes = append(s.sizes, len(b))
	if n := len(s.sizes) - 1; n < len(s.takes) && s.takes[n] < len(b) {
		return s.takes[n], os.ErrDeadlineExceeded
	}
	return len(b), nil
}

type anyRaw struct{ syscall.RawConn }

// A client may be slow, as long as it takes a piece within the stall timeout.
func TestAClientThatTakesAPieceInTimeIsNotCutOff(t *testing.T) {
	t.Parallel()
	const piece = writePiece
	for name, c := range map[string]struct {
		raw   syscall.RawConn
		takes []int
		ok    bool
		sizes []int
	}{
		"a socket that takes all":                   {anyRaw{}, nil, true, []int{4 * piece, 4 * piece, piece}},
		"a socket that takes a piece":               {anyRaw{}, []int{piece, 2 * piece}, true, []int{4 * piece, 4 * piece, 4 * piece, 2 * piece}},
		"a socket that takes less":                  {anyRaw{}, []int{piece, piece - 1}, false, []int{4 * piece, 4 * piece}},
		"TLS, which cannot go on with half a write": {nil, []int{piece, piece, 100}, false, []int{piece, piece, piece}},
		"TLS that takes all":                        {nil, nil, true, []int{piece, piece, piece, piece, piece, piece, piece, piece, piece}},
	} {
		nc := &slowTaker{takes: c.takes}
		cn := &conn{b: New(Options{})}
		cn.nc, cn.raw = nc, c.raw
		cl := &client{}
		err := cn.writeOut(cl, make([]byte, 9*piece))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || len(nc.sizes) != len(c.sizes) {
			t.Fatalf("%s: %v after writes of %v bytes, want %v", name, err, nc.sizes, c.sizes)
		}
		for i, size := range c.sizes {
			if nc.sizes[i] != size {
				t.Errorf("%s: write %d has %d bytes, want %d", name, i, nc.sizes[i], size)
			}
		}
		if c.ok && cl.written.Load() != 9*piece {
			t.Errorf("%s: %d bytes are counted", name, cl.written.Load())
		}
	}
}
