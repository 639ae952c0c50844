// Package broker is an MQTT server for development and tests: MQTT 3.1, 3.1.1
// and 5.0, in memory, over any [net.Listener].
//
// [New] makes one, [Broker.Serve] runs it on a listener, [Broker.Close] ends
// it. Nothing unbounded: packets, connections, retained messages and the
// messages that wait for a subscriber all have limits, see [Options].
//
// A publisher that is faster than its subscribers is slowed down: the broker
// stops reading from it while a connected subscriber's queue is full, so that
// a pipeline loses nothing; what has been read by then goes into the queue, as
// far as the limit of bytes allows. A subscriber that makes no progress for
// Options.StallTimeout is disconnected with reason 0x97, quota exceeded; its
// session, if it has one, stays.
package broker

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Broker is one MQTT server. Its methods may be called from any goroutine.
type Broker struct {
	opts  Options
	start time.Time

	// mu guards everything about subscriptions, retained messages and the
	// set of sessions. Publishing a message that is not retained takes it
	// for reading. Lock order: mu, then client.mu; of two clients never both.
	// Functions of Broker that are called with it end in Locked, as do those that are
	// called with connMu, which say so.
	mu          sync.RWMutex
	subs        topic.Trie[subscriber, subscription]
	shares      map[string]*share // by whole filter, $share/group/filter
	sharesBy    map[uint64]*share // by number
	lastShare   uint32
	orphans     []orphan
	subCount    int // subscriptions of all sessions
	subOwn      int // what they take outside of subs and shares; bytes
	sys         system
	rules       atomic.Uint64 // how often Recheck has changed who may come in; written with mu
	retained    topic.NameMap[*message]
	retainedOwn int           // what they take outside of retained; bytes
	swept       time.Duration // when expired retained messages were removed last
	sessions    map[string]*client
	away        absentees

	// waitMu guards client.waitsFor and client.waiting.
	waitMu sync.Mutex

	connMu    sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	lastConn  uint64 // number
	closing   bool
	running   sync.WaitGroup // connections

	unaccepted list.List // connections that have not been accepted yet, the oldest first; guarded by connMu
	logins     turns
	failed     ledger // logins

	origins map[transport.OriginError]struct{} // refused and told; guarded by connMu

	pace     ledger // of connections
	comers   comers
	dueLater func(uint64, packet.Version, []byte, bool) bool // due
	queued   atomic.Int64                                    // bytes of the messages that wait in queues

	done  chan struct{} // closed by Close
	stats counters
}

type counters struct {
	received, sent, dropped atomic.Uint64
	connected               atomic.Int64
}

// Stats are counts since the start.
type Stats struct {
	Connections int    // open now, those that have not sent CONNECT included
	Clients     int    // connected
	Sessions    int    // known now, connected or not
	Retained    int    // retained messages
	Queued      int    // bytes of the messages that wait for clients
	Received    uint64 // PUBLISH packets accepted from clients
	Sent        uint64 // messages handed to clients' connections
	Dropped     uint64 // messages given up: queue full, expired, too large for the client
}

// ErrClosed is the result of Serve after Close.
var ErrClosed = errors.New("broker is closed")

// New makes a broker that listens nowhere yet.
func New(o Options) *Broker {
	o.Fill()
	b := &Broker{
		opts: o, start: time.Now(), done: make(chan struct{}),
		shares: make(map[string]*share), sharesBy: make(map[uint64]*share), sessions: make(map[string]*client),
		listeners: make(map[net.Listener]struct{}), conns: make(map[*conn]struct{}),
	}
	b.logins.free = o.Logins
	b.dueLater = b.due
	b.subs.MaxLevels, b.retained.MaxLevels = o.MaxTopicLevels, o.MaxTopicLevels
	return b
}

// now is the time since the start, the clock of the protocol engine.
func (b *Broker) now() time.Duration { return time.Since(b.start) }

// Serve accepts connections from ln until Close or until ln fails for good,
// and closes ln.
func (b *Broker) Serve(ln net.Listener) error {
	defer ln.Close()
	b.connMu.Lock()
	if b.closing {
		b.connMu.Unlock()
		return ErrClosed
	}
	b.listeners[ln] = struct{}{}
	b.connMu.Unlock()
	wait := time.Duration(0)
	for {
		nc, err := ln.Accept()
		if err != nil {
			select {
			case <-b.done:
				return ErrClosed
			default:
			}
			if te := net.Error(nil); !errors.As(err, &te) || errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of file descriptors, for one: others may end meanwhile.
			b.log(Event{Kind: EventAcceptFailed, Err: err})
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(wait):
			case <-b.done:
				return ErrClosed
			}
			continue
		}
		wait = 0
		b.ServeConn(nc)
	}
}

// ServeConn serves one connection in the background.
func (b *Broker) ServeConn(nc net.Conn) {
	nc = transport.WithDeadlines(nc)
	c := newConn(b, nc)
	b.connMu.Lock()
	open := len(b.conns)
	if b.closing || open >= 2*b.opts.MaxConnections {
		closing := b.closing
		b.connMu.Unlock()
		_ = nc.Close()
		if !closing {
			b.log(Event{Kind: EventRejected, Remote: remoteName(nc), Err: errCrowd})
		}
		return
	}
	c.entry.surplus = open >= b.opts.MaxConnections
	b.lastConn++
	c.number = b.lastConn
	b.conns[c] = struct{}{}
	oldest := b.earlyLocked(c)
	b.running.Add(1)
	b.connMu.Unlock()
	if oldest != nil {
		_ = oldest.nc.Close()
		b.log(Event{Kind: EventRejected, Remote: remoteName(oldest.nc), Err: errEarly})
	}
	go c.run()
}

// originsTold bounds the origins of web pages whose refusal is told.
const originsTold = 100

// firstOf reports whether an origin is refused for the first time.
func (b *Broker) firstOf(origin transport.OriginError) bool {
	b.connMu.Lock()
	defer b.connMu.Unlock()
	if _, told := b.origins[origin]; told || len(b.origins) >= originsTold {
		return false
	}
	if b.origins == nil {
		b.origins = map[transport.OriginError]struct{}{}
	}
	b.origins[origin] = struct{}{}
	return true
}

func (b *Broker) forget(c *conn) {
	b.connMu.Lock()
	delete(b.conns, c)
	b.acceptedLocked(c)
	b.connMu.Unlock()
	b.running.Done()
}

// Close stops listening, tells every MQTT 5.0 client that the server shuts
// down, lets what is already queued for writing go out, and ends. When ctx
// ends first, the remaining connections are cut and the context's error is
// returned.
//
// Wills are not published, whether their delay has begun or not: it is not the
// clients that are lost, and all who could hear of it are told of the shutdown
// themselves. MQTT lets a server that shuts down defer wills to its next start
// (section 3.1.2.5), and a broker in memory has none.
func (b *Broker) Close(ctx context.Context) error {
	b.connMu.Lock()
	if !b.closing {
		b.closing = true
		close(b.done)
	}
	for ln := range b.listeners {
		_ = ln.Close()
	}
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
		b.acceptedLocked(c) // who waits for a login waits no longer
	}
	b.connMu.Unlock()
	for _, c := range conns {
		if cl := c.client.Load(); cl != nil {
			cl.mu.Lock()
			cl.will = nil
			c.kickLocked(packet.ServerShuttingDown)
			cl.mu.Unlock()
		} else {
			_ = c.nc.Close()
		}
	}
	ended := make(chan struct{})
	go func() { b.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		for _, c := range conns {
			_ = c.nc.Close()
		}
		<-ended
	}
	b.mu.Lock()
	b.sys.stop()
	for _, cl := range b.sessions {
		cl.mu.Lock()
		cl.stopTimerLocked()
		cl.mu.Unlock()
	}
	b.mu.Unlock()
	return ctx.Err()
}

// Stats returns the counts at this moment.
func (b *Broker) Stats() Stats {
	b.connMu.Lock()
	open := len(b.conns)
	b.connMu.Unlock()
	b.mu.RLock()
	defer b.mu.RUnlock()
	return Stats{Connections: open, Clients: int(b.stats.connected.Load()), Sessions: len(b.sessions), Retained: b.retained.Len(), Queued: int(b.queued.Load()),
		Received: b.stats.received.Load(), Sent: b.stats.sent.Load(), Dropped: b.stats.dropped.Load()}
}

func (b *Broker) log(e Event) {
	if b.opts.Log != nil {
		b.opts.Log(e)
	}
}
