package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
)

func TestFirstSignalIsTheCauseAndSecondExits(t *testing.T) {
	t.Parallel()
	asks, exits := make(chan os.Signal), make(chan int, 1)
	ctx, cancel := context.WithCancelCause(context.Background())
	go watchSignals(asks, cancel, func(code int) { exits <- code })
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

// A tool that is done at once does without catching signals, which costs it a
// tenth of its time; one that is not, or that has something to say, does not.
func TestSignalsAreCaughtInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it   string
		run  func(caught <-chan struct{}, inv *Invocation) error
		want bool
	}{
		{"not for a quick run", func(<-chan struct{}, *Invocation) error { return nil }, false},
		{"for a run that takes its time", func(caught <-chan struct{}, _ *Invocation) error { <-caught; return nil }, true},
		{"before a line on stderr", func(_ <-chan struct{}, inv *Invocation) error { inv.Warnf("x"); return nil }, true},
		{"before an error is told", func(<-chan struct{}, *Invocation) error { return io.ErrUnexpectedEOF }, true},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			caught := make(chan struct{})
			isCaught := func() bool {
				select {
				case <-caught:
					return true
				default:
					return false
				}
			}
			env := Env{catch: sync.OnceFunc(func() { close(caught) })}
			env.Stderr = writerFunc(func(p []byte) (int, error) {
				if !isCaught() {
					t.Errorf("%q was written before signals were caught", p)
				}
				return len(p), nil
			})
			if !c.want {
				env.grace = -1 // never
			}
			Run(t.Context(), env, Tool{Name: "mqpub", Bit: Pub, Run: func(_ context.Context, inv *Invocation) error {
				return c.run(caught, inv)
			}})
			if got := isCaught(); got != c.want {
				t.Errorf("caught: got %v, want %v", got, c.want)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
