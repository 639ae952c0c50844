package plan

import "time"

// Pacer tells the intended time of each message of a stream, from the stream's
// start. It is immutable, and its times never decrease.
type Pacer interface {
	// At is the time of message j; ok is false when the pace never gets there.
	// Of Poisson the work grows with j; all others are at once.
	At(j uint64) (at time.Duration, ok bool)
	// Count is the number of messages before d: of those with At < d.
	Count(d time.Duration) uint64
	// Unlimited tells that there are no intended times: each client publishes as
	// soon as its window has room (a closed loop).
	Unlimited() bool
	// from makes an iteration that stands at message 0.
	walk() walker
}

// walker goes through the messages of a pacer, forward only.
type walker interface {
	// skip goes n messages on, n above 0, and tells where it is then. The first
	// call of a fresh walker with 0 tells where message 0 is.
	skip(n uint64) (at time.Duration, ok bool)
}
