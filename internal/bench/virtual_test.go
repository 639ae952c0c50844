package bench

import (
	"context"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// Measurements are exact to the microsecond if the network is in memory and the time is
// that of the bubble: nothing else takes any time.

// near checks that a time is what it should be, to the precision that the tool
// promises.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if off := (got - want).Abs(); off > max(want/50, 100*time.Microsecond) {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// A tenth of the messages are due while the broker is stalled, and wait half of that
// time on average. A window of one sends one of them during the stall.
func TestAStallIsMeasuredAsItIs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := flawed(t, badbroker.Flaws{Stall: time.Second, Every: 10 * time.Second})
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 100s, drain: 5s}
groups:
  pubs:
    clients: 1
    publish: {topic: t, qos: 1, payload: 64, rate: 100/s, window: 1}
`, within(network.Dial))
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

// delays returns the delays of a broker: for a fiftieth of the messages, for about a
// quarter, and for the rest.
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
	inBubble(t, func(t *testing.T) {
		b, network := flawed(t, badbroker.Flaws{Delay: delays})
		o := play(t, delayed, within(network.Dial))
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
	inBubble(t, func(t *testing.T) {
		_, server := flawed(t, badbroker.Flaws{Delay: func(int) time.Duration { return 30 * time.Millisecond }})
		proxy, front := proxied(t, server)
		for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
			proxy.Delay(delay, 0)
			o := play(t, delayed, within(front.Dial))
			o.clean()
			h := o.Latency(result.Delivery, result.Response)
			for _, p := range []float64{1, 50, 99, 100} {
				near(t, "delivery", h.PercentileOfFew(p), 30*time.Millisecond+2*delay)
			}
		}
	})
}

// The consumer of the intervals may be slow. What is due in the measurement belongs to
// it even if the interval before it has not ended by then.
func TestASlowStatusTakesNothingFromTheMeasurement(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := flawed(t, badbroker.Flaws{})
		by := within(network.Dial)
		by.Status = func(Status) { time.Sleep(500 * time.Millisecond) }
		o := play(t, `
phases: {settle: 0s, warm-up: 1200ms, measure: 2s, drain: 5s}
groups:
  pubs: {clients: 1, publish: {topic: t, qos: 1, payload: 64, rate: 100/s}}
`, by)
		for kind, n := range map[result.Kind]int64{result.Response: 200, result.Service: 200} {
			if got := o.Latency(result.Puback, kind).Count(); got != n {
				t.Errorf("kind %v: %d values, of %d messages", kind, got, n)
			}
		}
	})
}

// A closed loop sends one message per round trip and window. While it waits it must not
// use the processor: in a loop that is always busy the bubble's time stands still.
func TestAClosedLoopWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, server := flawed(t, badbroker.Flaws{})
		proxy, front := proxied(t, server)
		proxy.Delay(10*time.Millisecond, 0)
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 1990ms, drain: 5s}
groups:
  pubs: {clients: 3, publish: {topic: t, qos: 1, payload: 64, pace: unlimited, window: 5}}
`, within(front.Dial))
		if o.Total.Sent != 3*5*100 || o.Total.Acked != o.Total.Sent {
			t.Errorf("%d sent, %d acknowledged in 100 round trips of 3 times 5", o.Total.Sent, o.Total.Acked)
		}
		o.want("pubs", map[string]int64{"offered": o.Total.Sent})
		if !o.Has(report.ClosedLoop) {
			t.Errorf("it is not called one: %v", o.Verdicts)
		}
		near(t, "puback", o.Latency(result.Puback, result.Response).PercentileOfFew(50), 20*time.Millisecond)
	})
}

// The measurement ends when the plan says, however late the drain begins because of the
// machine or of other work.
func TestALateEndAddsNothingToTheMeasurement(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, server := flawed(t, badbroker.Flaws{})
		proxy, front := proxied(t, server)
		proxy.Delay(10*time.Millisecond, 0)
		by := within(front.Dial)
		by.During = func(ctx context.Context, _ func(result.NoteKind, string)) {
			<-ctx.Done()
			time.Sleep(2500 * time.Millisecond)
		}
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 1990ms, drain: 5s}
groups:
  open: {clients: 1, publish: {topic: t, qos: 1, payload: 64, rate: 100/s}}
  closed: {clients: 1, publish: {topic: t, qos: 1, payload: 64, pace: unlimited, window: 1}}
`, by)
		o.want("open", map[string]int64{"sent": 199, "acked": 199})
		o.want("closed", map[string]int64{"sent": 100, "acked": 100})
		if want := 1990 * time.Millisecond; o.Measured != want || o.Whole < want+2500*time.Millisecond {
			t.Errorf("%v of %v are measured, want %v", o.Measured, o.Whole, want)
		}
	})
}
