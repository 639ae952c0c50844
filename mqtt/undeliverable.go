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

// Message or link. A broker that does not want a packet may say so, or may just
// end the connection: every time, for the packet is sent again. A link or a broker
// that fails looks the same. A packet is given up only if it is proven to be the
// reason, and a failing link is waited for without end:
//
//   - Three connections in a row have ended at the same packet, the oldest without
//     an answer. Then each connection begins with a control: nothing is sent for
//     longer than the longest of those lives, and then PINGREQs, to see that the
//     connection still stands. The packet is sent alone behind the last PINGRESP.
//   - The connection ends within the same time, three times in turn: it is the
//     packet. Anything else acquits it. More times are asked for where connections
//     have ended idle too, for on such a link three may be chance.
//   - A reason code that says what is wrong with a packet proves it at once, if
//     nothing else was on the way that it could mean. If there was, the next
//     connection sends one packet at a time.
//
// A packet that was acquitted was one of several on the way, and acknowledgements
// may have been lost with the connections: those behind it go one at a time too.

const (
	suspectEnds = 3 // connections in a row that end at a packet and make it a suspect
	provenEnds  = 3 // controls in turn that prove it, and for each sign that
	unfitMost   = 3 // the link fails by itself, up to this many, as many more
	// suspectLife is how long a connection may take to end because of a packet.
	suspectLife = time.Minute
	// controlSlack is by how much a control is longer than the lives it is compared
	// with, beside their half.
	controlSlack = 100 * time.Millisecond
	// controlPings is how many PINGREQs are answered, one after the other, before
	// the suspect leaves: a link that fails at any packet fails at these.
	controlPings = 4
	// controlPatience is how long the PINGRESP of a control is awaited.
	controlPatience = 30 * time.Second
)

// ErrUndeliverable is matched by the error of a packet that is proven to end every
// connection on which it is sent: an *Undeliverable.
var ErrUndeliverable = errors.New("ends every connection it is sent on")

// errAtPacket marks a DISCONNECT that is about a packet, and not about the client:
// another connection may last.
var errAtPacket = errors.New("a message or subscription may be the reason")

// Undeliverable describes a packet that is proven to end every connection on which
// it is sent. Its QoS is 0 where the broker ended a connection because of one of
// Count messages at QoS 0, of which none is known; they are not sent again.
type Undeliverable struct {
	Packet  packet.Type // PUBLISH, PUBREL, SUBSCRIBE or UNSUBSCRIBE
	Call    bool        // Publish, Subscribe or Unsubscribe waits for its answer
	Tag     uint64      // of a message given to Send
	Topic   string      // of a message; empty if it is not known
	QoS     packet.QoS  // of a message
	Size    int         // of a message's packet, bytes
	Filters []string    // of SUBSCRIBE and UNSUBSCRIBE
	Count   int         // of messages at QoS 0

	NoQoS2 bool              // the broker answered it as if it were at QoS 1
	Reason packet.ReasonCode // why, if the broker said it
	Err    error             // how the last connection ended
}

// Error names the packet and says what the reason may be.
func (u *Undeliverable) Error() string { return u.name() + " " + u.Why() }

// name is the packet in words.
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

// Why says in words what the packet does and what the reason may be.
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

// quoteAll lists topic filters, of many only the first.
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

// Is matches ErrUndeliverable.
func (u *Undeliverable) Is(target error) bool { return target == ErrUndeliverable }

// failure is the error with which the packet ends.
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

// Disposition is what becomes of a packet that is proven to be undeliverable.
type Disposition uint8

// The dispositions.
const (
	// UndeliverableStop ends the client. The packet and those behind it stay
	// unacknowledged, and in the journal.
	UndeliverableStop Disposition = iota
	// UndeliverableSkip drops the packet: its call returns the error, or an event
	// tells it, and the client goes on.
	UndeliverableSkip
	// UndeliverableWait keeps trying, one packet at a time. An event tells it once.
	UndeliverableWait
)

// subject identifies a packet over connections. The zero value is none.
type subject struct {
	kind   packet.Type
	serial uint32 // of the message in its session, or of the request
}

// caution is how a connection is used.
type caution uint8

const (
	free    caution = iota // whatever there is may leave
	single                 // one packet after the other's answer
	quiet                  // control: nothing leaves
	pinging                // control: PINGRESP is awaited
	alone                  // control: the suspect has left
)

// suspicion is the state of the rule. It does no I/O and is told the time.
type suspicion struct {
	suspect subject
	deaths  int           // connections in a row that have ended at it
	trials  int           // controls in turn that have
	longest time.Duration // of the lives of connections that ended at it
	crowd   int           // packets that were on the way with it
	singles int           // packets that are to be sent one at a time
	told    subject       // proven and kept: connections end at it
	hinted  subject       // the suspect that was told of last
	unfit   int           // signs that connections end by themselves

	// Of the connection:
	began   time.Duration
	phase   caution
	since   time.Duration // when the phase began
	stretch time.Duration // how long a control takes
	pings   int           // PINGREQs that a control still sends
	tried   bool          // it ended as a control, behind its PINGRESP
}

// doubt is the rule at work in a client. Guarded by Client.mu.
type doubt struct {
	suspicion
	timer   *time.Timer
	exposed time.Duration // since when the oldest packet on the way is the oldest
}

// begin takes a new connection.
func (s *suspicion) begin(now time.Duration) {
	s.phase, s.since, s.began, s.tried = free, now, now, false
	switch {
	case s.deaths >= suspectEnds:
		s.phase, s.stretch = quiet, s.longest+s.longest/2+controlSlack
	case s.singles > 0:
		s.phase = single
	}
}

// most is how many messages may be on the way; negative for no limit.
func (s *suspicion) most() int {
	switch {
	case s.phase == free:
		return -1
	case s.phase == single, s.phase == alone && (s.suspect.kind == packet.PUBLISH || s.suspect.kind == packet.PUBREL):
		return 1
	}
	return 0
}

// mayAsk reports whether the request q may leave while so many packets are on the way.
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

// due returns when tick must be called, if it must.
func (s *suspicion) due() (at time.Duration, ok bool) {
	switch s.phase {
	case quiet, alone:
		return s.since + s.stretch, true
	case pinging:
		return s.since + controlPatience, true
	}
	return 0, false
}

// tick takes the time, and reports whether a PINGREQ is to be sent now.
func (s *suspicion) tick(now time.Duration) (ping bool) {
	at, ok := s.due()
	if !ok || now < at {
		return false
	}
	if s.phase == quiet {
		s.phase, s.since, s.pings = pinging, now, controlPings
		return true
	}
	s.acquit() // it lives longer than any other, or the broker answers nothing
	s.phase = free
	return false
}

// pong takes the answer to a PINGREQ of the control, and reports whether another is
// to be sent.
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

// watching reports whether answered must be called for what the broker answers.
func (s *suspicion) watching() bool { return s.phase == single || s.phase == alone }

// answered takes the number of packets that are done, and the oldest of those
// that are on the way.
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

// emptied is told that nothing is left that awaits an answer: calls may have gone, or
// messages been refused for the limits of a new connection.
func (s *suspicion) emptied() {
	if s.phase == single {
		s.phase, s.singles = free, 0
	}
}

// acquit takes the blame off the suspect. How long connections lived stays known.
func (s *suspicion) acquit() { s.deaths, s.trials = 0, 0 }

// sign notes that the link fails by itself.
func (s *suspicion) sign() { s.unfit = min(s.unfit+1, unfitMost) }

// ending is how a connection has ended.
type ending struct {
	at      time.Duration
	exposed time.Duration // since when its oldest packet was the oldest on the way
	oldest  subject
	n       int  // packets on the way
	unsure  bool // there may have been messages at QoS 0 too
	blind   bool // for a reason of the broker's or of this side's
	named   bool // with a reason code that is about a packet
}

// ended takes the end of the connection and reports whether it proves that e.oldest
// is undeliverable.
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
	case phase == quiet || phase == pinging: // as idle as it was
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
	case e.oldest == s.told:
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
		s.suspect, s.deaths, s.trials, s.longest, s.crowd = e.oldest, 0, 0, 0, 0
	}
	s.crowd = max(s.crowd, e.n)
	switch {
	case e.named:
		s.singles = max(s.singles, e.n)
	case life > suspectLife:
		s.acquit()
	case phase == single && e.n == 1 && !e.unsure:
		s.deaths = suspectEnds // it was alone
		s.longest = max(s.longest, life)
	default:
		s.deaths++
		s.longest = max(s.longest, life)
	}
	return false
}

// hint reports, once for each suspect, that connections in a row have ended at it.
func (s *suspicion) hint() bool {
	if s.deaths < suspectEnds || s.hinted == s.suspect {
		return false
	}
	s.hinted = s.suspect
	return true
}

// settled is told that the suspect is proven, and whether it is kept all the same.
func (s *suspicion) settled(kept bool) {
	rest, told := max(s.singles, s.crowd)-1, s.told
	if kept {
		rest, told = max(rest, 1), s.suspect
	}
	*s = suspicion{singles: max(rest, 0), told: told, hinted: s.hinted, tried: !kept, unfit: s.unfit}
}

// namesPacket reports whether a DISCONNECT with this reason is about a packet of
// this kind.
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

// saysNothing reports whether the end of a connection says nothing about the
// packets on it: the broker had reasons of its own, or this side had.
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

// cautiousLocked begins a connection with what the rule wants of it, before
// the session is resumed.
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

// doubtTick runs when the time of a control may be over.
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

// pingForControlLocked sends a PINGREQ of the rule's.
func (c *Client) pingForControlLocked() {
	if c.conn.Ping(c.now()) == nil {
		c.proof.ping(none, true)
	}
}

// loosenLocked lets leave what the rule allows now.
func (c *Client) loosenLocked() {
	if c.sess.Open() == 0 && len(c.subs.asks) == 0 {
		c.doubt.emptied()
	}
	c.conn.Hold(c.doubt.most())
	c.sendAsksLocked()
	c.watchDoubtLocked()
	if c.doubt.phase == free {
		c.waiters.answerAll(&c.waiters.roomers)
	}
}

// onTheWayLocked returns the oldest packet of this connection that awaits an answer, and
// how many do: messages come before requests, as they do when they are sent again.
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

// suspectsLocked takes the end of the connection, and returns the packet that is proven
// to be its reason, if one is. named reports whether the broker's reason code was about
// a packet, and hint is what there is to tell of a suspect. It is called before the
// session is told.
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
	// Of an authentication "not authorized" may mean that it has expired.
	named = (n > 0 || unsure > 0 && c.opt.Undeliverable != nil) && namesPacket(kind, reason) && (reason != packet.NotAuthorized || c.auth.method == "")
	e := ending{at: c.now(), exposed: c.doubt.exposed, oldest: oldest, n: n, unsure: unsure > 0, blind: saysNothing(err), named: named}
	noQoS2 := c.conn.NoQoS2 && oldest.kind == packet.PUBLISH
	if noQoS2 { // it is an answer, and says which
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

// describeLocked says what a packet on the way is; message is the oldest message. Called
// with mu.
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

// settle does with an undeliverable packet as the options say. stop is why the
// client must end, if it must.
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
	if event {
		c.event(Event{Kind: EventUndeliverable, Tag: u.Tag, Err: failure, Dropped: what == UndeliverableSkip})
	}
	return nil
}

// giveUpLocked drops a packet, and reports whether a call was told.
func (c *Client) giveUpLocked(s subject, failure *Error) (told bool) {
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
