package mqtt

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Close ends the client: the acknowledgements of messages sent are awaited
// until ctx ends, DISCONNECT is sent, and the stream is closed in good order,
// which waits at most a second for the server to close its side. The error
// tells if messages stay unacknowledged, or the reason of a server that
// disconnects meanwhile; Stats.Unwritten counts messages at
// QoS 0 if the server's end was not seen. Close may be called again and then
// only waits.
func (c *Client) Close(ctx context.Context) error {
	return c.CloseWith(ctx, &packet.Disconnect{})
}

// CloseWith is Close with a DISCONNECT of the caller's: in 5.0 reason
// DisconnectWithWill lets the server publish the will.
func (c *Client) CloseWith(ctx context.Context, p *packet.Disconnect) error {
	flushErr := c.flush(ctx, false)
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		<-c.done
		return nil
	}
	c.closing = true
	open := c.sess.Open()
	c.letReaderLocked()
	// Disconnect goes behind everything that is still to be written.
	c.conn.Disconnect(p)
	nc := c.nc
	// Wait for the batch under way, and again if the writer was faster in
	// taking the next.
	for leave := false; c.writing && !leave; {
		me := c.park()
		c.idlers = append(c.idlers, me)
		c.mu.Unlock()
		answered, _ := c.await(ctx, me)
		c.mu.Lock()
		if answered {
			c.freeLocked(me)
		}
		leave = !answered
	}
	var out []byte
	if nc != nil && c.nc == nc && !c.writing {
		out = c.conn.Swap(nil, c.now())
		c.writing = true // for good
	}
	version := c.conn.Version()
	c.mu.Unlock()
	if nc != nil {
		if c.opt.Trace != nil {
			c.traceOut(out, version)
		}
		if c.sync() == nil {
			_ = writeAll(nc, out, 5*time.Second) // goodbye finds out
		}
		c.goodbye(ctx, nc)
	}
	c.stop(ErrClosed)
	if nc != nil {
		nc.Close()
	}
	<-c.done
	if open > 0 {
		class := ErrInDoubt
		if c.opt.Resume || c.opt.SessionExpiry > 0 {
			class = ErrKept
		}
		return &Error{Op: "close", Class: class, Text: strconv.Itoa(open) + " messages not acknowledged", Err: flushErr}
	}
	if flushErr != nil && !errors.Is(flushErr, ErrClosed) {
		return flushErr
	}
	if err := c.Err(); nc != nil && !errors.Is(err, ErrClosed) {
		return err // the server's own DISCONNECT
	}
	return nil
}

// goodbye half-closes the stream and lets the reader see the server's end of
// it, at most a second, so that closing does not reset what was written.
func (c *Client) goodbye(ctx context.Context, nc net.Conn) {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	select {
	case <-c.done:
	case <-ctx.Done():
	}
}

// Abort ends the client at once, without DISCONNECT: the server publishes the
// will.
func (c *Client) Abort() {
	c.mu.Lock()
	c.closing = true
	nc := c.nc
	c.letReaderLocked()
	c.mu.Unlock()
	c.stop(ErrClosed)
	if nc != nil {
		nc.Close()
	}
	<-c.done
}
