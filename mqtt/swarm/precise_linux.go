package swarm

import (
	"runtime"
	"sync"
	"time"
)

// precise is a sleeper that is late by only some microseconds. Its goroutine is locked
// to a thread that ends with it, as does the thread's timer slack.
type precise struct{ poller }

func newPrecise() sleeper { return new(precise) }

func (s *precise) lockThread() {
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

// processors changes GOMAXPROCS. A loop that waits in a system call keeps a processor
// for up to 10 ms, until the runtime's monitor retakes it. With one more processor for
// each loop the other goroutines find one free at once.
func processors(by int) {
	processorsMu.Lock()
	defer processorsMu.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by)
}
