package mqtt

import (
	"net"
	"syscall"
	"unsafe"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// arrived reports whether the peer's system had all that was written when it
// closed its side; of what is no TCP it is true. The end of a stream acknowledges
// what came before it: a server that closed before the last bytes came leaves
// them unacknowledged, and its reset is still on the way when its end is read.
func arrived(nc net.Conn) bool {
	tcp, ok := transport.Raw(nc).(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	var left int32 // of bytes, and one for our own end of the stream
	err = raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&left)))
	})
	return err == nil && left <= 1 // closed meanwhile, it tells nothing
}
