package bench

import (
	"hash/crc64"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// Acked records how long the acknowledgement took, and enters its result.
func (w *worker) Acked(c *swarm.Client, tag uint64, qos packet.QoS, reason packet.ReasonCode) {
	cl := &w.clients[c.User]
	if w.settled {
		return
	}
	w.flying--
	intended, lag := readTag(tag)
	rec := w.rec(intended)
	resumed := qos == 0 // it was given up while the connection was resumed
	p, ok := cl.settle(tag)
	switch {
	case ok:
		qos = cl.g.streams[p.stream].QoS
	case resumed:
		qos = cl.g.highest()
	}
	w.answered = w.loop.Now()
	switch {
	case !reason.Failed() && ok:
		rec.Count(result.Acked, cl.g.Number, qos, 1)
		w.rec(w.answered).Count(result.Answered, cl.g.Number, qos, 1)
		w.owe(rec, cl, p.sending, true)
	case reason.Failed():
		if ok {
			rec.Count(result.Refused, cl.g.Number, qos, 1)
		} // otherwise it is a reply
		if resumed {
			rec.CountError(cl.g.Number, "resume", reason.String())
		} else {
			rec.CountReason(cl.g.Number, refusing(qos), reason)
			w.note(cl, FailPublish, &Denied{Refusal: &swarm.Refusal{Type: refusing(qos), Reason: reason}})
		}
	}
	if !resumed {
		took := w.loop.Now() - intended
		rec.Record(ackOp(qos), result.Response, cl.g.Number, took)
		rec.Record(ackOp(qos), result.Service, cl.g.Number, took-lag)
	}
	if c == cl.c {
		w.ackedOne(cl)
		cl.pump(w)
	}
}

// refusing returns the packet type that refuses a message of a QoS.
func refusing(qos packet.QoS) packet.Type {
	if qos == 2 {
		return packet.PUBREC
	}
	return packet.PUBACK
}

// highest returns the highest QoS at which the group's clients publish.
func (g *group) highest() (q packet.QoS) {
	for _, s := range g.streams {
		q = max(q, s.QoS)
	}
	if g.Respond != nil {
		q = max(q, g.Respond.QoS)
	}
	return q
}

// Writable sends what waited while the buffer was full.
func (w *worker) Writable(c *swarm.Client) {
	if cl := &w.clients[c.User]; c == cl.c {
		cl.pump(w)
	}
}

// Message checks and times a delivery.
func (w *worker) Message(c *swarm.Client, p *packet.Publish, now time.Duration) {
	cl := &w.clients[c.User]
	g := cl.g
	if w.settled {
		return
	}
	w.heard.beat(now)
	if g.Slow != nil {
		w.slow(cl, c, p, now)
	}
	h, err := result.ParseHeader(p.Payload, w.run.mark)
	if err == nil && h.Kind == result.KindRequest && g.Respond != nil {
		w.respond(cl, p, now)
	}
	switch {
	case err == result.ErrNoHeader, !w.run.sending:
		w.foreign(cl, p, now, w.run.header && w.run.sending)
		return
	case !w.run.sent(h): // from another run, or from another program and only looks like a header
		w.foreign(cl, p, now, w.run.header || err == nil)
		return
	case err != nil && !w.run.header:
		w.foreign(cl, p, now, false)
		return
	}
	rec := w.rec(h.Intended)
	own := int(h.Shard) == w.run.shard.Index
	if !own || err != nil || h.Intended < max(cl.begun, cl.subbed) { // sent earlier, but measured from now on
		rec = w.rec(now)
	}
	if err != nil {
		w.corrupt(rec, cl, p)
		return
	}
	if h.Kind == result.KindReply {
		if own && h.Publisher == cl.number && cl.answered(w, h.Seq) {
			rec.Record(result.RTT, result.Response, g.Number, now-h.Intended)
		}
		return
	}
	rec.Count(result.Delivered, g.Number, p.QoS, 1)
	rec.Count(result.DeliveredBytes, g.Number, p.QoS, int64(len(p.Payload)))
	if h.Kind == result.KindWill {
		if own {
			w.will(cl, h.Publisher, now)
		}
		return
	}
	if first := w.classify(rec, cl, p, h, c != cl.c, now); !first {
		return
	}
	switch {
	case !own:
		rec.Count(result.Untimed, g.Number, p.QoS, 1)
	case p.Retain && h.Intended < cl.subbed:
		rec.Record(result.Replay, result.Response, g.Number, now-cl.subbed)
	case h.Intended < cl.begun:
		rec.Record(result.Backlog, result.Response, g.Number, now-cl.begun)
	default:
		took := now - h.Intended
		rec.Record(result.Delivery, result.Response, g.Number, took)
		if w.run.lags == nil {
			break
		}
		if lag, known := w.run.lags.get(h.Publisher, h.Seq); known {
			rec.Record(result.Delivery, result.Service, g.Number, took-unpackLag(lag))
		}
	}
}

// corrupt counts a delivery with a wrong body. It takes the place of one that is owed.
// The same bytes again are a duplicate.
func (w *worker) corrupt(rec *result.Recorder, cl *client, p *packet.Publish) {
	g := cl.g
	rec.Count(result.Delivered, g.Number, p.QoS, 1)
	if len(w.spoilt) >= maxSpoilt {
		clear(w.spoilt)
	}
	hash := crc64.Checksum(p.Payload, w.run.crc) + uint64(g.Base+cl.index)*0x9E3779B97F4A7C15
	if w.spoilt[hash] > 0 {
		rec.Count(result.Duplicates, g.Number, p.QoS, 1)
		return
	}
	w.spoilt[hash]++
	rec.Count(result.Corrupt, g.Number, p.QoS, 1)
	a := cl.account()
	if e := w.entitle(cl, p.Topic); e.plain == 0 && len(e.shares) > 0 {
		a = &e.shares[0].account
		if w.run.shard.Count > 1 {
			a = nil
		}
	}
	if a != nil {
		a.corrupt[p.QoS].Add(1)
		w.distinct++
	}
}

// maxSpoilt bounds how many corrupt payloads are remembered.
const maxSpoilt = 1 << 14

// classify counts what is wrong with a delivery, and reports whether it is the first of
// its message. old says that it arrived on a connection that has been taken over.
func (w *worker) classify(rec *result.Recorder, cl *client, p *packet.Publish, h result.Header, old bool, now time.Duration) bool {
	g := cl.g
	e, a := w.entitle(cl, p.Topic), cl.account()
	outcome, away, copies := result.Duplicate, int(h.Shard) != w.run.shard.Index, false
	var of *share
	if e.plain > 0 || len(e.shares) == 0 {
		outcome = w.check.Check(g.Base+cl.index, h.Publisher, h.Seq)
	}
	for i := 0; outcome == result.Duplicate && i < len(e.shares); i++ {
		sh := e.shares[i]
		copies = copies || sh.copies
		if outcome = sh.check.Check(h.Publisher, h.Seq); outcome != result.Duplicate {
			of, away = sh, away || w.run.shard.Count > 1
		}
	}
	if outcome == result.Duplicate && len(e.shares) > 0 {
		if sh := w.run.ledger.among(p.Topic, h.Publisher, h.Seq); sh != nil {
			outcome, of, away = result.Next, sh, away || w.run.shard.Count > 1
		}
	}
	if outcome == result.Duplicate && e.plain == 0 && e.gone {
		outcome, of, away = w.check.Check(g.Base+cl.index, h.Publisher, h.Seq), nil, int(h.Shard) != w.run.shard.Index
	}
	for at := 1; outcome == result.Duplicate && at < e.plain; at++ {
		o := w.copy(at).Check(g.Base+cl.index, h.Publisher, h.Seq)
		copies = copies || o != result.Duplicate && o != result.Unknown
		if copies {
			break
		}
	}
	replayed := p.Retain && h.Intended < cl.subbed
	switch outcome {
	case result.Duplicate:
		switch {
		// The broker may send the retained message for each subscription (MQTT 5.0
		// section 3.8.4), and a copy for each that matches (section 3.3.4).
		case replayed || copies:
			rec.Count(result.Copies, g.Number, p.QoS, 1)
		// A client that was taken over has lost the state that QoS 2 needs to recognize
		// redeliveries.
		case p.QoS == 2 && (old || p.Dup) && cl.extras != nil && cl.extras.rival != nil:
			rec.Count(result.Unchecked, g.Number, p.QoS, 1)
		default:
			rec.Count(result.Duplicates, g.Number, p.QoS, 1)
		}
		return false
	case result.Unknown:
		rec.Count(result.Unchecked, g.Number, p.QoS, 1)
		return false
	case result.Late:
		if !old && !p.Retain && e.plain == 1 && w.run.ordered(h.Publisher) {
			rec.Count(result.Reordered, g.Number, p.QoS, 1)
		}
	}
	rec.Count(result.Distinct, g.Number, p.QoS, 1)
	w.rec(now).Count(result.Arrived, g.Number, p.QoS, 1)
	if of != nil {
		a = &of.account
	}
	if away {
		rec.Count(result.DistinctAway, g.Number, p.QoS, 1)
		a, of = nil, nil
	}
	if of != nil && w.outlives(of, h, p.QoS) {
		of.members.Lock() // not during a balance
		defer of.members.Unlock()
		w.came(rec, cl, a, p.QoS, true)
		return true
	}
	unowed := false
	if replayed && a != nil {
		if unowed = a.replays.Load() == 0; !unowed {
			a.replays.Add(-1)
		}
	}
	w.came(rec, cl, a, p.QoS, unowed)
	return true
}

// outlives reports whether the message of a delivery was sent before a member last left
// a shared subscription. Such a message is no longer owed, since it may have been lost
// with the member, but it may arrive.
func (w *worker) outlives(sh *share, h result.Header, q packet.QoS) bool {
	closed := sh.closed[min(q, packet.QoS(sh.qos.Load()))].Load()
	if closed == 0 || w.run.ticks == nil {
		return false
	}
	tick, known := w.run.ticks.get(h.Publisher, h.Seq)
	return known && before(tick, closed)
}

// copy returns the checker of the copies of a message beyond the first: one for each
// further matching filter of a client.
func (w *worker) copy(n int) *result.Checker {
	for len(w.copies) < n {
		w.copies = append(w.copies, result.NewChecker(64, maxRanges))
	}
	return w.copies[n-1]
}

// foreign handles a delivery without a header of this run. If others, it is from
// another run and counts as foreign. Otherwise it may be one of the run's own messages,
// not all of which have a header, and counts as delivered.
func (w *worker) foreign(cl *client, p *packet.Publish, now time.Duration, others bool) {
	rec := w.rec(now)
	if others {
		rec.Count(result.Foreign, cl.g.Number, p.QoS, 1)
		return
	}
	rec.Count(result.Delivered, cl.g.Number, p.QoS, 1)
	rec.Count(result.Distinct, cl.g.Number, p.QoS, 1)
	rec.Count(result.Arrived, cl.g.Number, p.QoS, 1)
	rec.Count(result.Untimed, cl.g.Number, p.QoS, 1)
	rec.Count(result.DeliveredBytes, cl.g.Number, p.QoS, int64(len(p.Payload)))
	a := cl.account()
	switch e := w.entitle(cl, p.Topic); {
	case !w.run.sending: // nothing is owed
		a = nil
	case e.plain == 0 && len(e.shares) > 0 && w.run.shard.Count == 1:
		a = &e.shares[0].account
	case w.run.shard.Count > 1:
		rec.Count(result.DistinctAway, cl.g.Number, p.QoS, 1)
		a = nil // the recipient is unknown
	}
	w.came(rec, cl, a, p.QoS, false)
}

// pulse records when something last arrived, and the gaps in between.
type pulse struct {
	last time.Duration
	at   [8]int64 // seconds
	gaps [8]time.Duration
	any  bool
}

func (p *pulse) beat(now time.Duration) {
	gap := now - p.last
	second := int64(now / time.Second)
	i := second & 7
	if p.at[i] != second {
		p.at[i], p.gaps[i] = second, 0
	}
	if p.any {
		p.gaps[i] = max(p.gaps[i], gap)
	}
	p.last, p.any = now, true
}

// gap returns the longest gap of the last seconds.
func (p *pulse) gap() (longest time.Duration) {
	const seconds = 5
	for i, at := range p.at {
		if at >= int64(p.last/time.Second)-seconds {
			longest = max(longest, p.gaps[i])
		}
	}
	return longest
}
