package e2e

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

// deaf is a listener whose queue is full: the system answers no further connection.
func deaf(s *scene) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		s.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		s.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		s.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			break
		}
		s.Cleanup(func() { _ = c.Close() })
	}
	s.let("ADDR", addr)
}
