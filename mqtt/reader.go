package mqtt

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
	// queueLow is the number of undelivered batches at which reading pauses.
	queueLow = 4
	// spillLimit is the maximum number of bytes that are read ahead of the
	// application while a call waits for an acknowledgement that follows them.
	spillLimit = 64 << 20
)

// transportErrorOf returns err as explained by the transport, if it has an
// explanation.
func (c *Client) transportErrorOf(nc net.Conn, err error) error {
	explained := transport.Explain(remoteOf(nc), err)
	var te *transport.Error
	if errors.As(explained, &te) {
		return explained
	}
	return err
}

func (c *Client) traceIn(b []byte, v packet.Version, most int) {
	if c.opt.Trace == nil {
		return
	}
	for i := 0; i != most; i++ {
		f, n, err := packet.Split(b, v, 0)
		if err != nil || n == 0 {
			return
		}
		c.opt.Trace(false, f, v)
		b = b[n:]
	}
}

// readConn reads the connection until it ends and returns the reason.
func (c *Client) readConn() error {
	c.mu.Lock()
	nc, v := c.nc, c.conn.Version()
	c.mu.Unlock()
	b := c.takeBatch(len(c.rbuf))
	b.buf = append(b.buf[:0], c.rbuf...)
	c.rbuf = nil
	var ev session.Event
	fresh := len(b.buf) > 0
	for {
		if !fresh {
			n, err := nc.Read(b.buf[len(b.buf):cap(b.buf)])
			if n == 0 {
				if err == nil {
					continue
				}
				return c.readError(nc, err)
			}
			b.full = len(b.buf)+n == cap(b.buf)
			b.buf = b.buf[:len(b.buf)+n]
		}
		fresh = false
		if c.opt.Trace != nil {
			c.traceIn(b.buf, v, -1)
		}
		next, err := c.chunk(b, &ev)
		if err != nil {
			return err
		}
		b = next
	}
}

// readError returns why reading ended: the reason found first by another part
// of the client, or the error of the stream.
func (c *Client) readError(nc net.Conn, err error) error {
	end := errors.Is(err, io.EOF)
	c.mu.Lock()
	parted := c.farewell.parted
	c.mu.Unlock()
	if end && parted != nil {
		limit := time.NewTimer(time.Second)
		select {
		case <-parted:
		case <-limit.C: // whatever precedes the DISCONNECT is not read any more
		}
		limit.Stop()
		err = endBelow(nc, err)
		end = errors.Is(err, io.EOF)
	}
	c.mu.Lock()
	fail, closing, bye := c.fail, c.farewell.closing, c.farewell.bye && transport.Arrived(nc)
	if fail == nil && bye && end {
		c.proof.sure = c.proof.accepted // the server closed after reading DISCONNECT
	}
	c.mu.Unlock()
	switch {
	case fail != nil:
		return fail
	case c.ctx.Err() != nil, bye && end, closing && errors.Is(err, os.ErrDeadlineExceeded): // closed by this client
		return ErrClosed
	case end:
		return &Error{Op: "connection", Class: ErrInDoubt, Err: ErrLost}
	}
	return &Error{Op: "connection", Class: ErrInDoubt, Err: lost{c.transportErrorOf(nc, err)}}
}

// endBelow returns how the stream below TLS or WebSocket ends. These have an
// end marker of their own: a peer that closes with unread input sends it, and
// then resets the connection.
func endBelow(nc net.Conn, err error) error {
	below := transport.UnderlyingConn(nc)
	if below == nc {
		return err
	}
	for {
		if _, err := below.Read(make([]byte, 512)); err != nil {
			return err
		}
	}
}

// chunk handles the packets in b's buffer under one lock, delivers the messages
// among them, and returns the batch to read into next, which begins with the
// bytes of an unfinished packet.
func (c *Client) chunk(b *Batch, ev *session.Event) (*Batch, error) {
	events := c.eventScratch[:0]
	var fatal error
	failed := false // our DISCONNECT has to be written
	off, need := 0, 0
	answered := 0
	c.mu.Lock()
	now := c.now()
	c.conn.Heard(now)
	b.gen = c.gen
	reused := c.conn.Reused
	for off < len(b.buf) {
		n, err := c.conn.Next(b.buf[off:], now, ev)
		if errors.Is(err, session.ErrNotUp) && c.farewell.closing {
			n, need, fatal = parting(b.buf[off:], c.conn.Version())
			off += n
			break
		}
		if errors.Is(err, session.ErrNotUp) && c.fail != nil {
			fatal = c.fail
			break
		}
		if err != nil {
			c.conn.Fail(err)
			fatal, failed = &Error{Op: "connection", Class: ErrInDoubt, Err: err}, true
			break
		}
		if n == 0 {
			need = ev.Need
			break
		}
		off += n
		switch ev.Kind {
		case session.Publish:
			c.takeLocked(b, ev)
		case session.Done:
			answered++
			events = c.completedLocked(events, ev.Tag, ev.Reason, ev.Properties)
			c.widenLocked()
		case session.Suback:
			answered++
			c.subackLocked(ev)
		case session.Pong:
			c.pongLocked()
		case session.Disconnect:
			fatal = refusal("connection", ev.Disconnect.Reason, ev.Disconnect.Properties)
			if !ev.Disconnect.Reason.Failed() {
				fatal = &Error{Op: "connection", Class: ErrInDoubt, Err: ErrLost, Text: "the server disconnected"}
			}
		case session.Auth:
			if err := c.hearAuthLocked(&ev.Auth); err != nil {
				c.conn.Fail(err)
				fatal, failed = &Error{Op: "connection", Class: ErrInDoubt, Err: err}, true
			}
		}
		if fatal != nil {
			break
		}
	}
	if reused = c.conn.Reused - reused; reused > 0 {
		c.stats.Reused += uint64(reused)
		events = append(events, Event{Kind: EventReused, Count: reused})
	}
	if answered > 0 {
		c.doubt.exposed = now
	}
	if fatal == nil && c.doubt.watching() {
		oldest, _, _ := c.onTheWayLocked()
		c.doubt.answered(answered, oldest)
		c.loosenLocked()
	}
	c.roomLocked()
	c.flushedLocked()
	events = c.subs.appendFailed(events)
	wake := c.wakeLocked()
	gen, nc := c.gen, c.nc
	c.mu.Unlock()
	c.out.wake(wake)
	for _, e := range events {
		c.event(e)
	}
	clear(events)
	c.eventScratch = events[:0]

	rest := b.buf[off:]
	if len(b.Messages) > 0 {
		next := c.takeBatch(max(need, len(rest)+1))
		if b.full && cap(next.buf) < largeBuffer {
			next.buf = make([]byte, 0, largeBuffer)
		}
		next.buf = append(next.buf[:0], rest...)
		if err := c.deliver(b); err != nil && fatal == nil {
			fatal = err
		}
		b = next
	} else {
		b.buf = b.buf[:copy(b.buf, rest)]
		b.grow(need)
	}
	if fatal != nil {
		// Write the output of Fail and of the acknowledgements before closing.
		c.lastWords(gen, nc, failed)
		return nil, fatal
	}
	return b, nil
}

// parting reads what follows our own DISCONNECT. It has no effect, except for a
// DISCONNECT of the server that says why it did not take the last messages. The
// rest is read nevertheless: closing with unread input would reset the
// connection and lose what the server has not read yet.
func parting(b []byte, v packet.Version) (n, need int, err error) {
	for n < len(b) {
		f, size, err := packet.Split(b[n:], v, 0)
		if err != nil {
			return len(b), 0, nil // there is no call left to report an error to
		}
		if size == 0 {
			return n, f.Need, nil
		}
		n += size
		var bye packet.Disconnect
		if f.Type == packet.DISCONNECT && v >= packet.V5 && bye.Parse(f, v) == nil && bye.Reason.Failed() {
			return n, 0, refusal("connection", bye.Reason, bye.Properties)
		}
	}
	return n, 0, nil
}

// lastWords writes the output of a connection that is about to end, such as the
// reason in a DISCONNECT. If another goroutine is writing and we have failed
// the connection, it waits at most one second for that write: it may carry the
// reason, which closing the connection would lose.
func (c *Client) lastWords(gen uint64, nc net.Conn, failed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.mu.Lock()
	for failed && c.gen == gen && c.out.writing && !c.farewell.closing && c.awaitBatchLocked(ctx) {
	}
	if c.gen != gen || c.out.writing || c.out.torn || c.conn.Pending() == 0 {
		c.mu.Unlock()
		return
	}
	buf := c.conn.Swap(nil, c.now())
	v := c.conn.Version()
	c.mu.Unlock()
	if c.opt.Trace != nil {
		c.traceOut(buf, v)
	}
	if c.sync() != nil {
		return // an acknowledgement must not be sent before it is on disk
	}
	_ = bounded(ctx, nc, time.Second, func() error {
		_, err := nc.Write(buf) // no call waits for them
		return err
	})
}

// takeLocked adds a received message to the batch.
func (c *Client) takeLocked(b *Batch, ev *session.Event) {
	if c.opt.PublishOnly {
		c.stats.Unread++
		return
	}
	if c.replies.topics != nil && c.takeReplyLocked(ev) {
		return
	}
	c.stats.Received++
	if ev.Publish.QoS > 0 {
		c.replies.received++
	}
	if len(b.Messages) == cap(b.Messages) {
		b.Messages = append(b.Messages, Message{})
	} else {
		b.Messages = b.Messages[:len(b.Messages)+1]
	}
	m := &b.Messages[len(b.Messages)-1]
	p := &ev.Publish
	*m = Message{Topic: c.names.intern(p.Topic), Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Dup: p.Dup,
		PacketID: p.PacketID, TopicAlias: ev.TopicAlias, Properties: p.Properties}
}

// names caches recent topic names. Client.mu must be held.
type names struct {
	last  string
	known map[string]string
}

// intern returns a topic name as a string; for recent names it does not
// allocate.
func (n *names) intern(name []byte) string {
	if n.last == string(name) {
		return n.last
	}
	s, ok := n.known[string(name)]
	if !ok {
		if n.known == nil || len(n.known) >= 4096 {
			n.known = make(map[string]string)
		}
		s = string(name)
		if len(s) <= 1024 {
			n.known[s] = s
		}
	}
	n.last = s
	return s
}

// completedLocked records the outcome of a publish. The caller reports the
// events that it appends, after unlocking.
func (c *Client) completedLocked(events []Event, tag uint64, reason packet.ReasonCode, p packet.Properties) []Event {
	var err error
	if reason.Failed() {
		c.stats.Refused++
		err = refusal("publish", reason, p)
	} else {
		c.stats.Acked++
	}
	switch {
	case tag&syncTag != 0:
		c.waiters.answer(uint32(tag), err)
	case c.opt.OnOutcome != nil:
		events = append(events, Event{Kind: eventOutcome, Tag: tag, Err: err})
	case err != nil:
		events = append(events, Event{Kind: EventRefused, Tag: tag, Err: err})
	}
	return events
}
