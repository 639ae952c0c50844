package mqtt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

const (
	subscribeAll4 = "82 06 0001 0001 23 01 (filter #, QoS 1)"
	suback4       = "90 03 0001 01"
)

// serving calls Serve and returns the channel of its error.
func serving(ctx context.Context, x *Mux, c *Client) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- x.Serve(ctx, c) }()
	return errs
}

// served is a client that serves h for all topics, with its server.
func served(t *testing.T, x *Mux, h Handler) (*Client, *peer, <-chan error, context.CancelFunc) {
	t.Helper()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	x.Handle(Subscription{Filter: "#", QoS: 1}, h)
	errs := serving(ctx, x, c)
	p.expect(subscribeAll4)
	p.send(suback4)
	return c, p, errs, cancel
}

// publish1 returns PUBLISH packets at QoS 1 with identifiers from first on, one
// for each word: the topic is its first character, the payload the rest.
func publish1(first int, words string) string {
	var b strings.Builder
	for i, w := range strings.Fields(words) {
		fmt.Fprintf(&b, "32 %02x 0001 %02x %04x %x ", 4+len(w), w[0], first+i, w[1:])
	}
	return b.String()
}

// nothingSent checks that the client has sent nothing.
func nothingSent(t *testing.T, c *Client, p *peer) {
	t.Helper()
	go func() { _ = c.Ping(t.Context()) }()
	p.expect("c0 00")
	p.send("d0 00")
}

// gates let a test end handlers one by one.
type gates struct {
	begun chan string
	mu    sync.Mutex
	ends  map[string]chan error
}

func newGates() *gates {
	return &gates{begun: make(chan string, 100), ends: make(map[string]chan error)}
}

func (g *gates) of(word string) chan error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ends[word] == nil {
		g.ends[word] = make(chan error, 1)
	}
	return g.ends[word]
}

// handle waits at the gate of the message.
func (g *gates) handle(_ context.Context, m *Message) error {
	word := m.Topic + string(m.Payload)
	g.begun <- word
	return <-g.of(word)
}

// yielding is handle for a handler that obeys its context.
func (g *gates) yielding(ctx context.Context, m *Message) error {
	word := m.Topic + string(m.Payload)
	g.begun <- word
	select {
	case err := <-g.of(word):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits until the handlers of these messages have begun.
func (g *gates) await(t *testing.T, words string) {
	t.Helper()
	var got []string
	want := strings.Fields(words)
	for range want {
		select {
		case w := <-g.begun:
			got = append(got, w)
		case <-time.After(10 * time.Second):
			t.Fatalf("handlers of %v have begun, want %v", got, want)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Fatalf("handlers of %v have begun, want %v", got, want)
	}
}

func TestMuxCallsTheHandlersOfMatchingFiltersInOrderOfRegistration(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	var x Mux
	got := make(chan string, 20)
	for _, f := range []string{"+/b", "#", "a/#", "a/b", "$s/+", "$share/g/a/+"} {
		x.Handle(Subscription{Filter: f, QoS: 2}, func(_ context.Context, m *Message) error {
			got <- f
			return nil
		})
	}
	errs := serving(t.Context(), &x, c)
	p.expect(`82 2e 0001 0003 2b2f62 02 0001 23 02 0003 612f23 02 0003 612f62 02 0004 24732f2b 02
		000c 2473686172652f672f612f2b 02`)
	p.send("90 08 0001 02 02 02 02 02 02")
	for _, row := range []struct{ name, hex, want string }{
		{"it has its own filter", "0003 612f62", "+/b # a/# a/b $share/g/a/+"},
		{"it is the parent", "0001 61", "# a/#"},
		{"it begins with $", "0004 24732f62", "$s/+"},
		{"it is another", "0003 782f79", "#"},
	} {
		n := 2 + len(unhex(t, row.hex)) - 2
		p.send(fmt.Sprintf("30 %02x %s", n, row.hex))
		for _, want := range strings.Fields(row.want) {
			if f := <-got; f != want {
				t.Errorf("%s: the handler of %s, want %s", row.name, f, want)
			}
		}
	}
	closed(t, c, p)
	if err := <-errs; !errors.Is(err, ErrClosed) || len(got) > 0 {
		t.Errorf("%v, and %d more handlers", err, len(got))
	}
}

// It shows MQTT-4.6.0-2.
func TestMuxAcknowledgesInOrderOfReceipt(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, _ := served(t, &Mux{Concurrency: 4}, g.handle)
	p.send(publish1(1, "a1 b1") + "34 06 0001 63 0003 31 (c1 at QoS 2)  30 04 0001 64 31 (d1 at QoS 0)" + publish1(4, "a2"))
	g.await(t, "a1 b1 c1 d1")
	g.of("d1") <- nil
	g.of("c1") <- nil
	g.of("b1") <- nil
	nothingSent(t, c, p)
	g.of("a1") <- nil
	p.expect("40 02 0001  40 02 0002  50 02 0003")
	g.await(t, "a2")
	nothingSent(t, c, p)
	g.of("a2") <- nil
	p.expect("40 02 0004")
	closed(t, c, p)
	if err := <-errs; !errors.Is(err, ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

func TestMuxHandlesOneTopicInOrderAndOthersBesideIt(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, _ := served(t, &Mux{Concurrency: 2}, g.handle)
	p.send(publish1(1, "a1 a2 b1 c1"))
	g.await(t, "a1 b1") // a2 is older than b1, but its topic is busy
	g.of("b1") <- nil
	g.await(t, "c1")
	g.of("a1") <- nil
	p.expect("40 02 0001")
	g.await(t, "a2")
	g.of("c1") <- nil
	g.of("a2") <- nil
	p.expect("40 02 0002  40 02 0003  40 02 0004")
	closed(t, c, p)
	<-errs
}

func TestMuxHandlesAllTopicsInOrderByDefault(t *testing.T) {
	t.Parallel()
	var got []string
	c, p, errs, _ := served(t, &Mux{}, func(_ context.Context, m *Message) error {
		got = append(got, m.Topic+string(m.Payload)) // without a lock
		return nil
	})
	want := "a1 b1 a2 a3 c1 b2 d1 a4 b3"
	p.send(publish1(1, want))
	for i := range 9 {
		p.expect(fmt.Sprintf("40 02 %04x", i+1))
	}
	closed(t, c, p)
	<-errs
	if g := strings.Join(got, " "); g != want {
		t.Errorf("got %s, want %s", g, want)
	}
}

// The handler of one message fails while one before it runs and one after it is
// handled.
func TestMuxAcknowledgesNothingFromAFailedMessageOn(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, next := range []string{"Receive", "Messages", "Serve", "Close"} {
		t.Run("then "+next, func(t *testing.T) {
			t.Parallel()
			g := newGates()
			x := &Mux{Concurrency: 3}
			c, p, errs, _ := served(t, x, func(ctx context.Context, m *Message) error {
				err := g.handle(ctx, m)
				if m.Topic == "a" && string(m.Payload) == "1" {
					<-ctx.Done() // c1 has failed
				}
				return err
			})
			p.send(publish1(1, "a1 c1 b1 a2"))
			g.await(t, "a1 c1 b1")
			g.of("b1") <- nil
			g.of("c1") <- boom
			nothingSent(t, c, p)
			g.of("a1") <- nil // although its context is canceled
			p.expect("40 02 0001")
			err := <-errs
			if !errors.Is(err, boom) || !strings.Contains(err.Error(), `"c"`) {
				t.Errorf("Serve: %v, want the topic and the cause", err)
			}
			switch next {
			case "Receive":
				b, err := c.Receive(t.Context())
				if err != nil || len(b.Messages) != 2 || b.Messages[0].Topic != "c" || string(b.Messages[1].Payload) != "2" {
					t.Fatalf("got %+v, %v, want c1 and a2", b, err)
				}
				nothingSent(t, c, p)
				b.Ack(1)
				p.expect("40 02 0002  40 02 0003")
				b.Ack(2)
				b.Release()
			case "Messages":
				for _, want := range []string{"c", "a"} {
					for m, err := range c.Messages(t.Context()) {
						if err != nil || m.Topic != want {
							t.Errorf("got %+v, %v, want %s", m, err, want)
						}
						break
					}
					if want == "c" {
						nothingSent(t, c, p)
					}
				}
				p.expect("40 02 0002  40 02 0003")
				p.send(publish1(5, "z"))
				for range c.Messages(t.Context()) {
					break
				}
				p.expect("40 02 0004")
				closed(t, c, p)
				return
			case "Serve":
				serving(t.Context(), x, c)
				p.expect("82 06 0002 0001 23 01")
				g.await(t, "c1 a2")
				g.of("c1") <- nil
				p.expect("40 02 0002  40 02 0003")
				g.of("a2") <- nil
			case "Close":
				closed(t, c, p) // nothing is acknowledged
				return
			}
			p.expect("40 02 0004")
			closed(t, c, p)
		})
	}
}

// The messages come in three reads, of which the second is handled.
func TestMuxAcknowledgesAHandledReadAfterTheUnhandledOneBeforeIt(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, cancel := served(t, &Mux{Concurrency: 3}, g.yielding)
	p.send(publish1(1, "a1"))
	g.await(t, "a1")
	p.send(publish1(2, "b1 b2"))
	g.await(t, "b1")
	g.of("b1") <- nil
	g.await(t, "b2")
	p.send(publish1(4, "c1 a2"))
	g.await(t, "c1")
	g.of("b2") <- nil
	g.of("c1") <- nil
	p.send(publish1(6, "d1"))
	g.await(t, "d1")
	p.send(publish1(7, "e1"))
	g.await(t, "e1") // b2 and c1 are finished
	cancel()
	if err := <-errs; err != context.Canceled {
		t.Errorf("Serve: %v", err)
	}
	for _, row := range []struct{ topic, acks string }{
		{"a", "40 02 0001  40 02 0002  40 02 0003  40 02 0004"},
		{"a", "40 02 0005"},
		{"d", "40 02 0006"},
		{"e", "40 02 0007"},
	} {
		b, err := c.Receive(t.Context())
		if err != nil || len(b.Messages) != 1 || b.Messages[0].Topic != row.topic {
			t.Fatalf("got %+v, %v, want one message on %s", b, err, row.topic)
		}
		nothingSent(t, c, p)
		b.Ack(1)
		p.expect(row.acks)
		b.Release()
	}
	closed(t, c, p)
}

func TestMuxOnErrorDecidesAboutAnError(t *testing.T) {
	t.Parallel()
	boom, other := errors.New("boom"), errors.New("other")
	var seen atomic.Pointer[Message]
	c, p, errs, _ := served(t, &Mux{OnError: func(_ context.Context, m *Message, err error) error {
		seen.Store(m.Clone())
		if err != boom {
			t.Errorf("OnError(%v)", err)
		}
		if string(m.Payload) == "2" {
			return other
		}
		return nil
	}}, func(_ context.Context, m *Message) error {
		m.Topic, m.Payload = "changed", nil
		return boom
	})
	p.send(publish1(1, "a1"))
	p.expect("40 02 0001")
	if m := seen.Load(); m.Topic != "a" || string(m.Payload) != "1" {
		t.Errorf("OnError was called with %+v", m)
	}
	p.send(publish1(2, "b2"))
	if err := <-errs; !errors.Is(err, other) || errors.Is(err, boom) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("Serve: %v, want the error of OnError", err)
	}
	closed(t, c, p)
}

func TestMuxTurnsPanicsAndGoexitIntoErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	bad := func(how string) {
		switch how {
		case "panic":
			panic(cause)
		case "Goexit":
			runtime.Goexit()
		}
	}
	for _, how := range []string{"panic", "Goexit"} {
		check := func(t *testing.T, err error) {
			t.Helper()
			var p *PanicError
			if how == "Goexit" && !errors.Is(err, ErrGoexit) {
				t.Errorf("got %v, want ErrGoexit", err)
			}
			if how == "panic" && (!errors.As(err, &p) || !errors.Is(err, cause) || !strings.Contains(string(p.Stack), "mux_test.go")) {
				t.Errorf("got %v, want a PanicError with its cause and stack", err)
			}
		}
		t.Run(how+" of a handler", func(t *testing.T) {
			t.Parallel()
			c, p, errs, _ := served(t, &Mux{}, func(context.Context, *Message) error { bad(how); return nil })
			p.send(publish1(1, "a1 b1"))
			check(t, <-errs)
			closed(t, c, p)
		})
		t.Run(how+" of a handler, which OnError accepts", func(t *testing.T) {
			t.Parallel()
			c, p, errs, _ := served(t, &Mux{OnError: func(_ context.Context, _ *Message, err error) error { check(t, err); return nil }},
				func(context.Context, *Message) error { bad(how); return nil })
			p.send(publish1(1, "a1 b1"))
			p.expect("40 02 0001  40 02 0002")
			closed(t, c, p)
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
		t.Run(how+" of Unhandled", func(t *testing.T) {
			t.Parallel()
			c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
			errs := serving(t.Context(), &Mux{Unhandled: func(context.Context, *Message) error { bad(how); return nil }}, c)
			p.send(publish1(1, "a1 b1"))
			check(t, <-errs)
			closed(t, c, p)
		})
		t.Run(how+" of OnError", func(t *testing.T) {
			t.Parallel()
			c, p, errs, _ := served(t, &Mux{OnError: func(context.Context, *Message, error) error { bad(how); return nil }},
				func(context.Context, *Message) error { return io.EOF })
			p.send(publish1(1, "a1 b1"))
			check(t, <-errs)
			closed(t, c, p)
		})
		t.Run(how+" of OnSubscribed", func(t *testing.T) {
			t.Parallel()
			c, p, errs, _ := served(t, &Mux{OnSubscribed: func([]packet.ReasonCode) { bad(how) }},
				func(context.Context, *Message) error { return nil })
			check(t, <-errs)
			closed(t, c, p)
		})
	}
}

func TestMuxJoinsTheErrorsOfSeveralHandlers(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, _ := served(t, &Mux{Concurrency: 3}, func(ctx context.Context, m *Message) error {
		err := g.handle(ctx, m)
		if m.Topic == "c" {
			<-ctx.Done()
			return fmt.Errorf("wrapped: %w", context.Cause(ctx)) // no error of its own
		}
		return err
	})
	p.send(publish1(1, "a1 b1 c1"))
	g.await(t, "a1 b1 c1")
	g.of("c1") <- nil
	g.of("a1") <- io.EOF
	g.of("b1") <- io.ErrShortWrite
	err := <-errs
	if !errors.Is(err, io.EOF) || !errors.Is(err, io.ErrShortWrite) || strings.Count(err.Error(), "message on") != 2 {
		t.Errorf("got %v, want both errors", err)
	}
	closed(t, c, p)
}

func TestMuxReturnsAfterTheRunningHandlersWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, cancel := served(t, &Mux{Concurrency: 2}, g.handle)
	p.send(publish1(1, "a1 a2 b1 c1"))
	g.await(t, "a1 b1")
	cancel()
	g.of("a1") <- nil
	p.expect("40 02 0001")
	select {
	case err := <-errs:
		t.Errorf("Serve returned %v while a handler runs", err)
	default:
	}
	g.of("b1") <- nil
	if err := <-errs; err != context.Canceled {
		t.Errorf("Serve: %v", err)
	}
	b, err := c.Receive(t.Context())
	if err != nil || len(b.Messages) != 2 || b.Messages[0].Topic != "a" || b.Messages[1].Topic != "c" {
		t.Fatalf("got %+v, %v, want a2 and c1", b, err)
	}
	b.Ack(2)
	p.expect("40 02 0002  40 02 0003  40 02 0004")
	closed(t, c, p)
	if len(g.begun) > 0 {
		t.Errorf("the handler of %s was begun after the end", <-g.begun)
	}
}

func TestMuxDoesNotCallAnInterruptedHandlerFailed(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		g := newGates()
		var asked atomic.Bool
		x := &Mux{OnError: func(context.Context, *Message, error) error { asked.Store(true); return nil }}
		c, p, errs, cancel := served(t, x, func(ctx context.Context, m *Message) error {
			err := g.yielding(ctx, m)
			if own {
				return io.EOF
			}
			return fmt.Errorf("wrapped: %w", err)
		})
		p.send(publish1(1, "a1"))
		g.await(t, "a1")
		cancel()
		if err := <-errs; err != context.Canceled {
			t.Errorf("Serve: %v", err)
		}
		if asked.Load() != own {
			t.Errorf("OnError was called: %v, want %v", asked.Load(), own)
		}
		if own {
			p.expect("40 02 0001") // OnError accepted it
		}
		closed(t, c, p)
	}
}

func TestMuxHandlesWhatWasReceivedBeforeClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ps := newPipes()
		c, p := connectedOver(t, ps.dial, func() *peer { return ps.accept(t) }, Options{Version: packet.V311}, connect4, connack4)
		g := newGates()
		errs := serving(t.Context(), &Mux{Unhandled: g.handle}, c)
		p.send(publish1(1, "a1 a2"))
		g.await(t, "a1")
		closed(t, c, p)
		synctest.Wait()
		g.of("a1") <- nil
		g.await(t, "a2")
		g.of("a2") <- nil
		if err := <-errs; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
		if err := (&Mux{Unhandled: g.handle}).Serve(t.Context(), c); err != ErrClosed {
			t.Errorf("another Serve: %v", err)
		}
	})
}

func TestMuxReturnsWhyTheClientEnded(t *testing.T) {
	t.Parallel()
	g := newGates()
	c, p, errs, _ := served(t, &Mux{}, g.handle)
	p.send(publish1(1, "a1"))
	g.await(t, "a1")
	p.nc.Close()
	<-c.Done()
	g.of("a1") <- nil
	if err := <-errs; !errors.Is(err, ErrLost) || err != c.Err() {
		t.Errorf("Serve: %v, want %v", err, c.Err())
	}
}

func TestMuxReturnsWhyTheClientEndedWhileSubscribing(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	var x Mux
	x.Handle(Subscription{Filter: "#", QoS: 1}, newGates().handle)
	errs := serving(t.Context(), &x, c)
	p.expect(subscribeAll4)
	p.nc.Close()
	if err := <-errs; !errors.Is(err, ErrLost) || err != c.Err() {
		t.Errorf("Serve: %v, want %v", err, c.Err())
	}
}

// At QoS 1 the server sends again what was not acknowledged, at QoS 2 it does
// so as well, and the client knows it.
func TestMuxContinuesAfterAReconnect(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce}, connect4c, connack4)
	g := newGates()
	x := Mux{Concurrency: 3}
	x.Handle(Subscription{Filter: "#", QoS: 1}, g.handle)
	errs := serving(t.Context(), &x, c)
	p.expect(subscribeAll4)
	p.send(suback4 + publish1(1, "a1") + "34 06 0001 62 0002 31 (b1 at QoS 2)" + publish1(3, "c1"))
	g.await(t, "a1 b1 c1")
	p.nc.Close()
	p = accept()
	p.expect(connect4c)
	p.send(resumed4 + "3a 06 0001 61 0001 31  3c 06 0001 62 0002 31  3a 06 0001 63 0003 31" + publish1(4, "d1"))
	g.of("c1") <- nil
	g.await(t, "c1") // again
	g.of("b1") <- nil
	g.await(t, "d1")
	g.of("c1") <- nil
	g.of("d1") <- nil
	nothingSent(t, c, p)
	g.of("a1") <- nil // of the first connection
	g.await(t, "a1")  // of the second
	p.expect("50 02 0002")
	g.of("a1") <- nil
	p.expect("40 02 0001  40 02 0003  40 02 0004")
	p.send("62 02 0002")
	p.expect("70 02 0002")
	closed(t, c, p)
	if err := <-errs; err != ErrClosed || len(g.begun) > 0 {
		t.Errorf("Serve: %v; %d more handlers", err, len(g.begun))
	}
}

func TestMuxPausesReadingWhileHandlersAreSlow(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		write       string // one write of the server: messages
		size        int    // of each message's payload
		per         int    // messages in a write
		least, most int    // messages read ahead
	}{
		{"of long messages", "30 83 80 01 0001 61", 16384, 1, 16, aheadBytes>>14 + 4*queueLow*4},
		{"of short messages", strings.Repeat("30 03 0001 61", 100), 0, 100, aheadMessages, aheadMessages + 2*queueLow*100},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ps := newPipes() // their writes wait for the reader
				c, p := connectedOver(t, ps.dial, func() *peer { return ps.accept(t) }, Options{Version: packet.V311}, connect4, connack4)
				gate := make(chan struct{})
				var slow atomic.Bool
				var handled atomic.Int64
				subscribed := make(chan struct{}) // until then, reading does not pause
				x := Mux{Concurrency: 2, OnSubscribed: func([]packet.ReasonCode) { close(subscribed) }}
				x.Handle(Subscription{Filter: "#", QoS: 1}, func(context.Context, *Message) error {
					if slow.Load() {
						<-gate
					}
					handled.Add(1)
					return nil
				})
				errs := serving(t.Context(), &x, c)
				p.expect(subscribeAll4)
				p.send(suback4)
				<-subscribed
				b := append(unhex(t, row.write), make([]byte, row.size)...)
				var sent atomic.Int64
				send := func(writes int) {
					for range writes {
						if _, err := p.nc.Write(b); err != nil {
							t.Error(err)
						}
						sent.Add(int64(row.per))
					}
				}
				p.nc.SetDeadline(time.Time{})
				send(300)
				synctest.Wait()
				before := sent.Swap(0)
				if got := handled.Load(); got != before {
					t.Errorf("%d of %d messages handled", got, before)
				}
				slow.Store(true)
				over := make(chan struct{})
				go func() {
					defer close(over)
					send(1000)
				}()
				synctest.Wait()
				if n := int(sent.Load()); n < row.least || n > row.most {
					t.Errorf("%d messages were read ahead, want %d to %d", n, row.least, row.most)
				}
				close(gate)
				<-over
				synctest.Wait()
				closed(t, c, p)
				<-errs
				if got, want := handled.Load(), before+sent.Load(); got != want {
					t.Errorf("%d messages handled, want %d", got, want)
				}
			})
		})
	}
}

// Each of them is as large as all that Serve takes ahead otherwise.
func TestMuxHandlesLargeMessagesAtTheSameTime(t *testing.T) {
	t.Parallel()
	var count sync.WaitGroup
	count.Add(2)
	c, p, errs, _ := served(t, &Mux{Concurrency: 2}, func(context.Context, *Message) error {
		count.Done()
		count.Wait()
		return nil
	})
	for _, topic := range []byte("ab") {
		b := append(unhex(t, "32 85 80 80 01 0001"), topic, 0, topic-'a'+1) // payload of 2 MiB
		if _, err := p.nc.Write(append(b, make([]byte, 2<<20)...)); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("40 02 0001  40 02 0002")
	closed(t, c, p)
	<-errs
}

// A handler may wait for an acknowledgement although reading pauses.
func TestMuxHandlersMayPublish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ps := newPipes()
		c, p := connectedOver(t, ps.dial, func() *peer { return ps.accept(t) }, Options{Version: packet.V311}, connect4, connack4)
		var x Mux
		x.Handle(Subscription{Filter: "#", QoS: 1}, func(ctx context.Context, m *Message) error {
			if len(m.Payload) > 1 {
				return nil
			}
			return c.Publish(ctx, &Message{Topic: "r", QoS: 1})
		})
		errs := serving(t.Context(), &x, c)
		p.expect(subscribeAll4)
		p.send(suback4 + publish1(1, "a1"))
		p.expect("32 05 0001 72 0002")
		flood := append(unhex(t, "30 83 80 01 0001 61"), make([]byte, 16384)...)
		for range 500 { // more than Serve and the queue hold
			if _, err := p.nc.Write(flood); err != nil {
				t.Fatal(err)
			}
		}
		p.send("40 02 0002")
		p.expect("40 02 0001")
		closed(t, c, p)
		<-errs
	})
}

func TestMuxGivesEachFilterAnIdentifierIn5(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	var x Mux
	got := make(chan string, 20)
	// FNV-1a of the filter, modulo 268435455, plus 1: 160305022, 26084070 and
	// 108244409.
	ids := []string{"0b fe9eb84c", "0b e685b80c", "0b b9dbce33", "0b 07"}
	subs := []Subscription{{Filter: "a/#", QoS: 1}, {Filter: "a/+", QoS: 1}, {Filter: "$share/g/a/#", QoS: 1}, {Filter: "a/b", QoS: 1, ID: 7}}
	for _, s := range subs {
		x.Handle(s, func(context.Context, *Message) error {
			got <- s.Filter
			return nil
		})
	}
	granted := make(chan []packet.ReasonCode, 1)
	x.OnSubscribed = func(codes []packet.ReasonCode) { granted <- codes }
	errs := serving(t.Context(), &x, c)
	p.expect("82 0e 0001 05" + ids[0] + "0003 612f23 01" + // none waits for another
		"82 0e 0002 05" + ids[1] + "0003 612f2b 01" +
		"82 17 0003 05" + ids[2] + "000c 2473686172652f672f612f23 01" +
		"82 0b 0004 02" + ids[3] + "0003 612f62 01")
	p.send("90 04 0001 00 01  90 04 0002 00 00  90 04 0003 00 01  90 04 0004 00 01")
	if codes := <-granted; !slices.Equal(codes, []packet.ReasonCode{1, 0, 1, 1}) {
		t.Errorf("granted: %v", codes)
	}
	for _, row := range []struct{ name, topic, properties, want string }{
		{"a copy for one", "0003 612f62", ids[0], "a/#"},
		{"a copy for another", "0003 612f62", ids[1], "a/+"},
		{"a copy for the shared one", "0003 612f62", ids[2], "$share/g/a/#"},
		{"a copy for the one with its own identifier", "0003 612f62", ids[3], "a/b"},
		{"one copy for two", "0003 612f62", ids[3] + ids[0], "a/# a/b"},
		{"a copy for an unknown one", "0003 612f62", "0b 01", "a/# a/+ $share/g/a/# a/b"},
		{"one for an unknown one and one of these", "0003 612f62", "0b 01" + ids[1], "a/+"},
		{"other properties", "0003 612f62", "01 01", "a/# a/+ $share/g/a/# a/b"},
		{"no properties", "0003 612f62", "", "a/# a/+ $share/g/a/# a/b"},
		{"an identifier whose filter does not match", "0001 61", ids[1], "a/# $share/g/a/#"},
	} {
		props := unhex(t, row.properties)
		p.send(fmt.Sprintf("30 %02x %s %02x %x", len(unhex(t, row.topic))+1+len(props), row.topic, len(props), props))
		for _, want := range strings.Fields(row.want) {
			if f := <-got; f != want {
				t.Errorf("%s: the handler of %s, want %s", row.name, f, want)
			}
		}
	}
	closed(t, c, p)
	<-errs
	if len(got) > 0 {
		t.Errorf("%d more handlers", len(got))
	}
}

func TestMuxUsesNoIdentifiersWhereTheServerHasNone(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, "20 05 00 00 02 29 00")
	var x Mux
	for _, f := range []string{"a", "b"} {
		x.Handle(Subscription{Filter: f, QoS: 1}, newGates().handle)
	}
	errs := serving(t.Context(), &x, c)
	p.expect("82 0b 0001 00 0001 61 01 0001 62 01")
	p.send("90 05 0001 00 01 01")
	closed(t, c, p)
	<-errs
}

func TestMuxIdentifiersAreStableAndDistinct(t *testing.T) {
	t.Parallel()
	var x Mux
	none := func(context.Context, *Message) error { return nil }
	x.Handle(Subscription{Filter: "a/#"}, none)
	x.Handle(Subscription{Filter: "a/+"}, none)
	x.Handle(Subscription{Filter: "b", ID: 160305022}, none)
	x.Handle(Subscription{Filter: "c", ID: 160305023}, none)
	if got := x.identifiers(); !slices.Equal(got, []uint32{160305024, 26084070, 160305022, 160305023}) {
		t.Errorf("got %v, want the next free one for a/#", got)
	}
	var many Mux
	for i := range 50_000 {
		many.Handle(Subscription{Filter: strconv.Itoa(i)}, none)
	}
	seen := make(map[uint32]bool)
	for _, id := range many.identifiers() {
		if id < 1 || id > maxSubscriptionID || seen[id] {
			t.Fatalf("identifier %d is invalid or is used twice", id)
		}
		seen[id] = true
	}
}

func TestMuxReturnsTheRefusalOfASubscription(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	x := Mux{OnSubscribed: func([]packet.ReasonCode) { t.Error("OnSubscribed is called") }}
	x.Handle(Subscription{Filter: "a/#", QoS: 1}, newGates().handle)
	x.Handle(Subscription{Filter: "a/+", QoS: 1}, newGates().handle)
	errs := serving(t.Context(), &x, c)
	p.expect("82 0e 0001 05 0b fe9eb84c 0003 612f23 01  82 0e 0002 05 0b e685b80c 0003 612f2b 01")
	p.send("90 04 0001 00 01  90 04 0002 00 87")
	err := <-errs
	if !errors.Is(err, ErrRefused) || !errors.Is(err, packet.NotAuthorized) || !strings.Contains(err.Error(), "a/+") {
		t.Errorf("Serve: %v", err)
	}
	closed(t, c, p)

	c, p, _ = connected(t, Options{Version: packet.V5}, connect5, connack5)
	x = Mux{}
	x.Handle(Subscription{Filter: "$share/g/a", NoLocal: true}, newGates().handle)
	if err := x.Serve(t.Context(), c); !errors.Is(err, ErrNotSent) {
		t.Errorf("a subscription that no server accepts: %v", err)
	}
	if err := new(Mux).Serve(t.Context(), c); !errors.Is(err, packet.ErrNoFilters) {
		t.Errorf("a Mux without handlers: %v", err)
	}
	closed(t, c, p)
}

func TestMuxHandlesMessagesThatPrecedeTheSuback(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}}, connect4c, resumed4)
	var x Mux
	x.Handle(Subscription{Filter: "#", QoS: 1}, func(context.Context, *Message) error { return nil })
	errs := serving(t.Context(), &x, c)
	p.expect(subscribeAll4)
	for i := 1; i < 200; i++ { // more reads than the queue holds
		p.send(publish1(i, "a1"))
		p.expect(fmt.Sprintf("40 02 %04x", i))
	}
	p.send(suback4)
	closed(t, c, p)
	<-errs
}

func TestMuxIsTheOnlyReceiver(t *testing.T) {
	t.Parallel()
	g := newGates()
	x := &Mux{}
	c, p, errs, cancel := served(t, x, g.handle)
	p.send(publish1(1, "a1 a2"))
	g.await(t, "a1")
	if _, err := c.Receive(t.Context()); !errors.Is(err, ErrReceiving) {
		t.Errorf("Receive: %v", err)
	}
	if _, err := one(t.Context(), c, nil); !errors.Is(err, ErrReceiving) {
		t.Errorf("Messages: %v", err)
	}
	if err := new(Mux).Serve(t.Context(), c); !errors.Is(err, ErrReceiving) {
		t.Errorf("Serve: %v", err)
	}
	cancel()
	g.of("a1") <- nil
	<-errs
	p.expect("40 02 0001")
	for m, err := range c.Messages(t.Context()) {
		if err != nil || string(m.Payload) != "2" {
			t.Errorf("got %+v, %v", m, err)
		}
		if err := x.Serve(t.Context(), c); !errors.Is(err, ErrReceiving) {
			t.Errorf("Serve in a loop: %v", err)
		}
		break
	}
	ctx, done := context.WithCancel(t.Context())
	errs = serving(ctx, &Mux{Unhandled: g.handle}, c) // acknowledges what the loop took
	p.expect("40 02 0002")
	done()
	if err := <-errs; err != context.Canceled {
		t.Errorf("Serve: %v", err)
	}
	if err := x.Serve(ctx, c); err != context.Canceled {
		t.Errorf("Serve with a canceled context: %v", err)
	}
	closed(t, c, p)

	c, p, _ = connected(t, Options{Version: packet.V311, PublishOnly: true}, connect4, connack4)
	if err := x.Serve(t.Context(), c); err != ErrUnreceived {
		t.Errorf("a publish-only client: %v", err)
	}
	closed(t, c, p)
}

func TestMuxBeginsWithWhatALoopHasLeft(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publish1(1, "a1 a2 a3"))
	if got, err := one(t.Context(), c, nil); got != "1" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	g := newGates()
	errs := serving(t.Context(), &Mux{Unhandled: g.handle}, c)
	p.expect("40 02 0001")
	g.await(t, "a2")
	g.of("a2") <- nil
	p.expect("40 02 0002")
	g.await(t, "a3")
	g.of("a3") <- nil
	p.expect("40 02 0003")
	closed(t, c, p)
	<-errs
}

func TestMuxMessagesWithoutAHandler(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		x    *Mux
		acks string
		end  error
	}{
		{"end Serve", &Mux{}, "", ErrUnhandled},
		{"are for OnError", &Mux{OnError: func(_ context.Context, _ *Message, err error) error {
			if err == ErrUnhandled {
				return nil
			}
			return err
		}}, "40 02 0001  40 02 0002", ErrClosed},
		{"are for Unhandled", &Mux{Unhandled: func(_ context.Context, m *Message) error {
			if m.Topic == "z" {
				return nil
			}
			return io.EOF
		}}, "40 02 0001", io.EOF},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
			row.x.Handle(Subscription{Filter: "a", QoS: 1}, newGates().handle)
			errs := serving(t.Context(), row.x, c)
			p.expect("82 06 0001 0001 61 01")
			p.send(suback4 + publish1(1, "z1 y1"))
			p.expect(row.acks)
			if row.end != ErrClosed {
				if err := <-errs; !errors.Is(err, row.end) || !strings.Contains(err.Error(), "message on") {
					t.Errorf("Serve: %v, want %v", err, row.end)
				}
			}
			closed(t, c, p)
		})
	}
}

func TestMuxHandlePanicsForAnInvalidRegistration(t *testing.T) {
	t.Parallel()
	none := func(context.Context, *Message) error { return nil }
	var x Mux
	x.Handle(Subscription{Filter: "a/#"}, none)
	x.Handle(Subscription{Filter: "$share/g/a/#"}, none)
	x.Handle(Subscription{Filter: "$share/h/a/#"}, none)
	x.Handle(Subscription{Filter: strings.Repeat("/", 60_000)}, none)
	refused := func(f string, h Handler, want string) {
		t.Helper()
		defer func() {
			if v := fmt.Sprint(recover()); !strings.Contains(v, want) {
				t.Errorf("%q: panic %q, want %q", f, v, want)
			}
		}()
		x.Handle(Subscription{Filter: f}, h)
	}
	refused("a/#", none, `"a/#" has a handler already`)
	refused("$share/g/a/#", none, "has a handler already")
	refused("", none, "MQTT-4.7.3-1")
	refused("a#", none, "MQTT-4.7.1-1")
	refused("$share/g", none, "MQTT-4.8.2")
	refused("b", nil, `nil handler for "b"`)
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	ctx, cancel := context.WithCancel(t.Context())
	subscribed := make(chan struct{})
	y := Mux{Unhandled: none, OnSubscribed: func([]packet.ReasonCode) { close(subscribed) }}
	errs := serving(ctx, &y, c)
	<-subscribed
	func() {
		defer func() {
			if v := fmt.Sprint(recover()); !strings.Contains(v, "while Serve runs") {
				t.Errorf("panic %q", v)
			}
		}()
		y.Handle(Subscription{Filter: "a"}, none)
	}()
	cancel()
	<-errs
	y.Handle(Subscription{Filter: "a"}, none)
	closed(t, c, p)
}

// A handler that forwards its message changes it first.
func TestMuxAcknowledgesAMessageThatItsHandlerHasChanged(t *testing.T) {
	t.Parallel()
	c, p, errs, _ := served(t, &Mux{}, func(_ context.Context, m *Message) error {
		m.QoS, m.PacketID, m.Topic = 2, 77, "elsewhere"
		return nil
	})
	p.send(publish1(1, "a1 a2"))
	p.expect("40 02 0001  40 02 0002")
	closed(t, c, p)
	<-errs
}

func TestMuxServesSeveralClients(t *testing.T) {
	t.Parallel()
	var x Mux
	x.Handle(Subscription{Filter: "#", QoS: 1}, func(context.Context, *Message) error { return nil })
	var cs []*Client
	var ps []*peer
	var errs []<-chan error
	for range 3 {
		c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
		errs = append(errs, serving(t.Context(), &x, c))
		p.expect(subscribeAll4)
		p.send(suback4)
		cs, ps = append(cs, c), append(ps, p)
	}
	for i, p := range ps {
		p.send(publish1(1, "a1"))
		p.expect("40 02 0001")
		closed(t, cs[i], p)
		<-errs[i]
	}
}

// muxServer sends messages at all QoS on some topics, with consecutive packet
// identifiers and payloads, and records the acknowledgements.
type muxServer struct {
	t     *testing.T
	p     *peer
	rng   *rand.Rand
	count int
	ids   []uint16 // to be acknowledged, in the order they were sent
	acked []uint16
}

func (s *muxServer) write() {
	var b []byte
	for i := range s.count {
		qos := byte(s.rng.IntN(3))
		n := byte(2 + 2 + 4)
		if qos > 0 {
			n += 2
		}
		b = append(b, 0x30|qos<<1, n, 0, 2, 't', 'a'+byte(s.rng.IntN(20)))
		if qos > 0 {
			b = binary.BigEndian.AppendUint16(b, s.ids[len(s.ids)-1]+1)
			s.ids = append(s.ids, s.ids[len(s.ids)-1]+1)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(i))
		if s.rng.IntN(30) == 0 || i == s.count-1 {
			if _, err := s.p.nc.Write(b); err != nil {
				s.t.Error(err)
			}
			b = b[:0]
			time.Sleep(time.Duration(s.rng.IntN(30)) * time.Millisecond)
		}
	}
	s.ids = s.ids[1:]
}

func (s *muxServer) read() {
	in := make([]byte, 64)
	for {
		if _, err := io.ReadFull(s.p.nc, in[:2]); err != nil {
			return
		}
		if in[1] > 0 {
			if _, err := io.ReadFull(s.p.nc, in[2:2+in[1]]); err != nil {
				return
			}
		}
		switch in[0] {
		case 0x40, 0x50:
			s.acked = append(s.acked, binary.BigEndian.Uint16(in[2:]))
			if in[0] == 0x50 {
				_, _ = s.p.nc.Write([]byte{0x62, 2, in[2], in[3]})
			}
		case 0x82:
			_, _ = s.p.nc.Write([]byte{0x90, 3, in[2], in[3], 1})
		case 0xe0:
			s.p.nc.Close()
			return
		}
	}
}

func TestMuxKeepsTheOrderOfTenThousandMessages(t *testing.T) {
	t.Parallel()
	for _, interrupted := range []bool{false, true} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("interrupted %v, seed %d", interrupted, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { muxOrder(t, 10_000, interrupted, seed) })
			})
		}
	}
}

// muxOrder handles count messages with random delays. If interrupted is set,
// Serve is canceled at random times, and Receive and Messages take messages in
// between.
func muxOrder(t *testing.T, count int, interrupted bool, seed uint64) {
	net := memtest.New()
	defer net.Close()
	c, p := connectedOver(t, net.Dial, func() *peer {
		nc, err := net.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return &peer{t, nc}
	}, Options{Version: packet.V311}, connect4, connack4)
	p.nc.SetDeadline(time.Time{})
	s := &muxServer{t: t, p: p, rng: rand.New(rand.NewPCG(seed, 0)), count: count, ids: []uint16{0}}
	var servers sync.WaitGroup
	servers.Go(s.write)
	servers.Go(s.read)

	const concurrency = 8
	var (
		mu      sync.Mutex
		rng     = rand.New(rand.NewPCG(seed, 1))
		last    = make(map[string]int64)
		running = make(map[string]bool)
		handled = make([]int, count)
		total   int
		most    int
	)
	begin := func(m *Message) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		i := int64(binary.BigEndian.Uint32(m.Payload))
		if before, again := last[m.Topic]; again && before >= i {
			t.Errorf("message %d on %s follows %d", i, m.Topic, before)
		}
		if running[m.Topic] {
			t.Errorf("two handlers run for %s", m.Topic)
		}
		last[m.Topic], running[m.Topic] = i, true
		most = max(most, len(running))
		return time.Duration(rng.IntN(10)) * time.Millisecond
	}
	end := func(m *Message, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		delete(running, m.Topic)
		i := binary.BigEndian.Uint32(m.Payload)
		if !ok {
			last[m.Topic] = int64(i) - 1 // it comes again
			return
		}
		handled[i]++
		total++
	}
	x := Mux{Concurrency: concurrency}
	x.Handle(Subscription{Filter: "#", QoS: 1}, func(ctx context.Context, m *Message) error {
		delay := begin(m)
		obeys := delay%2 == 0
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			if obeys {
				end(m, false)
				return ctx.Err()
			}
		}
		end(m, true)
		return nil
	})
	done := func() int {
		mu.Lock()
		defer mu.Unlock()
		return total
	}
	for done() < count {
		ctx, cancel := context.WithCancel(t.Context())
		if interrupted {
			time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, cancel)
		} else {
			go func() {
				for done() < count {
					time.Sleep(time.Second)
				}
				cancel()
			}()
		}
		if err := x.Serve(ctx, c); err != context.Canceled {
			t.Fatalf("Serve: %v", err)
		}
		cancel()
		switch rng.IntN(3) {
		case 0:
			if !c.Waiting() {
				break
			}
			b, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Messages {
				begin(&b.Messages[i])
				end(&b.Messages[i], true)
				b.Ack(i + 1)
			}
			b.Release()
		case 1:
			n := rng.IntN(20)
			if !c.Waiting() {
				break
			}
			for m, err := range c.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				begin(m)
				end(m, true)
				if n--; n < 0 || !c.Waiting() {
					break
				}
			}
		}
	}
	// The last message that a loop took is acknowledged by the next receiver.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := x.Serve(ctx, c); err != context.DeadlineExceeded {
		t.Errorf("Serve: %v", err)
	}
	for i, n := range handled {
		if n != 1 {
			t.Errorf("message %d was handled %d times", i, n)
		}
	}
	if most != concurrency {
		t.Errorf("%d handlers have run at once, want %d", most, concurrency)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	servers.Wait()
	if !slices.Equal(s.acked, s.ids) {
		t.Errorf("%d acknowledgements for %d messages, or in another order", len(s.acked), len(s.ids))
	}
}

func TestMuxAllocatesNothing(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
		x := Mux{Concurrency: concurrency}
		for i := range 100 {
			x.Handle(Subscription{Filter: fmt.Sprintf("+/%d/#", i), QoS: 1}, func(context.Context, *Message) error { return nil })
		}
		for _, f := range []string{"a", "+", "#"} {
			x.Handle(Subscription{Filter: f, QoS: 1}, func(context.Context, *Message) error { return nil })
		}
		subscribed := make(chan struct{})
		x.OnSubscribed = func([]packet.ReasonCode) { close(subscribed) }
		errs := serving(t.Context(), &x, c)
		head := make([]byte, 3)
		io.ReadFull(p.nc, head)
		io.ReadFull(p.nc, make([]byte, int(head[1])&127+int(head[2])<<7))
		p.send("90 69 0001" + strings.Repeat("01", 103))
		<-subscribed
		out, in := unhex(t, publish1(1, "a1 b1 c1 a2 b2 c2 a3 d4")), make([]byte, 8*4)
		p.nc.SetDeadline(time.Now().Add(time.Minute))
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := p.nc.Write(out); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(p.nc, in); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%d handlers at once: %v allocations for eight messages", concurrency, n)
		}
		closed(t, c, p)
		<-errs
	}
}

// BenchmarkMux handles messages at QoS 0.
func BenchmarkMux(b *testing.B) {
	for _, concurrency := range []int{1, 4} {
		b.Run(fmt.Sprintf("concurrency%d", concurrency), func(b *testing.B) {
			x := Mux{Concurrency: concurrency}
			for i := range 1000 {
				x.Handle(Subscription{Filter: fmt.Sprintf("t/%d/#", i)}, func(context.Context, *Message) error { return nil })
			}
			c := &Client{}
			c.inbox.readerGo = make(chan struct{}, 1)
			s := newDispatch(b.Context(), &x, c)
			batch := &Batch{c: c}
			const size = 100
			messages := make([]Message, size)
			for i := range messages {
				messages[i] = Message{Topic: fmt.Sprintf("t/%d/x", i)}
			}
			b.ReportAllocs()
			for range (b.N + size - 1) / size {
				batch.Messages, batch.acked = append(batch.Messages[:0], messages...), 0
				s.add(batch)
				if err := s.wait(true); err != nil {
					b.Fatal(err)
				}
			}
			s.stop(nil)
			s.group.Wait()
		})
	}
}
