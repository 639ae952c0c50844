package bench

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// serve starts a broker on a port of its own.
func serve(t testing.TB, o broker.Options) *transport.Target {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := broker.New(o)
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Serve(ln) }()
	t.Cleanup(func() { _ = b.Close(t.Context()); <-done })
	return &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port}
}

// play runs a scenario against a broker.
func play(t testing.TB, yaml string, engine swarm.Engine, target *transport.Target) *result.Result {
	t.Helper()
	p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Shard(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{Shard: s, Swarm: swarm.Options{Loops: 2, Engine: engine, Targets: []*transport.Target{target}, Dialer: &transport.Dialer{Timeout: 5 * time.Second}},
		Run: result.Run{Plan: result.Plan{Name: "test"}, Shards: 1}, Tell: func(n result.Note) { t.Log(n.At, n.Kind, n.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSmoke(t *testing.T) {
	r := play(t, smoke, swarm.Auto, serve(t, broker.Options{}))
	sum := r.Sum()
	for k, v := range sum.Counters {
		t.Log(k, v)
	}
	for k, h := range sum.Histograms {
		t.Log(k.Op, k.Kind, k.Group, h.Count(), h.Mean(), h.Max())
	}
}

const smoke = `
name: smoke
phases: {connect: {rate: 1000/s}, warm-up: 500ms, measure: 2s, drain: 5s}
groups:
  subs:
    clients: 10
    subscribe: {filter: t/%i, qos: 1}
  pubs:
    clients: 10
    publish: {topic: t/%i, qos: 1, payload: 64, rate: 5000/s}
`

// A closed loop at QoS 0 goes on when its buffer has been written.
func TestClosedLoopGoesOn(t *testing.T) {
	t.Parallel()
	const limit = 20_000 // messages of 100 bytes are more than a buffer holds
	for _, engine := range []swarm.Engine{swarm.Lite, swarm.Std} {
		if engine == swarm.Lite && runtime.GOOS != "linux" {
			continue
		}
		r := play(t, closedLoop, engine, serve(t, broker.Options{}))
		if n := counter(r, result.Sent); n != limit {
			t.Errorf("%v: %d of %d messages were sent", engine, n, limit)
		}
		if n := counter(r, result.Distinct); n != limit {
			t.Errorf("%v: %d of %d messages came", engine, n, limit)
		}
	}
}

const closedLoop = `
name: closed
phases: {connect: {rate: 1000/s}, settle: 0s, warm-up: 0s, measure: 0s, drain: 10s}
groups:
  sub: {clients: 1, subscribe: t}
  pub:
    clients: 1
    publish: {topic: t, payload: 100, pace: unlimited, messages: 20000}
`

// counter is the sum of a counter over the whole run.
func counter(r *result.Result, c result.Counter) (n int64) {
	for k, v := range r.Sum().Counters {
		if k.Name == c.String() {
			n += v
		}
	}
	return n
}
