package bench

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// A publisher's connection breaks with its whole window in flight. A message that was
// not acknowledged may or may not have reached the broker, so it is not lost. What was
// due afterwards was not sent.
func TestALostPublisherIsNoLossOfTheBroker(t *testing.T) {
	for name, session := range map[string]string{"clean start": "clean-start: true", "kept session": "clean-start: false"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, server := ours(t, broker.Options{})
				proxy, front := proxied(t, server)
				direct, behind := &transport.Target{Network: "tcp", Host: "direct"}, &transport.Target{Network: "tcp", Host: "behind"}
				s := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 200ms}
groups:
  sub: {clients: 1, subscribe: {filter: t, qos: 1}}
  pub: {clients: 1, `+session+`, publish: {topic: t, qos: 1, payload: 64, rate: 200/s, window: 5}}
`, Options{
					// The second client, which is the publisher, has the second target.
					Swarm: swarm.Options{Targets: []*transport.Target{direct, behind}, Dial: func(ctx context.Context, t *transport.Target) (net.Conn, error) {
						if t == behind {
							return front.Dial(ctx)
						}
						return server.Dial(ctx)
					}},
					During: func(ctx context.Context, _ func(result.NoteKind, string)) {
						time.Sleep(102 * time.Millisecond)
						proxy.Stall(true)
						time.Sleep(400 * time.Millisecond) // for five messages, one each 5 ms
						proxy.Cut(1)
						proxy.Stall(false)
						<-ctx.Done()
					},
				})
				f := s.Total
				if f.Unaccepted != 5 || f.Sent != 26 || f.Acked != 21 || f.Expected != 21 {
					t.Errorf("%d of %d sent and %d acknowledged messages were not accepted; want 5 of 26 and 21", f.Unaccepted, f.Sent, f.Acked)
				}
				if f.Lost != 0 || s.Has(report.Violated) {
					t.Errorf("%d lost of %d expected and %d received: %v", f.Lost, f.Expected, f.Received, s.Verdicts)
				}
				if offered := s.Counters["offered"]; offered != 200 || f.Skipped != 200-26 || !s.Has(report.Incomplete) {
					t.Errorf("%d due, %d sent, %d skipped: %v", offered, f.Sent, f.Skipped, s.Verdicts)
				}
			})
		})
	}
}
