package bench

import (
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// specs returns how the clients of a group connect, one for each of the brokers.
func (w *worker) specs(g *group) []swarm.Spec {
	window, aliases := 1, uint16(0)
	for _, p := range g.Publish {
		window = max(window, p.Window)
		if p.TopicAlias {
			aliases = math.MaxUint16 // as many as the broker allows
		}
	}
	if g.Respond != nil {
		window = math.MaxUint16 // as many as the broker allows
	}
	cfg := session.Config{SendWindow: window, SendAliases: aliases, ReceiveMaximum: g.ReceiveMaximum}
	specs := make([]swarm.Spec, len(w.run.o.Swarm.Targets))
	for i := range specs {
		specs[i] = swarm.Spec{Target: i, Session: cfg, Connect: func(c *swarm.Client, p *packet.Connect) { w.connectPacket(&w.clients[c.User], p) }}
	}
	return specs
}

// connectPacket fills in a client's CONNECT.
func (w *worker) connectPacket(cl *client, p *packet.Connect) {
	g := cl.g
	cl.begun = w.loop.Now()
	if w.removing {
		w.removePacket(cl, p)
		return
	}
	p.CleanStart = g.CleanStart
	// a CONNACK of 3.1 does not say whether there is a session
	if cl.origin == anybodys && g.Version == packet.V31 && g.publishesQoS2() {
		cl.origin = cleaning
	}
	p.CleanStart = p.CleanStart || cl.origin == cleaning
	cl.kept = cl.kept || g.Persistent() && !(cl.origin == cleaning && g.Version < packet.V5)
	w.identify(cl, p)
	if g.Version >= packet.V5 && g.SessionExpiry > 0 {
		p.Properties, _ = p.Properties.AppendUint(packet.SessionExpiryInterval, uint32(g.SessionExpiry/time.Second))
	}
	if will := g.Will; will != nil {
		p.HasWill = true
		p.Will = packet.Will{QoS: will.QoS, Retain: will.Retain, Topic: will.Topic.Append(nil, cl.index, 0, 0),
			Payload: will.Payload.Append(nil, cl.index, 0, 0)}
		if will.Payload.HasHeader() {
			result.Header{Kind: result.KindWill, Shard: uint16(w.run.shard.Index), Publisher: cl.number, Intended: max(cl.begun, 0)}.AppendTo(p.Will.Payload[:0], w.run.mark)
			result.WriteChecksum(p.Will.Payload)
		}
		if g.Version >= packet.V5 && will.Delay > 0 {
			p.Will.Properties, _ = p.Will.Properties.AppendUint(packet.WillDelayInterval, uint32(will.Delay/time.Second))
		}
	}
}

// identify fills in the fields of a client's CONNECT that do not depend on its session.
func (w *worker) identify(cl *client, p *packet.Connect) {
	g := cl.g
	p.Version, p.KeepAlive = g.Version, uint16(g.KeepAlive/time.Second)
	w.id = g.AppendClientID(w.id[:0], cl.index)
	w.user, p.HasUsername = g.AppendUsername(w.user[:0], cl.index)
	w.password, p.HasPassword = g.AppendPassword(w.password[:0], cl.index)
	p.ClientID, p.Username, p.Password = w.id, w.user, w.password
}

// spec returns how a client connects to its broker.
func (cl *client) spec() *swarm.Spec {
	return &cl.g.specs[(cl.g.Base+cl.index)%uint32(len(cl.g.specs))]
}

// connectAll schedules the connections of the clients, at the plan's rate.
func (w *worker) connectAll(at time.Duration) {
	next := make([]int, len(w.groups)) // the next client of each group
	var step func(now time.Duration)
	step = func(now time.Duration) {
		for i, g := range w.groups {
			if g.Deferred {
				continue
			}
			for ; next[i] < len(g.clients); next[i]++ {
				cl := &g.clients[next[i]]
				due, _ := w.run.p.ConnectAt(g.Group, cl.index)
				if due += at; due > now {
					w.later(due, step)
					return
				}
				w.connect(cl, due)
			}
		}
	}
	step(at)
}

// connect begins an attempt that was to begin at due.
func (w *worker) connect(cl *client, due time.Duration) {
	if w.leaving || cl.state != away || !cl.c.Idle() {
		return
	}
	cl.state, cl.due, cl.called = underway, due, true
	if !cl.alive {
		cl.alive = true
		w.run.alive.Add(1)
	}
	rec := w.rec(due)
	rec.Count(result.Attempts, cl.g.Number, result.NoQoS, 1)
	rec.Record(result.Connect, result.Lag, cl.g.Number, max(w.loop.Now()-due, 0))
	_ = cl.c.Connect(cl.spec()) // cannot fail: it is idle
}

// Connected records how long each part took, and subscribes.
func (w *worker) Connected(c *swarm.Client, ack *packet.Connack, t *swarm.Timing) {
	cl := &w.clients[c.User]
	now, g := w.loop.Now(), cl.g
	if w.removing {
		cl.kept = false
		c.Disconnect(nil)
		return
	}
	if w.cleans(cl, c, ack) {
		cl.again = true
		c.Disconnect(nil)
		return
	}
	rec := w.rec(cl.due)
	rec.Record(result.ConnectTCP, result.Service, g.Number, t.TCP)
	if t.TLS > 0 {
		rec.Record(result.ConnectTLS, result.Service, g.Number, t.TLS)
	}
	if t.Upgrade > 0 {
		rec.Record(result.ConnectUpgrade, result.Service, g.Number, t.Upgrade)
	}
	rec.Record(result.ConnectConnack, result.Service, g.Number, t.Connack)
	rec.Record(result.Connect, result.Service, g.Number, t.Total())
	rec.Record(result.Connect, result.Response, g.Number, t.Begun+t.Total()-cl.due)
	rec.Count(result.Connects, g.Number, result.NoQoS, 1)
	w.run.reached.Store(true)
	if cl.extras != nil {
		cl.extras.acked = 0
	}
	w.resumed(cl, ack.SessionPresent)
	w.tookOver(cl)
	if cl.held && ack.SessionPresent || !w.subscribe(cl, false) {
		w.isReady(cl)
	}
	w.beginLife(cl, now)
}

// cleans reports whether a connection was made only to clear the session, and another
// one must follow. Before MQTT 5.0 a session that is begun clean would end with its
// connection, so the run makes a clean connection first and then one that keeps the
// session. With Options.Resume the session of an earlier run is resumed at once, unless
// its client publishes at QoS 2: a broker with the old session might take a new message
// for an old one with the same packet identifier.
func (w *worker) cleans(cl *client, c *swarm.Client, ack *packet.Connack) bool {
	switch {
	case c != cl.c || cl.origin == own:
		return false
	case cl.origin == anybodys && ack.SessionPresent && cl.g.publishesQoS2():
		cl.origin = cleaning
		return true
	case cl.origin == cleaning && cl.g.Version < packet.V5:
		cl.origin = own
		return true
	}
	cl.origin = own
	return false
}

// publishesQoS2 reports whether the group's clients may publish at QoS 2.
func (g *group) publishesQoS2() bool {
	return g.Respond != nil || slices.ContainsFunc(g.Publish, func(p *plan.Publish) bool { return p.QoS == 2 })
}

// subscribe requests a group's subscriptions, the deferred ones or the others. It
// returns false if no answer will come: there are no subscriptions, or the broker has
// announced that it does not support them.
func (w *worker) subscribe(cl *client, deferred bool) bool {
	w.sub = packet.Subscribe{Subscriptions: w.sub.Subscriptions[:0]}
	w.filters = w.filters[:0]
	tag := uint64(tagSubscribe)
	if deferred {
		tag = tagDeferred
	}
	add := func(t *plan.Template, q packet.QoS, o packet.SubscribeOptions) {
		from := len(w.filters)
		w.filters = t.Append(w.filters, cl.index, 0, 0)
		w.sub.Subscriptions = append(w.sub.Subscriptions, packet.Subscription{Filter: w.filters[from:], Options: o | packet.SubscribeOptions(q)})
	}
	for _, s := range cl.g.Subscribe {
		if s.Deferred == deferred {
			add(s.Filter, s.QoS, options(s))
		}
	}
	if !deferred {
		for _, s := range cl.g.streams {
			if s.Request != nil {
				add(s.Request.ResponseTopic, s.Request.QoS, 0)
			}
		}
	}
	if len(w.sub.Subscriptions) == 0 {
		return false
	}
	cl.subbed = w.loop.Now()
	w.ask(cl, deferred)
	if err := cl.c.Subscribe(&w.sub, tag); err != nil {
		w.rec(cl.subbed).CountError(cl.g.Number, "subscribe", swarm.ErrorCategory(err))
		w.note(cl, FailSubscribe, err)
		return false
	}
	return true
}

// What a SUBACK or UNSUBACK answers.
const (
	tagSubscribe = iota
	tagDeferred
	tagUnsubscribe
	tagChurn
)

func options(s *plan.Subscribe) (o packet.SubscribeOptions) {
	if s.NoLocal {
		o |= packet.NoLocal
	}
	if s.RetainAsPublished {
		o |= packet.RetainAsPublished
	}
	return o | packet.SubscribeOptions(s.RetainHandling)<<4
}

// Subscribed records how long it took.
func (w *worker) Subscribed(c *swarm.Client, tag uint64, p *packet.Suback) {
	cl := &w.clients[c.User]
	now := w.loop.Now()
	rec, op, counter := w.rec(cl.subbed), result.Subscribe, result.Subscribes
	if p.Type == packet.UNSUBACK {
		op, counter = result.Unsubscribe, result.Unsubscribes
	}
	rec.Record(op, result.Service, cl.g.Number, now-cl.subbed)
	rec.Record(op, result.Response, cl.g.Number, now-cl.subbed)
	if p.Type == packet.UNSUBACK && len(p.Codes) == 0 {
		rec.Count(counter, cl.g.Number, result.NoQoS, 1)
	}
	for i := range p.Codes {
		code := p.Reason(i)
		if code.Failed() {
			rec.CountReason(cl.g.Number, p.Type, code)
			w.note(cl, FailSubscribe, &Denied{&swarm.Refusal{Type: p.Type, Reason: code}, w.filterOf(cl, tag, i)})
			continue
		}
		rec.Count(counter, cl.g.Number, result.NoQoS, 1)
	}
	w.granted(c, cl, tag, p)
	switch {
	case c != cl.c: // that connection has been taken over
	case tag == tagChurn:
		cl.extras.churning--
		w.asking--
	case tag == tagSubscribe && cl.state == underway:
		w.isReady(cl)
	}
}

// filterOf returns the filter that code i of a SUBACK is about.
func (w *worker) filterOf(cl *client, tag uint64, i int) string {
	if tag == tagChurn && cl.g.SubChurn != nil {
		return cl.g.SubChurn.Filter.String()
	}
	for _, s := range cl.g.Subscribe {
		if s.Deferred != (tag == tagDeferred) && tag != tagUnsubscribe {
			continue
		}
		if i == 0 {
			return string(s.AppendFilter(nil, cl.index))
		}
		i--
	}
	for _, s := range cl.g.streams {
		if s.Request == nil {
			continue
		}
		if i == 0 {
			return string(s.Request.ResponseTopic.Append(nil, cl.index, 0, 0))
		}
		i--
	}
	return ""
}

// ask notes that subscriptions of a client, the deferred ones or the others, are being
// requested.
func (w *worker) ask(cl *client, deferred bool) {
	if b := cl.g.book; b != nil {
		b.each(int(cl.place), func(at int, g *grant, sh *share) {
			if b.Subscribe[at].Deferred == deferred {
				w.run.ledger.ask(g, sh)
			}
		})
	}
}

// granted enters the codes of a SUBACK or UNSUBACK in the ledger.
func (w *worker) granted(c *swarm.Client, cl *client, tag uint64, p *packet.Suback) {
	b, l := cl.g.book, w.run.ledger
	switch {
	case b == nil || c != cl.c || tag == tagChurn:
		return
	case tag == tagUnsubscribe:
		w.void(cl, true)
		return
	}
	i := 0
	b.each(int(cl.place), func(at int, g *grant, sh *share) {
		s := b.Subscribe[at]
		if s.Deferred != (tag == tagDeferred) {
			return
		}
		if i < len(p.Codes) && !p.Reason(i).Failed() {
			for q, n := range l.allow(cl.account(), g, sh, packet.QoS(min(p.Codes[i], 2)), s.RetainHandling != 2) {
				if n > 0 {
					w.rec(cl.subbed).Count(result.Expected, cl.g.Number, packet.QoS(q), n)
					w.expected += n
				}
			}
		} else {
			l.suspend(g, sh, true)
			l.over(g, sh)
		}
		i++
	})
	if tag == tagSubscribe {
		cl.held = true
	}
}

// resumed notes that a client is connected, with its old session if present, else with
// a new one.
func (w *worker) resumed(cl *client, present bool) {
	kept := present && cl.held
	if cl.held && cl.keeps() && !present {
		w.rec(w.loop.Now()).Count(result.SessionsLost, cl.g.Number, result.NoQoS, 1)
	}
	w.void(cl, !kept)
	if !kept {
		cl.held = false
		return
	}
	if b := cl.g.book; b != nil {
		b.each(int(cl.place), func(_ int, g *grant, sh *share) { w.run.ledger.live(g, sh) })
	}
}

// isReady starts the work of a client that is connected and subscribed.
func (w *worker) isReady(cl *client) {
	cl.state, cl.tries, cl.parted = ready, 0, false
	if cl.went > 0 {
		now := w.loop.Now()
		rec := w.rec(now)
		rec.Count(result.Returns, cl.g.Number, result.NoQoS, 1)
		rec.Record(result.Return, result.Response, cl.g.Number, now+1-cl.went)
		if cl.went = 0; w.run.gone.Add(-1) == 0 {
			rec.Record(result.AllBack, result.Response, cl.g.Number, now-time.Duration(w.run.goneSince.Load()))
		}
	}
	w.release(cl)
	cl.pump(w)
}

// release makes the start stop waiting for a client.
func (w *worker) release(cl *client) {
	if cl.awaited {
		cl.awaited = false
		w.run.isReady()
	}
}

// Failed records the reason, and tries again if the plan says so.
func (w *worker) Failed(c *swarm.Client, err error) {
	cl := &w.clients[c.User]
	if w.leaving {
		w.present--
		w.notRemoved(cl, err)
		return
	}
	if c != cl.c {
		return
	}
	if errors.Is(err, swarm.ErrClosed) { // closed by the plan
		w.lost(cl, nil)
		return
	}
	rec := w.rec(cl.due)
	rec.Count(result.Failures, cl.g.Number, result.NoQoS, 1)
	w.countCause(rec, cl, "connect", err)
	w.firstError(cl, err)
	w.lost(cl, err)
}

// Closed records why a connection was lost.
func (w *worker) Closed(c *swarm.Client, err error) {
	cl := &w.clients[c.User]
	now := w.loop.Now()
	if c == cl.c {
		w.forgetChurn(cl)
	}
	if w.leaving {
		w.present--
	}
	if w.leaving || c != cl.c { // closed by a takeover, as planned
		if !w.leaving {
			w.takenOver(cl, err)
		}
		w.forget(c)
		return
	}
	if cl.again { // it only cleared the session: there is nothing to account for
		cl.again, cl.state = false, away
		w.later(now, func(now time.Duration) {
			if !w.leaving && cl.state == away && cl.c.Idle() {
				cl.state, cl.due = underway, now
				_ = cl.c.Connect(cl.spec()) // cannot fail: it is idle
			}
		})
		return
	}
	rec := w.rec(now)
	if err != nil {
		rec.Count(result.Losses, cl.g.Number, result.NoQoS, 1)
		w.countCause(rec, cl, "lost", err)
		if err == io.EOF {
			err = hungUp{}
		}
		w.note(cl, FailLost, err)
	}
	if !cl.g.Persistent() {
		w.forget(c)
	}
	cl.ended(now, err)
	w.void(cl, !cl.keeps())
	if cl.g.Reconnect != nil && cl.g.Churn == nil && cl.went == 0 {
		cl.went = now + 1
		if w.run.gone.Add(1) == 1 {
			w.run.goneSince.Store(int64(now))
		}
	}
	w.lost(cl, err)
}

// ended counts the connections in a row that achieved nothing. A broker that accepts
// connections and then closes them is thus not flooded with what it does not accept.
func (cl *client) ended(now time.Duration, err error) {
	if r := cl.g.Reconnect; err == nil || cl.c.Useful() || r != nil && now-cl.begun >= r.Max {
		cl.vain = 0
		return
	}
	cl.vain++
}

// forget gives up what a client has in flight.
func (w *worker) forget(c *swarm.Client) {
	cl := &w.clients[c.User]
	_ = c.Forget(func(tag uint64) { // cannot fail: it is idle
		w.flying--
		w.unaccepted(cl, tag)
	})
}

func (w *worker) countCause(rec *result.Recorder, cl *client, what string, err error) {
	var refusal *swarm.Refusal
	if errors.As(err, &refusal) {
		rec.CountReason(cl.g.Number, refusal.Type, refusal.Reason)
	}
	rec.CountError(cl.g.Number, what, swarm.ErrorCategory(err))
}

// lost schedules the reconnect of a client, or gives it up. err is why it was lost, nil
// if this side closed the connection.
func (w *worker) lost(cl *client, err error) {
	cl.state = away
	now := w.loop.Now()
	switch r := cl.g.Reconnect; {
	case cl.extras != nil && cl.extras.next > 0: // its next life is scheduled
		at := cl.extras.next
		cl.extras.next = 0
		w.later(at, func(time.Duration) { w.connect(cl, at) })
	case r != nil:
		at := now + cl.g.Backoff(cl.index, uint32(max(int(cl.tries), int(cl.vain)-1, 0)))
		cl.tries++
		w.later(at, func(time.Duration) { w.connect(cl, at) })
	case cl.alive:
		cl.alive = false
		w.run.isLost(err)
	}
	// A client that keeps failing must not keep the others waiting.
	if cl.g.Reconnect == nil || cl.tries > 3 {
		w.release(cl)
	}
}
