package transport

import (
	"net"
	"syscall"
	"testing"
)

func TestAPortIsChosenWhenTheDestinationIsKnown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := (&Dialer{LocalAddr: "127.0.0.5"}).Dial(t.Context(), TargetFor(ln))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if on, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort); err != nil || on != 1 {
			t.Errorf("IP_BIND_ADDRESS_NO_PORT is %d, %v", on, err)
		}
	})
	if from := conn.LocalAddr().(*net.TCPAddr); from.IP.String() != "127.0.0.5" || from.Port == 0 {
		t.Errorf("connected from %v", from)
	}
}
