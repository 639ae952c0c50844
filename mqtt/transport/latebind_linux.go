package transport

import "syscall"

// ipBindAddressNoPort is IP_BIND_ADDRESS_NO_PORT, of Linux 4.2.
const ipBindAddressNoPort = 24

// lateBind delays the choice of the port of a connection from a given address
// until it connects. A port that is chosen before the destination is known
// cannot be shared with connections to other servers, so that fewer ports are
// available.
func lateBind(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1) // on failure the port is chosen early
	})
}
