package mqtt

import (
	"context"
	"iter"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Batch holds the messages of one read of the connection. They are views into
// its buffer and valid until Release.
type Batch struct {
	Messages []Message

	c     *Client
	gen   uint64
	buf   []byte
	acked int
	taken int    // messages taken by a loop over Client.Messages
	full  bool   // the last read filled the buffer
	owed  []owed // what Ack sends, if Messages does not say it: a Mux has handled other messages between these
}

// inbox holds what has been read but not received. Client.mu must be held,
// except for readerGo, which never changes.
type inbox struct {
	queue   []*Batch
	bytes   int      // in queue
	pool    []*Batch // batches to read into
	cursor  *Batch   // the batch of the last message that a loop over Messages took; nil while one runs
	looping bool     // a loop over Messages or a Mux is running

	reading  bool          // there is a connection, and the reader does not wait for readerGo
	waiting  bool          // the reader waits for readerGo
	readerGo chan struct{} // 1 slot: the queue has room again
}

// put appends a batch to the queue.
func (in *inbox) put(b *Batch) {
	in.queue = append(in.queue, b)
	in.bytes += cap(b.buf)
}

// next removes and returns the first batch of the queue, or returns nil.
func (in *inbox) next() *Batch {
	if len(in.queue) == 0 {
		return nil
	}
	b := in.queue[0]
	in.queue[copy(in.queue, in.queue[1:])] = nil
	in.queue = in.queue[:len(in.queue)-1]
	in.bytes -= cap(b.buf)
	return b
}

// letReader wakes a waiting reader.
func (in *inbox) letReader() {
	if in.waiting {
		select {
		case in.readerGo <- struct{}{}:
		default:
		}
	}
}

// spare takes a batch from the pool, or returns nil if it is empty.
func (in *inbox) spare() *Batch {
	n := len(in.pool)
	if n == 0 {
		return nil
	}
	b := in.pool[n-1]
	in.pool = in.pool[:n-1]
	return b
}

// keep returns a batch to the pool if there is room.
func (in *inbox) keep(b *Batch) {
	if len(in.pool) < 2*queueLow {
		in.pool = append(in.pool, b)
	}
}

// grow makes room for a packet of need bytes. It at most doubles the buffer, so
// that memory use follows the bytes received and not a length that the peer
// claims.
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

// takeBatch returns an empty batch with room for a packet of need bytes, or for
// as much of it as is allocated at once.
func (c *Client) takeBatch(need int) *Batch {
	c.mu.Lock()
	b := c.inbox.spare()
	c.mu.Unlock()
	if b == nil {
		b = &Batch{c: c, buf: make([]byte, 0, smallBuffer)}
	}
	b.Messages, b.buf, b.acked, b.taken, b.full = b.Messages[:0], b.buf[:0], 0, 0, false
	b.owed = nil
	if need > cap(b.buf) {
		b.buf = make([]byte, 0, min(need, largeBuffer))
	}
	return b
}

// deliver queues a batch for Receive. It waits while the application is behind,
// unless a call waits for something that is not read yet.
func (c *Client) deliver(b *Batch) error {
	c.mu.Lock()
	for len(c.inbox.queue) >= queueLow && c.ended == nil && !c.farewell.closing && c.nc != nil {
		if c.waiters.onReader > 0 {
			if c.inbox.bytes < spillLimit {
				break
			}
			c.mu.Unlock()
			return &Error{Op: "connection", Class: ErrInDoubt, Err: ErrBacklog}
		}
		c.inbox.waiting, c.inbox.reading = true, false
		c.mu.Unlock()
		select {
		case <-c.inbox.readerGo:
		case <-c.ctx.Done():
		}
		c.mu.Lock()
		c.inbox.waiting, c.inbox.reading = false, true
		c.conn.Heard(c.now())
	}
	c.inbox.put(b)
	if n := len(c.waiters.receivers); n > 0 {
		i := c.waiters.receivers[0]
		c.waiters.receivers = append(c.waiters.receivers[:0], c.waiters.receivers[1:]...)
		c.waiters.answer(i, nil)
	}
	c.mu.Unlock()
	return nil
}

// Receive waits for messages and returns those of one read of the connection.
// The caller acknowledges the messages it has processed with Ack, in order
// (MQTT-4.6.0-2), and returns the batch with Release. After the connection has
// ended, Receive still returns the messages that are waiting, and then the
// reason, which is ErrClosed after Close. When ctx has ended, Receive returns
// its error and takes nothing.
//
// After a loop over Messages was left, Receive continues as the next loop
// would: it acknowledges the last message that the loop took and returns the
// remaining messages of that read. After [Mux.Serve], it continues with the
// messages that no handler has handled. While such a loop or Serve runs, the
// error is ErrReceiving.
func (c *Client) Receive(ctx context.Context) (*Batch, error) {
	b, err := c.takeCursor(ctx, false)
	if err != nil {
		return nil, err
	}
	if b = b.rest(); b == nil {
		return c.receive(ctx)
	}
	return b, nil
}

// takeCursor takes the batch in which the last loop over Messages stopped, or
// returns nil. loop is set if the caller is a loop that continues there.
func (c *Client) takeCursor(ctx context.Context, loop bool) (*Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox.looping {
		return nil, ErrReceiving
	}
	b := c.inbox.cursor
	c.inbox.cursor, c.inbox.looping = nil, loop
	return b, nil
}

// behind acknowledges the messages that a loop has taken from b. If that was
// all of them, it releases b and returns nil.
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

// rest is behind for a caller that needs a batch of the messages that no loop
// has taken.
func (b *Batch) rest() *Batch {
	if b = b.behind(); b == nil {
		return nil
	}
	for i := range b.owed {
		b.owed[i].after -= b.taken
	}
	b.Messages, b.taken, b.acked = b.Messages[b.taken:], 0, 0
	return b
}

// receive is Receive for batches that no loop has started.
func (c *Client) receive(ctx context.Context) (*Batch, error) {
	if c.opt.PublishOnly {
		return nil, ErrUnreceived
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	for {
		if b := c.inbox.next(); b != nil {
			c.inbox.letReader()
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

// Waiting reports whether Receive would return at once with messages.
func (c *Client) Waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inbox.queue) > 0 || c.inbox.cursor != nil && c.inbox.cursor.taken < len(c.inbox.cursor.Messages)
}

// Ack acknowledges those of the first n messages of the batch that are not
// acknowledged yet. A message from an earlier connection is not acknowledged:
// at QoS 1 the server delivers it again, at QoS 2 it is remembered and not
// delivered again.
func (b *Batch) Ack(n int) {
	if b.owed != nil {
		b.ackOwed(n)
		return
	}
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
		c.ackLocked(b.gen, m.QoS, m.PacketID)
	}
	if !first {
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.out.wake(wake)
	}
}

// ackLocked acknowledges a message of connection gen.
func (c *Client) ackLocked(gen uint64, qos packet.QoS, id uint16) {
	if gen == c.gen && c.nc != nil {
		c.conn.Ack(qos, id, 0)
		c.replies.acked++
		c.ackRepliesLocked()
	} else if gen >= c.sessionGen {
		c.conn.AckLate(qos, id)
	}
}

// Release returns the batch's memory to the client. It acknowledges nothing.
func (b *Batch) Release() {
	c := b.c
	if cap(b.buf) > 4*largeBuffer {
		b.buf = make([]byte, 0, smallBuffer)
	}
	clear(b.Messages)
	c.mu.Lock()
	c.inbox.keep(b)
	c.mu.Unlock()
}

// Messages returns an iterator over received messages. Taking the next message
// acknowledges the previous one. Leaving the loop does not acknowledge the last
// message: a kept session delivers it again if the connection ends before the
// next loop. The next loop, or the next Receive, continues after that message
// and acknowledges it first. A message is valid until the next step. The
// sequence ends with an error when ctx or the client ends, and at once with
// ErrReceiving while another loop or [Mux.Serve] runs.
func (c *Client) Messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		b, err := c.takeCursor(ctx, true)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { // also if the loop body panics or exits
			c.mu.Lock()
			c.inbox.cursor, c.inbox.looping = b, false
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
			m := &b.Messages[b.taken-1]
			m.Decode()
			if !yield(m, nil) {
				return
			}
		}
	}
}
