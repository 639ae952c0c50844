package mqtt

import (
	"context"
	"iter"
)

// Batch is what one read of the connection brought. Its messages are views
// into its buffer and valid until Release.
type Batch struct {
	Messages []Message

	c     *Client
	gen   uint64
	buf   []byte
	acked int
	taken int  // by a loop over Client.Messages
	full  bool // the last read filled the buffer
}

// grow makes room for a packet of need bytes, at most doubling the buffer, so
// that memory follows the bytes that have come and not a length that was
// claimed.
func (b *Batch) grow(need int) {
	size := cap(b.buf)
	switch {
	case need > size:
		size = min(need, max(2*size, largeBuffer))
	case b.full && size < largeBuffer:
		size = largeBuffer
	case len(b.buf) == size:
		size *= 2
	default:
		return
	}
	b.buf = append(make([]byte, 0, size), b.buf...)
}

// takeBatch is an empty batch whose buffer has room for a packet of need
// bytes, or for as much of it as may be claimed at once.
func (c *Client) takeBatch(need int) *Batch {
	c.mu.Lock()
	var b *Batch
	if n := len(c.pool); n > 0 {
		b = c.pool[n-1]
		c.pool = c.pool[:n-1]
	}
	c.mu.Unlock()
	if b == nil {
		b = &Batch{c: c, buf: make([]byte, 0, smallBuffer)}
	}
	b.Messages, b.buf, b.acked, b.taken, b.full = b.Messages[:0], b.buf[:0], 0, 0, false
	if need > cap(b.buf) {
		b.buf = make([]byte, 0, min(need, largeBuffer))
	}
	return b
}

// deliver queues a batch for Receive. It waits while the application is
// behind, unless a call waits for what has not been read yet.
func (c *Client) deliver(b *Batch) error {
	c.mu.Lock()
	for len(c.queue) >= queueLow && c.ended == nil && !c.closing && c.nc != nil {
		if c.waiters.onReader > 0 {
			if c.queued < spillLimit {
				break
			}
			c.mu.Unlock()
			return &Error{Op: "connection", Class: ErrInDoubt, Err: ErrBacklog}
		}
		c.readWait, c.reading = true, false
		c.mu.Unlock()
		select {
		case <-c.readerGo:
		case <-c.ctx.Done():
		}
		c.mu.Lock()
		c.readWait, c.reading = false, true
		c.conn.Heard(c.now())
	}
	c.queue = append(c.queue, b)
	c.queued += cap(b.buf)
	if n := len(c.waiters.receivers); n > 0 {
		i := c.waiters.receivers[0]
		c.waiters.receivers = append(c.waiters.receivers[:0], c.waiters.receivers[1:]...)
		c.waiters.answer(i, nil)
	}
	c.mu.Unlock()
	return nil
}

// letReaderLocked lets a waiting reader look again.
func (c *Client) letReaderLocked() {
	if c.readWait {
		select {
		case c.readerGo <- struct{}{}:
		default:
		}
	}
}

// Receive waits for messages and returns what one read of the connection
// brought. The caller acknowledges with Ack what it has dealt with, in order
// (MQTT-4.6.0-2), and gives the batch back with Release. Waiting messages are
// still returned after the connection has ended; then comes the reason,
// ErrClosed after Close. When ctx has ended, Receive returns its error and
// takes nothing.
//
// Behind a loop over Messages that was left, Receive goes on as the next loop
// would: it acknowledges the message that the loop had in hand and returns the
// rest of its read. While such a loop runs, the error is ErrReceiving.
func (c *Client) Receive(ctx context.Context) (*Batch, error) {
	b, err := c.takeCursor(ctx, false)
	if err != nil {
		return nil, err
	}
	if b = b.behind(); b == nil {
		return c.receive(ctx)
	}
	b.Messages, b.taken, b.acked = b.Messages[b.taken:], 0, 0
	return b, nil
}

// takeCursor takes the batch that the loop over Messages last left had in hand;
// nil is none. With loop, the caller is the loop that goes on from there.
func (c *Client) takeCursor(ctx context.Context, loop bool) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looping {
		return nil, ErrReceiving
	}
	b := c.cursor
	c.cursor, c.looping = nil, loop
	return b, nil
}

// behind acknowledges what a loop has taken of b, and gives b back when that
// was all of it: then it returns nil.
func (b *Batch) behind() *Batch {
	if b == nil {
		return nil
	}
	b.Ack(b.taken)
	if b.taken < len(b.Messages) {
		return b
	}
	b.Release()
	return nil
}

// receive is Receive for what no loop has begun.
func (c *Client) receive(ctx context.Context) (*Batch, error) {
	if c.opt.PublishOnly {
		return nil, ErrUnreceived
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	for {
		if len(c.queue) > 0 {
			b := c.queue[0]
			c.queue[copy(c.queue, c.queue[1:])] = nil
			c.queue = c.queue[:len(c.queue)-1]
			c.queued -= cap(b.buf)
			c.letReaderLocked()
			c.mu.Unlock()
			return b, nil
		}
		if c.ended != nil {
			err := c.ended
			c.mu.Unlock()
			return nil, err
		}
		me := c.waiters.park()
		c.waiters.receivers = append(c.waiters.receivers, me)
		c.mu.Unlock()
		answered, err := c.await(ctx, me)
		if !answered {
			return nil, err
		}
		c.mu.Lock()
		c.waiters.release(me)
	}
}

// Waiting tells whether Receive would return at once with messages.
func (c *Client) Waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) > 0 || c.cursor != nil && c.cursor.taken < len(c.cursor.Messages)
}

// Ack acknowledges the first n messages of the batch, as far as that has not
// been done. A message that came on an earlier connection is left to its
// redelivery at QoS 1; at QoS 2 it is remembered and not delivered again.
func (b *Batch) Ack(n int) {
	c := b.c
	first := true
	for ; b.acked < n; b.acked++ {
		m := &b.Messages[b.acked]
		if m.QoS == 0 {
			continue
		}
		if first {
			c.mu.Lock()
			first = false
		}
		if b.gen == c.gen && c.nc != nil {
			c.conn.Ack(m.QoS, m.PacketID, 0)
		} else if b.gen >= c.born {
			c.conn.AckLate(m.QoS, m.PacketID)
		}
	}
	if !first {
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.wake(wake)
	}
}

// Release gives the batch's memory back. It acknowledges nothing.
func (b *Batch) Release() {
	c := b.c
	if cap(b.buf) > 4*largeBuffer {
		b.buf = make([]byte, 0, smallBuffer)
	}
	clear(b.Messages)
	c.mu.Lock()
	if len(c.pool) < 2*queueLow {
		c.pool = append(c.pool, b)
	}
	c.mu.Unlock()
}

// Messages yields received messages one by one. Taking the next one
// acknowledges the last; leaving the loop does not acknowledge the message in
// hand, and a kept session will bring it again if the connection ends before
// the next loop. That one, or the next Receive, goes on behind the last message
// taken and acknowledges it first. A message is valid until the next step. The
// sequence ends with an error when ctx or the client ends, and at once with
// ErrReceiving while another loop runs.
func (c *Client) Messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		b, err := c.takeCursor(ctx, true)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { // however the body ends it
			c.mu.Lock()
			c.cursor, c.looping = b, false
			c.mu.Unlock()
		}()
		for {
			if b = b.behind(); b == nil || ctx.Err() != nil {
				next, err := c.receive(ctx)
				if err != nil {
					yield(nil, err)
					return
				}
				b = next
			}
			b.taken++
			if !yield(&b.Messages[b.taken-1], nil) {
				return
			}
		}
	}
}
