package swarm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestWithoutEpollPwait2TheTimeOutIsInMilliseconds(t *testing.T) {
	var p poller
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.coarse = true
	start := time.Now()
	now := func() time.Duration { return time.Since(start) }
	if ev := p.wait(1500*time.Microsecond, now); len(ev) != 0 || now() < 1500*time.Microsecond {
		t.Errorf("after %v: %v", now(), ev)
	}
	if ev := p.wait(0, now); len(ev) != 0 {
		t.Errorf("%v", ev)
	}
	p.wake()
	if ev := p.wait(Never, now); len(ev) != 1 {
		t.Errorf("%v", ev)
	}
	if ev := p.wait(0, now); len(ev) != 0 {
		t.Errorf("awake forever: %v", ev)
	}
}

// TestAWaitEndsByItself even where a C long has 32 bits.
func TestAWaitEndsByItself(t *testing.T) {
	var p poller
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	defer time.AfterFunc(10*time.Second, p.wake).Stop()
	start := time.Now()
	now := func() time.Duration { return time.Since(start) }
	if ev := p.wait(1500*time.Microsecond, now); len(ev) != 0 || now() < 1500*time.Microsecond {
		t.Errorf("after %v: %v", now(), ev)
	}
}

// TestOwnPortsAreUsedOnceEach: loops share a range without colliding, skip ports that
// others use, and when all are used the system chooses.
func TestOwnPortsAreUsedOnceEach(t *testing.T) {
	// A range outside of the system's own, with the first port taken.
	taken, err := net.Listen("tcp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, h := newPeer(t), newProbe()
	o := Options{Engine: Lite, Loops: 2, Sources: []netip.Addr{netip.MustParseAddr("127.0.0.9")}}
	o.FirstPort = netip.MustParseAddrPort(taken.Addr().String()).Port()
	o.FirstPort = min(o.FirstPort, 65535-7)
	o.LastPort = o.FirstPort + 7
	s := start(t, o, h, p.target())
	const n = 8
	crowd(s, n, specOf(packet.V311))
	var conns []net.Conn
	seen := map[string]bool{}
	outside := 0
	for range n {
		p.conn = nil
		p.accept()
		conns = append(conns, p.conn)
		from := netip.MustParseAddrPort(p.conn.RemoteAddr().String())
		if from.Addr() != o.Sources[0] || seen[from.String()] {
			t.Errorf("a connection from %v", from)
		}
		if from.Port() < o.FirstPort || from.Port() > o.LastPort {
			outside++
		}
		seen[from.String()] = true
	}
	for _, c := range conns {
		defer c.Close()
	}
	if outside == 0 || outside > n/2 {
		t.Errorf("%d connections of %d have a port outside of %d to %d, of which one is taken", outside, n, o.FirstPort, o.LastPort)
	}
}

func TestOwnPortsNeedNoSource(t *testing.T) {
	for range 5 { // another process may take the port
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(free.Addr().String()).Port()
		free.Close()
		p, h := newPeer(t), newProbe()
		connectOne(start(t, Options{Engine: Lite, FirstPort: port, LastPort: port}, h, p.target()), specOf(packet.V311))
		p.accept()
		if netip.MustParseAddrPort(p.conn.RemoteAddr().String()).Port() == port {
			return
		}
	}
	t.Error("no connection came from the port that was asked for")
}

func TestWithoutPortsOrFilesItSaysSo(t *testing.T) {
	p := newPeer(t)
	for _, w := range []struct {
		name    string
		sources []netip.Addr
		prepare func() (undo func())
		kind    string
		hint    string
	}{
		{"a foreign source address", []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil, "no port", "more source addresses"},
		{"a source of the other family", []netip.Addr{netip.MustParseAddr("::1")}, nil, "no port", "more source addresses"},
		{"no descriptors", nil, noFiles, "too many files", "ulimit -n"},
	} {
		t.Run(w.name, func(t *testing.T) {
			h := &hinted{probe: newProbe()}
			s := start(t, Options{Engine: Lite, Sources: w.sources}, h, p.target())
			if w.prepare != nil {
				defer w.prepare()()
			}
			connectOne(s, specOf(packet.V311))
			h.want(t, "0 failed: "+w.kind)
			if !strings.Contains(h.hint, w.hint) {
				t.Errorf("hint %q", h.hint)
			}
		})
	}
}

// hinted is a probe that keeps the hint of a failure.
type hinted struct {
	*probe
	hint string
}

func (h *hinted) Failed(c *Client, err error) {
	var e *transport.Error
	if errors.As(err, &e) {
		h.hint = e.Hint
	}
	h.probe.Failed(c, err)
}

// noFiles lowers the limit of descriptors to what is in use.
func noFiles() func() {
	var old unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &old)
	low := old
	low.Cur = 3
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &low)
	return func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) }
}

// silence returns a port on which 127.0.0.1 answers and ::1 does not: its accept queue
// is full, and the system ignores further connections.
func silence(t *testing.T) *peer {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	p := newPeer(t)
	port := p.ln.Addr().(*net.TCPAddr).Port
	if err := unix.Bind(fd, &unix.SockaddrInet6{Port: port, Addr: netip.IPv6Loopback().As16()}); err != nil {
		t.Skip(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	only, err := net.Dial("tcp", fmt.Sprintf("[::1]:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { only.Close() })
	return p
}

func TestLocalhostThatIsSilentIsTriedOnBothAddresses(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		const n = 3
		p := silence(t)
		target := p.target()
		target.Host = "localhost"
		h := newProbe()
		crowd(start(t, o, h, target), n, specOf(packet.V311))
		got := map[string]bool{}
		for range n {
			p.conn = nil
			p.accept()
			defer p.conn.Close()
			p.greet()
			got[<-h.notes] = true
		}
		if len(got) != n || !got["2 connected present=false"] {
			t.Errorf("%v", got)
		}
	})
}

// An address that has answered before gets all the time there is: the server may be
// busy.
func TestLocalhostThatHasAnsweredIsWaitedFor(t *testing.T) {
	p, h := newPeer(t), newProbe()
	target := p.target()
	target.Host = "localhost"
	s := start(t, Options{Engine: Lite}, h, target)
	connectOne(s, specOf(packet.V311))
	p.accept()
	p.greet()
	h.want(t, "0 connected present=false")
	s.Loop(0).Do(func() {
		e := s.Loop(0).driver.(*lite)
		known := netip.MustParseAddr("127.0.0.1")
		c := s.Loop(0).Add(1)
		c.spec, c.first = specOf(packet.V311), uint8(e.targets[0].good)
		if e.waited(c); c.try != 0 || e.address(c).Addr() != known {
			t.Errorf("it goes on to %v", e.address(c))
		}
	})
}

// A loop that waits occupies a processor of the scheduler for a while, so there is one
// more for each loop, as long as the loop exists.
func TestLoopsLeaveTheOthersTheirProcessors(t *testing.T) { // not parallel: it looks at the process
	for _, e := range []Engine{Lite, Std} {
		before := runtime.GOMAXPROCS(0)
		s, err := New(t.Context(), Options{Loops: 3, Engine: e, Targets: []*transport.Target{{Network: "tcp", Host: "127.0.0.1", Port: 1}},
			Handler: func(*Loop) Handler { return nil }}) // nothing is to be handled
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for runtime.GOMAXPROCS(0) != before+3 {
			if time.Now().After(deadline) {
				t.Fatalf("%v: %d processors with three loops, %d without", e, runtime.GOMAXPROCS(0), before)
			}
			runtime.Gosched()
		}
		s.Close()
		if got := runtime.GOMAXPROCS(0); got != before {
			t.Errorf("%v: %d processors after three loops, %d before", e, got, before)
		}
	}
}
