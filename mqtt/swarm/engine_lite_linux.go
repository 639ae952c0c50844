package swarm

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mqtools/mqtools/mqtt/transport"
)

const liteHere = true

// lite serves the sockets of a loop with level-triggered epoll. It makes one read of up
// to 64 KiB for each event, and no event is lost when a client's turn ends early.
type lite struct {
	loop    *Loop
	poll    precise
	in      []byte
	targets []addresses
	ports   ports
}

// addresses are those of a target.
type addresses struct {
	list  []netip.AddrPort
	local bool // the second is for when the first does not answer, as with localhost
	known bool // if local: one of them has answered
	good  int  // if local: which one to try first
}

// newLite looks up the targets and returns a function that creates the loops' drivers.
func newLite(ctx context.Context, o *Options) (func(l *Loop) (driver, error), error) {
	targets := make([]addresses, len(o.Targets))
	for i, t := range o.Targets {
		list, err := o.Dialer.Addresses(ctx, t)
		if err != nil {
			return nil, err
		}
		targets[i] = addresses{list: list, local: t.Host == "localhost"}
	}
	if o.FirstPort > o.LastPort {
		return nil, fmt.Errorf("swarm: ports from %d to %d", o.FirstPort, o.LastPort)
	}
	return func(l *Loop) (driver, error) {
		e := &lite{loop: l, in: make([]byte, 64<<10), targets: append([]addresses(nil), targets...)}
		e.ports.init(o, l.number)
		return e, e.poll.open()
	}, nil
}

func (e *lite) wake() { e.poll.wake() }

func (e *lite) unsent(*Client) int { return 0 }

func (e *lite) run() {
	e.poll.lockThread()
	defer e.poll.close()
	l := e.loop
	var events []unix.EpollEvent
	for {
		l.enter()
		l.asleep = 0
		if l.closed {
			l.mu.Unlock()
			return
		}
		for i := range events {
			e.handle(&events[i])
			if l.now >= l.due {
				l.timers()
			}
		}
		l.timers()
		l.finish()
		until := l.wanted()
		l.asleep = until
		l.mu.Unlock()
		events = e.poll.wait(until, l.swarm.opts.now)
	}
}

// handle handles an epoll event.
func (e *lite) handle(ev *unix.EpollEvent) {
	l := e.loop
	slot, generation := uint32(ev.Fd), uint32(ev.Pad)
	if slot >= l.count {
		return // the eventfd
	}
	c := l.at(slot)
	if c.fd < 0 || c.generation != generation {
		return // from a connection that ended in this batch
	}
	if c.state == connecting {
		e.connected(c)
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		c.blocked = false
		l.settle(c)
		e.interest(c)
	}
	if c.fd >= 0 && ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e.read(c)
	}
}

func (e *lite) read(c *Client) {
	l := e.loop
	n, errno := rw(unix.SYS_READ, c.fd, e.in)
	l.now = l.swarm.opts.now()
	switch {
	case n > 0:
		l.input(c, e.in[:n])
		if c.touched {
			l.settle(c)
		}
		if c.fd >= 0 && !c.wantsInput() {
			e.interest(c)
		}
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		l.hungUp(c, errno)
	default:
		l.hungUp(c, io.EOF)
	}
}

func (e *lite) flush(c *Client) {
	l := e.loop
	out := c.conn.Output()
	if c.blocked || c.fd < 0 || len(out) == 0 {
		return
	}
	n, errno := rw(unix.SYS_WRITE, c.fd, out)
	if n > 0 {
		l.stats.Writes++
		l.stats.BytesSent += int64(n)
		c.conn.Wrote(n, l.now)
	}
	if n == len(out) {
		return
	}
	c.blocked = true
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		// The socket is broken. What the server sent before, perhaps its DISCONNECT, is
		// still to be read, and then the error.
		c.conn.Wrote(len(out), l.now)
		return
	}
	e.interest(c)
}

// interest sets what epoll waits for now.
func (e *lite) interest(c *Client) {
	if c.fd < 0 {
		return
	}
	var want uint32
	switch {
	case c.state == connecting:
		want = unix.EPOLLOUT
	case c.state == closing || c.wantsInput():
		want = unix.EPOLLIN
	}
	if c.blocked && c.conn.Pending() > 0 {
		want |= unix.EPOLLOUT
	}
	if want == c.events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if c.events == 0 && c.state == connecting {
		op = unix.EPOLL_CTL_ADD
	}
	c.events = want
	ev := unix.EpollEvent{Events: want, Fd: int32(c.slot), Pad: int32(c.generation)}
	if err := unix.EpollCtl(e.poll.fd, op, int(c.fd), &ev); err != nil {
		e.loop.lose(c, c.explain(transport.OpConnect, os.NewSyscallError("epoll_ctl", err)))
	}
}

func (e *lite) shut(c *Client) {
	if c.fd < 0 {
		return
	}
	if c.abrupt {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(int(c.fd)) // which removes it from epoll
	c.fd, c.events = -1, 0
}

// start opens a socket and begins to connect.
func (e *lite) start(c *Client) {
	l := e.loop
	if t := &e.targets[c.spec.Target]; t.local {
		if c.try == 0 {
			c.first = uint8(t.good)
		}
		if !t.known {
			l.wheel.arm(l, c, min(c.deadline, l.now+transport.FallbackDelay))
		}
	}
	for {
		a := e.address(c)
		fd, done, err := e.ports.connect(a)
		if err == nil {
			c.fd = int32(fd)
			c.generation++
			c.events = 0
			e.interest(c)
			if done && c.fd >= 0 {
				e.connected(c)
			}
			return
		}
		if !e.another(c) {
			l.lose(c, c.explain(transport.OpConnect, err))
			return
		}
	}
}

// waited tries the other address of localhost if the first is silent. An address that
// has answered before gets all the time there is: the server may be busy.
func (e *lite) waited(c *Client) {
	t := &e.targets[c.spec.Target]
	if !t.local || t.known && int(c.first) == t.good || !e.another(c) {
		return
	}
	e.shut(c)
	e.start(c)
}

// address returns the address to try now.
func (e *lite) address(c *Client) netip.AddrPort {
	t := &e.targets[c.spec.Target]
	first := int(c.index)
	if t.local {
		first = int(c.first)
	}
	return t.list[(first+int(c.try))%len(t.list)]
}

// another advances to the next address of the target, if there is one.
func (e *lite) another(c *Client) bool {
	if int(c.try)+1 >= min(len(e.targets[c.spec.Target].list), 255) {
		return false
	}
	c.try++
	return true
}

// connected continues when a socket's attempt to connect has ended.
func (e *lite) connected(c *Client) {
	l := e.loop
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = os.NewSyscallError("connect", syscall.Errno(code))
	}
	if err != nil {
		e.shut(c)
		if e.another(c) {
			e.start(c)
			return
		}
		l.lose(c, c.explain(transport.OpConnect, err))
		return
	}
	if t := &e.targets[c.spec.Target]; t.local {
		t.known, t.good = true, (int(c.first)+int(c.try))%len(t.list)
	}
	l.now = l.swarm.opts.now()
	c.timing.TCP = l.now - c.timing.Begun
	l.opened(c)
	e.interest(c)
}

// rw reads or writes without notifying the scheduler, since neither blocks.
func rw(call uintptr, fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// kernelTimespec is struct __kernel_timespec, which system calls since Linux 5.1 take.
// unix.Timespec is smaller where a C long has 32 bits.
type kernelTimespec struct{ sec, nsec int64 }

// poller is a set of descriptors to wait for, with one to wake it.
type poller struct {
	fd, event int
	events    []unix.EpollEvent
	timeout   kernelTimespec
	coarse    bool // the system has no epoll_pwait2
}

func (p *poller) open() (err error) {
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(p.fd)
		return os.NewSyscallError("eventfd", err)
	}
	p.events = make([]unix.EpollEvent, 256)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}
	if err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, p.event, &ev); err != nil {
		p.close()
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

func (p *poller) close() {
	_ = unix.Close(p.event)
	_ = unix.Close(p.fd)
}

func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.event, one[:]) // fails only if the poller is awake anyway
}

// wait returns what has happened to the descriptors, at until at the latest.
func (p *poller) wait(until time.Duration, now func() time.Duration) []unix.EpollEvent {
	for {
		left := time.Duration(0)
		if until > 0 {
			left = max(0, until-now())
		}
		n, errno := p.waitFor(left, until == Never)
		switch {
		case errno == unix.ENOSYS && !p.coarse:
			p.coarse = true
			continue
		case errno != 0: // EINTR: the scheduler's signals come often
			continue
		}
		for i := range p.events[:n] {
			if p.events[i].Fd == -1 {
				var count [8]byte
				_, _ = unix.Read(p.event, count[:])
			}
		}
		return p.events[:n]
	}
}

// waitFor is epoll_pwait2, or epoll_pwait where that is missing (before Linux 5.11),
// whose timeout is in milliseconds.
func (p *poller) waitFor(left time.Duration, forever bool) (int, syscall.Errno) {
	call, fifth := uintptr(unix.SYS_EPOLL_PWAIT2), uintptr(0)
	p.timeout = kernelTimespec{int64(left / time.Second), int64(left % time.Second)}
	if !forever {
		fifth = uintptr(unsafe.Pointer(&p.timeout)) // p is on the heap and does not move
	}
	if p.coarse {
		call, fifth = unix.SYS_EPOLL_PWAIT, uintptr((min(left, time.Hour)+time.Millisecond-1)/time.Millisecond)
		if forever {
			fifth = ^uintptr(0)
		}
	}
	events := uintptr(unsafe.Pointer(&p.events[0]))
	if left == 0 && !forever {
		n, _, errno := unix.RawSyscall6(call, uintptr(p.fd), events, uintptr(len(p.events)), fifth, 0, 0)
		return int(n), errno
	}
	n, _, errno := unix.Syscall6(call, uintptr(p.fd), events, uintptr(len(p.events)), fifth, 0, 0)
	return int(n), errno
}

// noSlack makes the timers of this thread expire on time, not up to 50 us later.
func noSlack() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }
