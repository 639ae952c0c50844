// Package single starts a program on one of Go's processors. A program that publishes one
// message exits before further processors are useful, and the threads that the runtime
// starts for them, with the memory that these touch first, take a tenth of its time.
//
// Package main of such a program imports it for its effect; it is initialized before most
// of the program. Package cli ends the effect with [stack.Settle] when something begins
// that may last, such as a connection that is to be restored.
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
