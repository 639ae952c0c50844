package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// SignalError is the cause of a context that a signal has cancelled.
type SignalError struct{ Signal os.Signal }

func (e *SignalError) Error() string {
	if e.Signal == syscall.SIGTERM {
		return "terminated"
	}
	return "interrupted"
}

// ExitCode is 130 for SIGINT and 143 for SIGTERM.
func (e *SignalError) ExitCode() int {
	if e.Signal == syscall.SIGTERM {
		return ExitTerminated
	}
	return ExitInterrupt
}

// signals returns a context that the first SIGINT or SIGTERM cancels, with a
// *SignalError as its cause. The tool then drains: it starts nothing new, waits
// for what is under way (with a context of its own, context.WithoutCancel and
// a time limit) and returns. The second signal ends the process at once with
// 130 or 143.
//
// All this is in force from the first call of catch on. From then on, too, a
// write to a closed pipe on stdout returns EPIPE; by default the Go runtime
// kills the process by SIGPIPE. The signal is caught, not ignored, so that
// child processes start with its usual meaning.
func signals(parent context.Context) (ctx context.Context, catch func()) {
	ctx, cancel := context.WithCancelCause(parent)
	return ctx, sync.OnceFunc(func() {
		asks := make(chan os.Signal, 2)
		pipes := make(chan os.Signal, 1) // never read; being notified is enough
		signal.Notify(asks, os.Interrupt, syscall.SIGTERM)
		signal.Notify(pipes, syscall.SIGPIPE)
		go watchSignals(asks, cancel, os.Exit)
	})
}

// onHangup calls f at each SIGHUP until stop.
func onHangup(f func()) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-hangups:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
	}
}

// watchSignals is signals without the operating system.
func watchSignals(asks <-chan os.Signal, cancel context.CancelCauseFunc, exit func(int)) {
	cancel(&SignalError{<-asks})
	exit((&SignalError{<-asks}).ExitCode())
}
