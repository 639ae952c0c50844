package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// holding returns the options of a broker that takes a tenth of a second for each
// message to the topic "hold": everything after it is still in the socket when the next
// connection arrives.
func holding() broker.Options {
	return broker.Options{Authorize: func(_, _, topic string, write bool) bool {
		if write && topic == "hold" {
			time.Sleep(100 * time.Millisecond)
		}
		return true
	}}
}

// inMemory runs f in a bubble, with a broker and a function that connects to it.
func inMemory(t *testing.T, o broker.Options, f func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := memtest.New()
		b := broker.New(o)
		done := make(chan error, 1)
		go func() { done <- b.Serve(m) }()
		defer func() {
			closeBroker(t, b)
			<-done
		}()
		f(t, b, func() (net.Conn, error) { return m.Dial(t.Context()) })
	})
}

// TestWhatTheOldConnectionHasReceivedIsHeard makes one connection take over the client
// ID while the other's reader is behind.
func TestWhatTheOldConnectionHasReceivedIsHeard(t *testing.T) {
	t.Parallel()
	const (
		watch  = "w> 10 0d 0004 \"MQTT\" 04 02 0000 0001 \"w\" 82 06 0001 0001 \"#\" 00\nw< {ok4} 90 03 0001 00\n"
		will   = "a> 10 16 0004 \"MQTT\" 04 06 0000 0001 \"a\" 0001 \"w\" 0004 \"gone\"\na< {ok4}\n"
		keep   = `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`
		hold   = `30 06 0004 "hold"`
		heard  = "w< " + hold + "\n"
		one    = `30 04 0001 "t" "1"`
		two    = `30 04 0001 "t" "2"`
		again  = "b> 10 0d 0004 \"MQTT\" 04 02 0000 0001 \"a\"\nb< {ok4}\n"
		resume = "b> " + keep + "\nb< {ok5 present}\n"
		alive  = "b> {ping}\nb< {pong}\nw> {ping}\nw< {pong}" // and nothing else has arrived
		gone   = "w< 30 07 0001 \"w\" \"gone\"\n"
	)
	for _, c := range []conversation{
		{"messages and a goodbye, and then it closes", watch + will + `
			a> ` + hold + one + two + ` e0 00
			a> x
			` + again + heard + `
			w< ` + one + two + "\n" + alive},
		{"messages and a goodbye, and it does not close", watch + will + `
			a> ` + hold + one + two + ` e0 00
			` + again + `a< x
			` + heard + `
			w< ` + one + two + "\n" + alive},
		{"more than one read takes", watch + will + `
			a> ` + hold + ` 5000*300400017431 ` + hold + two + ` e0 00
			a> x
			` + again + heard + `
			w< 5000*300400017431 ` + hold + two + "\n" + alive},
		{"messages, and it closes without a goodbye", watch + will + `
			a> ` + hold + one + two + `
			a> x
			` + again + heard + `
			w< ` + one + two + "\n" + gone + alive},
		{"messages and half of one, and it stays: the will comes behind them", watch + will + `
			a> ` + hold + one + two + ` 30 04 0001
			` + again + heard + `a< x
			w< ` + one + two + "\n" + gone + alive},
		{"a goodbye that wants the will", watch + `
			a> 10 18 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0001 "w" 0004 "gone"
			a< {ok5}
			a> 30 07 0004 "hold" 00 e0 01 04
			` + again + heard + gone + `a< x
			` + alive},
		{"its session, which the new one goes on with", watch + `
			a> ` + keep + `
			a< {ok5}
			a> 30 07 0004 "hold" 00 82 07 0001 00 0001 "s" 01 34 06 0001 "q" 0007 00
			` + resume + heard + `
			w< 30 03 0001 "q"
			b> 3c 06 0001 "q" 0007 00 62 02 0007
			b< 50 02 0007 70 02 0007
			b> 30 04 0001 "s" 00
			b< 30 04 0001 "s" 00
			w< 30 03 0001 "s"
			` + alive},
		{"a session that ends with the goodbye", watch + `
			a> ` + keep + `
			a< {ok5}
			a> 30 07 0004 "hold" 00 82 07 0001 00 0001 "s" 01 e0 07 00 05 11 00000000
			b> ` + keep + `
			b< {ok5}
			` + heard + `
			b> 32 06 0001 "s" 0001 00
			b< 40 02 0001
			w< 30 03 0001 "s"
			` + alive},
		{"QoS 1 and 2, of which it does not read the acknowledgements", watch + will + `
			a> ` + hold + ` 32 05 0001 "t" 0001 34 05 0001 "t" 0002 e0 00
			a> x
			` + again + heard + `
			w< 30 03 0001 "t" 30 03 0001 "t"
			` + alive},
		{"three in a row", watch + will + `
			a> ` + hold + one + ` e0 00
			c> 10 16 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0004 "gone"
			c< {ok4}
			c> ` + hold + two + ` e0 00
			c> x
			` + again + heard + `
			w< ` + one + "\n" + heard + `
			w< ` + two + `
			a< x
			` + alive},
	} {
		for _, secure := range []bool{false, true} {
			name := c.name
			if secure {
				name += " over TLS"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				certs := certtest.New(t)
				own := certs.ClientConfig()
				today := time.Now() // which is another day in the bubble
				own.Time = func() time.Time { return today }
				synctest.Test(t, func(t *testing.T) {
					m := memtest.New()
					ln, dial := net.Listener(m), func() (net.Conn, error) { return m.Dial(t.Context()) }
					if secure {
						ln = tls.NewListener(m, certs.ServerConfig())
						dial = func() (net.Conn, error) {
							nc, err := m.Dial(t.Context())
							if err != nil {
								return nil, err
							}
							return tls.Client(nc, own), nil
						}
					}
					b := broker.New(holding())
					done := make(chan error, 1)
					go func() { done <- b.Serve(ln) }()
					defer func() {
						closeBroker(t, b)
						<-done
					}()
					talkOver(t, dial, c.script)
				})
			})
		}
	}
}

// TestAConnectionThatCannotBeWrittenToIsHeardOut has a client that does not wait for
// its acknowledgements: the first of them finds the connection closed.
func TestAConnectionThatCannotBeWrittenToIsHeardOut(t *testing.T) {
	t.Parallel()
	inMemory(t, holding(), func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
		const n = 1000
		w := memoryPeer(t, dial)
		w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "#" 00`)
		w.expect("{ok4} 90 03 0001 00")
		a := memoryPeer(t, dial)
		a.send(`10 16 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0004 "gone"`)
		a.expect("{ok4}")
		out := wireBytes(t, `32 08 0004 "hold" ffff`)
		for i := range n {
			out = append(out, 0x32, 20, 0, 1, 't', byte((i+1)>>8), byte(i+1))
			out = fmt.Appendf(out, "message %7d", i)
			if i == n/2 { // time for the writer to fail
				out = append(out, wireBytes(t, `30 06 0004 "hold"`)...)
			}
		}
		if _, err := a.nc.Write(append(out, 0xe0, 0)); err != nil {
			t.Fatal(err)
		}
		_ = a.nc.Close()
		w.expect(`30 06 0004 "hold"`)
		for i := range n {
			w.expect(fmt.Sprintf(`30 12 0001 "t" "message %7d"`, i))
			if i == n/2 {
				w.expect(`30 06 0004 "hold"`)
			}
		}
		synctest.Wait()
		if st := b.Stats(); st.Clients != 1 || st.Sessions != 1 {
			t.Errorf("%+v", st)
		}
		w.send("{ping}")
		w.expect("{pong}") // and no will
		_ = w.nc.Close()
	})
}

func memoryPeer(t *testing.T, dial func() (net.Conn, error)) *pipePeer {
	t.Helper()
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	return &pipePeer{t, nc}
}

// TestATakeoverIsNotStalled has an old connection whose client never stops sending.
func TestATakeoverIsNotStalled(t *testing.T) {
	t.Parallel()
	inMemory(t, broker.Options{}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
		old := memoryPeer(t, dial)
		old.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		old.expect("{ok4}")
		start := time.Now()
		young := memoryPeer(t, dial)
		young.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		var flood sync.WaitGroup
		var through atomic.Bool
		flood.Go(func() {
			out := bytes.Repeat(wireBytes(t, `30 04 0001 "t" "x"`), 5000)
			for !through.Load() {
				if _, err := old.nc.Write(out); err != nil {
					return
				}
			}
		})
		young.expect("{ok4}")
		if d := time.Since(start); d > time.Second {
			t.Errorf("CONNACK came after %v", d)
		}
		through.Store(true)
		flood.Wait()
		// Everything that had arrived when the broker saw the second CONNECT, which is
		// what the connection's buffers hold and some more on a busy machine, and a
		// mebibyte after that. Without a bound it would go on forever.
		if n := b.Stats().Received; n > 16<<20/6 {
			t.Errorf("%d messages were heard", n)
		}
		_, _ = young.nc.Close(), old.nc.Close()
	})
}

// TestWhatIsOnTheWayIsHeard sends the old connection's bytes in pieces, after the
// CONNECT of the new one.
func TestWhatIsOnTheWayIsHeard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		idle   time.Duration // how long the old connection was idle when the new one arrives
		pieces int           // of the old one's messages, sent after that
		apart  time.Duration
		bye    bool          // its DISCONNECT follows the last piece
		waits  time.Duration // until the CONNACK of the new one
		heard  int
	}{
		{"many pieces and a goodbye", 0, 20, 20 * time.Millisecond, true, 400 * time.Millisecond, 20},
		{"a late goodbye", 50 * time.Millisecond, 1, 40 * time.Millisecond, true, 40 * time.Millisecond, 1},
		{"nothing more", 50 * time.Millisecond, 0, 0, false, 50 * time.Millisecond, 0},
		{"nothing for a while", time.Minute, 0, 0, false, 0, 0},
		{"a piece now and then, forever", 0, 1000, 35 * time.Millisecond, false, 500 * time.Millisecond, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, broker.Options{}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
				w := memoryPeer(t, dial)
				w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "#" 00`)
				w.expect("{ok4} 90 03 0001 00")
				old := memoryPeer(t, dial)
				old.send(`10 16 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0004 "gone"`)
				old.expect("{ok4}")
				time.Sleep(c.idle)
				start := time.Now()
				young := memoryPeer(t, dial)
				young.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
				var rest sync.WaitGroup
				rest.Go(func() {
					for i := range c.pieces {
						time.Sleep(c.apart)
						out := wireBytes(t, `30 04 0001 "t" "x"`)
						if c.bye && i == c.pieces-1 {
							out = append(out, 0xe0, 0)
						}
						if _, err := old.nc.Write(out); err != nil {
							return
						}
					}
				})
				young.expect("{ok4}")
				if d := time.Since(start); d < c.waits || d > c.waits+50*time.Millisecond {
					t.Errorf("CONNACK came after %v, want %v", d, c.waits)
				}
				rest.Wait()
				for range c.heard {
					w.expect(`30 04 0001 "t" "x"`)
				}
				if !c.bye {
					w.expect(`30 07 0001 "w" "gone"`)
				}
				w.send("{ping}")
				w.expect("{pong}") // and nothing else
				_, _, _ = young.nc.Close(), old.nc.Close(), w.nc.Close()
			})
		})
	}
}

// TestATakeoverWaitsForSubscribersASecond has an old connection whose messages are for
// a subscriber that acknowledges none.
func TestATakeoverWaitsForSubscribersASecond(t *testing.T) {
	t.Parallel()
	inMemory(t, broker.Options{QueueMessages: 2, MaxInflight: 1}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
		w := memoryPeer(t, dial)
		w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "#" 01`)
		w.expect("{ok4} 90 03 0001 01")
		old := memoryPeer(t, dial)
		old.send(`10 16 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0004 "gone"`)
		old.expect("{ok4}")
		const n = 20
		var out []byte
		payload := make([]byte, 1000)
		for i := range n {
			payload[0] = byte(i)
			out = append(out, message(1, uint16(i+1), payload)...)
		}
		if _, err := old.nc.Write(append(out, 0xe0, 0)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the reader waits for w
		start := time.Now()
		young := memoryPeer(t, dial)
		young.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		young.expect("{ok4}")
		if d := time.Since(start); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("CONNACK came after %v, want a second", d)
		}
		got := make([]byte, len(message(1, 1, payload)))
		for i := range n {
			payload[0] = byte(i)
			if _, err := io.ReadFull(w.nc, got); err != nil || !bytes.Equal(got, message(1, uint16(i+1), payload)) {
				t.Fatalf("message %d: % x..., %v", i, got[:8], err)
			}
			if _, err := w.nc.Write([]byte{0x40, 2, 0, byte(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		w.send("{ping}")
		w.expect("{pong}") // and no will
		_, _, _ = young.nc.Close(), old.nc.Close(), w.nc.Close()
	})
}

// TestConnectionsOfOneIdentifierComeInOrder makes the first of two logins take longer
// than the second.
func TestConnectionsOfOneIdentifierComeInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		login, waits time.Duration // of the first; of the second, after its CONNECT
		stays        bool          // the second
	}{
		{"a login that takes a while", 300 * time.Millisecond, 200 * time.Millisecond, true},
		{"a login that takes too long does not delay others", 4 * time.Second, 250 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := broker.Options{Logins: 2, Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
				if p.KeepAlive == 1 {
					time.Sleep(c.login)
				}
				return packet.Success
			}}
			inMemory(t, o, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
				w := memoryPeer(t, dial)
				w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "#" 00`)
				w.expect("{ok4} 90 03 0001 00")
				first := memoryPeer(t, dial)
				first.send(`10 16 0004 "MQTT" 04 06 0001 0001 "a" 0001 "w" 0004 "gone" 30 04 0001 "t" "1" e0 00`)
				time.Sleep(100 * time.Millisecond)
				second := memoryPeer(t, dial)
				start := time.Now()
				second.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
				second.expect("{ok4}")
				if d := time.Since(start); d < c.waits || d > c.waits+50*time.Millisecond {
					t.Errorf("CONNACK came after %v, want %v", d, c.waits)
				}
				w.expect(`30 04 0001 "t" "1"`)
				second.send("{ping}")
				if c.stays {
					second.expect("{pong}")
				}
				w.send("{ping}")
				w.expect("{pong}") // and no will
				_, _, _ = first.nc.Close(), second.nc.Close(), w.nc.Close()
			})
		})
	}
}

// held is a connection whose address is known late, as for one through a proxy. Its
// reader does not begin before that.
type held struct {
	net.Conn
	known chan struct{}
}

func (h held) NetConn() net.Conn    { return h.Conn }
func (h held) RemoteAddr() net.Addr { <-h.known; return h.Conn.RemoteAddr() }

// TestAnEarlierConnectTakesNothingOver has a client that sends everything and closes,
// and reconnects before the broker has read any of it.
func TestAnEarlierConnectTakesNothingOver(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for range 100 {
		known := make(chan struct{})
		b := broker.New(broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if p.KeepAlive == 7 { // the later one has arrived
				close(known)
			}
			return packet.Success
		}})
		dial := func(over func(net.Conn) net.Conn) *pipePeer {
			t.Helper()
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = nc.SetDeadline(time.Now().Add(time.Minute))
			accepted, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			b.ServeConn(over(accepted))
			return &pipePeer{t, nc}
		}
		plain := func(nc net.Conn) net.Conn { return nc }
		w := dial(plain)
		w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w" 82 06 0001 0001 "#" 00`)
		w.expect("{ok4} 90 03 0001 00")
		silent := dial(plain) // it delays no other
		first := dial(func(nc net.Conn) net.Conn { return held{nc, known} })
		first.send(`10 16 0004 "MQTT" 04 06 0000 0001 "a" 0001 "w" 0004 "gone" 30 04 0001 "t" "1" e0 00`)
		_ = first.nc.Close()
		second := dial(plain)
		start := time.Now()
		second.send(`10 0d 0004 "MQTT" 04 02 0007 0001 "a"`)
		second.expect("{ok4}")
		inTime := time.Since(start) < 250*time.Millisecond // none of our time limits has passed
		if inTime {
			w.expect(`30 04 0001 "t" "1"`)
			second.send("{ping}")
			second.expect("{pong}")
			w.send("{ping}")
			w.expect("{pong}") // and no will
		}
		_, _, _ = second.nc.Close(), silent.nc.Close(), w.nc.Close()
		closeBroker(t, b)
		if inTime {
			return
		}
	}
	t.Log("the machine is too slow for this test")
}

// TestASilentConnectionDoesNotDelayOthers opens a connection before another one and sends
// nothing on it.
func TestASilentConnectionDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		defer closeBroker(t, b)
		silent, p := connectPipe(t, b), connectPipe(t, b)
		start := time.Now()
		p.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		p.expect("{ok4}")
		if d := time.Since(start); d != 0 {
			t.Errorf("CONNACK came after %v", d)
		}
		_, _ = silent.nc.Close(), p.nc.Close()
	})
}

// TestAStormOfOneIdentifier has clients that reconnect as soon as they have closed, or
// before. Everything that each has sent arrives, once and in order, followed by the
// wills of those that have not sent DISCONNECT, and of no others.
func TestAStormOfOneIdentifier(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	rounds := 104
	if raceEnabled {
		rounds = 24
	}
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			listen, cfg := scheme+"://127.0.0.1:0", (*tls.Config)(nil)
			switch scheme {
			case "unix":
				listen = "unix:" + filepath.Join(t.TempDir(), "s")
			case "mqtts", "wss":
				cfg = certs.ServerConfig()
			}
			_, addr := brokertest.StartOn(t, listen, cfg, broker.Options{})
			to, err := transport.ParseURL(scheme + "://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			d := &transport.Dialer{TLS: &transport.TLSOptions{CAFile: certs.CA.CertFile}, Timeout: time.Minute}
			var storms sync.WaitGroup
			for n := range 3 {
				storms.Go(func() {
					s := storm{t: t, dial: func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, to) }, id: byte('a' + n)}
					if err := s.run(rounds); err != nil {
						t.Errorf("%c: %v", s.id, err)
					}
				})
			}
			storms.Wait()
		})
	}
}

type storm struct {
	t    *testing.T
	dial func(context.Context) (net.Conn, error)
	id   byte // of the client, and its topic
	want []byte
}

// connect connects and waits for CONNACK.
func (s *storm) connect(connect string, connack int) (net.Conn, error) {
	nc, err := s.dial(s.t.Context())
	if err != nil {
		return nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	if _, err := nc.Write(wireBytes(s.t, connect)); err != nil {
		return nil, err
	}
	if _, err = io.ReadFull(nc, make([]byte, connack)); err != nil {
		return nil, fmt.Errorf("CONNACK: %w", err)
	}
	return nc, nil
}

func (s *storm) run(rounds int) error {
	w, err := s.connect(fmt.Sprintf(`10 0d 0004 "MQTT" 04 02 0000 0001 "%c" 82 06 0001 0001 "%c" 00`, s.id-32, s.id), 4+5)
	if err != nil {
		return err
	}
	defer w.Close()
	var got bytes.Buffer
	read := make(chan error, 1)
	go func() {
		var b [4096]byte
		for {
			n, err := w.Read(b[:])
			got.Write(b[:n])
			if err != nil || bytes.HasSuffix(got.Bytes(), []byte("end")) {
				read <- err
				return
			}
		}
	}()
	var stays net.Conn
	for i := range rounds {
		// In MQTT 3.1.1 and 5.0, with a will that names the round.
		var nc net.Conn
		v5 := i/8%2 == 1
		if v5 {
			nc, err = s.connect(fmt.Sprintf(`10 1a 0004 "MQTT" 05 06 0000 00 0001 "%c" 00 0001 "%c" 0006 "will%02d"`, s.id, s.id, i%100), 16)
		} else {
			nc, err = s.connect(fmt.Sprintf(`10 18 0004 "MQTT" 04 06 0000 0001 "%c" 0001 "%c" 0006 "will%02d"`, s.id, s.id, i%100), 4)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		if stays != nil {
			_ = stays.Close()
			stays = nil
		}
		qos, count := byte(0), 3
		switch i % 8 {
		case 4:
			qos, count = 1, 200
		case 5:
			qos, count = 2, 200
		case 6:
			count = 5000
		}
		var out []byte
		for k := range count {
			payload := fmt.Sprintf("%05d.%05d", i, k)
			head := []byte{0x30 | qos<<1, byte(3 + len(payload)), 0, 1, s.id}
			if qos > 0 {
				head[1] += 2
				head = append(head, byte((k+1)>>8), byte(k+1))
			}
			if v5 {
				head[1]++
				head = append(head, 0)
			}
			out = append(append(out, head...), payload...)
			s.want = append(append(s.want, 0x30, byte(3+len(payload)), 0, 1, s.id), payload...)
		}
		will := true
		switch i % 8 {
		case 1: // closes in the middle of a packet
			out = append(out, 0x30, 5, 0)
		case 2: // stays, and is taken over
		case 3: // sends DISCONNECT and stays
			out, will = append(out, 0xe0, 0), false
		default: // sends DISCONNECT and closes, its acknowledgements unread
			out, will = append(out, 0xe0, 0), false
		}
		if _, err := nc.Write(out); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
		if will {
			s.want = append(append(s.want, 0x30, 9, 0, 1, s.id), fmt.Sprintf("will%02d", i%100)...)
		}
		if i%8 == 2 || i%8 == 3 {
			stays = nc
		} else {
			_ = nc.Close()
		}
	}
	last, err := s.connect(fmt.Sprintf(`10 0d 0004 "MQTT" 04 02 0000 0001 "%c"`, s.id), 4)
	if err != nil {
		return err
	}
	defer last.Close()
	if stays != nil {
		_ = stays.Close()
	}
	// Its own message comes after all others.
	if _, err := last.Write([]byte{0x30, 6, 0, 1, s.id, 'e', 'n', 'd'}); err != nil {
		return err
	}
	s.want = append(s.want, 0x30, 6, 0, 1, s.id, 'e', 'n', 'd')
	err = <-read
	for i, c := range got.Bytes() {
		if i >= len(s.want) || c != s.want[i] {
			at := max(i-40, 0)
			return fmt.Errorf("byte %d of %d: got %q, want %q", i, len(s.want), got.Bytes()[at:min(i+40, got.Len())], s.want[at:min(i+40, len(s.want))])
		}
	}
	return err
}
