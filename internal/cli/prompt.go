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

// errNoTerminal is the error of Ask without a terminal.
var errNoTerminal = errors.New("there is no terminal to prompt on")

// CanAsk reports whether Ask has a terminal to prompt on.
func (e *Env) CanAsk() bool { return e.askSecret != nil }

// Ask prompts the user for a secret, without echo, until ctx is done; the error is then the
// cause of ctx. If the terminal is closed, the error is errHungUp.
func (e *Env) Ask(ctx context.Context, prompt string) ([]byte, error) {
	if e.askSecret == nil {
		return nil, errNoTerminal
	}
	defer e.Begin()()
	b, err := e.askSecret(ctx, prompt)
	return b, hangup(err)
}

// AskFor is Ask for an option, which the error names.
func (inv *Invocation) AskFor(ctx context.Context, name, prompt string) ([]byte, error) {
	b, err := inv.Ask(ctx, prompt)
	if err != nil && ctx.Err() == nil && err != errHungUp {
		err = option.Usagef("--%s: %v", name, err)
	}
	return b, err
}

// askTerminal prompts on the terminal of the process, even if its streams are redirected.
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
	if in != os.Stdin && ctx.Err() == nil { // otherwise it is still being read
		_ = in.Close()
	}
	return b, err
}

// restore resets a terminal to the modes it had before a password was read. The read may
// still be running and about to change them.
func restore(fd int, modes *term.State) {
	for range 20 {
		if now, err := term.GetState(fd); err != nil || *now != *modes {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = term.Restore(fd, modes)
}

// TerminalSize returns the number of columns and lines of a terminal, 80 and 24 where they
// are unknown.
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

// hashPassword returns the line that --hash-password prints. The password is typed twice,
// or read from standard input.
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
			err = Failed(option.ExitUsage, errors.New("--hash-password: the passwords differ"))
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
