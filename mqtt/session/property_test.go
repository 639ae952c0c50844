package session

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// side is one end of the model: an engine, its session, and the application
// that uses it.
type side struct {
	name   string
	conn   Conn
	sess   Session
	cfg    Config
	toPeer []byte // bytes in transit
	in     []byte // received, not yet parsed
	ev     Event

	held bool // CONNECT or CONNACK was read; Accept or Resume was not called yet

	next  uint64            // number of the next message
	qos   map[uint64]int    // of every message at QoS 1 and 2 that Publish accepted
	done  map[uint64]int    // how often each was reported as finished
	got   map[uint64]int    // how often each message of the peer arrived
	now   map[uint64]int    // how often on this connection
	asked map[uint64]bool   // unanswered requests
	first []uint64          // in the order of first arrival
	todo  []unacked         // delivered and not yet acknowledged by the application
	lost  map[uint64]string // messages that may be missing at the peer, and why
}

type unacked struct {
	n     uint64
	qos   packet.QoS
	id    uint16
	epoch int
}

// model is a client and a server with pipes between them.
type model struct {
	t         *rapid.T
	c, s      side
	version   packet.Version
	now       time.Duration
	up        bool
	epoch     int
	forgotten bool // the server has lost its session at least once
	journal   journal.Memory
	forget    bool // it loses it before the next connection
}

func newSide(name string, cfg Config) side {
	return side{name: name, cfg: cfg, qos: map[uint64]int{}, done: map[uint64]int{}, got: map[uint64]int{},
		asked: map[uint64]bool{}, lost: map[uint64]string{}}
}

func (m *model) peer(x *side) *side {
	if x == &m.c {
		return &m.s
	}
	return &m.c
}

// open begins a connection, which then waits until its CONNECT and CONNACK are
// delivered, and for accept and resume.
func (m *model) open() {
	m.epoch++
	m.up = true
	for _, x := range []*side{&m.c, &m.s} {
		x.toPeer, x.in, x.held, x.now = nil, nil, false, map[uint64]int{}
	}
	p := packet.Connect{Version: m.version, ClientID: []byte("c")}
	if err := m.c.conn.Open(&m.c.sess, &p, m.c.cfg, m.now); err != nil {
		m.t.Fatal(err)
	}
	m.s.conn.Serve(m.s.cfg, m.now)
}

// cut loses the connection and everything in transit.
func (m *model) cut() {
	m.up = false
	for _, x := range []*side{&m.c, &m.s} {
		x.conn.Lost(func(tag uint64) { m.answered(x, tag) })
		x.toPeer, x.in, x.held = nil, nil, false
	}
}

// restart ends the client's program and starts another one from its journal.
// Messages that were delivered and not acknowledged will come again.
func (m *model) restart() {
	if m.c.sess.forgotten {
		m.forget = true // the program that knew it has ended
	}
	m.cut()
	x := &m.c
	for _, u := range x.todo {
		if u.qos == 2 && x.sess.inbound[u.id].state&inboundAcked == 0 {
			x.got[u.n]--
		}
	}
	x.todo = nil
	x.sess, x.conn = Session{}, Conn{}
	if err := m.journal.Load(func(r journal.Record) error {
		return x.sess.Restore(ChangeKind(r.Kind), r.PacketID, r.Tag, r.Packet)
	}); err != nil {
		m.t.Fatal(err)
	}
	m.keepJournal()
	m.open()
}

func (m *model) keepJournal() {
	m.c.sess.Changed = func(kind ChangeKind, id uint16, tag uint64, publish []byte) {
		m.journal.Append(journal.Record{Kind: journal.Kind(kind), PacketID: id, Tag: tag, Packet: publish})
	}
}

// flush moves written bytes into the pipe.
func (m *model) flush(x *side) {
	x.toPeer = append(x.toPeer, x.conn.Swap(nil, m.now)...)
}

// deliver passes n bytes from the peer to x, which parses what it can.
func (m *model) deliver(x *side, n int) {
	from := m.peer(x)
	n = min(n, len(from.toPeer))
	x.in = append(x.in, from.toPeer[:n]...)
	from.toPeer = from.toPeer[n:]
	for !x.held {
		n, err := x.conn.Next(x.in, m.now, &x.ev)
		if err == ErrNotUp && !m.up { // after a DISCONNECT
			return
		}
		if err != nil {
			m.t.Fatalf("%s refuses %x: %v", x.name, x.in[:min(len(x.in), 40)], err)
		}
		if n == 0 {
			return
		}
		x.in = x.in[n:]
		m.event(x)
	}
}

func (m *model) event(x *side) {
	ev := &x.ev
	switch ev.Kind {
	case Connect, Connack:
		x.held = true
		if ev.Kind == Connack && !ev.Connack.SessionPresent {
			m.forget = false // the client has been informed
		}
	case Publish:
		p := &ev.Publish
		n := binary.BigEndian.Uint64(p.Payload)
		if x.got[n]++; !slices.Contains(x.first, n) {
			x.first = append(x.first, n)
		}
		if x.now[n]++; x.now[n] > 1 {
			m.t.Errorf("%s: message %d arrived %d times on one connection", x.name, n, x.now[n])
		}
		if p.QoS > 0 {
			x.todo = append(x.todo, unacked{n, p.QoS, p.PacketID, m.epoch})
		}
	case Done:
		m.over(x, ev.Tag)
	case Subscribe, Unsubscribe:
		p := packet.Suback{Type: packet.SUBACK, PacketID: ev.Subscribe.PacketID, Codes: []byte{0}}
		if ev.Kind == Unsubscribe {
			p.Type, p.PacketID = packet.UNSUBACK, ev.Unsubscribe.PacketID
		}
		if err := x.conn.Suback(&p); err != nil {
			m.t.Errorf("Suback: %v", err)
		}
	case Suback:
		m.answered(x, ev.Tag)
	case Disconnect:
		m.cut()
	}
}

// proceed lets the application handle the CONNECT or CONNACK.
func (m *model) proceed(x *side) {
	if !x.held {
		return
	}
	x.held = false
	if x == &m.c {
		x.conn.Resume(x.ev.Connack.SessionPresent, func(tag uint64, _ packet.ReasonCode) { m.over(x, tag) })
		m.deliver(x, 0)
		return
	}
	ack := packet.Connack{SessionPresent: m.epoch > 1 && !m.forget}
	if m.forget { // until the client has learned of it
		x.sess.Clear(func(tag uint64) { x.done[tag]++; x.lost[tag] = "server forgot" })
		x.todo = nil
	}
	if m.version == packet.V5 {
		ack.Properties, _ = ack.Properties.AppendUint(packet.ReceiveMaximum, uint32(x.cfg.ReceiveMaximum))
		ack.Properties, _ = ack.Properties.AppendUint(packet.TopicAliasMaximum, uint32(x.cfg.TopicAliasMaximum))
	}
	if err := x.conn.Accept(&x.sess, &ack, 0, m.now); err != nil {
		m.t.Fatal(err)
	}
	m.deliver(x, 0)
}

// over records the end of a publish, answered that of a request.
func (m *model) over(x *side, tag uint64) {
	x.done[tag]++
	if x.qos[tag] == 0 {
		m.t.Errorf("%s: %d is over, which was not published", x.name, tag)
	}
}

func (m *model) answered(x *side, tag uint64) {
	if !x.asked[tag] {
		m.t.Errorf("%s: request %d is answered, which was not asked", x.name, tag)
	}
	delete(x.asked, tag)
}

// request makes the client subscribe, unsubscribe, ping or, rarely, disconnect.
func (m *model) request(arg int) {
	x := &m.c
	x.next++
	n := x.next
	var err error
	switch arg % 8 {
	case 0, 1, 2:
		err = x.conn.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("t")}}}, n)
		x.asked[n] = err == nil
	case 3, 4:
		err = x.conn.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{[]byte("t")}}, n)
		x.asked[n] = err == nil
	case 5, 6:
		err = x.conn.Ping(m.now)
	case 7:
		x.conn.Disconnect(&packet.Disconnect{})
		m.flush(x)
		m.deliver(&m.s, len(x.toPeer))
		m.cut()
	}
	if err != nil {
		delete(x.asked, n)
	}
	if err != nil && (err != ErrNotUp || x.conn.Up()) {
		m.t.Errorf("request %d: %v", arg%8, err)
	}
}

// ack makes the application acknowledge its oldest message.
func (m *model) ack(x *side) {
	if len(x.todo) == 0 {
		return
	}
	u := x.todo[0]
	x.todo = x.todo[1:]
	switch {
	case u.epoch == m.epoch: // acts as AckLate once the connection is over
		x.conn.Ack(u.qos, u.id, packet.Success)
	case x.conn.s == nil: // the server has not accepted; the old connection still exists
		(&Conn{s: &x.sess, phase: closed}).AckLate(u.qos, u.id)
	default:
		x.conn.AckLate(u.qos, u.id)
	}
}

func (m *model) publish(x *side, qos packet.QoS) {
	x.next++
	n := x.next
	payload := binary.BigEndian.AppendUint64(nil, n)
	err := x.conn.Publish(&packet.Publish{Topic: []byte(fmt.Sprint("t", n%3)), QoS: qos, Payload: payload}, n)
	switch {
	case err == nil && qos > 0:
		x.qos[n] = int(qos)
	case err == nil, err == ErrQuota, err == ErrNotUp:
	default:
		m.t.Fatalf("%s publishes: %v", x.name, err)
	}
}

// heal connects, delivers everything, and acknowledges it.
func (m *model) heal() {
	for range 100000 {
		if !m.up {
			m.open()
		}
		m.proceed(&m.s)
		m.proceed(&m.c)
		m.flush(&m.c)
		m.flush(&m.s)
		if m.c.conn.Up() && len(m.c.toPeer)+len(m.s.toPeer)+len(m.c.todo)+len(m.s.todo) == 0 {
			return
		}
		m.deliver(&m.s, len(m.c.toPeer))
		m.deliver(&m.c, len(m.s.toPeer))
		m.ack(&m.c)
		m.ack(&m.s)
	}
	m.t.Fatal("never comes to rest")
}

// check checks what must hold when nothing is in progress.
func (m *model) check() {
	for _, x := range []*side{&m.c, &m.s} {
		y := m.peer(x)
		for n, qos := range x.qos {
			got := y.got[n]
			switch {
			case x.done[n] != 1:
				m.t.Errorf("%s: message %d at QoS %d was reported %d times", x.name, n, qos, x.done[n])
			case got == 0 && x.lost[n] == "":
				m.t.Errorf("%s: message %d at QoS %d never arrived", x.name, n, qos)
			case qos == 2 && got > 1 && !m.forgotten:
				m.t.Errorf("%s: message %d at QoS 2 arrived %d times", x.name, n, got)
			}
		}
		if len(x.asked) != 0 {
			m.t.Errorf("%s: requests without an answer: %v", x.name, x.asked)
		}
		if m.journal.Len() != 0 {
			m.t.Errorf("the journal keeps %d messages", m.journal.Len())
		}
		if x.sess.Open() != 0 || x.sess.Held() != 0 || x.sess.span() != 0 {
			m.t.Errorf("%s: %d messages open, %d bytes held, %d slots", x.name, x.sess.Open(), x.sess.Held(), x.sess.span())
		}
		for id := range x.sess.Inbound {
			m.t.Errorf("%s: inbound identifier %d stays open", x.name, id)
		}
		// QoS 0 may be lost, and may overtake QoS 1 and 2 messages that are
		// held back by a limit. Among QoS 1 and 2 the order of sending holds.
		var order []uint64
		for _, n := range y.first {
			if x.qos[n] > 0 {
				order = append(order, n)
			}
		}
		if !slices.IsSorted(order) {
			m.t.Errorf("%s: messages arrived for the first time in the order %d", x.name, order)
		}
	}
}

// TestNothingIsLostBetweenClientAndServer drives both engines over pipes that
// are cut at any byte, and checks the guarantees of section 4.3 when nothing is
// in progress.
func TestNothingIsLostBetweenClientAndServer(t *testing.T) {
	t.Parallel()
	for _, mayForget := range []bool{false, true} {
		t.Run(fmt.Sprint("server forgets: ", mayForget), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				versions := []packet.Version{packet.V5, packet.V311, packet.V31}
				if mayForget {
					versions = versions[:2] // in 3.1 a client cannot know
				}
				m := &model{t: t, version: rapid.SampledFrom(versions).Draw(t, "version")}
				limits := func(name string) Config {
					cfg := Config{ReceiveMaximum: 65535, SendWindow: rapid.IntRange(1, 20).Draw(t, name+" window")}
					if m.version == packet.V5 {
						cfg.ReceiveMaximum = uint16(rapid.IntRange(1, 5).Draw(t, name+" receive maximum"))
						cfg.TopicAliasMaximum, cfg.SendAliases = 2, 2
					}
					return cfg
				}
				m.c, m.s = newSide("client", limits("client")), newSide("server", limits("server"))
				m.keepJournal()
				m.open()
				steps := rapid.SliceOfN(rapid.IntRange(0, 9999), 150, 300).Draw(t, "steps")
				for _, step := range steps {
					x := &m.c
					if step%2 == 1 {
						x = &m.s
					}
					arg := step / 24
					switch step / 2 % 12 {
					case 0, 1, 2:
						// A broker has its own queue while there is no session.
						if x == &m.c || m.up {
							m.publish(x, packet.QoS(arg%3))
						}
					case 3, 4, 5:
						if m.up {
							m.flush(m.peer(x))
							m.deliver(x, arg%40)
						}
					case 6, 7:
						m.ack(x)
					case 8:
						if m.up {
							m.flush(m.peer(x))
							m.deliver(x, 1<<20)
						}
					case 9:
						m.proceed(x)
					case 10:
						if m.up {
							m.request(arg)
						}
					case 11:
						switch {
						case !m.up && arg%5 == 0:
							m.restart()
						case !m.up:
							m.open()
						case arg%4 == 0:
							m.cut()
							if mayForget && arg%8 == 0 {
								m.forget, m.forgotten = true, true
							}
						case arg%29 == 0:
							m.restart()
						}
					}
				}
				m.heal()
				m.check()
			})
		})
	}
}
