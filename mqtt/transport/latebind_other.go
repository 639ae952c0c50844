//go:build !linux

package transport

import "syscall"

// lateBind is a matter of Linux.
var lateBind func(network, address string, raw syscall.RawConn) error
