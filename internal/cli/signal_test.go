package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

func TestSignalsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asks, exits := make(chan os.Signal), make(chan int, 2)
		s := newSignals(t.Context())
		env := Env{signals: s, catch: func() {}}
		s.exit = func(code int) { exits <- code }
		ended := make(chan struct{})
		go func() {
			s.watch(asks)
			close(ended)
		}()
		hangups := 0
		stop := env.OnHangup(func() { hangups++ })
		asks <- syscall.SIGHUP
		synctest.Wait()
		if hangups != 1 || s.ctx.Err() != nil {
			t.Errorf("SIGHUP that has another use: %d, %v", hangups, s.ctx.Err())
		}
		stop()

		asks <- syscall.SIGHUP
		synctest.Wait()
		cause, ok := errors.AsType[*SignalError](context.Cause(s.ctx))
		if !ok || cause.Signal != syscall.SIGHUP || cause.ExitCode() != 129 {
			t.Errorf("the first: got %v, want SIGHUP with 129", context.Cause(s.ctx))
		}
		select {
		case <-env.Hurry():
			t.Error("there is a hurry at the first signal")
		case <-exits:
			t.Error("it ends at the first signal")
		default:
		}

		asks <- syscall.SIGTERM
		synctest.Wait()
		select {
		case <-env.Hurry():
		default:
			t.Error("no hurry at the second signal")
		}
		time.Sleep(hurryTime - 1)
		synctest.Wait()
		if len(exits) > 0 {
			t.Error("it ends before the time is up")
		}
		time.Sleep(time.Nanosecond)
		if code := <-exits; code != 143 {
			t.Errorf("when the time is up: got exit %d, want 143", code)
		}
		asks <- os.Interrupt
		if code := <-exits; code != 130 {
			t.Errorf("the third: got exit %d, want 130", code)
		}
		<-ended
	})
}

func TestASignalBeatsAClosedPipe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	if code := CodeOf(ctx, ErrPipe); code != 141 {
		t.Errorf("a closed pipe: got %d, want 141", code)
	}
	cancel(&SignalError{syscall.SIGQUIT})
	for _, err := range []error{ErrPipe, context.Canceled, context.Cause(ctx)} {
		if code := CodeOf(ctx, err); code != 131 {
			t.Errorf("%v after SIGQUIT: got %d, want 131", err, code)
		}
	}
	if code := CodeOf(ctx, nil); code != 0 {
		t.Errorf("success after SIGQUIT: got %d, want 0", code)
	}
}

// A tool that is done quickly does not catch signals, which would cost it a tenth of its
// time; one that runs longer or prints a message does.
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
		{"before an error is printed", func(<-chan struct{}, *Invocation) error { return io.ErrUnexpectedEOF }, true},
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
			Run(t.Context(), env, Tool{Program: option.Program{Name: "mqpub", Bit: option.Pub}, Run: func(_ context.Context, inv *Invocation) error {
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

// TestWhatLastsHasAllProcessors checks that lasting work gets all processors, and that
// short work does not.
func TestWhatLastsHasAllProcessors(t *testing.T) {
	t.Parallel()
	settled := 0
	env := Env{settle: func() { settled++ }}
	env.CatchNow()
	env.BeginBriefly()()
	if settled != 0 {
		t.Error("settled for what is brief")
	}
	env.CatchSignals()
	if settled != 1 {
		t.Errorf("settled %d times, want once", settled)
	}
}
