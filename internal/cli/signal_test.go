package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestFirstSignalIsTheCauseAndSecondExits(t *testing.T) {
	t.Parallel()
	asks, exits := make(chan os.Signal), make(chan int, 1)
	ctx, stop := watchSignals(context.Background(), asks, func(code int) { exits <- code })
	defer stop()
	if err := ctx.Err(); err != nil {
		t.Fatalf("before any signal: %v", err)
	}
	asks <- syscall.SIGINT
	<-ctx.Done()
	cause, ok := errors.AsType[*SignalError](context.Cause(ctx))
	if !ok || cause.Signal != syscall.SIGINT || cause.ExitCode() != 130 {
		t.Errorf("cause: got %v, want SIGINT with 130", context.Cause(ctx))
	}
	asks <- syscall.SIGTERM
	if code := <-exits; code != 143 {
		t.Errorf("second signal: got exit %d, want 143", code)
	}
}

func TestStopEndsTheWatchAndTheContext(t *testing.T) {
	t.Parallel()
	for name, signalled := range map[string]bool{"before a signal": false, "after a signal": true} {
		asks := make(chan os.Signal)
		ctx, stop := watchSignals(context.Background(), asks, func(int) { t.Error("exit called") })
		if signalled {
			asks <- os.Interrupt
		}
		stop()
		stop() // may be called again
		if ctx.Err() == nil {
			t.Errorf("%s: context still alive", name)
		}
	}
}

func TestParentsEndEndsTheContext(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancel(context.Background())
	ctx, stop := watchSignals(parent, nil, nil)
	defer stop()
	cancel()
	<-ctx.Done()
	if _, signalled := errors.AsType[*SignalError](context.Cause(ctx)); signalled {
		t.Error("the cause is a signal, want the parent's end")
	}
}
