//go:build !linux

package transport

import "net"

// unacknowledged returns false: this system does not report it.
func unacknowledged(net.Conn) (n int, known bool) { return 0, false }
