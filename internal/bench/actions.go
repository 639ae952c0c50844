package bench

import (
	"errors"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// beginAction schedules the action for each of the loop's clients.
func (w *worker) beginAction(a *plan.Action, at time.Duration) {
	g := w.groups[a.Group.Number]
	for round := range a.Times {
		if w == w.run.workers[0] {
			w.later(at+a.At.Offset+time.Duration(round)*a.Every, func(now time.Duration) { w.run.noteAction(a, round, now) })
		}
		next := 0
		var step func(now time.Duration)
		step = func(now time.Duration) {
			for ; next < len(g.clients); next++ {
				cl := &g.clients[next]
				offset, ok := a.Offset(cl.index, round)
				if !ok {
					return
				}
				if at+offset > now {
					w.later(at+offset, step)
					return
				}
				w.act(a, cl, at+offset)
			}
		}
		w.later(at+a.At.Offset+time.Duration(round)*a.Every, step)
	}
}

// act applies an action to a client.
func (w *worker) act(a *plan.Action, cl *client, due time.Duration) {
	switch a.Do {
	case plan.Connect:
		w.connect(cl, due)
	case plan.Disconnect:
		w.part(cl, plan.EndDisconnect)
	case plan.Close:
		w.part(cl, plan.EndClose)
	case plan.Cut:
		w.part(cl, plan.EndCut)
	case plan.Takeover:
		w.takeOver(cl, due)
	case plan.Subscribing:
		if cl.state == ready {
			w.subscribe(cl, true)
		}
	case plan.Unsubscribe:
		w.unsubscribe(cl)
	case plan.Burst:
		for range a.Messages {
			cl.g.streams[0].offer(cl, cl.extras.streams[0].burst, due, w.loop.Now())
			cl.extras.streams[0].burst++
		}
	}
}

// part closes a client's connection from the client side.
func (w *worker) part(cl *client, end plan.End) {
	if cl.c.Idle() {
		return
	}
	cl.state, cl.parted, cl.called = away, true, false // it publishes nothing more
	w.suspend(cl)
	switch end {
	case plan.EndDisconnect:
		cl.c.Disconnect(nil)
	case plan.EndClose:
		w.noteCut(cl)
		cl.c.Close()
	default:
		w.noteCut(cl)
		cl.c.Reset()
	}
}

// noteCut notes when a connection with a will was closed without a DISCONNECT: the
// broker owes the will to its subscribers (MQTT-3.1.2-8).
func (w *worker) noteCut(cl *client) {
	will, now := cl.g.Will, w.loop.Now()
	if will == nil || w.run.cut == nil {
		return
	}
	w.run.cut[cl.number].Store(int64(now) + 1)
	if !will.Payload.HasHeader() {
		return
	}
	owed := func(time.Duration) {
		name := will.Topic.Append(nil, cl.index, 0, 0)
		w.find(&w.scratch, name, cl.g.Group, cl.index)
		n, last := int64(0), (*account)(nil)
		tick := w.run.ledger.clock.Load()
		for _, r := range w.scratch.list {
			if r.account != last && r.grant.of(min(will.QoS, packet.QoS(r.grant.qos.Load())), tick) == owes {
				n++
				last = r.account
			}
		}
		w.rec(w.loop.Now()).Count(result.WillsDue, cl.g.Number, result.NoQoS, n)
		w.run.willing.Add(n)
	}
	if will.Delay == 0 {
		owed(now)
		return
	}
	begun := cl.begun
	w.asking++ // the drain waits for it
	w.later(now+will.Delay, func(now time.Duration) {
		w.asking--
		if cl.begun == begun { // the client has not reconnected (MQTT 5.0 section 3.1.3.2.2)
			owed(now)
		}
	})
}

// will counts a will that has arrived.
func (w *worker) will(cl *client, publisher uint32, now time.Duration) {
	if at := w.run.cutTime(publisher); at > 0 {
		rec := w.rec(now)
		rec.Count(result.Wills, cl.g.Number, result.NoQoS, 1)
		rec.Record(result.Will, result.Response, cl.g.Number, now-(at-1))
		w.run.willing.Add(-1)
	}
}

// takeOver connects the client a second time. The broker must close the first
// connection.
func (w *worker) takeOver(cl *client, due time.Duration) {
	if cl.state != ready {
		return
	}
	if cl.extras == nil {
		cl.extras = newExtras(cl.g)
	}
	if cl.extras.rival == nil {
		cl.extras.rival = w.loop.Add(cl.g.Base + cl.index)
		cl.extras.rival.User = cl.c.User
	}
	if !cl.extras.rival.Idle() {
		return
	}
	cl.c, cl.extras.rival = cl.extras.rival, cl.c
	cl.extras.stage = overBegun
	cl.state, cl.parted = away, true
	w.suspend(cl)
	w.forgetChurn(cl)
	w.connect(cl, due)
}

// tookOver notes that a second connection was accepted.
func (w *worker) tookOver(cl *client) {
	if cl.extras == nil {
		return
	}
	switch cl.extras.stage {
	case overBegun:
		cl.extras.stage = overAccepted
		w.run.succeeded.Add(1)
	case overEnded:
		cl.extras.stage = overNone
	default:
		return
	}
	w.rec(w.loop.Now()).Count(result.Takeovers, cl.g.Number, result.NoQoS, 1)
}

// takenOver notes that the first connection was closed.
func (w *worker) takenOver(cl *client, err error) {
	now := w.loop.Now()
	switch cl.extras.stage {
	case overBegun:
		cl.extras.stage = overEnded
	case overAccepted:
		cl.extras.stage = overNone
		w.run.succeeded.Add(-1)
	default:
		return
	}
	rec := w.rec(now)
	rec.Count(result.TakenOver, cl.g.Number, result.NoQoS, 1)
	rec.Record(result.Takeover, result.Response, cl.g.Number, now-cl.begun)
	var why *swarm.Refusal
	if cl.g.Version >= packet.V5 && !(errors.As(err, &why) && why.Reason == packet.SessionTakenOver) { // (MQTT-3.1.4-3)
		rec.Count(result.Unannounced, cl.g.Number, result.NoQoS, 1)
	}
}

// unsubscribe ends a group's subscriptions.
func (w *worker) unsubscribe(cl *client) {
	if cl.state != ready {
		return
	}
	w.filters = w.filters[:0]
	var u packet.Unsubscribe
	for _, s := range cl.g.Subscribe {
		from := len(w.filters)
		w.filters = s.Filter.Append(w.filters, cl.index, 0, 0)
		u.Filters = append(u.Filters, w.filters[from:])
	}
	if len(u.Filters) == 0 {
		return
	}
	cl.subbed = w.loop.Now()
	if b := cl.g.book; b != nil {
		b.each(int(cl.place), func(_ int, g *grant, sh *share) { w.run.ledger.suspend(g, sh, true) })
	}
	if err := cl.c.Unsubscribe(&u, tagUnsubscribe); err != nil {
		w.rec(cl.subbed).CountError(cl.g.Number, "unsubscribe", swarm.ErrorCategory(err))
	}
}

// beginLife schedules the end of a connection of a group with churn.
func (w *worker) beginLife(cl *client, now time.Duration) {
	ch := cl.g.Churn
	if ch == nil || ch.Lifetime == 0 {
		return
	}
	life := cl.extras.lives
	w.later(now+cl.g.Life(cl.index, life), func(now time.Duration) {
		if cl.extras.lives == life && cl.state == ready {
			w.endLife(cl, now)
		}
	})
}

// endLife closes a connection and schedules the next one after the pause.
func (w *worker) endLife(cl *client, now time.Duration) {
	cl.extras.lives++
	cl.extras.next = now + cl.g.Churn.Pause
	w.part(cl, cl.g.Churn.End)
}

// ackedOne closes a connection that lasts for a number of messages.
func (w *worker) ackedOne(cl *client) {
	ch := cl.g.Churn
	if ch == nil || ch.Messages == 0 || cl.state != ready {
		return
	}
	if cl.extras.acked++; cl.extras.acked == ch.Messages {
		w.endLife(cl, w.loop.Now())
	}
}

// beginSubChurn starts a group's subscription churn.
func (w *worker) beginSubChurn(g *group, phase plan.Phase, at time.Duration) {
	c := g.SubChurn
	if c == nil || c.Start.Phase != phase {
		return
	}
	start := at + c.Start.Offset
	sched := w.run.shard.ChurnSchedule(g.Group, w.loop.Number(), w.run.swarm.Loops())
	var step func(now time.Duration)
	step = func(now time.Duration) {
		for {
			m, ok := sched.Peek()
			switch {
			case !ok || start+m.At >= w.end:
				return
			case start+m.At > now:
				w.later(start+m.At, step)
				return
			}
			sched.Advance()
			w.churn(&g.clients[m.Place], m.Seq, start+m.At)
		}
	}
	w.later(start, step)
}

// churn subscribes, or ends the last subscription.
func (w *worker) churn(cl *client, seq uint32, due time.Duration) {
	if cl.state != ready {
		w.rec(due).Count(result.Skipped, cl.g.Number, result.NoQoS, 1)
		return
	}
	c := cl.g.SubChurn
	w.filters = c.Filter.Append(w.filters[:0], cl.index, seq/2, 0)
	cl.subbed = w.loop.Now()
	var err error
	if seq%2 == 0 {
		w.sub = packet.Subscribe{Subscriptions: append(w.sub.Subscriptions[:0], packet.Subscription{Filter: w.filters, Options: packet.SubscribeOptions(c.QoS)})}
		err = cl.c.Subscribe(&w.sub, tagChurn)
	} else {
		err = cl.c.Unsubscribe(&packet.Unsubscribe{Filters: [][]byte{w.filters}}, tagChurn)
	}
	if err != nil {
		w.rec(due).CountError(cl.g.Number, "subscribe", swarm.ErrorCategory(err))
		w.note(cl, FailSubscribe, err)
		return
	}
	cl.extras.churning++
	w.asking++
}

// forgetChurn stops waiting for answers to subscription churn: the connection is closed
// or about to be.
func (w *worker) forgetChurn(cl *client) {
	if cl.extras != nil {
		w.asking -= cl.extras.churning
		cl.extras.churning = 0
	}
}

// beginSlow makes subscribers of a group pause now and then.
func (w *worker) beginSlow(g *group) {
	s := g.Slow
	if s == nil || s.Pause == 0 {
		return
	}
	var pause func(now time.Duration)
	pause = func(now time.Duration) {
		w.pauseAll(g, true)
		w.later(now+s.Pause, func(time.Duration) { w.pauseAll(g, false) })
		w.later(now+s.Every, pause)
	}
	w.later(w.loop.Now()+s.Every, pause)
}

func (w *worker) pauseAll(g *group, on bool) {
	for i := range g.clients {
		if g.clients[i].c.Up() {
			g.clients[i].c.Pause(on)
		}
	}
}

// slow delays the acknowledgement of a message, and at QoS 0 the reading of the next.
func (w *worker) slow(cl *client, c *swarm.Client, p *packet.Publish, now time.Duration) {
	d := cl.g.Slow.Delay
	if d == 0 {
		return
	}
	cl.extras.busy = max(cl.extras.busy, now) + d
	if p.QoS == 0 {
		c.Pause(true)
		until := cl.extras.busy
		w.later(until, func(time.Duration) {
			if cl.extras.busy == until {
				c.Pause(false)
			}
		})
		return
	}
	c.Hold()
	qos, id, begun := p.QoS, p.PacketID, cl.begun
	w.later(cl.extras.busy, func(time.Duration) {
		if cl.c != c || cl.begun != begun { // it has reconnected
			c.AckLate(qos, id)
			return
		}
		c.Ack(qos, id, packet.Success)
	})
}

// respond replies to a request.
func (w *worker) respond(cl *client, p *packet.Publish, now time.Duration) {
	to, ok := p.Properties.Bytes(packet.ResponseTopic)
	if !ok {
		return
	}
	reply := packet.Publish{QoS: cl.g.Respond.QoS, Topic: append([]byte(nil), to...), Payload: append([]byte(nil), p.Payload...)}
	if data, ok := p.Properties.Bytes(packet.CorrelationData); ok {
		reply.Properties, _ = reply.Properties.AppendBytes(packet.CorrelationData, data)
	}
	result.Answer(reply.Payload)
	w.flying++
	send := func(time.Duration) {
		cl.extras.replies.push(&reply)
		w.sendReplies(cl)
	}
	if d := cl.g.Respond.Delay; d > 0 {
		w.later(now+d, send)
		return
	}
	send(now)
}

// sendReplies sends the replies that there is room for.
func (w *worker) sendReplies(cl *client) {
	for q := &cl.extras.replies; cl.state == ready && q.len() > 0; q.pop() {
		reply := q.first()
		now := w.loop.Now()
		err := cl.c.Publish(reply, newTag(now, 0))
		switch {
		case errors.Is(err, swarm.ErrBufferFull), errors.Is(err, session.ErrQuota):
			return
		case err != nil:
			w.rec(now).CountError(cl.g.Number, "reply", swarm.ErrorCategory(err))
			w.note(cl, FailPublish, err)
		}
		if err != nil || reply.QoS == 0 {
			w.flying--
		}
	}
}
