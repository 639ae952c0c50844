package swarm

import (
	"runtime"
	"time"
)

// precise is a sleeper that is late by some microseconds only: its goroutine has a
// thread of its own.
type precise struct{ poller }

func newPrecise() sleeper { return new(precise) }

func (s *precise) own() {
	runtime.LockOSThread()
	noSlack()
}

func (s *precise) sleep(until time.Duration, now func() time.Duration) { s.wait(until, now) }
