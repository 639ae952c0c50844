package mqtt

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// keepBuffer is the largest output buffer, in bytes, that is kept for the next
// batch.
const keepBuffer = 1 << 20

// output is the state of writing. Client.mu must be held, except for
// wakeWriter, which never changes.
type output struct {
	writing    bool       // a goroutine is in Write, or there is rest
	pingUnder  bool       // the data being written includes a PINGREQ
	idle       bool       // the writer waits for wakeWriter
	torn       bool       // a write to nc failed, maybe in the middle of a packet
	raw        *rawWriter // writes to nc without waiting; nil if it cannot
	rest       []byte     // what such a write has left to the writer
	spare      []byte     // the buffer to swap with that of the session
	patience   patience
	wakeWriter chan struct{} // 1 slot
}

// wakeLocked reports whether the writer must be woken, which the caller does
// with wake after unlocking. A goroutine that is writing checks for more
// afterwards.
func (c *Client) wakeLocked() bool {
	if c.out.idle && (len(c.out.rest) > 0 || !c.out.writing && !c.out.torn && c.conn.Pending() > 0 && c.nc != nil) {
		c.out.idle = false
		return true
	}
	return false
}

// wake wakes the writer if needed is true. It needs no lock.
func (o *output) wake(needed bool) {
	if needed {
		select {
		case o.wakeWriter <- struct{}{}:
		default:
		}
	}
}

// write is the writing goroutine: while there is output and no other goroutine
// writes, it swaps the buffers and writes all of it at once.
func (c *Client) write() {
	defer c.leave()
	for {
		c.mu.Lock()
		if c.ended != nil {
			c.mu.Unlock()
			return
		}
		if len(c.out.rest) == 0 && (c.out.writing || c.out.torn || c.nc == nil || c.conn.Pending() == 0) {
			c.out.idle = true
			c.mu.Unlock()
			select {
			case <-c.out.wakeWriter:
			case <-c.ctx.Done():
				<-c.out.wakeWriter // sent by end
			}
			continue
		}
		c.writeBatchLocked() // unlocks c.mu
	}
}

// flushInlineLocked writes the pending output from the calling goroutine,
// unless another one is writing: a call that is about to wait saves the switch
// to the writer. It writes as much as it can without waiting, because no
// context interrupts a write, and leaves the rest to the writer. It leaves
// everything to the writer if the connection cannot write without waiting, or
// if there is a journal, whose Sync takes time. It unlocks c.mu.
func (c *Client) flushInlineLocked() {
	if c.out.writing || c.out.torn || c.nc == nil || c.conn.Pending() == 0 {
		c.mu.Unlock()
		return
	}
	if c.out.raw == nil || c.opt.Journal != nil {
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.out.wake(wake)
		return
	}
	buf := c.takeOutputLocked()
	nc, raw, gen, version := c.nc, c.out.raw, c.gen, c.agreed.version
	c.mu.Unlock()
	if c.opt.Trace != nil {
		c.traceOut(buf, version)
	}
	n, err := raw.write(buf)
	if err != nil {
		err = &Error{Op: "connection", Class: ErrInDoubt, Err: c.writeError(nc, err)}
	}
	c.wrote(gen, buf, n, err)
	c.mu.Lock()
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
}

// takeOutputLocked swaps the buffers for a write.
func (c *Client) takeOutputLocked() []byte {
	c.out.writing, c.out.pingUnder = true, c.conn.PingWaits()
	buf := c.conn.Swap(c.out.spare, c.now())
	c.out.spare = nil
	c.roomLocked()
	return buf
}

// writeBatchLocked writes the pending output, and waits for it. It unlocks
// c.mu.
func (c *Client) writeBatchLocked() {
	buf, begun := c.out.rest, len(c.out.rest) > 0
	c.out.rest = nil
	if !begun {
		buf = c.takeOutputLocked()
	}
	nc, gen, version := c.nc, c.gen, c.agreed.version
	limit := max(c.conn.KeepAlive(), 30*time.Second)
	c.mu.Unlock()

	if c.opt.Trace != nil && !begun {
		c.traceOut(buf, version)
	}
	err := c.sync()
	if err == nil {
		if err = c.writeAll(gen, nc, buf, limit); err != nil {
			err = &Error{Op: "connection", Class: ErrInDoubt, Err: c.writeError(nc, err)}
		}
	}
	c.wrote(gen, buf, len(buf), err)
}

// wrote records the end of a write of n bytes of buf, or its error.
func (c *Client) wrote(gen uint64, buf []byte, n int, err error) {
	c.mu.Lock()
	current := gen == c.gen && c.nc != nil
	switch {
	case err != nil && current:
		c.out.torn = true
		c.failLocked(err)
	case n < len(buf) && current:
		c.out.rest = buf[n:]
		c.mu.Unlock()
		return
	}
	if c.out.pingUnder && current {
		c.conn.Pinged(c.now())
	}
	if cap(buf) > keepBuffer {
		buf = nil
	}
	c.out.spare = buf[:0]
	c.out.writing = false
	c.waiters.answerAll(&c.waiters.writeWaiters)
	c.mu.Unlock()
	if err != nil {
		c.breakConn(gen, err)
	}
}

// awaitBatchLocked waits until the current batch is written; it returns false
// if ctx ends first. It unlocks c.mu while it waits.
func (c *Client) awaitBatchLocked(ctx context.Context) bool {
	me := c.waiters.park()
	c.waiters.writeWaiters = append(c.waiters.writeWaiters, me)
	c.mu.Unlock()
	answered, _ := c.await(ctx, me)
	c.mu.Lock()
	if answered {
		c.waiters.release(me)
	}
	return answered
}

// writeError returns why a write of this client failed.
func (c *Client) writeError(nc net.Conn, err error) error {
	return lost{c.transportErrorOf(nc, err)}
}

// patience is how long a write may wait for the peer. It does not use the
// connection's deadlines, which not every net.Conn supports.
type patience struct {
	timer *time.Timer
	limit time.Duration // 0 while nothing is being written
	until time.Duration // in the client's time
	gen   uint64        // of the connection
}

// bePatient begins a write with a limit; a limit of 0 ends one.
func (c *Client) bePatient(gen uint64, limit time.Duration) {
	c.mu.Lock()
	p := &c.out.patience
	p.gen, p.limit, p.until = gen, limit, c.now()+limit
	if limit > 0 {
		p.timer.Reset(limit)
	} else {
		p.timer.Stop()
	}
	c.mu.Unlock()
}

// stalled runs when a write has taken too long.
func (c *Client) stalled() {
	c.mu.Lock()
	p := c.out.patience
	over := p.limit > 0 && c.now() >= p.until
	c.mu.Unlock()
	if over {
		c.breakConn(p.gen, &Error{Op: "connection", Class: ErrInDoubt, Err: lost{fmt.Errorf("the server has not read for %v", p.limit)}})
	}
}

// writePiece is how many bytes a peer must take within the limit of a write:
// with 30 s a link may be as slow as about 2 kB/s.
const writePiece = 64 << 10

// writeAll writes buf in pieces, each within the limit, so that a slow peer
// that still reads is not taken for a dead one.
func (c *Client) writeAll(gen uint64, nc net.Conn, buf []byte, limit time.Duration) error {
	for len(buf) > 0 {
		c.bePatient(gen, limit)
		n, err := nc.Write(buf[:min(len(buf), writePiece)])
		if err != nil || n == len(buf) {
			c.bePatient(gen, 0)
			return err
		}
		buf = buf[n:]
	}
	return nil
}

// bounded runs f, and interrupts its use of nc when it takes longer than d or
// when ctx ends.
func bounded(ctx context.Context, nc net.Conn, d time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	defer interrupt(ctx, nc)()
	return f()
}

// interrupt interrupts calls that wait for nc when ctx ends. It sets a
// deadline, after which more may still be written; if nc has no deadlines, or
// the deadline does not help, it closes the stream below TLS, because closing
// TLS itself might have to wait. stop cancels that, and reports whether it was
// called before ctx ended.
func interrupt(ctx context.Context, nc net.Conn) (stop func() bool) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	before := context.AfterFunc(ctx, func() {
		defer close(ended)
		if nc.SetDeadline(time.Unix(1, 0)) == nil {
			select {
			case <-stopped:
				return
			case <-time.After(time.Second):
			}
		}
		_ = transport.UnderlyingConn(nc).Close()
	})
	return func() bool {
		close(stopped)
		if before() {
			return true
		}
		<-ended
		return false
	}
}

func (c *Client) traceOut(buf []byte, v packet.Version) {
	for len(buf) > 0 {
		f, n, err := packet.Split(buf, v, 0)
		if err != nil || n == 0 {
			return
		}
		c.opt.Trace(true, f, v)
		buf = buf[n:]
	}
}
