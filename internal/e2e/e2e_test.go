// Package e2e tests the tools as a shell user meets them: words in, streams
// and an exit code out, against the development broker.
package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
	"github.com/mqtools/mqtools/internal/mqpub"
	"github.com/mqtools/mqtools/internal/mqsub"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// patience is how long a tool may take before its test fails.
const patience = 2 * time.Minute

// result is what a tool left behind.
type result struct {
	out, err string
	code     int
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Len()
}

func tool(name string) cli.Tool {
	switch name {
	case "mqpub":
		return mqpub.Tool()
	case "mqsub":
		return mqsub.Tool()
	}
	return mqbench.Tool()
}

// running is a tool at work.
type running struct {
	t        *testing.T
	out, err buffer
	cancel   context.CancelCauseFunc
	done     chan struct{}
	code     int
}

// start runs a tool in the background.
func start(t *testing.T, stdin io.Reader, name string, args ...string) *running {
	t.Helper()
	return startIn(t, cli.Env{Args: args, Stdin: stdin}, name)
}

// startIn is start with an environment, whose output is recorded.
func startIn(t *testing.T, env cli.Env, name string) *running {
	t.Helper()
	r := &running{t: t, done: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	if env.Stdin == nil {
		env.Stdin = strings.NewReader("")
	}
	env.Stdout, env.Stderr = &r.out, &r.err
	go func() {
		defer close(r.done)
		r.code = cli.Run(ctx, env, tool(name))
	}()
	t.Cleanup(func() { cancel(nil); r.wait() })
	return r
}

func (r *running) wait() result {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.cancel(nil)
		r.t.Fatalf("does not end; stdout %q, stderr %q", r.out.String(), r.err.String())
	}
	return result{r.out.String(), r.err.String(), r.code}
}

// run runs a tool to its end.
func run(t *testing.T, stdin, name string, args ...string) result {
	t.Helper()
	return start(t, strings.NewReader(stdin), name, args...).wait()
}

// ok is run for what must succeed without a word on stderr.
func ok(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	r := run(t, stdin, name, args...)
	if r.code != 0 || r.err != "" {
		t.Fatalf("%s %q: code %d, stderr %q", name, args, r.code, r.err)
	}
	return r.out
}

// at makes the options that lead to a broker.
func at(addr string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return []string{"-h", host, "-p", port}
}

// hub is a broker with a signal for every subscription.
type hub struct {
	addr       []string
	broker     *broker.Broker
	subscribed chan string
}

func newHub(t *testing.T, o broker.Options) *hub {
	t.Helper()
	h := &hub{subscribed: make(chan string, 100)}
	o.Log = func(e broker.Event) {
		if e.Kind == broker.EventSubscribed {
			select {
			case h.subscribed <- e.Topic:
			default:
			}
		}
	}
	b, addr := brokertest.StartWith(t, o)
	h.broker, h.addr = b, at(addr)
	return h
}

// sub starts mqsub and waits until it has subscribed.
func (h *hub) sub(t *testing.T, args ...string) *running {
	t.Helper()
	return h.subs(t, 1, args...)
}

// subs is sub with n filters.
func (h *hub) subs(t *testing.T, n int, args ...string) *running {
	t.Helper()
	r := start(t, nil, "mqsub", append(args, h.addr...)...)
	for range n {
		select {
		case <-h.subscribed:
		case <-r.done:
			t.Fatalf("mqsub %q ended early: code %d, stderr %q", args, r.code, r.err.String())
		case <-time.After(patience):
			t.Fatal("no subscription")
		}
	}
	return r
}

func (h *hub) pub(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if out := ok(t, stdin, "mqpub", append(args, h.addr...)...); out != "" {
		t.Errorf("mqpub writes %q to stdout", out)
	}
}

func TestManyLinesArriveInOrderAtEveryQoS(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 20000 {
		lines.WriteString(strings.Repeat("x", i%97))
		lines.WriteByte(byte('0' + i%10))
		lines.WriteByte('\n')
	}
	lines.WriteString(strings.Repeat("long", 300_000)) // above every buffer
	lines.WriteByte('\n')
	want := lines.String()
	for _, qos := range []string{"0", "1", "2"} {
		t.Run("q"+qos, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, broker.Options{})
			s := h.sub(t, "-t", "t", "-q", qos, "-C", "20001")
			h.pub(t, want, "-t", "t", "-q", qos, "-l")
			if r := s.wait(); r.code != 0 || r.out != want {
				t.Errorf("code %d, stderr %q, %d bytes where %d are due", r.code, r.err, len(r.out), len(want))
			}
		})
	}
}
