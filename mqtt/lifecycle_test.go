package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// locked is waitFor for conditions that need c.mu.
func locked(t *testing.T, c *Client, cond func() bool) {
	t.Helper()
	waitFor(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return cond()
	})
}

// hookConn calls hook when its deadline is cleared, which is the last step of
// an attempt to connect before the client uses the connection.
type hookConn struct {
	net.Conn
	hook func()
}

func (h *hookConn) SetDeadline(t time.Time) error {
	err := h.Conn.SetDeadline(t)
	if t.IsZero() {
		h.hook()
	}
	return err
}

func TestTheEndMayComeWhileAReconnectSucceeds(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(*Client){
		"Abort": (*Client).Abort,
		"Close": func(c *Client) { _ = c.Close(context.Background()) },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			inner, accept := tcpPair(t)
			var c *Client
			dials, reached := 0, make(chan struct{})
			dial := func(ctx context.Context) (net.Conn, error) {
				nc, err := inner(ctx)
				if dials++; err == nil && dials == 2 {
					nc = &hookConn{nc, func() {
						close(reached)
						<-c.ctx.Done() // the end has looked for a connection, and found none
					}}
				}
				return nc, err
			}
			c, p := connectedOver(t, dial, accept, Options{Version: packet.V311, Reconnect: atOnce}, connect4, connack4)
			p.nc.Close()
			p = accept()
			p.expect(connect4)
			p.send(connack4)
			<-reached
			within(t, how, func() { end(c) })
		})
	}
}

func TestAPingIsAnsweredByItsOwnPingrespOnly(t *testing.T) {
	t.Parallel()
	t.Run("not by a reconnect", func(t *testing.T) {
		t.Parallel()
		down, release := make(chan struct{}, 1), make(chan struct{})
		c, p, accept := connected(t, Options{Version: packet.V311, Reconnect: func(int, error) (time.Duration, bool) {
			down <- struct{}{}
			<-release
			return 0, true
		}}, connect4, connack4)
		p.nc.Close()
		<-down
		errs := make(chan error, 1)
		go func() { errs <- c.Ping(t.Context()) }()
		locked(t, c, func() bool { return len(c.waiters.windowWaiters) == 1 })
		close(release)
		p = accept()
		p.expect(connect4)
		p.send(connack4)
		p.expect("c0 00")
		if len(errs) > 0 {
			t.Error("Ping returned before its answer")
		}
		p.send("d0 00")
		if err := <-errs; err != nil {
			t.Error(err)
		}
		closed(t, c, p)
	})
	t.Run("not by the end", func(t *testing.T) {
		t.Parallel()
		down, release := make(chan struct{}), make(chan struct{})
		c, p, _ := connected(t, Options{Version: packet.V311, Reconnect: func(int, error) (time.Duration, bool) {
			close(down)
			<-release
			return 0, false
		}}, connect4, connack4)
		p.nc.Close()
		<-down
		errs := make(chan error, 1)
		go func() { errs <- c.Ping(t.Context()) }()
		locked(t, c, func() bool { return len(c.waiters.windowWaiters) == 1 })
		close(release)
		if err := <-errs; !errors.Is(err, ErrNotSent) {
			t.Errorf("got %v, want ErrNotSent", err)
		}
		<-c.Done()
	})
	t.Run("not by that of an earlier PINGREQ", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ps := newPipes()
			clients := make(chan *Client, 1)
			go func() {
				c, err := connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: time.Second})
				if err != nil {
					t.Error(err)
				}
				clients <- c
			}()
			p := &peer{t, <-ps.conns}
			p.expect("10 0d 0004 4d515454 04 02 0001 0001 61")
			time.Sleep(1200 * time.Millisecond) // a CONNACK slower than the keep alive
			p.send(connack4)
			c := <-clients
			p.expect("c0 00")
			go func() { _ = c.Send(t.Context(), &Message{Topic: "t"}, 0) }()
			p.expect("30 03 0001 74")
			errs := make(chan error, 1)
			go func() { errs <- c.Flush(t.Context()) }()
			p.expect("c0 00")
			p.send("d0 00") // answers the first PINGREQ
			synctest.Wait()
			if len(errs) > 0 {
				t.Error("Flush returned although its PINGREQ has no answer")
			}
			p.send("d0 00")
			if err := <-errs; err != nil {
				t.Error(err)
			}
			go c.Abort()
			p.expectEnd()
			<-c.Done()
		})
	})
}

// No context interrupts a write, so a call with a context never writes what may
// block.
func TestCallsEndWithTheirContextThoughTheServerDoesNotRead(t *testing.T) {
	t.Parallel()
	for _, qos := range []packet.QoS{0, 1} {
		c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // a busy machine needs a while for 20 MiB
		within(t, "Publish", func() {
			err := c.Publish(ctx, &Message{Topic: "t", QoS: qos, Payload: make([]byte, 20<<20)})
			if qos > 0 && !errors.Is(err, ErrKept) {
				t.Errorf("QoS %d: got %v, want ErrKept", qos, err)
			}
		})
		cancel()
		p.nc.Close()
		c.Abort()
	}
}

func TestCloseEndsWithItsContextThoughTheServerDoesNotRead(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, name := range []string{"TCP", "TLS"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial, accept := tcpPair(t)
			if name == "TLS" {
				dial, accept = overTLS(certs, dial, accept)
			}
			c, p := connectedOver(t, dial, accept, Options{Version: packet.V311}, connect4, connack4)
			if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1, Payload: make([]byte, 20<<20)}, 1); err != nil {
				t.Fatal(err)
			}
			locked(t, c, func() bool { return c.out.writing })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			within(t, "Close", func() {
				if err := c.Close(ctx); !errors.Is(err, ErrInDoubt) {
					t.Errorf("got %v, want ErrInDoubt", err)
				}
			})
			p.nc.Close()
		})
	}
}

func TestASecondCloseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	first := make(chan error, 1)
	go func() { first <- c.Close(context.Background()) }()
	p.expect(disconn)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	p.nc.Close()
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// In the bubble, a goroutine that spins would stop the clock.
func TestTheWriterRestsWhileTheEndWaitsForADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPipes()
		dials := 0
		dialing := make(chan struct{})
		dial := func(ctx context.Context) (net.Conn, error) {
			if dials++; dials == 2 {
				close(dialing)
				time.Sleep(2 * time.Second) // slow to notice its context
				return nil, errors.New("no")
			}
			return ps.dial(ctx)
		}
		clients := make(chan *Client, 1)
		go func() {
			c, err := connectOver(t.Context(), dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive, Reconnect: atOnce})
			if err != nil {
				t.Error(err)
			}
			clients <- c
		}()
		p := &peer{t, <-ps.conns}
		p.expect(connect4)
		p.send(connack4)
		c := <-clients
		p.nc.Close()
		<-dialing
		c.Abort()
	})
}

func TestWaitersDoNotPileUp(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: 1}, connect4, connack4)
	if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		_ = c.Send(ctx, &Message{Topic: "t", QoS: 1}, 1)
		_ = c.Flush(ctx)
		_, _ = c.Receive(ctx)
	}
	c.mu.Lock()
	if n := len(c.waiters.all); n > 4 {
		t.Errorf("%d waiters for no call", n)
	}
	c.mu.Unlock()
	p.nc.Close()
	c.Abort()
}

func TestQoS0DoesNotWaitForTheWindow(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: 1}, connect4, connack4)
	p.nc.SetReadDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, p.nc) }() // reads everything, acknowledges nothing
	if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 1); err != nil {
		t.Fatal(err)
	}
	blocked, cancel := context.WithCancel(t.Context())
	window := make(chan error, 1)
	go func() { window <- c.Send(blocked, &Message{Topic: "t", QoS: 1}, 1) }() // and waits
	within(t, "QoS 0", func() {
		for range 200 {
			if err := c.Send(t.Context(), &Message{Topic: "t", Payload: make([]byte, 100<<10)}, 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	cancel()
	if err := <-window; !errors.Is(err, ErrNotSent) {
		t.Errorf("QoS 1: got %v, want ErrNotSent", err)
	}
	c.Abort()
}

func TestRequestsThatWereNeverSentSaySo(t *testing.T) {
	t.Parallel()
	down := make(chan struct{}, 1)
	c, p, _ := connected(t, Options{Version: packet.V311, Reconnect: func(int, error) (time.Duration, bool) {
		down <- struct{}{}
		return time.Hour, true
	}}, connect4, connack4)
	p.nc.Close()
	<-down
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Subscribe(ctx, Subscription{Filter: "a"}); !errors.Is(err, ErrNotSent) {
		t.Errorf("Subscribe: %v, want ErrNotSent", err)
	}
	if _, err := c.Unsubscribe(ctx, "a"); !errors.Is(err, ErrNotSent) {
		t.Errorf("Unsubscribe: %v, want ErrNotSent", err)
	}
	if err := c.Ping(ctx); !errors.Is(err, ErrNotSent) {
		t.Errorf("Ping: %v, want ErrNotSent", err)
	}
	c.Abort()
}

// ErrKept means that the message is in a journal; without one it is lost with
// its client.
func TestCloseKeepsNothingWithoutAJournal(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, Session: Session{Expiry: time.Hour}}, connect4, connack4)
	if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, 1); err != nil {
		t.Fatal(err)
	}
	p.expect("32 05 0001 74 0001")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); errors.Is(err, ErrKept) || !errors.Is(err, ErrInDoubt) {
		t.Errorf("got %v, want ErrInDoubt", err)
	}
	p.nc.Close()
}

// subscribed makes a subscription that the server grants.
func subscribed(t *testing.T, c *Client, p *peer, wire, granted string, subs ...Subscription) {
	t.Helper()
	errs := make(chan error, 1)
	go func() {
		_, err := c.Subscribe(t.Context(), subs...)
		errs <- err
	}()
	p.expect(wire)
	p.send(granted)
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptionsThatCannotBeRenewedAreReported(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 10)
	c, p, accept := connected(t, Options{Version: packet.V5, Reconnect: atOnce, OnEvent: func(e Event) {
		if e.Kind == EventRenewalRefused {
			events <- e
		}
	}}, connect5, connack5)
	subscribed(t, c, p, "82 11 0001 00 0001 61 00 0003 622f2b 00 0001 63 00", "90 06 0001 00 000000",
		Subscription{Filter: "a"}, Subscription{Filter: "b/+"}, Subscription{Filter: "c"})
	p.nc.Close()
	p = accept()
	p.expect(connect5)
	p.send("20 05 00 00 02 28 00 (no wildcard subscriptions any more)")
	p.expect("82 07 0002 00 0001 61 00  82 07 0003 00 0001 63 00")
	if e := <-events; e.Err == nil || !errors.Is(e.Err, ErrNotSent) {
		t.Errorf("event %+v", e)
	}
	p.send("90 04 0002 00 00  90 04 0003 00 00")
	closed(t, c, p)
}

func TestUnsubscribingPartlyKeepsTheRest(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V5, Reconnect: atOnce}, connect5, connack5)
	subscribed(t, c, p, "82 0b 0001 00 0001 61 00 0001 62 00", "90 05 0001 00 0000", Subscription{Filter: "a"}, Subscription{Filter: "b"})
	errs := make(chan error, 1)
	go func() {
		_, err := c.Unsubscribe(t.Context(), "a", "b")
		errs <- err
	}()
	p.expect("a2 09 0002 00 0001 61 0001 62")
	p.send("b0 05 0002 00 87 00") // a: not authorized, b: success
	if err := <-errs; !errors.Is(err, packet.NotAuthorized) {
		t.Errorf("got %v, want not authorized", err)
	}
	p.nc.Close()
	p = accept()
	p.expect(connect5)
	p.send(connack5)
	p.expect("82 07 0003 00 0001 61 00") // only a
	p.send("90 04 0003 00 00")
	closed(t, c, p)
}

// The connection is lost right after SUBACK, before the caller runs again.
func TestASubscriptionIsRenewedHoweverSoonTheLossComes(t *testing.T) {
	t.Parallel()
	for round := range 200 {
		var dials atomic.Int32
		renewed := make(chan bool, 1)
		dial := func(context.Context) (net.Conn, error) {
			a, b := net.Pipe()
			k := dials.Add(1)
			go func() {
				defer b.Close()
				buf := make([]byte, 200)
				_, _ = b.Read(buf)
				_, _ = b.Write([]byte{0x20, 2, 0, 0})
				switch k {
				case 1:
					_, _ = b.Read(buf)
					_, _ = b.Write([]byte{0x90, 3, 0, 1, 0})
				case 2:
					_ = b.SetReadDeadline(time.Now().Add(10 * time.Second))
					n, _ := b.Read(buf)
					renewed <- n > 0 && buf[0] == 0x82
				}
			}()
			return a, nil
		}
		c, err := connectOver(t.Context(), dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive,
			Reconnect: func(int, error) (time.Duration, bool) { return 0, dials.Load() < 2 }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Subscribe(t.Context(), Subscription{Filter: "a"})
		if err == nil && !<-renewed {
			t.Fatalf("round %d: it was not renewed", round)
		}
		c.Abort()
	}
}

// A reason that is about the server does not blame a message.
func TestAServerThatShutsDownBlamesNoMessage(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V5, Session: Session{Resume: true}, Reconnect: atOnce}, "10 0e 0004 4d515454 05 00 0000 00 0001 61", connack5)
	errs := make(chan error, 1)
	go func() { errs <- c.Publish(t.Context(), &Message{Topic: "t", QoS: 1}) }()
	p.expect("32 06 0001 74 0001 00")
	for range 5 {
		p.send("e0 02 8b 00")
		p.nc.Close()
		p = accept()
		p.expect("10 0e 0004 4d515454 05 00 0000 00 0001 61")
		p.send("20 03 01 00 00")
		p.expect("3a 06 0001 74 0001 00")
	}
	p.send("40 02 0001")
	if err := <-errs; err != nil {
		t.Error(err)
	}
	closed(t, c, p)
}

// mosquitto without a queue closes when a client before 5.0, to which it cannot
// announce its limit, has more than twenty messages in flight.
func TestAServerThatTakesNoMoreAtOnceGetsLess(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 10)
	c, p, accept := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce, OnEvent: func(e Event) {
		if e.Kind == EventNarrowed {
			events <- e
		}
	}}, connect4c, connack4)
	const n = 30
	for range n {
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 2}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		p.expect(fmt.Sprintf("34 05 0001 61 %04x", i+1))
	}
	p.nc.Close()
	p = accept()
	p.expect(connect4c)
	p.send(resumed4)
	if e := <-events; e.Count != 20 {
		t.Errorf("event %+v, want 20", e)
	}
	for i := range 20 {
		p.expect(fmt.Sprintf("3c 05 0001 61 %04x", i+1))
	}
	go func() { _ = c.Ping(t.Context()) }()
	p.expect("c0 00") // and no more
	p.send("d0 00")
	for i := range n {
		p.send(fmt.Sprintf("50 02 %04x", i+1))
		p.expect(fmt.Sprintf("62 02 %04x", i+1))
		p.send(fmt.Sprintf("70 02 %04x", i+1))
		if i+20 < n {
			p.expect(fmt.Sprintf("3c 05 0001 61 %04x", i+21))
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	closed(t, c, p)
}

// It shows MQTT-1.5.7-1.
func TestIllegalPropertiesAreNotSent(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	for _, props := range []string{"08 0001 23 (response topic #)", "0b 03 (subscription identifier)", "01 02 (payload format 2)", "01", "7f 00",
		"08 0003 eda080 (response topic that is no string)", "03 0001 00 (content type with U+0000)",
		"26 0001 00 0001 61 (name of a user property with U+0000)", "26 0001 61 0001 ff (value that is no string)"} {
		err := c.Publish(t.Context(), &Message{Topic: "a", Properties: packet.Properties(unhex(t, props))})
		if !errors.Is(err, ErrNotSent) {
			t.Errorf("%s: got %v, want ErrNotSent", props, err)
		}
	}
	closed(t, c, p)
}

// fullDisk is a journal that cannot be written.
type fullDisk struct{ journal.Memory }

func (*fullDisk) Sync() error { return errors.New("no space left on device") }

// Reconnecting does not repair a full disk: the client ends with that error.
func TestAJournalThatFailsEndsTheClient(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Journal: &fullDisk{}, Reconnect: atOnce}, connect4c, connack4)
	err := c.Publish(t.Context(), &Message{Topic: "t", QoS: 1})
	<-c.Done()
	if !errors.Is(c.Err(), ErrJournal) || !errors.Is(err, ErrJournal) {
		t.Errorf("Publish: %v; ended with %v; want the journal's error", err, c.Err())
	}
	p.expectEnd()
}

// A message that cannot be stored is not acknowledged, and the connection on
// which it came is closed (MQTT-4.8.0-2).
func TestAnArrivalThatCannotBeKeptEndsTheConnection(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Journal: &fullDisk{}, Reconnect: atOnce}, connect4c, connack4)
	p.send("34 05 0001 74 0007 (PUBLISH, QoS 2)")
	b, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Ack(1)
	p.expectEnd()
	<-c.Done()
	if !errors.Is(c.Err(), ErrJournal) {
		t.Errorf("ended with %v, want the journal's error", c.Err())
	}
}

// The close_notify of TLS would reset the connection if the server had already
// closed it. A server that does not close gets it nevertheless.
func TestTheEndOfTLSWaitsForTheServers(t *testing.T) {
	t.Parallel()
	dial, accept := tcpPair(t)
	dial, accept = overTLS(certtest.New(t), dial, accept)
	c, p := connectedOver(t, dial, accept, Options{Version: packet.V311}, connect4, connack4)
	errs := make(chan error, 1)
	go func() { errs <- c.Close(t.Context()) }()
	p.expect(disconn)
	p.nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := p.nc.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after DISCONNECT: %v, want nothing for a while", err)
	}
	p.expectEnd()
	p.nc.Close()
	if err := <-errs; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A message at QoS 0 whose connection was lost may be lost as well, however
// early that happened, and Close reports it.
func TestCloseReportsALossBeforeIt(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	if err := c.Publish(t.Context(), &Message{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	p.expect("30 03 0001 74")
	_ = p.nc.(*net.TCPConn).SetLinger(0)
	p.nc.Close()
	<-c.Done()
	if err := c.Close(t.Context()); !errors.Is(err, ErrLost) || !errors.Is(err, ErrInDoubt) {
		t.Errorf("got %v, want the loss", err)
	}
}
