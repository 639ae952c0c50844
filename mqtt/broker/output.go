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

// lendLocked gives the engine a buffer for its output if it has none. client.mu is
// held.
func (c *conn) lendLocked() {
	if c.out == nil && c.sc.Pending() == 0 {
		c.out = outputs.Get().(*output)
		_ = c.sc.Swap(c.out.b, 0) // nothing
	}
}

// swapLocked takes the output of the engine and leaves it another buffer; what it
// returns is the one with the output. client.mu is held.
func (c *conn) swapLocked(spare *output, now time.Duration) *output {
	full := c.out
	if full == nil {
		full = new(output) // the engine has made it
	}
	full.b, c.out = c.sc.Swap(spare.b[:0], now), spare
	return full
}

// settleLocked takes the engine's empty buffer away. client.mu is held.
func (c *conn) settleLocked() {
	if c.out != nil {
		c.out.b = c.sc.Swap(nil, 0)
		c.out.release()
		c.out = nil
	}
}

// hushLocked throws away what nobody takes anymore. client.mu is held.
func (c *conn) hushLocked() {
	if c.out == nil {
		c.sc.Swap(nil, 0)
	}
	c.settleLocked()
}
