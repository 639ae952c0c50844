// Package fileerror rewords file errors of the operating system. Package os words them with
// the name of a call, and differently on each system.
package fileerror

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Quote quotes the path of a file for a message. On Windows, backslashes between names are
// not doubled, so that the path can be copied.
func Quote(path string) string { return quote(runtime.GOOS, path) }

func quote(goos, path string) string {
	quoted := strconv.Quote(path)
	if goos == "windows" {
		return strings.ReplaceAll(quoted, `\\`, `\`)
	}
	return quoted
}

// Explain returns err with an error of package os in it reworded, such as "cannot read "x":
// no such file". It returns other errors unchanged.
func Explain(err error) error {
	if _, done := errors.AsType[*explained](err); done || err == nil {
		return err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return explain(err, e, e.Op, e.Path, e.Err)
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return explain(err, e, e.Op, e.New, e.Err)
	}
	return err
}

// ExplainAll explains the errors among the arguments of a format, in place, and returns
// them.
func ExplainAll(args []any) (errs []error) {
	for i, a := range args {
		if err, ok := a.(error); ok {
			err = Explain(err)
			args[i], errs = err, append(errs, err)
		}
	}
	return errs
}

// Writing is Explain for a file that was to be created.
func Writing(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Op == "open" {
		return explain(err, e, "create", e.Path, e.Err)
	}
	return Explain(err)
}

func explain(err, part error, op, path string, cause error) error {
	verb := "write"
	switch op {
	case "open", "read", "stat", "lstat", "readlink", "seek":
		verb = "read"
	}
	reason, hint := Reason(cause), "check the path"
	switch {
	case verb == "read" && isUnnamedDirectory(path):
		reason = "is a directory"
	case errors.Is(cause, fs.ErrNotExist) && verb == "write":
		reason, hint = "no such directory", "make the directory first"
	case errors.Is(cause, fs.ErrNotExist):
	case errors.Is(cause, fs.ErrPermission):
		hint = "check the permissions of the file and its directory"
	default:
		hint = ""
	}
	text := "cannot " + verb + " " + Quote(path) + ": " + reason
	return &explained{strings.ReplaceAll(err.Error(), part.Error(), text), hint, err}
}

// isUnnamedDirectory reports whether a path is a directory, on Windows, where reading one
// fails with "incorrect function".
func isUnnamedDirectory(path string) bool {
	if runtime.GOOS != "windows" {
		return false
	}
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// Reason returns the system's reason, without the call and the path around it.
func Reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	return err.Error()
}

// explained is a reworded error.
type explained struct {
	text string
	hint string
	err  error
}

func (e *explained) Error() string { return e.text }

func (e *explained) Unwrap() error { return e.err }

// Hint returns the remedy, or "".
func (e *explained) Hint() string { return e.hint }
