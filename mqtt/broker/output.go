package broker

import (
	"sync"
	"time"
)

// output is a buffer for what is to be written. Connections have one from the
// pool while something is.
type output struct{ b []byte }

var outputs = sync.Pool{New: func() any { return &output{make([]byte, 0, minOutput)} }}

// Capacities, in bytes, between which a buffer is kept.
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

// outlet is the state of a connection's writing. Guarded by client.mu, but for flushed,
// which stays what it is.
type outlet struct {
	buffer  *output       // has the engine's buffer; nil while that has none or made it itself
	mute    error         // why nothing can be written anymore; what the socket has is heard out still
	by      uint64        // number of the connection that published to it alone last
	drain   chan struct{} // run waits for the writer to take the output
	flushed chan struct{} // closed when the connection is over and nothing is left to write

	writing  bool // somebody writes
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

// lendLocked gives the engine a buffer for its output if it has none. client.mu is
// held.
func (c *conn) lendLocked() {
	if c.out.buffer == nil && c.sc.Pending() == 0 {
		c.out.buffer = outputs.Get().(*output)
		_ = c.sc.Swap(c.out.buffer.b, 0) // nothing
	}
}

// swapLocked takes the output of the engine and leaves it another buffer; what it
// returns is the one with the output. client.mu is held.
func (c *conn) swapLocked(spare *output, now time.Duration) *output {
	full := c.out.buffer
	if full == nil {
		full = new(output) // the engine has made it
	}
	full.b, c.out.buffer = c.sc.Swap(spare.b[:0], now), spare
	return full
}

// settleLocked takes the engine's empty buffer away. client.mu is held.
func (c *conn) settleLocked() {
	if c.out.buffer != nil {
		c.out.buffer.b = c.sc.Swap(nil, 0)
		c.out.buffer.release()
		c.out.buffer = nil
	}
}

// hushLocked throws away what nobody takes anymore. client.mu is held.
func (c *conn) hushLocked() {
	if c.out.buffer == nil {
		c.sc.Swap(nil, 0)
	}
	c.settleLocked()
}
