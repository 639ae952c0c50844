package cli

import (
	"context"
	"errors"

	"github.com/mqtools/mqtools/mqtt/transport"
)

// The exit codes. ExitCodes has them as a table.
const (
	ExitDone       = 0
	ExitFailure    = 1
	ExitUsage      = 2
	ExitUnreached  = 3
	ExitRefused    = 4
	ExitDenied     = 5
	ExitLocalIO    = 6
	ExitLost       = 7
	ExitThreshold  = 4 // of mqbench, as the next three
	ExitLoss       = 5
	ExitGenerator  = 6
	ExitSaturated  = 7
	ExitTimeLimit  = 27
	ExitNothing    = 28
	ExitInterrupt  = 130
	ExitTerminated = 143
)

// ExitStatus is one row of the table of exit codes.
type ExitStatus struct {
	Code  int
	Name  string // one or two words, stable, for tests and logs
	Text  string // when, for --help and the man page
	Tools ToolSet
}

// ExitCodes is the table of exit codes of a tool, in ascending order.
func ExitCodes(tools ToolSet) []ExitStatus {
	all := [...]ExitStatus{
		{ExitDone, "done", "the work asked for was done", All},
		{ExitFailure, "failure", "any other failure", All},
		{ExitUsage, "usage", "usage or configuration", All},
		{ExitUnreached, "not reached", "broker not reached: name, TCP, proxy, TLS, WebSocket", All},
		{ExitThreshold, "threshold", "a threshold was missed", Bench},
		{ExitRefused, "refused", "broker refused the connection (CONNACK)", PubSub},
		{ExitLoss, "loss", "messages were lost, duplicated, reordered or corrupted", Bench},
		{ExitDenied, "denied", "broker refused an operation (SUBACK, PUBACK, PUBREC)", PubSub},
		{ExitGenerator, "generator limited", "this machine was the limit, not the broker", Bench},
		{ExitLocalIO, "local i/o", "local input or output failed", PubSub},
		{ExitSaturated, "saturated", "the broker did not keep up with the load", Bench},
		{ExitLost, "lost", "connection lost and not recovered; unacknowledged messages remain", PubSub},
		{ExitTimeLimit, "time limit", "a time limit was reached", PubSub},
		{ExitNothing, "nothing", "nothing matched", PubSub},
		{ExitInterrupt, "interrupted", "SIGINT before the work was done", All},
		{ExitTerminated, "terminated", "SIGTERM before the work was done", All},
	}
	rows := make([]ExitStatus, 0, len(all))
	for _, row := range all {
		if row.Tools&tools != 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// ExitCoder is an error that knows the status its program ends with. An error
// may also have a method Hint() string, the line shown below it.
type ExitCoder interface {
	error
	ExitCode() int
}

// Exit gives an error an exit code, and optionally a hint. Err may be nil: the
// program then ends with the code and says nothing.
type Exit struct {
	Code int
	Err  error
	Help string // the hint; lower case, no full stop
}

// Failed wraps err so that the program ends with code.
func Failed(code int, err error) error { return &Exit{Code: code, Err: err} }

// Quietly ends the program with code and without a word.
func Quietly(code int) error { return &Exit{Code: code} }

func (e *Exit) Error() string {
	if e.Err == nil {
		return "exit"
	}
	return e.Err.Error()
}

// Unwrap returns the wrapped error, which may be nil.
func (e *Exit) Unwrap() error { return e.Err }

// ExitCode is the status of the program.
func (e *Exit) ExitCode() int { return e.Code }

// Hint is the hint of e, or else of the error it wraps.
func (e *Exit) Hint() string {
	if e.Help != "" {
		return e.Help
	}
	return hintOf(e.Err)
}

// CodeOf maps an error to an exit code: 0 for nil, what the outermost
// ExitCoder in its chain says, the code of the signal that cancelled ctx when
// err is that cancellation, and 1 for everything else.
func CodeOf(ctx context.Context, err error) int {
	if err == nil {
		return ExitDone
	}
	for e := err; ; {
		var coder ExitCoder
		if !errors.As(e, &coder) {
			break
		}
		// The error of a child process (os/exec) has the same method and means
		// another program's status.
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
	if errors.Is(err, context.Canceled) {
		if signal, ok := errors.AsType[*SignalError](context.Cause(ctx)); ok {
			return signal.ExitCode()
		}
	}
	return ExitFailure
}

// hintOf returns the hint of the outermost error in the chain that has one.
func hintOf(err error) string {
	var hinter interface {
		error
		Hint() string
	}
	if err != nil && errors.As(err, &hinter) && hinter.Hint() != "" {
		return hinter.Hint()
	}
	if errors.Is(err, transport.ErrKeyEncrypted) {
		return "give its password with --key-password-file, or decrypt it: openssl pkey -in old.pem -out new.pem"
	}
	var te *transport.Error
	if errors.As(err, &te) {
		return te.Hint
	}
	return ""
}
