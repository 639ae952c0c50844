//go:build unix

package swarm

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// sink starts a sink process and returns its address.
func sink(b *testing.B) *transport.Target {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sinkVar+"=1")
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return targetOf(strings.TrimSpace(line))
}

// counter is a Handler that counts and keeps a closed loop going.
type counter struct {
	connected, failed, closed int
	acked, received           int
	want                      int // goals; when one of the counts reaches its goal, done is closed
	left                      int // still to be published, in response to Acked and Writable
	message                   *packet.Publish
	done                      chan struct{}
	err                       error
}

func (h *counter) reached(n int) {
	if n == h.want {
		h.want = -1
		close(h.done)
	}
}

func (h *counter) Due(time.Duration) time.Duration { return Never }

func (h *counter) Connected(*Client, *packet.Connack, *Timing) {
	h.connected++
	h.reached(h.connected + h.failed)
}

func (h *counter) Failed(_ *Client, err error) {
	h.err = err
	h.failed++
	h.reached(h.connected + h.failed)
}

func (h *counter) Closed(_ *Client, err error) {
	h.err = err
	h.closed++
	h.reached(h.closed)
}

func (h *counter) Acked(c *Client, _ uint64, _ packet.QoS, _ packet.ReasonCode) {
	h.publish(c, 1)
	h.acked++
	h.reached(h.acked)
}

func (h *counter) Writable(c *Client)                         { h.publish(c, h.left) }
func (h *counter) Subscribed(*Client, uint64, *packet.Suback) {}

func (h *counter) Message(*Client, *packet.Publish, time.Duration) {
	h.received++
	h.reached(h.received)
}

func (h *counter) publish(c *Client, n int) {
	for range min(n, h.left) {
		if err := c.Publish(h.message, 0); err != nil {
			return
		}
		if h.left--; h.left == 0 && h.message.QoS == 0 {
			h.reached(h.want)
		}
	}
}

// bench returns a swarm of one loop with n clients that are connected.
func bench(b *testing.B, e Engine, n int, target *transport.Target) (*Swarm, *counter) {
	b.Helper()
	h := &counter{want: n, done: make(chan struct{})}
	s, err := New(context.Background(), Options{Engine: e, FirstPort: 1024, LastPort: 65535, Targets: []*transport.Target{target}, Handler: func(*Loop) Handler { return h }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	crowd(s, n, specOf(packet.V311))
	<-h.done
	if h.failed > 0 {
		b.Fatal(h.err)
	}
	return s, h
}

// begin sets the next goal.
func (h *counter) begin(s *Swarm, want int, f func(l *Loop)) {
	s.Loop(0).Do(func() {
		h.acked, h.received, h.connected, h.closed, h.want, h.done = 0, 0, 0, 0, want, make(chan struct{})
		f(s.Loop(0))
	})
	<-h.done
}

func benchEngines(b *testing.B, f func(b *testing.B, e Engine)) {
	for _, e := range []Engine{Lite, Std} {
		if e == Std || liteHere {
			b.Run(e.String(), func(b *testing.B) { f(b, e) })
		}
	}
}

// measure begins a measurement. The function that it returns ends it and reports the
// processor time of this process per operation, which stays comparable on a busy
// machine.
func measure(b *testing.B) (end func()) {
	cpu := func() int64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return syscall.TimevalToNsec(u.Utime) + syscall.TimevalToNsec(u.Stime)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	}
}

func memory(b *testing.B) int {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rss)[0])
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}

// BenchmarkIdle reports the memory of the process for each of 19,000 clients that are
// connected and idle: what a client adds (B/client), and the whole process divided by
// the clients (process-B/client). Run it alone.
func BenchmarkIdle(b *testing.B) {
	const n = 19_000
	benchEngines(b, func(b *testing.B, e Engine) {
		target := sink(b)
		before := memory(b)
		_, _ = bench(b, e, n, target)
		after := memory(b)
		b.ReportMetric(float64(after-before)/n, "B/client")
		b.ReportMetric(float64(after)/n, "process-B/client")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkConnect is one connection from the socket to CONNACK and its end by RST.
func BenchmarkConnect(b *testing.B) {
	benchEngines(b, func(b *testing.B, e Engine) {
		const n = 5000
		s, h := bench(b, e, n, sink(b))
		reset := func(l *Loop) {
			for c := range l.all() {
				c.Reset()
			}
		}
		h.begin(s, n, reset)
		b.ResetTimer()
		for left := b.N; left > 0; left -= n {
			now := min(n, left)
			h.begin(s, now, func(l *Loop) {
				for i := range now {
					_ = l.at(uint32(i)).Connect(l.at(0).spec)
				}
			})
			b.StopTimer()
			h.begin(s, now, reset)
			b.StartTimer()
		}
	})
}

// BenchmarkPublish sends messages of 64 bytes from one client: at QoS 0 as fast as they
// are taken, at QoS 1 with 64 in flight.
func BenchmarkPublish(b *testing.B) {
	for qos := range packet.QoS(2) {
		b.Run(fmt.Sprintf("QoS%d", qos), func(b *testing.B) {
			benchEngines(b, func(b *testing.B, e Engine) {
				s, h := bench(b, e, 1, sink(b))
				h.message = publish(qos, "sensors/kitchen", string(make([]byte, 64)))
				defer measure(b)()
				h.begin(s, b.N, func(l *Loop) {
					h.left = b.N
					n := 64
					if qos == 0 {
						n = b.N
					}
					h.publish(l.at(0), n)
				})
			})
		})
	}
}

// BenchmarkReceive receives messages of 64 bytes at QoS 0.
func BenchmarkReceive(b *testing.B) {
	benchEngines(b, func(b *testing.B, e Engine) {
		s, h := bench(b, e, 1, sink(b))
		defer measure(b)()
		h.begin(s, b.N, func(l *Loop) {
			_ = l.at(0).Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: fmt.Appendf(nil, "src/%d/64", b.N)}}}, 0)
		})
	})
}

// BenchmarkPacing sends messages at a fixed rate from 100 clients and reports how late
// they were: 10,000 a second, one to ten at a time.
func BenchmarkPacing(b *testing.B) {
	benchEngines(b, func(b *testing.B, e Engine) {
		h := &pacer{probe: newProbe(), message: publish(0, "a", string(make([]byte, 64))), interval: 100 * time.Microsecond}
		s, err := New(context.Background(), Options{Engine: e, Targets: []*transport.Target{sink(b)}, Handler: func(*Loop) Handler { return h }})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(s.Close)
		crowd(s, 100, specOf(packet.V311))
		for range 100 {
			<-h.notes
		}
		for c := range s.Loop(0).all() {
			h.clients = append(h.clients, c)
		}
		b.ResetTimer()
		lags := pace(b, s, h, b.N)
		b.ReportMetric(float64(lags[len(lags)/2].Nanoseconds())/1000, "us-late-p50")
		b.ReportMetric(float64(lags[len(lags)*99/100].Nanoseconds())/1000, "us-late-p99")
	})
}

// BenchmarkDue is what the loop's own code adds to sending a message: Due, Publish, and
// the end of the batch, without the system calls.
func BenchmarkDue(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("%dPerFlush", batch), func(b *testing.B) {
			m := publish(0, "sensors/kitchen", string(make([]byte, 64)))
			h := &counter{}
			l := voidLoop(h, 1)
			c := l.at(0)
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				l.due = 0
				l.timers()
				for range batch {
					if err := c.Publish(m, 0); err != nil {
						b.Fatal(err)
					}
				}
				l.finish()
			}
		})
	}
}
