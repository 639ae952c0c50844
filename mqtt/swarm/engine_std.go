package swarm

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// std serves each client with a goroutine that dials and reads, and with another one
// while there is something to write. The loop's own goroutine only handles timers.
type std struct {
	loop  *Loop
	sleep sleeper
	next  int // index in Options.Sources
}

// link is a connection of std.
type link struct {
	conn    net.Conn           // nil until it is open
	cancel  context.CancelFunc // of dialing
	resume  chan struct{}      // makes the reader check wantsInput again
	write   func()             // the goroutine that writes
	out     []byte             // what it writes
	last    []byte             // what it writes when the connection is over for the loop
	writing bool               // it runs
	broken  bool               // nothing can be written any more
}

func newStd(_ context.Context, o *Options) (func(l *Loop) (driver, error), error) {
	return func(l *Loop) (driver, error) {
		e := &std{loop: l, next: l.number, sleep: newPrecise()}
		if o.Dial != nil {
			e.sleep = newTimer()
		}
		return e, e.sleep.open()
	}, nil
}

func (e *std) wake() { e.sleep.wake() }

func (e *std) run() {
	e.sleep.lockThread()
	defer e.sleep.close()
	l := e.loop
	for {
		l.enter()
		l.asleep = 0
		if l.closed {
			l.mu.Unlock()
			return
		}
		l.timers()
		l.finish()
		until := l.wanted()
		l.asleep = until
		l.mu.Unlock()
		if until > 0 {
			e.sleep.sleep(until, l.swarm.opts.now)
		}
	}
}

func (e *std) unsent(c *Client) int { return len(c.link.out) }

func (e *std) waited(*Client) {} // the dialer has its own timeout

func (e *std) start(c *Client) {
	o := &e.loop.swarm.opts
	ctx, cancel := context.WithCancel(context.Background())
	k := &link{cancel: cancel, resume: make(chan struct{}, 1)}
	k.write = func() { e.writer(c, k) }
	c.link = k
	begun, target, dial := c.timing.Begun, c.Target(), o.Dial
	var took Timing
	if dial == nil {
		d := *o.Dialer
		d.Timeout = o.ConnectTimeout
		if len(o.Sources) > 0 {
			d.LocalAddr = o.Sources[e.next%len(o.Sources)].String()
			e.next++
		}
		d.Opened = func() { took.TCP = o.now() - begun }
		d.Secured = func() { took.TLS = o.now() - begun - took.TCP }
		dial = d.Dial
	}
	e.loop.swarm.wg.Go(func() {
		defer cancel()
		conn, err := dial(ctx, target)
		e.dialed(c, k, conn, err, &took)
	})
}

// dialed continues when a connection has been opened, or could not be.
func (e *std) dialed(c *Client, k *link, conn net.Conn, err error, took *Timing) {
	l := e.loop
	l.enter()
	if c.link != k {
		l.leave()
		if conn != nil {
			_ = conn.Close()
		}
		return
	}
	if err != nil {
		l.lose(c, err)
		l.leave()
		return
	}
	k.conn, k.cancel = conn, nil
	// The time after the last part counts as that part's: the loop was busy.
	t := &c.timing
	t.TCP, t.TLS = took.TCP, took.TLS
	rest := l.now - t.Begun - t.TCP - t.TLS
	switch target := c.Target(); {
	case target.WebSocket:
		t.Upgrade = rest
	case t.TLS > 0:
		t.TLS += rest
	default:
		t.TCP += rest
	}
	l.opened(c)
	l.swarm.wg.Go(func() { e.reader(c, k) }) // on a stack that has not grown by dialing
	l.leave()
}

// The sizes of input buffers: every reader has a small one, and takes a large one for
// as long as it is filled.
const (
	smallInput = 512
	largeInput = 64 << 10
)

var largeInputs = sync.Pool{New: func() any { return new([largeInput]byte) }}

func (e *std) reader(c *Client, k *link) {
	l := e.loop
	small := make([]byte, smallInput)
	var large *[largeInput]byte
	defer func() {
		if large != nil {
			largeInputs.Put(large)
		}
	}()
	for {
		in := small
		if large != nil {
			in = large[:]
		}
		n, err := k.conn.Read(in)
		l.enter()
		if c.link != k {
			l.leave()
			return
		}
		if n > 0 {
			l.input(c, in[:n])
			if c.touched {
				l.settle(c)
			}
		}
		if err != nil && c.link == k {
			if errors.Is(err, io.EOF) {
				err = io.EOF
			}
			l.hungUp(c, err)
		}
		for c.link == k && c.state != closing && !c.wantsInput() {
			l.leave()
			<-k.resume
			l.enter()
		}
		over := c.link != k
		l.leave()
		switch {
		case over:
			return
		case n == len(in) && large == nil:
			large = largeInputs.Get().(*[largeInput]byte)
		case n < smallInput && large != nil:
			largeInputs.Put(large)
			large = nil
		}
	}
}

func (e *std) interest(c *Client) {
	if c.link != nil {
		c.link.kick()
	}
}

func (k *link) kick() {
	select {
	case k.resume <- struct{}{}:
	default:
	}
}

func (e *std) flush(c *Client) {
	k := c.link
	if k == nil || k.conn == nil || k.writing || c.conn.Pending() == 0 {
		return
	}
	if k.broken {
		c.conn.Wrote(c.conn.Pending(), e.loop.now)
		return
	}
	k.writing = true
	e.take(c, k)
	e.loop.swarm.wg.Add(1)
	go k.write()
}

// take passes what waits to the writer.
func (e *std) take(c *Client, k *link) {
	k.out = c.conn.Swap(nil, e.loop.now)
	c.holds = false
}

func (e *std) writer(c *Client, k *link) {
	l := e.loop
	defer l.swarm.wg.Done()
	for {
		n, err := k.conn.Write(k.out)
		l.enter()
		l.stats.Writes++
		l.stats.BytesSent += int64(n)
		l.recycle(k.out)
		k.out = nil
		over := c.link != k
		switch {
		case over: // shut has left the rest to this goroutine
			last := k.last
			l.leave()
			if err == nil && len(last) > 0 {
				_, _ = k.conn.Write(last)
			}
			_ = k.conn.Close()
			return
		case err != nil:
			// What the server sent before, perhaps its DISCONNECT, is still to be read,
			// and then the error.
			k.writing, k.broken, over = false, true, true
			e.flush(c)
			l.release(c)
		case c.conn.Pending() > 0:
			e.take(c, k)
		default:
			k.writing, over = false, true
			l.release(c)
		}
		k.kick()
		l.leave()
		if over {
			return
		}
	}
}

func (e *std) shut(c *Client) {
	k := c.link
	c.link = nil
	if k == nil {
		return
	}
	k.kick()
	if k.conn == nil {
		k.cancel()
		return
	}
	if c.abrupt {
		transport.Abort(k.conn)
	}
	// Closing TLS and WebSocket writes.
	_ = k.conn.SetWriteDeadline(time.Now().Add(goodbye))
	if k.writing {
		k.last, c.holds = c.conn.Swap(nil, e.loop.now), false
		return
	}
	e.loop.swarm.wg.Go(func() { _ = k.conn.Close() })
}
