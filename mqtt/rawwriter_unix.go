//go:build unix

package mqtt

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter writes to a socket as much as the socket takes at once.
type rawWriter struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // one for all writes, to avoid an allocation
	buf  []byte
	n    int
	err  error
}

// newRawWriter returns nil if nc is not a socket. A connection that wraps a
// socket does more than write to it.
func newRawWriter(nc net.Conn) *rawWriter {
	var conn syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		conn, err = nc.SyscallConn()
	case *net.UnixConn:
		conn, err = nc.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	w := &rawWriter{conn: conn}
	w.try = w.attempt
	return w
}

// write returns the number of bytes of b that the socket took.
func (w *rawWriter) write(b []byte) (int, error) {
	w.buf, w.n, w.err = b, 0, nil
	err := w.conn.Write(w.try)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *rawWriter) attempt(fd uintptr) bool {
	for w.n < len(w.buf) {
		n, err := syscall.Write(int(fd), w.buf[w.n:])
		switch {
		case err == nil:
			w.n += n
		case errors.Is(err, syscall.EAGAIN):
			return true
		case !errors.Is(err, syscall.EINTR):
			w.err = err
			return true
		}
	}
	return true
}
