package swarm

import (
	"runtime"
	"time"
)

// sleeper waits for a time more precisely than the timers of package time, which are
// up to a millisecond late, and can be woken. It belongs to one goroutine, which has
// a thread of its own.
type sleeper struct{ poll poller }

func (s *sleeper) open() error { return s.poll.open() }

func (s *sleeper) close() { s.poll.close() }

func (s *sleeper) wake() { s.poll.wake() }

func (s *sleeper) own() {
	runtime.LockOSThread()
	noSlack()
}

func (s *sleeper) sleep(until time.Duration, now func() time.Duration) { s.poll.wait(until, now) }
