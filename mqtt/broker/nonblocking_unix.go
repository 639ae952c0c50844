//go:build unix

package broker

import (
	"io"
	"os"
	"syscall"
)

// canTry reports whether readNow, hasNow and writeNow work.
const canTry = true

// readNow reads from a socket without waiting; again means that nothing was there.
func readNow(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, true, nil
		case err != nil:
			return 0, false, os.NewSyscallError("read", err)
		case n == 0:
			return 0, false, io.EOF
		default:
			return n, false, nil
		}
	}
}

// hasNow reports whether readNow would find anything, which may be the end or an error.
func hasNow(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}

// writeNow writes what a socket takes without waiting. The next ordinary write reports
// an error of the socket.
func writeNow(fd uintptr, p []byte) (n int) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0)
		}
	}
}
