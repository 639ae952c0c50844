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
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func bad(t testing.TB, f badbroker.Flaws) (*badbroker.Broker, *transport.Target) {
	b := badbroker.Start(t, f)
	return b, at(t, b.Addr().String())
}

// A fifth of the messages are due while the broker is stalled. A window of one sends
// only one of them during the stall: measured from the send, the others look fast. A
// busy machine only adds to the service time of each message.
func TestAStallShowsInTheResponse(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		_, target := bad(t, badbroker.Flaws{Stall: 200 * time.Millisecond, Every: time.Second})
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 3s, drain: 5s}
groups:
  pubs:
    clients: 1
    publish: {topic: t, qos: 1, payload: 64, rate: 100/s, window: 1}
`, over(e, target))
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

// Every faulty delivery is found, and no other one.
func TestFlawsAreFoundExactly(t *testing.T) {
	for i := range 6 {
		qos, messages, flaws := i%3, 1000, badbroker.Flaws{Drop: 31, Duplicate: 23, Reorder: 19, Corrupt: 43}
		if i >= 3 {
			messages, flaws = 25_000, badbroker.Flaws{Drop: 10_000, Duplicate: 9_999, Reorder: 9_998, Corrupt: 9_997}
		}
		t.Run(fmt.Sprintf("qos%d one in %d", qos, flaws.Drop), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, network := flawed(t, flaws)
				o := play(t, fmt.Sprintf(`
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 3s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%%i, qos: %[1]d}}
  pubs: {clients: 4, publish: {topic: t/%%i, qos: %[1]d, payload: 64, rate: %[2]d/s}}
`, qos, messages), within(network.Dial))
				c, f := b.Counts(), o.Total
				if c.Dropped*c.Duplicated*c.Reordered*c.Corrupted == 0 || f.Sent != int64(messages) || c.Published != messages {
					t.Fatalf("%d sent, %d published, flaws: %d %d %d %d", f.Sent, c.Published, c.Dropped, c.Duplicated, c.Reordered, c.Corrupted)
				}
				lost, dropped := c.Dropped+c.Held, 0
				if qos == 0 { // QoS 0 guarantees nothing
					lost, dropped = 0, lost
				}
				for _, x := range []struct {
					what      string
					got, want int
				}{
					{"lost", int(f.Lost), lost},
					{"dropped", int(f.Dropped), dropped},
					{"in flight", int(f.InFlight), 0},
					{"received", int(f.Received), messages - c.Dropped - c.Held - c.Corrupted},
					{"duplicates", int(f.Duplicates), c.Duplicated},
					{"out of order", int(f.Reordered), c.Reordered},
					{"corrupt", int(f.Corrupt), c.Corrupted},
					{"foreign", int(f.Foreign), 0},
					{"unchecked", int(f.Unchecked), 0},
					{"expected", int(f.Expected), messages},
				} {
					if x.got != x.want {
						t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
					}
				}
				missing := int64(0)
				for _, m := range o.Result.Ends[0].Missing {
					missing += result.Span{From: m.From, To: m.To}.Len()
				}
				if n := f.Lost + f.Dropped + f.Corrupt; missing != n {
					t.Errorf("%d missing messages are named, and %d are lost or corrupt", missing, n)
				}
				if !o.Has(report.Violated) {
					t.Errorf("verdicts: %v", o.Verdicts)
				}
			})
		})
	}
}

// A shard's payloads without room for a header are counted, and nothing is derived from
// them that is not known.
func TestWithoutHeaderDeliveriesAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, network := flawed(t, badbroker.Flaws{Drop: 31})
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 2s}
groups:
  subs: {clients: 2, subscribe: t/%i}
  pubs: {clients: 2, publish: {topic: t/%i, payload: 8, rate: 500/s}}
`, within(network.Dial))
		f := o.Total
		if lost := b.Counts().Dropped; f.Expected != 500 || int(f.Dropped) != lost || f.Received != int64(500-lost) {
			t.Errorf("%d were dropped: %+v", lost, f)
		}
		if !o.Has(report.NoHeader) || o.Has(report.Violated) {
			t.Errorf("verdicts: %v", o.Verdicts)
		}
		if r := o.Rates; r.Expected != 500 || r.Delivered != float64(f.Received) {
			t.Errorf("%.0f/s delivered of %.0f/s expected, and %d of 500 in a second", r.Delivered, r.Expected, f.Received)
		}
		o.wantValues(result.Delivery, result.Response, 0)
	})
}

// The time that the broker took for each message is known. The measured time is longer,
// by the way there and back and by the load of the machine, and never shorter.
func TestDelaysAreNotMeasuredTooShort(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		b, target := bad(t, badbroker.Flaws{Delay: delays})
		o := play(t, delayed, over(e, target))
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

// starve runs a load in a process that has no time for it, and prints the verdicts.
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
	target := &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: port}
	r, err := runScenario(context.Background(), `
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 5s}
groups:
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 2000/s}}
`, over(swarm.Auto, target))
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

// dies runs a scenario, and resets the broker's connections 300 ms after the
// measurement began.
func dies(t *testing.T, yaml string) *outcome {
	b, network := ours(t, broker.Options{})
	by := within(network.Dial)
	by.During = func(ctx context.Context, _ func(result.NoteKind, string)) {
		time.Sleep(300*time.Millisecond - time.Microsecond)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_ = b.Close(ctx)
	}
	return attempt(t.Context(), t, yaml, by)
}

// The error says who closed the connection, and the counters keep their name.
func TestTheEndOfAConnectionInWords(t *testing.T) {
	if err := error(hungUp{}); swarm.ErrorCategory(err) != "eof" || err.Error() != "the broker closed the connection" {
		t.Errorf("%s: %v", swarm.ErrorCategory(err), err)
	}
}

func TestABrokerThatIsLostEndsTheRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := dies(t, fmt.Sprintf(steady, "30s", "", ""))
		if !errors.Is(o.err, ErrLost) {
			t.Errorf("it ends with %v", o.err)
		}
		if o.Measured < 299*time.Millisecond || o.Measured > 301*time.Millisecond {
			t.Errorf("%v are measured", o.Measured)
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
		if f := o.Total; f.Sent != 150 || f.Acked != 150 || f.Received != 150 {
			t.Errorf("%+v", f)
		}
	})
}

// Clients that reconnect while the broker is down are counted too, and messages due
// then do not count as sent.
func TestABrokerThatStaysAwayIsCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		again := ", reconnect: {first: 50ms, max: 100ms}"
		o := dies(t, fmt.Sprintf(steady, "2s", again, again))
		if o.err != nil {
			t.Fatal(o.err)
		}
		o.want("pubs", map[string]int64{"losses": 5, "offered": 1000, "sent": 150, "acked": 150, "skipped": 850})
		// 1.7 s in steps of 50 to 100 ms, the first of 25 to 50.
		if got := o.counted("pubs"); got["failures"] < 5*17 || got["failures"] > 5*34 || got["error.connect.other"] != got["failures"] {
			t.Errorf("pubs: %v", got)
		}
	})
}

// taken returns an address on which no program listens, and none will, since a client
// occupies it.
func taken(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc.LocalAddr().String()
}

func TestABrokerThatIsNotThereIsNotReached(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		target := at(t, taken(t))
		for _, again := range []string{"", ", reconnect: {first: 10ms, max: 20ms}"} {
			o := attempt(t.Context(), t, fmt.Sprintf(steady, "1s", again, again), over(e, target))
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
		o := attempt(t.Context(), t, fmt.Sprintf(steady, "1s", "", ""), over(e, target))
		var refusal *swarm.Refusal
		if !errors.Is(o.err, ErrNotReached) || !errors.As(o.err, &refusal) || refusal.Reason != packet.NotAuthorized {
			t.Errorf("it ends with %v", o.err)
		}
		for _, group := range []string{"subs", "pubs"} {
			o.want(group, map[string]int64{"reason.connack.0x87": 5, "failures": 5, "attempts": 5, "connects": 0})
		}
	})
}

// A cancelation waits for the messages in flight, whenever it comes.
func TestACancelledRunDrains(t *testing.T) {
	for _, phase := range []string{"warm-up", "measure"} {
		t.Run(phase, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, network := flawed(t, badbroker.Flaws{Delay: func(int) time.Duration { return 200 * time.Millisecond }})
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("enough")
				by := within(network.Dial)
				by.OnNote = func(n result.Note) {
					if n.Text == phase {
						time.AfterFunc(399*time.Millisecond, func() { cancel(cause) })
					}
				}
				o := attempt(ctx, t, `
phases: {settle: 0s, `+phase+`: 60s, drain: 10s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 500/s, start: `+phase+`}}
`, by)
				if !errors.Is(o.err, cause) {
					t.Fatalf("it ends with %v", o.err)
				}
				o.clean()
				if !o.Has(report.PartialRun) || !strings.Contains(o.Result.Partial(), "enough") || len(o.Result.Ends) != 1 {
					t.Errorf("partial: %q", o.Result.Partial())
				}
				if c, f := b.Counts(), o.Total; c.Published != 200 || f.Sent != 200 || f.Received != 200 {
					t.Errorf("%d published, %d sent, %d received of 200", c.Published, f.Sent, f.Received)
				}
			})
		})
	}
}
