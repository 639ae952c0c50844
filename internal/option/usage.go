package option

import (
	"fmt"

	"github.com/mqtools/mqtools/internal/fileerror"
)

// UsageError reports a command line, an environment variable or a combination of options
// that cannot work. It is printed as one line and one hint line, and the program exits with
// ExitUsage. Text repeats the offending value, quoted, with its option or variable, but
// never the value of a secret option.
type UsageError struct {
	Text string
	Help string // the hint; empty: try 'TOOL --help'

	cause error
}

// Usagef returns a usage error: lower case, no full stop. It wraps the last error among
// args, which may have the hint.
func Usagef(format string, args ...any) *UsageError {
	e := &UsageError{}
	for _, err := range fileerror.ExplainAll(args) {
		e.cause = err
	}
	e.Text = fmt.Sprintf(format, args...)
	return e
}

// WithHint sets the hint line and returns e.
func (e *UsageError) WithHint(format string, args ...any) *UsageError {
	e.Help = fmt.Sprintf(format, args...)
	return e
}

func (e *UsageError) Error() string { return e.Text }

// Unwrap returns the wrapped error, or nil.
func (e *UsageError) Unwrap() error { return e.cause }

// ExitCode returns ExitUsage.
func (e *UsageError) ExitCode() int { return ExitUsage }

// Hint returns the hint line, or "".
func (e *UsageError) Hint() string { return e.Help }
