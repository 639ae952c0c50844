package broker

import (
	"sync"
	"time"
)

// output is a buffer for data to be written. A connection has one from the pool only
// while there is any.
type output struct{ b []byte }

var outputs = sync.Pool{New: func() any { return &output{make([]byte, 0, minOutput)} }}

// Buffers with a capacity between these, in bytes, are kept.
const (
	minOutput = 1 << 8
	maxOutput = outSoft
)

func (o *output) release() {
	o.b = o.b[:0]
	if cap(o.b) >= minOutput && cap(o.b) <= maxOutput {
		outputs.Put(o)
	}
}

// outlet is the state of a connection's writing. client.mu guards it, except flushed,
// which never changes.
type outlet struct {
	buffer  *output       // holds the engine's buffer; nil while the engine has none or has made its own
	mute    error         // why nothing can be written any more; input in the socket is still handled
	by      uint64        // number of the last connection that published to it alone
	drain   chan struct{} // run waits for the writer to take the output
	flushed chan struct{} // closed when the connection is over and nothing is left to write

	writing  bool // a goroutine writes
	touched  bool // in some touched list
	isClosed bool // flushed is closed
}

// drained wakes run.
func (o *outlet) drained() {
	if o.drain != nil {
		close(o.drain)
		o.drain = nil
	}
}

// lendLocked gives the engine a buffer for its output if it has none. client.mu must be
// held.
func (c *conn) lendLocked() {
	if c.out.buffer == nil && c.sc.Pending() == 0 {
		c.out.buffer = outputs.Get().(*output)
		_ = c.sc.Swap(c.out.buffer.b, 0) // returns nothing
	}
}

// swapLocked takes the output of the engine and gives it another buffer. It returns the
// one with the output. client.mu must be held.
func (c *conn) swapLocked(spare *output, now time.Duration) *output {
	full := c.out.buffer
	if full == nil {
		full = new(output) // the engine has made it
	}
	full.b, c.out.buffer = c.sc.Swap(spare.b[:0], now), spare
	return full
}

// settleLocked returns the engine's empty buffer to the pool. client.mu must be held.
func (c *conn) settleLocked() {
	if c.out.buffer != nil {
		c.out.buffer.b = c.sc.Swap(nil, 0)
		c.out.buffer.release()
		c.out.buffer = nil
	}
}

// hushLocked discards output that can no longer be written. client.mu must be held.
func (c *conn) hushLocked() {
	if c.out.buffer == nil {
		c.sc.Swap(nil, 0)
	}
	c.settleLocked()
}
