package bench

import (
	"errors"
	"math"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// stream is a worker's part of a stream of messages.
type stream struct {
	*plan.Publish
	w     *worker
	g     *group
	at    int            // index in the group
	fixed bool           // its topics do not depend on the message
	sched *plan.Schedule // nil for a closed loop
	start time.Duration  // swarm.Never until it is known
	open  bool           // for a closed loop: it has started
	left  int64          // messages left to send, for a stream with a message limit
	asked queue[asked]   // requests, including those that have a reply
}

// asked is a request with the deadline of its reply.
type asked struct {
	cl  *client
	seq uint32
	end time.Duration
}

// maxQueued is how many messages of a loop may be due and waiting for room.
const maxQueued = 8 << 20

var errBehind = errors.New("the broker is so far behind that the queue of waiting messages is full")

func newStream(w *worker, g *group, p *plan.Publish, loops int) *stream {
	s := &stream{Publish: p, w: w, g: g, at: len(g.streams), start: swarm.Never, fixed: p.FixedTopics()}
	if !p.Closed() {
		s.sched = w.run.shard.Schedule(p, w.loop.Number(), loops)
	}
	if p.Messages > 0 {
		for i := range g.clients {
			index := g.clients[i].index
			s.left += int64(s.share(index)) + s.bursts(index)
		}
		if s.left > 0 {
			w.counting++
			if p.Fill {
				w.filling++
			}
		}
	}
	return s
}

// share returns how many messages of the stream a client sends.
func (s *stream) share(index uint32) uint32 {
	if s.Messages == 0 {
		return math.MaxUint32
	}
	n := uint64(s.g.Clients)
	return uint32((s.Messages + n - 1 - uint64(index)) / n)
}

// bursts returns how many messages a client sends in bursts, besides those of its
// share.
func (s *stream) bursts(index uint32) (n int64) {
	for _, a := range s.w.run.p.Actions {
		if a.Do == plan.Burst && a.Group == s.g.Group && s.Number == 0 && int64(index) < int64(a.Clients) {
			n += int64(a.Times) * int64(a.Messages)
		}
	}
	return n
}

func (s *stream) begin(phase plan.Phase, at time.Duration) {
	if phase != s.Start.Phase {
		return
	}
	s.start = at + s.Start.Offset
	if s.Closed() {
		s.w.later(s.start, func(time.Duration) {
			s.open = true
			for i := range s.g.clients {
				s.g.clients[i].pump(s.w)
			}
		})
	}
}

// run sends what is due, and returns when the next message is due. Closed loops send
// when there is room.
func (s *stream) run(now time.Duration) time.Duration {
	if s.sched == nil {
		return swarm.Never
	}
	if s.start > now {
		return s.start
	}
	for {
		m, ok := s.sched.Peek()
		if !ok {
			return swarm.Never
		}
		at := s.start + m.At
		switch {
		case at >= s.w.end:
			return swarm.Never
		case at > now:
			return at
		}
		s.sched.Advance()
		s.offer(&s.g.clients[m.Place], m.Seq, at, now)
	}
}

// offer sends a message that is due, or queues it if there is no room. Messages of a
// client that is not connected are not sent.
func (s *stream) offer(cl *client, seq uint32, at, now time.Duration) {
	if cl.parted { // nothing is due while the plan has it disconnected
		s.over()
		return
	}
	rec := s.w.rec(at)
	rec.Count(result.Offered, s.g.Number, s.QoS, 1)
	rec.Record(ackOp(s.QoS), result.Lag, s.g.Number, now-at)
	if cl.state != ready {
		rec.Count(result.Skipped, s.g.Number, s.QoS, 1)
		s.over()
		return
	}
	cs := &cl.extras.streams[s.at]
	if cs.queue.len() == 0 && s.send(cl, seq, at, now) {
		return
	}
	if w := s.w; w.queued == maxQueued {
		w.run.abandon(errBehind)
		return
	}
	cs.queue.push(waiting{at, seq})
	s.w.queued++
}

// drain sends queued messages as long as there is room, and reports whether none is
// left.
func (s *stream) drain(cl *client, now time.Duration) bool {
	q := &cl.extras.streams[s.at].queue
	for q.len() > 0 {
		if m := q.first(); !s.send(cl, m.seq, m.at, now) {
			return false
		}
		q.pop()
		s.w.queued--
	}
	return true
}

// pump sends what a client has queued, and as much as its closed loops allow.
func (cl *client) pump(w *worker) {
	if cl.state != ready || cl.extras == nil {
		return
	}
	w.sendReplies(cl)
	now := w.loop.Now()
	for _, s := range cl.g.streams {
		if !s.drain(cl, now) || s.sched != nil || !s.open || !w.publishing || now >= w.end {
			continue
		}
		cs := &cl.extras.streams[s.at]
		for most := s.share(cl.index); cs.seq < most && s.send(cl, cs.seq, now, now); {
			cs.seq++
			w.rec(now).Count(result.Offered, s.g.Number, s.QoS, 1)
		}
	}
}

// send publishes a message. It returns false if there is no room for it now.
func (s *stream) send(cl *client, seq uint32, intended, now time.Duration) bool {
	w := s.w
	if s.QoS > 0 && cl.c.Open() >= s.Window {
		return false
	}
	w.topic = s.AppendTopic(w.topic[:0], cl.index, seq)
	w.payload = s.Payload.Append(w.payload[:0], cl.index, seq, w.run.unix(intended))
	if s.Payload.HasHeader() {
		h := result.Header{Kind: s.kind(), Shard: uint16(w.run.shard.Index), Publisher: cl.number, Seq: cl.seq, Intended: intended}
		h.AppendTo(w.payload[:0], w.run.mark)
		result.WriteChecksum(w.payload)
	}
	w.pub = packet.Publish{QoS: s.QoS, Retain: s.Retain, Topic: w.topic, Payload: w.payload, Properties: s.properties(cl)}
	rec := w.rec(intended)
	tag := newTag(intended, now-intended)
	tick := w.run.ledger.clock.Load()
	if w.run.ticks != nil && s.Payload.HasHeader() {
		w.run.ticks.put(cl.number, cl.seq, uint64(tick))
	}
	err := cl.c.Publish(&w.pub, tag)
	switch {
	case err == nil:
	case errors.Is(err, swarm.ErrBufferFull), errors.Is(err, session.ErrQuota):
		return false
	default:
		rec.CountError(s.g.Number, "publish", swarm.ErrorCategory(err))
		rec.Count(result.Skipped, s.g.Number, s.QoS, 1)
		w.note(cl, FailPublish, err)
		s.over()
		return true
	}
	if s.Request != nil {
		rec.Count(result.Requests, s.g.Number, result.NoQoS, 1)
		s.ask(cl, now)
	}
	if w.run.lags != nil && s.Payload.HasHeader() {
		w.run.lags.put(cl.number, cl.seq, packLag(now-intended))
	}
	cl.seq++
	rec.Count(result.Sent, s.g.Number, s.QoS, 1)
	rec.Count(result.SentBytes, s.g.Number, s.QoS, int64(len(w.payload)))
	m := sending{uint16(s.at), cl.seq - 1, seq, tick}
	if s.QoS > 0 {
		cl.extras.sent.push(pending{tag, m})
		w.flying++
	} else {
		w.owe(rec, cl, m, true)
	}
	s.over()
	return true
}

func (s *stream) kind() result.MessageKind {
	switch {
	case s.Request != nil:
		return result.KindRequest
	case s.Fill:
		return result.KindFill
	}
	return result.KindMessage
}

// properties returns the properties of a message. Those of a request have the client's
// response topic.
func (s *stream) properties(cl *client) packet.Properties {
	if s.Request == nil {
		return s.Properties
	}
	w := s.w
	w.filters = s.Request.ResponseTopic.Append(w.filters[:0], cl.index, 0, 0)
	p, _ := append(w.props[:0], s.Properties...).AppendBytes(packet.ResponseTopic, w.filters)
	w.props = p
	return p
}

// ask notes that the client's next message is a request.
func (s *stream) ask(cl *client, now time.Duration) {
	if cl.extras.asked == nil {
		cl.extras.asked = map[uint32]struct{}{}
	}
	cl.extras.asked[cl.seq] = struct{}{}
	s.w.asking++
	s.asked.push(asked{cl, cl.seq, now + s.Request.Timeout})
	if s.asked.len() == 1 {
		s.w.later(s.asked.first().end, s.expire)
	}
}

// expire gives up requests that have had no reply in time.
func (s *stream) expire(now time.Duration) {
	for ; s.asked.len() > 0; s.asked.pop() {
		a := s.asked.first()
		if a.end > now {
			s.w.later(a.end, s.expire)
			return
		}
		if a.cl.answered(s.w, a.seq) {
			s.w.rec(now).Count(result.Unreplied, s.g.Number, result.NoQoS, 1)
			s.w.rec(now).CountError(s.g.Number, "request", "timeout")
		}
	}
}

// answered removes a request from those without a reply. It returns false if seq is not
// one of them.
func (cl *client) answered(w *worker, seq uint32) bool {
	if cl.extras == nil {
		return false
	}
	if _, ok := cl.extras.asked[seq]; !ok {
		return false
	}
	delete(cl.extras.asked, seq)
	w.asking--
	return true
}

// over counts a message of a stream with a message limit, once it has been sent or will
// not be.
func (s *stream) over() {
	if s.Messages == 0 {
		return
	}
	if s.left--; s.left == 0 {
		s.w.counting--
		if s.Fill {
			s.w.filling--
		}
	}
}
