package e2e

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
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

// A broker before 5.0 cannot say how many messages at QoS 2 it takes, and
// mosquitto takes 20.
func TestFewMessagesAtQoS2AreOnTheWayToOldBrokers(t *testing.T) {
	t.Parallel()
	const window, total = 20, 30
	most := make(chan int, 1)
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		open, done, answered := [][]byte{}, 0, 0
		for done < total {
			// What must come may take its time. Nothing more does without an answer.
			_ = p.SetReadDeadline(time.Time{})
			if answered == done && len(open) >= min(window, total-done) {
				_ = p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			}
			first, body, ok := p.next()
			switch {
			case ok && first>>4 == 3:
				open = append(open, []byte{body[3], body[4]})
			case ok && first == 0x62:
				p.say(0x70, 2, body[0], body[1])
				done++
			default:
				if done == 0 {
					most <- len(open)
				}
				for _, id := range open {
					p.say(0x50, 2, id[0], id[1])
				}
				answered += len(open)
				open = nil
			}
		}
		_ = p.SetReadDeadline(time.Time{})
		p.next()
	})
	r := run(t, strings.Repeat("x\n", total), "mqpub", append(addr, "-l", "-q", "2", "-V", "311", "-t", "t")...)
	if n := <-most; r.code != 0 || r.err != "" || n != window {
		t.Errorf("%d at once, want %d; code %d, %q", n, window, r.code, r.err)
	}
}
