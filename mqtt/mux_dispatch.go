package mqtt

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

const (
	// aheadBytes and aheadMessages limit what a Serve holds when it takes the
	// next batch, unless it holds fewer batches than handlers can run.
	aheadBytes    = 1 << 20
	aheadMessages = 4096
)

// dispatch is one call of Serve. The goroutine of Serve receives batches, and
// workers call the handlers.
type dispatch struct {
	mux    *Mux
	c      *Client
	most   int      // workers
	ids    []uint32 // subscription identifiers of mux.routes
	outer  context.Context
	ctx    context.Context // of the handlers; ends with outer or because of an error
	cancel context.CancelCauseFunc
	group  sync.WaitGroup // all goroutines
	room   chan struct{}  // 1 slot: a batch is finished

	// mu guards the rest. Client.mu may be locked while it is held.
	mu       sync.Mutex
	work     sync.Cond // a lane is ready, or stopping is set
	stopping bool      // no handler is begun any more
	errs     []error   // why
	workers  int
	idle     int // workers that wait for work

	window   []*held // unfinished batches in order of receipt
	bytes    int     // in window
	messages int     // in window
	seq      uint64  // of the latest task
	lanes    map[string]*lane
	ready    readyLanes
	spare    []*lane // for reuse
	free     []*held // for reuse
}

// held is a batch with unfinished messages. Messages before done are finished
// and acknowledged.
type held struct {
	b     *Batch
	tasks []task // one per message
	done  int
}

// task is a message to be handled.
type task struct {
	held    *held
	lane    *lane
	next    *task // of the same topic
	seq     uint64
	i       int // in held
	handled bool
}

// lane holds the unfinished messages of one topic in order of receipt. A worker
// has the first one, or the lane is ready.
type lane struct {
	topic       string
	first, last *task
}

// readyLanes is a heap of lanes that no worker has, by the age of their first
// message.
type readyLanes []*lane

func (r readyLanes) Len() int           { return len(r) }
func (r readyLanes) Less(i, j int) bool { return r[i].first.seq < r[j].first.seq }
func (r readyLanes) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *readyLanes) Push(l any)        { *r = append(*r, l.(*lane)) }
func (r *readyLanes) Pop() any {
	last := len(*r) - 1
	l := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return l
}

func newDispatch(ctx context.Context, x *Mux, c *Client) *dispatch {
	s := &dispatch{mux: x, c: c, most: max(x.Concurrency, 1), ids: x.identifiers(), outer: ctx,
		room: make(chan struct{}, 1), lanes: make(map[string]*lane)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.work.L = &s.mu
	return s
}

// run subscribes, receives until Serve ends, and returns the error of Serve.
// When it returns, no goroutine is left.
func (s *dispatch) run() error {
	s.group.Add(1)
	go s.subscribe()
	err := s.receive()
	s.stop(nil)
	s.group.Wait()
	s.cancel(nil)
	switch {
	case len(s.errs) == 1:
		return s.errs[0]
	case len(s.errs) > 1:
		return errors.Join(s.errs...)
	case s.outer.Err() != nil:
		return s.outer.Err()
	}
	return err
}

// subscribe makes the subscriptions of Serve.
func (s *dispatch) subscribe() {
	defer s.group.Done()
	err := ErrGoexit
	defer func() {
		ended := s.c.Err() != nil || errors.Is(err, ErrClosed) || s.ctx.Err() != nil
		if err != nil && !ended { // otherwise there is a better reason
			s.stop(err)
		}
	}()
	err = s.subscribeAll()
}

func (s *dispatch) subscribeAll() (err error) {
	var granted []packet.ReasonCode
	if subs := s.mux.subscriptions(s.c, s.ids); len(subs) > 0 || s.mux.Unhandled == nil {
		if granted, err = s.c.subscribeAll(s.ctx, subs); err != nil {
			return err
		}
	}
	if s.mux.OnSubscribed != nil {
		defer recovered(&err)
		s.mux.OnSubscribed(granted)
	}
	return nil
}

// receive takes batches until s.ctx or the client ends. In the latter case it
// waits for the handlers of all messages and returns the reason.
func (s *dispatch) receive() error {
	for {
		if err := s.wait(false); err != nil {
			return err
		}
		b, err := s.c.receive(s.ctx)
		if err != nil {
			if s.ctx.Err() == nil {
				_ = s.wait(true)
			}
			return err
		}
		s.add(b)
	}
}

// wait waits until there is room for another batch, or until all messages are
// handled. If s.ctx ends first, it returns its error.
func (s *dispatch) wait(all bool) error {
	for {
		s.mu.Lock()
		ok := len(s.window) == 0
		if !all {
			ok = len(s.window) < s.most || s.bytes < aheadBytes && s.messages < aheadMessages
		}
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-s.room:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// add queues the messages of a batch for the workers.
func (s *dispatch) add(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heldLocked()
	h.b, h.done, h.tasks = b, 0, slices.Grow(h.tasks[:0], len(b.Messages))[:len(b.Messages)]
	s.window = append(s.window, h)
	s.bytes += cap(b.buf)
	s.messages += len(b.Messages)
	for i := range h.tasks {
		s.seq++
		t := &h.tasks[i]
		*t = task{held: h, seq: s.seq, i: i}
		name := b.Messages[i].Topic
		if l := s.lanes[name]; l != nil {
			t.lane, l.last.next, l.last = l, t, t
			continue
		}
		l := s.laneLocked()
		l.topic, l.first, l.last, t.lane = name, t, t, l
		s.lanes[name] = l
		heap.Push(&s.ready, l)
	}
	more := len(s.ready)
	for i := 0; i < min(more, s.idle); i++ {
		s.work.Signal()
	}
	for more -= s.idle; more > 0 && s.workers < s.most; more-- {
		s.workers++
		s.group.Add(1)
		w := &worker{s: s}
		w.visit = func(i int, _ struct{}) { w.hits = append(w.hits, i) }
		go w.loop()
	}
}

func (s *dispatch) heldLocked() *held {
	n := len(s.free)
	if n == 0 {
		return &held{}
	}
	h := s.free[n-1]
	s.free = s.free[:n-1]
	return h
}

func (s *dispatch) laneLocked() *lane {
	n := len(s.spare)
	if n == 0 {
		return &lane{}
	}
	l := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return l
}

// take returns the oldest message whose topic is idle, or nil when Serve ends.
func (s *dispatch) take() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.stopping && s.ctx.Err() == nil {
		if len(s.ready) > 0 {
			return heap.Pop(&s.ready).(*lane).first
		}
		s.idle++
		s.work.Wait()
		s.idle--
	}
	return nil
}

// finish marks a message as handled, and acknowledges it if no earlier one is
// unhandled.
func (s *dispatch) finish(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.handled = true
	l := t.lane
	if l.first = t.next; l.first != nil {
		heap.Push(&s.ready, l)
	} else {
		delete(s.lanes, l.topic)
		*l = lane{}
		s.spare = append(s.spare, l)
	}
	for len(s.window) > 0 {
		h := s.window[0]
		for h.done < len(h.tasks) && h.tasks[h.done].handled {
			h.done++
		}
		h.b.Ack(h.done)
		if h.done < len(h.tasks) {
			break
		}
		s.bytes -= cap(h.b.buf)
		s.messages -= len(h.tasks)
		h.b.Release()
		h.b = nil
		s.free = append(s.free, h)
		s.window[copy(s.window, s.window[1:])] = nil
		s.window = s.window[:len(s.window)-1]
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
}

// stop makes Serve end, with err if it is not nil.
func (s *dispatch) stop(err error) {
	s.mu.Lock()
	s.stopping = true
	if err != nil {
		s.errs = append(s.errs, err)
	}
	s.work.Broadcast()
	s.mu.Unlock()
	if err != nil {
		s.cancel(err)
	}
}

// interrupted reports whether a handler returned err because its context ended.
func (s *dispatch) interrupted(err error) bool {
	return s.ctx.Err() != nil && (errors.Is(err, s.ctx.Err()) || errors.Is(err, context.Cause(s.ctx)))
}

// worker calls handlers, one at a time.
type worker struct {
	s     *dispatch
	t     *task             // in hand
	stage stage             // of t
	m     Message           // copy of the message for the handler
	props packet.Properties // of m, if they differ from those of the message
	hits  []int             // routes that match t
	visit func(int, struct{})
}

// stage is what a worker has begun to do about a message.
type stage uint8

const (
	taken  stage = iota
	called       // the handlers
	asked        // OnError
)

// loop handles messages until Serve ends. If a handler calls runtime.Goexit,
// the loop continues in a new goroutine.
func (w *worker) loop() {
	defer func() {
		if w.t != nil {
			go w.loop()
			return
		}
		w.s.group.Done()
	}()
	for {
		if w.t == nil {
			w.t, w.stage = w.s.take(), taken
		}
		if w.t == nil {
			return
		}
		switch err := w.handle(); {
		case err == nil:
			w.s.finish(w.t)
		case !w.s.interrupted(err):
			name := w.t.held.b.Messages[w.t.i].Topic
			w.s.stop(fmt.Errorf("message on %s: %w", topic.Quote(name), err))
		}
		w.t = nil
	}
}

// handle calls the handlers of w.t, and OnError if one fails.
func (w *worker) handle() error {
	err := ErrGoexit // if the stage has been begun
	if w.stage == taken {
		w.stage = called
		err = w.call()
	}
	decide := w.s.mux.OnError
	if err == nil || decide == nil || w.stage == asked || w.s.interrupted(err) {
		return err
	}
	w.stage = asked
	w.copy(&w.t.held.b.Messages[w.t.i])
	return w.ask(err)
}

func (w *worker) ask(handlers error) (err error) {
	defer recovered(&err)
	return w.s.mux.OnError(w.s.ctx, &w.m, handlers)
}

// call calls the handlers of w.t until one fails.
func (w *worker) call() (err error) {
	defer recovered(&err)
	m := &w.t.held.b.Messages[w.t.i]
	w.match(m)
	if len(w.hits) == 0 {
		if w.s.mux.Unhandled == nil {
			return ErrUnhandled
		}
		w.copy(m)
		return w.s.mux.Unhandled(w.s.ctx, &w.m)
	}
	for _, i := range w.hits {
		w.copy(m) // a handler may change its copy
		if err := w.s.mux.routes[i].handler(w.s.ctx, &w.m); err != nil {
			return err
		}
	}
	return nil
}

// copy sets w.m to a copy of m for a handler, without the subscription
// identifiers, so that it can be published elsewhere.
func (w *worker) copy(m *Message) {
	w.m = *m
	if _, has := m.Properties.Uint(packet.SubscriptionIdentifier); has {
		w.props = m.Properties.Without(w.props[:0], packet.SubscriptionIdentifier)
		w.m.Properties = w.props
	}
	w.m.Decode()
}

// recovered stores a panic in *err. It must be deferred.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}

// match sets w.hits to the routes for m, in order of registration.
func (w *worker) match(m *Message) {
	w.hits = w.hits[:0]
	w.s.mux.tree.Match(m.Topic, w.visit)
	if len(w.hits) < 2 {
		return
	}
	slices.Sort(w.hits)
	if len(m.Properties) == 0 {
		return
	}
	n := 0
	for at, i := range w.hits {
		if carries(m.Properties, w.s.ids[i]) {
			w.hits[n], w.hits[at] = w.hits[at], w.hits[n]
			n++
		}
	}
	if n > 0 {
		w.hits = w.hits[:n]
	} else {
		slices.Sort(w.hits)
	}
}

// carries reports whether p contains this subscription identifier.
func carries(p packet.Properties, id uint32) bool {
	for q := range p.All() {
		if q.ID == packet.SubscriptionIdentifier && q.Uint == id {
			return true
		}
	}
	return false
}
