package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Complaints of users of other MQTT libraries, with a test for each. Those
// elsewhere in this package:
//
//	publishing in a handler deadlocks      TestPublishInsideTheReceivingLoopDoesNotDeadlock
//	both sides wait to write               TestAPeerThatWritesEverythingBeforeItReads
//	resent messages out of order           TestResumeSendsAgainInOrderWithDup
//	one message ends every connection
//	                                       TestAnUndeliverableMessageIsFoundAndTheRestArrives
//	subscriptions lost after a reconnect   TestALostSessionIsPublishedAgain
//	permanent refusals retried             TestOnlyRefusalsArePermanent
//	a huge allocation from a tiny input    TestAClaimedLengthAllocatesNothing
//	allocations per message                TestSteadyStateAllocatesNothing

// atOnce reconnects without a pause.
func atOnce(int, error) (time.Duration, bool) { return 0, true }

// within fails the test if f does not return within the timeout.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute): // generous: the machine may be busy
		buf := make([]byte, 16<<20)
		t.Fatalf("%s hangs:\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// piped returns a client over a pipe, for tests in a bubble, and the server's
// end.
func piped(t *testing.T, keepAlive time.Duration) (*Client, net.Conn) {
	t.Helper()
	ps := newPipes()
	accepted := make(chan net.Conn, 1)
	go func() {
		nc := <-ps.conns
		_, _ = io.ReadFull(nc, make([]byte, 15))
		_, _ = nc.Write(unhex(t, connack4))
		accepted <- nc
	}()
	c, err := connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: keepAlive})
	if err != nil {
		t.Fatal(err)
	}
	return c, <-accepted
}

// paho.mqtt.golang #139: like publishing in a handler, but subscribing.
func TestSubscribeInsideTheReceivingLoopDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	go func() {
		p.send(strings.Repeat("30 04 0001 61 33 ", 50_000))
		p.expect("82 06 0001 0001 62 01")
		p.send("90 03 0001 01")
	}()
	within(t, "subscribing", func() {
		n := 0
		for _, err := range c.Messages(t.Context()) {
			if err != nil {
				t.Error(err)
				return
			}
			if n++; n == 1 {
				if _, err := c.Subscribe(t.Context(), Subscription{Filter: "b", QoS: 1}); err != nil {
					t.Error(err)
				}
			}
			if n == 50_000 {
				return
			}
		}
	})
	closed(t, c, p)
}

// paho.mqtt.golang #509, #512: reader, writer and callers wait for each other
// in a cycle when the connection drops.
func TestNoCallHangsWhenTheConnectionDropsUnderLoad(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: 8}, connect4, connack4)
		go func() { _, _ = p.nc.Write(bytes.Repeat(unhex(t, "32 06 0001 61 0007 31"), 20_000)) }()
		var calls sync.WaitGroup
		began := make(chan struct{}, 16)
		call := func(f func() error) {
			calls.Go(func() {
				began <- struct{}{}
				for f() == nil && c.Err() == nil {
				}
			})
		}
		for range 4 {
			call(func() error { return c.Publish(t.Context(), &Message{Topic: "a", QoS: 1}) })
			call(func() error { return c.Send(t.Context(), &Message{Topic: "a"}, 0) })
		}
		call(func() error { return c.Flush(t.Context()) })
		call(func() error { return c.Ping(t.Context()) })
		call(func() error { _, err := c.Subscribe(t.Context(), Subscription{Filter: "b"}); return err })
		call(func() error {
			b, err := c.Receive(t.Context())
			if err != nil {
				return err
			}
			b.Ack(len(b.Messages))
			b.Release()
			_ = c.Publish(t.Context(), &Message{Topic: "a", QoS: 2})
			return nil
		})
		for range cap(began) - 4 {
			<-began
		}
		if round%2 == 0 { // in the middle of the traffic
			if _, err := io.ReadFull(p.nc, make([]byte, 100)); err != nil {
				t.Error(err)
			}
		}
		p.nc.Close()
		within(t, fmt.Sprintf("round %d: a call", round), func() {
			calls.Wait()
			<-c.Done()
		})
	}
}

// paho.mqtt.golang #208, #453 and five more: "pingresp not received" because
// the application was busy, or although data was received.
func TestABusyApplicationIsNotADeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := piped(t, 10*time.Second)
		pings := make(chan int, 1)
		answers := make(chan struct{}, 1024)
		go func() {
			n, b := 0, make([]byte, 2)
			for {
				if _, err := io.ReadFull(nc, b); err != nil || b[0] != 0xc0 {
					pings <- n
					close(answers)
					return
				}
				n++
				answers <- struct{}{}
			}
		}()
		go func() { // 50 batches, then the answers to all pings
			for range 50 {
				_, _ = nc.Write(unhex(t, "30 04 0001 61 33"))
			}
			for range answers {
				_, _ = nc.Write(unhex(t, "d0 00"))
			}
		}()
		time.Sleep(10 * time.Minute) // the application is busy elsewhere
		if err := c.Err(); err != nil {
			t.Fatalf("given up: %v", err)
		}
		for got := 0; got < 50; {
			b, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got += len(b.Messages)
			b.Release()
		}
		time.Sleep(time.Minute) // and the connection stays up
		if err := c.Err(); err != nil {
			t.Fatalf("given up after the messages: %v", err)
		}
		c.Abort()
		nc.Close()
		// The server needs the pings: without a packet for one and a half times
		// the keep alive it takes the client for dead.
		if n := <-pings; n < 60 {
			t.Errorf("%d PINGREQ in eleven minutes, want one in every ten seconds", n)
		}
	})
}

// paho.mqtt.golang #723, paho.golang #257: a PINGREQ queued after a stuck write
// cannot detect a dead peer; the write itself must.
func TestAStuckWriteEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := piped(t, 40*time.Second)
		defer nc.Close()
		start := time.Now()
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1}, 0); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if d := time.Since(start); d < 39*time.Second || d > 41*time.Second {
			t.Errorf("gave up after %v, want the keep alive, 40 s", d)
		}
		if err := c.Err(); !errors.Is(err, ErrInDoubt) || !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "has not read for 40s") {
			t.Errorf("ended with %v", err)
		}
	})
}

// paho.mqtt.golang #362; paho.golang resends before it reads: new messages
// overtake the resent ones, or nothing is read during the resend.
func TestNewMessagesQueueBehindTheResentAndReadingGoesOn(t *testing.T) {
	t.Parallel()
	const old, size = 4000, 1 << 10 // in total more than two socket buffers
	opt := Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce, MaxInflight: 2 * old, MaxHeld: 64 << 20}
	c, p, accept := connected(t, opt, connect4c, connack4)
	payload := make([]byte, size)
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			payload[0], payload[1] = byte(i>>8), byte(i)
			if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1, Payload: payload}, 0); err != nil {
				t.Error(err)
				return
			}
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		publish(0, old)
	}()
	read := func(from, to int, first byte) {
		t.Helper()
		b := make([]byte, 3+3+2+size)
		p.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		for i := from; i < to; i++ {
			if _, err := io.ReadFull(p.nc, b); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			if got := int(b[8])<<8 | int(b[9]); b[0] != first || got != i {
				t.Fatalf("message %d is %d, first byte %x, want %x", i, got, b[0], first)
			}
		}
	}
	read(0, old, 0x32)
	<-sent
	p.send("40 02 0001") // the server reads them, slowly
	waitFor(t, func() bool { return c.Stats().Acked == 1 })
	p.nc.Close()

	p = accept()
	p.expect(connect4c)
	p.send(resumed4)
	waitFor(t, func() bool { return c.Stats().Reconnects == 1 })
	go publish(old, old+10)
	// The server writes a megabyte before it reads what is resent.
	flood := bytes.Repeat(unhex(t, "30 04 0001 61 33"), 200_000)
	p.nc.SetWriteDeadline(time.Now().Add(20 * time.Second))
	go func() {
		for range 200_000 {
			b, err := c.Receive(t.Context())
			if err != nil {
				return
			}
			b.Release()
		}
	}()
	if _, err := p.nc.Write(flood); err != nil {
		t.Fatalf("the client does not read while it resends: %v", err)
	}
	read(1, old, 0x3a)
	read(old, old+10, 0x32)
	c.Abort()
}

// paho.mqtt.golang #98, #390, #563, #598, #613: a call never returns, or
// returns success before the delivery.
func TestEveryPublishHasOneOutcome(t *testing.T) {
	t.Parallel()
	const callers, window = 64, 32
	c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: window}, connect4, connack4)
	outcomes := make(chan error, callers)
	for range callers {
		go func() { outcomes <- c.Publish(t.Context(), &Message{Topic: "a", QoS: 1}) }()
	}
	for i := range window {
		p.expect(fmt.Sprintf("32 05 0001 61 %04x", i+1))
	}
	if n := len(outcomes); n > 0 {
		t.Fatalf("%d calls returned before any acknowledgement", n)
	}
	for i := range window / 2 { // every other one
		p.send(fmt.Sprintf("40 02 %04x", 2*i+1))
	}
	for i := range window / 2 {
		p.expect(fmt.Sprintf("32 05 0001 61 %04x", window+i+1))
	}
	p.nc.Close()
	var done, doubt, unsent int
	within(t, "a call", func() {
		for range callers {
			switch err := <-outcomes; {
			case err == nil:
				done++
			case errors.Is(err, ErrInDoubt):
				doubt++
			case errors.Is(err, ErrNotSent):
				unsent++
			default:
				t.Errorf("got %v", err)
			}
		}
	})
	if done != 16 || doubt != 32 || unsent != 16 {
		t.Errorf("%d acknowledged, %d in doubt, %d not sent; want 16, 32 and 16", done, doubt, unsent)
	}
}

// paho.mqtt.golang #449, #630: QoS 0 is reported as sent while there is no
// connection.
func TestQoS0WhileDownWaitsOrSaysSo(t *testing.T) {
	t.Parallel()
	inner, accept := tcpPair(t)
	open := make(chan struct{}, 2)
	open <- struct{}{}
	dial := func(ctx context.Context) (net.Conn, error) {
		select {
		case <-open:
			return inner(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	down := make(chan struct{}, 1)
	opt := Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive, Reconnect: atOnce, OnEvent: func(e Event) {
		if e.Kind == EventDown {
			down <- struct{}{}
		}
	}}
	clients := make(chan *Client, 1)
	go func() {
		c, err := connectOver(t.Context(), dial, &opt)
		if err != nil {
			t.Error(err)
		}
		clients <- c
	}()
	p := accept()
	p.expect(connect4)
	p.send(connack4)
	c := <-clients
	p.nc.Close()
	<-down
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Publish(ctx, &Message{Topic: "x"}); !errors.Is(err, ErrNotSent) {
		t.Errorf("a call that could not wait: got %v, want ErrNotSent", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- c.Publish(t.Context(), &Message{Topic: "b"}) }()
	open <- struct{}{}
	p = accept()
	p.expect(connect4)
	p.send(connack4)
	p.expect("30 03 0001 62")
	if err := <-waits; err != nil {
		t.Errorf("a call that waited: %v", err)
	}
	closed(t, c, p)
}

// paho.mqtt.golang #89, paho.mqtt.python #597: the last messages are lost at
// exit, above all when the socket is closed with unread input, which resets it.
func TestNothingIsLostAtExit(t *testing.T) {
	t.Parallel()
	const n = 20_000
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	// Input that is never received.
	go func() { _, _ = p.nc.Write(bytes.Repeat(unhex(t, "30 04 0001 61 33"), 100_000)) }()
	gone := make(chan error, 1)
	go func() {
		for range n {
			if err := c.Send(t.Context(), &Message{Topic: "a", Payload: []byte("0123456789")}, 0); err != nil {
				gone <- err
				return
			}
		}
		gone <- c.Close(t.Context())
	}()
	p.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, err := io.ReadAll(p.nc)
	p.nc.Close()
	if want := append(bytes.Repeat(unhex(t, "30 0d 0001 61 30313233343536373839"), n), 0xe0, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the server got %d bytes (%v), want %d", len(got), err, len(want))
	}
	if err := <-gone; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// The server's last chance to say why it does not accept a message at QoS 0.
func TestCloseReportsWhyTheServerDisconnects(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	if err := c.Publish(t.Context(), &Message{Topic: "a"}); err != nil {
		t.Fatal(err)
	}
	p.expect("30 04 0001 61 00")
	errs := make(chan error, 1)
	go func() { errs <- c.Close(t.Context()) }()
	p.expect("e0 00")
	p.send("30 04 0001 61 00  e0 02 87 00")
	p.nc.Close()
	if err := <-errs; !errors.Is(err, packet.NotAuthorized) {
		t.Errorf("Close: got %v, want not authorized", err)
	}
	if st := c.Stats(); st.Unwritten != 1 {
		t.Errorf("stats %+v, want one message that may be lost", st)
	}
}

// paho.golang #230, paho.mqtt.golang #589: a server that accepts and then
// closes is hammered, because every CONNACK resets the backoff.
func TestAServerThatAcceptsAndClosesIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPipes()
		var attempts []int
		opt := Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive, Reconnect: func(attempt int, _ error) (time.Duration, bool) {
			attempts = append(attempts, attempt)
			return time.Second, len(attempts) < 8
		}}
		go func() {
			for i := range 8 {
				nc := <-ps.conns
				_, _ = io.ReadFull(nc, make([]byte, 15))
				_, _ = nc.Write(unhex(t, connack4))
				hold := time.Second
				if i == 4 {
					hold = time.Minute
				}
				time.Sleep(hold)
				nc.Close()
			}
		}()
		c, err := connectOver(t.Context(), ps.dial, &opt)
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if got, want := fmt.Sprint(attempts), "[1 2 3 4 1 1 2 3]"; got != want {
			t.Errorf("attempts %v, want %v: only a connection that lasted starts over", got, want)
		}
	})
}

// paho.golang #179, #330, #341: after a resume with more unacknowledged
// messages than the server takes at once, the limit is gone.
func TestTheReceiveMaximumHoldsAfterAResume(t *testing.T) {
	t.Parallel()
	opt := Options{Version: packet.V5, Session: Session{Resume: true}, Reconnect: atOnce}
	c, p, accept := connected(t, opt, "10 0e 0004 4d515454 05 00 0000 00 0001 61", connack5)
	for i := range 5 {
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1, Payload: []byte{byte('0' + i)}}, 0); err != nil {
			t.Fatal(err)
		}
		p.expect(fmt.Sprintf("32 07 0001 61 %04x 00 %02x", i+1, '0'+i))
	}
	p.nc.Close()
	p = accept()
	p.expect("10 0e 0004 4d515454 05 00 0000 00 0001 61")
	p.send("20 06 01 00 03 21 0002 (receive maximum 2)")
	p.expect("3a 07 0001 61 0001 00 30  3a 07 0001 61 0002 00 31")
	waitFor(t, func() bool { return c.Stats().Reconnects == 1 })
	if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1, Payload: []byte("5")}, 0); err != nil {
		t.Error(err)
	}
	go func() {
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	p.expect("c0 00") // and no third PUBLISH before it
	p.send("d0 00  40 02 0002")
	p.expect("3a 07 0001 61 0003 00 32")
	p.send("40 02 0001  40 02 0003")
	p.expect("3a 07 0001 61 0004 00 33  3a 07 0001 61 0005 00 34")
	p.send("40 02 0005  40 02 0004")
	p.expect("32 07 0001 61 0006 00 35")
	p.send("40 02 0006")
	within(t, fmt.Sprintf("Flush at %+v", c.Stats()), func() {
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
	closed(t, c, p)
}

// rumqtt #1014, #1056, #1057: an acknowledgement that is out of order, comes
// twice or matches nothing stops the client or panics.
func TestOddAcknowledgementsDoNoHarm(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	for i := range 4 {
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: packet.QoS(1 + i%2)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("32 05 0001 61 0001  34 05 0001 61 0002  32 05 0001 61 0003  34 05 0001 61 0004")
	p.send("40 02 0003  50 02 0004  40 02 0003  40 02 0063  70 02 0064  50 02 0002  50 02 0004")
	p.expect("62 02 0004  62 02 0002  62 02 0004")
	p.send("70 02 0004  70 02 0002  70 02 0002  40 02 0001")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if st := c.Stats(); st.Acked != 4 || st.Unfinished != 0 {
		t.Errorf("stats %+v, want 4 acknowledged", st)
	}
	closed(t, c, p)
}

// paho.mqtt.golang #19, #145, #280, #488, #536, #675: closing twice, or while
// calls are in progress, panics.
func TestClosingFromEverywhereIsSafe(t *testing.T) {
	t.Parallel()
	for round := range 30 {
		c, p, _ := connected(t, Options{Version: packet.V311, Reconnect: atOnce}, connect4, connack4)
		go func() { _, _ = io.Copy(io.Discard, p.nc); p.nc.Close() }()
		var calls sync.WaitGroup
		for i := range 4 {
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				_ = c.Publish(ctx, &Message{Topic: "a", QoS: packet.QoS(i % 3)})
			})
			calls.Go(func() {
				if (round+i)%5 == 0 {
					c.Abort()
				} else {
					ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
					defer cancel()
					_ = c.Close(ctx)
				}
			})
			calls.Go(func() {
				for {
					if _, err := c.Receive(t.Context()); err != nil {
						return
					}
				}
			})
		}
		within(t, "closing", func() {
			calls.Wait()
			<-c.Done()
		})
		if err := c.Publish(t.Context(), &Message{Topic: "a"}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
			t.Errorf("Publish afterwards: %v", err)
		}
		if _, err := c.Receive(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Receive afterwards: %v", err)
		}
	}
}

// paho.mqtt.golang #128, #467, #600, #617: every reconnect leaks goroutines.
// (TestMain finds those that Close leaks.)
func TestReconnectsLeaveNoGoroutines(t *testing.T) { // not parallel: it counts goroutines
	c, p, accept := connected(t, Options{Version: packet.V311, Reconnect: atOnce, KeepAlive: time.Hour}, "10 0d 0004 4d515454 04 02 0e10 0001 61", connack4)
	before := runtime.NumGoroutine()
	for i := range 50 {
		p.nc.Close()
		p = accept()
		p.expect("10 0d 0004 4d515454 04 02 0e10 0001 61")
		p.send(connack4)
		waitFor(t, func() bool { return c.Stats().Reconnects == uint64(i+1) })
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
	closed(t, c, p)
}

// MQTT.js #397, #607, #1121: messages published while there is no connection
// pile up without limit.
func TestWhatIsHeldWhileDownIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it      string
		opt     Options
		payload int
		want    int
	}{
		{"by number", Options{MaxInflight: 10}, 1, 10},
		{"by bytes", Options{MaxHeld: 64 << 10}, 10_000, 6},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			stop := make(chan struct{})
			opt := c.opt
			opt.Version, opt.Session.Resume = packet.V311, true
			opt.Reconnect = func(int, error) (time.Duration, bool) { <-stop; return 0, false }
			client, p, _ := connected(t, opt, connect4c, connack4)
			p.nc.Close()
			n := 0
			for ; n < 1000; n++ {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				err := client.Send(ctx, &Message{Topic: "a", QoS: 1, Payload: make([]byte, c.payload)}, 0)
				cancel()
				if err != nil {
					if !errors.Is(err, ErrNotSent) {
						t.Errorf("got %v, want ErrNotSent", err)
					}
					break
				}
			}
			if n != c.want {
				t.Errorf("%d messages are held, want %d", n, c.want)
			}
			close(stop)
			<-client.Done()
			if st := client.Stats(); st.Unfinished != n {
				t.Errorf("stats %+v, want %d unfinished", st, n)
			}
		})
	}
}

// paho.golang uses 529 KB for an idle client: everything is sized for the worst
// case. Allocations of the runtime during the test only add to the result.
func TestAnIdleClientIsSmall(t *testing.T) { // not parallel: it measures memory
	if runtime.GOOS == "windows" {
		t.Skip("without writes of its own, a connection holds more")
	}
	const limit = 20 << 10
	got := idleClient(t)
	for range 4 {
		if got > limit {
			got = min(got, idleClient(t))
		}
	}
	if got > limit {
		t.Errorf("%d bytes for an idle client, want at most %d", got, limit)
	}
}

// idleClient returns how many bytes each of many idle clients uses.
func idleClient(t *testing.T) int {
	const n = 200
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse)
	}
	before := heap()
	clients, conns := make([]*Client, n), make([]net.Conn, n)
	for i := range clients {
		client, server := net.Pipe()
		go func() {
			_, _ = io.ReadFull(server, make([]byte, 15))
			_, _ = server.Write([]byte{0x20, 2, 0, 0})
		}()
		var err error
		clients[i], err = connectOver(t.Context(), func(context.Context) (net.Conn, error) { return client, nil },
			&Options{Version: packet.V311, ClientID: "a", KeepAlive: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = server
	}
	took := heap() - before
	for i, c := range clients {
		c.Abort()
		conns[i].Close()
		<-c.Done()
	}
	return took / n
}

// countingConn checks that writes do not overlap, and counts them.
type countingConn struct {
	net.Conn
	t      *testing.T
	busy   atomic.Bool
	writes atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	if c.busy.Swap(true) {
		c.t.Error("two writes at once")
	}
	defer c.busy.Store(false)
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// paho.golang #81: over TLS the parts of a packet are several writes, which
// interleave. #320, #328 and paho.mqtt.golang #391: each packet is a write.
func TestOneWriterWritesManyPacketsAtOnce(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 5000
	inner, accept := tcpPair(t)
	var conn *countingConn
	dial := func(ctx context.Context) (net.Conn, error) {
		nc, err := inner(ctx)
		conn = &countingConn{Conn: nc, t: t}
		return conn, err
	}
	got := make(chan map[string]int, 1)
	go func() {
		p := accept()
		p.expect(connect4)
		p.send(connack4)
		p.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		var all []byte
		for chunk := make([]byte, 1<<16); !bytes.HasSuffix(all, unhex(t, disconn)); {
			n, err := p.nc.Read(chunk)
			if err != nil {
				t.Error(err)
				break
			}
			all = append(all, chunk[:n]...)
		}
		p.nc.Close() // after DISCONNECT; Close waits for this
		n := map[string]int{}
		for len(all) > 2 {
			end := 2 + int(all[1])
			n[string(all[:end])]++
			all = all[end:]
		}
		got <- n
	}()
	c, err := connectOver(t.Context(), dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive})
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for i := range senders {
		calls.Go(func() {
			for range each {
				if err := c.Send(t.Context(), &Message{Topic: "a", Payload: []byte{byte('0' + i), 'x'}}, 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	calls.Wait()
	_ = c.Close(t.Context())
	n := <-got
	for i := range senders {
		if got := n[string(unhex(t, fmt.Sprintf("30 05 0001 61 %02x 78", '0'+i)))]; got != each {
			t.Errorf("sender %d: %d whole packets arrived, want %d", i, got, each)
		}
	}
	if w := conn.writes.Load(); w > senders*each/20 {
		t.Errorf("%d writes for %d packets", w, senders*each)
	}
}

// paho.mqtt.golang SetOrderMatters, paho.golang #52: messages reach the
// application in a different order than they arrived.
func TestMessagesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	const n = 60_000
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	go func() {
		var b []byte
		for i := range n { // QoS 0, 1 and 2 in turn
			if q := byte(i % 3); q == 0 {
				b = append(b, 0x30, 6, 0, 1, 'a')
			} else {
				id := i + 1
				b = append(b, 0x30|q<<1, 8, 0, 1, 'a', byte(id>>8), byte(id))
			}
			b = append(b, byte(i>>16), byte(i>>8), byte(i))
		}
		_, _ = p.nc.Write(b)
	}()
	go func() { _, _ = io.Copy(io.Discard, p.nc) }()
	i := 0
	for m, err := range c.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if got := int(m.Payload[0])<<16 | int(m.Payload[1])<<8 | int(m.Payload[2]); got != i {
			t.Fatalf("message %d came in place %d", got, i)
		}
		if i++; i == n {
			break
		}
	}
	c.Abort()
}
