package mqtt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// No context interrupts a write, so a call writes only what the socket takes at
// once.
func TestNoCallOutlastsItsContextWhenTheServerStopsReading(t *testing.T) {
	t.Parallel()
	eachStream(t, func(t *testing.T, dial dialFunc, accept func() *peer) {
		for _, size := range []int{100, 5_000, 60_000} { // below and above what is written at once
			c, p := connectedOver(t, dial, accept, Options{Version: packet.V311, MaxInflight: 1 << 15, MaxHeld: 1 << 30}, connect4, connack4)
			m := &Message{Topic: "t", Payload: make([]byte, size)}
			calls := map[string]func(context.Context) error{
				"Publish at QoS 0": func(ctx context.Context) error { return c.Publish(ctx, m) },
				"Publish at QoS 1": func(ctx context.Context) error {
					return c.Publish(ctx, &Message{Topic: "t", QoS: 1, Payload: m.Payload})
				},
				"Send":        func(ctx context.Context) error { return c.Send(ctx, m, 0) },
				"Ping":        c.Ping,
				"Flush":       c.Flush,
				"Subscribe":   func(ctx context.Context) error { _, err := c.Subscribe(ctx, Subscription{Filter: "t"}); return err },
				"Unsubscribe": func(ctx context.Context) error { _, err := c.Unsubscribe(ctx, "t"); return err },
				"Receive":     func(ctx context.Context) error { _, err := c.Receive(ctx); return err },
				"Messages":    func(ctx context.Context) error { _, err := one(ctx, c, nil); return err },
			}
			try := func(name string) error {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				var err error
				within(t, name, func() { err = calls[name](ctx) })
				return err
			}
			// Until the buffers of both systems and of the client are full.
			for err := error(nil); err == nil; {
				err = try("Publish at QoS 0")
			}
			for name := range calls {
				// The systems may have found room for a few more messages.
				if err := try(name); !errors.Is(err, context.DeadlineExceeded) && (err != nil || name != "Send" && name != "Publish at QoS 0") {
					t.Errorf("%d bytes: %s: %v, want the context's error", size, name, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			within(t, "Close", func() {
				if err := c.Close(ctx); !errors.Is(err, ErrInDoubt) {
					t.Errorf("%d bytes: Close: %v, want ErrInDoubt", size, err)
				}
			})
			cancel()
			p.nc.Close()
		}
	})
}

// The rest of a packet that was written in part comes before everything else.
func TestWhatIsWrittenInPiecesIsWhole(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	// More than a socket takes while the peer does not read.
	large := bytes.Repeat([]byte("0123456789abcde"), 1<<20)
	if err := c.Publish(t.Context(), &Message{Topic: "t", Payload: large}); err != nil {
		t.Fatal(err)
	}
	const n, size = 40, 300_000
	go func() {
		for i := range n {
			payload := make([]byte, size)
			for j := range payload {
				payload[j] = byte(i)
			}
			if err := c.Publish(t.Context(), &Message{Topic: "t", Payload: payload}); err != nil {
				t.Error(err)
			}
		}
	}()
	p.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	first := make([]byte, 8+len(large))
	if _, err := io.ReadFull(p.nc, first); err != nil || !bytes.Equal(first[8:], large) {
		t.Fatalf("the first message arrives as %x ... (%v)", first[:16], err)
	}
	b := make([]byte, 7+size)
	for i := range n {
		if _, err := io.ReadFull(p.nc, b); err != nil {
			t.Fatal(err)
		}
		if b[0] != 0x30 || b[6] != 't' || b[7] != byte(i) || b[len(b)-1] != byte(i) {
			t.Fatalf("message %d begins with %x and ends with %x", i, b[:8], b[len(b)-1])
		}
	}
	closed(t, c, p)
}

// Flush does not wait for what other goroutines send after it was called.
func TestFlushWaitsForWhatWasSentBeforeIt(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	send := func(qos packet.QoS, want string) {
		t.Helper()
		if err := c.Send(t.Context(), &Message{Topic: "t", QoS: qos}, 0); err != nil {
			t.Fatal(err)
		}
		p.expect(want)
	}
	flush := func() chan error {
		errs := make(chan error, 1)
		before := func() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.waiters.flushers) + len(c.proof.pings) }
		n := before()
		go func() { errs <- c.Flush(t.Context()) }()
		waitFor(t, func() bool { return before() > n })
		return errs
	}
	over := func(it string, errs chan error) {
		t.Helper()
		select {
		case err := <-errs:
			if err != nil {
				t.Errorf("%s: %v", it, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: Flush waits on", it)
		}
	}
	send(1, "32 05 0001 74 0001")
	send(2, "34 05 0001 74 0002")
	first := flush()
	send(1, "32 05 0001 74 0003")
	second := flush()
	p.send("40 02 0003  50 02 0002")
	p.expect("62 02 0002")
	p.send("70 02 0002")
	waitFor(t, func() bool { return c.Stats().Acked == 2 })
	if len(first)+len(second) > 0 {
		t.Error("Flush returned before the oldest message was acknowledged")
	}
	send(1, "32 05 0001 74 0004")
	p.send("40 02 0001")
	over("with a later message in flight", first)
	over("with a later message in flight", second)

	p.send("40 02 0004")
	over("without a message", func() chan error { e := make(chan error, 1); e <- c.Flush(t.Context()); return e }())
	send(0, "30 03 0001 74")
	third := flush()
	p.expect("c0 00")
	send(0, "30 03 0001 74")
	send(1, "32 05 0001 74 0005")
	p.send("d0 00")
	over("at QoS 0 with later messages in flight", third)
	p.send("40 02 0005")
	closed(t, c, p)
}

// A server that has lost the session makes the client use other packet
// identifiers.
func TestFlushWaitsOverALostSession(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V311, Reconnect: atOnce}, connect4, connack4)
	for i := range 3 {
		if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1, Payload: []byte{byte('1' + i)}}, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("32 06 0001 74 0001 31  32 06 0001 74 0002 32  32 06 0001 74 0003 33")
	p.send("40 02 0002")
	waitFor(t, func() bool { return c.Stats().Acked == 1 })
	errs := make(chan error, 1)
	go func() { errs <- c.Flush(t.Context()) }()
	locked(t, c, func() bool { return len(c.waiters.flushers) == 1 })
	p.nc.Close()
	p = accept()
	p.expect(connect4)
	p.send(connack4)
	p.expect("32 06 0001 74 0004 31  32 06 0001 74 0005 33")
	p.send("40 02 0004")
	waitFor(t, func() bool { return c.Stats().Acked == 2 })
	if len(errs) > 0 {
		t.Error("Flush returned before the last message was acknowledged")
	}
	p.send("40 02 0005")
	if err := <-errs; err != nil {
		t.Error(err)
	}
	closed(t, c, p)
}

// Flush and Close end however busy other goroutines are.
func TestFlushAndCloseEndUnderABusySender(t *testing.T) {
	t.Parallel()
	for _, qos := range []packet.QoS{0, 1, 2} {
		_, addr := brokertest.Start(t)
		c, err := Connect(t.Context(), "mqtt://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for c.Send(t.Context(), &Message{Topic: "t", QoS: qos}, 0) == nil {
				}
			})
		}
		waitFor(t, func() bool { return c.Stats().Sent > 1000 })
		for range 3 {
			within(t, "Flush", func() {
				if err := c.Flush(t.Context()); err != nil {
					t.Errorf("QoS %d: Flush: %v", qos, err)
				}
			})
		}
		within(t, "Close", func() {
			if err := c.Close(t.Context()); err != nil {
				t.Errorf("QoS %d: Close: %v", qos, err)
			}
		})
		wg.Wait()
		if st := c.Stats(); st.Unfinished != 0 || st.Unwritten != 0 {
			t.Errorf("QoS %d: %+v", qos, st)
		}
	}
}

// bare is a connection without deadlines, such as an os.Pipe on Windows or an
// SSH channel. Its deadline methods return an error, or do nothing.
type bare struct {
	net.Conn
	err error
}

func (b bare) SetDeadline(time.Time) error      { return b.err }
func (b bare) SetReadDeadline(time.Time) error  { return b.err }
func (b bare) SetWriteDeadline(time.Time) error { return b.err }

func bareOver(dial dialFunc, err error) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		nc, dialErr := dial(ctx)
		if dialErr != nil {
			return nil, dialErr
		}
		return bare{nc, err}, nil
	}
}

func TestTimeIsUpWithoutDeadlines(t *testing.T) {
	for name, noDeadline := range map[string]error{"refused": errors.New("file type does not support deadline"), "ignored": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ps := newPipes()
				dial := bareOver(ps.dial, noDeadline)
				connect := func(o Options) (chan *Client, *peer) {
					o.Version, o.ClientID, o.KeepAlive = packet.V311, "a", NoKeepAlive
					clients := make(chan *Client, 1)
					go func() {
						c, _ := connectOver(t.Context(), dial, &o)
						clients <- c
					}()
					p := &peer{t, <-ps.conns}
					p.expect(connect4)
					return clients, p
				}

				start := time.Now()
				clients, p := connect(Options{ConnectTimeout: 3 * time.Second})
				if c := <-clients; c != nil || time.Since(start) < 3*time.Second || time.Since(start) > 4*time.Second {
					t.Errorf("a server that says nothing: %v after %v, want an error after 3 s", c, time.Since(start))
				}
				p.nc.Close()

				clients, p = connect(Options{})
				p.send(connack4)
				c := <-clients
				if c == nil {
					t.Fatal("not connected")
				}
				errs := make(chan error, 1)
				go func() { errs <- c.Publish(t.Context(), &Message{Topic: "t", QoS: 1}) }()
				p.expect("32 05 0001 74 0001")
				p.send("40 02 0001")
				if err := <-errs; err != nil {
					t.Error(err)
				}
				// A server that does not read.
				start = time.Now()
				if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 0); err != nil {
					t.Fatal(err)
				}
				<-c.Done()
				if took := time.Since(start); took != 30*time.Second || !errors.Is(c.Err(), ErrLost) {
					t.Errorf("ended with %v after %v, want the loss after 30 s", c.Err(), took)
				}
				if got, want := c.Err().Error(), "connection: in doubt: connection lost: the server has not read for 30s"; got != want {
					t.Errorf("ended with %q, want %q", got, want)
				}
				p.nc.Close()

				for it, end := range map[string]func(*Client, context.Context) error{
					"Close": func(c *Client, ctx context.Context) error { return c.Close(ctx) },
					"Abort": func(c *Client, _ context.Context) error { c.Abort(); return nil },
				} {
					clients, p = connect(Options{})
					p.send(connack4)
					c = <-clients
					start = time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					_ = end(c, ctx) // the server reads no DISCONNECT
					cancel()
					if took := time.Since(start); took > 3*time.Second {
						t.Errorf("%s took %v", it, took)
					}
					<-c.Done()
					p.nc.Close()
				}
			})
		})
	}
}
