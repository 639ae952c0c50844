//go:build !linux

package swarm

import "time"

// sleeper waits for a time, and can be woken. It belongs to one goroutine.
type sleeper struct{ woken chan struct{} }

func (s *sleeper) open() error {
	s.woken = make(chan struct{}, 1)
	return nil
}

func (s *sleeper) close() {}

func (s *sleeper) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *sleeper) own() {}

func (s *sleeper) sleep(until time.Duration, now func() time.Duration) {
	t := time.NewTimer(until - now())
	defer t.Stop()
	select {
	case <-s.woken:
	case <-t.C:
	}
}
