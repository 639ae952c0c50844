package bench

import (
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// worker is what the clients of one loop do. All of it is guarded by the loop's
// lock.
type worker struct {
	run  *run
	loop *swarm.Loop

	// What is measured goes to the recorder of the time when it was due: before
	// the warm-up, in it, or in the measurement.
	recs          [3]*result.Recorder
	warm, measure time.Duration // when these begin; swarm.Never before it is known
	end           time.Duration // of the measurement
	check         *result.Checker

	groups  []*group
	clients []client
	streams []*stream
	timers  timers

	publishing bool  // drain has not begun
	leaving    bool  // goodbyes have begun
	removing   bool  // the goodbyes are over, and sessions are removed
	unremoved  error // why a session could not be removed, the last time
	present    int64 // clients whose connection or attempt is not over, while leaving

	queued, flying     int64         // messages that are due and wait; without an acknowledgement
	asking             int64         // requests without a reply; of churn, without SUBACK or UNSUBACK
	expected, distinct int64         // deliveries
	expectedAway       int64         // of expected, those in any shard
	voided             int64         // of expected, those that are not owed any more
	settled            bool          // the accounts are closed: nothing counts any more
	heard              pulse         // deliveries
	answered           time.Duration // when the last acknowledgement came
	filling, counting  int64         // streams that prepare, and that have an end, and are not over

	pub            packet.Publish // scratch, as are the next
	topic, payload []byte
	id, user       []byte
	password       []byte
	sub            packet.Subscribe
	filters        []byte
	props          packet.Properties
	scratch        routes
	distant        map[uint32]packet.QoS // subscribers in other shards
	entitled       []*share
	lasting        string            // the topic of the last retained message that waits for subscribers
	spoilt         map[uint64]uint32 // corrupt payloads that came, by their hash: who got them
	copies         []*result.Checker // of the second copy, the third ...
}

// group is a worker's clients of a group of the plan.
type group struct {
	*plan.Group
	specs   []swarm.Spec // by target
	clients []client
	streams []*stream
	book    *book // nil: it subscribes to nothing
}

// client is one client. There may be very many.
type client struct {
	c       *swarm.Client
	g       *group
	index   uint32 // in the group
	number  uint32 // for headers
	seq     uint32 // of its next message's header
	place   uint32 // in the shard's part of the group
	tries   uint16 // of connecting, in a row
	vain    uint16 // connections in a row that the broker ended without any progress
	state   state
	awaited bool // by the start
	alive   bool // is connected, or will be
	again   bool // it connects again as soon as it has disconnected
	kept    bool // the broker may have its session when it is gone
	called  bool // it is to be connected
	parted  bool // the plan ended its connection, and it has not come back
	held    bool // its session has the group's subscriptions
	pinged  bool // it is to show that its session lives
	origin  origin

	due    time.Duration // when it was to connect
	begun  time.Duration // when its CONNECT was sent
	went   time.Duration // when the connection ended that it is to make again; 0: none
	subbed time.Duration // when its SUBSCRIBE was sent
	more   *more         // nil: it does nothing special
}

type state uint8

const (
	away     state = iota // not connected, and nothing under way
	underway              // connecting or subscribing
	ready
	gone // will not come back
)

// origin is whose session a client has.
type origin uint8

const (
	anybodys origin = iota // an earlier run may have left it, and it is taken up
	cleaning               // the next connection, or this one, ends that one
	own
)

// more is what only some clients have.
type more struct {
	streams  []clientStream      // by the group's streams
	asked    map[uint32]struct{} // requests without a reply, by the header's number
	replies  queue[*packet.Publish]
	sent     queue[pending]
	churning int64 // requests of subscription churn without an answer
	acked    int   // of this connection, for churn
	lives    uint32
	next     time.Duration // when a life that has ended begins again; 0: none has
	busy     time.Duration // until then a slow one is busy
	stage    takeover
	other    *swarm.Client // the one that a takeover throws out, or another that is free
}

// takeover is how far a takeover is.
type takeover uint8

const (
	overNone     takeover = iota
	overBegun             // the second connection is under way, and the first one is there
	overAccepted          // both are there
	overEnded             // the first one has ended before the second was accepted
)

func newMore(g *group) *more { return &more{streams: make([]clientStream, len(g.Publish))} }

// clientStream is a client's part of a stream.
type clientStream struct {
	seq    uint32 // of the next message of a closed loop
	burst  uint32 // messages of bursts
	queue  queue[waiting]
	routes []*routes // by topic, where they do not change
}

// pending is a message that has no answer yet.
type pending struct {
	tag uint64
	sending
}

// waiting is a message that is due and for which there is no room yet.
type waiting struct {
	at  time.Duration
	seq uint32
}

func newWorker(r *run, l *swarm.Loop, groups []string) *worker {
	w := &worker{run: r, loop: l, warm: swarm.Never, measure: swarm.Never, end: swarm.Never, publishing: true,
		check: result.NewChecker(1024, maxRanges), distant: map[uint32]packet.QoS{}, spoilt: map[uint64]uint32{}}
	for i := range w.recs {
		w.recs[i] = result.NewRecorder(groups...)
	}
	return w
}

// maxRanges bounds what a worker remembers of missing messages.
const maxRanges = 1 << 20

// addClients makes the clients of the loop.
func (w *worker) addClients(loops int) {
	s := w.run.shard
	total := 0
	for _, pg := range w.run.p.Groups {
		for range s.Own(pg, w.loop.Number(), loops) {
			total++
		}
	}
	w.clients = make([]client, 0, total) // it does not move
	for _, pg := range w.run.p.Groups {
		g := &group{Group: pg, book: w.run.ledger.books[pg.Number]}
		g.specs = w.specs(g)
		from := len(w.clients)
		for index := range s.Own(pg, w.loop.Number(), loops) {
			cl := client{g: g, awaited: !g.Deferred, alive: !g.Deferred, index: index, number: s.Publisher(pg, index), c: w.loop.Add(g.Base + index)}
			cl.c.User = uint32(len(w.clients))
			if g.Persistent() && !w.run.o.Resume {
				cl.origin = cleaning
			}
			place, _ := s.Place(pg, index) // it is one of the shard's
			cl.place = uint32(place)
			if len(g.Publish) > 0 || g.Respond != nil || g.SubChurn != nil || g.Slow != nil || g.Churn != nil {
				cl.more = newMore(g)
			}
			w.clients = append(w.clients, cl)
		}
		g.clients = w.clients[from:]
		for _, p := range pg.Publish {
			st := newStream(w, g, p, loops)
			g.streams = append(g.streams, st)
			w.streams = append(w.streams, st)
		}
		if !g.Deferred {
			w.run.waiting.Add(int64(len(g.clients)))
			w.run.alive.Add(int64(len(g.clients)))
		}
		w.groups = append(w.groups, g)
	}
}

// rec is the recorder of what was due at a time.
func (w *worker) rec(due time.Duration) *result.Recorder {
	switch {
	case due >= w.measure:
		return w.recs[2]
	case due >= w.warm:
		return w.recs[1]
	}
	return w.recs[0]
}

// Due does what is due.
func (w *worker) Due(now time.Duration) time.Duration {
	next := w.timers.run(now)
	for _, s := range w.streams {
		next = min(next, s.run(now))
	}
	return next
}

// begin tells that a phase has begun.
func (w *worker) begin(phase plan.Phase, at time.Duration) {
	ph := &w.run.p.Phases
	if phase == plan.PhaseWarmUp {
		w.warm, w.measure = at, (at + ph.WarmUp).Truncate(time.Microsecond)
		if ph.Measure > 0 {
			w.end = w.measure + ph.Measure
		}
	}
	for _, s := range w.streams {
		s.begin(phase, at)
	}
	for _, g := range w.groups {
		w.beginSubChurn(g, phase, at)
		if phase == plan.PhaseConnect {
			w.beginSlow(g)
		}
	}
	for _, a := range w.run.p.Actions {
		if a.At.Phase == phase {
			w.beginAction(a, at)
		}
	}
	w.loop.Wake(at)
}

// stopPublishing begins the drain: what was due until now is still sent, however
// late this loop is.
func (w *worker) stopPublishing() {
	now := w.loop.Now()
	w.publishing, w.end = false, min(w.end, now)
	w.Due(now)
	for i := range w.clients {
		w.clients[i].pump(w)
	}
}

// leave says goodbye for all clients.
func (w *worker) leave() {
	w.leaving = true
	w.timers = timers{}
	for i := range w.clients {
		cl := &w.clients[i]
		w.notReady(cl)
		cl.state = gone
		for _, c := range cl.both() {
			if c != nil && !c.Idle() {
				w.present++
				c.Disconnect(w.goodbye(cl, c))
			}
		}
	}
}

// notReady counts a client that should be connected and subscribed, and is not.
func (w *worker) notReady(cl *client) {
	now := w.loop.Now()
	if cl.called || cl.parted {
		w.rec(now).Count(result.Planned, cl.g.Number, result.NoQoS, 1)
	}
	if cl.called && cl.state != ready && (cl.state == away || now-cl.due >= time.Second) {
		w.rec(now).Count(result.Unready, cl.g.Number, result.NoQoS, 1)
	}
}

// giveUp counts the messages of a client that it does not send any more, and those
// that nobody has answered: with quiet, though there was time enough.
func (w *worker) giveUp(cl *client, quiet bool) {
	if cl.more == nil {
		return
	}
	for i, s := range cl.g.streams {
		what, n := result.Unsent, int64(1)
		switch {
		case cl.parted:
			what, n = result.Offered, -1
		case cl.state != ready:
			what = result.Skipped
		}
		for q := &cl.more.streams[i].queue; q.len() > 0; q.pop() {
			w.rec(q.first().at).Count(what, cl.g.Number, s.QoS, n)
			w.queued--
		}
	}
	if n := int64(len(cl.more.asked)); n > 0 {
		w.rec(w.loop.Now()).Count(result.Unreplied, cl.g.Number, result.NoQoS, n)
	}
	for q := &cl.more.sent; q.len() > 0; {
		if p := q.first(); quiet && cl.c.Up() {
			w.rec(w.loop.Now()).Count(result.Ignored, cl.g.Number, cl.g.streams[p.stream].QoS, 1)
		}
		w.unaccepted(cl, q.first().tag)
	}
}

// unaccepted counts a message that has had no answer.
func (w *worker) unaccepted(cl *client, tag uint64) {
	if p, ok := cl.settle(tag); ok {
		intended, _ := readTag(tag)
		rec := w.rec(intended)
		rec.Count(result.Unaccepted, cl.g.Number, cl.g.streams[p.stream].QoS, 1)
		w.owe(rec, cl, p.sending, false)
	}
}

// settle takes a message off those without an answer; false if it is none of a
// stream.
func (cl *client) settle(tag uint64) (pending, bool) {
	if cl.more == nil {
		return pending{}, false
	}
	return cl.more.sent.take(func(p pending) bool { return p.tag == tag })
}

// both are a client and its other one; nil if there is none.
func (cl *client) both() [2]*swarm.Client {
	if cl.more == nil {
		return [2]*swarm.Client{cl.c}
	}
	return [2]*swarm.Client{cl.c, cl.more.other}
}

// appendSent sets how many messages each publisher has sent.
func (w *worker) appendSent(sent []uint32) []uint32 {
	for i := range w.clients {
		if cl := &w.clients[i]; cl.seq > 0 {
			for int(cl.number) >= len(sent) {
				sent = append(sent, 0)
			}
			sent[cl.number] = cl.seq
		}
	}
	return sent
}

// later calls do at a time.
func (w *worker) later(at time.Duration, do func(now time.Duration)) {
	w.timers.add(at, do)
	w.loop.Wake(at)
}

var _ swarm.Handler = (*worker)(nil)

// ackOp is the operation that ends with the acknowledgement of a QoS.
func ackOp(q packet.QoS) result.Op {
	switch q {
	case 1:
		return result.Puback
	case 2:
		return result.Pubcomp
	}
	return result.Delivery
}
