package broker

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// What a connection needs only while bytes move comes from pools, so that an idle
// connection costs little.

// work is what the handling of packets needs.
type work struct {
	ev      session.Event
	route   route
	touched []*client // clients with output that need a writer
}

var works = sync.Pool{New: func() any { return new(work) }}

// Read buffers come from two pools. A connection that fills one from the first pool
// gets one from the second. Many connections with little input thus do not take much
// memory, and few with much input not many system calls.
const (
	smallRead = 4 << 10
	largeRead = 64 << 10
)

var (
	smallReads = sync.Pool{New: func() any { b := make([]byte, smallRead); return &b }}
	largeReads = sync.Pool{New: func() any { b := make([]byte, largeRead); return &b }}
)

// input is a connection's socket and the bytes that have been read from it and not
// handled yet. Only the reader uses it, except for the socket.
type input struct {
	socket
	in   []byte // in[r:w] is not parsed yet
	r, w int
	need int         // how long in[r:w] must become to be a packet; 0 if that is unknown
	lent *[]byte     // in, if that comes from a pool
	much bool        // the last read filled its buffer
	busy atomic.Bool // before CONNECT, with raw: it has not found the socket empty since its last read

	try  func(fd uintptr) bool // tryFirst, after CONNECT tryRead, if there is raw
	got  int                   // its result
	fail error                 // its result
}

func (i *input) init(nc net.Conn) {
	i.socket.init(nc)
	if i.raw != nil {
		i.try = i.tryFirst
		i.busy.Store(true)
	}
}

// read reads once. Where possible, it holds no buffer while it waits.
func (i *input) read() (n int, err error) {
	if i.raw == nil {
		i.fill()
		n, err = i.nc.Read(i.in[i.w:])
	} else if err = i.raw.Read(i.try); err == nil {
		n, err = i.got, i.fail
	}
	i.w += n
	return n, err
}

// readNow is read without waiting. If nothing is there, the error is
// os.ErrDeadlineExceeded. A connection that cannot report whether it has input is given
// a moment if oneMoment is set. The read deadline is undefined afterwards.
func (i *input) readNow(oneMoment bool) (n int, err error) {
	if i.raw != nil {
		if err = i.raw.Control(func(fd uintptr) {
			if !i.tryRead(fd) {
				i.got, i.fail = 0, os.ErrDeadlineExceeded
			}
		}); err == nil {
			n, err = i.got, i.fail
		}
		i.w += n
		return n, err
	}
	// A deadline in the past still returns what the layers above the socket hold, but
	// not what the socket holds. A goroutine that is scheduled only after its moment
	// has passed tries again.
	i.fill()
	until := time.Unix(1, 0)
	for wait := time.Duration(0); ; wait = max(2*wait, moment) {
		_ = i.nc.SetReadDeadline(until)
		if n, err = i.nc.Read(i.in[i.w:]); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			i.w += n
			return n, err
		}
		has, known := has(i.nc)
		if !known {
			has = oneMoment && (wait == 0 || time.Since(until) > wait)
		}
		if !has || wait > maxMoment {
			return 0, err
		}
		until = time.Now().Add(max(2*wait, moment))
	}
}

// How long a socket may take to deliver what it has.
const (
	moment    = 10 * time.Millisecond
	maxMoment = time.Second
)

// has reports whether the socket below a connection has anything to read, which may be
// the end or an error. known is false if the socket cannot be asked.
func has(nc net.Conn) (has, known bool) {
	nc = transport.UnderlyingConn(nc)
	if nc.LocalAddr().Network() == "pipe" {
		return false, true // net.Pipe has no buffer: what was written was read
	}
	below, ok := nc.(syscall.Conn)
	if !ok || !canTry {
		return false, false
	}
	raw, err := below.SyscallConn()
	if err != nil || raw.Control(func(fd uintptr) { has = hasNow(fd) }) != nil {
		return true, true // reading will reveal it
	}
	return has, true
}

// tryRead reads what is there, and reports whether there was anything.
func (i *input) tryRead(fd uintptr) bool {
	i.fill()
	var again bool
	if i.got, again, i.fail = readNow(fd, i.in[i.w:]); again {
		i.park()
	} else {
		i.much = i.w+i.got == len(i.in)
	}
	return !again
}

// tryFirst is tryRead that also sets busy.
func (i *input) tryFirst(fd uintptr) bool {
	i.busy.Store(true)
	some := i.tryRead(fd)
	i.busy.Store(some)
	return some
}

// unread reports whether the socket, or the reader, has input that has not been
// handled, as far as is known. It may be called from any goroutine before CONNECT.
func (i *input) unread() bool {
	has, known := has(i.nc)
	return i.busy.Load() || has && known
}

// fill makes room to read into.
func (i *input) fill() {
	if i.r == i.w {
		i.r, i.w = 0, 0
	}
	if i.raw != nil && i.need <= largeRead {
		large := i.much || i.need > smallRead
		if i.lent == nil || large && len(i.in) < largeRead {
			pool := &smallReads
			if large {
				pool = &largeReads
			}
			lent := pool.Get().(*[]byte)
			i.move(*lent)
			i.lent = lent
		}
	}
	if len(i.in)-i.r < i.need || i.w == len(i.in) {
		size := max(i.need, 512)
		if i.r == 0 && i.w == len(i.in) && i.w > 0 {
			size = max(size, min(4*len(i.in), 64<<10))
		}
		if size > len(i.in) {
			// A buffer grows with the bytes received, not with the bytes announced.
			size = min(size, max(4*(i.w-i.r), 64<<10))
			i.move(make([]byte, size))
		}
	}
	if i.r > 0 && (i.w == len(i.in) || len(i.in)-i.r < i.need) {
		i.w = copy(i.in, i.in[i.r:i.w])
		i.r = 0
	}
	if i.w == 0 && len(i.in) > 64<<10 {
		i.in = make([]byte, 64<<10)
	}
}

// park returns the read buffer to its pool. What is left in it, part of a packet, moves
// to a buffer of its size.
func (i *input) park() {
	if i.lent != nil || i.r == i.w && i.raw != nil {
		i.move(bytes.Clone(i.in[i.r:i.w]))
	}
}

// move changes the buffer.
func (i *input) move(to []byte) {
	i.w = copy(to, i.in[i.r:i.w])
	i.in, i.r = to, 0
	switch {
	case i.lent == nil:
	case len(*i.lent) == largeRead:
		largeReads.Put(i.lent)
	default:
		smallReads.Put(i.lent)
	}
	i.lent = nil
}
