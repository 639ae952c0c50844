package transport

import "net"

// UnderlyingConn returns the connection below TLS, WebSocket and any other wrapper of conn
// that has a method NetConn, or conn itself if there is none.
func UnderlyingConn(conn net.Conn) net.Conn {
	for {
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = over.NetConn()
	}
}

// Abort closes a connection at once, without the closing messages of TLS and
// WebSocket; TCP connections are reset (RST).
func Abort(conn net.Conn) {
	below := UnderlyingConn(conn)
	if l, ok := below.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = below.Close()
}
