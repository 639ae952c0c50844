package brokertest

import (
	"net"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Closing is a server that refuses by closing: it closes the connection at packets that
// Deny selects, and accepts, grants and acknowledges everything else. It keeps no
// sessions and delivers nothing.
type Closing struct {
	Addr string
	Deny func(f packet.Frame, v packet.Version) bool // called for one packet at a time
	// Say is written before the connection is closed.
	Say []byte

	mu    sync.Mutex
	conns int
	taken []string
}

// StartClosing serves on a free port until the test ends.
func StartClosing(t testing.TB, deny func(f packet.Frame, v packet.Version) bool) *Closing {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	c := &Closing{Addr: ln.Addr().String(), Deny: deny}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go c.serve(nc)
		}
	}()
	return c
}

// Conns returns the number of connections so far.
func (c *Closing) Conns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns
}

// Taken returns the payloads of messages that were acknowledged, in order.
func (c *Closing) Taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.taken...)
}

func (c *Closing) serve(nc net.Conn) {
	defer nc.Close()
	var v packet.Version
	var in []byte
	chunk := make([]byte, 4096)
	for {
		f, n, err := packet.Split(in, v, 0)
		if err != nil {
			return
		}
		if n == 0 {
			got, err := nc.Read(chunk)
			if err != nil {
				return
			}
			in = append(in, chunk[:got]...)
			continue
		}
		if f.Type == packet.CONNECT {
			v = packet.Version(f.Body[6])
		}
		out, on := c.answer(f, v)
		if _, err := nc.Write(out); err != nil || !on {
			return
		}
		in = in[n:]
	}
}

// answer returns the reply to a packet, and whether the connection stays open.
func (c *Closing) answer(f packet.Frame, v packet.Version) (out []byte, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Type != packet.CONNECT && f.Type != packet.DISCONNECT && c.Deny(f, v) {
		return c.Say, false
	}
	var p packet.Packet
	switch f.Type {
	case packet.CONNECT:
		c.conns++
		p = &packet.Connack{}
	case packet.PUBLISH:
		var m packet.Publish
		if m.Parse(f, v) != nil {
			return nil, false
		}
		c.taken = append(c.taken, string(m.Payload))
		switch m.QoS {
		case 1:
			p = &packet.Ack{Type: packet.PUBACK, PacketID: m.PacketID}
		case 2:
			p = &packet.Ack{Type: packet.PUBREC, PacketID: m.PacketID}
		default:
			return nil, true
		}
	case packet.PUBREL:
		var a packet.Ack
		if a.Parse(f, v) != nil {
			return nil, false
		}
		p = &packet.Ack{Type: packet.PUBCOMP, PacketID: a.PacketID}
	case packet.SUBSCRIBE:
		var s packet.Subscribe
		if s.Parse(f, v) != nil {
			return nil, false
		}
		p = &packet.Suback{Type: packet.SUBACK, PacketID: s.PacketID, Codes: make([]byte, len(s.Subscriptions))}
	case packet.UNSUBSCRIBE:
		var u packet.Unsubscribe
		if u.Parse(f, v) != nil {
			return nil, false
		}
		ack := &packet.Suback{Type: packet.UNSUBACK, PacketID: u.PacketID}
		if v >= packet.V5 {
			ack.Codes = make([]byte, len(u.Filters))
		}
		p = ack
	case packet.PINGREQ:
		p = &packet.Ping{Type: packet.PINGRESP}
	default:
		return nil, false
	}
	out, err := p.AppendTo(nil, v)
	return out, err == nil
}
