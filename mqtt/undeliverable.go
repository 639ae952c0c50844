package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// This file distinguishes a bad message from a bad link. A broker that rejects
// a packet may say so, or may just close the connection: every time, because
// the packet is sent again. A failing link or broker looks the same. The rule
// below gives up a packet only if it is proven to be the reason, and waits for
// a failing link without limit:
//
//   - A packet becomes the suspect when three connections in a row have ended while it
//     was the oldest unanswered one. Then each connection begins with a control: nothing
//     is sent for longer than the longest of those connections lasted, and then PINGREQs
//     check that the connection still works. After the last PINGRESP the suspect is sent
//     alone.
//   - If the connection then ends within the same time, on three controls in a row, the
//     packet is the reason. Anything else acquits it. If connections have also ended
//     while idle, more controls are required, because on such a link three may be chance.
//   - A reason code that is about a packet proves it at once if only one packet was in
//     flight. Otherwise the next connection sends one packet at a time.
//
// An acquitted packet was one of several in flight, and acknowledgements may
// have been lost with the connections, so the packets after it are sent one at
// a time as well.

const (
	suspectEnds = 3 // connections in a row that end at a packet and make it the suspect
	provenEnds  = 3 // controls in a row that prove it
	unfitMost   = 3 // maximum number of signs of a bad link; each requires provenEnds more controls
	// suspectLife is how long a connection may take to end because of a packet.
	suspectLife = time.Minute
	// controlSlack is how much longer a control takes than one and a half times
	// the longest of the lives that it is compared with.
	controlSlack = 100 * time.Millisecond
	// controlPings is how many PINGREQs are answered, one after the other,
	// before the suspect is sent: a link that fails on any packet fails on
	// these.
	controlPings = 4
	// controlPatience is how long a control waits for a PINGRESP.
	controlPatience = 30 * time.Second
)

// ErrUndeliverable is matched by the error of a packet that is proven to end
// every connection on which it is sent. That error is an *Undeliverable.
var ErrUndeliverable = errors.New("ends every connection it is sent on")

// errAtPacket marks a DISCONNECT that is about a packet and not about the
// client: another connection may last.
var errAtPacket = errors.New("a message or subscription may be the reason")

// Undeliverable describes a packet that is proven to end every connection on
// which it is sent. QoS is 0 if the broker ended a connection because of one of
// Count messages at QoS 0, without saying which; these are not sent again.
type Undeliverable struct {
	Packet  packet.Type // PUBLISH, PUBREL, SUBSCRIBE or UNSUBSCRIBE
	Call    bool        // Publish, Subscribe or Unsubscribe waits for its answer
	Tag     uint64      // of a message given to Send
	Topic   string      // of a message; empty if unknown
	QoS     packet.QoS  // of a message
	Size    int         // of a message's packet, in bytes
	Filters []string    // of SUBSCRIBE and UNSUBSCRIBE
	Count   int         // of messages at QoS 0

	NoQoS2 bool              // the broker answered it as if it were at QoS 1
	Reason packet.ReasonCode // the broker's reason code, if there was one
	Err    error             // how the last connection ended
}

// Error names the packet and the likely reason.
func (u *Undeliverable) Error() string { return u.name() + " " + u.Why() }

// name returns a description of the packet.
func (u *Undeliverable) name() string {
	switch {
	case u.Packet == packet.SUBSCRIBE && len(u.Filters) == 1:
		return "subscription to " + topic.Quote(u.Filters[0])
	case u.Packet == packet.SUBSCRIBE:
		return "one of the subscriptions to " + quoteAll(u.Filters)
	case u.Packet == packet.UNSUBSCRIBE:
		return "unsubscribing from " + quoteAll(u.Filters)
	case u.QoS == 0 && u.Count == 1:
		return "message at QoS 0"
	case u.QoS == 0:
		return fmt.Sprintf("one of %d messages at QoS 0", u.Count)
	case u.Topic == "":
		return "message"
	}
	return "message to topic " + topic.Quote(u.Topic)
}

// Why returns what the packet does and the likely reason.
func (u *Undeliverable) Why() string {
	if u.NoQoS2 {
		return "was " + session.ErrNoQoS2.Error()
	}
	if u.Reason.Failed() {
		return "ends the connection: " + u.Reason.Error()
	}
	text := ErrUndeliverable.Error() + ": "
	switch u.Packet {
	case packet.PUBREL:
		return text + "the broker has taken the message and may not support QoS 2"
	case packet.PUBLISH:
		return fmt.Sprintf("%sit may not be allowed, or be too large (%d bytes), or the broker may not support QoS %d", text, u.Size, u.QoS)
	}
	return text + "it may not be allowed"
}

// quoteAll lists topic filters; of many it quotes only the first.
func quoteAll(filters []string) string {
	const most = 5
	var b strings.Builder
	for i, f := range filters[:min(len(filters), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(topic.Quote(f))
	}
	if more := len(filters) - most; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// Is reports whether target is ErrUndeliverable.
func (u *Undeliverable) Is(target error) bool { return target == ErrUndeliverable }

// failure returns the error with which the packet fails.
func (u *Undeliverable) failure() *Error {
	e := &Error{Op: "publish", Class: ErrInDoubt, Err: u}
	switch u.Packet {
	case packet.SUBSCRIBE:
		e.Op = "subscribe"
	case packet.UNSUBSCRIBE:
		e.Op = "unsubscribe"
	}
	if u.Reason.Failed() {
		e.Class = ErrRefused
	}
	return e
}

// Disposition says what to do with a packet that is proven to be undeliverable.
type Disposition uint8

// The dispositions.
const (
	// UndeliverableStop ends the client. The packet and those after it stay
	// unacknowledged, and in the journal.
	UndeliverableStop Disposition = iota
	// UndeliverableSkip drops the packet and continues. The error is returned
	// by the packet's call or reported in an event.
	UndeliverableSkip
	// UndeliverableWait retries without limit, one packet at a time. One event
	// reports it.
	UndeliverableWait
)

// subject identifies a packet across connections. The zero value identifies
// none.
type subject struct {
	kind   packet.Type
	serial uint32 // of the message in its session, or of the request
}

// caution limits what is sent on a connection.
type caution uint8

const (
	free    caution = iota // everything may be sent
	single                 // one packet at a time
	quiet                  // control: nothing is sent
	pinging                // control: waiting for PINGRESP
	alone                  // control: the suspect was sent
)

// suspicion is the state of the rule. It does no I/O; callers pass the time.
type suspicion struct {
	suspect      subject
	lossesInARow int           // connections in a row that ended at the suspect
	trials       int           // controls in a row that ended at it
	longest      time.Duration // longest life of a connection that ended at it
	crowd        int           // packets that were in flight with it
	singles      int           // packets still to be sent one at a time
	keptSuspect  subject       // proven but kept: connections end at it
	hinted       subject       // the suspect that was reported last
	unfit        int           // signs that connections end by themselves

	// State of the connection:
	began   time.Duration
	phase   caution
	since   time.Duration // when the phase began
	stretch time.Duration // how long a control takes
	pings   int           // PINGREQs that a control has yet to send
	tried   bool          // the connection ended as a control, after its PINGRESP
}

// doubt applies the rule to a client. Client.mu must be held.
type doubt struct {
	suspicion
	timer   *time.Timer
	exposed time.Duration // when the oldest packet in flight became the oldest
}

// begin starts a new connection.
func (s *suspicion) begin(now time.Duration) {
	s.phase, s.since, s.began, s.tried = free, now, now, false
	switch {
	case s.lossesInARow >= suspectEnds:
		s.phase, s.stretch = quiet, s.longest+s.longest/2+controlSlack
	case s.singles > 0:
		s.phase = single
	}
}

// most returns how many messages may be in flight; negative means no limit.
func (s *suspicion) most() int {
	switch {
	case s.phase == free:
		return -1
	case s.phase == single, s.phase == alone && (s.suspect.kind == packet.PUBLISH || s.suspect.kind == packet.PUBREL):
		return 1
	}
	return 0
}

// mayAsk reports whether the request q may be sent while onTheWay packets are
// in flight.
func (s *suspicion) mayAsk(q subject, onTheWay int) bool {
	switch s.phase {
	case free:
		return true
	case single:
		return onTheWay == 0
	case alone:
		return onTheWay == 0 && q == s.suspect
	}
	return false
}

// due returns when tick must be called, if at all.
func (s *suspicion) due() (at time.Duration, ok bool) {
	switch s.phase {
	case quiet, alone:
		return s.since + s.stretch, true
	case pinging:
		return s.since + controlPatience, true
	}
	return 0, false
}

// tick advances the time, and reports whether a PINGREQ must be sent now.
func (s *suspicion) tick(now time.Duration) (ping bool) {
	at, ok := s.due()
	if !ok || now < at {
		return false
	}
	if s.phase == quiet {
		s.phase, s.since, s.pings = pinging, now, controlPings
		return true
	}
	s.acquit() // it outlived the others, or the broker answers nothing
	s.phase = free
	return false
}

// pong handles the answer to a PINGREQ of the control, and reports whether
// another one must be sent.
func (s *suspicion) pong(now time.Duration) (ping bool) {
	if s.phase != pinging {
		return false
	}
	s.since = now
	if s.pings--; s.pings > 0 {
		return true
	}
	s.phase = alone
	return false
}

// watching reports whether answered must be called for the broker's answers.
func (s *suspicion) watching() bool { return s.phase == single || s.phase == alone }

// answered is called with the number of packets that are done, and the oldest
// of those in flight.
func (s *suspicion) answered(done int, oldest subject) {
	if s.phase == alone && oldest != s.suspect {
		if s.trials > 0 {
			s.sign()
		}
		s.acquit()
		s.phase, s.singles = single, s.crowd
	}
	if s.phase == single {
		if s.singles -= done; s.singles <= 0 {
			s.phase, s.singles = free, 0
		}
	}
}

// emptied is called when no packet awaits an answer: calls may have returned,
// or messages may have been refused by the limits of a new connection.
func (s *suspicion) emptied() {
	if s.phase == single {
		s.phase, s.singles = free, 0
	}
}

// acquit clears the suspect. It keeps how long connections lived.
func (s *suspicion) acquit() { s.lossesInARow, s.trials = 0, 0 }

// sign records that the link fails by itself.
func (s *suspicion) sign() { s.unfit = min(s.unfit+1, unfitMost) }

// ending describes how a connection ended.
type ending struct {
	at      time.Duration
	exposed time.Duration // when its oldest packet became the oldest in flight
	oldest  subject
	n       int  // packets in flight
	unsure  bool // there may have been messages at QoS 0 as well
	blind   bool // the reason has nothing to do with packets
	named   bool // the reason code is about a packet
}

// ended handles the end of the connection and reports whether it proves that
// e.oldest is undeliverable.
func (s *suspicion) ended(e ending) (proven bool) {
	phase, since := s.phase, s.since
	s.phase = free
	if e.at-s.began > suspectLife {
		s.unfit = 0
	}
	switch {
	case e.blind:
		s.acquit()
		return false
	case phase == quiet || phase == pinging: // the connection was idle
		s.acquit()
		s.sign()
		s.longest = max(s.longest, min(e.at-since, suspectLife))
		return false
	case e.n == 0:
		s.acquit()
		if !e.unsure {
			s.sign()
		}
		return false
	case e.oldest == s.keptSuspect:
		s.singles = max(s.singles, 1)
		return false
	case e.named && e.n == 1 && !e.unsure:
		s.suspect = e.oldest
		return true
	case phase == alone && e.oldest == s.suspect:
		s.tried = true
		s.trials++
		return s.trials >= provenEnds*(1+s.unfit)
	}
	life := e.at - max(since, e.exposed)
	if e.oldest != s.suspect {
		s.suspect, s.lossesInARow, s.trials, s.longest, s.crowd = e.oldest, 0, 0, 0, 0
	}
	s.crowd = max(s.crowd, e.n)
	switch {
	case e.named:
		s.singles = max(s.singles, e.n)
	case life > suspectLife:
		s.acquit()
	case phase == single && e.n == 1 && !e.unsure:
		s.lossesInARow = suspectEnds // it was alone
		s.longest = max(s.longest, life)
	default:
		s.lossesInARow++
		s.longest = max(s.longest, life)
	}
	return false
}

// hint reports, once for each suspect, whether enough connections in a row
// ended at it.
func (s *suspicion) hint() bool {
	if s.lossesInARow < suspectEnds || s.hinted == s.suspect {
		return false
	}
	s.hinted = s.suspect
	return true
}

// settled is called when the suspect is proven; kept says that it is sent again
// nevertheless.
func (s *suspicion) settled(kept bool) {
	rest, keptSuspect := max(s.singles, s.crowd)-1, s.keptSuspect
	if kept {
		rest, keptSuspect = max(rest, 1), s.suspect
	}
	*s = suspicion{singles: max(rest, 0), keptSuspect: keptSuspect, hinted: s.hinted, tried: !kept, unfit: s.unfit}
}

// namesPacket reports whether a DISCONNECT with this reason is about a packet
// of this kind.
func namesPacket(kind packet.Type, r packet.ReasonCode) bool {
	switch r {
	case packet.MalformedPacket, packet.NotAuthorized, packet.PacketTooLarge:
		return true
	case packet.TopicNameInvalid, packet.PayloadFormatInvalid, packet.RetainNotSupported, packet.QoSNotSupported:
		return kind == packet.PUBLISH || kind == packet.PUBREL
	case packet.TopicFilterInvalid:
		return kind == packet.SUBSCRIBE || kind == packet.UNSUBSCRIBE
	case packet.SharedSubscriptionsNotSupported, packet.SubscriptionIdentifiersNotSupported, packet.WildcardSubscriptionsNotSupported:
		return kind == packet.SUBSCRIBE
	}
	return false
}

// saysNothing reports whether the end of a connection had nothing to do with
// the packets on it, because the broker or this side had another reason.
func saysNothing(err error) bool {
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrLost) && !e.Reason.Failed() {
		return true
	}
	switch e.Reason {
	case packet.ServerUnavailable, packet.ServerBusy, packet.ServerShuttingDown, packet.KeepAliveTimeout, packet.SessionTakenOver,
		packet.ConnectionRateExceeded, packet.MaximumConnectTime, packet.AdministrativeAction, packet.UseAnotherServer, packet.ServerMoved,
		packet.MessageRateTooHigh, packet.QuotaExceeded, packet.ReceiveMaximumExceeded, packet.Banned:
		return true
	}
	return false
}

// cautiousLocked applies the rule to a new connection, before the session is
// resumed.
func (c *Client) cautiousLocked() {
	now := c.now()
	c.doubt.begin(now)
	c.doubt.exposed = now
	c.conn.Hold(c.doubt.most())
	c.watchDoubtLocked()
}

// watchDoubtLocked sets the timer of the rule.
func (c *Client) watchDoubtLocked() {
	at, ok := c.doubt.due()
	switch {
	case !ok && c.doubt.timer != nil:
		c.doubt.timer.Stop()
	case ok && c.doubt.timer == nil:
		c.doubt.timer = time.AfterFunc(at-c.now(), c.doubtTick)
	case ok:
		c.doubt.timer.Reset(at - c.now())
	}
}

// doubtTick runs when a step of a control may have timed out.
func (c *Client) doubtTick() {
	c.mu.Lock()
	if c.nc == nil || c.ended != nil {
		c.mu.Unlock()
		return
	}
	if c.doubt.tick(c.now()) {
		c.pingForControlLocked()
	}
	c.loosenLocked()
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
}

// pingForControlLocked sends a PINGREQ for the rule.
func (c *Client) pingForControlLocked() {
	if c.conn.Ping(c.now()) == nil {
		c.proof.ping(none, true)
	}
}

// loosenLocked sends what the rule allows now.
func (c *Client) loosenLocked() {
	if c.sess.Open() == 0 && len(c.subs.asks) == 0 {
		c.doubt.emptied()
	}
	c.conn.Hold(c.doubt.most())
	c.sendAsksLocked()
	c.watchDoubtLocked()
	if c.doubt.phase == free {
		c.waiters.answerAll(&c.waiters.windowWaiters)
	}
}

// onTheWayLocked returns the oldest packet of this connection that awaits an
// answer, and the number of such packets. Messages come before requests, as
// they do when they are resent.
func (c *Client) onTheWayLocked() (subject, session.Outstanding, int) {
	o, n := c.conn.Oldest()
	oldest := subject{packet.PUBLISH, o.Serial}
	if o.Released {
		oldest.kind = packet.PUBREL
	}
	messages := n
	for _, a := range c.subs.asks {
		if a.sent {
			if n++; n == 1 {
				oldest = a.subject()
			}
		}
	}
	if messages == 0 {
		o = session.Outstanding{}
	}
	return oldest, o, n
}

// suspectsLocked handles the end of the connection, and returns the packet that
// is proven to be its reason, if there is one. named reports whether the
// broker's reason code was about a packet, and hint is what to report about a
// suspect. It must be called before the session is marked as lost.
func (c *Client) suspectsLocked(err error) (u *Undeliverable, named bool, hint error) {
	oldest, message, n := c.onTheWayLocked()
	unsure := c.proof.unsure()
	kind := oldest.kind
	if n == 0 && unsure > 0 {
		kind = packet.PUBLISH
	}
	var reason packet.ReasonCode
	if e, ok := errors.AsType[*Error](err); ok && e.Op == "connection" {
		reason = e.Reason
	}
	// With enhanced authentication "not authorized" may mean that it has
	// expired.
	named = (n > 0 || unsure > 0 && c.opt.Undeliverable != nil) && namesPacket(kind, reason) && (reason != packet.NotAuthorized || c.auth.method == "")
	e := ending{at: c.now(), exposed: c.doubt.exposed, oldest: oldest, n: n, unsure: unsure > 0, blind: saysNothing(err), named: named}
	noQoS2 := c.conn.NoQoS2 && oldest.kind == packet.PUBLISH
	if noQoS2 { // it is an answer, and says to which packet
		e.blind, e.named, e.n, e.unsure = false, true, 1, false
	}
	proven := c.doubt.ended(e)
	if named && n == 0 {
		return &Undeliverable{Packet: packet.PUBLISH, Count: int(unsure), Reason: reason, Err: err}, true, nil
	}
	if !proven {
		if n > 0 && c.doubt.hint() {
			hint = fmt.Errorf("connections end at the same packet (%s): looking for the reason", c.describeLocked(oldest, message).name())
		}
		return nil, named, hint
	}
	u = c.describeLocked(oldest, message)
	u.Err, u.NoQoS2 = causeOf(err), noQoS2
	if named {
		u.Reason = reason
	}
	return u, named, nil
}

// describeLocked describes a packet in flight; message is the oldest message.
// c.mu must be held.
func (c *Client) describeLocked(oldest subject, message session.Outstanding) *Undeliverable {
	u := &Undeliverable{Packet: oldest.kind}
	if a := c.subs.ask(oldest.serial); a != nil && oldest == a.subject() {
		u.Call, u.Filters = a.waiter != none, a.filters()
		return u
	}
	u.Call, u.Tag, u.Size, u.QoS = message.Tag&syncTag != 0, message.Tag&^syncTag, len(message.Publish), 2
	if u.Call {
		u.Tag = 0
	}
	var p packet.Publish
	if f, size, err := packet.Split(message.Publish, c.conn.Version(), 0); err == nil && size > 0 && p.Parse(f, c.conn.Version()) == nil {
		u.Topic, u.QoS = string(p.Topic), p.QoS
	}
	return u
}

// settle handles an undeliverable packet as the options say. It returns why the
// client must end, or nil.
func (c *Client) settle(u *Undeliverable) (stop error) {
	if u == nil {
		return nil
	}
	failure := u.failure()
	what := UndeliverableStop
	switch {
	case c.opt.Undeliverable != nil:
		what = c.opt.Undeliverable(u)
	case u.Call:
		what = UndeliverableSkip
	}
	if what == UndeliverableStop {
		return failure
	}
	event := true
	c.mu.Lock()
	if u.Count == 0 {
		suspect := c.doubt.suspect
		c.doubt.settled(what == UndeliverableWait)
		if what == UndeliverableSkip {
			event = !c.giveUpLocked(suspect, failure)
		}
	}
	c.mu.Unlock()
	if what == UndeliverableSkip && u.Count == 0 && len(u.Filters) == 0 && !u.Call && c.opt.OnOutcome != nil {
		c.event(Event{Kind: eventOutcome, Tag: u.Tag, Err: failure})
	}
	if event {
		c.event(Event{Kind: EventUndeliverable, Tag: u.Tag, Err: failure, Dropped: what == UndeliverableSkip})
	}
	return nil
}

// giveUpLocked drops a packet, and reports whether a call received the failure.
func (c *Client) giveUpLocked(s subject, failure *Error) (answered bool) {
	if s.kind == packet.SUBSCRIBE || s.kind == packet.UNSUBSCRIBE {
		a := c.subs.take(s.serial)
		c.subs.forgetPacket(s.serial)
		if a == nil || a.waiter == none {
			return false
		}
		c.waiters.answer(a.waiter, failure)
		return true
	}
	tag, ok := c.sess.Drop(s.serial)
	if !ok {
		return false
	}
	c.stats.Refused++
	c.flushedLocked()
	if tag&syncTag == 0 {
		return false
	}
	c.waiters.answer(uint32(tag), failure)
	return true
}
