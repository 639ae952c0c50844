package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func bad(t testing.TB, f badbroker.Flaws) (*badbroker.Broker, *transport.Target) {
	b := badbroker.Start(t, f)
	return b, at(t, b.Addr().String())
}

// A fifth of the messages are due while the broker stands still. A window of one
// sends just one of them then: measured from the sending, the others look fast.
// A busy machine only adds to the service of each message.
func TestAStallShowsInTheResponse(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		_, target := bad(t, badbroker.Flaws{Stall: 200 * time.Millisecond, Every: time.Second})
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 3s, drain: 5s}
groups:
  pubs:
    clients: 1
    publish: {topic: t, qos: 1, payload: 64, rate: 100/s, window: 1}
`, e, target)
		response, service := o.Latency(result.Puback, result.Response), o.Latency(result.Puback, result.Service)
		if response.Count() != 300 || service.Count() != 300 {
			t.Fatalf("%d and %d values, of 300 messages", response.Count(), service.Count())
		}
		if r := response.PercentileOfFew(95); r < 100*time.Millisecond {
			t.Errorf("the response does not show stalls of 200 ms: p95 %v, max %v", r, response.Max())
		}
		if service.Max() < 150*time.Millisecond {
			t.Errorf("no message was on its way in a stall: max %v", service.Max())
		}
		if o.Has(report.ClosedLoop) {
			t.Error("an open loop is called a closed one")
		}
	})
}

func TestAClosedLoopSaysSo(t *testing.T) {
	t.Parallel()
	_, target := bad(t, badbroker.Flaws{})
	o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 300ms, drain: 5s}
groups:
  pubs: {clients: 1, publish: {topic: t, qos: 1, payload: 64, pace: unlimited, window: 1}}
`, swarm.Auto, target)
	if !o.Has(report.ClosedLoop) {
		t.Errorf("verdicts: %v", o.Verdicts)
	}
	if o.Total.Sent == 0 || o.Total.Acked != o.Total.Sent {
		t.Errorf("%+v", o.Total)
	}
	o.want("pubs", map[string]int64{"offered": o.Total.Sent})
}

// Every delivery that goes wrong is found, and no other one.
func TestFlawsAreFoundExactly(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for qos := range 3 {
			t.Run(fmt.Sprint("qos", qos), func(t *testing.T) {
				t.Parallel()
				b, target := bad(t, badbroker.Flaws{Drop: 31, Duplicate: 23, Reorder: 19, Corrupt: 43})
				o := play(t, fmt.Sprintf(`
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 3s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%%i, qos: %[1]d}}
  pubs: {clients: 4, publish: {topic: t/%%i, qos: %[1]d, payload: 64, rate: 1000/s}}
`, qos), e, target)
				c, f := b.Counts(), o.Total
				if c.Dropped*c.Duplicated*c.Reordered*c.Corrupted == 0 || f.Sent != 1000 || c.Published != 1000 {
					t.Fatalf("%d sent, %d published, flaws: %d %d %d %d", f.Sent, c.Published, c.Dropped, c.Duplicated, c.Reordered, c.Corrupted)
				}
				for _, x := range []struct {
					what      string
					got, want int
				}{
					{"lost, or not received as sent", int(f.Lost), c.Dropped + c.Corrupted + c.Held},
					{"duplicates", int(f.Duplicates), c.Duplicated},
					{"out of order", int(f.Reordered), c.Reordered},
					{"corrupt", int(f.Corrupt), c.Corrupted},
					{"foreign", int(f.Foreign), 0},
					{"unjudged", int(f.Unjudged), 0},
					{"expected", int(f.Expected), 1000},
				} {
					if x.got != x.want {
						t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
					}
				}
				missing := int64(0)
				for _, m := range o.Result.Ends[0].Missing {
					missing += result.Span{From: m.From, To: m.To}.Len()
				}
				if missing != f.Lost {
					t.Errorf("%d missing messages are named, and %d are lost", missing, f.Lost)
				}
				if !o.Has(report.Violated) {
					t.Errorf("verdicts: %v", o.Verdicts)
				}
			})
		}
	})
}

// A shard's payloads without room for a header are counted, and nothing is made
// of them that is not known.
func TestWithoutHeaderDeliveriesAreCounted(t *testing.T) {
	t.Parallel()
	b, target := bad(t, badbroker.Flaws{Drop: 31})
	o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 2s}
groups:
  subs: {clients: 2, subscribe: t/%i}
  pubs: {clients: 2, publish: {topic: t/%i, payload: 8, rate: 500/s}}
`, swarm.Auto, target)
	f := o.Total
	if lost := b.Counts().Dropped; f.Expected != 500 || int(f.Lost) != lost || f.Received != int64(500-lost) {
		t.Errorf("%d were dropped: %+v", lost, f)
	}
	if !o.Has(report.NoHeader) || o.Has(report.Violated) {
		t.Errorf("verdicts: %v", o.Verdicts)
	}
	if r := o.Rates; r.Delivered < 0.9*r.Expected {
		t.Errorf("%.0f/s delivered of %.0f/s expected", r.Delivered, r.Expected)
	}
	o.wantValues(result.Delivery, result.Response, 0)
}

// What the broker took for each message is known: the tool finds more, for the way
// there and back and what the machine was busy with, and never less.
func TestDelaysAreNotMeasuredTooShort(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		b, target := bad(t, badbroker.Flaws{Delay: delays})
		o := play(t, delayed, e, target)
		o.clean()
		c, h := b.Counts(), o.Latency(result.Delivery, result.Response)
		if len(c.Delays) != 400 || h.Count() != 400 {
			t.Fatalf("%d delays and %d values, of 400 messages", len(c.Delays), h.Count())
		}
		for _, p := range []float64{5, 50, 70, 85, 95, 99} {
			if got, inner := h.PercentileOfFew(p), c.Percentile(p-0.5); got < inner*998/1000 {
				t.Errorf("p%g: %v, and the broker alone took %v", p, got, inner)
			}
		}
	})
}

const starvedEnv = "MQTOOLS_TEST_STARVED"

// starve runs a load in a process that has no time for it, and tells the verdicts.
func starve() {
	runtime.GOMAXPROCS(1)
	for range 8 {
		go func() {
			for n := uint64(1); ; n = n*3 + 1 {
				if n == 0 {
					return
				}
			}
		}()
	}
	port, err := strconv.Atoi(os.Getenv(starvedEnv))
	if err != nil {
		panic(err)
	}
	p, err := plan.Parse("starved.yaml", []byte(`
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 5s}
groups:
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 2000/s}}
`), plan.Options{})
	if err != nil {
		panic(err)
	}
	r, err := runPlan(context.Background(), p, swarm.Auto, &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: port}, nil)
	if err != nil {
		panic(err)
	}
	for _, v := range report.Summarize(r).Verdicts {
		fmt.Printf("%s: %s\n", v.Label, v.Text)
	}
}

func TestAStarvedGeneratorSaysSo(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", starvedEnv, serve(t, broker.Options{}).Port))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "GENERATOR LIMITED: messages were sent late"; !strings.Contains(string(out), want) {
		t.Errorf("it does not say %q:\n%s", want, out)
	}
}

const steady = `
phases: {settle: 0s, warm-up: 0s, measure: %s, drain: 2s}
groups:
  subs: {clients: 5, subscribe: {filter: t/%%i, qos: 1}%s}
  pubs: {clients: 5, publish: {topic: t/%%i, qos: 1, payload: 64, rate: 500/s}%s}
`

// dies is a broker that ends when a phase has begun.
func dies(t *testing.T, e swarm.Engine, yaml string, phase result.Phase, end func(b *broker.Broker)) *outcome {
	b, addr := brokertest.Start(t)
	p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := runPlan(t.Context(), p, e, at(t, addr), func(n result.Note) {
		t.Log(n.At, n.Kind, n.Text)
		if n.Kind == result.NotePhase && n.Text == string(phase) {
			time.AfterFunc(300*time.Millisecond, func() { end(b) })
		}
	})
	if r == nil {
		t.Fatal(err)
	}
	return &outcome{t, report.Summarize(r), err}
}

// now ends a broker without a goodbye.
func now(b *broker.Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.Close(ctx)
}

// A reader is told who closed the connection, and the counters keep their name.
func TestTheEndOfAConnectionInWords(t *testing.T) {
	if err := error(hungUp{}); swarm.Kind(err) != "eof" || err.Error() != "the broker closed the connection" {
		t.Errorf("%s: %v", swarm.Kind(err), err)
	}
}

func TestABrokerThatIsLostEndsTheRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		o := dies(t, e, fmt.Sprintf(steady, "30s", "", ""), result.PhaseMeasure, now)
		if !errors.Is(o.err, ErrLost) {
			t.Errorf("it ends with %v", o.err)
		}
		if o.Whole > 15*time.Second {
			t.Errorf("it went on for %v", o.Whole)
		}
		if !o.Has(report.PartialRun) || !strings.Contains(o.Result.Partial(), "lost") {
			t.Errorf("partial: %q", o.Result.Partial())
		}
		for _, group := range []string{"subs", "pubs"} {
			o.want(group, map[string]int64{"losses": 5, "connects": 5, "attempts": 5})
		}
		if e := o.Errors(); len(e) == 0 {
			t.Error("no error is counted")
		}
		if o.Total.Sent == 0 || o.Total.Acked > o.Total.Sent || o.Total.Received > o.Total.Expected {
			t.Errorf("%+v", o.Total)
		}
	})
}

// Those who come back when the broker does not are counted, too, and what was due
// meanwhile is not called sent.
func TestABrokerThatStaysAwayIsCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		again := ", reconnect: {first: 50ms, max: 100ms}"
		o := dies(t, e, fmt.Sprintf(steady, "2s", again, again), result.PhaseMeasure, now)
		if o.err != nil {
			t.Fatal(o.err)
		}
		got := o.counted("pubs")
		if got["losses"] != 5 || got["failures"] < 10 || got["error.connect.refused"] == 0 {
			t.Errorf("pubs: %v", got)
		}
		if got["skipped"] == 0 || got["offered"] != 1000 || got["sent"]+got["skipped"] > got["offered"] {
			t.Errorf("pubs: %v", got)
		}
	})
}

func TestABrokerThatIsNotThereIsNotReached(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		target := at(t, ln.Addr().String())
		ln.Close()
		for _, again := range []string{"", ", reconnect: {first: 10ms, max: 20ms}"} {
			o := attempt(t.Context(), t, fmt.Sprintf(steady, "1s", again, again), e, target)
			if !errors.Is(o.err, ErrNotReached) {
				t.Errorf("it ends with %v", o.err)
			}
			var te *transport.Error
			if !errors.As(o.err, &te) || te.Kind != transport.Refused {
				t.Errorf("the cause is %v", o.err)
			}
			if !o.Has(report.PartialRun) || o.Measured != 0 || o.Total.Sent != 0 {
				t.Errorf("%v measured, %+v, %v", o.Measured, o.Total, o.Verdicts)
			}
		}
	})
}

func TestARefusalIsTabulated(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		_, target := bad(t, badbroker.Flaws{Refuse: packet.NotAuthorized})
		o := attempt(t.Context(), t, fmt.Sprintf(steady, "1s", "", ""), e, target)
		var refusal *swarm.Refusal
		if !errors.Is(o.err, ErrNotReached) || !errors.As(o.err, &refusal) || refusal.Reason != packet.NotAuthorized {
			t.Errorf("it ends with %v", o.err)
		}
		for _, group := range []string{"subs", "pubs"} {
			o.want(group, map[string]int64{"reason.connack.0x87": 5, "failures": 5, "attempts": 5, "connects": 0})
		}
	})
}

// An end from outside has what is under way awaited, whenever it comes.
func TestACancelledRunDrains(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for _, phase := range []string{"warm-up", "measure"} {
			t.Run(phase, func(t *testing.T) {
				t.Parallel()
				b, target := bad(t, badbroker.Flaws{Delay: func(int) time.Duration { return 200 * time.Millisecond }})
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("enough")
				p, err := plan.Parse("test.yaml", []byte(`
phases: {settle: 0s, `+phase+`: 60s, drain: 10s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 500/s, start: `+phase+`}}
`), plan.Options{})
				if err != nil {
					t.Fatal(err)
				}
				r, err := runPlan(ctx, p, e, target, func(n result.Note) {
					if n.Text == phase {
						time.AfterFunc(400*time.Millisecond, func() { cancel(cause) })
					}
				})
				if !errors.Is(err, cause) {
					t.Fatalf("it ends with %v", err)
				}
				o := outcome{t, report.Summarize(r), err}
				o.clean()
				if !o.Has(report.PartialRun) || !strings.Contains(r.Partial(), "enough") || len(r.Ends) != 1 {
					t.Errorf("partial: %q", r.Partial())
				}
				if c := b.Counts(); int64(c.Published) != o.Total.Sent || o.Whole > 20*time.Second {
					t.Errorf("%d published of %d, in %v", c.Published, o.Total.Sent, o.Whole)
				}
			})
		}
	})
}
