package broker

import (
	"net"
	"syscall"
)

// socket is a network connection. Where possible, reading and writing can be tried
// without waiting.
type socket struct {
	nc  net.Conn
	raw syscall.RawConn // of nc; nil if trying is not possible

	// A tried write: its bytes, and how many were written.
	put        func(fd uintptr)
	tryBuf     []byte
	tryWritten int
}

func (s *socket) init(nc net.Conn) {
	s.nc = nc
	if !canTry {
		return
	}
	// Only these types: a wrapper may hold bytes itself.
	switch nc := nc.(type) {
	case *net.TCPConn:
		s.raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		s.raw, _ = nc.SyscallConn()
	}
	if s.raw != nil {
		s.put = func(fd uintptr) { s.tryWritten = writeNow(fd, s.tryBuf) }
	}
}

// writeSome writes what the socket takes at once. It must not be called concurrently,
// and needs raw.
func (s *socket) writeSome(b []byte) (n int) {
	s.tryBuf, s.tryWritten = b, 0
	_ = s.raw.Control(s.put) // the next write returns the error too
	s.tryBuf = nil
	return s.tryWritten
}
