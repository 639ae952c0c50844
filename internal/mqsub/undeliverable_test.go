package mqsub

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// talk is an output that signals when it contains a text.
type talk struct {
	mu   sync.Mutex
	b    bytes.Buffer
	wait string
	seen chan struct{}
}

func (w *talk) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if w.seen != nil && strings.Contains(w.b.String(), w.wait) {
		close(w.seen)
		w.seen = nil
	}
	return len(p), nil
}

func (w *talk) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// mqsub runs the tool against a server.
func mqsub(ctx context.Context, addr string, stderr *talk, args ...string) (code int) {
	host, port, _ := net.SplitHostPort(addr)
	return cli.Run(ctx, cli.Env{Args: append([]string{"-h", host, "-p", port, "--reconnect-delay", "10ms"}, args...),
		Stdin: strings.NewReader(""), Stdout: &talk{}, Stderr: stderr}, Tool())
}

// A subscription at which the server closes the connection is reported as refused like any
// other.
func TestASubscriptionThatEndsConnectionsIsDenied(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-E"}, {"-C", "1"}, {"-W", "30"}, {"-V", "311"}, {"--retained-only"}, {"-t", "b"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := brokertest.StartClosing(t, func(f packet.Frame, _ packet.Version) bool { return f.Type == packet.SUBSCRIBE })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			stderr := &talk{}
			code := mqsub(ctx, s.Addr, stderr, append([]string{"-t", "secret/#"}, args...)...)
			want := `subscription to "secret/#" ends every connection it is sent on: it may not be allowed`
			if len(args) > 0 && args[0] == "-t" {
				want = `one of the subscriptions to "secret/#", "b" ends every connection`
			}
			if n := strings.Count(stderr.String(), "connections end at the same packet"); n != 1 {
				t.Errorf("a suspicion was printed %d times, want once:\n%s", n, stderr)
			}
			if code != 5 || !strings.Contains(stderr.String(), want) {
				t.Errorf("code %d, want 5 and %q:\n%s", code, want, stderr)
			}
		})
	}
}

// denyingLater accepts the first SUBSCRIBE, and ends each connection at every later one
// until that is turned off; it ends the first connection right away.
type denyingLater struct {
	mu     sync.Mutex
	n      int
	change bool
}

func (d *denyingLater) deny(f packet.Frame, _ packet.Version) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Type == packet.SUBSCRIBE {
		d.n++
		return d.n > 1 && !d.change
	}
	return f.Type == packet.PINGREQ && d.n == 1 // of the keep alive: lose the connection
}

// A bounded run ends when its subscription cannot be renewed.
func TestARenewalThatEndsConnectionsEndsABoundedRun(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-C", "1"}, {"-W", "50"}, {"--idle-timeout", "50"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			s := brokertest.StartClosing(t, (&denyingLater{}).deny)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			stderr := &talk{}
			code := mqsub(ctx, s.Addr, stderr, append([]string{"-t", "a", "-k", "1"}, args...)...)
			if code != 5 || !strings.Contains(stderr.String(), `subscription to "a" ends every connection`) {
				t.Errorf("code %d, want 5:\n%s", code, stderr)
			}
		})
	}
}

// An unbounded run continues, and reports it once.
func TestARenewalThatEndsConnectionsIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := &denyingLater{}
	s := brokertest.StartClosing(t, d.deny)
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan struct{})
	stderr := &talk{wait: "still trying", seen: seen}
	defer cancel()
	code := make(chan int, 1)
	go func() { code <- mqsub(ctx, s.Addr, stderr, "-t", "a", "-k", "1") }()
	select {
	case <-seen:
	case c := <-code:
		t.Fatalf("it has ended with %d:\n%s", c, stderr)
	}
	n := s.Conns()
	for s.Conns() < n+20 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-code
	if n := strings.Count(stderr.String(), `subscription to "a" ends every connection it is sent on: it may not be allowed; still trying`); n != 1 {
		t.Errorf("printed %d times, want once:\n%s", n, stderr)
	}
}
