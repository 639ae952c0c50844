package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// policyServer is a server in memory that asks the test what to do with every
// packet. Its packets are written by hand.
type policyServer struct {
	t   *testing.T
	net *memtest.Network
	v5  bool
	// kept makes it keep sessions, and set session present in CONNACK.
	kept bool
	// late returns how long after CONNACK a connection is reset; nil means
	// never.
	late func(conn int) (time.Duration, bool)
	// verdict decides what happens to a packet; nil accepts everything.
	verdict func(conn int, p heard) outcome

	reason packet.ReasonCode // for deny

	// mu protects everything below, and what verdict reads: see do.
	mu      sync.Mutex
	conns   int
	taken   []string   // payloads of messages, in the order of their acknowledgements
	granted []string   // topic filters, in the order of SUBACK
	packets [][]string // packets received, by connection
}

// heard is a packet that a client has sent.
type heard struct {
	kind    packet.Type
	payload string
	qos     packet.QoS
	filters []string
}

type outcome uint8

const (
	take    outcome = iota
	hangUp          // closes the connection
	reset           // resets the connection
	deny            // DISCONNECT, with reason
	ignore          // no answer
	resets5         // resets it 5 s later
)

func newPolicyServer(t *testing.T) *policyServer {
	j := &policyServer{t: t, net: memtest.New(), v5: true}
	go func() {
		for {
			nc, err := j.net.Accept()
			if err != nil {
				return
			}
			j.serve(nc)
		}
	}()
	return j
}

func (j *policyServer) serve(nc net.Conn) {
	defer nc.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	conn := j.conns
	j.conns++
	j.packets = append(j.packets, nil)
	v := packet.V311
	if j.v5 {
		v = packet.V5
	}
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		f, n, err := packet.Split(buf, v, 0)
		if err != nil {
			j.t.Errorf("the client sends no packets: %v", err)
			return
		}
		if n == 0 {
			j.mu.Unlock()
			m, err := nc.Read(chunk)
			j.mu.Lock()
			if err != nil {
				return
			}
			buf = append(buf, chunk[:m]...)
			continue
		}
		h := heard{kind: f.Type}
		var id [2]byte
		switch f.Type {
		case packet.CONNECT:
			present := byte(0)
			if j.kept && conn > 0 {
				present = 1
			}
			if j.v5 {
				nc.Write([]byte{0x20, 3, present, 0, 0})
			} else {
				nc.Write([]byte{0x20, 2, present, 0})
			}
			if j.late != nil {
				if d, ok := j.late(conn); ok {
					time.AfterFunc(d, func() { _ = nc.(interface{ SetLinger(int) error }).SetLinger(0); nc.Close() })
				}
			}
		case packet.PUBLISH:
			var p packet.Publish
			if err := p.Parse(f, v); err != nil {
				j.t.Error(err)
			}
			h.payload, h.qos = string(p.Payload), p.QoS
			id = [2]byte{byte(p.PacketID >> 8), byte(p.PacketID)}
		case packet.SUBSCRIBE:
			var p packet.Subscribe
			if err := p.Parse(f, v); err != nil {
				j.t.Error(err)
			}
			for _, s := range p.Subscriptions {
				h.filters = append(h.filters, string(s.Filter))
			}
			copy(id[:], f.Body)
		case packet.UNSUBSCRIBE, packet.PUBREL:
			copy(id[:], f.Body)
		}
		buf = buf[n:]
		j.packets[conn] = append(j.packets[conn], strings.TrimSpace(fmt.Sprint(h.kind, " ", h.payload, strings.Join(h.filters, " "))))
		what := take
		if j.verdict != nil && f.Type != packet.CONNECT {
			what = j.verdict(conn, h)
		}
		switch what {
		case hangUp:
			return
		case reset:
			_ = nc.(interface{ SetLinger(int) error }).SetLinger(0)
			return
		case deny:
			nc.Write([]byte{0xe0, 2, byte(j.reason), 0})
			return
		case ignore:
			continue
		case resets5:
			time.AfterFunc(5*time.Second, func() { nc.Close() })
			continue
		}
		switch f.Type {
		case packet.PUBLISH:
			switch h.qos {
			case 1:
				j.taken = append(j.taken, h.payload)
				nc.Write([]byte{0x40, 2, id[0], id[1]})
			case 2:
				if !slices.Contains(j.taken, h.payload) {
					j.taken = append(j.taken, h.payload)
				}
				nc.Write([]byte{0x50, 2, id[0], id[1]})
			default:
				j.taken = append(j.taken, h.payload)
			}
		case packet.PUBREL:
			nc.Write([]byte{0x70, 2, id[0], id[1]})
		case packet.SUBSCRIBE:
			j.granted = append(j.granted, h.filters...)
			if j.v5 {
				nc.Write(append([]byte{0x90, byte(3 + len(h.filters)), id[0], id[1], 0}, make([]byte, len(h.filters))...))
			} else {
				nc.Write(append([]byte{0x90, byte(2 + len(h.filters)), id[0], id[1]}, make([]byte, len(h.filters))...))
			}
		case packet.UNSUBSCRIBE:
			if j.v5 {
				nc.Write([]byte{0xb0, 4, id[0], id[1], 0, 0})
			} else {
				nc.Write([]byte{0xb0, 2, id[0], id[1]})
			}
		case packet.PINGREQ:
			nc.Write([]byte{0xd0, 0})
		case packet.DISCONNECT:
			return
		}
	}
}

// do calls f while no packet is being handled.
func (j *policyServer) do(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

// latest returns the packets received on the latest connection.
func (j *policyServer) latest() (p []string) {
	j.do(func() { p = j.packets[len(j.packets)-1] })
	return p
}

// connections returns the number of connections.
func (j *policyServer) connections() (n int) {
	j.do(func() { n = j.conns })
	return n
}

// flush calls Flush and returns its error.
func flush(t *testing.T, c *Client) error {
	err := c.Flush(t.Context())
	synctest.Wait()
	return err
}

// client returns a client that is connected to the server.
func (j *policyServer) client(opt Options) *Client {
	j.t.Helper()
	opt.ClientID, opt.Version = "a", packet.V311
	if j.v5 {
		opt.Version = packet.V5
	}
	opt.Session.Resume = j.kept
	if opt.Reconnect == nil {
		opt.Reconnect = Backoff(500*time.Millisecond, 30*time.Second)
	}
	if opt.KeepAlive == 0 {
		opt.KeepAlive = NoKeepAlive
	}
	c, err := connectOver(j.t.Context(), j.net.Dial, &opt)
	if err != nil {
		j.t.Fatal(err)
	}
	return c
}

// end closes the client and the network.
func (j *policyServer) end(c *Client) {
	c.Abort()
	_ = j.net.Close()
	synctest.Wait()
}

// sendAll sends n messages, whose payloads and tags are their numbers from 1
// on.
func sendAll(t *testing.T, c *Client, n int, qos packet.QoS) {
	t.Helper()
	for i := 1; i <= n; i++ {
		if err := c.Send(t.Context(), &Message{Topic: "t", QoS: qos, Payload: []byte(fmt.Sprint(i))}, uint64(i)); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
}

// numbers returns 1 to n without those in but.
func numbers(n int, but ...int) (list []string) {
	for i := 1; i <= n; i++ {
		if !slices.Contains(but, i) {
			list = append(list, fmt.Sprint(i))
		}
	}
	return list
}

func (j *policyServer) wantTaken(want []string) {
	j.t.Helper()
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	var got []string
	for _, p := range j.taken { // a message that was resent because its acknowledgement was lost counts once
		if !slices.Contains(got, p) {
			got = append(got, p)
		}
	}
	if !slices.Equal(got, want) {
		j.t.Errorf("the server took %v, want %v", got, want)
	}
}

// dropped collects the tags of messages that are dropped or reported.
type dropped struct {
	mu   sync.Mutex
	tags []uint64
	errs []error
}

func (d *dropped) event(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.Kind == EventUndeliverable {
		d.tags, d.errs = append(d.tags, e.Tag), append(d.errs, e.Err)
	}
}

func always(d Disposition) func(*Undeliverable) Disposition {
	return func(*Undeliverable) Disposition { return d }
}

// forms runs f for the combinations in which the rule must hold.
func forms(t *testing.T, f func(t *testing.T, j *policyServer)) {
	for _, v5 := range []bool{true, false} {
		for _, kept := range []bool{true, false} {
			t.Run(fmt.Sprintf("5.0=%v/kept=%v", v5, kept), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := newPolicyServer(t)
					j.v5, j.kept = v5, kept
					f(t, j)
				})
			})
		}
	}
}

// A message for which the server closes is found wherever it is, and no other
// one is dropped.
func TestAnUndeliverableMessageIsFoundAndTheRestArrives(t *testing.T) {
	t.Parallel()
	for _, how := range []outcome{hangUp, reset, resets5} {
		for _, qos := range []packet.QoS{1, 2} {
			for _, bad := range [][]int{{1}, {4}, {7}, {2, 3}, {1, 7}} {
				t.Run(fmt.Sprint(how, qos, bad), func(t *testing.T) {
					forms(t, func(t *testing.T, j *policyServer) {
						var d dropped
						j.verdict = func(_ int, p heard) outcome {
							if p.kind == packet.PUBLISH && slices.Contains(bad, atoi(p.payload)) {
								return how
							}
							return take
						}
						c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
						sendAll(t, c, 7, qos)
						start := time.Now()
						if err := flush(t, c); err != nil {
							t.Error(err)
						}
						j.wantTaken(numbers(7, bad...))
						var tags []int
						for i, tag := range d.tags {
							tags = append(tags, int(tag))
							if err := d.errs[i]; !errors.Is(err, ErrUndeliverable) || !errors.Is(err, ErrInDoubt) {
								t.Errorf("message %d: %v", tag, err)
							}
						}
						if !slices.Equal(tags, bad) {
							t.Errorf("dropped %v, want %v", tags, bad)
						}
						if most := 15 * time.Second * time.Duration(len(bad)); how != resets5 && time.Since(start) > most {
							t.Errorf("it took %v, want at most %v", time.Since(start), most)
						}
						if st := c.Stats(); int(st.Refused) != len(bad) || int(st.Acked) != 7-len(bad) {
							t.Errorf("stats %+v", st)
						}
						j.end(c)
					})
				})
			}
		}
	}
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

// No message is blamed for a server that dies half a second after each start,
// for one that resets after any first packet, or for one that reads nothing at
// all.
func TestAServerThatFailsCostsNoMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]func(j *policyServer){
		"dies 0.5 s after each connect": func(j *policyServer) {
			j.late = func(conn int) (time.Duration, bool) { return 500 * time.Millisecond, conn < 14 }
			j.verdict = func(conn int, p heard) outcome {
				if conn < 14 && p.kind == packet.PUBLISH {
					return ignore
				}
				return take
			}
		},
		"three quick resets": func(j *policyServer) {
			j.verdict = func(conn int, p heard) outcome {
				if conn < 3 {
					return reset
				}
				return take
			}
		},
		"resets whatever comes first": func(j *policyServer) {
			j.verdict = func(conn int, p heard) outcome {
				if conn < 40 {
					return reset
				}
				return take
			}
		},
		"closes for want of an answer to a ping": func(j *policyServer) {
			j.verdict = func(conn int, p heard) outcome {
				switch {
				case conn < 40 && p.kind == packet.PINGREQ:
					return ignore
				case conn < 40:
					return hangUp
				}
				return take
			}
		},
		"closes at messages, then dies when idle": func(j *policyServer) {
			j.late = func(conn int) (time.Duration, bool) { return 20 * time.Millisecond, conn%6 == 5 && conn < 40 }
			j.verdict = func(conn int, p heard) outcome {
				if p.kind == packet.PUBLISH && conn < 40 {
					return hangUp
				}
				return take
			}
		},
		"answers after a minute": func(j *policyServer) {
			j.verdict = func(conn int, p heard) outcome {
				if p.kind == packet.PUBLISH && conn < 3 {
					return hangUp
				}
				if p.kind == packet.PUBLISH && conn < 6 {
					return resets5
				}
				return take
			}
		},
	}
	for name, set := range tests {
		t.Run(name, func(t *testing.T) {
			forms(t, func(t *testing.T, j *policyServer) {
				set(j)
				var d dropped
				c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
				sendAll(t, c, 20, 1)
				if err := flush(t, c); err != nil {
					t.Error(err)
				}
				j.wantTaken(numbers(20))
				if len(d.tags) > 0 {
					t.Errorf("messages %v were given up: %v", d.tags, d.errs)
				}
				j.end(c)
			})
		})
	}
}

// 200 connections end at random: at once, after some packets, after some time.
func TestRandomFlapsCostNoMessage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			forms(t, func(t *testing.T, j *policyServer) {
				r, pace := rand.New(rand.NewPCG(seed, 13)), rand.New(rand.NewPCG(seed, 14))
				const flaps = 200
				fate := map[int]int{}
				seen := map[int]int{}
				j.late = func(conn int) (time.Duration, bool) {
					fate[conn] = r.IntN(12)
					return time.Duration(1+r.IntN(1000)) * time.Millisecond, conn < flaps && fate[conn] > 7 && seed%2 == 0
				}
				j.verdict = func(conn int, p heard) outcome {
					over := fate[conn] <= 7 && seen[conn] >= fate[conn]
					if seed%2 == 1 { // every packet may be the last
						over = r.IntN(2) == 0
					}
					if seen[conn]++; conn < flaps && over {
						return []outcome{hangUp, reset}[r.IntN(2)]
					}
					return take
				}
				var d dropped
				c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
				n := 0
				for ; j.connections() < flaps; n++ {
					if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1, Payload: []byte(fmt.Sprint(n + 1))}, uint64(n+1)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Duration(pace.IntN(3000)) * time.Millisecond)
				}
				if err := flush(t, c); err != nil {
					t.Error(err)
				}
				j.do(func() {
					arrived := map[string]bool{}
					for _, p := range j.taken {
						arrived[p] = true
					}
					for i := range n {
						if !arrived[fmt.Sprint(i+1)] {
							t.Errorf("message %d did not arrive", i+1)
						}
					}
				})
				if len(d.tags) > 0 {
					t.Errorf("messages %v were given up", d.tags)
				}
				j.end(c)
			})
		})
	}
}

// A reason code that is about a packet proves it on the first connection if it
// was the only one, and otherwise on the next, where packets are sent one at a
// time.
func TestAReasonCodeAboutTheMessageProvesItAtOnce(t *testing.T) {
	t.Parallel()
	for _, reason := range []packet.ReasonCode{0x81, 0x87, 0x90, 0x95, 0x99, 0x9A, 0x9B} {
		for _, bad := range []int{1, 3} {
			t.Run(fmt.Sprintf("%#x/%d", byte(reason), bad), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := newPolicyServer(t)
					j.kept, j.reason = true, reason
					j.verdict = func(_ int, p heard) outcome {
						if p.payload == fmt.Sprint(bad) {
							return deny
						}
						return take
					}
					var d dropped
					c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
					sendAll(t, c, bad+2, 1)
					if err := flush(t, c); err != nil {
						t.Error(err)
					}
					j.wantTaken(numbers(bad+2, bad))
					if len(d.tags) != 1 || d.tags[0] != uint64(bad) || !errors.Is(d.errs[0], ErrRefused) || !strings.Contains(d.errs[0].Error(), reason.Error()) {
						t.Errorf("dropped %v: %v", d.tags, d.errs)
					}
					if n := j.connections(); n > 3 {
						t.Errorf("%d connections, want at most 3", n)
					}
					j.end(c)
				})
			})
		}
	}
}

// If the server's reason is about itself, the client waits for it.
func TestAServersOwnReasonProvesNothing(t *testing.T) {
	t.Parallel()
	for _, reason := range []packet.ReasonCode{0x80, 0x83, 0x89, 0x8B, 0x8D, 0x8E, 0x93, 0x96, 0x97, 0x98, 0x9C, 0x9F, 0xA0} {
		t.Run(fmt.Sprintf("%#x", byte(reason)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newPolicyServer(t)
				j.kept, j.reason = true, reason
				most := 20
				if reason == 0x80 || reason == 0x83 { // these give no reason at all
					most = 5
				}
				j.verdict = func(conn int, p heard) outcome {
					if p.kind == packet.PUBLISH && conn < most {
						return deny
					}
					return take
				}
				var d dropped
				c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event,
					Reconnect: func(int, error) (time.Duration, bool) { return time.Second, true }})
				sendAll(t, c, 3, 1)
				if err := flush(t, c); err != nil || len(d.tags) > 0 {
					t.Errorf("%v; given up: %v", err, d.errs)
				}
				j.end(c)
			})
		})
	}
}

// UndeliverableStop ends the client and names the message. That message and
// those after it are not acknowledged; those before it are.
func TestStopEndsTheClientAndDropsNothing(t *testing.T) {
	t.Parallel()
	for _, nothing := range []bool{true, false} {
		forms(t, func(t *testing.T, j *policyServer) {
			j.verdict = closesAt("4")
			opt := Options{Undeliverable: always(UndeliverableStop)}
			if nothing {
				opt.Undeliverable = nil
			}
			c := j.client(opt)
			sendAll(t, c, 6, 1)
			<-c.Done()
			u, ok := errors.AsType[*Undeliverable](c.Err())
			if !ok || u.Tag != 4 || u.Topic != "t" || u.Call || u.Packet != packet.PUBLISH || u.QoS != 1 {
				t.Errorf("ended with %v (%+v)", c.Err(), u)
			}
			want := `publish: in doubt: message to topic "t" ends every connection it is sent on: it may not be allowed, or be too large (9 bytes), or the broker may not support QoS 1`
			if got := strings.Replace(c.Err().Error(), "(8 bytes)", "(9 bytes)", 1); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			j.wantTaken(numbers(3))
			if st := c.Stats(); st.Unfinished != 3 || st.Acked != 3 {
				t.Errorf("stats %+v", st)
			}
			j.end(c)
		})
	}
}

// closesAt closes at the message with a payload, or at a SUBSCRIBE that has a
// filter.
func closesAt(what string) func(int, heard) outcome {
	return func(_ int, p heard) outcome {
		if p.kind == packet.PUBLISH && p.payload == what || slices.Contains(p.filters, what) {
			return hangUp
		}
		return take
	}
}

// UndeliverableWait reports the message once, retries with backoff, sends
// nothing else, and continues when the server accepts the message.
func TestWaitGoesOnWhenTheServerTakesTheMessage(t *testing.T) {
	t.Parallel()
	forms(t, func(t *testing.T, j *policyServer) {
		allowed := false
		j.verdict = func(_ int, p heard) outcome {
			if p.payload == "2" && !allowed {
				return hangUp
			}
			return take
		}
		var d dropped
		c := j.client(Options{Undeliverable: always(UndeliverableWait), OnEvent: d.event})
		sendAll(t, c, 4, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(d.tags) != 1 || d.tags[0] != 2 {
			t.Errorf("reported %v: %v", d.tags, d.errs)
		}
		if n := j.connections(); n > 400 || n < 100 {
			t.Errorf("%d connections in an hour", n)
		}
		if last := j.latest(); !slices.Equal(last, []string{"CONNECT", "PUBLISH 2"}) {
			t.Errorf("the latest connection brought %q", last)
		}
		j.do(func() { allowed = true })
		if err := flush(t, c); err != nil {
			t.Error(err)
		}
		j.wantTaken(numbers(4))
		j.end(c)
	})
}

// A call gets the error, and the client continues.
func TestACallGetsTheErrorOfItsMessage(t *testing.T) {
	t.Parallel()
	forms(t, func(t *testing.T, j *policyServer) {
		j.verdict = closesAt("bad")
		c := j.client(Options{})
		err := c.Publish(t.Context(), &Message{Topic: "t", QoS: 1, Payload: []byte("bad")})
		if !errors.Is(err, ErrUndeliverable) || !errors.Is(err, ErrInDoubt) {
			t.Errorf("got %v", err)
		}
		if err := c.Publish(t.Context(), &Message{Topic: "t", QoS: 1, Payload: []byte("good")}); err != nil {
			t.Error(err)
		}
		j.end(c)
	})
}

// A QoS 2 message is found as well if the server closes at its PUBREL.
func TestAPubrelThatEndsConnectionsIsFound(t *testing.T) {
	t.Parallel()
	for _, v5 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			j := newPolicyServer(t)
			j.v5, j.kept = v5, true
			j.verdict = func(_ int, p heard) outcome {
				if p.kind == packet.PUBREL {
					return hangUp
				}
				return take
			}
			var d dropped
			c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
			if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 2, Payload: []byte("1")}, 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1, Payload: []byte("2")}, 2); err != nil {
				t.Fatal(err)
			}
			if err := flush(t, c); err != nil {
				t.Error(err)
			}
			j.wantTaken(numbers(2))
			if len(d.tags) != 1 || d.tags[0] != 1 || !strings.Contains(d.errs[0].Error(), "may not support QoS 2") {
				t.Errorf("dropped %v: %v", d.tags, d.errs)
			}
			j.end(c)
		})
	}
}

// Messages at QoS 0 have no answer and are not sent while another packet is
// tried: they could be the reason.
func TestMessagesAtQoS0BlameNoOther(t *testing.T) {
	t.Parallel()
	forms(t, func(t *testing.T, j *policyServer) {
		j.verdict = func(_ int, p heard) outcome {
			switch {
			case p.payload == "bad":
				return reset
			case p.qos == 1 && j.conns < 20:
				return ignore
			}
			return take
		}
		var d dropped
		c := j.client(Options{Undeliverable: always(UndeliverableSkip), OnEvent: d.event})
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
					_ = c.Publish(t.Context(), &Message{Topic: "t", Payload: []byte("bad")})
				}
			}
		}()
		sendAll(t, c, 3, 1)
		if err := flush(t, c); err != nil || len(d.tags) > 0 {
			t.Errorf("%v; given up: %v", err, d.errs)
		}
		close(stop)
		j.end(c)
	})
}

// Messages at QoS 0 wait while another packet is tried, and are sent after it.
func TestNothingAtQoS0LeavesBesideASuspect(t *testing.T) {
	t.Parallel()
	forms(t, func(t *testing.T, j *policyServer) {
		proven, beside, sent := false, 0, 0
		j.verdict = func(conn int, p heard) outcome {
			switch {
			case p.payload == "1":
				return reset
			case p.kind == packet.PUBLISH && conn >= suspectEnds && !proven:
				beside++
			}
			return take
		}
		c := j.client(Options{Undeliverable: func(*Undeliverable) Disposition {
			j.do(func() { proven = true })
			return UndeliverableSkip
		}})
		sendAll(t, c, 1, 1)
		var calls sync.WaitGroup
		calls.Go(func() {
			for over := false; !over; j.do(func() { over = proven }) {
				time.Sleep(50 * time.Millisecond)
				if err := c.Publish(t.Context(), &Message{Topic: "t", Payload: []byte("beside")}); err != nil {
					t.Error(err)
				}
				sent++
			}
		})
		if err := flush(t, c); err != nil {
			t.Error(err)
		}
		calls.Wait()
		if beside > 0 || sent == 0 {
			t.Errorf("%d of %d messages at QoS 0 left on the connections that try another", beside, sent)
		}
		j.end(c)
	})
}

// A DISCONNECT because of a message at QoS 0 is reported to the application,
// which would not notice it otherwise.
func TestADisconnectBecauseOfAMessageAtQoS0(t *testing.T) {
	t.Parallel()
	for _, what := range []Disposition{UndeliverableStop, UndeliverableSkip} {
		synctest.Test(t, func(t *testing.T) {
			j := newPolicyServer(t)
			j.reason = packet.NotAuthorized
			j.verdict = func(_ int, p heard) outcome {
				if p.payload == "bad" {
					return deny
				}
				return take
			}
			var d dropped
			c := j.client(Options{Undeliverable: always(what), OnEvent: d.event})
			for _, p := range []string{"good", "bad"} {
				if err := c.Send(t.Context(), &Message{Topic: "t", Payload: []byte(p)}, 0); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if what == UndeliverableStop {
				<-c.Done()
				if want := "one of 2 messages at QoS 0 ends the connection: not authorized (0x87)"; !strings.Contains(c.Err().Error(), want) {
					t.Errorf("ended with %v, want %s", c.Err(), want)
				}
			} else {
				if err := c.Publish(t.Context(), &Message{Topic: "t", QoS: 1}); err != nil {
					t.Error(err)
				}
				if len(d.errs) != 1 {
					t.Errorf("reported %v", d.errs)
				}
			}
			j.end(c)
		})
	}
}

// A subscription for which the server closes is reported to its call, with its
// filters; the others stay.
func TestAnUndeliverableSubscriptionIsReportedToItsCall(t *testing.T) {
	t.Parallel()
	forms(t, func(t *testing.T, j *policyServer) {
		j.verdict = closesAt("secret/#")
		c := j.client(Options{})
		if _, err := c.Subscribe(t.Context(), Subscription{Filter: "a"}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Subscribe(t.Context(), Subscription{Filter: "b"}, Subscription{Filter: "secret/#"})
		want := `subscribe: in doubt: one of the subscriptions to "b", "secret/#" ends every connection it is sent on: it may not be allowed`
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := c.Subscribe(t.Context(), Subscription{Filter: "d"}); err != nil {
			t.Error(err)
		}
		j.end(c)
	})
}

// A renewal for which the server closes ends the client, is dropped, or is
// retried after the others.
func TestAnUndeliverableRenewal(t *testing.T) {
	t.Parallel()
	for _, what := range []Disposition{UndeliverableStop, UndeliverableSkip, UndeliverableWait} {
		for _, v5 := range []bool{true, false} {
			t.Run(fmt.Sprint(what, v5), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := newPolicyServer(t)
					j.v5 = v5
					var d dropped
					c := j.client(Options{Undeliverable: always(what), OnEvent: d.event})
					for _, f := range []string{"a", "b", "c"} {
						if _, err := c.Subscribe(t.Context(), Subscription{Filter: f}); err != nil {
							t.Fatal(err)
						}
					}
					down := true
					j.do(func() {
						j.verdict = func(conn int, p heard) outcome {
							if down || slices.Contains(p.filters, "a") {
								return hangUp
							}
							return take
						}
					})
					go func() { _ = c.Ping(t.Context()) }()
					synctest.Wait()
					j.do(func() { down = false })
					switch what {
					case UndeliverableStop:
						<-c.Done()
						if u, ok := errors.AsType[*Undeliverable](c.Err()); !ok || !slices.Equal(u.Filters, []string{"a"}) || u.Call {
							t.Errorf("ended with %v", c.Err())
						}
					case UndeliverableSkip:
						time.Sleep(10 * time.Minute)
						synctest.Wait()
						last := j.latest()
						if !slices.Equal(last, []string{"CONNECT", "SUBSCRIBE b", "SUBSCRIBE c"}) || len(d.errs) != 1 {
							t.Errorf("the latest connection brought %q; reported %v", last, d.errs)
						}
					case UndeliverableWait:
						time.Sleep(10 * time.Minute)
						synctest.Wait()
						last := j.latest()
						if !slices.Equal(last, []string{"CONNECT", "SUBSCRIBE b", "SUBSCRIBE c", "SUBSCRIBE a"}) || len(d.errs) != 1 {
							t.Errorf("the latest connection brought %q; reported %v", last, d.errs)
						}
						j.do(func() { j.verdict = nil })
						time.Sleep(time.Minute)
						j.do(func() {
							if !slices.Contains(j.granted[3:], "a") {
								t.Errorf("%d connections, granted %v", j.conns, j.granted)
							}
						})
					}
					j.end(c)
				})
			})
		}
	}
}

// Subscriptions are renewed in the same packets in which they were requested.
func TestSubscriptionsAreRenewedAsTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	for _, v5 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			j := newPolicyServer(t)
			j.v5 = v5
			c := j.client(Options{Reconnect: atOnce})
			for _, call := range [][]string{{"a"}, {"b", "c", "d"}, {"e"}, {"c"}, {"f", "g"}} {
				var subs []Subscription
				for _, f := range call {
					subs = append(subs, Subscription{Filter: f})
				}
				if _, err := c.Subscribe(t.Context(), subs...); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Unsubscribe(t.Context(), "f"); err != nil {
				t.Fatal(err)
			}
			j.do(func() {
				j.verdict = func(conn int, p heard) outcome {
					if conn == 0 {
						return reset
					}
					return take
				}
			})
			go func() { _ = c.Ping(t.Context()) }()
			time.Sleep(time.Second)
			want := []string{"CONNECT", "SUBSCRIBE a", "SUBSCRIBE b d", "SUBSCRIBE e", "SUBSCRIBE c", "SUBSCRIBE g"}
			if got := j.latest(); !slices.Equal(got, want) {
				t.Errorf("renewed as %q, want %q", got, want)
			}
			j.end(c)
		})
	}
}

// More subscriptions than may be in flight are renewed one after the other.
func TestManySubscriptionsAreRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newPolicyServer(t)
		c := j.client(Options{Reconnect: atOnce})
		const n = 3*askMost + 1
		for i := range n {
			if _, err := c.Subscribe(t.Context(), Subscription{Filter: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		j.do(func() {
			j.verdict = func(conn int, p heard) outcome {
				if conn == 0 {
					return reset
				}
				return take
			}
		})
		go func() { _ = c.Ping(t.Context()) }()
		time.Sleep(time.Second)
		j.do(func() {
			if got := j.granted[n:]; len(got) != n || !slices.Equal(got, j.granted[:n]) {
				t.Errorf("%d renewed, want %d in order", len(got), n)
			}
		})
		j.end(c)
	})
}

// However many are to be renewed, at most askMost are unanswered.
func TestRenewalsOnTheWayAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newPolicyServer(t)
		c := j.client(Options{Reconnect: atOnce})
		for i := range askMost + 1 {
			if _, err := c.Subscribe(t.Context(), Subscription{Filter: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		j.do(func() {
			j.verdict = func(conn int, p heard) outcome {
				switch {
				case conn == 0:
					return reset
				case p.kind == packet.SUBSCRIBE:
					return ignore
				}
				return take
			}
		})
		_ = c.Ping(t.Context())
		time.Sleep(time.Second)
		if got := len(j.latest()) - 1; got != askMost { // without CONNECT
			t.Errorf("%d SUBSCRIBEs without an answer, want %d", got, askMost)
		}
		j.end(c)
	})
}

// An event about a renewal names the filter that was refused, even if the list
// of subscriptions has changed since it was sent.
func TestARefusedRenewalIsNamedWhateverHasChanged(t *testing.T) {
	t.Parallel()
	var events []Event
	c, p, accept := connected(t, Options{Version: packet.V5, Reconnect: atOnce, OnEvent: func(e Event) {
		if e.Kind == EventRenewalRefused {
			events = append(events, e)
		}
	}}, connect5, connack5)
	subscribed(t, c, p, "82 07 0001 00 0001 61 00", "90 04 0001 00 00", Subscription{Filter: "a"})
	subscribed(t, c, p, "82 07 0002 00 0001 62 00", "90 04 0002 00 00", Subscription{Filter: "b"})
	p.nc.Close()
	p = accept()
	p.expect(connect5)
	p.send(connack5)
	p.expect("82 07 0003 00 0001 61 00  82 07 0004 00 0001 62 00")
	errs := make(chan error, 1)
	go func() {
		_, err := c.Unsubscribe(t.Context(), "a")
		errs <- err
	}()
	p.expect("a2 06 0005 00 0001 61")
	p.send("b0 04 0005 00 00  90 04 0003 00 00  90 04 0004 00 87")
	if err := <-errs; err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.subs.asks) == 0
	})
	closed(t, c, p)
	if len(events) != 1 || !strings.Contains(events[0].Err.Error(), ": b") {
		t.Errorf("events %+v, want one about b", events)
	}
}

// A request whose call has returned is not sent again.
func TestASubscriptionWhoseCallHasLeftIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newPolicyServer(t)
		j.verdict = func(conn int, p heard) outcome {
			if p.kind == packet.SUBSCRIBE && conn == 0 {
				return resets5
			}
			return take
		}
		c := j.client(Options{Reconnect: atOnce})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Subscribe(ctx, Subscription{Filter: "a"}); !errors.Is(err, ErrInDoubt) {
			t.Errorf("got %v, want in doubt", err)
		}
		time.Sleep(time.Minute)
		if got := j.latest(); !slices.Equal(got, []string{"CONNECT"}) {
			t.Errorf("the second connection brought %q", got)
		}
		c.mu.Lock()
		if n := len(c.subs.asks) + len(c.waiters.all) - len(c.waiters.free); n > 0 {
			t.Errorf("%d waiters are left", n)
		}
		c.mu.Unlock()
		j.end(c)
	})
}

// A server without QoS 2 may answer with PUBACK. The message is not sent again,
// and the error suggests a remedy.
func TestAPubackForQoS2IsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	for _, v5 := range []bool{true, false} {
		for _, reconnect := range []func(int, error) (time.Duration, bool){nil, atOnce} {
			connect, connack, publish, puback := connect4c, connack4, "34 05 0001 74 0001", "40 02 0001"
			opt := Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: reconnect, Undeliverable: always(UndeliverableStop)}
			if v5 {
				opt.Version, connect, connack, publish = packet.V5, "10 0e 0004 4d515454 05 00 0000 00 0001 61", connack5, "34 06 0001 74 0001 00"
			}
			c, p, _ := connected(t, opt, connect, connack)
			errs := make(chan error, 1)
			go func() { errs <- c.Publish(t.Context(), &Message{Topic: "t", QoS: 2}) }()
			p.expect(publish)
			p.send(puback)
			err := <-errs
			if u, ok := errors.AsType[*Undeliverable](err); !ok || !u.NoQoS2 || !strings.Contains(err.Error(), "the broker does not seem to support QoS 2") {
				t.Errorf("5.0 %v: got %v", v5, err)
			}
			<-c.Done()
		}
	}
}

// After a packet was named, those that were in flight with it are sent one at a
// time. If none of them is left, because their calls have returned or the
// server's limits now forbid them, the restriction ends: otherwise messages at
// QoS 0 would wait forever.
func TestNothingLeftToSendOneAtATime(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		begin   func(c *Client, ctx context.Context) error
		sent    string
		connack string
	}{
		{"the calls have gone", func(c *Client, ctx context.Context) error {
			_, err := c.Subscribe(ctx, Subscription{Filter: "a"})
			return err
		}, "82 07 0001 00 0001 61 00  82 07 0002 00 0001 61 00", connack5},
		{"the limits forbid the messages", func(c *Client, ctx context.Context) error {
			return c.Publish(ctx, &Message{Topic: "a", QoS: 1})
		}, "32 06 0001 61 0001 00  32 06 0001 61 0002 00", "20 05 00 00 02 24 00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, Options{Version: packet.V5, Reconnect: atOnce}, func(b *bubble) {
				p := b.accept(connect5)
				p.send(connack5)
				c := b.connected()
				ctx, cancel := context.WithCancel(b.t.Context())
				for range 2 {
					go row.begin(c, ctx)
					synctest.Wait()
				}
				p.expect(row.sent)
				p.send("e0 01 81")
				p.nc.Close()
				cancel()
				synctest.Wait()
				p = b.accept(connect5)
				p.send(row.connack)
				ctx, cancel = context.WithTimeout(b.t.Context(), time.Hour)
				defer cancel()
				if err := c.Publish(ctx, &Message{Topic: "t"}); err != nil {
					t.Error(err)
				}
				p.expect("30 04 0001 74 00")
			})
		})
	}
}
