package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/report"
)

// What was pending for a member of a shared subscription that leaves is no longer owed.
// If messages sent before reach the other members, they do not hide a later loss.
func TestAMemberThatLeavesHidesNoLoss(t *testing.T) {
	for _, c := range []struct {
		drop int
		pace string
		ack  time.Duration
		ends string
	}{
		{150, "rate: 100/s", 0, "cut"},
		{150, "rate: 100/s", 0, "disconnect"},
		{150, "rate: 100/s", 100 * time.Millisecond, "cut"},
		{150, "rate: 100/s", 300 * time.Millisecond, "cut"},
		{150, "rate: 100/s", 300 * time.Millisecond, "disconnect"},
		{0, "rate: 100/s", 0, "cut"},
		{0, "rate: 100/s", 300 * time.Millisecond, "cut"},
		{300, "pace: unlimited, window: 20", 100 * time.Millisecond, "cut"},
		{400, "pace: unlimited, window: 90", 300 * time.Millisecond, "close"},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				late := func(int) time.Duration { return 200 * time.Millisecond }
				b, network := flawed(t, badbroker.Flaws{Share: true, Drop: c.drop, Delay: late, AckDelay: c.ack})
				o := play(t, fmt.Sprintf(`
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 5s}
groups:
  stays: {clients: 1, subscribe: {filter: $share/g/t, qos: 1}}
  leaves: {clients: 1, subscribe: {filter: $share/g/t, qos: 1}}
  pubs: {clients: 1, publish: {topic: t, qos: 1, payload: 64, %s}}
actions:
  - {at: measure+1005ms, do: %s, group: leaves}
`, c.pace, c.ends), within(network.Dial))
				f, lost := o.Total, int64(b.Counts().Dropped)
				if (lost > 0) != (c.drop > 0) {
					t.Fatalf("%d messages were dropped", lost)
				}
				if f.Lost != lost || f.Duplicates+f.InFlight != 0 || (lost > 0) != o.Has(report.Violated) || o.Err() != nil {
					t.Errorf("%d dropped: %+v, %v, %v", lost, f, o.Verdicts, o.Err())
				}
			})
		})
	}
}
