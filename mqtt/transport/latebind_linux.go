package transport

import "syscall"

// ipBindAddressNoPort is IP_BIND_ADDRESS_NO_PORT, of Linux 4.2.
const ipBindAddressNoPort = 24

// lateBind has a connection from a given address get its port when it connects. A
// port that is chosen before, when its destination is not known, is not given to
// connections to other servers, so that there are fewer of them.
func lateBind(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1) // or as before
	})
}
