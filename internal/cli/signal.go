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

// Signals returns a context that the first SIGINT or SIGTERM cancels, with a
// *SignalError as its cause. The tool then drains: it starts nothing new, waits
// for what is under way (with a context of its own, context.WithoutCancel and
// a time limit) and returns. The second signal ends the process at once with
// 130 or 143. Stop gives the signals their usual meaning back and cancels the
// context.
//
// While it is in force a write to a closed pipe on stdout returns EPIPE; by
// default the Go runtime kills the process by SIGPIPE. The signal is caught,
// not ignored, so that child processes start with its usual meaning.
func Signals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, ready, stop := signals(parent)
	<-ready
	return ctx, stop
}

// signals is Signals that returns before the signals are caught: that takes a
// tenth of a millisecond, in which a one-shot tool can read its options. ready
// is closed then.
func signals(parent context.Context) (ctx context.Context, done <-chan struct{}, stop func()) {
	asks := make(chan os.Signal, 2)
	pipes := make(chan os.Signal, 1) // never read; being notified is enough
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		signal.Notify(asks, os.Interrupt, syscall.SIGTERM)
		signal.Notify(pipes, syscall.SIGPIPE)
	}()
	ctx, end := watchSignals(parent, asks, os.Exit)
	return ctx, ready, func() {
		<-ready
		signal.Stop(asks)
		signal.Stop(pipes)
		end()
	}
}

// watchSignals is Signals without the operating system.
func watchSignals(parent context.Context, asks <-chan os.Signal, exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-asks:
			cancel(&SignalError{s})
		case <-quit:
			return
		}
		select {
		case s := <-asks:
			exit((&SignalError{s}).ExitCode())
		case <-quit:
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() { close(quit) })
		<-done
		cancel(context.Canceled)
	}
}
