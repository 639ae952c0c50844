package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/textfile"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// errNoTerminal is the answer of ask where nobody can be asked.
var errNoTerminal = errors.New("there is no terminal to ask on")

// CanAsk reports whether ask has somebody to ask.
func (e *Env) CanAsk() bool { return e.askSecret != nil }

// Ask asks a user for a secret, which is not shown, until ctx ends; its cause is then
// the error. When the terminal is closed it is that of the hangup.
func (e *Env) Ask(ctx context.Context, prompt string) ([]byte, error) {
	if e.askSecret == nil {
		return nil, errNoTerminal
	}
	defer e.Begin()()
	b, err := e.askSecret(ctx, prompt)
	return b, hangup(err)
}

// AskFor is ask for an option, which the error names.
func (inv *Invocation) AskFor(ctx context.Context, name, prompt string) ([]byte, error) {
	b, err := inv.Ask(ctx, prompt)
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

// hashPassword is the line that --hash-password writes: of a password that is
// typed twice, or that standard input has.
func (inv *Invocation) hashPassword(ctx context.Context) (string, error) {
	if err := inv.CheckOutput(); err != nil {
		return "", err
	}
	var password []byte
	var err error
	if inv.StdinIsTerminal {
		var again []byte
		if password, err = inv.AskFor(ctx, "hash-password", "password: "); err == nil {
			again, err = inv.AskFor(ctx, "hash-password", "the same again: ")
		}
		if err == nil && string(password) != string(again) {
			err = Failed(option.ExitUsage, errors.New("--hash-password: they are not the same"))
		}
	} else if password, err = io.ReadAll(io.LimitReader(inv.Stdin, packet.MaxString+3)); err != nil {
		err = Failed(option.ExitUsage, fmt.Errorf("--hash-password: %w", err))
	}
	switch password = textfile.TrimLine(password); {
	case err != nil:
		return "", err
	case len(password) == 0 || len(password) > packet.MaxString:
		return "", Failed(option.ExitUsage, fmt.Errorf("--hash-password: a password of %d bytes", len(password)))
	}
	keys, err := auth.NewKeys("SCRAM-SHA-512", string(password))
	return keys.String() + "\n", err
}
