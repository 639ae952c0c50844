package transport

import "net"

// Arrived reports whether the peer's system had received everything that was
// written when it closed its side, apart from the control frames of a
// WebSocket behind it: a Close frame that answers the peer's crosses the end of
// its stream. Arrived returns true for a connection that is not TCP, and where
// the system does not report what the peer has acknowledged.
func Arrived(conn net.Conn) bool {
	for {
		if w, ok := conn.(*wsConn); ok && w.settled.Load() {
			return true
		}
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			// Our own end of the stream counts as one byte.
			n, known := unacknowledged(conn)
			return !known || n <= 1
		}
		conn = over.NetConn()
	}
}
