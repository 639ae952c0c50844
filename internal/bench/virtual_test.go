package bench

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/fault"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/script"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// What is measured is known to the microsecond where the network is in memory and
// the time is the bubble's: nothing else takes any.

// within is a swarm whose clients connect by dial.
func within(dial func(context.Context) (net.Conn, error)) swarm.Options {
	return swarm.Options{
		Targets: []*transport.Target{{Network: "tcp", Host: "memory"}},
		Dial:    func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return dial(ctx) },
	}
}

// near claims that a time is what it should be, as exactly as the tool promises.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if off := (got - want).Abs(); off > max(want/50, 100*time.Microsecond) {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// A tenth of the messages are due while the broker stands still, and wait half of
// that time on the average; a window of one sends one of them then.
func TestAStallIsMeasuredAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := script.NewMemory()
		b := badbroker.Serve(t, network, badbroker.Flaws{Stall: time.Second, Every: 10 * time.Second})
		defer b.Close()
		o := attemptBy(t.Context(), t, `
phases: {settle: 0s, warm-up: 0s, measure: 100s, drain: 5s}
groups:
  pubs:
    clients: 1
    publish: {topic: t, qos: 1, payload: 64, rate: 100/s, window: 1}
`, within(network.Dial)).whole()
		response, service := o.Latency(result.Puback, result.Response), o.Latency(result.Puback, result.Service)
		if response.Count() != 10_000 || service.Count() != 10_000 {
			t.Fatalf("%d and %d values, of 10,000 messages: %v", response.Count(), service.Count(), o.counted("pubs"))
		}
		near(t, "response p99.9", response.PercentileOfFew(99.9), 990*time.Millisecond)
		near(t, "response p95", response.PercentileOfFew(95), 500*time.Millisecond)
		near(t, "response p89", response.PercentileOfFew(89), 0)
		near(t, "service p99.8", service.PercentileOfFew(99.8), 0)
		near(t, "service max", service.Max(), time.Second)
		if o.Has(report.ClosedLoop) || o.Has(report.GeneratorLimited) {
			t.Errorf("verdicts: %v", o.Verdicts)
		}
	})
}

// delays are a broker's: a fiftieth of the messages, about a quarter, and the rest.
func delays(n int) time.Duration {
	switch {
	case n%50 == 0:
		return 400 * time.Millisecond
	case n%4 == 0:
		return 150 * time.Millisecond
	}
	return 50 * time.Millisecond
}

const delayed = `
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 5s}
groups:
  subs: {clients: 20, subscribe: t/%i}
  pubs: {clients: 20, publish: {topic: t/%i, payload: 64, rate: 200/s}}
`

func TestDelaysAreMeasuredAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := script.NewMemory()
		b := badbroker.Serve(t, network, badbroker.Flaws{Delay: delays})
		defer b.Close()
		o := attemptBy(t.Context(), t, delayed, within(network.Dial)).whole()
		o.clean()
		c, h := b.Counts(), o.Latency(result.Delivery, result.Response)
		if len(c.Delays) != 400 || h.Count() != 400 {
			t.Fatalf("%d delays and %d values, of 400 messages", len(c.Delays), h.Count())
		}
		for _, p := range []float64{5, 50, 70, 80, 95, 99} {
			near(t, "delivery", h.PercentileOfFew(p), c.Percentile(p))
		}
	})
}

func TestAProxysDelayIsAddedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, front := script.NewMemory(), script.NewMemory()
		b := badbroker.Serve(t, server, badbroker.Flaws{Delay: func(int) time.Duration { return 30 * time.Millisecond }})
		defer b.Close()
		proxy := fault.New(front, server.Dial, 1)
		defer proxy.Close()
		for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
			proxy.Delay(delay, 0)
			o := attemptBy(t.Context(), t, delayed, within(front.Dial)).whole()
			o.clean()
			h := o.Latency(result.Delivery, result.Response)
			for _, p := range []float64{1, 50, 99, 100} {
				near(t, "delivery", h.PercentileOfFew(p), 30*time.Millisecond+2*delay)
			}
		}
	})
}

// Whoever reads the intervals may be slow: what is due in the measurement is of the
// measurement even if the one before it has not ended by then.
func TestASlowStatusTakesNothingFromTheMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := script.NewMemory()
		b := badbroker.Serve(t, network, badbroker.Flaws{})
		defer b.Close()
		p, err := plan.Parse("test.yaml", []byte(`
phases: {settle: 0s, warm-up: 1200ms, measure: 2s, drain: 5s}
groups:
  pubs: {clients: 1, publish: {topic: t, qos: 1, payload: 64, rate: 100/s}}
`), plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		shard, err := p.Shard(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), Options{Shard: shard, Swarm: within(network.Dial), Status: func(Status) { time.Sleep(500 * time.Millisecond) }})
		if err != nil {
			t.Fatal(err)
		}
		for kind, n := range map[result.Kind]int64{result.Response: 200, result.Service: 200} {
			if got := report.Summarize(r).Latency(result.Puback, kind).Count(); got != n {
				t.Errorf("kind %v: %d values, of %d messages", kind, got, n)
			}
		}
	})
}

// A closed loop sends one message per round trip and window. While it waits it takes
// no time of the machine: a loop that is always busy has the bubble's time stand still.
func TestAClosedLoopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, front := script.NewMemory(), script.NewMemory()
		b := badbroker.Serve(t, server, badbroker.Flaws{})
		defer b.Close()
		proxy := fault.New(front, server.Dial, 1)
		defer proxy.Close()
		proxy.Delay(10*time.Millisecond, 0)
		o := attemptBy(t.Context(), t, `
phases: {settle: 0s, warm-up: 0s, measure: 1990ms, drain: 5s}
groups:
  pubs: {clients: 3, publish: {topic: t, qos: 1, payload: 64, pace: unlimited, window: 5}}
`, within(front.Dial)).whole()
		if o.Total.Sent != 3*5*100 || o.Total.Acked != o.Total.Sent {
			t.Errorf("%d sent, %d acknowledged in 100 round trips of 3 times 5", o.Total.Sent, o.Total.Acked)
		}
		near(t, "puback", o.Latency(result.Puback, result.Response).PercentileOfFew(50), 20*time.Millisecond)
	})
}
