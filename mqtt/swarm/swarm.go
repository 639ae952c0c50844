package swarm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Swarm is a number of loops with their clients. Its methods are safe for concurrent
// use.
type Swarm struct {
	opts   Options
	engine Engine
	loops  []*Loop
	wg     sync.WaitGroup // every goroutine of the swarm
}

// New looks up the targets and starts the loops. ctx is used only for the lookup.
func New(ctx context.Context, o Options) (*Swarm, error) {
	if o.Loops <= 0 {
		o.Loops = 1
	}
	if o.HalfOpen <= 0 {
		o.HalfOpen = 1000
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	if o.Buffer <= 0 {
		o.Buffer = 256 << 10
	}
	if o.Epoch.IsZero() {
		o.Epoch = time.Now()
	}
	if o.Dialer == nil {
		o.Dialer = &transport.Dialer{}
	}
	if o.now == nil {
		o.now = func() time.Duration { return time.Since(o.Epoch) }
	}
	if len(o.Targets) == 0 || o.Handler == nil {
		return nil, errors.New("swarm: no target or no handler")
	}
	s := &Swarm{opts: o}
	var err error
	if s.engine, err = choose(&o); err != nil {
		return nil, err
	}
	engine := newStd
	if s.engine == Lite {
		engine = newLite
	}
	newDriver, err := engine(ctx, &s.opts)
	if err != nil {
		return nil, err
	}
	for i := range o.Loops {
		l := &Loop{swarm: s, number: i, due: Never, halfOpen: max(1, o.HalfOpen/o.Loops)}
		l.resumed = func(tag uint64, reason packet.ReasonCode) { l.handler.Acked(l.resuming, tag, 0, reason) }
		if l.driver, err = newDriver(l); err != nil {
			for _, l := range s.loops {
				l.closed = true
				l.driver.run() // releases what it has
			}
			return nil, err
		}
		s.loops = append(s.loops, l)
		l.handler = o.Handler(l)
		l.ponger, _ = l.handler.(Ponger)
	}
	for _, l := range s.loops {
		s.wg.Go(l.driver.run)
	}
	return s, nil
}

// choose returns the engine that can serve all targets.
func choose(o *Options) (Engine, error) {
	why := ""
	if !liteHere {
		why = "it needs Linux"
	}
	for _, t := range o.Targets {
		if t.Network != "tcp" || t.TLS || t.WebSocket || t.SRV {
			why = "it needs plain TCP, which " + t.String() + " is not"
		}
	}
	if o.Dialer.Proxy != nil || o.Dialer.Command != "" {
		why = "it does not support proxies"
	}
	if o.Dial != nil {
		why = "it must open its connections itself"
	}
	switch {
	case o.Engine == Std || o.Engine == Auto && why != "":
		return Std, nil
	case why != "":
		return Lite, errors.New("swarm: engine lite: " + why)
	}
	return Lite, nil
}

// Engine returns the engine in use, Lite or Std.
func (s *Swarm) Engine() Engine { return s.engine }

// Loops returns the number of loops.
func (s *Swarm) Loops() int { return len(s.loops) }

// Loop returns loop i. Client k belongs to loop k modulo Loops.
func (s *Swarm) Loop(i int) *Loop { return s.loops[i] }

// Now returns the time since the epoch.
func (s *Swarm) Now() time.Duration { return s.opts.now() }

// Close ends all connections at once without a DISCONNECT, and returns when no
// goroutine of the swarm is left. For every client that was not idle Failed or Closed
// is called with ErrClosed, and nothing connects after that. It must not be called from
// a Handler.
func (s *Swarm) Close() {
	for _, l := range s.loops {
		l.enter()
		if !l.closed {
			for c := range l.all() {
				c.abrupt = true
				l.lose(c, ErrClosed)
			}
			l.report()
			l.closed = true
			l.driver.wake()
		}
		l.mu.Unlock()
	}
	s.wg.Wait()
}

// Loop is a lock domain of clients: see the package documentation. Its methods except
// Do may be called only from Handler methods and from functions passed to Do.
type Loop struct {
	mu      sync.Mutex
	swarm   *Swarm
	number  int
	handler Handler
	ponger  Ponger // the handler, if it is a Ponger
	driver  driver
	closed  bool

	now    time.Duration // of this batch
	due    time.Duration // of Handler.Due
	asleep time.Duration // until when the loop's goroutine sleeps; 0 while it does not

	slabs    []*slab
	count    uint32
	wheel    wheel
	queue    []*Client // to be connected, from queueAt on; entries may be stale
	queueAt  int
	half     int // attempts in progress
	halfOpen int // their bound

	dirty []*Client // touched in this batch
	news  []news    // to be reported at its end
	spare []news    // empty, for the next batch

	small    [][]byte // buffers, empty
	large    [][]byte // those that have grown
	sessions []*session.Session
	event    session.Event
	connect  packet.Connect
	hold     bool
	resuming *Client
	resumed  func(tag uint64, reason packet.ReasonCode)
	stats    Stats
}

// Stats counts what a loop has done.
type Stats struct {
	Reads, Writes         int64 // system calls that moved bytes
	BytesRead, BytesSent  int64
	Connecting, Connected int // clients now
	// Reused counts QoS 2 messages that arrived as new ones under a packet identifier
	// still in use: the server has lost its session.
	Reused int64
}

// driver is the part of an engine that serves a loop. All methods except run and wake
// are called with the loop's lock held.
type driver interface {
	run()                 // the loop's goroutine, until the loop is closed
	wake()                // makes run check the deadlines again
	start(c *Client)      // opens the connection; leads to Loop.opened or Loop.lose
	waited(c *Client)     // the wheel has come to an attempt before its deadline
	flush(c *Client)      // writes what waits, as far as possible without blocking
	unsent(c *Client) int // bytes that flush has taken and not written yet
	interest(c *Client)   // Loop.wantsInput or the like has changed
	shut(c *Client)       // closes the connection
}

// slab holds the structs of many clients, next to each other.
type slab [256]Client

// Number returns the loop's index in its swarm.
func (l *Loop) Number() int { return l.number }

// Now returns the time of the present batch, which is somewhat earlier than Swarm.Now.
func (l *Loop) Now() time.Duration { return l.now }

// Stats returns the counters.
func (l *Loop) Stats() Stats { return l.stats }

// Do calls f with the loop's lock held, and then sends what f left to send. It may be
// called from any goroutine that does not hold the lock: not from a Handler, nor within
// another Do. f must not panic.
func (l *Loop) Do(f func()) {
	l.enter()
	f()
	l.leave()
}

// Wake makes Due be called at the given time, unless it is due earlier.
func (l *Loop) Wake(at time.Duration) { l.due = min(l.due, at) }

// Add adds a client, which is not connected. index is its number in the plan, which
// Index returns.
func (l *Loop) Add(index uint32) *Client {
	if int(l.count)%len(slab{}) == 0 {
		l.slabs = append(l.slabs, new(slab))
	}
	c := l.at(l.count)
	*c = Client{loop: l, index: index, slot: l.count, fd: -1}
	l.count++
	return c
}

func (l *Loop) at(slot uint32) *Client {
	return &l.slabs[slot/uint32(len(slab{}))][slot%uint32(len(slab{}))]
}

// all yields the clients.
func (l *Loop) all() func(yield func(*Client) bool) {
	return func(yield func(*Client) bool) {
		for slot := range l.count {
			if !yield(l.at(slot)) {
				return
			}
		}
	}
}
