package bench

import (
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// worker runs the clients of one loop. The loop's lock guards all of it.
type worker struct {
	run  *run
	loop *swarm.Loop

	// A measurement goes to the recorder of the phase in which it was due: before the
	// warm-up, in the warm-up, or in the measurement.
	recs          [3]*result.Recorder
	warm, measure time.Duration // when the phases begin; swarm.Never until known
	end           time.Duration // of the measurement
	check         *result.Checker

	groups  []*group
	clients []client
	streams []*stream
	timers  timers

	publishing bool  // the drain has not begun
	leaving    bool  // the goodbyes have begun
	removing   bool  // the goodbyes are done and sessions are being removed
	unremoved  error // why a session could not be removed, most recent error
	present    int64 // while leaving: clients still connected or connecting

	queued, flying     int64         // messages due but waiting for room; messages without an acknowledgement
	asking             int64         // requests without a reply; for churn, without SUBACK or UNSUBACK
	expected, distinct int64         // deliveries
	expectedAway       int64         // the part of expected that any shard may receive
	voided             int64         // the part of expected that is no longer owed
	settled            bool          // the accounts are closed; nothing is counted any more
	heard              pulse         // deliveries
	answered           time.Duration // when the last acknowledgement arrived
	filling, counting  int64         // unfinished streams: those that fill, and those with a message limit

	pub            packet.Publish // scratch, like the fields below
	topic, payload []byte
	id, user       []byte
	password       []byte
	sub            packet.Subscribe
	filters        []byte
	props          packet.Properties
	scratch        routes
	distant        map[uint32]packet.QoS // subscribers in other shards
	entitled       []*share
	lasting        string            // the topic of the last retained message kept for future subscribers
	spoilt         map[uint64]uint32 // hashes of payload and client of the corrupt deliveries
	copies         []*result.Checker // for the second copy, the third, ...
}

// group holds a worker's clients of one group of the plan.
type group struct {
	*plan.Group
	specs   []swarm.Spec // by target
	clients []client
	streams []*stream
	book    *book // nil if the group has no subscriptions
}

// client is one client. A run may have very many, so it is kept small.
type client struct {
	c       *swarm.Client
	g       *group
	index   uint32 // in the group
	number  uint32 // for headers
	seq     uint32 // of its next message's header
	place   uint32 // in the shard's part of the group
	tries   uint16 // connection attempts in a row
	vain    uint16 // connections in a row that the broker closed without any progress
	state   state
	awaited bool // the start waits for it
	alive   bool // is connected, or will be
	again   bool // reconnects as soon as it has disconnected
	kept    bool // the broker may keep its session after it disconnects
	called  bool // is meant to be connected
	parted  bool // the plan closed its connection, and it is not back yet
	held    bool // its session has the group's subscriptions
	pinged  bool // sent a PINGREQ to prove that its session lives
	origin  origin

	due    time.Duration // when it was due to connect
	begun  time.Duration // when its CONNECT was sent
	went   time.Duration // when the connection that it must replace was lost; 0: none
	subbed time.Duration // when its SUBSCRIBE was sent
	extras *extras       // nil for a client that does nothing special
}

type state uint8

const (
	away     state = iota // not connected, nothing in progress
	underway              // connecting or subscribing
	ready
	gone // will not come back
)

// origin is where a client's session comes from.
type origin uint8

const (
	anybodys origin = iota // an earlier run may have left it; it is resumed
	cleaning               // the current or next connection ends the old session
	own
)

// extras holds what only some clients need.
type extras struct {
	streams  []clientStream      // by the group's streams
	asked    map[uint32]struct{} // requests without a reply, by the header's number
	replies  queue[*packet.Publish]
	sent     queue[pending]
	churning int64 // subscription churn requests without an answer
	acked    int   // on this connection, for churn
	lives    uint32
	next     time.Duration // when the next life begins; 0: none is scheduled
	busy     time.Duration // until when a slow client is busy
	stage    takeover
	rival    *swarm.Client // the client that a takeover disconnects, or a spare one
}

// takeover is the progress of a takeover.
type takeover uint8

const (
	overNone     takeover = iota
	overBegun             // the second connection is in progress, the first is up
	overAccepted          // both are up
	overEnded             // the first was closed before the second was accepted
)

func newExtras(g *group) *extras { return &extras{streams: make([]clientStream, len(g.Publish))} }

// clientStream is a client's part of a stream.
type clientStream struct {
	seq    uint32 // of the next message of a closed loop
	burst  uint32 // messages of bursts
	queue  queue[waiting]
	routes []*routes // by topic, if the topics do not change
}

// pending is a message without an acknowledgement.
type pending struct {
	tag uint64
	sending
}

// waiting is a message that is due but has no room yet.
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

// maxRanges bounds how many ranges of missing messages a worker remembers.
const maxRanges = 1 << 20

// addClients creates the clients of the loop.
func (w *worker) addClients(loops int) {
	s := w.run.shard
	total := 0
	for _, pg := range w.run.p.Groups {
		for range s.Own(pg, w.loop.Number(), loops) {
			total++
		}
	}
	w.clients = make([]client, 0, total) // its backing array must not move
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
			place, _ := s.Place(pg, index) // index is always in this shard
			cl.place = uint32(place)
			if len(g.Publish) > 0 || g.Respond != nil || g.SubChurn != nil || g.Slow != nil || g.Churn != nil {
				cl.extras = newExtras(g)
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

// rec returns the recorder for what was due at a given time.
func (w *worker) rec(due time.Duration) *result.Recorder {
	switch {
	case due >= w.measure:
		return w.recs[2]
	case due >= w.warm:
		return w.recs[1]
	}
	return w.recs[0]
}

// Due sends what is due, and returns when to be called next.
func (w *worker) Due(now time.Duration) time.Duration {
	next := w.timers.run(now)
	for _, s := range w.streams {
		next = min(next, s.run(now))
	}
	return next
}

// begin starts a phase.
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

// stopPublishing begins the drain. Messages that were due until now are still sent,
// however late this loop is.
func (w *worker) stopPublishing() {
	now := w.loop.Now()
	w.publishing, w.end = false, min(w.end, now)
	w.Due(now)
	for i := range w.clients {
		w.clients[i].pump(w)
	}
}

// leave disconnects all clients.
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

// giveUp counts the messages of a client that it will not send any more, and those that
// were not acknowledged. If quiet, the broker had time enough to acknowledge them, and
// they also count as ignored.
func (w *worker) giveUp(cl *client, quiet bool) {
	if cl.extras == nil {
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
		for q := &cl.extras.streams[i].queue; q.len() > 0; q.pop() {
			w.rec(q.first().at).Count(what, cl.g.Number, s.QoS, n)
			w.queued--
		}
	}
	if n := int64(len(cl.extras.asked)); n > 0 {
		w.rec(w.loop.Now()).Count(result.Unreplied, cl.g.Number, result.NoQoS, n)
	}
	for q := &cl.extras.sent; q.len() > 0; {
		if p := q.first(); quiet && cl.c.Up() {
			w.rec(w.loop.Now()).Count(result.Ignored, cl.g.Number, cl.g.streams[p.stream].QoS, 1)
		}
		w.unaccepted(cl, q.first().tag)
	}
}

// unaccepted counts a message that was not acknowledged.
func (w *worker) unaccepted(cl *client, tag uint64) {
	if p, ok := cl.settle(tag); ok {
		intended, _ := readTag(tag)
		rec := w.rec(intended)
		rec.Count(result.Unaccepted, cl.g.Number, cl.g.streams[p.stream].QoS, 1)
		w.owe(rec, cl, p.sending, false)
	}
}

// settle removes a message from those without an acknowledgement. It returns false if
// the tag does not belong to a message of a stream.
func (cl *client) settle(tag uint64) (pending, bool) {
	if cl.extras == nil {
		return pending{}, false
	}
	return cl.extras.sent.take(func(p pending) bool { return p.tag == tag })
}

// both returns a client and its other one, which is nil if there is none.
func (cl *client) both() [2]*swarm.Client {
	if cl.extras == nil {
		return [2]*swarm.Client{cl.c}
	}
	return [2]*swarm.Client{cl.c, cl.extras.rival}
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

// later calls do at the given time.
func (w *worker) later(at time.Duration, do func(now time.Duration)) {
	w.timers.add(at, do)
	w.loop.Wake(at)
}

var _ swarm.Handler = (*worker)(nil)

// ackOp returns the operation that ends with the acknowledgement for a QoS.
func ackOp(q packet.QoS) result.Op {
	switch q {
	case 1:
		return result.Puback
	case 2:
		return result.Pubcomp
	}
	return result.Delivery
}
