package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// publishes returns n PUBLISH packets at QoS 1 with payloads and packet
// identifiers from 1 on.
func publishes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "32 06 0001 61 %04x %02x ", i+1, '1'+i)
	}
	return b.String()
}

// one returns the payload of the one message that a loop takes before leave
// ends it.
func one(ctx context.Context, c *Client, leave func()) (payload string, err error) {
	defer func() { _ = recover() }()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return "", err
		}
		payload = string(m.Payload)
		if leave != nil {
			leave()
		}
		return payload, nil
	}
	return payload, errors.New("the loop ended without an error")
}

func TestTheNextLoopGoesOnBehindTheLastMessageTaken(t *testing.T) {
	t.Parallel()
	for way, leave := range map[string]func(){"by return": nil, "by panic": func() { panic("of the application") }} {
		c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
		p.send(publishes(9))
		for i := range 9 {
			got, err := one(t.Context(), c, leave)
			if want := fmt.Sprint(i + 1); got != want || err != nil {
				t.Fatalf("left %s: got message %q, %v, want %s", way, got, err, want)
			}
			if i > 0 {
				p.expect(fmt.Sprintf("40 02 %04x", i)) // MQTT-4.6.0-2
			}
		}
		closed(t, c, p) // the last message is not acknowledged: no PUBACK before DISCONNECT
	}
}

// A slot of the Receive Maximum that no PUBACK frees is lost for the life of
// the connection.
func TestLoopsThatAreLeftUseUpNoReceiveMaximum(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V5, ReceiveMaximum: 1},
		"10 11 0004 4d515454 05 02 0000 03 21 0001 0001 61", connack5)
	for range 20 {
		p.send("32 07 0001 61 0001 00 31")
		if _, err := one(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = one(ctx, c, nil) // asks for the next message
		}()
		p.expect("40 02 0001")
		cancel()
		<-ended
	}
	closed(t, c, p)
}

// It shows MQTT-4.6.0-2.
func TestReceiveReturnsWhatALoopHasLeft(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publishes(5))
	if got, err := one(t.Context(), c, nil); got != "1" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	if !c.Waiting() {
		t.Error("nothing waits, although four messages of the read do")
	}
	b, err := c.Receive(t.Context())
	if err != nil || len(b.Messages) != 4 || string(b.Messages[0].Payload) != "2" {
		t.Fatalf("got %+v, %v, want messages 2 to 5", b, err)
	}
	p.expect("40 02 0001")
	b.Ack(2)
	p.expect("40 02 0002  40 02 0003")
	b.Ack(4)
	p.expect("40 02 0004  40 02 0005")
	b.Release()
	if c.Waiting() {
		t.Error("messages wait that were taken")
	}
	p.send("32 06 0001 61 0006 36")
	if got, err := one(t.Context(), c, nil); got != "6" || err != nil {
		t.Errorf("the next loop got %q, %v", got, err)
	}
	if c.Waiting() {
		t.Error("the message in hand waits")
	}
	closed(t, c, p)
}

func TestALoopGoesOnOverAReconnect(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce}, connect4c, connack4)
	p.send("32 06 0001 61 0001 31  34 06 0001 61 0002 32  32 06 0001 61 0003 33")
	if got, err := one(t.Context(), c, nil); got != "1" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	p.nc.Close()
	p = accept()
	p.expect(connect4c)
	p.send(resumed4)
	waitFor(t, func() bool { return c.Stats().Reconnects == 1 })
	for _, want := range []string{"2", "3"} {
		if got, err := one(t.Context(), c, nil); got != want || err != nil {
			t.Fatalf("got %q, %v, want %s", got, err, want)
		}
	}
	// Of the messages of the old connection, QoS 1 is delivered again and QoS 2
	// is not: it is acknowledged at once.
	p.send("3c 06 0001 61 0002 32")
	p.expect("50 02 0002")
	p.send("3a 06 0001 61 0003 33")
	if got, err := one(t.Context(), c, nil); got != "3" || err != nil {
		t.Errorf("got %q, %v, want 3 again", got, err)
	}
	closed(t, c, p)
}

func TestWhatALoopLeftIsReceivedAfterClose(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publishes(3))
	if got, err := one(t.Context(), c, nil); got != "1" || err != nil {
		t.Fatalf("got %q, %v", got, err)
	}
	closed(t, c, p)
	for _, want := range []string{"2", "3"} {
		if got, err := one(t.Context(), c, nil); got != want || err != nil {
			t.Errorf("got %q, %v, want %s", got, err, want)
		}
	}
	if got, err := one(t.Context(), c, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %q, %v, want ErrClosed", got, err)
	}
}

// Two loops would acknowledge out of order.
func TestOneLoopReceivesAtATime(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publishes(2))
	if _, err := one(t.Context(), c, func() {
		if _, err := one(t.Context(), c, nil); !errors.Is(err, ErrReceiving) {
			t.Errorf("a second loop: %v, want ErrReceiving", err)
		}
		if _, err := c.Receive(t.Context()); !errors.Is(err, ErrReceiving) {
			t.Errorf("Receive within the loop: %v, want ErrReceiving", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := one(t.Context(), c, nil); got != "2" || err != nil {
		t.Errorf("after the loop: got %q, %v, want 2", got, err)
	}
	p.expect("40 02 0001")
	closed(t, c, p)
}

// This holds however many messages are waiting.
func TestReceivingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publishes(3))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := ""
	for m, err := range c.Messages(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the loop ended with %v", err)
			}
			continue
		}
		got += string(m.Payload)
		cancel()
	}
	if got != "1" {
		t.Errorf("the loop got %q, want 1", got)
	}
	p.expect("40 02 0001") // the loop body ended the context
	if b, err := c.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive: %v, %v, want the context's error", b, err)
	}
	if m, err := one(ctx, c, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the next loop: %q, %v, want the context's error", m, err)
	}
	b, err := c.Receive(t.Context())
	if err != nil || len(b.Messages) != 2 || string(b.Messages[0].Payload) != "2" {
		t.Errorf("afterwards: got %+v, %v, want messages 2 and 3", b, err)
	}
	closed(t, c, p)
}

func TestWhatIsNotAcknowledgedOfABatchStaysSo(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send(publishes(3))
	b, err := c.Receive(t.Context())
	if err != nil || len(b.Messages) != 3 {
		t.Fatalf("got %+v, %v", b, err)
	}
	b.Ack(1)
	p.expect("40 02 0001")
	b.Release()
	closed(t, c, p) // DISCONNECT is next: messages 2 and 3 stay in the session
}
