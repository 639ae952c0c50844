package bench

import (
	"io"
	"net"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// sink is the peer of a calibration, the cheapest that a load test can have. It accepts
// every client, acknowledges every message, and sends it back at QoS 0 to its publisher
// if that has subscribed to anything. It does not look at topics.
type sink struct {
	ln   net.Listener
	done sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[*net.TCPConn]struct{}
}

// newSink starts a sink on a free port.
func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, conns: map[*net.TCPConn]struct{}{}}
	s.done.Go(s.accept)
	return s, nil
}

// port returns the port on 127.0.0.1 that it listens on.
func (s *sink) port() int { return s.ln.Addr().(*net.TCPAddr).Port }

// close closes all connections and waits for them.
func (s *sink) close() {
	s.mu.Lock()
	s.closed = true
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

func (s *sink) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		c := nc.(*net.TCPConn)
		_ = c.SetLinger(0) // leave no port in TIME-WAIT
		_, _ = c.SetReadBuffer(sinkBuffer), c.SetWriteBuffer(sinkBuffer)
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.done.Go(func() {
			_ = (&sinkConn{c: c}).serve() // the client reports its errors
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			_ = c.Close()
		})
	}
}

// sinkBuffer bounds what is in flight on a connection: a closed loop at QoS 0 fills all
// buffers before the first message counts as received.
const sinkBuffer = 64 << 10

// sinkPacket is the largest packet that a sink accepts, in bytes.
const sinkPacket = 1 << 20

// sinkConn is a connection of a sink.
type sinkConn struct {
	c       io.ReadWriter
	version packet.Version
	echo    bool
	out     []byte

	publish   packet.Publish
	subscribe packet.Subscribe
	ack       packet.Ack
}

// serve answers until the client disconnects, which is io.EOF, or violates the
// protocol.
func (s *sinkConn) serve() error {
	s.version = packet.V5 // until CONNECT names another
	in := make([]byte, 0, 4<<10)
	for {
		if len(in) == cap(in) {
			in = append(make([]byte, 0, 2*cap(in)), in...)
		}
		n, err := s.c.Read(in[len(in):cap(in)])
		in = in[:len(in)+n]
		if err != nil {
			return err
		}
		rest := in
		for len(rest) > 0 {
			f, n, err := packet.Split(rest, s.version, sinkPacket)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if err := s.take(f, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		in = in[:copy(in, rest)]
		if len(s.out) > 0 {
			if _, err := s.c.Write(s.out); err != nil {
				return err
			}
			s.out = s.out[:0]
		}
	}
}

// take answers a packet; whole is its bytes.
func (s *sinkConn) take(f packet.Frame, whole []byte) (err error) {
	switch f.Type {
	case packet.CONNECT:
		var p packet.Connect
		if err = p.Parse(f, s.version); err == nil {
			s.version = p.Version
			s.out, err = (&packet.Connack{}).AppendTo(s.out, s.version)
		}
	case packet.SUBSCRIBE:
		if err = s.subscribe.Parse(f, s.version); err == nil {
			s.echo = true
			granted := packet.Suback{Type: packet.SUBACK, PacketID: s.subscribe.PacketID, Codes: make([]byte, len(s.subscribe.Subscriptions))}
			s.out, err = granted.AppendTo(s.out, s.version)
		}
	case packet.PUBLISH:
		err = s.message(f, whole)
	case packet.PUBREL:
		if err = s.ack.Parse(f, s.version); err == nil {
			s.out = packet.AppendAck(s.out, packet.PUBCOMP, s.ack.PacketID)
		}
	case packet.PINGREQ:
		s.out, err = (&packet.Ping{Type: packet.PINGRESP}).AppendTo(s.out, s.version)
	case packet.DISCONNECT:
		return io.EOF
	}
	return err
}

// message acknowledges a PUBLISH and sends it back.
func (s *sinkConn) message(f packet.Frame, whole []byte) error {
	if f.Flags&0x06 == 0 { // QoS 0: send it back unchanged
		if s.echo {
			s.out = append(s.out, whole...)
		}
		return nil
	}
	p := &s.publish
	if err := p.Parse(f, s.version); err != nil {
		return err
	}
	answer := packet.PUBACK
	if p.QoS == 2 {
		answer = packet.PUBREC
	}
	s.out = packet.AppendAck(s.out, answer, p.PacketID)
	if !s.echo {
		return nil
	}
	p.QoS, p.PacketID, p.Dup = 0, 0, false
	var err error
	s.out, err = p.AppendTo(s.out, s.version)
	return err
}
