package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// agreement is what CONNECT and CONNACK agreed on, and what follows for the
// session at the server. Client.mu must be held, except by the goroutine that
// connects: it alone changes version, clientID and cleaned, and may read them
// without the lock.
type agreement struct {
	version   packet.Version // version in use; 0 before the first connection if the version is open
	clientID  string
	present   bool              // the server had a session at the latest connect
	props     packet.Properties // properties of the latest CONNACK
	cleaned   bool              // before 5.0: this client began the session that is kept
	inherited bool              // the server's session has packet identifiers that an earlier program used
	greeted   bool              // CONNECT is written on the connection that is being made
	// unanswered counts the CONNECTs since a session began that no CONNACK
	// answered.
	unanswered int
}

// reach connects to the server of this attempt. If the version is open and the
// server does not support 5.0, it tries again with 3.1.1.
func (c *Client) reach(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.ConnectTimeout)
	defer cancel()
	for _, s := range c.choice.servers {
		// Only consecutive ends count. For a server that has accepted 3.1.1
		// before, one is enough.
		if s.ends = 0; s.older {
			s.ends = 1
		}
	}
	for tries := 1; ; tries++ {
		s, again, err := c.attempt(ctx, first)
		if again && ctx.Err() == nil && tries < 10 { // a name may have many addresses
			continue
		}
		if s != nil && endedUnanswered(err) && s.refused && !s.older {
			err = unanswered{s.why} // report the earlier refusal, which has a reason; this error has none
		}
		return err
	}
}

// attempt dials once and does the handshake, twice if a session has to be
// cleaned first. again reports that another attempt should follow at once, in
// another version or in this one. s is what is known of the server if the
// version was open, else nil.
func (c *Client) attempt(ctx context.Context, first bool) (s *server, again bool, err error) {
	// No lock is needed: only this goroutine changes version, and before the
	// first connection only it uses it.
	v := c.agreed.version
	if v == 0 {
		v = packet.V5
	}
	if err := c.check(c.connectPacket(v, first)); err != nil {
		return nil, false, &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	for cleaned := false; ; cleaned = true {
		nc, err := c.open(ctx)
		if err != nil {
			return s, false, &Error{Op: "connect", Class: ErrNotSent, Err: unreached{err}}
		}
		v, s = c.choose(nc)
		p := c.connectPacket(v, first)
		clean := c.cleansFirst(v) && !cleaned
		if clean {
			p.CleanStart, p.HasWill = true, false
		}
		start := time.Now()
		if err = c.check(p); err != nil {
			nc.Close()
			err = &Error{Op: "connect", Class: ErrNotSent, Err: err}
		} else {
			err = c.shake(ctx, nc, p)
		}
		if err == nil && cleaned {
			// Some servers keep the session that the clean connection began. It
			// is empty and as good as new.
			c.mu.Lock()
			c.agreed.present = false
			c.mu.Unlock()
		}
		if s != nil && s.heard(v, err, time.Since(start)) {
			c.unchosen()
			return s, true, err
		}
		if err == nil && clean {
			c.part(ctx, nc)
			continue
		}
		if err == nil && !c.begin(nc, p) {
			c.leaveUnused(nc)
			err = &Error{Op: "connect", Class: ErrNotSent, Err: ErrClosed}
		}
		if err != nil {
			c.unchosen()
			return s, false, err
		}
		if s != nil && v < packet.V5 && !s.older {
			s.older = true
			c.event(Event{Kind: EventFallback, Err: s.why})
		}
		return s, false, nil
	}
}

// shake does the handshake, and is interrupted when ctx ends. It closes nc on
// failure.
func (c *Client) shake(ctx context.Context, nc net.Conn, p *packet.Connect) error {
	stop := interrupt(ctx, nc)
	err := c.handshake(ctx, nc, p)
	_ = nc.SetDeadline(time.Time{}) // dial may have left a deadline; not every connection supports them
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return nil
	}
	c.leaveUnused(nc)
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) {
			err = ErrNoConnack
		} else {
			err = cause
		}
	}
	return &Error{Op: "connect", Class: ErrNotSent, Err: err}
}

// leaveUnused closes a connection on which no session was started. A Close that
// came after CONNECT has queued its DISCONNECT, without which the server would
// publish the will (MQTT-3.1.2-8).
func (c *Client) leaveUnused(nc net.Conn) {
	defer nc.Close()
	c.mu.Lock()
	out, v := c.conn.Swap(nil, c.now()), c.conn.Version()
	greeted, closing := c.agreed.greeted, c.farewell.closing
	c.conn.Lost(nil)
	c.mu.Unlock()
	if len(out) == 0 || !greeted {
		return
	}
	if c.opt.Trace != nil {
		c.traceOut(out, v)
	}
	_ = nc.SetDeadline(time.Now().Add(time.Second)) // replaces the deadline that interrupted the handshake
	_ = bounded(context.Background(), nc, time.Second, func() error {
		if _, err := nc.Write(out); err != nil {
			return err // ignored by the caller
		}
		// Closing with unread input would reset the connection and discard the
		// DISCONNECT.
		if half, ok := nc.(interface{ CloseWrite() error }); ok && closing && half.CloseWrite() == nil {
			_, _ = io.Copy(io.Discard, nc)
		}
		return nil
	})
}

// unreached marks errors of dialing.
type unreached struct{ error }

func (u unreached) Unwrap() error        { return u.error }
func (u unreached) Is(target error) bool { return target == ErrUnreached }

// check refuses a CONNECT that a server may reject: invalid strings
// (MQTT-3.1.3-4) and, before 5.0, a password without a user name
// (MQTT-3.1.2-22) or a session without a client ID (MQTT-3.1.3-7). It also
// refuses a will that the version cannot carry.
func (c *Client) check(p *packet.Connect) error {
	if w := c.opt.Will; w != nil && p.Version < packet.V5 && !c.opt.DropProperties && (len(w.Properties) > 0 || w.Delay > 0) {
		return fmt.Errorf("the will: %w", ErrNeeds5)
	}
	return legal(p, &packet.Connect{}, p.Version)
}

// handshake sends the CONNECT p and reads up to CONNACK. Bytes that follow it
// are left in c.rbuf.
func (c *Client) handshake(ctx context.Context, nc net.Conn, p *packet.Connect) error {
	v := p.Version
	ctx, done := context.WithCancel(ctx) // for the authentication
	defer done()
	proof, err := c.startAuth(ctx, p)
	if err != nil {
		return &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	c.mu.Lock()
	err = c.conn.Open(&c.sess, p, c.configLocked(v), c.now())
	var out []byte
	if err == nil {
		out = c.conn.Swap(nil, c.now())
	}
	c.agreed.greeted = false
	c.mu.Unlock()
	if err != nil {
		return &Error{Op: "connect", Class: ErrNotSent, Err: err}
	}
	if c.opt.Trace != nil {
		c.traceOut(out, v)
	}
	if _, err := nc.Write(out); err != nil {
		// A reason that the server sent before it closed says more than the
		// write error.
		said := bounded(ctx, nc, time.Second, func() error {
			_, err := nc.Read(make([]byte, 1))
			return err
		})
		if said != nil && isExplained(c.transportErrorOf(nc, said)) {
			err = said
		}
		return c.handshakeError(nc, err)
	}
	c.mu.Lock()
	c.agreed.greeted = true
	c.agreed.unanswered++
	c.mu.Unlock()
	var ev session.Event
	buf := make([]byte, 0, 4096)
	for first := true; ; {
		if len(buf) == cap(buf) { // grow, without the bytes that were consumed
			buf = append(make([]byte, 0, max(2*len(buf), 4096)), buf...)
		}
		n, err := nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if first && len(buf) > 0 {
			wait, foreign := foreign(nc, buf, v, n > 0)
			if foreign != nil {
				return &Error{Op: "connect", Class: ErrNotSent, Err: foreign}
			}
			if wait {
				continue
			}
		}
		if n == 0 && err != nil {
			return c.handshakeError(nc, err)
		}
		c.traceIn(buf, v, 1)
		c.mu.Lock()
		n, err = c.conn.Next(buf, c.now(), &ev)
		if err == nil && ev.Kind == session.Connack {
			c.agreed.unanswered--
		}
		c.mu.Unlock()
		if err != nil {
			c.failHandshake(err)
			return err
		}
		if n == 0 {
			continue
		}
		first = false
		switch ev.Kind {
		case session.Connack:
			if ev.Reason.Failed() {
				return refusal("connect", ev.Reason, ev.Properties)
			}
			if err := finishAuth(proof, ev.Connack.Properties); err != nil {
				c.failHandshake(err)
				return &Error{Op: "connect", Class: ErrNotSent, Err: err}
			}
			c.accepted(&ev.Connack, proof)
			c.rbuf = buf[n:]
			return nil
		case session.Auth:
			if err := c.continueAuth(nc, v, proof, &ev.Auth); err != nil {
				c.failHandshake(err)
				return &Error{Op: "connect", Class: ErrNotSent, Err: err}
			}
		}
		buf = buf[n:]
	}
}

// failHandshake queues a DISCONNECT that gives the reason, where 5.0 allows
// one; leaveUnused sends it.
func (c *Client) failHandshake(err error) {
	c.mu.Lock()
	c.conn.Fail(err)
	c.mu.Unlock()
}

// handshakeError returns why reading or writing failed before CONNACK.
func (c *Client) handshakeError(nc net.Conn, err error) error {
	if e := c.transportErrorOf(nc, err); isExplained(e) {
		return e
	}
	if transport.IsEnd(err) {
		return ErrNoAnswer
	}
	return err
}

func isExplained(err error) bool {
	var e *transport.Error
	return errors.As(err, &e)
}

// foreign returns an error if the first bytes show that the peer is not an MQTT
// server, else nil. wait reports that more bytes are needed to decide; more is
// set if more may come.
func foreign(nc net.Conn, b []byte, v packet.Version, more bool) (wait bool, err error) {
	is, wait := transport.IsForeign(b, v, more)
	if !is {
		return wait, nil
	}
	return false, transport.NoMQTT(remoteOf(nc), b)
}

// remoteOf returns the remote address, or "" if the connection has none.
func remoteOf(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// connectPacket returns the CONNECT for the first or for a later connection. A
// later connection continues the session if the server may have kept it.
func (c *Client) connectPacket(v packet.Version, first bool) *packet.Connect {
	o := &c.opt
	p := &packet.Connect{Version: v, CleanStart: !c.continues(v, first), ClientID: []byte(c.agreed.clientID),
		KeepAlive: uint16(max(o.KeepAlive, 0) / time.Second)}
	switch t := c.servers.used; {
	case o.Username != "" || o.Password != nil:
		p.HasUsername, p.Username = o.Username != "", []byte(o.Username)
		p.HasPassword, p.Password = o.Password != nil, o.Password
	case t != nil:
		p.HasUsername, p.Username = t.HasUsername, []byte(t.Username)
		p.HasPassword, p.Password = t.HasPassword, []byte(t.Password)
	}
	if v >= packet.V5 {
		p.Properties = append(p.Properties, o.Properties...)
		if _, has := p.Properties.Uint(packet.SessionExpiryInterval); !has && o.Session.Expiry > 0 {
			p.Properties, _ = p.Properties.AppendUint(packet.SessionExpiryInterval, seconds32(o.Session.Expiry))
		}
	}
	if w := o.Will; w != nil {
		p.HasWill = true
		p.Will = packet.Will{QoS: w.QoS, Retain: w.Retain, Topic: []byte(w.Topic), Payload: w.Payload}
		if v >= packet.V5 {
			p.Will.Properties = append(p.Will.Properties, w.Properties...)
			if w.Delay > 0 {
				p.Will.Properties, _ = p.Will.Properties.AppendUint(packet.WillDelayInterval, seconds32(w.Delay))
			}
		}
	}
	return p
}

// continues reports whether a connection asks for the session that the server
// may have.
func (c *Client) continues(v packet.Version, first bool) bool {
	switch o := &c.opt; {
	case o.Session.Resume && !(first && c.publishesAnew()):
		return true
	case v >= packet.V5:
		return o.NewClientID && o.ClientID != "" || !first && o.Properties.UintOr(packet.SessionExpiryInterval, seconds32(o.Session.Expiry)) > 0
	}
	return c.keeps(v)
}

// publishesAnew reports whether the session of an earlier program is unusable:
// its packet identifiers are known only from a journal, and there is none. A
// message with an identifier for which the server still awaits PUBREL would be
// taken for the earlier one, and be lost (section 4.3.3).
func (c *Client) publishesAnew() bool { return c.opt.PublishOnly && c.opt.Journal == nil }

// keeps reports whether, before 5.0, a session that began clean is kept over
// this client's connections. With an empty or generated client ID no later
// client could discard it (MQTT-3.1.3-8).
func (c *Client) keeps(v packet.Version) bool {
	o := &c.opt
	return v < packet.V5 && c.agreed.clientID != "" && !o.NewClientID && (o.Session.Keep && !o.Session.Resume || o.Session.Resume && c.publishesAnew())
}

// cleansFirst reports whether the old session must be discarded by a connection
// that does nothing else: before 5.0 a session that begins clean also ends with
// its connection (MQTT-3.1.2-6).
func (c *Client) cleansFirst(v packet.Version) bool { return c.keeps(v) && !c.agreed.cleaned }

// part disconnects after the session was cleaned, and waits until the server
// has closed the connection as well, so that it cannot end the next connection
// with it.
func (c *Client) part(ctx context.Context, nc net.Conn) {
	c.mu.Lock()
	c.conn.Disconnect(&packet.Disconnect{})
	out, v := c.conn.Swap(nil, c.now()), c.conn.Version()
	c.conn.Lost(nil)
	c.agreed.cleaned = true
	c.mu.Unlock()
	c.rbuf = nil
	if c.opt.Trace != nil {
		c.traceOut(out, v)
	}
	defer nc.Close()
	_ = bounded(ctx, nc, time.Second, func() error {
		if _, err := nc.Write(out); err != nil {
			return err
		}
		if half, ok := nc.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		_, err := io.Copy(io.Discard, nc)
		return err
	})
}

// DiscardSession makes the server discard the session of a client that has
// ended: it connects once more with clean start and disconnects. Before 5.0
// nothing else ends a session that Session.Keep has kept.
func (c *Client) DiscardSession(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.ConnectTimeout)
	defer cancel()
	nc, err := c.open(ctx)
	if err != nil {
		return &Error{Op: "connect", Class: ErrNotSent, Err: unreached{err}}
	}
	p := c.connectPacket(c.Version(), true)
	p.CleanStart, p.HasWill = true, false
	p.Properties = p.Properties.Without(nil, packet.SessionExpiryInterval)
	if err := c.shake(ctx, nc, p); err != nil {
		return err
	}
	c.part(ctx, nc)
	return nil
}

// configLocked returns the session's limits for a connection in version v.
func (c *Client) configLocked(v packet.Version) session.Config {
	o := &c.opt
	cfg := session.Config{
		MaxPacket: o.MaxPacket, ReceiveMaximum: o.ReceiveMaximum, ReceiveLimit: o.ReceiveLimit, TopicAliasMaximum: o.TopicAliasMaximum,
		SendWindow: o.MaxInflight, SendBytes: o.MaxHeld, SendAliases: o.SendAliases,
	}
	if v < packet.V5 { // before 5.0 the server cannot announce its limit
		cfg.SendWindow, cfg.QoS2Window = c.window.size, o.OldInflight
	}
	return cfg
}

// seconds32 returns d in whole seconds, at most 4294967295.
func seconds32(d time.Duration) uint32 { return uint32(min(d/time.Second, 1<<32-1)) }

// accepted stores the contents of CONNACK.
func (c *Client) accepted(p *packet.Connack, proof Authenticator) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth.method = ""
	if proof != nil {
		c.auth.method = proof.Method()
	}
	c.agreed.present = p.SessionPresent
	c.agreed.props = append(c.agreed.props[:0], p.Properties...)
	if id, ok := p.Properties.Bytes(packet.AssignedClientIdentifier); ok && c.agreed.clientID == "" {
		c.agreed.clientID = string(id)
	}
}

// begin starts the session on a new connection: it resends what was in flight,
// and renews the subscriptions that the server has lost. It does nothing and
// returns false if Close or Abort was called while there was no connection.
func (c *Client) begin(nc net.Conn, p *packet.Connect) bool {
	var events []Event
	c.mu.Lock()
	if c.farewell.closing {
		c.mu.Unlock()
		return false
	}
	c.gen++
	c.agreed.version, c.choice.open = p.Version, false
	// 3.1 does not report whether the server has a session.
	old := c.agreed.present || p.Version == packet.V31 && !p.CleanStart
	c.agreed.inherited = old && (c.agreed.inherited || c.gen == 1 && c.opt.Journal == nil && !c.agreed.cleaned)
	c.nc, c.fail, c.out.torn, c.proof.unproven = nc, nil, false, 0
	c.out.raw = newRawWriter(nc)
	c.window.ackedBefore = c.stats.Acked
	c.cautiousLocked()
	if !c.conn.Resume(c.agreed.present, func(tag uint64, reason packet.ReasonCode) {
		events = c.completedLocked(events, tag, reason, nil)
	}) {
		c.sessionGen, c.agreed.present = c.gen, false
		events = c.gaveUpLocked(events)
	}
	c.lateRepliesLocked()
	// If the server lost the session, the CONNACK that reported it may have
	// been lost, and session present now refers to the session begun then.
	if !c.agreed.present || c.agreed.unanswered > 0 {
		c.subs.renew()
	}
	c.agreed.unanswered = 0
	c.loosenLocked()
	c.inbox.reading = true
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Hour, c.tick)
	}
	_ = c.tickLocked() // a deadline that has passed is seen again
	events = c.subs.appendFailed(events)
	c.waiters.answerAll(&c.waiters.windowWaiters)
	c.waiters.answerAll(&c.waiters.bufferWaiters)
	c.flushedLocked()
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
	for _, e := range events {
		c.event(e)
	}
	return true
}

// run is the reading goroutine: it reads the connection to its end and, if the
// options allow it, makes the next.
func (c *Client) run() {
	defer c.leave()
	for {
		start := time.Now()
		err := c.readConn()
		narrowed, named, u := c.down(err)
		stop := c.settle(u)
		if stop != nil {
			c.end(stop)
			return
		}
		if !c.again(err, start, named) {
			return
		}
		if narrowed {
			c.event(Event{Kind: EventNarrowed, Count: narrowWindow})
		}
	}
}

// down handles the end of the connection: it answers requests and counts the
// QoS 0 messages that may be lost. It reports whether the window was reduced,
// whether the broker's reason was about a packet, and which packet is proven
// undeliverable.
func (c *Client) down(err error) (narrowed, named bool, u *Undeliverable) {
	var hint error
	c.mu.Lock()
	nc := c.nc
	c.nc, c.inbox.reading = nil, false
	if len(c.out.rest) > 0 { // no write is using it
		c.out.rest, c.out.writing = nil, false
		c.waiters.answerAll(&c.waiters.writeWaiters)
	}
	x := c.auth.lost()
	if !c.farewell.closing {
		if narrowed = c.doubt.phase == free && c.narrowLocked(err); !narrowed {
			u, named, hint = c.suspectsLocked(err)
		}
	}
	c.conn.Lost(nil)
	c.unsendLocked()
	for _, p := range c.proof.pings {
		c.waiters.answer(p.waiter, ErrLost)
	}
	unsure := c.proof.lost()
	c.stats.Unwritten += unsure
	c.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
	if x != nil {
		x.stop(err)
	}
	if unsure > 0 {
		c.event(Event{Kind: EventMayBeLost, Count: int(unsure), Err: err})
	}
	if hint != nil {
		c.event(Event{Kind: EventSuspected, Err: hint})
	}
	return narrowed, named, u
}

// causeOf strips the *Error of a lost connection from err.
func causeOf(err error) error {
	if e, ok := err.(*Error); ok && e.Op == "connection" && e.Err != nil && !e.Reason.Failed() {
		return e.Err
	}
	return err
}

// again restores the connection, or ends the client and returns false. named
// reports whether the broker closed it because of a packet.
func (c *Client) again(err error, start time.Time, named bool) bool {
	c.mu.Lock()
	closing, unproven := c.farewell.closing, c.proof.unproven
	c.mu.Unlock()
	if closing || c.ctx.Err() != nil {
		if e, ok := err.(*Error); !ok || !e.Reason.Failed() && !transport.IsReset(err) && unproven == 0 {
			err = ErrClosed
		}
		c.end(err)
		return false
	}
	if c.opt.Reconnect == nil || errors.Is(err, ErrJournal) { // a new connection does not repair a disk
		c.end(err)
		return false
	}
	if c.refer(err) {
		c.event(Event{Kind: EventReferred, Err: err})
		err = &Error{Op: "connection", Class: ErrInDoubt, Err: errReferred}
	}
	kind := EventDown
	attempt := 0
	if time.Since(start) < 30*time.Second {
		c.mu.Lock()
		if c.doubt.tried { // it had passed the control: the broker works
			c.early = 0
		}
		c.early++
		attempt = c.early - 1 // do not hammer a broker that accepts and then disconnects
		c.mu.Unlock()
	} else {
		c.mu.Lock()
		c.early = 0
		c.mu.Unlock()
	}
	err = c.mayHaveExpired(err)
	if e, ok := err.(*Error); ok && named {
		marked := *e
		marked.Err = errAtPacket
		err = &marked
	}
	for {
		attempt++
		wait, ok := c.opt.Reconnect(attempt, err)
		if !ok {
			c.end(err)
			return false
		}
		c.event(Event{Kind: kind, Err: err, Wait: wait})
		kind = EventRetry
		select {
		case <-time.After(wait):
		case <-c.ctx.Done():
			c.end(ErrClosed)
			return false
		}
		c.renewPassword(c.ctx)
		if err = c.establish(c.ctx, false); err == nil {
			c.mu.Lock()
			c.stats.Reconnects++
			present, open := c.agreed.present, c.sess.Open()
			c.mu.Unlock()
			c.event(Event{Kind: EventUp, SessionPresent: present, Count: open})
			return true
		}
		c.mu.Lock()
		closing = c.farewell.closing
		c.mu.Unlock()
		if closing || c.ctx.Err() != nil {
			c.end(ErrClosed)
			return false
		}
	}
}

// end ends the client with err as the reason and answers every waiting call.
func (c *Client) end(err error) {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = err
	}
	class := ErrInDoubt
	if c.opt.Journal != nil {
		class = ErrKept
	}
	var events []Event
	c.sess.Tags(func(tag uint64) {
		if tag&syncTag != 0 {
			c.waiters.answer(uint32(tag), &Error{Op: "publish", Class: ErrInDoubt, Err: c.ended})
		} else if c.opt.OnOutcome != nil {
			events = append(events, Event{Kind: eventOutcome, Tag: tag, Err: &Error{Op: "publish", Class: class, Err: c.ended}})
		}
	})
	c.endAsksLocked()
	c.waiters.answerAll(&c.waiters.windowWaiters) // they check c.ended
	c.waiters.answerAll(&c.waiters.bufferWaiters)
	c.waiters.answerAll(&c.waiters.flushers)
	c.waiters.answerAll(&c.waiters.receivers)
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.doubt.timer != nil {
		c.doubt.timer.Stop()
	}
	c.mu.Unlock()
	for _, e := range events {
		c.event(e)
	}
	c.stop(err)
	c.out.wake(true)
}
