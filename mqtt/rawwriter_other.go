//go:build !unix

package mqtt

import "net"

// rawWriter is unused on systems without a known way to write without waiting.
type rawWriter struct{}

func newRawWriter(net.Conn) *rawWriter { return nil }

func (*rawWriter) write([]byte) (int, error) { return 0, nil }
