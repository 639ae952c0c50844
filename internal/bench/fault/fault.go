// Package fault is a TCP proxy that breaks the connections it carries: it delays,
// stalls, splits and cuts them in the middle of packets and refuses new ones. What it
// delivers of a connection is always a prefix of what was sent, as TCP guarantees.
package fault

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// Proxy carries connections to a server. Its methods are safe for concurrent use.
type Proxy struct {
	ln   net.Listener
	dial func(context.Context) (net.Conn, error)

	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup

	mu      sync.Mutex
	rand    *rand.Rand
	links   map[*link]struct{}
	delay   time.Duration
	jitter  time.Duration
	split   bool
	refuse  bool
	stalled chan struct{} // closed when the stall ends; nil: no stall
	muted   chan struct{} // the same, of what the server sends
}

// New returns a proxy that accepts connections from ln, which it closes, and opens them
// with dial. The seed determines which connections are cut, into what pieces bytes are
// split, and how delays vary.
func New(ln net.Listener, dial func(context.Context) (net.Conn, error), seed uint64) *Proxy {
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{ln: ln, dial: dial, ctx: ctx, stop: stop, links: map[*link]struct{}{}, rand: rand.New(rand.NewPCG(seed, 0))}
	p.wait.Go(p.accept)
	return p
}

// Addr returns the address that the proxy listens on.
func (p *Proxy) Addr() net.Addr { return p.ln.Addr() }

// Close cuts all connections and stops the proxy.
func (p *Proxy) Close() {
	p.stop()
	_ = p.ln.Close()
	p.Cut(-1)
	p.wait.Wait()
}

// Delay holds data that arrives from now on back for d, varied by up to jitter, in each
// direction. The order is kept.
func (p *Proxy) Delay(d, jitter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.jitter = d, jitter
}

// Split makes the proxy pass on a few bytes at a time.
func (p *Proxy) Split(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.split = on
}

// Refuse makes the proxy reset new connections instead of carrying them.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Stall stops or resumes the traffic in both directions.
func (p *Proxy) Stall(on bool) { p.hold(&p.stalled, on) }

// Mute stops or resumes the traffic from the server to the client: the server goes on
// receiving, and the client hears nothing.
func (p *Proxy) Mute(on bool) { p.hold(&p.muted, on) }

func (p *Proxy) hold(until *chan struct{}, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && *until == nil:
		*until = make(chan struct{})
	case !on && *until != nil:
		close(*until)
		*until = nil
	}
}

// Cut resets n connections, chosen at random, or all of them if n < 0, and returns how
// many it has reset. What the proxy holds of them is lost.
func (p *Proxy) Cut(n int) int { return p.end(n, (*link).reset) }

// HangUp is Cut, but closes the connections instead of resetting them.
func (p *Proxy) HangUp(n int) int {
	return p.end(n, func(l *link) {
		l.end()
		_, _ = l.client.Close(), l.server.Close()
	})
}

func (p *Proxy) end(n int, how func(*link)) int {
	p.mu.Lock()
	var chosen []*link
	for l := range p.links {
		chosen = append(chosen, l)
	}
	p.rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	if n >= 0 {
		chosen = chosen[:min(n, len(chosen))]
	}
	for _, l := range chosen {
		delete(p.links, l)
	}
	p.mu.Unlock()
	for _, l := range chosen {
		how(l)
	}
	return len(chosen)
}

// Open returns the number of connections that the proxy carries now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) accept() {
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.carry(nc) })
	}
}

// link is a connection through the proxy.
type link struct {
	client, server net.Conn
	cut            context.Context
	end            context.CancelFunc
}

// reset resets both sides.
func (l *link) reset() {
	l.end() // before the pumps see the closing
	for _, nc := range [...]net.Conn{l.client, l.server} {
		transport.Abort(nc)
	}
}

func (p *Proxy) carry(client net.Conn) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	l := &link{client: client, server: nowhere{}}
	l.cut, l.end = context.WithCancel(p.ctx)
	if refuse {
		l.reset()
		return
	}
	server, err := p.dial(l.cut)
	if err != nil {
		l.reset()
		return
	}
	l.server = server
	p.mu.Lock()
	if p.refuse || p.ctx.Err() != nil {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, server, client) })
	both.Go(func() { p.pump(l, client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	l.end()
	_, _ = client.Close(), server.Close()
}

// nowhere is a connection that was not made.
type nowhere struct{ net.Conn }

func (nowhere) Close() error { return nil }

// parcel is what one read returned, and when it is due.
type parcel struct {
	data []byte
	due  time.Time
}

// pump carries one direction. The data in flight is bounded.
func (p *Proxy) pump(l *link, to, from net.Conn) {
	queue := make(chan parcel, 64)
	p.wait.Go(func() {
		defer close(queue)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				p.mu.Lock()
				wait := p.delay
				if p.jitter > 0 {
					wait += time.Duration(p.rand.Int64N(2*int64(p.jitter)+1)) - p.jitter
				}
				p.mu.Unlock()
				select {
				case queue <- parcel{buf[:n], time.Now().Add(wait)}:
				case <-l.cut.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for parcel := range queue {
		if wait := time.Until(parcel.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-l.cut.Done():
				return
			}
		}
		for len(parcel.data) > 0 {
			p.mu.Lock()
			held, n := p.stalled, len(parcel.data)
			if held == nil && to == l.client {
				held = p.muted
			}
			if p.split {
				n = 1 + p.rand.IntN(min(n, 7))
			}
			p.mu.Unlock()
			if held != nil {
				select {
				case <-held:
					continue
				case <-l.cut.Done():
					return
				}
			}
			if _, err := to.Write(parcel.data[:n]); err != nil {
				l.reset()
				return
			}
			parcel.data = parcel.data[n:]
		}
	}
	if l.cut.Err() != nil {
		return
	}
	// from is at its end: end to after the data that was carried.
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	} else {
		_ = to.Close()
	}
}
