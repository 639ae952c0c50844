package bench

import (
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// Acked notes how long it took.
func (w *worker) Acked(c *swarm.Client, tag uint64, qos packet.QoS, reason packet.ReasonCode) {
	cl := &w.clients[c.User]
	w.flying--
	intended, lag := readTag(tag)
	rec := w.rec(intended)
	resumed := qos == 0 // it was given up while the connection was resumed
	if resumed {
		qos = cl.g.highest()
	}
	switch {
	case !reason.Failed():
		rec.Count(result.Acked, cl.g.Number, qos, 1)
		cl.settle(tag)
	case resumed:
		rec.Count(result.Refused, cl.g.Number, qos, 1)
		rec.CountError(cl.g.Number, "resume", reason.String())
		w.unaccepted(cl, tag)
	default:
		rec.Count(result.Refused, cl.g.Number, qos, 1)
		rec.CountReason(cl.g.Number, refusing(qos), reason)
		w.unaccepted(cl, tag)
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

// refusing is the packet that refuses a message of a QoS.
func refusing(qos packet.QoS) packet.Type {
	if qos == 2 {
		return packet.PUBREC
	}
	return packet.PUBACK
}

// highest is the highest QoS with which the group's clients publish.
func (g *group) highest() (q packet.QoS) {
	for _, s := range g.streams {
		q = max(q, s.QoS)
	}
	if g.Respond != nil {
		q = max(q, g.Respond.QoS)
	}
	return q
}

// Writable goes on where the buffer was full.
func (w *worker) Writable(c *swarm.Client) {
	if cl := &w.clients[c.User]; c == cl.c {
		cl.pump(w)
	}
}

// Message judges and times a delivery.
func (w *worker) Message(c *swarm.Client, p *packet.Publish, now time.Duration) {
	cl := &w.clients[c.User]
	g := cl.g
	if g.Slow != nil {
		w.slow(cl, c, p, now)
	}
	h, err := result.ParseHeader(p.Payload)
	// Where payloads without a header are sent, one may begin like a header.
	if err == result.ErrForeign || err != nil && !w.run.header {
		w.foreign(cl, p, now)
		return
	}
	rec := w.rec(h.Intended)
	own := int(h.Shard) == w.run.shard.Index
	if !own || err != nil || h.Intended < max(cl.begun, cl.subbed) { // of an earlier time, but measured from now on
		rec = w.rec(now)
	}
	if err != nil {
		rec.Count(result.Delivered, g.Number, p.QoS, 1)
		rec.Count(result.Corrupt, g.Number, p.QoS, 1)
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
			if at := w.run.cutTime(h.Publisher); at > 0 {
				rec.Record(result.Will, result.Response, g.Number, now-at)
			}
		}
		return
	}
	if h.Kind == result.KindRequest && g.Respond != nil {
		w.respond(cl, p, h, now)
	}
	if first := w.judge(rec, cl, p, h, c != cl.c); !first {
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
			rec.Record(result.Delivery, result.Service, g.Number, took-lag)
		}
	}
}

// judge counts what is wrong with a delivery, and tells whether it is the first
// of its message. old: it came by a connection that has been taken over.
func (w *worker) judge(rec *result.Recorder, cl *client, p *packet.Publish, h result.Header, old bool) bool {
	g := cl.g
	var outcome result.Outcome
	publisher := h.Publisher
	if g.shared != nil {
		outcome = g.shared.Check(publisher, h.Seq)
	} else {
		outcome = w.check.Check(g.Base+cl.index, publisher, h.Seq)
	}
	switch outcome {
	case result.Duplicate:
		// Who was taken over has lost what QoS 2 needs to know of redeliveries.
		if p.QoS == 2 && (old || p.Dup) && cl.more != nil && cl.more.other != nil {
			rec.Count(result.Unjudged, g.Number, p.QoS, 1)
			return false
		}
		rec.Count(result.Duplicates, g.Number, p.QoS, 1)
		return false
	case result.Unknown:
		rec.Count(result.Unjudged, g.Number, p.QoS, 1)
		return false
	case result.Late:
		if !old && !p.Retain && w.run.ordered(publisher) {
			rec.Count(result.Reordered, g.Number, p.QoS, 1)
		}
	}
	rec.Count(result.Distinct, g.Number, p.QoS, 1)
	w.distinct++
	return true
}

// foreign counts a delivery without header.
func (w *worker) foreign(cl *client, p *packet.Publish, now time.Duration) {
	rec := w.rec(now)
	if w.run.header {
		rec.Count(result.Foreign, cl.g.Number, p.QoS, 1)
		return
	}
	rec.Count(result.Delivered, cl.g.Number, p.QoS, 1)
	rec.Count(result.Distinct, cl.g.Number, p.QoS, 1)
	rec.Count(result.Untimed, cl.g.Number, p.QoS, 1)
	rec.Count(result.DeliveredBytes, cl.g.Number, p.QoS, int64(len(p.Payload)))
	w.distinct++
}
