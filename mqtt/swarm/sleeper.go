package swarm

import "time"

// sleeper waits for a time, and can be woken. It belongs to one goroutine.
type sleeper interface {
	open() error
	lockThread() // called by the goroutine before the others
	sleep(until time.Duration, now func() time.Duration)
	wake()
	close()
}

// timer is a sleeper that uses the timers of package time, which are up to a
// millisecond late.
type timer struct{ woken chan struct{} }

func newTimer() sleeper { return &timer{make(chan struct{}, 1)} }

func (s *timer) open() error { return nil }

func (s *timer) lockThread() {}

func (s *timer) sleep(until time.Duration, now func() time.Duration) {
	if until == Never {
		<-s.woken
		return
	}
	t := time.NewTimer(until - now())
	defer t.Stop()
	select {
	case <-s.woken:
	case <-t.C:
	}
}

func (s *timer) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *timer) close() {}
