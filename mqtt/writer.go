package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// slowWrite is how long a write takes that had to wait for the peer.
const slowWrite = 10 * time.Millisecond

// keepBuffer is the largest output buffer, in bytes, that is kept for the
// next batch.
const keepBuffer = 1 << 20

// wakeLocked tells whether the writer must be woken, which the caller does
// with wake after unlocking. Whoever is writing looks for more afterwards.
func (c *Client) wakeLocked() bool {
	if c.writerIdle && !c.writing && c.conn.Pending() > 0 && c.nc != nil {
		c.writerIdle = false
		return true
	}
	return false
}

func (c *Client) wake(needed bool) {
	if needed {
		select {
		case c.wakeWriter <- struct{}{}:
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
		if c.writing || c.nc == nil || c.conn.Pending() == 0 {
			c.writerIdle = true
			c.mu.Unlock()
			select {
			case <-c.wakeWriter:
			case <-c.ctx.Done():
				<-c.wakeWriter // of end
			}
			continue
		}
		c.writeBatch() // unlocks
	}
}

// inlineMost is how many bytes a calling goroutine writes itself at most.
const inlineMost = 64 << 10

// flushInline writes what there is from the calling goroutine, unless
// somebody else is writing: a call that is going to wait anyway saves the
// switch to the writer. What may take time is left to the writer, because no
// context interrupts a write. It is called with mu and unlocks it.
func (c *Client) flushInline() {
	if c.writing || c.nc == nil || c.conn.Pending() == 0 {
		c.mu.Unlock()
		return
	}
	if c.slow || c.conn.Pending() > inlineMost {
		wake := c.wakeLocked()
		c.mu.Unlock()
		c.wake(wake)
		return
	}
	c.writeBatch()
	c.mu.Lock()
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.wake(wake)
}

// writeBatch swaps the buffers and writes. Called with mu, which it unlocks.
func (c *Client) writeBatch() {
	c.writing = true
	buf := c.conn.Swap(c.spare, c.now())
	c.spare = nil
	nc, gen := c.nc, c.gen
	version := c.version
	limit := c.conn.KeepAlive()
	c.roomLocked()
	c.mu.Unlock()

	if c.opt.Trace != nil {
		c.traceOut(buf, version)
	}
	if limit < 30*time.Second {
		limit = 30 * time.Second
	}
	start := time.Now()
	err := c.sync()
	if err == nil {
		if err = writeAll(nc, buf, limit); err != nil {
			err = &Error{Op: "connection", Class: ErrInDoubt, Err: c.writeError(nc, err, limit)}
		}
	}

	if cap(buf) > keepBuffer {
		buf = nil
	}
	c.mu.Lock()
	c.slow = time.Since(start) > slowWrite
	c.spare = buf[:0]
	c.writing = false
	c.answerAll(&c.idlers)
	if c.sess.Open() == 0 && len(c.flushers) > 0 {
		c.answerAll(&c.flushers)
	}
	c.mu.Unlock()
	if err != nil {
		c.breakConn(gen, err)
	}
}

// awaitBatch waits for the batch under way to be written; false says that ctx has
// ended first. Called with mu, which it unlocks meanwhile.
func (c *Client) awaitBatch(ctx context.Context) bool {
	me := c.park()
	c.idlers = append(c.idlers, me)
	c.mu.Unlock()
	answered, _ := c.await(ctx, me)
	c.mu.Lock()
	if answered {
		c.freeLocked(me)
	}
	return answered
}

// writeError says why a write of this client's failed.
func (c *Client) writeError(nc net.Conn, err error, limit time.Duration) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return lost{fmt.Errorf("the server has not read for %v", limit)}
	}
	return lost{c.transportErrorOf(nc, err)}
}

// writeAll writes buf in pieces of at most 256 KiB, each within the limit, so
// that a slow peer that still reads is not taken for a dead one.
func writeAll(nc net.Conn, buf []byte, limit time.Duration) error {
	for len(buf) > 0 {
		piece := buf[:min(len(buf), highWater)]
		if err := nc.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
		n, err := nc.Write(piece)
		if err != nil {
			return err
		}
		buf = buf[n:]
	}
	return nil
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
