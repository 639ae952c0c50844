//go:build unix

package mqtt

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter writes to a socket as much as it takes at once.
type rawWriter struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // one for the life of the connection, not one per write
	buf  []byte
	n    int
	err  error
}

// newRawWriter is nil for what is no socket. A connection that wraps one has its
// own idea of writing.
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

// write returns how many bytes of b the socket took.
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
