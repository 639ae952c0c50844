//go:build unix && !linux

package cli

import (
	"os/signal"
	"syscall"
	"time"
)

// die ends the process by sig where Go's runtime does what the kernel would. The runtime
// prints a trace for SIGQUIT and does nothing for SIGPIPE.
func die(sig syscall.Signal) {
	switch sig {
	case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP:
		signal.Reset(sig)
		if syscall.Kill(syscall.Getpid(), sig) == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// byDefault does nothing here: SIGQUIT prints a trace until signals are caught.
func byDefault(syscall.Signal) (undo func(), ok bool) { return func() {}, false }
