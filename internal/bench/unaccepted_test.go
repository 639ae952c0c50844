package bench

import (
	"context"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// A publisher's connection breaks with its whole window on the way. What was not
// acknowledged may have reached the broker or not: nobody has lost it. What was
// due afterwards was not sent.
func TestALostPublisherIsNoLossOfTheBroker(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		for name, session := range map[string]string{"clean start": "clean-start: true", "kept session": "clean-start: false"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				target := serve(t, broker.Options{})
				proxy, behind := proxied(t, target, 1)
				p, err := plan.Parse("test.yaml", []byte(`
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 200ms}
groups:
  sub: {clients: 1, subscribe: {filter: t, qos: 1}}
  pub: {clients: 1, `+session+`, publish: {topic: t, qos: 1, payload: 64, rate: 200/s, window: 5}}
`), plan.Options{})
				if err != nil {
					t.Fatal(err)
				}
				shard, err := p.Shard(0, 1)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Run(t.Context(), Options{
					Shard: shard,
					// The second client, which is the publisher, has the second target.
					Swarm: swarm.Options{Loops: 1, Engine: e, Targets: []*transport.Target{target, behind}, Dialer: &transport.Dialer{}},
					Run:   result.Run{Plan: result.Plan{Name: "test", Scale: 1, Header: true}, Shards: 1},
					During: func(ctx context.Context, _ func(result.NoteKind, string)) {
						time.Sleep(100 * time.Millisecond)
						proxy.Stall(true)
						time.Sleep(400 * time.Millisecond) // for five messages, one each 5 ms
						proxy.Cut(1)
						proxy.Stall(false)
						<-ctx.Done()
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				s := report.Summarize(r)
				f := s.Total
				if f.Unaccepted != 5 || f.Sent-f.Acked != 5 || f.Expected != f.Sent {
					t.Errorf("%d of %d sent and %d acknowledged messages were not accepted, want 5", f.Unaccepted, f.Sent, f.Acked)
				}
				if f.Lost != 0 || s.Has(report.Violated) {
					t.Errorf("%d lost of %d expected and %d received: %v", f.Lost, f.Expected, f.Received, s.Verdicts)
				}
				if offered := s.Counters["offered"]; f.Skipped == 0 || offered != 200 || offered != f.Sent+f.Skipped || !s.Has(report.Skipped) {
					t.Errorf("%d due, %d sent, %d skipped: %v", offered, f.Sent, f.Skipped, s.Verdicts)
				}
			})
		}
	})
}

// What the broker refuses with a reason code it has not lost.
func TestARefusedMessageIsNotLost(t *testing.T) {
	t.Parallel()
	target := serve(t, broker.Options{Authorize: func(_, _, topic string, write bool) bool { return !write || topic != "t/0" }})
	o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 200ms}
groups:
  subs: {clients: 2, subscribe: {filter: t/#, qos: 2}}
  pubs: {clients: 2, publish: {topic: t/%i, qos: 2, payload: 64, rate: 100/s}}
`, swarm.Auto, target)
	if f := o.Total; f.Refused != 25 || f.Expected != 100 || f.Unaccepted != 50 || f.Received != 50 || f.Lost != 0 || o.Has(report.Violated) || o.Has(report.Saturated) {
		t.Errorf("%+v, %v", f, o.Verdicts)
	}
}
