package mqtt

import (
	"context"
	"crypto/tls"
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
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return &Error{Op: "close", Class: ErrInDoubt, Err: ctx.Err()}
		}
	}
	c.closing = true
	open := c.sess.Open()
	c.letReaderLocked()
	// Disconnect goes behind everything that is still to be written.
	c.conn.Disconnect(p)
	nc := c.nc
	// Wait for the batch under way, and again if the writer was faster in
	// taking the next.
	for c.writing && c.awaitBatch(ctx) {
	}
	var out []byte
	if nc != nil && c.nc == nc && !c.writing {
		out = c.conn.Swap(nil, c.now())
		c.writing = true // for good
	}
	version := c.conn.Version()
	c.mu.Unlock()
	var lastErr error
	if nc != nil {
		if c.opt.Trace != nil {
			c.traceOut(out, version)
		}
		if out != nil && c.sync() == nil {
			if lastErr = c.writeLast(ctx, nc, out); lastErr == nil {
				lastErr = c.goodbye(ctx, nc)
			}
		}
	}
	c.stop(ErrClosed)
	if nc != nil {
		nc.Close()
	}
	<-c.done
	if open > 0 {
		class := ErrInDoubt
		if c.opt.Journal != nil {
			class = ErrKept
		}
		return &Error{Op: "close", Class: class, Text: strconv.Itoa(open) + " messages not acknowledged", Err: flushErr}
	}
	if flushErr != nil && !errors.Is(flushErr, ErrClosed) {
		return flushErr
	}
	// The server's own DISCONNECT, or a connection that broke before or under
	// the last words; that a server does not close in time is no sign of either.
	err := c.Err()
	if errors.Is(err, ErrClosed) && lastErr != nil {
		err = &Error{Op: "close", Class: ErrInDoubt, Err: c.writeError(nc, lastErr, 5*time.Second)}
	}
	if !errors.Is(err, ErrClosed) && (nc != nil && lastErr == nil || c.Stats().Unwritten > 0) {
		return err
	}
	return nil
}

// writeLast writes the last output, in five seconds and as long as ctx lasts; a
// WebSocket's end goes with it.
func (c *Client) writeLast(ctx context.Context, nc net.Conn, out []byte) error {
	stop := context.AfterFunc(ctx, func() { nc.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	last, ok := nc.(interface{ WriteLast([]byte) (int, error) })
	if !ok || len(out) > highWater {
		return writeAll(nc, out, 5*time.Second)
	}
	if err := nc.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err := last.WriteLast(out)
	return err
}

// goodbye half-closes the stream and lets the reader see the server's end of
// it, at most a second, so that closing does not reset what was written. With
// TLS the end is bytes too, close_notify, and a server that closes as soon as it
// has read the DISCONNECT would reset the connection over them: it comes after
// the server's end, unless that takes long.
func (c *Client) goodbye(ctx context.Context, nc net.Conn) error {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	if _, secure := nc.(*tls.Conn); secure {
		patience := time.NewTimer(500 * time.Millisecond)
		defer patience.Stop()
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
		case <-patience.C:
		}
	}
	if err := half.CloseWrite(); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	return nil
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
