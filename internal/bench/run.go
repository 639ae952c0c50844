// Package bench runs load tests. It drives the clients of a plan with a swarm, records
// what happens, and writes the result. It parses no options and uses no terminal.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Options sets how a shard of a plan is run.
type Options struct {
	Shard *plan.Shard
	Swarm swarm.Options // Handler, Epoch, HalfOpen and ConnectTimeout are ignored; the plan sets them

	// Start is the run's epoch, when connecting begins. Zero means now.
	Start time.Time

	// Mark is in the headers of the messages of all shards of this run, and of no other
	// run. If 0, a random one is drawn.
	Mark result.Mark

	Run    result.Run   // except Step
	Header result.Shard // except Shard, Epoch and Engine
	Out    io.Writer    // receives the result file; may be nil

	// OnNote, if not nil, is called for each event: phases, errors, faults. Status, if
	// not nil, is called with each interval when it is over. Neither is called by two
	// goroutines at once, but the goroutine varies and is not the one of Run. OnNote and
	// Status may be called at the same time.
	OnNote func(result.Note)
	Status func(Status)

	// Sessions that outlive their connections are begun clean and removed at the end.
	// Resume resumes those that an earlier run has left, KeepSessions leaves them at
	// the broker. Left, if not nil, is called in place of OnNote with the number of
	// sessions that could not be removed, and why.
	Resume, KeepSessions bool
	Left                 func(sessions int, err error)

	// fatal returns the error that ends the run after a failure, or nil. expected reports
	// whether a failure is not to be reported. Both may be nil. proven says that only a
	// CONNACK proves that a session is removed.
	fatal    func(what Failure, err error) error
	expected func(what Failure) bool
	proven   bool

	// Explain, if not nil, returns the text passed to OnNote for an error that concerns a
	// server. Otherwise it is the error's own text.
	Explain func(what Failure, err error, at *transport.Target) string

	// During, if not nil, runs while the clients publish, in its own goroutine, from
	// the beginning of the warm-up until ctx is canceled with the last message. The
	// drain begins when it has returned. Its function note records an event.
	During func(ctx context.Context, note func(kind result.NoteKind, text string))
}

// Status describes the progress of a run at the end of an interval.
type Status struct {
	Interval  *result.Interval
	Early     *result.Interval // due before the measurement, arrived in Interval; may be nil
	Phase     plan.Phase
	Left      time.Duration // of the phase; 0: not known
	Clients   int           // that should be connected
	Connected int
}

// Step is the length of an interval.
const Step = time.Second

// ErrNotReached is returned when no client could connect; it wraps the cause.
var ErrNotReached = errors.New("no client could connect")

// NotReached is ErrNotReached with the first error of a client and the server that it
// concerns.
type NotReached struct {
	Err    error
	Target *transport.Target
}

func (n *NotReached) Error() string        { return ErrNotReached.Error() + ": " + n.Err.Error() }
func (n *NotReached) Is(target error) bool { return target == ErrNotReached }
func (n *NotReached) Unwrap() error        { return n.Err }

// ErrLate is returned when a shard's clients were not connected as publishing began.
var ErrLate = errors.New("the clients were not all connected in time")

// ErrLost is returned when no client is connected any more and none will come back; it
// wraps the last cause.
var ErrLost = errors.New("all connections were lost")

// hungUp is an [io.EOF] for the reader of the report.
type hungUp struct{}

func (hungUp) Error() string { return "the broker closed the connection" }
func (hungUp) Unwrap() error { return io.EOF }

// run is the state of one run.
type run struct {
	o       Options
	p       *plan.Plan
	shard   *plan.Shard
	swarm   *swarm.Swarm
	workers []*worker
	ledger  *ledger
	mark    result.Mark
	sending bool // there are publishers or wills
	owing   bool // there are subscribers too
	fan     *plan.FanOut
	crc     *crc64.Table
	lags    *latest        // nil: all loops are closed
	ticks   *latest        // of the ledger's clock; nil: no subscription is shared
	cut     []atomic.Int64 // by publisher, when its connection was cut; nil without wills
	header  bool           // all messages have one
	whole   bool           // a subscriber gets all messages of a publisher, or none
	returns bool           // an action may reconnect clients

	clients int   // that the shard connects
	epoch   int64 // wall clock, nanoseconds since 1970
	since   time.Duration

	mu  sync.Mutex // guards the fields below
	out *result.Writer
	res *result.Result

	willing   atomic.Int64 // wills that are owed and have not arrived
	succeeded atomic.Int64 // takeovers whose old connection has not closed yet

	gone      atomic.Int64 // clients whose connection was lost and that are not back
	goneSince atomic.Int64 // when the first of them was lost

	during  func()        // ends Options.During
	waiting atomic.Int64  // clients that have neither become ready for the first time nor failed for good
	alive   atomic.Int64  // clients that are connected, or will be
	reached atomic.Bool   // a client has been connected
	ready   chan struct{} // closed when waiting reaches 0
	first   atomic.Pointer[NotReached]
	giveUp  atomic.Pointer[error]
	gaveUp  chan struct{} // closed after giveUp is set
	news    troubles      // errors to report
}

// Run runs the shard. It returns what was written to Out. The result is complete unless
// ctx was canceled or the error says why it is not.
func Run(ctx context.Context, o Options) (*result.Result, error) {
	r := newRun(o)
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	defer r.swarm.Close()
	err := r.play(ctx)
	end := result.End{Shard: r.shard.Index, At: r.now(), Complete: err == nil}
	if err != nil {
		end.Reason = err.Error()
	}
	r.finish(&end)
	r.res.Ends = append(r.res.Ends, end)
	if r.out != nil {
		if werr := r.out.End(end); werr != nil {
			r.noteEvent(result.NoteError, werr.Error())
		}
	}
	return r.res, err
}

func newRun(o Options) *run {
	return &run{o: o, p: o.Shard.Plan, shard: o.Shard, mark: cmp.Or(o.Mark, result.Mark(rand.Uint64())), during: func() {},
		ready: make(chan struct{}), gaveUp: make(chan struct{})}
}

func (r *run) now() time.Duration { return r.swarm.Now() }

// prepare creates the swarm and its clients.
func (r *run) prepare(ctx context.Context) error {
	o := r.o.Swarm
	o.Epoch = r.o.Start
	if o.Epoch.IsZero() {
		o.Epoch = time.Now()
	}
	r.epoch = o.Epoch.UnixNano()
	o.HalfOpen, o.ConnectTimeout = r.p.Phases.HalfOpen, r.p.Phases.ConnectTimeout
	r.prepareStreams()
	names := make([]string, len(r.p.Groups))
	for i, g := range r.p.Groups {
		names[i] = g.Name
	}
	o.Handler = func(l *swarm.Loop) swarm.Handler {
		w := newWorker(r, l, names)
		r.workers = append(r.workers, w)
		return w
	}
	for _, g := range r.p.Groups {
		r.clients += r.shard.Clients(g)
	}
	var err error
	if r.swarm, err = swarm.New(ctx, o); err != nil {
		return err
	}
	for _, w := range r.workers {
		w.loop.Do(func() { w.addClients(r.swarm.Loops()) })
	}
	head := r.o.Header
	head.Shard, head.Epoch, head.Engine = r.shard.Index, o.Epoch, r.swarm.Engine().String()
	r.o.Run.Step = Step
	r.res = &result.Result{Run: r.o.Run, Shards: []result.Shard{head}}
	if r.o.Out != nil {
		if r.out, err = result.NewWriter(r.o.Out, r.o.Run, head); err != nil {
			r.noteEvent(result.NoteError, "result file: "+err.Error())
		}
	}
	return nil
}

// prepareStreams creates what the streams and subscriptions of all workers share.
func (r *run) prepareStreams() {
	r.header, r.fan = r.p.HasHeader(), r.p.FanOut()
	r.whole = len(r.fan.Reasons()) == 0
	r.returns = slices.ContainsFunc(r.p.Actions, func(a *plan.Action) bool { return a.Do == plan.Connect })
	r.ledger, r.crc = newLedger(r), crc64.MakeTable(crc64.ECMA)
	for _, g := range r.p.Groups {
		r.whole = r.whole && len(g.Publish) <= 1 && len(g.Subscribe) <= 1
		for _, p := range g.Publish {
			r.whole = r.whole && p.OneTopic()
			if !p.Closed() && r.lags == nil {
				r.lags = new(latest)
			}
		}
		r.owing = r.owing || len(g.Subscribe) > 0
		r.sending = r.sending || len(g.Publish) > 0 || g.Will != nil
		if g.Will != nil {
			r.cut = make([]atomic.Int64, r.p.Clients())
		}
	}
	r.owing = r.owing && r.sending
	if len(r.ledger.shares) > 0 {
		r.ticks = new(latest)
	}
}

// sent reports whether a message with the given header is one of this run's.
func (r *run) sent(h result.Header) bool {
	return int(h.Shard) < r.shard.Count && int(h.Publisher) < r.p.Clients()
}

// noteEvent records an event in the result and passes it to Options.OnNote.
func (r *run) noteEvent(kind result.NoteKind, text string) {
	r.tellNote(result.Note{At: r.now(), Shard: r.shard.Index, Kind: kind, Text: text})
}

func (r *run) tellNote(n result.Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res.Notes = append(r.res.Notes, n)
	if r.o.OnNote != nil {
		r.o.OnNote(n)
	}
	if r.out != nil {
		if err := r.out.Note(n); err != nil && r.o.OnNote != nil {
			r.o.OnNote(result.Note{At: n.At, Kind: result.NoteError, Text: err.Error()})
		}
	}
}

// firstError keeps the first reason why a client could not connect.
func (w *worker) firstError(cl *client, err error) {
	w.run.first.CompareAndSwap(nil, &NotReached{err, cl.c.Target()})
	w.note(cl, FailConnect, err)
}

// isLost counts a client that will not come back. The run ends with the last one,
// unless that is part of the plan: then err is nil.
func (r *run) isLost(err error) {
	if r.alive.Add(-1) == 0 && err != nil && !r.returns {
		r.abandon(fmt.Errorf("%w: %w", ErrLost, err))
	}
}

// cutTime returns when the connection of a client was cut, 0 if it was not.
func (r *run) cutTime(publisher uint32) time.Duration {
	if int(publisher) >= len(r.cut) {
		return 0
	}
	return time.Duration(r.cut[publisher].Load())
}

// ordered reports whether the messages of a publisher have a defined order: all go to
// the same topic with the same QoS (section 4.6 guarantees no order beyond that).
func (r *run) ordered(publisher uint32) bool {
	i, found := slices.BinarySearchFunc(r.p.Groups, publisher, func(g *plan.Group, n uint32) int { return cmp.Compare(g.Base, n) })
	if !found {
		i-- // the last group that begins at or before it
	}
	g := r.p.Groups[i]
	return len(g.Publish) == 1 && g.Publish[0].OneTopic() && r.p.Clients() <= result.MaxPublishers
}

// isReady counts a client that the start need not wait for any more.
func (r *run) isReady() {
	if r.waiting.Add(-1) == 0 {
		close(r.ready)
	}
}

// subscribers returns the number of groups that subscribe.
func (r *run) subscribers() (n int) {
	for _, g := range r.p.Groups {
		if len(g.Subscribe) > 0 {
			n++
		}
	}
	return n
}

// finish checks what did not arrive.
func (r *run) finish(end *result.End) {
	sent := make([]uint32, 0)
	for _, w := range r.workers {
		w.loop.Do(func() { sent = w.appendSent(sent) })
	}
	of := func(publisher uint32) uint32 {
		if int(publisher) < len(sent) {
			return sent[publisher]
		}
		return 0
	}
	add := func(_ int64, missing []result.MissingRange) {
		if n := min(len(missing), result.MaxExamples-len(end.Missing)); n > 0 {
			end.Missing = append(end.Missing, missing[:n]...)
		}
	}
	for _, w := range r.workers {
		w.loop.Do(func() {
			end.Forgotten += w.check.Forgotten()
			if r.whole {
				add(w.check.Missing(of, result.MaxExamples))
			}
		})
	}
	for _, s := range r.ledger.shares {
		if r.whole && r.subscribers() == 1 && len(r.ledger.shares) == 1 {
			add(s.check.Missing(of, result.MaxExamples))
		}
	}
}
