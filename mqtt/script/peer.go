package script

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// readAhead is how many bytes are read before they are expected.
const readAhead = 4 << 20

// peer is a connection to the peer under test. One goroutine reads; the goroutine that plays does
// everything else.
type peer struct {
	name    string
	nc      net.Conn
	version packet.Version
	out     *stream
	ended   bool

	arrived chan struct{} // 1 slot
	done    chan struct{} // closed when the reader has returned

	mu      sync.Mutex
	resume  sync.Cond
	buf     []byte
	err     error // why reading stopped
	need    int   // length of the next packet
	stalled bool
	closed  bool
	frames  *deframer // nil unless the stream is a WebSocket
}

func newPeer(name string, nc net.Conn, v packet.Version, patience time.Duration) *peer {
	p := &peer{name: name, nc: nc, version: v, out: newStream(nc, patience),
		arrived: make(chan struct{}, 1), done: make(chan struct{})}
	p.resume.L = &p.mu
	go p.read()
	return p
}

func (p *peer) read() {
	defer close(p.done)
	chunk := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		for !p.closed && (p.stalled || len(p.buf) > max(readAhead, p.need)) {
			p.resume.Wait()
		}
		closed := p.closed
		p.mu.Unlock()
		if closed {
			_ = p.nc.SetReadDeadline(time.Time{}) // bytes until the end are discarded
		}
		n, err := p.nc.Read(chunk)
		p.mu.Lock()
		if errors.Is(err, os.ErrDeadlineExceeded) { // set by stall
			err = nil
		}
		if !p.closed && n > 0 {
			p.takeLocked(chunk[:n])
		}
		if err != nil && p.err == nil {
			p.err = err
		}
		p.mu.Unlock()
		select {
		case p.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// takeLocked adds bytes to the buffer. p.mu must be held.
func (p *peer) takeLocked(b []byte) {
	if p.frames == nil {
		p.buf = append(p.buf, b...)
		return
	}
	var err error
	if p.buf, err = p.frames.add(p.buf, b); err != nil && p.err == nil {
		p.err = err
	}
}

// stall stops reading for a duration.
func (p *peer) stall(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	p.stalled = true
	p.mu.Unlock()
	_ = p.nc.SetReadDeadline(time.Unix(1, 0)) // interrupts the reader
	err := sleep(ctx, d)
	_ = p.nc.SetReadDeadline(time.Time{})
	p.mu.Lock()
	p.stalled = false
	p.resume.Broadcast()
	p.mu.Unlock()
	return err
}

// close closes the connection cleanly: written bytes arrive, and bytes that the peer still sends
// are discarded.
func (p *peer) close() {
	p.drop()
	if halfClose(p.nc) == nil {
		t := time.NewTimer(closeTime)
		select {
		case <-p.done:
		case <-t.C:
		}
		t.Stop()
	}
	p.nc.Close()
	<-p.done
}

// closeTime is how long a peer may take to close its side after this side has closed.
const closeTime = 200 * time.Millisecond

// drop makes the reader discard bytes until the end of the stream.
func (p *peer) drop() {
	p.ended = true
	p.mu.Lock()
	p.closed = true
	p.resume.Broadcast()
	p.mu.Unlock()
}

func (p *peer) cut() {
	p.drop()
	reset(p.nc)
	<-p.done
}

// item is the next item of a connection.
type item struct {
	frame packet.Frame // a copy of a complete packet
	size  int          // its length in bytes
	bad   error        // the bytes in rest are not a packet
	end   error        // the stream has ended
	rest  []byte       // with bad or end: the bytes that are not a complete packet
}

// errTime is the error of a peer that sends nothing in time.
var errTime = errors.New("nothing came in time")

// next returns the next item without consuming it.
func (p *peer) next(ctx context.Context, deadline time.Time) (item, error) {
	var it item
	err := p.await(ctx, deadline, func() bool {
		f, n, err := packet.Split(p.buf, p.version, 0)
		switch {
		case err != nil:
			it = item{bad: err, rest: append([]byte(nil), p.buf...)}
		case n > 0:
			f.Body = append([]byte(nil), f.Body...)
			it = item{frame: f, size: n}
		case p.err != nil:
			it = item{end: p.err, rest: append([]byte(nil), p.buf...)}
		default:
			p.need = f.Need
			return false
		}
		return true
	})
	return it, err
}

// await waits until ready returns true. p.mu must be held. After the deadline it calls ready once
// more.
func (p *peer) await(ctx context.Context, deadline time.Time, ready func() bool) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for over := false; ; {
		p.mu.Lock()
		ok := ready()
		p.resume.Broadcast() // to read up to p.need
		p.mu.Unlock()
		switch {
		case ok:
			return nil
		case over:
			return errTime
		}
		select {
		case <-p.arrived:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// skip consumes n bytes.
func (p *peer) skip(n int) {
	p.mu.Lock()
	p.buf = p.buf[:copy(p.buf, p.buf[n:])]
	p.need = 0
	p.resume.Broadcast()
	p.mu.Unlock()
}

// raw waits until as many bytes as want has have arrived, or the bytes differ, or the stream ends.
func (p *peer) raw(ctx context.Context, deadline time.Time, want []byte) (got []byte, end error, err error) {
	err = p.await(ctx, deadline, func() bool {
		got, end = p.buf[:min(len(p.buf), len(want))], p.err
		p.need = len(want)
		return len(got) == len(want) || string(got) != string(want[:len(got)]) || end != nil
	})
	p.mu.Lock()
	got = append([]byte(nil), p.buf[:min(len(p.buf), len(want)+16)]...)
	p.mu.Unlock()
	return got, end, err
}

// describe returns an item in one line.
func (it *item) describe(v packet.Version) string {
	switch {
	case it.bad != nil:
		return "no packet: " + it.bad.Error() + ": " + shownBytes(it.rest)
	case it.end != nil && len(it.rest) > 0:
		return "the end of the stream (" + endText(it.end) + ") in a packet: " + shownBytes(it.rest)
	case it.end != nil:
		return "the end of the stream (" + endText(it.end) + ")"
	}
	return string(packet.AppendSummary(nil, it.frame, v))
}

// endText returns how a stream ended.
func endText(err error) string {
	if errors.Is(err, io.EOF) {
		return "closed"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// shownBytes returns the beginning of b in hex.
func shownBytes(b []byte) string {
	const most = 32
	if len(b) == 0 {
		return "nothing"
	}
	s := hex.EncodeToString(b[:min(len(b), most)])
	for i := len(s) - 2; i > 0; i -= 2 {
		s = s[:i] + " " + s[i:]
	}
	if len(b) > most {
		s += " ... (" + strconv.Itoa(len(b)) + " bytes)"
	}
	return s
}
