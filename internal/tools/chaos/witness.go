package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// witness is a broker that keeps its sessions over a kill -9: every change is in its log, a
// file, before the packet that depends on it is sent. It shares nothing with the broker and
// the session of this project except the encoding of packets.
//
// A line of the log is a letter and its words:
//
//	P client              a connection was accepted
//	S client              a session begins
//	K client              a packet came after the CONNACK that said so: the client knows it
//	U client qos filter   subscribed
//	M client qos id text  a message was accepted; it goes to all sessions that subscribe
//	R client id           PUBREL came from the publisher
//	O client n id         message n, counted from 0, goes to a subscriber under id
//	C client id           PUBREC came from the subscriber
//	A client id           the subscriber has completed it
type witness struct {
	opt witnessOptions
	mu  sync.Mutex
	log *os.File
	all map[string]*client
	n   int // messages so far
	r   *rand.Rand
}

type witnessOptions struct {
	log     string
	receive uint   // Receive Maximum of the CONNACK; 0: none
	lose    uint   // percent of the connects of a publisher at which its session is lost
	wrong   string // "lose", "repeat" or "swap": what it does to message 100, for tests
	seed    uint64
}

// client is a session, and the connection that uses it.
type client struct {
	filters map[string]packet.QoS
	inbound map[uint16]bool
	queue   []*outbound
	ids     map[uint16]*outbound
	last    uint16
	link    *link
}

// outbound is a message on its way to a subscriber.
type outbound struct {
	n        int
	qos      packet.QoS
	id       uint16 // 0: not sent
	received bool
	name     string
	text     []byte
}

// link is a connection. Its buffer is guarded by the witness's lock.
type link struct {
	net.Conn
	version packet.Version
	out     []byte
	ready   *sync.Cond
	closed  bool
	begins  bool // nothing has come since the CONNACK, which said that the session begins
	window  int  // Receive Maximum of the subscriber
	open    int
}

func runWitness(network, address string, opt witnessOptions) error {
	w := &witness{opt: opt, all: map[string]*client{}, r: rand.New(rand.NewPCG(opt.seed, uint64(os.Getpid())))}
	if err := w.openLog(); err != nil {
		return err
	}
	_ = os.Remove(address) // of a witness that was killed
	ln, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	for {
		nc, err := ln.Accept()
		if err != nil {
			return err
		}
		go w.serve(nc)
	}
}

// openLog replays the log. What was being written when the witness was killed is cut off.
func (w *witness) openLog() error {
	b, err := os.ReadFile(w.opt.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	for line := range strings.Lines(string(b)) {
		w.apply(strings.TrimSuffix(line, "\n"))
	}
	if w.log, err = os.OpenFile(w.opt.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
		err = w.log.Truncate(int64(len(b)))
	}
	return err
}

// change logs and applies a change. w.mu must be held.
func (w *witness) change(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if _, err := w.log.WriteString(line + "\n"); err != nil {
		panic(err)
	}
	w.apply(line)
}

func (w *witness) apply(line string) {
	f := strings.SplitN(line, " ", 5)
	number := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	c := w.all[f[1]]
	switch f[0] {
	case "S":
		w.all[f[1]] = &client{filters: map[string]packet.QoS{}, inbound: map[uint16]bool{}, ids: map[uint16]*outbound{}}
	case "U":
		c.filters[f[3]] = packet.QoS(number(2))
	case "M":
		if number(2) == 2 {
			c.inbound[uint16(number(3))] = true
		}
		name, text, _ := strings.Cut(f[4], " ")
		copies := 1
		switch {
		case w.n == 100 && w.opt.wrong == "lose":
			copies = 0
		case w.n == 100 && w.opt.wrong == "repeat":
			copies = 2
		}
		for _, to := range w.all {
			for filter, qos := range to.filters {
				if topic.Match(filter, name) {
					for range copies {
						to.queue = append(to.queue, &outbound{n: w.n, qos: min(qos, packet.QoS(number(2))), name: name, text: []byte(text)})
					}
					if last := len(to.queue) - 1; w.n == 101 && w.opt.wrong == "swap" && last > 0 && to.queue[last-1].id == 0 {
						to.queue[last-1], to.queue[last] = to.queue[last], to.queue[last-1]
					}
					break
				}
			}
		}
		w.n++
	case "R":
		delete(c.inbound, uint16(number(2)))
	case "O":
		c.last = uint16(number(3))
		for _, o := range c.queue {
			if o.n == number(2) && o.id == 0 {
				o.id = c.last
				c.ids[o.id] = o
				break
			}
		}
	case "C":
		c.ids[uint16(number(2))].received = true
	case "A":
		o := c.ids[uint16(number(2))]
		delete(c.ids, o.id)
		c.queue = slices.DeleteFunc(c.queue, func(p *outbound) bool { return p == o })
	}
}

// serve serves a connection.
func (w *witness) serve(nc net.Conn) {
	l := &link{Conn: nc, version: packet.V5, ready: sync.NewCond(&w.mu)}
	var id string
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drop(l)
		if c := w.all[id]; c != nil && c.link == l {
			c.link = nil
		}
	}()
	go w.write(l)
	var b []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		b = append(b, buf[:n]...)
		for {
			f, n, err := packet.Split(b, l.version, 0)
			if err != nil {
				fmt.Fprintln(os.Stderr, "witness:", err)
				return
			}
			if n == 0 {
				break
			}
			w.mu.Lock()
			if err = errEnd; !l.closed { // by a later connection of the client
				err = w.packet(l, &id, f)
			}
			w.mu.Unlock()
			if err != nil {
				if !errors.Is(err, errEnd) {
					fmt.Fprintf(os.Stderr, "witness: %v: %v\n", f.Type, err)
				}
				return
			}
			b = b[n:]
		}
	}
}

var errEnd = errors.New("the client has disconnected")

// write writes what is put into the buffer of a connection.
func (w *witness) write(l *link) {
	for {
		w.mu.Lock()
		for len(l.out) == 0 && !l.closed {
			l.ready.Wait()
		}
		b := l.out
		l.out = nil
		closed := l.closed
		w.mu.Unlock()
		if closed {
			return
		}
		if _, err := l.Write(b); err != nil {
			return
		}
	}
}

// drop ends a connection. w.mu must be held.
func (w *witness) drop(l *link) {
	l.closed = true
	l.ready.Signal()
	_ = l.Close()
}

func (w *witness) packet(l *link, id *string, f packet.Frame) (err error) {
	c := w.all[*id]
	if (f.Type == packet.CONNECT) != (c == nil) {
		return errors.New("unexpected")
	}
	if l.begins {
		l.begins = false
		w.change("K %s", *id)
	}
	var ack packet.Ack
	if f.Type >= packet.PUBACK && f.Type <= packet.PUBCOMP {
		if err = ack.Parse(f, l.version); err != nil {
			return err
		}
	}
	switch f.Type {
	case packet.CONNECT:
		return w.connect(l, id, f)
	case packet.PUBLISH:
		var p packet.Publish
		if err = p.Parse(f, l.version); err != nil {
			return err
		}
		if p.QoS != 2 || !c.inbound[p.PacketID] {
			w.change("M %s %d %d %s %s", *id, p.QoS, p.PacketID, p.Topic, p.Payload)
			for name, c := range w.all {
				w.send(name, c)
			}
		}
		switch p.QoS {
		case 1:
			l.out = packet.AppendAck(l.out, packet.PUBACK, p.PacketID)
		case 2:
			l.out = packet.AppendAck(l.out, packet.PUBREC, p.PacketID)
		}
	case packet.PUBREL:
		if c.inbound[ack.PacketID] {
			w.change("R %s %d", *id, ack.PacketID)
		}
		l.out = packet.AppendAck(l.out, packet.PUBCOMP, ack.PacketID)
	case packet.PUBREC:
		o := c.ids[ack.PacketID]
		if o == nil || o.qos != 2 {
			return fmt.Errorf("identifier %d is not in use at QoS 2", ack.PacketID)
		}
		if !o.received {
			w.change("C %s %d", *id, ack.PacketID)
		}
		l.out = packet.AppendAck(l.out, packet.PUBREL, ack.PacketID)
	case packet.PUBACK, packet.PUBCOMP:
		o := c.ids[ack.PacketID]
		if o == nil || (f.Type == packet.PUBACK) != (o.qos == 1) || o.qos == 2 && !o.received {
			return fmt.Errorf("identifier %d is not in use so", ack.PacketID)
		}
		w.change("A %s %d", *id, ack.PacketID)
		l.open--
		w.send(*id, c)
	case packet.SUBSCRIBE:
		var p packet.Subscribe
		if err = p.Parse(f, l.version); err != nil {
			return err
		}
		granted := packet.Suback{Type: packet.SUBACK, PacketID: p.PacketID}
		for _, s := range p.Subscriptions {
			qos := packet.QoS(s.Options & 3)
			if had, ok := c.filters[string(s.Filter)]; !ok || had != qos {
				w.change("U %s %d %s", *id, qos, s.Filter)
			}
			granted.Codes = append(granted.Codes, byte(qos))
		}
		l.out, err = granted.AppendTo(l.out, l.version)
	case packet.PINGREQ:
		l.out = append(l.out, 0xd0, 0)
	case packet.DISCONNECT:
		return errEnd
	default:
		return errors.New("unexpected")
	}
	l.ready.Signal()
	return err
}

func (w *witness) connect(l *link, id *string, f packet.Frame) (err error) {
	var p packet.Connect
	if err = p.Parse(f, packet.V5); err != nil {
		return err
	}
	l.version, *id = p.Version, string(p.ClientID)
	c := w.all[*id]
	ok := packet.Connack{SessionPresent: c != nil && !p.CleanStart}
	if ok.SessionPresent && len(c.filters) == 0 && w.r.UintN(100) < w.opt.lose {
		ok.SessionPresent = false
	}
	if c != nil && c.link != nil {
		w.drop(c.link)
	}
	w.change("P %s", *id)
	if !ok.SessionPresent {
		w.change("S %s", *id)
		c, l.begins = w.all[*id], true
	}
	if w.opt.receive > 0 && l.version == packet.V5 {
		if ok.Properties, err = ok.Properties.AppendUint(packet.ReceiveMaximum, uint32(w.opt.receive)); err != nil {
			return err
		}
	}
	if l.out, err = ok.AppendTo(l.out, l.version); err != nil {
		return err
	}
	c.link, l.window, l.open = l, int(p.Properties.UintOr(packet.ReceiveMaximum, 65535)), 0
	for _, o := range c.queue {
		switch {
		case o.id == 0:
			continue
		case o.received:
			l.out = packet.AppendAck(l.out, packet.PUBREL, o.id)
		default:
			l.publish(o, true)
		}
		l.open++
	}
	w.send(*id, c)
	return nil
}

// send sends to a subscriber what it may receive. w.mu must be held.
func (w *witness) send(id string, c *client) {
	l := c.link
	if l == nil {
		return
	}
	for i := c.unsent(); i < len(c.queue) && l.open < l.window; i++ {
		next := c.last
		for next++; next == 0 || c.ids[next] != nil; {
			next++
		}
		w.change("O %s %d %d", id, c.queue[i].n, next)
		l.publish(c.queue[i], false)
		l.open++
	}
	l.ready.Signal()
}

// unsent returns the index of the first message that was not sent.
func (c *client) unsent() int {
	i, _ := slices.BinarySearchFunc(c.queue, 0, func(o *outbound, _ int) int {
		if o.id == 0 {
			return 0
		}
		return -1
	})
	return i
}

func (l *link) publish(o *outbound, again bool) {
	p := packet.Publish{Dup: again, QoS: o.qos, PacketID: o.id, Topic: []byte(o.name), Payload: o.text}
	var err error
	if l.out, err = p.AppendTo(l.out, l.version); err != nil {
		panic(err)
	}
}
