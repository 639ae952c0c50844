package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// farewell is how far Close or Abort has come. Guarded by Client.mu.
type farewell struct {
	leaving bool          // Close awaits what was sent, and nothing more is taken
	closing bool          // nothing is awaited any more, and the connection ends
	parted  chan struct{} // closed when Close has written DISCONNECT, or failed to; nil before it says so
	bye     bool          // it was written
}

// Close ends the client. It takes no more messages, waits for the
// acknowledgements of those that were sent until ctx ends, sends DISCONNECT and
// closes the stream in good order, for which it waits a second at most, or five
// while a message at QoS 0 hangs on it.
//
// The error says if messages stay unacknowledged, or has the reason of a server
// that disconnects instead. At QoS 0, where nothing is acknowledged, a server that
// closes the stream behind DISCONNECT has read everything before it
// (MQTT-3.14.4-2); otherwise the error is ErrInDoubt with the number of messages
// that may not have arrived, which Stats.Unwritten counts too. A PINGRESP is such
// a proof as well: see Flush. It is waited for where the connection leads through a
// proxy, which may end it in good order when the server has died. Close may be called
// again and then only waits.
func (c *Client) Close(ctx context.Context) error {
	return c.CloseWith(ctx, &packet.Disconnect{})
}

// CloseWith is Close with a DISCONNECT of the caller's: in 5.0 reason
// DisconnectWithWill lets the server publish the will.
func (c *Client) CloseWith(ctx context.Context, p *packet.Disconnect) error {
	c.mu.Lock()
	c.farewell.leaving = true
	relayed := c.nc != nil && transport.Relayed(c.nc)
	c.waiters.answerAll(&c.waiters.roomers)
	c.waiters.answerAll(&c.waiters.drainers)
	c.mu.Unlock()
	flushErr := c.flush(ctx, relayed)
	c.mu.Lock()
	if c.farewell.closing {
		c.mu.Unlock()
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return &Error{Op: "close", Class: ErrInDoubt, Err: ctx.Err()}
		}
	}
	c.farewell.closing = true
	// From here on the reader, which may see the server's end of the stream before
	// we get back from the write, waits for what we know of it.
	c.farewell.parted = make(chan struct{})
	open := c.sess.Open()
	c.inbox.letReader()
	// Disconnect goes behind everything that is still to be written.
	c.conn.Disconnect(p)
	nc := c.nc
	// Wait for the batch under way, and again if the writer was faster in
	// taking the next.
	for c.out.writing && c.awaitBatchLocked(ctx) {
	}
	var out []byte
	last := nc != nil && c.nc == nc && !c.out.writing && !c.out.torn
	if last {
		out = c.conn.Swap(nil, c.now())
		c.out.writing = true // for good
	} else {
		close(c.farewell.parted)
	}
	version := c.conn.Version()
	c.mu.Unlock()
	var lastErr error
	if last {
		if c.opt.Trace != nil {
			c.traceOut(out, version)
		}
		if lastErr = c.sync(); lastErr == nil {
			lastErr = writeLast(ctx, nc, out)
		}
		c.mu.Lock()
		c.farewell.bye = lastErr == nil
		patience := time.Second
		if c.proof.unsure() > 0 {
			patience = 5 * time.Second
		}
		c.mu.Unlock()
		close(c.farewell.parted)
		if lastErr == nil {
			lastErr = c.goodbye(ctx, nc, patience)
		}
	}
	early := ctx.Err() // if it was not waited for the server's end
	c.stop(ErrClosed)
	if nc != nil {
		nc.Close()
	}
	c.awaitEnd(ctx)
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
	if lastErr != nil && !errors.Is(lastErr, ErrJournal) {
		lastErr = c.writeError(nc, lastErr)
	}
	return c.outcome(nc != nil, lastErr, early)
}

// outcome is what is to be said of an end without unacknowledged messages: the
// server's own DISCONNECT, a connection that broke before or under the last words,
// or messages at QoS 0 of which nothing says that they have arrived. had says that
// there was a connection, lastErr why the last words could not be said, and early why
// the server's end was not awaited.
func (c *Client) outcome(had bool, lastErr, early error) error {
	err := c.Err()
	c.mu.Lock()
	unproven, unwritten := c.proof.unproven, c.stats.Unwritten
	c.mu.Unlock()
	var e *Error
	broke := err != nil && !errors.Is(err, ErrClosed)
	switch {
	case broke && errors.As(err, &e) && e.Reason.Failed():
		return err
	case unproven > 0:
		switch {
		case broke:
			err = causeOf(err)
		case lastErr != nil:
			err = lastErr
		case early != nil:
			err = early
		default:
			err = errNoEnd
		}
		text := "1 message at QoS 0 may not have arrived"
		if unproven > 1 {
			text = strconv.FormatUint(unproven, 10) + " messages at QoS 0 may not have arrived"
		}
		return &Error{Op: "close", Class: ErrInDoubt, Text: text, Err: err}
	case broke && (had || unwritten > 0):
		return err
	case lastErr != nil && unwritten > 0:
		return &Error{Op: "close", Class: ErrInDoubt, Err: lastErr}
	}
	return nil
}

var errNoEnd = errors.New("the server did not close the connection behind DISCONNECT")

// awaitEnd waits for reader and writer, a second more than ctx lasts: they end
// with the connection, but a DialFunc may not notice its context.
func (c *Client) awaitEnd(ctx context.Context) {
	select {
	case <-c.done:
		return
	case <-ctx.Done():
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-c.done:
	case <-patience.C:
	}
}

// secure reports whether nc is TLS, or leads over it as a WebSocket does.
func secure(nc net.Conn) bool {
	if _, ok := nc.(*tls.Conn); ok {
		return true
	}
	over, ok := nc.(interface{ NetConn() net.Conn })
	return ok && secure(over.NetConn())
}

// writeLast writes the last output, in five seconds and as long as ctx lasts; a
// WebSocket's end is in the same write, but not over TLS: a server that takes one frame from
// a record, as mosquitto does, would see the other when more comes.
func writeLast(ctx context.Context, nc net.Conn, out []byte) error {
	last, ok := nc.(interface{ WriteLast([]byte) (int, error) })
	ok = ok && !secure(nc)
	for len(out) > 0 {
		piece := out[:min(len(out), writePiece)]
		write := nc.Write
		if ok && len(piece) == len(out) {
			write = last.WriteLast
		}
		err := bounded(ctx, nc, 5*time.Second, func() error {
			_, err := write(piece)
			return err
		})
		if err != nil {
			return err
		}
		out = out[len(piece):]
	}
	return nil
}

// goodbye half-closes the stream and lets the reader see the server's end of
// it, for as long as patience, so that closing does not reset what was written. With
// TLS the end is bytes too, close_notify, and a server that closes as soon as it
// has read the DISCONNECT would reset the connection over them: it comes after
// the server's end, unless that takes long.
func (c *Client) goodbye(ctx context.Context, nc net.Conn, patience time.Duration) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	half, ok := nc.(interface{ CloseWrite() error })
	if secure(nc) {
		while := time.NewTimer(500 * time.Millisecond)
		defer while.Stop()
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
		case <-while.C:
		}
	}
	if ok {
		if err := bounded(ctx, nc, patience, half.CloseWrite); err != nil {
			c.mu.Lock()
			ended := c.nc != nc
			c.mu.Unlock()
			if ended { // the server was faster, and the reader says how
				return nil
			}
			return err
		}
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	case <-limit.C:
	}
	return nil
}

// Abort ends the client at once, without DISCONNECT: the server publishes the
// will.
func (c *Client) Abort() {
	c.mu.Lock()
	c.farewell.closing = true
	nc := c.nc
	c.inbox.letReader()
	c.mu.Unlock()
	c.stop(ErrClosed)
	if nc != nil {
		nc.Close()
	}
	<-c.done
}
