package bench

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

const alike = `
phases: {settle: 1s, warm-up: 0s, measure: 10s, drain: 5s}
groups:
  subs: {clients: 3, subscribe: {filter: t/%%i, qos: 2}}
  pubs: {clients: 3, publish: {topic: t/%%i, qos: 2, payload: %s, rate: 30/s}}
`

// beside runs scenarios at the same time, at one correct broker.
func beside(t *testing.T, scenarios ...string) []*outcome {
	_, network := ours(t, broker.Options{})
	outcomes := make([]*outcome, len(scenarios))
	var all sync.WaitGroup
	for i, yaml := range scenarios {
		p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{Run: func(string) string { return fmt.Sprint(i) }})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { outcomes[i] = attemptPlan(t.Context(), t, p, within(network.Dial)) })
	}
	all.Wait()
	for _, o := range outcomes {
		if o.whole(); o.Has(report.Violated) || o.Err() != nil {
			t.Errorf("%v, %v", o.Verdicts, o.Err())
		}
	}
	return outcomes
}

// The messages of another run on the same topics have the same publishers and numbers,
// but are neither duplicates nor anything else of this run.
func TestAnotherRunsMessagesAreForeign(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		scenario := fmt.Sprintf(alike, "64")
		for _, o := range beside(t, scenario, scenario) {
			f := o.Total
			if f.Sent != 300 || f.Expected != 300 || f.Received != 300 || f.Duplicates+f.Copies+f.Unchecked+f.Lost+f.Corrupt != 0 || f.Foreign != 300 {
				t.Errorf("%+v", f)
			}
			if n := o.counted("subs")["untimed"]; n != 0 {
				t.Errorf("%d deliveries are not timed", n)
			}
		}
	})
}

// Payloads of other programs that begin with the bits of a kind, as digits and arrays
// do, are not corrupt messages of this run.
func TestAPayloadThatBeginsLikeAHeaderIsForeign(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, payload := range []string{`{template: '[21.5, 22.0, 23.5, 24.0]'}`, `{template: '21.5;22.0;23.5;24.0'}`, `{template: 'AAAAAAAAAAAAAAAAAAAAAA'}`} {
			outcomes := beside(t, fmt.Sprintf(alike, "64"), fmt.Sprintf(alike, payload))
			if f := outcomes[0].Total; f.Received != 300 || f.Corrupt != 0 || f.Foreign != 300 {
				t.Errorf("beside %s: %+v", payload, f)
			}
			// The other run's own payloads have no header, but the first run's have
			// one.
			if f := outcomes[1].Total; f.Received != 300 || f.Corrupt != 0 || f.Foreign != 300 {
				t.Errorf("%s: %+v", payload, f)
			}
		}
	})
}

// A run that only subscribes counts what other clients publish. It knows neither their
// clocks nor what they have sent: nothing is timed, owed or reported as lost.
func TestARunThatOnlySubscribesCounts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sub := `
phases: {settle: 0s, warm-up: 0s, measure: 20s, drain: 5s}
groups:
  subs: {clients: 3, subscribe: {filter: t/%i, qos: 2}}
  shared: {clients: 2, subscribe: {filter: $share/g/t/%i, qos: 1}}
`
		o := beside(t, sub, fmt.Sprintf(alike, "64"))[0]
		f := o.Total
		if f.Received != 300+200 || f.Expected+f.Lost+f.Corrupt+f.Duplicates+f.Foreign+f.InFlight != 0 {
			t.Errorf("%+v", f)
		}
		if h := o.Latency(result.Delivery, result.Response); h != nil {
			t.Errorf("%d deliveries are timed", h.Count())
		}
		conditions, err := report.ParseConditions("loss>0,lost>0,p99>1s")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range report.CheckFailOn(o.Summary, conditions) {
			if c.OK {
				t.Errorf("%v is decided: %s", c.Condition, c.Got)
			}
		}
	})
}

// Requests of any run are answered, and a reply counts for the run that asked.
func TestRequestsOfAnotherRunAreAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		responder := `
phases: {settle: 0s, warm-up: 0s, measure: 20s, drain: 5s}
groups:
  responders: {clients: 1, subscribe: {filter: ask, qos: 1}, respond: {qos: 1}}
`
		asker := `
phases: {settle: 1s, warm-up: 0s, measure: 10s, drain: 5s}
groups:
  askers: {clients: 2, publish: {topic: ask, qos: 1, payload: 64, rate: 20/s, request: {response-topic: answer/%i, qos: 1, timeout: 2s}}}
`
		outcomes := beside(t, responder, asker)
		if n := outcomes[1].Latency(result.RTT, result.Response).Count(); n != 200 {
			t.Errorf("%d of 200 requests were answered: %v", n, outcomes[1].counted("askers"))
		}
	})
}

// A run that has failed gets no report, so it ends with the number of errors.
func TestAFailedRunReportsHowManyClientsFailed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := flawed(t, badbroker.Flaws{Refuse: packet.NotAuthorized})
		o, reported := within(network.Dial), []string(nil)
		o.OnNote = func(n result.Note) {
			if n.Kind == result.NoteError {
				reported = append(reported, n.Text)
			}
		}
		attempt(t.Context(), t, "phases: {connect: {rate: 10/s}}\ngroups: {subs: {clients: 20, subscribe: t}}", o)
		what := "connection refused: not authorized (0x87)"
		if len(reported) != 2 || !strings.Contains(reported[0], ": ") || !strings.HasPrefix(reported[1], "20 clients: ") {
			t.Errorf("reported: %q, want two lines, the second of 20 clients: %s", reported, what)
		}
	})
}

// A header is one of the run's if the run has its shard and its publisher.
func TestWhatARunHasSent(t *testing.T) {
	p := parse(t, "groups: {a: {clients: 2}, b: {clients: 4, publish: {topic: t, rate: 1}}}")
	s, err := p.Shard(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(Options{Shard: s})
	for _, c := range []struct {
		shard     uint16
		publisher uint32
		want      bool
	}{{0, 0, true}, {1, 5, true}, {2, 0, false}, {0, 6, false}, {result.MaxShards - 1, result.MaxPublishers - 1, false}} {
		if got := r.sent(result.Header{Kind: result.KindMessage, Shard: c.shard, Publisher: c.publisher}); got != c.want {
			t.Errorf("shard %d, publisher %d: %v", c.shard, c.publisher, got)
		}
	}
}
