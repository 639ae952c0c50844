//go:build !linux

package transport

import "syscall"

// lateBind is used on Linux only.
var lateBind func(network, address string, raw syscall.RawConn) error
