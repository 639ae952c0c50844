package transport

import (
	"math"
	"net"
	"syscall"
	"unsafe"
)

// unacknowledged returns how many bytes that were written to a TCP connection
// the peer's system has not acknowledged; our own end of the stream counts as
// one. The end of the peer's stream acknowledges what came before it: a server
// that closed before the last bytes arrived leaves them unacknowledged, and its
// reset is still on the way when its end of stream is read.
func unacknowledged(conn net.Conn) (n int, known bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	left := int32(math.MaxInt32) // if conn is closed, the call fails and proves nothing
	err = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
	})
	if err != nil {
		left = math.MaxInt32
	}
	return int(left), true
}
