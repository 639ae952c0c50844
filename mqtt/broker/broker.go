// Package broker is an MQTT server for development and tests: MQTT 3.1, 3.1.1 and 5.0,
// in memory, over any [net.Listener].
//
// [New] returns a broker, [Broker.Serve] runs it on a listener, and [Broker.Close]
// stops it. Nothing is unbounded: packets, connections, retained messages and the
// messages that wait for a subscriber all have limits, see [Options].
//
// A publisher that is faster than its subscribers is slowed down: the broker stops
// reading from it while a connected subscriber's queue is full, so that a pipeline
// loses nothing. Messages that have been read by then enter the queue as far as its
// limit of bytes allows. A subscriber that makes no progress for Options.StallTimeout
// is disconnected with reason 0x97, quota exceeded; its session, if it has one,
// remains.
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

// Broker is an MQTT server. Its methods are safe for concurrent use.
type Broker struct {
	opts  Options
	start time.Time

	// mu guards everything about subscriptions, retained messages and the set of
	// sessions. Publishing a message that is not retained read-locks it. Lock order:
	// mu, then client.mu; never the client.mu of two clients. Methods of Broker whose
	// names end in Locked must be called with mu held, or with connMu held if they say
	// so.
	mu          sync.RWMutex
	subs        topic.Trie[subscriber, subscription]
	shares      map[string]*share // by whole filter, $share/group/filter
	sharesBy    map[uint64]*share // by number
	lastShare   uint32
	orphans     []orphan
	subCount    int // subscriptions of all sessions
	subOwn      int // their memory outside of subs and shares, in bytes
	sys         system
	rules       atomic.Uint64 // how often Recheck has changed who may connect; written with mu held
	retained    topic.NameMap[*message]
	retainedOwn int           // their memory outside of retained, in bytes
	swept       time.Duration // when expired retained messages were last removed
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

	unaccepted list.List // connections that have not been accepted yet, oldest first; guarded by connMu
	logins     turns
	failed     ledger // logins

	origins map[transport.OriginError]struct{} // refused and logged; guarded by connMu

	pace     ledger // of connections
	comers   comers
	dueLater func(uint64, packet.Version, []byte, bool) bool // due, as a func value
	queued   atomic.Int64                                    // bytes of the messages that wait in queues

	done  chan struct{} // closed by Close
	stats counters
}

type counters struct {
	received, sent, dropped atomic.Uint64
	connected               atomic.Int64
}

// Stats are counts since the broker started.
type Stats struct {
	Connections int    // open now, including those that have not sent CONNECT
	Clients     int    // connected
	Sessions    int    // known now, connected or not
	Retained    int    // retained messages
	Queued      int    // bytes of the messages that wait for clients
	Received    uint64 // PUBLISH packets accepted from clients
	Sent        uint64 // messages passed to clients' connections
	Dropped     uint64 // messages dropped: queue full, expired, too large for the client
}

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("broker is closed")

// New returns a broker that does not listen yet.
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

// now returns the time since the start, which is the clock of the protocol engine.
func (b *Broker) now() time.Duration { return time.Since(b.start) }

// Serve accepts connections from ln until Close is called or ln fails for good, and
// closes ln.
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
			// Out of file descriptors, for example: other connections may close.
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

// originsLogged bounds the origins of web pages whose refusal is logged.
const originsLogged = 100

// firstOf reports whether an origin is refused for the first time.
func (b *Broker) firstOf(origin transport.OriginError) bool {
	b.connMu.Lock()
	defer b.connMu.Unlock()
	if _, known := b.origins[origin]; known || len(b.origins) >= originsLogged {
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

// Close stops listening, notifies every MQTT 5.0 client that the server shuts down,
// writes what is already queued for writing, and closes all connections. If ctx ends
// first, the remaining connections are cut and the context's error is returned.
//
// Wills are not published, whether their delay has begun or not: the clients are not
// lost, and all who could receive a will are notified of the shutdown themselves. MQTT
// lets a server that shuts down defer wills until its next start (section 3.1.2.5),
// which a broker in memory does not have.
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
		b.acceptedLocked(c) // connections that wait for a login stop waiting
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

// Stats returns the current counts.
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
