package transport

import (
	"net"
	"os"
	"sync"
	"time"
)

// WithDeadlines returns conn if it supports deadlines, and otherwise a wrapper
// that implements them: on SSH channels, and on the pipes of a command on
// Windows, setting a deadline fails.
//
// Data that arrives after a Read has timed out is returned by the next Read. A
// Write that times out closes the connection: nothing else stops it, and it is
// unknown how much was written.
func WithDeadlines(conn net.Conn) net.Conn {
	if conn.SetReadDeadline(time.Time{}) == nil && conn.SetWriteDeadline(time.Time{}) == nil {
		return conn
	}
	t := &timed{Conn: conn, closed: make(chan struct{}), result: make(chan readResult, 1)}
	t.read.passed, t.write.passed = make(chan struct{}), make(chan struct{})
	if half, ok := conn.(halfCloser); ok {
		return &timedHalf{t, half}
	}
	return t
}

type halfCloser interface{ CloseWrite() error }

// timed wraps a connection that does not support deadlines.
type timed struct {
	net.Conn
	read, write deadline
	once        sync.Once
	closed      chan struct{}

	rmu    sync.Mutex // serializes Reads; protects the fields below
	buf    []byte
	rest   []byte // part of buf that was read and not returned yet
	err    error  // returned after rest
	busy   bool   // a read is in progress, or its result waits in result
	result chan readResult
}

type readResult struct {
	n   int
	err error
}

// timedHalf is a timed connection that can be half-closed.
type timedHalf struct {
	*timed
	half halfCloser
}

func (t *timedHalf) CloseWrite() error { return t.half.CloseWrite() }

// NetConn returns the underlying connection.
func (t *timed) NetConn() net.Conn { return t.Conn }

func (t *timed) Read(p []byte) (int, error) {
	t.rmu.Lock()
	defer t.rmu.Unlock()
	passed := t.read.wait()
	select {
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	if len(t.rest) == 0 && t.err == nil && len(p) > 0 {
		if !t.busy {
			t.busy = true
			if t.buf == nil {
				t.buf = make([]byte, 16<<10)
			}
			go func() {
				n, err := t.Conn.Read(t.buf)
				t.result <- readResult{n, err}
			}()
		}
		select {
		case r := <-t.result:
			t.busy, t.rest, t.err = false, t.buf[:r.n], r.err
		case <-passed:
			return 0, os.ErrDeadlineExceeded
		case <-t.closed:
			return 0, net.ErrClosed
		}
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	if len(t.rest) > 0 || n > 0 {
		return n, nil
	}
	return 0, t.err
}

func (t *timed) Write(p []byte) (int, error) {
	passed := t.write.wait()
	select {
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	done, over := make(chan struct{}), make(chan struct{})
	late := false
	go func() {
		defer close(over)
		select {
		case <-passed:
			late = true
			_ = t.Close()
		case <-done:
		}
	}()
	n, err := t.Conn.Write(p)
	close(done)
	<-over
	if err != nil && late {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Close interrupts a Read and a Write in progress.
func (t *timed) Close() error {
	t.once.Do(func() {
		close(t.closed)
		t.read.set(time.Time{}) // stops their timers
		t.write.set(time.Time{})
	})
	return t.Conn.Close()
}

func (t *timed) SetDeadline(at time.Time) error {
	t.read.set(at)
	t.write.set(at)
	return nil
}

func (t *timed) SetReadDeadline(at time.Time) error { t.read.set(at); return nil }

func (t *timed) SetWriteDeadline(at time.Time) error { t.write.set(at); return nil }

// deadline closes a channel when its time has passed. The channel stays the
// same until it is closed, so that a call in progress sees later changes of the
// time.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{}
	gone   bool // passed is closed
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.gone {
		d.passed, d.gone = make(chan struct{}), false
	}
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	if left <= 0 {
		d.passLocked()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer { // otherwise it was set again in the meantime
			d.passLocked()
		}
	})
	d.timer = timer
}

// passLocked closes the channel. d.mu must be held.
func (d *deadline) passLocked() { d.gone = true; close(d.passed) }
