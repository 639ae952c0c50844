// Package memtest implements an in-memory network for tests.
package memtest

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Network is a network with one address: a listener, and a way to dial it. Its
// connections buffer 64 KiB in each direction, can be half-closed and reset
// like TCP, and block only in ways that a testing/synctest bubble supports.
type Network struct {
	backlog chan *conn
	done    chan struct{}
	once    sync.Once
}

// New returns a new network.
func New() *Network {
	return &Network{backlog: make(chan *conn, 16), done: make(chan struct{})}
}

// Accept waits for the next connection.
func (n *Network) Accept() (net.Conn, error) {
	select {
	case nc := <-n.backlog:
		return nc, nil
	case <-n.done:
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: addr{}, Err: net.ErrClosed}
	}
}

// Close ends Accept and Dial. Accepted connections continue; others are reset.
func (n *Network) Close() error {
	n.once.Do(func() {
		close(n.done)
		for {
			select {
			case nc := <-n.backlog:
				nc.reset()
			default:
				return
			}
		}
	})
	return nil
}

// Addr returns the address "memory".
func (n *Network) Addr() net.Addr { return addr{} }

// Dial connects. Without a listener it is refused.
func (n *Network) Dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-n.done:
		return nil, refused()
	default:
	}
	a, b := pipe()
	select {
	case n.backlog <- b:
		select {
		case <-n.done: // Close may have checked too early
			a.reset()
			return nil, refused()
		default:
			return a, nil
		}
	case <-n.done:
		return nil, refused()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func refused() error {
	return &net.OpError{Op: "dial", Net: "memory", Addr: addr{}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }

// bufferSize is how many bytes may be in transit in one direction.
const bufferSize = 64 << 10

// way is one direction of a connection.
type way struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	ended   bool  // the writer has closed
	left    bool  // the reader has closed
	err     error // the connection was reset

	readBy, writeBy time.Time
	readTimer       *time.Timer
	writeTimer      *time.Timer
}

func newWay() *way {
	w := &way{}
	w.changed.L = &w.mu
	return w
}

// pipe returns the two ends of a connection.
func pipe() (a, b *conn) {
	x, y := newWay(), newWay()
	return &conn{in: x, out: y}, &conn{in: y, out: x}
}

type conn struct {
	in, out *way
	mu      sync.Mutex
	hard    bool // SetLinger(0)
	closed  bool
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "memory", Addr: addr{}, Err: err}
}

// Read waits for bytes, the peer's end of the stream, or the deadline.
func (c *conn) Read(p []byte) (int, error) {
	w := c.in
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.left:
			return 0, c.opError("read", net.ErrClosed)
		case past(w.readBy):
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		case w.err != nil:
			return 0, c.opError("read", w.err)
		case len(p) == 0:
			return 0, nil
		case len(w.buf) > 0:
			n := copy(p, w.buf)
			w.buf = w.buf[:copy(w.buf, w.buf[n:])]
			w.changed.Broadcast()
			return n, nil
		case w.ended:
			return 0, io.EOF
		}
		w.changed.Wait()
	}
}

// Write waits for room.
func (c *conn) Write(p []byte) (n int, err error) {
	w := c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.ended:
			return n, c.opError("write", net.ErrClosed)
		case past(w.writeBy):
			return n, c.opError("write", os.ErrDeadlineExceeded)
		case w.err != nil:
			return n, c.opError("write", w.err)
		case w.left:
			return n, c.opError("write", os.NewSyscallError("write", syscall.EPIPE))
		case len(p) == 0:
			return n, nil
		}
		if k := min(len(p), bufferSize-len(w.buf)); k > 0 {
			w.buf = append(w.buf, p[:k]...)
			n, p = n+k, p[k:]
			w.changed.Broadcast()
			continue
		}
		w.changed.Wait()
	}
}

// CloseWrite ends the stream to the peer.
func (c *conn) CloseWrite() error {
	w := c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return c.opError("close", net.ErrClosed)
	}
	w.ended = true
	w.changed.Broadcast()
	return nil
}

// SetLinger with 0 makes Close reset the connection.
func (c *conn) SetLinger(sec int) error {
	c.mu.Lock()
	c.hard = sec == 0
	c.mu.Unlock()
	return nil
}

// Close closes both directions. The peer can still read what was written,
// unless SetLinger says otherwise.
func (c *conn) Close() error {
	c.mu.Lock()
	hard, again := c.hard, c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return c.opError("close", net.ErrClosed)
	}
	for _, w := range [...]*way{c.in, c.out} {
		w.mu.Lock()
		if w == c.in {
			w.left = true
			w.buf = nil
		} else {
			w.ended = true
		}
		if hard {
			w.buf, w.err = nil, os.NewSyscallError("read", syscall.ECONNRESET)
		}
		w.changed.Broadcast()
		w.mu.Unlock()
	}
	_ = c.SetDeadline(time.Time{}) // stops their timers
	return nil
}

// reset closes the connection so that the peer sees a reset.
func (c *conn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (c *conn) LocalAddr() net.Addr  { return addr{} }
func (c *conn) RemoteAddr() net.Addr { return addr{} }

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// wakeAt makes blocked calls check the time again at t.
func (w *way) wakeAt(old *time.Timer, t time.Time) *time.Timer {
	if old != nil {
		old.Stop()
	}
	w.changed.Broadcast()
	if t.IsZero() {
		return nil
	}
	return time.AfterFunc(max(time.Until(t), 0), func() {
		w.mu.Lock()
		w.changed.Broadcast()
		w.mu.Unlock()
	})
}

func (c *conn) SetReadDeadline(t time.Time) error {
	w := c.in
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readBy = t
	w.readTimer = w.wakeAt(w.readTimer, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	w := c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeBy = t
	w.writeTimer = w.wakeAt(w.writeTimer, t)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
