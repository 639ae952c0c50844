package mqtt

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// keepBuffer is the largest output buffer, in bytes, that is kept for the
// next batch.
const keepBuffer = 1 << 20

// output is the state of writing: who does it, and what is left of it. Guarded by
// Client.mu, but for wakeWriter, which stays what it is.
type output struct {
	writing    bool       // somebody is in Write, or there is rest
	pingUnder  bool       // with a PINGREQ among it
	idle       bool       // the writer waits for wakeWriter
	torn       bool       // a write to nc failed: what follows would stand in the middle of a packet
	raw        *rawWriter // writes to nc without waiting; nil if it cannot
	rest       []byte     // what such a write has left to the writer
	spare      []byte     // the buffer to swap for the engine's
	patience   patience
	wakeWriter chan struct{} // 1 slot
}

// wakeLocked reports whether the writer must be woken, which the caller does
// with wake after unlocking. Whoever is writing looks for more afterwards.
func (c *Client) wakeLocked() bool {
	if c.out.idle && (len(c.out.rest) > 0 || !c.out.writing && !c.out.torn && c.conn.Pending() > 0 && c.nc != nil) {
		c.out.idle = false
		return true
	}
	return false
}

// wake wakes the writer if that is needed. It needs no lock.
func (o *output) wake(needed bool) {
	if needed {
		select {
		case o.wakeWriter <- struct{}{}:
		default:
		}
	}
}

// write is the writing goroutine: while there is output and nobody writes, it
// swaps the buffers and writes all of it at once.
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
				<-c.out.wakeWriter // of end
			}
			continue
		}
		c.writeBatchLocked() // unlocks
	}
}

// flushInlineLocked writes what there is from the calling goroutine, unless
// somebody else is writing: a call that is going to wait anyway saves the
// switch to the writer. It writes as much as goes without waiting, because no
// context interrupts a write, and leaves the rest to the writer; so it does
// with connections that cannot write without waiting, and with a journal, whose
// Sync takes its time. It unlocks mu.
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

// writeBatchLocked writes what there is, and waits for it. It unlocks mu.
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

// wrote is the end of a write: of n bytes of buf, or with an error.
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
	c.waiters.answerAll(&c.waiters.idlers)
	c.mu.Unlock()
	if err != nil {
		c.breakConn(gen, err)
	}
}

// awaitBatchLocked waits for the batch under way to be written; false says that ctx has
// ended first. It unlocks mu meanwhile.
func (c *Client) awaitBatchLocked(ctx context.Context) bool {
	me := c.waiters.park()
	c.waiters.idlers = append(c.waiters.idlers, me)
	c.mu.Unlock()
	answered, _ := c.await(ctx, me)
	c.mu.Lock()
	if answered {
		c.waiters.release(me)
	}
	return answered
}

// writeError says why a write of this client's failed.
func (c *Client) writeError(nc net.Conn, err error) error {
	return lost{c.transportErrorOf(nc, err)}
}

// patience is how long a write may wait for the peer. It is no deadline of the
// connection's, which not every net.Conn has.
type patience struct {
	timer *time.Timer
	limit time.Duration // 0 while nobody writes
	until time.Duration // in the client's time
	gen   uint64        // of the connection
}

// bePatient begins a write with a limit, or with 0 ends one.
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

// writePiece is how many bytes a peer must take within the limit of a write: with
// 30 s a link may be as slow as some 2 kB/s.
const writePiece = 64 << 10

// writeAll writes buf in pieces, each within the limit, so that a slow peer that
// still reads is not taken for a dead one.
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

// bounded runs f, and interrupts its use of nc when that takes longer than d or
// than ctx lasts.
func bounded(ctx context.Context, nc net.Conn, d time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	defer interrupt(ctx, nc)()
	return f()
}

// interrupt ends what waits for nc when ctx ends: by a deadline, after which
// something may still be said, or where there is none, or it does not help, by
// closing; below TLS, whose own goodbye might have to wait. stop ends that, and
// reports whether it came before ctx's end.
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
		_ = transport.Raw(nc).Close()
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
