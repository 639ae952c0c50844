package broker

import (
	"container/list"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// entry is the state of a connection until it is accepted.
type entry struct {
	// Guarded by Broker.connMu.
	place *list.Element // among the connections that are not accepted yet
	cut   chan struct{} // closed when place is given up; nil until a goroutine waits for that
	spoke bool          // its CONNECT has arrived

	// Used by run only, except surplus, which is set before run begins.
	surplus bool          // above MaxConnections: CONNECT will be refused
	hasty   bool          // above ConnectRate: the same
	begun   time.Duration // when it was accepted by the listener; broker time
	asked   time.Duration // when CONNECT arrived; broker time
	comer   string        // its key in comers; empty without a place
	rules   uint64        // Broker.rules by which its CONNECT is checked
}

// refusal is a CONNECT that was answered with a failure.
type refusal struct {
	id     string
	reason packet.ReasonCode
	text   string
}

func (r *refusal) Error() string { return r.reason.Error() }

// refuse answers CONNECT with a failure. The text goes to MQTT 5.0 clients, all of
// which must accept a reason string in a CONNACK (section 3.2.2.3.9).
func (c *conn) refuse(id string, reason packet.ReasonCode, text string) error {
	ack := packet.Connack{Reason: reason}
	if text != "" && c.sc.Version() >= packet.V5 {
		ack.Properties = reasonString(text)
	}
	c.sc.Refuse(&ack)
	return &refusal{id, reason, text}
}

// connect handles CONNECT.
func (c *conn) connect(p *packet.Connect) error {
	o := &c.b.opts
	id := string(p.ClientID)
	switch {
	case c.entry.surplus && !c.b.connected(id):
		return c.refuse(id, packet.ServerBusy, tooMany)
	case c.entry.hasty:
		return c.refuse(id, packet.ConnectionRateExceeded, "too many connections a second from this address")
	}
	if r := o.Redirect; r != nil {
		ack := packet.Connack{Reason: r.Reason}
		if c.sc.Version() >= packet.V5 {
			ack.Properties = r.properties()
		}
		c.sc.Refuse(&ack)
		return &refusal{id, r.Reason, r.Reference}
	}
	b := c.b
	c.username, c.entry.asked = string(p.Username), b.now()
	b.comers.enter(c, id, c.username)
	defer b.comers.leave(c)
	c.hasSpoken()
	for {
		c.entry.rules = b.rules.Load()
		if err := c.identify(p); err != errRules {
			return err
		}
	}
}

// tooMany is the reason for refusing a connection above MaxConnections.
const tooMany = "too many connections"

// errRules is returned if the rules by which a client was accepted changed before the
// client was in its place, where Recheck would have found it.
var errRules = errors.New("the rules have changed")

// identify authenticates the client, and accepts it if it may connect.
func (c *conn) identify(p *packet.Connect) error {
	o := &c.b.opts
	if o.CertificateUser {
		if name := commonName(c.nc); name != "" {
			c.username = name
			return c.admit(p, nil)
		}
	}
	if _, has := p.Properties.Bytes(packet.AuthenticationMethod); has {
		return c.startAuth(p)
	}
	if o.Authenticate != nil {
		return c.authenticate(p)
	}
	return c.admit(p, nil)
}

// admit checks the CONNECT of a client that is authenticated. proof holds the
// authentication method and the last data for CONNACK.
func (c *conn) admit(p *packet.Connect, proof packet.Properties) error {
	b, o := c.b, &c.b.opts
	id := string(p.ClientID)
	ack := packet.Connack{}
	add := func(prop packet.PropertyID, n uint32) {
		if c.sc.Version() >= packet.V5 {
			ack.Properties, _ = ack.Properties.AppendUint(prop, n)
		}
	}
	if id == "" {
		var random [9]byte
		_, _ = rand.Read(random[:]) // documented never to fail
		id = "auto-" + hex.EncodeToString(random[:])
		if c.sc.Version() >= packet.V5 {
			ack.Properties, _ = ack.Properties.AppendBytes(packet.AssignedClientIdentifier, []byte(id)) // MQTT-3.2.2-16
		}
	}
	if p.HasWill {
		reason, words := o.check(p.Will.Topic, p.Will.Properties)
		switch {
		case reason != packet.Success:
			return c.refuse(id, reason, "the will: "+words)
		case b.queuesFull() && len(p.Will.Payload)+len(p.Will.Topic)+len(p.Will.Properties) > smallWill:
			return c.refuse(id, packet.QuotaExceeded, "no room for the will: too many messages are waiting")
		case o.LimitQoS && p.Will.QoS > o.MaximumQoS:
			return c.refuse(id, packet.QoSNotSupported, "the will's QoS") // MQTT-3.2.2-12
		case o.DisableRetain && p.Will.Retain:
			return c.refuse(id, packet.RetainNotSupported, "the will is retained") // MQTT-3.2.2-13
		case o.Authorize != nil && !o.Authorize(id, c.username, string(p.Will.Topic), true):
			return c.refuse(id, packet.NotAuthorized, "the will may not be published")
		}
	}
	expiry := uint32(0)
	if c.sc.Version() >= packet.V5 {
		expiry = p.Properties.UintOr(packet.SessionExpiryInterval, 0)
	} else if !p.CleanStart {
		expiry = forever
	}
	if most := uint32(min(o.MaxSessionExpiry/time.Second, forever)); most > 0 && expiry > most {
		expiry = most
		add(packet.SessionExpiryInterval, expiry) // MQTT-3.2.2-3.2.2.3.2
	}
	keepAlive := time.Duration(p.KeepAlive) * time.Second
	if most := o.MaxKeepAlive; most > 0 && (keepAlive == 0 || keepAlive > most) {
		if c.sc.Version() < packet.V5 {
			// As mosquitto does: the other codes make clients retry.
			return c.refuse(id, packet.ClientIdentifierNotValid, "a keep alive of at most "+most.String()+" is wanted")
		}
		keepAlive = most
		add(packet.ServerKeepAlive, uint32(most/time.Second))
	}
	if o.ReceiveMaximum < 65535 {
		add(packet.ReceiveMaximum, uint32(o.ReceiveMaximum))
	}
	add(packet.MaximumPacketSize, uint32(min(o.MaxPacketSize, packet.MaxSize)))
	if o.TopicAliasMaximum > 0 {
		add(packet.TopicAliasMaximum, uint32(o.TopicAliasMaximum))
	}
	if o.LimitQoS && o.MaximumQoS < 2 {
		add(packet.MaximumQoS, uint32(o.MaximumQoS))
	}
	if o.DisableRetain {
		add(packet.RetainAvailable, 0)
	}
	if o.DisableWildcards {
		add(packet.WildcardSubscriptionAvailable, 0)
	}
	if o.DisableSubscriptionIDs {
		add(packet.SubscriptionIdentifierAvailable, 0)
	}
	if o.DisableSharedGroups {
		add(packet.SharedSubscriptionAvailable, 0)
	}
	if p.Properties.UintOr(packet.RequestResponseInformation, 0) == 1 && o.ResponsePrefix != "" { // MQTT-3.1.2-28
		ack.Properties, _ = ack.Properties.AppendBytes(packet.ResponseInformation, []byte(o.ResponsePrefix+plainLevel(id)))
	}
	ack.Properties = append(ack.Properties, proof...)
	c.noReasonStrings = p.Properties.UintOr(packet.RequestProblemInformation, 1) == 0
	if most := c.sc.Peer().MaximumPacketSize; most < packet.MaxRemainingLength {
		if !fits(&ack, most) {
			ack.Properties = ack.Properties.Without(nil, packet.ResponseInformation)
		}
		if !fits(&ack, most) { // MQTT-3.1.2-24
			return c.refuse(id, packet.PacketTooLarge, "CONNACK is larger than the client accepts")
		}
	}
	return b.accept(c, p, id, expiry, keepAlive, &ack)
}

// smallWill is the allowed size of a will when no more messages may wait, in bytes.
const smallWill = 1 << 10

// countWillLocked counts the will among the waiting messages, until the session has
// another will or ends. cl.mu must be held.
func (cl *client) countWillLocked() {
	size := 0
	if cl.will != nil {
		size = cl.will.size()
	}
	cl.b.queued.Add(int64(size - cl.willSize))
	cl.willSize = size
}

// fits reports whether a CONNACK of MQTT 5.0 has at most the given number of bytes.
func fits(p *packet.Connack, most int) bool {
	b, err := p.AppendTo(nil, packet.V5)
	return err == nil && len(b) <= most
}

// plainLevel returns a client ID as one level of a topic name.
func plainLevel(id string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F", "+", "%2B", "#", "%23").Replace(id)
}

// connected reports whether the client ID has a connection, which a new one would end.
// The new one then does not count against MaxConnections. Otherwise a dead connection
// would keep its own client from reconnecting.
func (b *Broker) connected(id string) bool {
	b.mu.RLock()
	cl := b.sessions[id]
	b.mu.RUnlock()
	if cl == nil {
		return false
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.conn != nil
}

// accept finds or creates the session and attaches the connection to it.
func (b *Broker) accept(c *conn, p *packet.Connect, id string, expiry uint32, keepAlive time.Duration, ack *packet.Connack) error {
	cl := b.claim(c, id)
	stale, surplus := c.entry.rules != b.rules.Load(), c.entry.surplus && (cl == nil || cl.conn == nil)
	if stale || surplus {
		if cl != nil {
			cl.mu.Unlock()
		}
		b.mu.Unlock()
	}
	switch {
	case stale && c.auth.method == "":
		return errRules
	case stale: // its exchange is over
		return c.refuse(id, packet.ServerBusy, "the rules have changed")
	case surplus:
		return c.refuse(id, packet.ServerBusy, tooMany)
	}
	now := b.now()
	var wills []*message
	if cl == nil && len(b.sessions) >= b.opts.MaxSessions {
		will, ok := b.evictLocked()
		if !ok {
			b.mu.Unlock()
			return c.refuse(id, packet.QuotaExceeded, "too many sessions")
		}
		if will != nil {
			wills = append(wills, will)
		}
	}
	if cl != nil {
		b.away.remove(cl)
		cl.stopTimerLocked()
		if old := cl.conn; old != nil {
			// MQTT-3.1.4-3: close the older connection.
			old.kickLocked(packet.SessionTakenOver)
			cl.conn = nil
			if cl.will != nil && (cl.delay == 0 || p.CleanStart || cl.expiry == 0) {
				wills = append(wills, cl.will)
			}
			cl.will = nil
			if cl.expiry == 0 { // the session ended with its connection
				b.discardLocked(cl)
				cl.mu.Unlock()
				cl = nil
			}
		}
	}
	if cl != nil {
		if p.CleanStart { // MQTT-3.1.2-4
			if cl.will != nil {
				wills = append(wills, cl.will)
				cl.will = nil
			}
			b.discardLocked(cl)
			cl.mu.Unlock()
			cl = nil
		} else {
			cl.will = nil // MQTT-3.1.3-9: back in time
			ack.SessionPresent = true
		}
	}
	if cl == nil {
		cl = &client{b: b, id: id, subs: make(map[string]subscription), queue: queue{total: &b.queued}}
		cl.mu.Lock()
		b.sessions[id] = cl
	}
	if cl.stale || cl.user != c.username && ack.SessionPresent {
		b.recheckLocked(cl, c.username) // what another user may read is not for this one
		cl.stale = false
	}
	cl.user, cl.expiry = c.username, expiry
	cl.will, cl.delay = nil, 0
	if p.HasWill {
		w := packet.Publish{Topic: p.Will.Topic, Payload: p.Will.Payload, QoS: p.Will.QoS, Retain: p.Will.Retain,
			Properties: p.Will.Properties.Without(nil, packet.WillDelayInterval)}
		cl.will = keep(&w, cl, now)
		cl.will.user = c.username
		cl.delay = time.Duration(p.Will.Properties.UintOr(packet.WillDelayInterval, 0)) * time.Second
	}
	cl.countWillLocked()
	cl.reencodeLocked(c.sc.Version())
	cl.dropUnfitLocked(c)
	err := c.sc.Accept(&cl.sess, ack, keepAlive, now)
	c.window = min(b.opts.MaxInflight, int(c.sc.Peer().ReceiveMaximum))
	cl.conn, c.deadline = c, 0
	c.client.Store(cl)
	b.stats.connected.Add(1)
	cl.pumpLocked(now)
	c.startWriterLocked()
	cl.mu.Unlock()
	b.connMu.Lock()
	b.acceptedLocked(c)
	b.connMu.Unlock()
	b.adoptLocked(now)
	for _, w := range wills {
		b.publishKeptLocked(w, now)
	}
	b.mu.Unlock()
	select {
	case <-b.done: // Close may have looked at this connection too early
		cl.mu.Lock()
		cl.will = nil // as Close does
		c.kickLocked(packet.ServerShuttingDown)
		cl.mu.Unlock()
	default:
	}
	b.log(Event{Kind: EventConnected, ClientID: id, Remote: c.remote, Text: "MQTT " + c.sc.Version().String()})
	return err
}

// reencodeLocked encodes the session's unacknowledged messages in version v, for a
// client that reconnects with another version. They keep their packet identifiers: with
// another one a QoS 2 message would arrive twice.
func (cl *client) reencodeLocked(v packet.Version) {
	if cl.version != 0 && cl.version != v && cl.sess.Open() > 0 {
		now := cl.b.now()
		cl.sess.Reencode(func(dst []byte, tag uint64, publish []byte) []byte {
			var p packet.Publish
			f, n, err := packet.Split(publish, cl.version, 0)
			if err != nil || n == 0 || p.Parse(f, cl.version) != nil {
				return append(dst, publish...) // cannot happen: the broker has encoded it
			}
			if v < packet.V5 {
				p.Properties = nil
			} else if at := expiryOf(tag); at != 0 {
				p.Properties = withExpiry(nil, p.Properties, at-now)
			}
			with, err := p.AppendTo(dst, v)
			if err != nil {
				return append(dst, publish...)
			}
			return with
		})
		cl.accountLocked()
	}
	cl.version = v
}

// dropUnfitLocked counts and logs the unacknowledged messages that a connection drops
// because its client accepts smaller packets than the last time (MQTT-3.1.2-25). cl.mu
// must be held.
func (cl *client) dropUnfitLocked(c *conn) {
	most := c.sc.Peer().MaximumPacketSize
	if most >= packet.MaxSize {
		return
	}
	cl.sess.Range(func(_ uint16, _ uint64, publish []byte) bool {
		if len(publish) > most {
			cl.dropLocked(string(topicOf(publish, cl.version)), tooLarge)
		}
		return true
	})
}

// topicOf returns the topic name of a PUBLISH in a session.
func topicOf(publish []byte, v packet.Version) []byte {
	var p packet.Publish
	if f, n, err := packet.Split(publish, v, 0); err != nil || n == 0 || p.Parse(f, v) != nil {
		return nil
	}
	return p.Topic
}

// discardLocked ends a session. Broker.mu and cl.mu must be held; adoptLocked must be
// called after cl.mu is released.
func (b *Broker) discardLocked(cl *client) {
	cl.stopTimerLocked()
	b.away.remove(cl)
	for filter := range cl.subs {
		b.removeLocked(cl, filter)
	}
	b.orphanLocked(cl)
	cl.sess.Clear(nil)
	cl.accountLocked()
	b.queued.Add(-int64(cl.willSize))
	cl.willSize = 0
	cl.queue.clear()
	cl.gone = true
	cl.wakeWaitersLocked()
	if b.sessions[cl.id] == cl {
		delete(b.sessions, cl.id)
	}
}

// evictLocked ends a session without a connection, as its expiry would. It returns
// false if all sessions have a connection. The will returned is due. Broker.mu must be
// held and no client.mu; adoptLocked must be called afterwards.
func (b *Broker) evictLocked() (will *message, ok bool) {
	cl := b.away.first()
	if cl == nil {
		return nil, false
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	will, cl.will = cl.will, nil // MQTT-3.1.2-8: the session ends
	lost, shared := cl.queue.n+cl.sess.Open(), len(b.orphans)
	b.discardLocked(cl)
	b.stats.dropped.Add(uint64(lost - (len(b.orphans) - shared)))
	b.log(Event{Kind: EventEvicted, ClientID: cl.id, Text: "it was absent for longest, and the limit is " + strconv.Itoa(b.opts.MaxSessions)})
	return will, true
}

// disconnectedLocked handles DISCONNECT; the engine has already refused a session
// expiry interval after one of 0. cl.mu must be held.
func (c *conn) disconnectedLocked(cl *client, p *packet.Disconnect) error {
	if expiry, has := p.Properties.Uint(packet.SessionExpiryInterval); has {
		cl.expiry = expiry
		if most := c.b.opts.MaxSessionExpiry; most > 0 {
			cl.expiry = uint32(min(time.Duration(expiry), most/time.Second))
		}
	}
	if p.Reason == packet.Success {
		cl.will = nil // MQTT-3.14.4-3
	}
	c.bye = true
	return errBye
}

// end detaches the connection from its session, and sends a client that is at fault the
// reason.
func (c *conn) end(err error) {
	b, cl := c.b, c.client.Load()
	now := b.now()
	var pe *packet.Error
	b.mu.Lock()
	cl.mu.Lock()
	if !c.over {
		if errors.As(err, &pe) || errors.Is(err, session.ErrKeepAlive) || err == errBug {
			c.sc.Fail(err)
		}
		c.over = true
	}
	c.hearing.end()
	var will *message
	if cl.conn == c {
		cl.conn = nil
		will = b.absentLocked(cl, c)
	}
	cl.wakeWaitersLocked()
	c.startWriterLocked()
	c.checkFlushedLocked()
	why := c.why
	cl.mu.Unlock()
	b.stats.connected.Add(-1)
	b.adoptLocked(now)
	if will != nil {
		b.publishKeptLocked(will, now)
	}
	b.mu.Unlock()
	e := Event{Kind: EventDisconnected, ClientID: cl.id, Remote: c.remote, Err: err}
	switch {
	case errors.Is(err, errBye):
		e.Err = nil
	case why != "":
		e.Err = errors.New(why)
	}
	b.log(e)
}

// absentLocked starts the timers of a session that has lost its connection, or ends the
// session; c is that connection. The will returned is due at once. Broker.mu and cl.mu
// must be held.
func (b *Broker) absentLocked(cl *client, c *conn) (due *message) {
	expiry := time.Duration(cl.expiry) * time.Second
	if expiry == 0 || cl.will != nil && cl.delay == 0 {
		due, cl.will = cl.will, nil // MQTT-3.1.2-8
	}
	if expiry == 0 {
		b.discardLocked(cl)
		return due
	}
	b.away.add(cl, hostOf(c.nc.RemoteAddr()))
	b.awaitLocked(cl, b.now())
	return due
}

// awaitLocked sets the timer of an absent session: first for its delayed will, then for
// its end. Broker.mu and cl.mu must be held.
func (b *Broker) awaitLocked(cl *client, since time.Duration) {
	expiry := time.Duration(cl.expiry) * time.Second
	wait := expiry
	if cl.will != nil && cl.delay < expiry {
		wait = cl.delay
	} else if cl.expiry == forever {
		return
	}
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(max(since+wait-b.now(), 0), func() {
		<-ready
		b.mu.Lock()
		defer b.mu.Unlock()
		cl.mu.Lock()
		if cl.timer != timer || cl.conn != nil || cl.gone {
			cl.mu.Unlock()
			return
		}
		cl.timer = nil
		will := cl.will
		cl.will = nil
		if will == nil || cl.delay >= expiry {
			b.discardLocked(cl)
		} else {
			b.awaitLocked(cl, since)
		}
		cl.mu.Unlock()
		b.adoptLocked(b.now())
		if will != nil {
			b.publishKeptLocked(will, b.now())
		}
	})
	cl.timer = timer
	close(ready)
}
