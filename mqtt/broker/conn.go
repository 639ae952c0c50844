package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// conn is one network connection. Its run goroutine reads and, at the end, closes it. A
// goroutine with output for it writes as much as the network takes at once; a second
// one writes the rest, and exists only while there is a rest.
type conn struct {
	b      *Broker
	number uint64                 // among all connections
	remote string                 // the client's address; set by run
	client atomic.Pointer[client] // set once, by run, when CONNECT is accepted

	// Each part says what guards it.
	entry   entry          // connect.go
	hearing hearing        // takeover.go
	out     outlet         // output.go
	auth    authentication // auth.go

	// Used by run only.
	input
	*work                  // nil while it reads
	deadline time.Duration // read deadline as set; broker time
	timer    *time.Timer   // of wait; nil until the first wait
	heard    time.Duration // when something last arrived; broker time
	deep     bool          // continue in another goroutine, with a fresh stack
	handling bool          // a PUBLISH is being handled

	// Guarded by client.mu once client is set.
	sc              session.Conn
	window          int // most outbound messages in flight
	username        string
	reused          bool // the client's reuse of packet identifiers has been logged
	noReasonStrings bool // no reason strings in acknowledgements (MQTT-3.1.2-29)
	over            bool
	why             string            // why it ends, if that is known
	bye             bool              // the client has sent DISCONNECT
	props           packet.Properties // scratch
}

func newConn(b *Broker, nc net.Conn) *conn {
	c := &conn{b: b, out: outlet{flushed: make(chan struct{})}}
	c.init(nc)
	return c
}

// remoteName returns the peer's address for the log. It may block, since the address of
// a connection through a proxy may not have arrived yet.
func remoteName(nc net.Conn) string {
	s := nc.RemoteAddr().String()
	if s == "" || s == "@" {
		return "unix socket"
	}
	return s
}

// Errors that end a connection but are not an error of the peer.
var (
	errOver = errors.New("connection is over")
	errBye  = errors.New("client disconnected")
)

// errDeep ends a goroutine, but not the connection: another goroutine continues.
var errDeep = errors.New("stack has grown")

// Errors of connections that are closed unread.
var (
	errCrowd = errors.New("too many connections")
	errEarly = errors.New("too many connections are waiting to be accepted; this is the oldest")
	errRate  = errors.New("too many connections a second from this address")
)

func (c *conn) run() {
	goesOn := false
	defer func() {
		if !goesOn {
			_ = c.nc.Close()
			c.b.forget(c)
		}
	}()
	defer c.rescue(func() {}) // from bugs of the net.Conn
	if c.remote == "" && !c.begin() {
		return
	}
	err := c.loop()
	if err == errDeep {
		// A waiting goroutine keeps the stack that it once needed, which takes more
		// memory than all else of an idle connection. So a connection with little
		// traffic continues in a new goroutine each time, and every connection does
		// after CONNECT and SUBSCRIBE.
		c.deep = false
		if cl := c.client.Load(); cl != nil { // otherwise an authentication is in progress
			cl.shrink()
		}
		goesOn = true
		go c.run()
		return
	}
	if c.client.Load() == nil {
		c.reject(err)
		return
	}
	c.end(err)
	<-c.out.flushed
	c.linger()
}

// begin prepares the connection for CONNECT. It returns false if the connection exceeds
// the connect rate too far.
func (c *conn) begin() bool {
	c.remote = remoteName(c.nc)
	now := c.b.now()
	c.entry.begun = now
	switch late := c.b.tooSoon(c.nc.RemoteAddr(), now); {
	case late > time.Second:
		c.b.log(Event{Kind: EventRejected, Remote: c.remote, Err: errRate})
		return false
	case late > 0:
		c.entry.hasty = true
	}
	c.sc.Serve(session.Config{
		MaxPacket: c.b.opts.MaxPacketSize, ReceiveMaximum: c.b.opts.ReceiveMaximum, TopicAliasMaximum: c.b.opts.TopicAliasMaximum,
		LimitQoS: c.b.opts.LimitQoS, MaximumQoS: c.b.opts.MaximumQoS, SendAliases: uint16(c.b.opts.SendAliases), ConnectTimeout: c.b.opts.ConnectTimeout,
		Explain: c.b.opts.ReasonStrings, SendBytes: c.b.opts.QueueBytes, Due: c.b.dueLater,
	}, now)
	return true
}

// errBug ends a connection that has crashed.
var errBug = errors.New("internal error")

// rescue must be deferred: it recovers from a panic, logs it, and calls then.
func (c *conn) rescue(then func()) {
	if p := recover(); p != nil {
		id := ""
		if cl := c.client.Load(); cl != nil {
			id = cl.id
		}
		c.b.log(Event{Kind: EventPanic, ClientID: id, Remote: c.remote, Text: fmt.Sprintf("%v\n%s", p, debug.Stack())})
		then()
	}
}

// loop reads and handles packets until the connection is over. A panic ends only this
// connection; all unlocking on the way is therefore deferred.
func (c *conn) loop() (err error) {
	defer c.rescue(func() {
		err = errBug
		if c.handling {
			// The message is refused, if the protocol allows that: a client that resent
			// it would only cause the panic again.
			p, cl := &c.ev.Publish, c.client.Load()
			cl.mu.Lock()
			c.sc.AckWith(p.QoS, p.PacketID, packet.UnspecifiedError, nil)
			cl.mu.Unlock()
		}
	})
	for {
		if err := c.ready(); err != nil {
			return err
		}
		n, err := c.read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// The deadline has passed, or another goroutine has set it to interrupt the
			// read. What arrived in time is in the socket, however late this goroutine
			// runs.
			n, err = c.readNow(c.hearing.listens)
		}
		c.hearing.found = n > 0
		if n > 0 {
			c.hearing.left -= n
			if err := c.consume(); err != nil {
				return err
			}
		}
		if err == nil {
			if c.deep {
				return errDeep
			}
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.deadline = 0
	}
}

// ready waits until the client has taken enough of what was written to it, and sets the
// read deadline.
func (c *conn) ready() error {
	cl := c.client.Load()
	if cl != nil {
		cl.mu.Lock()
		defer cl.mu.Unlock()
		for !c.over && !c.hearing.urgent && c.sc.Pending() > 4*outSoft {
			// The client does not read the output that it causes. The writer's deadline
			// bounds this wait.
			ch := make(chan struct{})
			c.out.drain = ch
			c.startWriterLocked()
			cl.mu.Unlock()
			c.park()
			<-ch
			cl.mu.Lock()
			c.sc.Heard(c.b.now())
		}
		if c.over {
			return errOver
		}
		if c.hearsLocked() {
			return nil
		}
		if c.out.mute != nil {
			return c.out.mute
		}
	}
	if c.deadline != 0 {
		return nil
	}
	now := c.b.now()
	next, err := c.sc.Tick(now, true)
	if err != nil {
		return err
	}
	if c.auth.by != 0 {
		if now >= c.auth.by {
			return strayAuth(packet.NotAuthorized, "MQTT-4.12.1-2", "re-authentication has taken too long")
		}
		next = min(next, c.auth.by)
	}
	c.deadline = next
	if next-now > 1<<60 {
		return c.nc.SetReadDeadline(time.Time{})
	}
	return c.nc.SetReadDeadline(c.b.start.Add(next))
}

// consume handles the complete packets in the read buffer.
func (c *conn) consume() error {
	c.work = works.Get().(*work)
	err := c.handle()
	if err == nil {
		c.need = c.ev.Need
		works.Put(c.work)
		c.work = nil
	}
	return err
}

func (c *conn) handle() error {
	for c.client.Load() == nil {
		n, err := c.sc.Next(c.in[c.r:c.w], c.b.now(), &c.ev)
		if err != nil || n == 0 {
			return err
		}
		c.r += n
		switch c.ev.Kind {
		case session.Connect:
			c.deep = true
			err = c.connect(&c.ev.Connect)
		case session.Auth:
			err = c.continueAuth(&c.ev.Auth)
		case session.Disconnect:
			err = errBye
		}
		if err != nil {
			return err
		}
	}
	cl := c.client.Load()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	defer c.startTouchedLocked()
	c.lendLocked()
	now := c.b.now()
	if now-c.heard > time.Second {
		c.deep = true
	}
	c.heard = now
	acked := false
	for {
		if c.over {
			return errOver
		}
		n, err := c.sc.Next(c.in[c.r:c.w], now, &c.ev)
		if err != nil {
			return err
		}
		if n == 0 {
			if c.ev.Need-(c.w-c.r) > longPacket {
				c.sc.Heard(now)
			}
			break
		}
		c.r += n
		switch c.ev.Kind {
		case session.Done:
			acked = true
		case session.Publish:
			if acked {
				cl.pumpLocked(now)
				acked = false
			}
			if c.ev.Publish.Retain && c.b.opts.DisableRetain {
				return &packet.Error{Type: packet.PUBLISH, Reason: packet.RetainNotSupported, Rule: "MQTT-3.2.2-14",
					Text: "a retained message", Offset: -1}
			}
			if c.publishLocked(cl, &c.ev.Publish, now) {
				now = c.b.now()
			}
		case session.Subscribe:
			for i := range c.ev.Subscribe.Subscriptions {
				if err := c.wellFormed(packet.SUBSCRIBE, c.ev.Subscribe.Subscriptions[i].Filter); err != nil {
					return err
				}
			}
			c.deep = true
			c.subscribeLocked(cl, &c.ev.Subscribe, now)
		case session.Unsubscribe:
			for _, filter := range c.ev.Unsubscribe.Filters {
				if err := c.wellFormed(packet.UNSUBSCRIBE, filter); err != nil {
					return err
				}
			}
			c.unsubscribeLocked(cl, &c.ev.Unsubscribe)
		case session.Disconnect:
			return c.disconnectedLocked(cl, &c.ev.Disconnect)
		case session.Auth:
			if err := c.reauthLocked(cl, &c.ev.Auth); err != nil {
				return err
			}
		}
	}
	if acked {
		cl.pumpLocked(now)
	}
	c.flushLocked()
	if c.mustWait() { // the last packet was not a PUBLISH
		c.startTouchedLocked()
		c.waitAllLocked(cl)
		c.sc.Heard(c.b.now())
	}
	return nil
}

// longPacket is how many bytes of a packet must still be missing for the received ones
// to count as a sign of life: the packet may take longer than the keep alive, and no
// PINGREQ can come in its middle. By the letter of MQTT-3.1.2-22 its client could never
// send it.
const longPacket = 1000

// fanSize is how many clients one goroutine writes to.
const fanSize = 64

// startTouchedLocked starts the writers of the clients that this connection has
// published to. The connection's own client.mu must be held; it is released during the
// call.
func (c *conn) startTouchedLocked() {
	n := len(c.touched)
	if n == 0 {
		return
	}
	cl := c.client.Load()
	cl.mu.Unlock()
	defer cl.mu.Lock()
	if n == 1 {
		c.touched[0].untouch(func(oc *conn) {
			// With several publishers, those that have input now can add their output
			// first.
			if oc.out.by == c.number {
				oc.flushLocked()
			} else {
				oc.out.by = c.number
				oc.startWriterLocked()
			}
		})
	} else {
		for part := range slices.Chunk(c.touched, fanSize) {
			go fan(slices.Clone(part))
		}
	}
	clear(c.touched)
	c.touched = c.touched[:0]
}

// fan writes to many clients.
func fan(list []*client) {
	runtime.Gosched()
	for _, cl := range list {
		cl.untouch((*conn).flushLocked)
	}
}

// untouch writes the output of a client in a touched list by calling write.
func (cl *client) untouch(write func(c *conn)) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if c := cl.conn; c != nil {
		defer c.rescue(func() { go c.broken(cl, errBug) }) // cl.mu is still held
		c.out.touched = false
		write(c)
	}
}

// startWriterLocked ensures that pending output is written. client.mu must be held.
func (c *conn) startWriterLocked() {
	switch {
	case c.out.writing:
	case c.out.mute != nil:
		c.hushLocked()
	case c.sc.Pending() > 0:
		c.out.writing = true
		go func() {
			// Connections that have input now can add their output first.
			runtime.Gosched()
			c.write(outputs.Get().(*output), 0)
		}()
	default:
		c.settleLocked()
	}
}

// flushLocked writes what the network takes at once and leaves the rest to a writer.
// client.mu must be held; it is released during the call.
func (c *conn) flushLocked() {
	if c.out.writing || c.raw == nil || c.sc.Pending() == 0 || c.out.mute != nil {
		c.startWriterLocked()
		return
	}
	c.out.writing = true
	cl := c.client.Load()
	full, n := c.nextLocked(cl, outputs.Get().(*output)), 0
	if full == nil {
		return
	}
	cl.mu.Unlock()
	n = c.writeSome(full.b)
	cl.written.Add(uint64(n))
	cl.mu.Lock()
	if n == len(full.b) {
		full, n = c.nextLocked(cl, full), 0
	}
	if full != nil {
		go c.write(full, n)
	}
}

// nextLocked takes the output to be written now, and leaves the empty buffer spare in
// its place. If there is none it ends the writing. client.mu must be held.
func (c *conn) nextLocked(cl *client, spare *output) (full *output) {
	now := c.b.now()
	cl.pumpOfLocked(c, now)
	if c.sc.Pending() > 0 {
		full = c.swapLocked(spare, now)
		c.out.drained()
	} else {
		c.out.writing = false
		c.settleLocked()
		spare.release()
		c.checkFlushedLocked()
	}
	if cl.roomyLocked() {
		cl.wakeWaitersLocked()
	}
	return full
}

// write writes until nothing is left. Each round takes all output that has accumulated
// since the last. The first n bytes of full are already written.
func (c *conn) write(full *output, n int) {
	cl := c.client.Load()
	defer c.rescue(func() { c.broken(cl, errBug) })
	for full != nil {
		if err := c.writeOut(cl, full.b[n:]); err != nil {
			c.broken(cl, err)
			return
		}
		full, n = c.take(cl, full), 0
	}
}

// take is nextLocked for callers that do not hold client.mu.
func (c *conn) take(cl *client, spare *output) *output {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return c.nextLocked(cl, spare)
}

// broken ends the writer of a connection that cannot be written to. The connection ends
// once the input in its socket has been handled, or at once if it is over or has
// crashed.
func (c *conn) broken(cl *client, err error) {
	cl.mu.Lock()
	c.out.writing = false
	switch {
	case c.why != "":
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.why = "it does not read"
	case err == errBug:
		c.why = err.Error()
	}
	now := c.over || err == errBug
	if now {
		c.over = true
		c.sc.Lost(nil)
		c.checkFlushedLocked()
	} else {
		c.out.mute = err
		c.hushLocked()
		c.hearOutLocked()
	}
	c.out.drained()
	cl.wakeWaitersLocked()
	cl.mu.Unlock()
	if now {
		_ = c.nc.Close() // ends the read
	}
}

// writePiece is how many bytes a client must take within the stall timeout: it may be
// slow, as long as it reads.
const writePiece = 16 << 10

// writeOut writes in pieces. A socket reports how many bytes of a large piece it has
// taken at the deadline; TLS and WebSocket cannot continue after a deadline, and get
// small pieces.
func (c *conn) writeOut(cl *client, out []byte) error {
	most := writePiece
	if c.raw != nil {
		most = 4 * writePiece
	}
	for len(out) > 0 {
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.b.opts.StallTimeout))
		n, err := c.nc.Write(out[:min(len(out), most)])
		if err != nil && !(c.raw != nil && n >= writePiece && errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
		cl.written.Add(uint64(n))
		out = out[n:]
	}
	return nil
}

// pumpOfLocked is pumpLocked for a writer whose connection may have been superseded.
func (cl *client) pumpOfLocked(c *conn, now time.Duration) {
	if cl.conn == c {
		cl.pumpLocked(now)
	}
}

// checkFlushedLocked closes flushed if the connection is over and all output is
// written. client.mu must be held.
func (c *conn) checkFlushedLocked() {
	if c.over && !c.out.writing && c.sc.Pending() == 0 && !c.out.isClosed {
		c.out.isClosed = true
		close(c.out.flushed)
	}
}

// reasonString returns the property for words, or none if they are not a valid string.
func reasonString(words string) packet.Properties {
	p, _ := packet.Properties(nil).AppendBytes(packet.ReasonString, []byte(words))
	return p
}

// explain returns a reason string for an acknowledgement, if the client accepts one.
func (c *conn) explain(words string) packet.Properties {
	if words == "" || c.noReasonStrings || !c.b.opts.ReasonStrings || c.sc.Version() < packet.V5 {
		return nil
	}
	return reasonString(words)
}

// kickLocked ends the connection from the server side, in MQTT 5.0 with a DISCONNECT.
// client.mu must be held. The caller, or end, takes care of the session's state.
func (c *conn) kickLocked(reason packet.ReasonCode) { c.kickForLocked(reason, reason.String()) }

func (c *conn) kickForLocked(reason packet.ReasonCode, why string) {
	if c.over {
		return
	}
	bye := packet.Disconnect{Reason: reason}
	if r := c.b.opts.ShutdownRedirect; r != nil && reason == packet.ServerShuttingDown {
		bye = packet.Disconnect{Reason: r.Reason, Properties: r.properties()}
	} else if c.b.opts.ReasonStrings && why != reason.String() {
		bye.Properties = reasonString(why)
	}
	c.sc.Disconnect(&bye)
	c.over, c.why = true, why
	c.startWriterLocked()
	c.checkFlushedLocked()
	c.out.drained()
	if cl := c.client.Load(); cl != nil {
		cl.wakeWaitersLocked()
	}
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // ends the read
}

// reject ends a connection that has not been accepted: it writes the refusal, if there
// is one, and logs what the client may have meant.
func (c *conn) reject(err error) {
	c.hasSpoken()
	if err == nil {
		err = errOver
	}
	var refused *refusal
	if !errors.As(err, &refused) {
		c.sc.Fail(err)
		e := Event{Kind: EventRejected, Remote: c.remote, Err: err}
		report := true
		var pe *packet.Error
		var page transport.OriginError
		var noTLS tls.RecordHeaderError
		switch {
		case errors.As(err, &pe): // whatever packet type the first byte happens to be
			if p := transport.Sniff(c.in[c.r:c.w]); p != transport.ProtocolMQTT && p > transport.ProtocolUnknown {
				e.Text = "this looks like " + p.String() + ", and the port is one of plain MQTT"
			}
		case errors.As(err, &noTLS):
			if p := transport.Sniff(noTLS.RecordHeader[:]); p > transport.ProtocolUnknown {
				e.Text = "this looks like " + p.String() + ", and the port is one of TLS"
			}
		case errors.As(err, &page): // which may retry again and again
			e.Text, report = "--serve-origin allows the pages of an origin", c.b.firstOf(page)
		}
		// Clients that leave without sending anything, and connections that Close cuts,
		// are not worth an event.
		if report && !errors.Is(err, errBye) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) && (!errors.Is(err, io.EOF) || c.w > 0) {
			c.b.log(e)
		}
	} else {
		c.b.log(Event{Kind: EventRefused, ClientID: refused.id, Remote: c.remote, Reason: refused.reason, Text: refused.text})
	}
	if c.sc.Pending() > 0 {
		_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.nc.Write(c.sc.Swap(nil, 0)); err != nil {
			return
		}
	}
	c.linger() // even with nothing to send: a reset would look like a crash
}

// lingerTime is how long a connection that the server ends is kept open for the client
// to read the reason.
const lingerTime = time.Second

// linger closes the write side and reads until the client closes. Closing with unread
// input would reset the connection, and the reset may overtake the packet with the
// reason.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || c.bye || c.out.mute != nil || half.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	scrap := c.in
	if len(scrap) == 0 {
		scrap = make([]byte, 4096)
	}
	for {
		select {
		case <-c.b.done:
			_ = c.nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		default:
		}
		if _, err := c.nc.Read(scrap); err != nil {
			return
		}
	}
}

// wait blocks until cl can take more, until it has made no progress for the stall
// timeout, or until the broker closes. If clients wait for each other in a circle, wait
// returns at once. No lock may be held.
func (c *conn) wait(cl *client) {
	b := c.b
	self := c.client.Load()
	b.waitMu.Lock()
	for x := cl; x != nil; x = x.waitsFor {
		if x == self {
			b.waitMu.Unlock()
			// All clients in the circle continue, so that each reaches the
			// acknowledgements that empty their queues.
			self.mu.Lock()
			self.wakeWaitersLocked()
			self.mu.Unlock()
			return
		}
	}
	self.waitsFor, self.waiting = cl, c
	b.waitMu.Unlock()

	cl.mu.Lock()
	before := cl.popped + cl.written.Load()
	var ch chan struct{}
	if !cl.roomyLocked() {
		if cl.waiters == nil {
			cl.waiters = make(chan struct{})
		}
		ch = cl.waiters
	}
	cl.mu.Unlock()
	urged := c.impatience(self)
	if ch != nil && urged != nil {
		limit := b.opts.StallTimeout
		if c.keepAlive() > 0 {
			limit = min(limit, c.keepAlive()/2)
		}
		if c.timer == nil {
			c.timer = time.NewTimer(limit)
		} else {
			c.timer.Reset(limit)
		}
		select {
		case <-ch:
		case <-c.timer.C:
			cl.mu.Lock()
			if cl.popped+cl.written.Load() == before && cl.onlineLocked() && limit == b.opts.StallTimeout {
				cl.conn.kickForLocked(packet.QuotaExceeded, "it does not keep up")
			}
			cl.mu.Unlock()
		case <-urged: // another connection waits for this one
		case <-c.out.flushed: // the publisher's own connection is over
		case <-b.done:
		}
		c.timer.Stop()
	}
	b.waitMu.Lock()
	if self.waiting == c { // otherwise a later connection of the same client waits
		self.waitsFor, self.waiting = nil, nil
	}
	b.waitMu.Unlock()
}

func (c *conn) keepAlive() time.Duration { return c.sc.KeepAlive() } // fixed since Accept
