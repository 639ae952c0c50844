package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// ExitCoder is an error that knows the exit status of its program. An error may also have a
// method Hint() string, which returns the line printed below it.
type ExitCoder interface {
	error
	ExitCode() int
}

// Exit adds an exit code, and optionally a hint, to an error. If Err is nil, the program
// exits with the code and prints nothing.
type Exit struct {
	Code int
	Err  error
	Help string // the hint; lower case, no full stop
}

// Failed wraps err so that the program exits with code.
func Failed(code int, err error) error { return &Exit{Code: code, Err: err} }

// ErrPipe ends a tool whose standard output has lost its reader. Like SIGPIPE for other
// programs, it prints nothing.
var ErrPipe = ExitSilently(option.ExitPipe)

// errHungUp ends a tool whose standard output is a closed terminal, as SIGHUP does, which
// comes at the same time.
var errHungUp = ExitSilently(option.ExitHangup)

// ReaderLost reports whether err means that standard output has lost its reader: the last
// output may not have been read.
func ReaderLost(err error) bool { return errors.Is(err, ErrPipe) || errors.Is(err, errHungUp) }

// OutputError returns the error that ends a tool after a failed write to standard output:
// one of ReaderLost, or that local output failed.
func OutputError(tools option.ToolSet, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok { // of the path /dev/stdout
		err = e.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errHungUp):
		return errHungUp
	case transport.IsClosedPipe(err):
		return ErrPipe
	case tools&option.Bench != 0: // its code ExitLocalIO has another meaning
		return Failed(option.ExitFailure, fmt.Errorf("standard output: %w", err))
	}
	return Failed(option.ExitLocalIO, fmt.Errorf("standard output: %w", err))
}

// ErrTimeout is the cause of a context that --timeout has ended.
var ErrTimeout = errors.New("timed out")

// Limit returns ctx limited by --timeout, which bounds the whole command.
func (inv *Invocation) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if limit := inv.Values.Timeout.Duration(); limit > 0 {
		ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrTimeout)
		context.AfterFunc(ctx, func() {
			if s := inv.signals; s != nil && context.Cause(ctx) == ErrTimeout {
				s.unlessBusy(func() { inv.Abandon(ctx, inv.TimedOut("not connected")) })
			}
		})
		inv.endInTime(ctx)
		return ctx, cancel
	}
	return ctx, func() {}
}

// TimedOut returns the error of a command that timed out. detail says how far it got.
func (inv *Invocation) TimedOut(detail string) error {
	return Failed(option.ExitTimeLimit, fmt.Errorf("timed out after %s (%s)", units.Short(inv.Values.Timeout.Duration()), detail))
}

// WhileRead returns a context that is canceled, with cause ErrPipe, when standard output
// has lost its reader, even while nothing is written to it.
func (inv *Invocation) WhileRead(ctx context.Context) (context.Context, context.CancelFunc) {
	if inv.StdoutIsTerminal {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	inv.onClosedPipe(ctx, func() { cancel(ErrPipe) })
	return ctx, func() { cancel(nil) }
}

// AbandonUnread ends the process when standard output has lost its reader, until ctx is
// done.
func (inv *Invocation) AbandonUnread(ctx context.Context) {
	inv.onClosedPipe(ctx, func() { inv.Abandon(ctx, ErrPipe) })
}

// onClosedPipe calls f when standard output has lost its reader, unless ctx is done before.
func (inv *Invocation) onClosedPipe(ctx context.Context, f func()) {
	closed := WatchClosedPipe(ctx, inv.StdoutFile())
	go func() {
		select {
		case <-closed:
			f()
		case <-ctx.Done():
		}
	}()
}

// CheckOutput returns an error if standard output was closed at the start. A tool calls it
// before it receives what it is going to write there.
func (inv *Invocation) CheckOutput() error {
	if !inv.stdoutClosed {
		return nil
	}
	return &Exit{Code: CodeOf(context.Background(), OutputError(inv.Tool.Bit, errClosed)), Err: errClosed,
		Help: "to discard the output, write it to /dev/null (>/dev/null)"}
}

var errClosed = errors.New("standard output is closed")

// ExitSilently returns an error that exits with code and prints nothing.
func ExitSilently(code int) error { return &Exit{Code: code} }

func (e *Exit) Error() string {
	if e.Err == nil {
		return "exit"
	}
	return e.Err.Error()
}

// Unwrap returns the wrapped error, which may be nil.
func (e *Exit) Unwrap() error { return e.Err }

// ExitCode returns the exit status of the program.
func (e *Exit) ExitCode() int { return e.Code }

// Hint returns the hint of e, or "": then the hint of the wrapped error is used.
func (e *Exit) Hint() string {
	return e.Help
}

// CodeOf maps an error to an exit code: 0 for nil, that of the outermost ExitCoder in its
// chain, the code of the signal that canceled ctx if err is that cancellation or one of
// ReaderLost, and 1 for everything else.
func CodeOf(ctx context.Context, err error) int {
	if err == nil {
		return option.ExitDone
	}
	if signal, ok := errors.AsType[*SignalError](context.Cause(ctx)); ok && (errors.Is(err, context.Canceled) || ReaderLost(err)) {
		return signal.ExitCode()
	}
	for e := err; ; {
		var coder ExitCoder
		if !errors.As(e, &coder) {
			break
		}
		// The error of a child process (os/exec) has the same method, which returns the
		// status of another program.
		if _, child := coder.(interface{ Pid() int }); child {
			break
		}
		if code := coder.ExitCode(); code >= 0 && code <= 255 {
			return code
		}
		if e = errors.Unwrap(coder); e == nil {
			break
		}
	}
	return option.ExitFailure
}

// HintOf returns the hint of the outermost error in the chain that has one.
func HintOf(err error) string {
	var hinter interface {
		error
		Hint() string
	}
	for e := err; errors.As(e, &hinter); e = errors.Unwrap(hinter) {
		if hint := hinter.Hint(); hint != "" {
			return hint
		}
	}
	if errors.Is(err, transport.ErrKeyEncrypted) {
		return "give its password with --key-password-file, or decrypt it: openssl pkey -in old.pem -out new.pem"
	}
	if te, ok := errors.AsType[*transport.Error](err); ok {
		return remedyOf(te)
	}
	return ""
}
