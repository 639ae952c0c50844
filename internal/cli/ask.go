package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/mqtools/mqtools/internal/option"
)

// errNoTerminal is the answer of ask where nobody can be asked.
var errNoTerminal = errors.New("there is no terminal to ask on")

// canAsk tells whether ask has somebody to ask.
func (e *Env) canAsk() bool { return e.askSecret != nil }

// ask asks a user for a secret, which is not shown, until ctx ends; its cause is then
// the error. When the terminal is closed it is that of the hangup.
func (e *Env) ask(ctx context.Context, prompt string) ([]byte, error) {
	if e.askSecret == nil {
		return nil, errNoTerminal
	}
	defer e.Begin()()
	b, err := e.askSecret(ctx, prompt)
	return b, hangup(err)
}

// askFor is ask for an option, which the error names.
func (inv *Invocation) askFor(ctx context.Context, name, prompt string) ([]byte, error) {
	b, err := inv.ask(ctx, prompt)
	if err != nil && ctx.Err() == nil && err != errHungUp {
		err = option.Usagef("--%s: %v", name, err)
	}
	return b, err
}

// askTerminal asks on the terminal of the process, wherever its streams go.
func askTerminal(ctx context.Context, prompt string) ([]byte, error) {
	in, out := os.Stdin, os.Stderr
	if runtime.GOOS != "windows" {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return nil, errNoTerminal
		}
		in, out = tty, tty
	} else if !term.IsTerminal(int(in.Fd())) {
		return nil, errNoTerminal
	}
	fd := int(in.Fd())
	modes, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	_, _ = io.WriteString(out, prompt)
	b, err := Await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if ctx.Err() != nil {
		restore(fd, modes)
	}
	_, _ = io.WriteString(out, "\n")
	if in != os.Stdin && ctx.Err() == nil { // else it is still read
		_ = in.Close()
	}
	return b, err
}

// restore gives a terminal back the modes that it had before somebody began to read a
// password there, who may be about to change them.
func restore(fd int, modes *term.State) {
	for range 20 {
		if now, err := term.GetState(fd); err != nil || *now != *modes {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = term.Restore(fd, modes)
}

// TerminalSize is how many columns and lines a terminal has; 80 and 24 for what
// does not say.
func TerminalSize(f *os.File) (width, height int) {
	conn, err := f.SyscallConn()
	if err == nil {
		_ = conn.Control(func(fd uintptr) { width, height, err = term.GetSize(int(fd)) })
	}
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}
