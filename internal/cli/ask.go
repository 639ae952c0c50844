package cli

import (
	"errors"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

// errNoTerminal is the answer of ask where nobody can be asked.
var errNoTerminal = errors.New("there is no terminal to ask on")

// canAsk tells whether ask has somebody to ask.
func (e *Env) canAsk() bool { return e.askSecret != nil }

// ask asks a user for a secret, which is not shown.
func (e *Env) ask(prompt string) ([]byte, error) {
	if e.askSecret == nil {
		return nil, errNoTerminal
	}
	return e.askSecret(prompt)
}

// askTerminal asks on the terminal of the process, wherever its streams go.
func askTerminal(prompt string) ([]byte, error) {
	in, out := os.Stdin, os.Stderr
	if runtime.GOOS != "windows" {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return nil, errNoTerminal
		}
		defer tty.Close()
		in, out = tty, tty
	} else if !term.IsTerminal(int(in.Fd())) {
		return nil, errNoTerminal
	}
	_, _ = io.WriteString(out, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	_, _ = io.WriteString(out, "\n")
	return b, err
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
