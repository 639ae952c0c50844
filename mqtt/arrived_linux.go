package mqtt

import (
	"net"
	"syscall"
	"unsafe"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// arrived reports whether the peer's system had received everything that was
// written when it closed its side. It returns true for a connection that is not
// TCP. The end of a stream acknowledges what came before it: a server that
// closed before the last bytes arrived leaves them unacknowledged, and its
// reset is still on the way when its end of stream is read.
func arrived(nc net.Conn) bool {
	tcp, ok := transport.UnderlyingConn(nc).(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	var left int32 // unacknowledged bytes, plus one for our own end of the stream
	err = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
	})
	return err == nil && left <= 1 // if nc was closed by now, the call fails and proves nothing
}
