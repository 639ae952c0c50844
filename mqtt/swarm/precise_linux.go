package swarm

import (
	"runtime"
	"sync"
	"time"
)

// precise is a sleeper that is late by some microseconds only: its goroutine has a
// thread of its own, which ends with it, as its timer slack does.
type precise struct{ poller }

func newPrecise() sleeper { return new(precise) }

func (s *precise) own() {
	runtime.LockOSThread()
	noSlack()
	processors(+1)
}

func (s *precise) sleep(until time.Duration, now func() time.Duration) { s.wait(until, now) }

func (s *precise) close() {
	s.poller.close()
	processors(-1)
}

var processorsMu sync.Mutex

// processors changes GOMAXPROCS. While a loop waits in a system call it keeps one
// of those for up to 10 ms, until the runtime's monitor takes it away; with a
// processor more for each loop the other goroutines find one free at once.
func processors(by int) {
	processorsMu.Lock()
	defer processorsMu.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by)
}
