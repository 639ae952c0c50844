package mqtt

import (
	"math/rand/v2"
	"time"
)

// Backoff is a policy for Options.Reconnect: permanent errors give up,
// others wait a random time up to an exponentially growing bound (full
// jitter), base first and most at the end.
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
