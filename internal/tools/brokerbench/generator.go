//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// generator runs all clients of a case, in one thread.
type generator struct {
	to      syscall.SockaddrInet4
	version packet.Version
	ep      int // epoll
	peers   []*peer
	byFD    []*peer
	buf     []byte
	events  [1024]syscall.EpollEvent
	moved   time.Time // when bytes last arrived

	// Counters of answers.
	connacks, subacks int
	delivered         int // messages, each counted once
	lost              int // missing in what arrived
	disorder          int // messages that were repeated or late
	finished          int // messages acknowledged by the broker, QoS 1 and 2
}

// peer is one client.
type peer struct {
	fd     int
	rest   []byte // the beginning of a packet
	out    []byte
	asked  bool     // epoll reports when out can be written
	id     uint16   // the last packet identifier used
	seq    uint32   // number of the last message published
	seen   []uint32 // by publisher: number of the last message received
	number uint32   // of a publisher
}

func newGenerator(port int, v packet.Version) (*generator, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &generator{to: syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}, version: v, ep: ep, buf: make([]byte, 256<<10)}, nil
}

func (g *generator) close() {
	for _, p := range g.peers {
		_ = syscall.Close(p.fd)
	}
	_ = syscall.Close(g.ep)
}

// dial starts a connection; its CONNACK is counted when it arrives.
func (g *generator) dial() (*peer, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &peer{fd: fd}
	g.peers = append(g.peers, p)
	for len(g.byFD) <= fd {
		g.byFD = append(g.byFD, nil)
	}
	g.byFD[fd] = p
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return nil, err
	}
	if err := syscall.Connect(fd, &g.to); err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		return nil, err
	}
	if err := syscall.EpollCtl(g.ep, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
		return nil, err
	}
	c := packet.Connect{Version: g.version, CleanStart: true, KeepAlive: 600, ClientID: fmt.Appendf(nil, "c%d", len(g.peers))}
	return p, g.send(p, &c)
}

// dialAll makes connections, with regard to the broker's backlog, and waits for their
// CONNACKs.
func (g *generator) dialAll(n int) ([]*peer, error) {
	first := len(g.peers)
	before := g.connacks
	err := g.until(func() bool { return g.connacks-before == n }, func() error {
		for len(g.peers)-first < n && len(g.peers)-first-(g.connacks-before) < 64 {
			if _, err := g.dial(); err != nil {
				return err
			}
		}
		return nil
	})
	return g.peers[first:], err
}

// subscribeAll subscribes and waits for the SUBACKs.
func (g *generator) subscribeAll(peers []*peer, filter string, qos packet.QoS) error {
	want := g.subacks + len(peers)
	for _, p := range peers {
		p.id++
		s := packet.Subscribe{PacketID: p.id, Subscriptions: []packet.Subscription{{Filter: []byte(filter), Options: packet.SubscribeOptions(qos)}}}
		if err := g.send(p, &s); err != nil {
			return err
		}
	}
	return g.until(func() bool { return g.subacks == want }, nil)
}

// publish appends a message of 64 bytes, which contains its publisher and its number, to a
// peer's output.
func (g *generator) publish(p *peer, topic []byte, qos packet.QoS) error {
	var payload [64]byte
	p.seq++
	binary.BigEndian.PutUint32(payload[:], p.number)
	binary.BigEndian.PutUint32(payload[4:], p.seq)
	m := packet.Publish{Topic: topic, QoS: qos, Payload: payload[:]}
	if qos > 0 {
		if p.id++; p.id == 0 {
			p.id = 1
		}
		m.PacketID = p.id
	}
	var err error
	p.out, err = m.AppendTo(p.out, g.version)
	return err
}

func (g *generator) send(p *peer, what packet.Packet) (err error) {
	if p.out, err = what.AppendTo(p.out, g.version); err != nil {
		return err
	}
	return g.flush(p)
}

// flush writes what the socket accepts.
func (g *generator) flush(p *peer) error {
	for len(p.out) > 0 {
		n, err := syscall.Write(p.fd, p.out)
		if errors.Is(err, syscall.EAGAIN) {
			return g.ask(p, true)
		}
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		p.out = p.out[:copy(p.out, p.out[n:])]
	}
	p.out = p.out[:0]
	return g.ask(p, false)
}

func (g *generator) ask(p *peer, writable bool) error {
	if p.asked == writable {
		return nil
	}
	p.asked = writable
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(p.fd)}
	if writable {
		e.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(g.ep, syscall.EPOLL_CTL_MOD, p.fd, &e)
}

// patience is the longest time without input while something is awaited.
const patience = 3 * time.Second

var errSilence = errors.New("the broker is silent")

// until handles input until a condition holds. before, if not nil, is called before each
// wait.
func (g *generator) until(holds func() bool, before func() error) error {
	g.moved = time.Now()
	for !holds() {
		if before != nil {
			if err := before(); err != nil {
				return err
			}
		}
		n, err := syscall.EpollWait(g.ep, g.events[:], 100)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
		// In a different order each time, so that no client is always the first.
		for i := range max(n, 0) {
			j := i + rand.IntN(n-i)
			g.events[i], g.events[j] = g.events[j], g.events[i]
			e := &g.events[i]
			if err := g.handle(g.byFD[e.Fd], e.Events); err != nil {
				return err
			}
		}
		if n > 0 {
			g.moved = time.Now()
		} else if time.Since(g.moved) > patience {
			return errSilence
		}
	}
	return nil
}

func (g *generator) handle(p *peer, events uint32) error {
	if events&syscall.EPOLLOUT != 0 {
		if err := g.flush(p); err != nil {
			return err
		}
	}
	if events&^syscall.EPOLLOUT == 0 {
		return nil
	}
	kept := copy(g.buf, p.rest)
	n, err := syscall.Read(p.fd, g.buf[kept:])
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case err != nil:
		return fmt.Errorf("reading: %w", err)
	case n == 0:
		return errors.New("the broker has closed a connection")
	}
	b := g.buf[:kept+n]
	for {
		f, n, err := packet.Split(b, g.version, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b = b[n:]
		if err := g.arrived(p, f); err != nil {
			return err
		}
	}
	p.rest = append(p.rest[:0], b...)
	if len(p.out) > 0 && !p.asked {
		return g.flush(p)
	}
	return nil
}

// arrived handles a packet; its answer is sent together with those to everything that
// arrived in the same read.
func (g *generator) arrived(p *peer, f packet.Frame) error {
	switch f.Type {
	case packet.PUBLISH:
		return g.message(p, f)
	case packet.PUBREC:
		p.out = packet.AppendAck(p.out, packet.PUBREL, binary.BigEndian.Uint16(f.Body))
	case packet.PUBREL:
		p.out = packet.AppendAck(p.out, packet.PUBCOMP, binary.BigEndian.Uint16(f.Body))
	case packet.PUBACK, packet.PUBCOMP:
		g.finished++
	case packet.CONNACK:
		if f.Body[1] != 0 {
			return fmt.Errorf("CONNACK with 0x%02x", f.Body[1])
		}
		g.connacks++
	case packet.SUBACK:
		if last := f.Body[len(f.Body)-1]; last > 2 {
			return fmt.Errorf("SUBACK with 0x%02x", last)
		}
		g.subacks++
	default:
		return fmt.Errorf("%v from the broker", f.Type)
	}
	return nil
}

// message counts a delivery and acknowledges it.
func (g *generator) message(p *peer, f packet.Frame) error {
	at := 2 + int(binary.BigEndian.Uint16(f.Body))
	switch qos := f.Flags >> 1 & 3; qos {
	case 1, 2:
		p.out = packet.AppendAck(p.out, map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC}[qos], binary.BigEndian.Uint16(f.Body[at:]))
	}
	payload := f.Body[len(f.Body)-64:]
	from, seq := binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:])
	if int(from) >= len(p.seen) {
		return fmt.Errorf("a message of publisher %d", from)
	}
	if seq <= p.seen[from] {
		g.disorder++
		return nil
	}
	g.delivered++
	g.lost += int(seq - p.seen[from] - 1)
	p.seen[from] = seq
	return nil
}
