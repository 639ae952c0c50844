package cli

import (
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
	switch e.Signal {
	case syscall.SIGTERM:
		return "terminated"
	case syscall.SIGHUP:
		return "hung up"
	case syscall.SIGQUIT:
		return "quit"
	}
	return "interrupted"
}

// ExitCode returns 128 and the signal's number, which is what a shell calls a
// death by it.
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

// ending returns the signals that end a tool: those that a terminal or a service
// manager sends for it, but for those that whoever started the tool has it ignore,
// as nohup and a shell's "&" do. (Go's runtime keeps no record of that but for
// SIGINT and SIGHUP.)
func ending() (all []os.Signal) {
	for _, s := range [...]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
}

// signals is what signals do to a tool.
type signals struct {
	ctx    context.Context // ends with the first, with a *SignalError as its cause
	cancel context.CancelCauseFunc
	hurry  chan struct{} // closed by the second
	hangup atomic.Pointer[func()]

	mu       sync.Mutex
	underway int // what has begun and not ended
	exit     func(code int)
}

// newSignals returns what is in force from the first call of its catch on.
//
// The first signal ends the process if nothing is under way, see Env.Begin. Else it
// cancels ctx. The tool then drains: it starts nothing new, waits for what is under way
// (with a context of its own, context.WithoutCancel and a time limit) and returns; then
// the process dies by the signal, see die. The second closes hurry: the tool waits for
// nothing more. If it is still there hurryTime later, or at the third, the process dies
// nevertheless.
//
// From catch on, too, a write to a closed pipe on stdout returns EPIPE; by default
// the Go runtime kills the process by SIGPIPE. The signal is caught, not ignored, so
// that child processes start with its usual meaning.
func newSignals(parent context.Context) *signals {
	s := &signals{hurry: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	return s
}

// catch begins to catch signals.
func (s *signals) catch(exit func(code int)) {
	asks := make(chan os.Signal, 3)
	pipes := make(chan os.Signal, 1)   // never read; being notified is enough
	if all := ending(); len(all) > 0 { // Notify means every signal by none
		signal.Notify(asks, all...)
	}
	signal.Notify(pipes, syscall.SIGPIPE)
	s.exit = exit
	go s.watch(asks)
}

// begin says that something is under way, until end. If a signal has come meanwhile,
// the end of the last is that of the process.
func (s *signals) begin() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underway++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.underway--
		if sig, ok := errors.AsType[*SignalError](context.Cause(s.ctx)); ok && s.underway == 0 {
			s.exit(sig.ExitCode())
		}
	})
}

// first is what the first signal does.
func (s *signals) first(sig *SignalError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underway == 0 {
		s.exit(sig.ExitCode())
	}
	s.cancel(sig)
}

// unlessUnderway calls f if nothing is under way. Nothing begins before f returns.
func (s *signals) unlessUnderway(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underway == 0 {
		f()
	}
}

// hurryTime is how long a tool may take to end after the second signal.
const hurryTime = 500 * time.Millisecond

// watch handles the signals that come.
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

// Await returns what f does, or the cause of ctx if that ends first: f may hang until
// the process ends, as in the opening or reading of a named pipe.
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

// OnHangup makes SIGHUP call f, and not end the tool, until stop. The signals of
// nohup and of background jobs are none: who starts a tool with SIGHUP ignored has
// no use for f.
func (e *Env) OnHangup(f func()) (stop func()) {
	if e.signals == nil {
		return func() {}
	}
	e.CatchSignals()
	e.signals.hangup.Store(&f)
	return func() { e.signals.hangup.Store(nil) }
}

// Hurry returns a channel that the second signal closes: what a tool still waits
// for is to be given up, and counted.
func (e *Env) Hurry() <-chan struct{} {
	if e.signals == nil {
		return nil
	}
	return e.signals.hurry
}

// dieBy ends the process as code says that Run returned: by the signal, if it is
// that of one, so that a shell's loop ends at Ctrl-C and a service manager sees
// what happened. Where that does not end it, as for the first process of a PID
// namespace, or where there are no signals, code is the exit status.
func dieBy(code int) int {
	if code > option.Signaled {
		die(syscall.Signal(code - option.Signaled))
	}
	return code
}
