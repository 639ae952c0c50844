package mqtt

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// FuzzServer runs a client against a server that follows the input: valid
// packets in any order, broken ones, silence, the end of the connection. No
// call of the client may hang or crash, the client must send only whole, valid
// packets, and it must end when it is closed.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"\x00\x02\x12\x03\x00\x05\x01\x06\x01\x07\x02\x08\x02",         // the answers that are due
		"\x00\x04\x00\x02hi\x14\x01\x02hi\x24\x02\x02hi\x34\x02\x0a",   // messages at each QoS
		"\x00\x0b\x00\x0b\x10\x02\x12",                                 // lost, and restored
		"\x01\x82\x02\x12\x0c\x05hello\x0d\x03\x01\x02\x12",            // refused; broken packets
		"\x00\x04\x10\x02hi\x44\x10\x02hi\x09\x8b\x0f\x05\x10\x0a\x0a", // redelivery, DISCONNECT, time
		"\x0c\x10HTTP/1.1 400 Bad\x0b",
	} {
		for kind := range byte(8) {
			f.Add(kind, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		if len(in) > 1000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzServer(t, kind, in) })
	})
}

func fuzzServer(t *testing.T, kind byte, in []byte) {
	v := []packet.Version{packet.V5, packet.V311}[kind&1]
	conns := make(chan net.Conn)
	o := Options{Version: v, ClientID: "a", Session: Session{Resume: kind&2 != 0}, KeepAlive: 10 * time.Second, MaxPacket: 1 << 12, ReceiveMaximum: 3, TopicAliasMaximum: 2,
		ConnectTimeout: 5 * time.Second}
	if kind&4 == 0 {
		o.Reconnect = Backoff(time.Second, 10*time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	dial := func(ctx context.Context) (net.Conn, error) {
		mine, theirs := net.Pipe()
		select {
		case conns <- theirs:
			return mine, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		c, err := connectOver(ctx, dial, &o)
		if err != nil {
			return
		}
		useClient(ctx, c)
	}()
	s := &fuzzedServer{t: t, v: v, in: in}
	for s.more() {
		select {
		case nc := <-conns:
			s.serve(nc)
		case <-done:
			return
		case <-time.After(time.Minute): // it has given up, or waits for answers
			cancel()
		}
	}
	cancel()
	for {
		select {
		case nc := <-conns:
			_ = nc.Close()
		case <-done:
			return
		}
	}
}

// useClient makes all kinds of calls concurrently until ctx ends.
func useClient(ctx context.Context, c *Client) {
	ends := make(chan struct{})
	calls := 0
	call := func(f func()) {
		calls++
		go func() { f(); ends <- struct{}{} }()
	}
	call(func() { _, _ = c.Subscribe(ctx, Subscription{Filter: "a/#", QoS: 2}, Subscription{Filter: "b"}) })
	call(func() { _, _ = c.Unsubscribe(ctx, "b") })
	for qos := range packet.QoS(3) {
		call(func() { _ = c.Publish(ctx, &Message{Topic: "a", QoS: qos, Payload: []byte("hi")}) })
		call(func() {
			_ = c.Send(ctx, &Message{Topic: "a", QoS: qos}, 1)
			_ = c.Flush(ctx)
		})
	}
	call(func() { _ = c.Ping(ctx) })
	call(func() {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return
			}
			_ = m.Topic
		}
	})
	for range calls {
		<-ends
	}
	_ = c.Stats()
	end, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = c.Close(end)
	<-c.Done()
	c.Abort()
}

// fuzzedServer interprets an input as the actions of a server.
type fuzzedServer struct {
	t  *testing.T
	v  packet.Version
	in []byte
}

func (s *fuzzedServer) more() bool { return len(s.in) > 0 }

func (s *fuzzedServer) take(n byte) []byte {
	b := s.in[:min(int(n), len(s.in))]
	s.in = s.in[len(b):]
	return b
}

func (s *fuzzedServer) next() byte {
	if b := s.take(1); len(b) > 0 {
		return b[0]
	}
	return 0
}

// serve serves one connection, up to the operation that ends it.
func (s *fuzzedServer) serve(nc net.Conn) {
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.read(nc)
	}()
	for open := true; open && s.more(); {
		switch op := s.next(); op & 15 {
		case 11:
			open = false
		case 12:
			_, _ = nc.Write(s.take(s.next()))
		case 13: // a packet with a wrong bit
			at, bit := int(s.next()), s.next()&7
			b := s.packet(s.next() % 11)
			b[at%len(b)] ^= 1 << bit
			_, _ = nc.Write(b)
		case 14, 15:
			time.Sleep(time.Duration(op>>4) * time.Second)
		default:
			_, _ = nc.Write(s.packet(op))
		}
	}
	_ = nc.Close()
	<-read
}

// read checks that the client sends only whole, valid packets.
func (s *fuzzedServer) read(nc net.Conn) {
	b, _ := io.ReadAll(nc)
	for len(b) > 0 {
		f, n, err := packet.Split(b, s.v, 0)
		if err == nil && n == 0 {
			return // truncated
		}
		p := clientPacket(f.Type)
		if err == nil && p != nil {
			err = p.Parse(f, s.v)
		}
		if err != nil || p == nil {
			s.t.Errorf("the client sends % x: %v", b, err)
			return
		}
		b = b[n:]
	}
}

// clientPacket returns a packet of a type that a client may send.
func clientPacket(t packet.Type) packet.Packet {
	switch t {
	case packet.CONNECT:
		return new(packet.Connect)
	case packet.PUBLISH:
		return new(packet.Publish)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return new(packet.Ack)
	case packet.SUBSCRIBE:
		return new(packet.Subscribe)
	case packet.UNSUBSCRIBE:
		return new(packet.Unsubscribe)
	case packet.PINGREQ:
		return new(packet.Ping)
	case packet.DISCONNECT:
		return new(packet.Disconnect)
	}
	return nil
}

// packet builds a server packet from the following input.
func (s *fuzzedServer) packet(op byte) []byte {
	pack := func(first byte, parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		return append([]byte{first, byte(len(body))}, body...)
	}
	var none []byte
	if s.v == packet.V5 {
		none = []byte{0}
	}
	arg := op >> 4
	switch op & 15 {
	case 0:
		return pack(0x20, []byte{arg & 1, 0}, none)
	case 1:
		if s.v == packet.V5 && arg > 0 { // with limits
			return pack(0x20, []byte{arg & 1, 0, 14, 0x21, 0, arg, 0x27, 0, 0, 0, s.next(), 0x22, 0, arg, 0x13, 0, arg})
		}
		return pack(0x20, []byte{0, s.next()}, none)
	case 2:
		return pack(0x90, []byte{0, s.next() & 15}, none, []byte{2, arg}[:1+arg&1])
	case 3:
		return pack(0xb0, []byte{0, s.next() & 15}, none, bytes.Repeat([]byte{0}, len(none)))
	case 4:
		topic := []byte{0, 1, 'a'}
		qos := arg & 3
		if qos > 0 {
			return pack(0x30|qos<<1|arg<<1&8, topic, []byte{0, s.next()}, none, s.take(s.next()&63))
		}
		if s.v == packet.V5 && arg > 3 { // an alias, which may replace the topic
			return pack(0x30, []byte{0, 0, 3, 0x23, 0, arg >> 2})
		}
		return pack(0x30, topic, none, s.take(s.next()&63))
	case 5, 6, 7, 8:
		first := []byte{0x40, 0x50, 0x62, 0x70}[op&15-5]
		if s.v == packet.V5 && arg > 0 {
			return pack(first, []byte{0, s.next(), []byte{0x10, 0x80, 0x87, 0x92}[arg&3]})
		}
		return pack(first, []byte{0, s.next()})
	case 9:
		return pack(0xe0, []byte{s.next()}[:len(none)])
	}
	return pack(0xd0)
}
