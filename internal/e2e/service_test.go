package e2e

import (
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/notify/notifytest"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// manager is a service manager whose errors fail the test.
type manager struct {
	*notifytest.Manager
	t *testing.T
}

func newManager(t *testing.T) *manager {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no datagrams on Unix sockets")
	}
	m, err := notifytest.Listen(filepath.Join(tempDir(t), "n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return &manager{m, t}
}

// env is the environment of a service with these words.
func (m *manager) env(words []string, pairs ...string) cli.Env {
	vars := map[string]string{"NOTIFY_SOCKET": m.Path}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return cli.Env{Args: words, Lookup: option.MapEnv(vars)}
}

// next is the next message.
func (m *manager) next() string {
	m.t.Helper()
	text, err := m.Next(patience)
	if err != nil {
		m.t.Fatalf("no message: %v", err)
	}
	return text
}

// expect takes messages that begin so, one for each word.
func (m *manager) expect(words ...string) {
	m.t.Helper()
	for _, want := range words {
		if got := m.next(); !strings.HasPrefix(got, want) {
			m.t.Fatalf("the service manager got %q, want %q", got, want)
		}
	}
}

// mark puts a message of the test's behind those that were sent.
func (m *manager) mark(text string) {
	m.t.Helper()
	if err := m.Mark(text); err != nil {
		m.t.Error(err)
	}
}

// until collects the messages before a mark.
func (m *manager) until(mark string) (all []string) {
	m.t.Helper()
	for text := m.next(); text != mark; text = m.next() {
		all = append(all, text)
	}
	return all
}

// stuck is a stream that takes nothing until it is freed. It reports when a write
// begins.
type stuck struct {
	begun func()
	free  chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.begun()
	<-s.free
	return len(b), nil
}

// The signs of life are those of the loop that writes messages: they go on while
// none come, and stop when one cannot be written.
func TestTheWatchdogSeesAnOutputThatHangs(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	m := newManager(t)
	out := &stuck{begun: sync.OnceFunc(func() { m.mark("WRITE") }), free: make(chan struct{})}
	env := m.env(append(slices.Clone(h.addr), "-t", "t"), "WATCHDOG_USEC", "10000")
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), out, io.Discard
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(t.Context(), env, tool("mqsub")) }()
	m.expect("STATUS=connected", "READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1")
	h.pub(t, "", "-t", "t", "-m", "x")
	m.until("WRITE")

	// Time is that of another one, which is well.
	other := newManager(t)
	r := startIn(t, other.env(append(slices.Clone(h.addr), "-t", "u"), "WATCHDOG_USEC", "10000"), "mqsub")
	other.expect("STATUS=connected", "READY=1")
	for range 20 {
		other.expect("WATCHDOG=1")
	}
	r.cancel(nil)
	m.mark("LATER")
	if got := m.until("LATER"); len(got) > 0 {
		t.Errorf("while the output hangs the service manager got %q", got)
	}
	close(out.free)
	m.expect("WATCHDOG=1")
	_ = m.Close()
	h.broker.Close(t.Context())
}

// A publisher whose broker takes nothing more is well, and repeats nothing when
// the broker goes on.
func TestAPublisherThatWaitsForItsBrokerIsAlive(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	proceed := make(chan struct{})
	var got buffer
	addr := peer(t, func(p *rawPeer, _ []byte) {
		p.say(0x20, 6, 0, 0, 3, 0x21, 0, 1) // CONNACK, Receive Maximum 1
		for {
			first, body, ok := p.next()
			if !ok {
				return
			}
			switch first {
			case 0x32: // PUBLISH at QoS 1 to "t": topic, identifier, no properties
				_, _ = got.Write(append(body[6:], '\n'))
				m.mark("PUBLISH")
				<-proceed
				p.say(0x40, 2, body[3], body[4])
			case 0xc0:
				p.say(0xd0, 0)
			}
		}
	})
	lines, w := io.Pipe()
	env := m.env(append(addr, "-V", "5", "-l", "-q", "1", "-t", "t"), "WATCHDOG_USEC", "10000")
	env.Stdin = lines
	r := startIn(t, env, "mqpub")
	m.expect("STATUS=connected", "READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1") // while no line comes
	go func() {
		_, _ = io.WriteString(w, "one\ntwo\nthree\n")
		_ = w.Close()
	}()
	m.until("PUBLISH")
	m.expect("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1") // while two has to wait
	close(proceed)
	m.until("STOPPING=1")
	if end := r.wait(); end.code != 0 || got.String() != "one\ntwo\nthree\n" {
		t.Errorf("code %d, stderr %q; the broker got %q", end.code, end.err, got.String())
	}
}
