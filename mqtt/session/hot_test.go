package session

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// pair is a client and a server that are connected.
type pair struct {
	c, s   Conn
	cs, ss Session
	ev     Event
	spare  []byte
	p      packet.Publish
}

func newPair(tb testing.TB, qos packet.QoS) *pair {
	tb.Helper()
	p := &pair{p: packet.Publish{QoS: qos, Topic: []byte("sensors/kitchen/temperature"), Payload: make([]byte, 64)}}
	if err := p.c.Open(&p.cs, &packet.Connect{Version: packet.V5, ClientID: []byte("c")}, Config{}, 0); err != nil {
		tb.Fatal(err)
	}
	p.s.Serve(Config{}, 0)
	p.move(tb, &p.c, &p.s)
	if err := p.s.Accept(&p.ss, &packet.Connack{}, 0, 0); err != nil {
		tb.Fatal(err)
	}
	p.move(tb, &p.s, &p.c)
	p.c.Resume(false, nil)
	return p
}

// move passes what a has written to b, which acknowledges every message, and
// returns the number of messages that are finished for b.
func (p *pair) move(tb testing.TB, a, b *Conn) (done int) {
	in := a.Swap(p.spare, 0)
	for at := 0; at < len(in); {
		n, err := b.Next(in[at:], 0, &p.ev)
		if err != nil || n == 0 {
			tb.Fatal(err)
		}
		at += n
		switch p.ev.Kind {
		case Publish:
			b.Ack(p.ev.Publish.QoS, p.ev.Publish.PacketID, packet.Success)
		case Done:
			done++
		}
	}
	p.spare = in[:0]
	return done
}

// burst is how many messages are sent before the answers are read.
const burst = 64

// round sends a burst from the client and completes it.
func (p *pair) round(tb testing.TB) {
	for range burst {
		if err := p.c.Publish(&p.p, 7); err != nil {
			tb.Fatal(err)
		}
	}
	done := 0
	for range int(p.p.QoS) + 1 {
		p.move(tb, &p.c, &p.s)
		done += p.move(tb, &p.s, &p.c)
	}
	if p.p.QoS > 0 && done != burst {
		tb.Fatalf("%d of %d messages are over", done, burst)
	}
}

func TestPublishAndReceiveDoNotAllocate(t *testing.T) {
	for qos := range packet.QoS(3) {
		p := newPair(t, qos)
		p.round(t)
		p.round(t)
		if n := testing.AllocsPerRun(50, func() { p.round(t) }); n != 0 {
			t.Errorf("QoS %d: %v allocations in %d messages", qos, n, burst)
		}
	}
}

// BenchmarkBothEnds measures the work of both engines per message, without I/O.
func BenchmarkBothEnds(b *testing.B) {
	for qos, name := range []string{"QoS0", "QoS1", "QoS2"} {
		b.Run(name, func(b *testing.B) {
			p := newPair(b, packet.QoS(qos))
			b.ReportAllocs()
			b.SetBytes(int64(p.p.Size(packet.V5)))
			for i := 0; i < b.N; i += burst {
				p.round(b)
			}
		})
	}
}
