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

// farewell is the progress of Close or Abort. Client.mu must be held.
type farewell struct {
	leaving bool          // Close waits for acknowledgements; new messages are refused
	closing bool          // Close waits no longer, and the connection ends
	parted  chan struct{} // closed when Close has written DISCONNECT or failed to; nil before it tries
	bye     bool          // DISCONNECT was written
}

// Close ends the client. It accepts no more messages, waits until ctx ends for
// the acknowledgements of those that were sent, sends DISCONNECT and closes the
// stream cleanly. For the last step it waits at most one second, or five if the
// delivery of a QoS 0 message depends on it.
//
// The error reports messages that stay unacknowledged, or the reason of a
// server that disconnects first. QoS 0 messages are not acknowledged, but a
// server that closes the stream after DISCONNECT has read everything before it
// (MQTT-3.14.4-2). If it does not, the error is ErrInDoubt with the number of
// messages that may not have arrived; Stats.Unwritten counts them as well. A
// PINGRESP is equivalent proof: see Flush. Close waits for one if the
// connection goes through a proxy, which may close it cleanly although the
// server has died. Close may be called again and then only waits.
//
// with may change the DISCONNECT: see PublishWill. Before 5.0 it is always
// empty.
func (c *Client) Close(ctx context.Context, with ...func(*packet.Disconnect)) error {
	p := &packet.Disconnect{}
	for _, change := range with {
		change(p)
	}
	c.mu.Lock()
	c.farewell.leaving = true
	relayed := c.nc != nil && transport.Relayed(c.nc)
	c.waiters.answerAll(&c.waiters.windowWaiters)
	c.waiters.answerAll(&c.waiters.bufferWaiters)
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
	// From here on the reader, which may see the end of the stream before our
	// write returns, waits until the outcome of the write is known.
	c.farewell.parted = make(chan struct{})
	open := c.sess.Open()
	c.inbox.letReader()
	// Disconnect queues the packet after all other output.
	c.conn.Disconnect(p)
	nc := c.nc
	// Wait for the batch that is being written, and again if the writer takes
	// the next one first.
	for c.out.writing && c.awaitBatchLocked(ctx) {
	}
	var out []byte
	last := nc != nil && c.nc == nc && !c.out.writing && !c.out.torn
	if last {
		out = c.conn.Swap(nil, c.now())
		c.out.writing = true // never reset
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
	early := ctx.Err() // set if the wait for the server's end was cut short
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

// PublishWill is an argument of Client.Close: it makes a server of MQTT 5.0
// publish the will.
func PublishWill(p *packet.Disconnect) { p.Reason = packet.DisconnectWithWill }

// outcome returns the error of a Close that leaves no unacknowledged messages:
// the server's own DISCONNECT, a connection that was lost before or during the
// last write, or messages at QoS 0 that are not known to have arrived. had
// reports whether there was a connection, lastErr is why the last write failed,
// and early is why the server's end of the stream was not awaited.
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

var errNoEnd = errors.New("the server did not close the connection after DISCONNECT")

// awaitEnd waits for reader and writer, at most one second longer than ctx.
// They end with the connection, but a DialFunc may ignore its context.
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

// secure reports whether nc is TLS, or a WebSocket over TLS.
func secure(nc net.Conn) bool {
	if _, ok := nc.(*tls.Conn); ok {
		return true
	}
	over, ok := nc.(interface{ NetConn() net.Conn })
	return ok && secure(over.NetConn())
}

// writeLast writes the last output, within five seconds and until ctx ends. The
// Close frame of a WebSocket is part of the same write, but not over TLS: a
// server that takes one frame from a TLS record, as mosquitto does, would not
// see the second until more arrives.
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

// goodbye half-closes the stream and lets the reader wait up to patience for
// the server's end of it, so that closing does not reset what was written. In
// TLS the half-close is data (close_notify), and a server that closes as soon
// as it has read DISCONNECT would answer it with a reset. So close_notify is
// sent after the server's end, unless that takes too long.
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
			if ended { // the server closed first, and the reader returns the reason
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
