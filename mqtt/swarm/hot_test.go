package swarm

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// burst is how many messages go before the answers are read.
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
					id := wire[i*size+2+17:] // behind the fixed header and the topic
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

// pacer publishes a message every interval, to one client after the other, and
// notes how late each is.
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
		if err := p.clients[p.sent%len(p.clients)].Publish(p.message, 0); err == ErrFull {
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

// TestPacingIsPrecise allows for a machine that is busy with other things: it looks
// at the best tenth. With the timers of package time even that is later.
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
