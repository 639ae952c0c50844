// Package single starts a program on one of Go's processors. A program that publishes
// one message ends before others are of use, and the threads that the runtime starts for
// them, with the memory that these touch first, are a tenth of its time.
//
// It is imported for its effect, by programs whose package main wants it, and
// initialized before most of what they do is. Package cli ends it, by [stack.Settle],
// when something begins that may last, as a connection that is to be restored.
package single

import (
	"runtime"
	"syscall"

	"github.com/mqtools/mqtools/internal/stack"
)

func init() {
	before := runtime.GOMAXPROCS(1)
	stack.Settle = func() {
		if _, chosen := syscall.Getenv("GOMAXPROCS"); chosen {
			runtime.GOMAXPROCS(before)
		} else {
			runtime.SetDefaultGOMAXPROCS()
		}
	}
}
