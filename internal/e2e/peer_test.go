package e2e

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// rawPeer is a server of a few hand-written bytes, one connection of it.
type rawPeer struct {
	*net.TCPConn
	r  *bufio.Reader
	v5 bool
}

// next reads a packet: its first byte and its body.
func (p *rawPeer) next() (first byte, body []byte, ok bool) {
	first, err := p.r.ReadByte()
	if err != nil {
		return 0, nil, false
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := p.r.ReadByte()
		if err != nil {
			return 0, nil, false
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(p.r, body)
	return first, body, err == nil
}

func (p *rawPeer) say(b ...byte) { _, _ = p.Write(b) }

// peer serves each connection, after CONNECT, with f, and returns the address.
func peer(t *testing.T, f func(p *rawPeer, connect []byte)) (args []string) {
	t.Helper()
	return at(accepting(t, func(c net.Conn) {
		p := &rawPeer{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
		if first, body, ok := p.next(); ok && first == 0x10 {
			p.v5 = body[6] == 5
			f(p, body)
		}
	}))
}

// accepting is a server that serves each connection with f, and its address.
func accepting(t *testing.T, f func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return ln.Addr().String()
}

func (p *rawPeer) connack() {
	if p.v5 {
		p.say(0x20, 3, 0, 0, 0)
	} else {
		p.say(0x20, 2, 0, 0)
	}
}
