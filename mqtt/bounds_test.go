package mqtt

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// TestMemoryFollowsWhatHasCome checks bounds for the memory that a client uses.
func TestMemoryFollowsWhatHasCome(t *testing.T) {
	t.Parallel()
	t.Run("a buffer grows by doubling, whatever length is claimed", func(t *testing.T) {
		for _, c := range []struct {
			size, need, want int
		}{
			{smallBuffer, 256 << 20, largeBuffer},
			{largeBuffer, 256 << 20, 2 * largeBuffer},
			{largeBuffer, largeBuffer + 5, largeBuffer + 5},
			{1 << 20, 256 << 20, 2 << 20},
		} {
			b := &Batch{buf: make([]byte, 0, c.size)}
			if b.grow(c.need); cap(b.buf) != c.want {
				t.Errorf("a buffer of %d bytes for a packet of %d is %d, want %d", c.size, c.need, cap(b.buf), c.want)
			}
		}
	})
	t.Run("the pool has few batches and no large buffers", func(t *testing.T) {
		c := &Client{}
		for range 100 {
			(&Batch{c: c, buf: make([]byte, 0, 64*largeBuffer)}).Release()
		}
		if len(c.inbox.pool) > 2*queueLow {
			t.Errorf("%d batches are kept", len(c.inbox.pool))
		}
		for _, b := range c.inbox.pool {
			if cap(b.buf) > 4*largeBuffer {
				t.Errorf("a buffer of %d bytes is kept", cap(b.buf))
			}
		}
	})
	t.Run("what is read ahead while a call waits is bounded", func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		c := &Client{nc: ours, waiters: waiters{onReader: 1}, ctx: t.Context()}
		batch := func() *Batch {
			return &Batch{c: c, buf: make([]byte, 0, 1<<20), Messages: make([]Message, 1)}
		}
		n := 0
		for ; n < 1000; n++ {
			if err := c.deliver(batch()); err != nil {
				if !errors.Is(err, ErrBacklog) {
					t.Error(err)
				}
				break
			}
		}
		if most := spillLimit>>20 + queueLow; n > most {
			t.Errorf("%d batches of a mebibyte are held, want %d at most", n, most)
		}
		for range n {
			b, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
		}
		if c.inbox.bytes != 0 {
			t.Errorf("%d bytes are counted with nothing there", c.inbox.bytes)
		}
	})
}

// TestWaitingReportsTheRestOfALoop leaves a loop at the last message but one,
// and at the last.
func TestWaitingReportsTheRestOfALoop(t *testing.T) {
	t.Parallel()
	for taken, want := range map[int]bool{0: true, 1: true, 2: false} {
		c := &Client{}
		c.inbox.cursor = &Batch{c: c, Messages: make([]Message, 2), taken: taken}
		if got := c.Waiting(); got != want {
			t.Errorf("%d of 2 taken: Waiting is %v", taken, got)
		}
	}
}

// TestReadingAheadEndsWithTheCall starts a call that waits for the server, and
// ends it.
func TestReadingAheadEndsWithTheCall(t *testing.T) {
	t.Parallel()
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	done := make(chan error, 1)
	go func() {
		_, err := c.Subscribe(t.Context(), Subscription{Filter: "t"})
		done <- err
	}()
	p.expect("82 06 0001 0001 74 00")
	p.send("90 03 0001 00")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	if c.waiters.onReader != 0 {
		t.Errorf("%d calls are said to wait", c.waiters.onReader)
	}
	c.mu.Unlock()
	closed(t, c, p)
}

func TestErrorsMatchTheirClassAndReason(t *testing.T) {
	t.Parallel()
	accepted := &Error{Op: "publish", Class: ErrInDoubt}
	if errors.Is(accepted, packet.Success) {
		t.Error("an error without a reason matches success")
	}
	refused := &Error{Op: "publish", Class: ErrRefused, Reason: packet.QuotaExceeded}
	if !errors.Is(refused, packet.QuotaExceeded) || errors.Is(refused, packet.NotAuthorized) || !errors.Is(refused, ErrRefused) {
		t.Errorf("%v does not match its reason and its class alone", refused)
	}
	var moved packet.Properties
	moved, err := moved.AppendBytes(packet.ServerReference, []byte("other.example"))
	if err == nil {
		moved, err = moved.AppendBytes(packet.ReasonString, []byte("gone"))
	}
	if err != nil {
		t.Fatal(err)
	}
	e := refusal("connect", packet.ServerMoved, moved)
	if e.Ref != "other.example" || e.Text != "gone" || e.Error() != "connect refused: server moved (0x9d): gone: use other.example" {
		t.Errorf("a refusal with a reference is %q, %+v", e, e)
	}
	for _, limit := range []error{session.ErrQoS, session.ErrRetain, session.ErrTooLarge, session.ErrPeerCan} {
		if !Unsupported(fmt.Errorf("publish: %w", limit)) {
			t.Errorf("%v is not unsupported", limit)
		}
	}
	if Unsupported(session.ErrNotUp) {
		t.Error("a connection that is away is no limit of the server's")
	}
}
