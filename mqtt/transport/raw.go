package transport

import "net"

// Raw is the connection below TLS, WebSocket and whatever else wraps conn and has
// a method NetConn: conn itself if nothing does.
func Raw(conn net.Conn) net.Conn {
	for {
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = over.NetConn()
	}
}

// Abort closes a connection at once and without the goodbyes of TLS and
// WebSocket, by a TCP RST where there is TCP.
func Abort(conn net.Conn) {
	below := Raw(conn)
	if l, ok := below.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = below.Close()
}
