package swarm

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTheWheelFiresWhatIsDueOnce compares the wheel with a plain map of deadlines.
func TestTheWheelFiresWhatIsDueOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Loop{}
		const clients = 40
		for i := range clients {
			l.Add(uint32(i))
		}
		want := map[uint32]time.Duration{} // deadlines
		now := time.Duration(0)
		far := rapid.SampledFrom([]time.Duration{50 * time.Millisecond, time.Second, 3 * time.Minute}).Draw(t, "far")
		span := rapid.Int64Range(0, int64(far))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			c := l.at(uint32(rapid.IntRange(0, clients-1).Draw(t, "client")))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				at := now + time.Duration(span.Draw(t, "delay"))
				l.wheel.arm(l, c, at)
				want[c.slot] = at
			case 2:
				l.wheel.disarm(l, c)
				delete(want, c.slot)
			case 3:
				now += time.Duration(span.Draw(t, "time"))
				l.wheel.expire(l, now, func(c *Client) {
					at, armed := want[c.slot]
					switch {
					case !armed:
						t.Fatalf("client %d fires and has no timer", c.slot)
					case at > now:
						// It was beyond the wheel's turn.
						if at < now+tick {
							t.Fatalf("client %d fires at %v, before %v", c.slot, now, at)
						}
						l.wheel.arm(l, c, at)
					default:
						delete(want, c.slot)
					}
				})
				for slot, at := range want {
					if at <= now-tick {
						t.Fatalf("at %v client %d has not fired, which was due at %v", now, slot, at)
					}
				}
			}
			first := Never
			for _, at := range want {
				first = min(first, at)
			}
			if d := l.wheel.deadline(); len(want) == 0 && d != Never || len(want) > 0 && d > first+2*tick {
				t.Fatalf("at %v the wheel waits until %v, the first timer is at %v", now, d, first)
			}
		}
	})
}
