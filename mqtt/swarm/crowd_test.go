package swarm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// crowd creates n clients on all loops and connects them.
func crowd(s *Swarm, n int, spec *Spec) {
	for i := range s.Loops() {
		l := s.Loop(i)
		l.Do(func() {
			for k := i; k < n; k += s.Loops() {
				_ = l.Add(uint32(k)).Connect(spec)
			}
		})
	}
}

// TestThousandsOfClients: each subscribes to its own topic, publishes to it at each
// QoS, and receives that and nothing else, once.
func TestThousandsOfClients(t *testing.T) {
	n := uint32(2000)
	if raceEnabled {
		n = 500
	}
	_, addr := brokertest.StartWith(t, broker.Options{MaxConnections: int(n)})
	eachEngine(t, func(t *testing.T, o Options) {
		o.Loops, o.HalfOpen = 3, 100
		var mu sync.Mutex
		var bad []string
		got := make([][3]int, n)
		var left sync.WaitGroup
		left.Add(int(n) * 6) // SUBACK, three messages, two acknowledgements
		s := start(t, o, nil, targetOf(addr))
		for i := range s.Loops() {
			s.Loop(i).Do(func() {
				s.Loop(i).handler = &member{left: &left, got: got, bad: func(format string, args ...any) {
					mu.Lock()
					bad = append(bad, fmt.Sprintf(format, args...))
					mu.Unlock()
				}}
			})
		}
		crowd(s, int(n), specOf(packet.V5))
		done := make(chan struct{})
		go func() { left.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(3 * patience):
			t.Error("not all is done")
		}
		for i := range s.Loops() {
			s.Loop(i).Do(func() {
				if st := s.Loop(i).Stats(); st.Connecting != 0 || st.Connected != int(n)/3 && st.Connected != int(n)/3+1 {
					t.Errorf("%+v", st)
				}
				for c := range s.Loop(i).all() {
					if got[c.Index()] != [3]int{1, 1, 1} {
						t.Errorf("client %d got %v", c.Index(), got[c.Index()])
					}
				}
			})
		}
		s.Close()
		if len(bad) > 0 {
			t.Error(strings.Join(bad[:min(len(bad), 10)], "\n"))
		}
	})
}

// member is the handler of TestThousandsOfClients.
type member struct {
	left *sync.WaitGroup
	got  [][3]int
	bad  func(format string, args ...any)
}

func (m *member) Due(time.Duration) time.Duration { return Never }

func (m *member) Connected(c *Client, _ *packet.Connack, _ *Timing) {
	sub := packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: fmt.Appendf(nil, "to/%d", c.Index()), Options: 2}}}
	if err := c.Subscribe(&sub, 1); err != nil {
		m.bad("subscribe: %v", err)
	}
}

func (m *member) Failed(c *Client, err error) { m.bad("client %d failed: %v", c.Index(), err) }

func (m *member) Closed(c *Client, err error) {
	if err != ErrClosed {
		m.bad("client %d closed: %v", c.Index(), err)
	}
}

func (m *member) Subscribed(c *Client, _ uint64, _ *packet.Suback) {
	m.left.Done()
	for qos := range packet.QoS(3) {
		p := packet.Publish{QoS: qos, Topic: fmt.Appendf(nil, "to/%d", c.Index()), Payload: binary.BigEndian.AppendUint32(nil, c.Index())}
		if err := c.Publish(&p, uint64(qos)); err != nil {
			m.bad("publish: %v", err)
		}
	}
}

func (m *member) Acked(c *Client, tag uint64, qos packet.QoS, reason packet.ReasonCode) {
	if tag != uint64(qos) || reason != packet.Success {
		m.bad("acked %d q%d %v", tag, qos, reason)
	}
	m.left.Done()
}

func (m *member) Message(c *Client, p *packet.Publish, _ time.Duration) {
	if binary.BigEndian.Uint32(p.Payload) != c.Index() {
		m.bad("client %d got %x", c.Index(), p.Payload)
	}
	m.got[c.Index()][p.QoS]++
	m.left.Done()
}

func (m *member) Writable(*Client) {}

func TestATakeoverIsReported(t *testing.T) {
	_, addr := brokertest.Start(t)
	eachEngine(t, func(t *testing.T, o Options) {
		h := newProbe()
		s := start(t, o, h, targetOf(addr))
		spec := &Spec{Connect: func(_ *Client, p *packet.Connect) {
			p.Version, p.CleanStart, p.ClientID = packet.V5, true, []byte("same")
		}}
		l := s.Loop(0)
		l.Do(func() { _ = l.Add(0).Connect(spec) })
		h.want(t, "0 connected present=false")
		l.Do(func() { _ = l.Add(1).Connect(spec) })
		got := map[string]bool{<-h.notes: true, <-h.notes: true}
		if !got["0 closed: disconnect 0x8E"] || !got["1 connected present=false"] {
			t.Errorf("%v", got)
		}
	})
}

func TestABrokerThatDiesIsNoticedByAll(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		b, addr := brokertest.Start(t)
		h := newProbe()
		s := start(t, o, h, targetOf(addr))
		const n = 200
		crowd(s, n, specOf(packet.V5))
		for range n {
			<-h.notes
		}
		s.Loop(0).Do(func() {
			h.closed = func(c *Client, err error) {
				h.note("%s", ErrorCategory(err))
				_ = c.Connect(c.Spec()) // storms are refused, one by one
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.Close(ctx)
		count := map[string]int{}
		for range 2 * n {
			_, kind, _ := strings.Cut(" "+<-h.notes, " ")
			if _, failed, ok := strings.Cut(kind, "failed: "); ok {
				kind = "then " + failed
			}
			count[kind]++
		}
		if count["then refused"]+count["then reset"]+count["then eof"] != n {
			t.Errorf("%v", count)
		}
	})
}

func TestHalfOpenAttemptsAreBounded(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		o.HalfOpen = 3
		p, h := newPeer(t), newProbe()
		s := start(t, o, h, p.target())
		crowd(s, 10, specOf(packet.V311))
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				c.Close()
			}
		}()
		accept := func() {
			p.conn = nil
			p.accept()
			conns = append(conns, p.conn)
		}
		for range 3 {
			accept()
		}
		for at := range 7 {
			s.Loop(0).Do(func() {
				if s.Loop(0).half != 3 {
					t.Errorf("%d attempts are in progress", s.Loop(0).half)
				}
			})
			conns[at].Write(unhex(connack4))
			<-h.notes
			accept()
		}
		s.Loop(0).Do(func() {
			if s.Loop(0).queueAt != len(s.Loop(0).queue) {
				t.Error("clients wait although all have begun")
			}
		})
	})
}

func TestDoWorksFromManyGoroutines(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h, c := dialogue(t, o, specOf(packet.V311))
		const each, writers = 200, 8
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					do(c, func() {
						if err := c.Publish(publish(0, "a", ""), 0); err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
		for range each * writers {
			p.expect("30 03 0001 61")
		}
		wg.Wait()
		h.none(t)
	})
}

func TestDueIsCalledWhenItsTimeHasCome(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		ck := newClock(&o)
		_, h, c := dialogue(t, o, specOf(packet.V311))
		var times []time.Duration
		var begin time.Duration
		do(c, func() {
			h.due = func(now time.Duration) time.Duration {
				times = append(times, now)
				h.note("due")
				if len(times) == 3 {
					return Never
				}
				return begin + time.Duration(len(times)+1)*time.Hour
			}
			begin = c.loop.Now()
			c.loop.Wake(begin + time.Hour)
		})
		for range 3 {
			do(c, func() {})
			h.none(t)
			ck.forward(c.loop, time.Hour)
			h.want(t, "due")
		}
		do(c, func() {
			for i, at := range times {
				if want := begin + time.Duration(i+1)*time.Hour; at < want {
					t.Errorf("call %d at %v, before %v", i, at, want)
				}
			}
			c.loop.Wake(0) // at once
		})
		h.want(t, "due")
	})
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

func TestCloseLeavesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		_, addr := brokertest.Start(t)
		silent := newPeer(t)
		for round := range 2 { // the first round may open what stays open
			files, routines := openFiles(t), runtime.NumGoroutine()
			o.Loops, o.Handler = 2, nil
			h := newProbe()
			o.Targets, o.Handler = []*transport.Target{targetOf(addr), silent.target()}, func(*Loop) Handler { return h }
			s, err := New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			crowd(s, 20, specOf(packet.V5))
			for range 20 {
				<-h.notes
			}
			attempt := specOf(packet.V5)
			attempt.Target = 1
			s.Loop(1).Do(func() { _ = s.Loop(1).Add(99).Connect(attempt) })
			silent.accept()
			s.Close()
			s.Close()
			close(h.notes)
			ends := map[string]int{}
			for note := range h.notes {
				_, what, _ := strings.Cut(note, " ")
				ends[what]++
			}
			if ends["closed: given up"] != 20 || ends["failed: given up"] != 1 {
				t.Errorf("%v", ends)
			}
			silent.conn.Close()
			if round == 0 {
				continue
			}
			// It takes the broker some time to close its ends.
			for end := time.Now().Add(patience); ; runtime.Gosched() {
				f, r := openFiles(t), runtime.NumGoroutine()
				if f <= files && r <= routines+1 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d files and %d goroutines, before %d and %d", f, r, files, routines)
				}
			}
		}
	})
}

func TestNewRefusesWhatItCannotDo(t *testing.T) {
	tls := targetOf("127.0.0.1:1")
	tls.TLS = true
	nowhere := targetOf("mqtools.invalid:1883")
	for name, o := range map[string]Options{
		"no target":                 {},
		"lite over TLS":             {Engine: Lite, Targets: []*transport.Target{tls}},
		"lite through a proxy":      {Engine: Lite, Targets: []*transport.Target{targetOf("127.0.0.1:1")}, Dialer: &transport.Dialer{Proxy: &transport.Proxy{}}},
		"ports from high to low":    {Engine: Lite, Targets: []*transport.Target{targetOf("127.0.0.1:1")}, FirstPort: 2, LastPort: 1},
		"lite with an unknown host": {Engine: Lite, Targets: []*transport.Target{nowhere}, Dialer: &transport.Dialer{Resolver: noResolver}},
	} {
		o.Handler = func(*Loop) Handler { return newProbe() }
		if s, err := New(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	if e, _ := choose(&Options{Targets: []*transport.Target{tls}, Dialer: &transport.Dialer{}}); e != Std {
		t.Errorf("auto chooses %v for TLS", e)
	}
	if e, _ := choose(&Options{Targets: []*transport.Target{targetOf("127.0.0.1:1")}, Dialer: &transport.Dialer{}}); (e == Lite) != liteHere {
		t.Errorf("auto chooses %v for TCP", e)
	}
}

var noResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no name service here")
}}

func TestLocalhostIsTriedOnBothAddresses(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe() // on 127.0.0.1 only
		target := p.target()
		target.Host = "localhost"
		s := start(t, o, h, target)
		for k := range uint32(2) {
			s.Loop(0).Do(func() { _ = s.Loop(0).Add(k).Connect(specOf(packet.V311)) })
			p.accept()
			p.greet()
			h.want(t, fmt.Sprintf("%d connected present=false", k))
			p.conn.Close()
			h.want(t, fmt.Sprintf("%d closed: eof", k))
		}
	})
}

func TestSourcesAreUsedInTurn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is an address of Linux")
	}
	eachEngine(t, func(t *testing.T, o Options) {
		p, h := newPeer(t), newProbe()
		o.Sources = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("::1")}
		s := start(t, o, h, p.target())
		seen := map[string]int{}
		for k := range uint32(4) {
			s.Loop(0).Do(func() { _ = s.Loop(0).Add(k).Connect(specOf(packet.V311)) })
			if s.Engine() == Std && k%3 == 2 {
				h.want(t, "2 failed: no port") // another address family
				continue
			}
			p.accept()
			host, _, _ := net.SplitHostPort(p.conn.RemoteAddr().String())
			seen[host]++
			p.greet()
			h.want(t, fmt.Sprintf("%d connected present=false", k))
			p.conn.Close()
			h.want(t, fmt.Sprintf("%d closed: eof", k))
		}
		if len(seen) != 2 {
			t.Errorf("connections from %v", seen)
		}
	})
}

// TestOtherTransports: what only Std can do, with the parts of the connection time
// separate.
func TestOtherTransports(t *testing.T) {
	certs := certtest.New(t)
	_, plain := brokertest.Start(t)
	_, secure := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), broker.Options{})
	_, ws := brokertest.StartOn(t, "ws://127.0.0.1:0/mqtt", nil, broker.Options{})
	_, wss := brokertest.StartOn(t, "wss://127.0.0.1:0/mqtt", certs.ServerConfig(), broker.Options{})
	dir, err := os.MkdirTemp("", "swarm") // that of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := dir + "/s"
	brokertest.StartOn(t, "unix:"+path, nil, broker.Options{})
	for _, w := range []struct {
		url     string
		tls, ws bool
	}{
		{"mqtt://" + plain, false, false}, {"mqtts://" + secure, true, false}, {"ws://" + ws + "/mqtt", false, true}, {"wss://" + wss + "/mqtt", true, true}, {"unix:" + path, false, false},
	} {
		t.Run(w.url, func(t *testing.T) {
			target, err := transport.ParseURL(w.url)
			if err != nil {
				t.Fatal(err)
			}
			h := &timed{probe: newProbe()}
			o := Options{Engine: Std, Dialer: &transport.Dialer{TLS: &transport.TLSOptions{CAFile: certs.CA.CertFile}}}
			c := connectOne(start(t, o, h, target), specOf(packet.V5))
			h.want(t, "0 connected present=false")
			do(c, func() {
				if h.timing.TCP <= 0 || h.timing.Connack <= 0 || (h.timing.TLS > 0) != w.tls || (h.timing.Upgrade > 0) != w.ws || h.timing.Total() != h.timing.TCP+h.timing.TLS+h.timing.Upgrade+h.timing.Connack {
					t.Errorf("%+v", h.timing)
				}
				_ = c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("a"), Options: 1}}}, 0)
				_ = c.Publish(publish(1, "a", strings.Repeat("y", 100_000)), 1)
			})
			got := map[string]bool{}
			for range 3 {
				got[<-h.notes] = true
			}
			if !got["0 message q1 a 100000 bytes of 'y'"] || !got["0 acked 1 q1 0x00"] {
				t.Errorf("%v", got)
			}
			do(c, func() { c.Disconnect(nil) })
			h.want(t, "0 closed: ")
		})
	}
}

// timed is a probe that keeps the Timing.
type timed struct {
	*probe
	timing Timing
}

func (h *timed) Connected(c *Client, ack *packet.Connack, t *Timing) {
	h.timing = *t
	h.probe.Connected(c, ack, t)
}
