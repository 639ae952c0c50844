package mqtt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// TestTheClientKeepsItsPromisesOverAnyLink places calls, cuts and
// acknowledgements at every point of a client's connections, in virtual time:
// connecting, accepted, resuming, in the middle of any packet, and closing.
func TestTheClientKeepsItsPromisesOverAnyLink(t *testing.T) {
	t.Parallel()
	runs := uint64(60)
	if testing.Short() {
		runs = 10
	}
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { linkModel(t, seed) })
		})
	}
}

// modelServer is a server that never loses a session, behind a link that is cut
// at any byte.
type modelServer struct {
	t    *testing.T
	net  *memtest.Network
	cfg  session.Config
	turn chan struct{} // one connection at a time has the session

	mu    sync.Mutex
	rng   *rand.Rand
	sess  session.Session
	known bool // it has a session
	calm  bool // no more cuts
	got   map[uint64]int
	first []uint64 // at QoS 1 and 2
	next  uint64   // number of the next message to the client
	sent  map[uint64]packet.QoS
	byes  int
}

// cut says where a connection ends: at a byte of the output, from a given time
// on.
type cut struct {
	at    time.Time
	bytes int
	reset bool
}

func (s *modelServer) plan() (c cut, never bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.reset = s.rng.IntN(2) == 0
	switch n := s.rng.IntN(3); {
	case s.calm:
		return c, true
	case n == 0: // within the handshake
		c.bytes = s.rng.IntN(4)
	case n == 1:
		c.bytes = 5 + s.rng.IntN(200)
	default:
		c.at, c.bytes = time.Now().Add(2100*time.Millisecond+time.Duration(s.rng.IntN(2000))*time.Millisecond), s.rng.IntN(20)
	}
	return c, false
}

func (s *modelServer) isCalm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calm
}

// pause sleeps for a random time below d.
func (s *modelServer) pause(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.Int64N(int64(d)))
}

func (s *modelServer) serve(nc net.Conn) {
	defer nc.Close()
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	epoch := time.Now()
	now := func() time.Duration { return time.Since(epoch) }
	var c session.Conn
	var ev session.Event
	c.Serve(s.cfg, 0)
	type act struct {
		at time.Time
		do func()
	}
	var due []act // in order
	later := func(d time.Duration, do func()) {
		at := time.Now().Add(s.pause(d))
		if n := len(due); n > 0 && at.Before(due[n-1].at) {
			at = due[n-1].at
		}
		due = append(due, act{at, do})
	}
	defer func() { // pending actions are completed nevertheless
		s.mu.Lock()
		defer s.mu.Unlock()
		c.Lost(nil)
		for _, a := range due {
			a.do()
		}
	}()
	end, never := s.plan()
	speak := time.Now()
	var in []byte
	for {
		s.mu.Lock()
		for len(due) > 0 && !due[0].at.After(time.Now()) {
			do := due[0].do
			due = due[1:]
			do()
		}
		if c.Up() && !s.calm && !speak.After(time.Now()) {
			speak = time.Now().Add(time.Duration(s.rng.IntN(200)) * time.Millisecond)
			s.next++
			qos := packet.QoS(s.rng.IntN(3))
			if err := c.Publish(&packet.Publish{QoS: qos, Topic: []byte("in"), Payload: binary.BigEndian.AppendUint64(nil, s.next)}, s.next); err == nil {
				s.sent[s.next] = qos
			}
		}
		s.mu.Unlock()
		out := c.Swap(nil, now())
		for len(out) > 0 {
			n := len(out)
			if !never && !s.isCalm() && !time.Now().Before(end.at) {
				if n = min(n, end.bytes); n == 0 {
					if l, ok := nc.(interface{ SetLinger(int) error }); ok && end.reset {
						_ = l.SetLinger(0)
					}
					return
				}
				end.bytes -= n
			}
			if _, err := nc.Write(out[:n]); err != nil {
				return
			}
			out = out[n:]
		}
		wake := time.Now().Add(50 * time.Millisecond)
		if len(due) > 0 && due[0].at.Before(wake) {
			wake = due[0].at
		}
		_ = nc.SetReadDeadline(wake)
		b := make([]byte, 1+s.pause(64))
		n, err := nc.Read(b)
		if n == 0 && err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				continue
			}
			return
		}
		in = append(in, b[:n]...)
		for {
			n, err := c.Next(in, now(), &ev)
			if err != nil {
				s.t.Errorf("the server refuses %x: %v", in[:min(len(in), 40)], err)
				return
			}
			if n == 0 {
				break
			}
			in = in[n:]
			switch ev.Kind {
			case session.Connect:
				p := &packet.Connack{}
				if ev.Connect.Version >= packet.V5 {
					p.Properties, _ = p.Properties.AppendUint(packet.ReceiveMaximum, uint32(s.cfg.ReceiveMaximum))
				}
				time.Sleep(s.pause(30 * time.Millisecond))
				s.mu.Lock()
				p.SessionPresent = s.known && !ev.Connect.CleanStart
				if ev.Connect.CleanStart && s.known {
					s.t.Error("the client asks for a clean start")
				}
				s.known = true
				err := c.Accept(&s.sess, p, 0, now())
				s.mu.Unlock()
				if err != nil {
					s.t.Error(err)
				}
			case session.Publish:
				p := &ev.Publish
				number, qos, id := binary.BigEndian.Uint64(p.Payload), p.QoS, p.PacketID
				s.mu.Lock()
				if s.got[number]++; qos > 0 && s.got[number] == 1 {
					s.first = append(s.first, number)
				}
				s.mu.Unlock()
				later(30*time.Millisecond, func() { c.Ack(qos, id, packet.Success) })
			case session.Subscribe:
				id := ev.Subscribe.PacketID
				later(30*time.Millisecond, func() { _ = c.Suback(&packet.Suback{Type: packet.SUBACK, PacketID: id, Codes: []byte{2}}) })
			case session.Unsubscribe:
				id := ev.Unsubscribe.PacketID
				later(30*time.Millisecond, func() { _ = c.Suback(&packet.Suback{Type: packet.UNSUBACK, PacketID: id, Codes: []byte{0}}) })
			case session.Disconnect:
				s.mu.Lock()
				s.byes++
				s.mu.Unlock()
				return
			}
		}
	}
}

func linkModel(t *testing.T, seed uint64) {
	v := []packet.Version{packet.V5, packet.V311}[seed%2]
	early := seed%3 == 2 // Close is called during the cuts
	s := &modelServer{t: t, net: memtest.New(), turn: make(chan struct{}, 1), rng: rand.New(rand.NewPCG(seed, 1)),
		cfg: session.Config{ReceiveMaximum: uint16(1 + seed%7)}, got: map[uint64]int{}, sent: map[uint64]packet.QoS{}}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := s.net.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(nc) })
		}
	})
	opt := &Options{Version: v, ClientID: "a", Session: Session{Resume: true, Expiry: time.Hour}, KeepAlive: 5 * time.Second, ReceiveMaximum: uint16(1 + seed%5),
		MaxInflight: 10, Reconnect: func(int, error) (time.Duration, bool) { return s.pause(100 * time.Millisecond), true },
		OnEvent: func(e Event) {
			if e.Kind == EventRefused {
				t.Errorf("message %d: %v", e.Tag, e.Err)
			}
		}}
	var c *Client
	for err := errors.New("not yet"); err != nil; {
		c, err = connectOver(t.Context(), s.net.Dial, opt)
	}

	var mu sync.Mutex
	qosOf, state := map[uint64]packet.QoS{}, map[uint64]string{}
	var taken []uint64 // what the client received at QoS 1 and 2, in order
	seen := map[uint64]int{}
	storm, calls := make(chan struct{}), sync.WaitGroup{}
	rest := func(max time.Duration) bool {
		select {
		case <-storm:
			return false
		case <-time.After(s.pause(max)):
			return true
		}
	}
	ctx := func() (context.Context, context.CancelFunc) {
		if s.pause(3) == 0 {
			return context.WithTimeout(t.Context(), s.pause(3*time.Second)+time.Millisecond)
		}
		return context.WithCancel(t.Context())
	}
	for who := range uint64(3) { // 0 uses Send, the others wait for the outcome
		calls.Go(func() {
			for n := who<<32 + 1; rest(60 * time.Millisecond); n++ {
				qos := packet.QoS(s.pause(3))
				m := &Message{Topic: "out", QoS: qos, Payload: binary.BigEndian.AppendUint64(nil, n)}
				ctx, cancel := ctx()
				var err error
				if who == 0 {
					err = c.Send(ctx, m, n)
				} else {
					err = c.Publish(ctx, m)
				}
				cancel()
				outcome := "done"
				switch {
				case err == nil && who == 0 || errors.Is(err, ErrKept):
					outcome = "kept"
				case errors.Is(err, ErrNotSent):
					outcome = "not sent"
				case errors.Is(err, ErrInDoubt):
					outcome = "in doubt"
				case err != nil:
					t.Errorf("message %x: %v", n, err)
				}
				s.mu.Lock()
				got := s.got[n]
				s.mu.Unlock()
				if outcome == "done" && qos > 0 && got == 0 {
					t.Errorf("message %x at QoS %d is acknowledged, and did not arrive", n, qos)
				}
				mu.Lock()
				qosOf[n], state[n] = qos, outcome
				mu.Unlock()
			}
		})
	}
	for what := range 4 {
		calls.Go(func() {
			for rest(300 * time.Millisecond) {
				ctx, cancel := ctx()
				var codes []packet.ReasonCode
				var err error
				switch what {
				case 0:
					codes, err = c.Subscribe(ctx, Subscription{Filter: "in", QoS: 2})
				case 1:
					codes, err = c.Unsubscribe(ctx, "else")
				case 2:
					codes, err = []packet.ReasonCode{0}, c.Ping(ctx)
				case 3:
					codes, err = []packet.ReasonCode{0}, c.Flush(ctx)
				}
				cancel()
				if err == nil && len(codes) != 1 {
					t.Errorf("call %d: no error and %d codes", what, len(codes))
				}
			}
		})
	}
	received := make(chan struct{})
	go func() {
		defer close(received)
		for {
			b, err := c.Receive(context.Background())
			if err != nil {
				return
			}
			for i := range b.Messages {
				m := &b.Messages[i]
				n := binary.BigEndian.Uint64(m.Payload)
				mu.Lock()
				if seen[n]++; m.QoS > 0 && seen[n] == 1 {
					taken = append(taken, n)
				}
				mu.Unlock()
				time.Sleep(s.pause(20 * time.Millisecond))
				b.Ack(i + 1)
			}
			b.Release()
		}
	}()

	time.Sleep(15 * time.Second)
	calm := func() {
		s.mu.Lock()
		s.calm = true
		s.mu.Unlock()
	}
	open := func() (n int) { s.mu.Lock(); defer s.mu.Unlock(); return s.sess.Open() }
	if !early {
		calm()
		time.Sleep(10 * time.Second) // the last cut and its consequences
		close(storm)
		calls.Wait()
		if err := c.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		for i := 0; open() > 0 && i < 1000; i++ {
			time.Sleep(100 * time.Millisecond)
		}
	}
	closing, cancel := context.WithTimeout(t.Context(), s.pause(2*time.Second)+time.Millisecond)
	err := c.Close(closing)
	cancel()
	if early {
		calm()
		close(storm)
		calls.Wait()
	} else if err != nil {
		t.Errorf("Close: %v", err)
	}
	<-received
	<-c.Done()
	_ = s.net.Close()
	served.Wait()

	for n, qos := range qosOf {
		got := s.got[n]
		switch {
		case state[n] == "not sent" && got > 0:
			t.Errorf("message %x was not sent, and arrived", n)
		case qos != 1 && got > 1:
			t.Errorf("message %x at QoS %d arrived %d times", n, qos, got)
		case qos > 0 && state[n] != "not sent" && got == 0 && !early:
			t.Errorf("message %x at QoS %d (%s) did not arrive", n, qos, state[n])
		}
	}
	for who := range uint64(3) {
		mine := slices.DeleteFunc(slices.Clone(s.first), func(n uint64) bool { return n>>32 != who })
		if !slices.IsSorted(mine) {
			t.Errorf("messages of %d arrived in the order %x", who, mine)
		}
	}
	for n, qos := range s.sent {
		switch {
		case qos != 1 && seen[n] > 1:
			t.Errorf("message %d to the client at QoS %d arrived %d times", n, qos, seen[n])
		case qos > 0 && seen[n] == 0 && !early:
			t.Errorf("message %d to the client at QoS %d did not arrive", n, qos)
		}
	}
	if !slices.IsSorted(taken) {
		t.Errorf("messages came to the client in the order %d", taken)
	}
	if !early && s.byes != 1 {
		t.Errorf("%d DISCONNECTs", s.byes)
	}
	t.Logf("%d messages out, %d in, %d connections", len(s.got), len(seen), c.Stats().Reconnects+1)
}
