package mqtt

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// All 256, with the codes as numbered in table 2-6.
func TestWhichReasonsArePermanent(t *testing.T) {
	t.Parallel()
	temporary := []packet.ReasonCode{
		0x80, // unspecified error
		0x83, // implementation specific error
		0x88, // server unavailable
		0x89, // server busy
		0x8b, // server shutting down
		0x8d, // keep alive timeout
		0x93, // receive maximum exceeded
		0x96, // message rate too high
		0x97, // quota exceeded
		0x98, // administrative action
		0x9c, // use another server
		0x9f, // connection rate exceeded
		0xa0, // maximum connect time
	}
	for n := range 256 {
		code := packet.ReasonCode(n)
		err := &Error{Op: "connect", Class: ErrRefused, Reason: code}
		if got, want := Permanent(err), n >= 0x80 && !slices.Contains(temporary, code); got != want {
			t.Errorf("0x%02x: permanent %v, want %v", n, got, want)
		}
		if Permanent(&Error{Op: "connection", Class: ErrInDoubt, Reason: code, Err: ErrExpired}) {
			t.Errorf("0x%02x that a fresh authentication may mend is permanent", n)
		}
	}
}

// The first wait is at most the base, each bound is twice the previous one, and
// none exceeds the maximum.
func TestBackoffDoublesFromItsBase(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	policy := Backoff(100*ms, 1000*ms)
	for attempt, bound := range []time.Duration{1: 100 * ms, 2: 200 * ms, 3: 400 * ms, 4: 800 * ms, 5: 1000 * ms, 6: 1000 * ms, 1000: 1000 * ms} {
		if bound == 0 {
			continue
		}
		longest := time.Duration(0)
		for range 2000 {
			wait, again := policy(attempt, errors.New("any"))
			if !again || wait <= 0 || wait > bound+ms {
				t.Fatalf("attempt %d: wait %v, %v, want up to %v", attempt, wait, again, bound)
			}
			longest = max(longest, wait)
		}
		if longest < bound*9/10 { // by chance once in 10^91
			t.Errorf("attempt %d: the longest wait is %v, want nearly %v", attempt, longest, bound)
		}
	}
	if _, again := policy(1, &Error{Op: "connect", Class: ErrRefused, Reason: packet.Banned}); again {
		t.Error("a refusal for good is tried again")
	}
	if wait, again := Backoff(0, time.Second)(3, errors.New("any")); wait != 0 || !again {
		t.Errorf("without a base: %v, %v", wait, again)
	}
	if wait, again := Backoff(time.Second, 0)(3, errors.New("any")); wait != 0 || !again {
		t.Errorf("without a most: %v, %v", wait, again)
	}
}

// Ack acknowledges as many messages as requested, each once and at its own QoS.
func TestAckIsExact(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send("30 04 0001 61 30  32 06 0001 61 0001 31  34 06 0001 61 0002 32  30 04 0001 61 33  32 06 0001 61 0004 34")
	b, err := c.Receive(t.Context())
	if err != nil || len(b.Messages) != 5 {
		t.Fatalf("got %+v, %v", b, err)
	}
	next := func(want string) {
		t.Helper()
		errs := make(chan error, 1)
		go func() { errs <- c.Ping(t.Context()) }()
		p.expect(want + " c0 00")
		p.send("d0 00")
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	b.Ack(0)
	next("")
	b.Ack(1)
	next("")
	b.Ack(2)
	next("40 02 0001")
	b.Ack(2)
	b.Ack(1)
	next("")
	b.Ack(4)
	next("50 02 0002")
	b.Ack(5)
	next("40 02 0004")
	b.Release()
	closed(t, c, p)
}

// The counts of Stats, one for each outcome.
func TestStatsCountEachOutcomeOnce(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	for i := range 3 {
		if err := c.Send(t.Context(), &Message{Topic: "t", QoS: 1}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("32 06 0001 74 0001 00  32 06 0001 74 0002 00  32 06 0001 74 0003 00")
	p.send("40 03 0001 00  40 03 0002 87  30 04 0001 61 00")
	b, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	if got, want := c.Stats(), (Stats{Sent: 3, Acked: 1, Refused: 1, Unfinished: 1, Received: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.send("40 03 0003 10 (no matching subscribers)")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := c.Stats(), (Stats{Sent: 3, Acked: 2, Refused: 1, Received: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	closed(t, c, p)
}

// A PINGRESP proves what was sent before its PINGREQ, and nothing after it.
func TestAPingrespProvesWhatWasBeforeIt(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	send := func() {
		t.Helper()
		if err := c.Send(t.Context(), &Message{Topic: "t"}, 0); err != nil {
			t.Fatal(err)
		}
		p.expect("30 03 0001 74")
	}
	send()
	send()
	errs := make(chan error, 1)
	go func() { errs <- c.Ping(t.Context()) }()
	p.expect("c0 00")
	send()
	p.send("d0 00")
	if err := <-errs; err != nil {
		t.Error(err)
	}
	p.nc.Close()
	<-c.Done()
	if got := c.Stats().Unwritten; got != 1 {
		t.Errorf("%d messages may be lost, want the one after the PINGREQ", got)
	}
}

// Refused calls have sent nothing.
func TestAfterTheEndNothingIsSent(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	closed(t, c, p)
	ctx := context.Background()
	_, subscribe := c.Subscribe(ctx, Subscription{Filter: "a"})
	_, unsubscribe := c.Unsubscribe(ctx, "a")
	for name, err := range map[string]error{
		"Publish": c.Publish(ctx, &Message{Topic: "a", QoS: 1}), "Send": c.Send(ctx, &Message{Topic: "a"}, 0), "Ping": c.Ping(ctx),
		"Subscribe": subscribe, "Unsubscribe": unsubscribe, "Reauthenticate": c.Reauthenticate(ctx),
	} {
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrNotSent and ErrClosed", name, err)
		}
	}
	if err := c.Flush(ctx); err != nil {
		t.Errorf("Flush: %v, want nil: nothing is in flight", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if st := c.Stats(); st.Sent != 0 {
		t.Errorf("%+v", st)
	}
}
