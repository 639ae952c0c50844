package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

// SignalError is the cause of a context that a signal has canceled.
type SignalError struct{ Signal os.Signal }

func (e *SignalError) Error() string {
	name := map[os.Signal]string{syscall.SIGTERM: "terminated", syscall.SIGHUP: "hung up", syscall.SIGQUIT: "quit"}[e.Signal]
	return cmp.Or(name, "interrupted")
}

// ExitCode returns 128 plus the signal's number, the status that a shell reports for a
// process that the signal ended.
func (e *SignalError) ExitCode() int {
	if n, ok := e.Signal.(syscall.Signal); ok {
		return option.Signaled + int(n)
	}
	return option.ExitInterrupt
}

// AskedToEnd reports whether err is SIGINT or SIGTERM.
func AskedToEnd(err error) bool {
	s, ok := errors.AsType[*SignalError](err)
	return ok && (s.Signal == os.Interrupt || s.Signal == syscall.SIGTERM)
}

// ending returns the signals that end a tool: those that a terminal or a service manager
// sends for that purpose, except those that the process was started with ignored, as nohup
// and a shell's "&" do. (Go's runtime records that for SIGINT and SIGHUP only.)
func ending() (all []os.Signal) {
	for _, s := range [...]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// signals is how a tool reacts to signals.
type signals struct {
	ctx    context.Context // canceled by the first signal, with a *SignalError as its cause
	cancel context.CancelCauseFunc
	hurry  chan struct{} // closed by the second signal
	hangup atomic.Pointer[func()]

	mu         sync.Mutex
	inProgress int // the number of calls of begin that have not ended
	exit       func(code int)
}

// newSignals returns signals, which have an effect after the first call of catch.
//
// The first signal ends the process if no work is in progress, see Env.Begin. Otherwise it
// cancels ctx. The tool then drains: it starts nothing new, waits for what is in progress
// (with another context, from context.WithoutCancel and with a time limit) and returns;
// then the process dies by the signal, see die. The second signal closes hurry: the tool
// stops waiting. If it is still running hurryTime later, or at the third signal, the
// process dies at once.
//
// After catch, a write to a closed pipe on stdout returns EPIPE; by default, the Go runtime
// kills the process with SIGPIPE. The signal is caught, not ignored, so that child
// processes start with its default action.
func newSignals(parent context.Context) *signals {
	s := &signals{hurry: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	return s
}

// catch starts to catch signals.
func (s *signals) catch(exit func(code int)) {
	asks := make(chan os.Signal, 3)
	pipes := make(chan os.Signal, 1)   // never read; Notify is enough
	if all := ending(); len(all) > 0 { // Notify without signals means all of them
		signal.Notify(asks, all...)
	}
	signal.Notify(pipes, syscall.SIGPIPE)
	s.exit = exit
	go s.watch(asks)
}

// begin marks work as in progress until end is called. If a signal comes during that time,
// the last end ends the process.
func (s *signals) begin() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inProgress++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inProgress--
		if sig, ok := errors.AsType[*SignalError](context.Cause(s.ctx)); ok && s.inProgress == 0 {
			s.exit(sig.ExitCode())
		}
	})
}

// first handles the first signal.
func (s *signals) first(sig *SignalError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inProgress == 0 {
		s.exit(sig.ExitCode())
	}
	s.cancel(sig)
}

// unlessBusy calls f if no work is in progress. No work begins before f returns.
func (s *signals) unlessBusy(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inProgress == 0 {
		f()
	}
}

// hurryTime is how long a tool may take to exit after the second signal.
const hurryTime = 500 * time.Millisecond

// watch handles the signals that arrive.
func (s *signals) watch(asks <-chan os.Signal) {
	next := func() *SignalError {
		for {
			got := <-asks
			if f := s.hangup.Load(); f != nil && got == syscall.SIGHUP {
				(*f)()
				continue
			}
			return &SignalError{got}
		}
	}
	s.first(next())
	second := next()
	close(s.hurry)
	time.AfterFunc(hurryTime, func() { s.exit(second.ExitCode()) })
	s.exit(next().ExitCode())
}

// Await returns the result of f, or the cause of ctx if that ends first. f may hang until
// the process ends, as in opening or reading a named pipe.
func Await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// OnHangup makes SIGHUP call f instead of ending the tool, until stop is called. If the
// tool was started with SIGHUP ignored, as nohup and background jobs are, f is never
// called.
func (e *Env) OnHangup(f func()) (stop func()) {
	if e.signals == nil {
		return func() {}
	}
	e.CatchSignals()
	e.signals.hangup.Store(&f)
	return func() { e.signals.hangup.Store(nil) }
}

// Hurry returns a channel that the second signal closes: the tool must stop waiting for
// what is still outstanding, and count it.
func (e *Env) Hurry() <-chan struct{} {
	if e.signals == nil {
		return nil
	}
	return e.signals.hurry
}

// dieBy ends the process by the signal that code is the exit code of, if there is one, so
// that a shell's loop ends at Ctrl-C and a service manager sees what happened. If the signal
// does not end the process, as for the first process of a PID namespace, or if the system
// has no signals, code is the exit status.
func dieBy(code int) int {
	if code > option.Signaled {
		die(syscall.Signal(code - option.Signaled))
	}
	return code
}
