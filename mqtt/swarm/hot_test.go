package swarm

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// burst is how many messages are sent before the answers are read.
const burst = 64

// TestMessagesDoNotAllocate runs bursts of messages through a client and its socket,
// both ways.
func TestMessagesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		done := make(chan struct{})
		open := 0
		count := func() {
			if open--; open == 0 {
				done <- struct{}{}
			}
		}
		do(c, func() {
			h.acked = func(*Client, uint64) { count() }
			h.message = func(*Client, *packet.Publish) { count() }
		})
		for qos := range packet.QoS(2) {
			m := publish(qos, "sensors/kitchen", string(make([]byte, 64)))
			m.PacketID = uint16(qos)
			size := m.Size(packet.V311)
			wire, acks := make([]byte, burst*size), make([]byte, burst*4*int(qos))
			send := func() {
				open = burst * int(qos)
				for range burst {
					if err := c.Publish(m, 0); err != nil {
						t.Error(err)
					}
				}
			}
			out := func() {
				do(c, send)
				if _, err := io.ReadFull(p.conn, wire); err != nil {
					t.Fatal(err)
				}
				for i := range len(acks) / 4 {
					id := wire[i*size+2+17:] // after the fixed header and the topic
					copy(acks[i*4:], []byte{0x40, 2, id[0], id[1]})
				}
				if len(acks) > 0 {
					p.conn.Write(acks)
					<-done
				}
			}
			for range 10 {
				out()
			}
			if n := testing.AllocsPerRun(100, out); n >= 1 {
				t.Errorf("QoS %d: %v allocations in %d messages sent", qos, n, burst)
			}
			in := []byte{}
			for range burst {
				in, _ = m.AppendTo(in, packet.V311)
			}
			expect := func() { open = burst }
			receive := func() {
				do(c, expect)
				p.conn.Write(in)
				<-done
				if _, err := io.ReadFull(p.conn, acks); err != nil {
					t.Fatal(err)
				}
			}
			for range 10 {
				receive()
			}
			if n := testing.AllocsPerRun(100, receive); n >= 1 {
				t.Errorf("QoS %d: %v allocations in %d messages received", qos, n, burst)
			}
		}
	})
}

// pacer publishes a message every interval, from one client after the other, and notes
// how late each is.
type pacer struct {
	*probe
	clients  []*Client
	message  *packet.Publish
	interval time.Duration
	began    time.Duration
	sent, n  int
	lags     []time.Duration
	now      func() time.Duration
	done     chan struct{}
}

func (p *pacer) Due(time.Duration) time.Duration {
	now := p.now()
	for p.sent < p.n {
		at := p.began + time.Duration(p.sent)*p.interval
		if at > now {
			return at
		}
		if err := p.clients[p.sent%len(p.clients)].Publish(p.message, 0); err == ErrBufferFull {
			return now + time.Millisecond
		}
		p.lags = append(p.lags, now-at)
		p.sent++
	}
	close(p.done)
	return Never
}

func (p *pacer) Writable(*Client) {}

// pace sends n messages and returns how late they were, sorted.
func pace(t testing.TB, s *Swarm, h *pacer, n int) []time.Duration {
	h.n, h.sent, h.lags, h.now, h.done = n, 0, make([]time.Duration, 0, n), s.Now, make(chan struct{})
	l := s.Loop(0)
	l.Do(func() {
		h.began = s.Now() + time.Millisecond
		l.Wake(h.began)
	})
	<-h.done
	slices.Sort(h.lags)
	return h.lags
}

// TestPacingIsPrecise allows for a machine that is busy with other things: it looks at
// the best tenth. With the timers of package time even that is later.
func TestPacingIsPrecise(t *testing.T) {
	if !liteHere {
		t.Skip("precise on Linux only")
	}
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), &pacer{probe: newProbe(), message: publish(0, "a", "x"), interval: 700 * time.Microsecond}
		s := start(t, o, h, p.target())
		c := connectOne(s, specOf(packet.V311))
		p.accept()
		p.greet()
		h.want(t, "0 connected present=false")
		go io.Copy(io.Discard, p.conn)
		h.clients = []*Client{c}
		best := time.Hour
		for range 5 {
			lags := pace(t, s, h, 300)
			if lags[0] < 0 {
				t.Fatalf("a message left %v too early", -lags[0])
			}
			if best = min(best, lags[len(lags)/10]); best < 200*time.Microsecond {
				return
			}
		}
		t.Errorf("nine of ten messages are %v late and more", best)
	})
}

// void is a driver whose sockets take everything at once.
type void struct{}

func (void) run()               {}
func (void) wake()              {}
func (void) start(*Client)      {}
func (void) flush(c *Client)    { c.conn.Wrote(c.conn.Pending(), 0) }
func (void) waited(*Client)     {}
func (void) unsent(*Client) int { return 0 }
func (void) interest(*Client)   {}
func (void) shut(*Client)       {}

// voidLoop returns a loop of n clients that are connected to nothing.
func voidLoop(h Handler, n int) *Loop {
	l := &Loop{swarm: &Swarm{opts: Options{Buffer: 1 << 20, now: func() time.Duration { return 0 }}}, handler: h, driver: void{}, halfOpen: 1, due: Never}
	for i := range n {
		c := l.Add(uint32(i))
		c.spec, c.state = specOf(packet.V311), connecting
		l.half++
		l.opened(c)
		l.settleAll()
		l.input(c, unhex(connack4))
		l.settle(c)
	}
	return l
}

// quiet is a Handler that notes nothing.
type quiet struct{ probe }

func (*quiet) Connected(*Client, *packet.Connack, *Timing)          {}
func (*quiet) Acked(*Client, uint64, packet.QoS, packet.ReasonCode) {}

// TestWhatClientsNeedForAWhileIsShared: thousands of clients that each have a message
// in flight, all at once and then none, use what the loop has lent before.
func TestWhatClientsNeedForAWhileIsShared(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 3000
	l := voidLoop(&quiet{}, n)
	m := publish(1, "sensors/kitchen", string(make([]byte, 64)))
	var ack [4]byte
	round := func() {
		for c := range l.all() {
			if err := c.Publish(m, 0); err != nil {
				t.Fatal(err)
			}
		}
		l.finish()
		for c := range l.all() {
			c.conn.Session().Range(func(id uint16, _ uint64, _ []byte) bool {
				ack = [4]byte{0x40, 2, byte(id >> 8), byte(id)}
				return true
			})
			l.input(c, ack[:])
			l.settle(c)
			if c.Open() != 0 || c.conn.Session() != nil || c.holds {
				t.Fatalf("client %d keeps something", c.Index())
			}
		}
	}
	for range 3 {
		round()
	}
	if a := testing.AllocsPerRun(5, round); a >= 10 {
		t.Errorf("%v allocations for %d messages", a, n)
	}
}

func TestAReconnectionDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := voidLoop(&quiet{}, 1)
	c := l.at(0)
	id, m, connack := []byte("c0"), publish(1, "a", ""), unhex(connack4)
	c.spec = &Spec{Connect: func(_ *Client, p *packet.Connect) {
		p.Version, p.CleanStart, p.ClientID = packet.V311, true, id
	}}
	var ack [4]byte
	again := func() {
		c.state = connecting
		l.half++
		l.opened(c)
		l.settleAll()
		l.input(c, connack)
		l.settle(c)
		_ = c.Publish(m, 0)
		c.conn.Session().Range(func(id uint16, _ uint64, _ []byte) bool {
			ack = [4]byte{0x40, 2, byte(id >> 8), byte(id)}
			return true
		})
		l.finish()
		l.input(c, ack[:])
		l.settle(c)
	}
	again()
	if n := testing.AllocsPerRun(100, again); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
