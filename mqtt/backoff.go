package mqtt

import (
	"math/rand/v2"
	"time"
)

// Backoff returns a policy for Options.Reconnect: it gives up on permanent
// errors and waits a random time for others. The upper bound of that time grows
// exponentially from base to most (full jitter).
func Backoff(base, most time.Duration) func(attempt int, err error) (time.Duration, bool) {
	return func(attempt int, err error) (time.Duration, bool) {
		if Permanent(err) {
			return 0, false
		}
		bound := base
		for i := 1; i < attempt && bound < most; i++ {
			bound *= 2
		}
		if bound = min(bound, most); bound <= 0 {
			return 0, true
		}
		return rand.N(bound) + time.Millisecond, true
	}
}
