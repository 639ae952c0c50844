package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/mqtools/mqtools/internal/option"
)

// Env is everything a tool gets from outside: its words, its streams, the environment, and
// which streams are terminals.
type Env struct {
	Name   string   // the name it is invoked by: its path or that of a link
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Lookup option.LookupFunc // nil: no environment

	// Dial connects to the broker, at any address; nil means over the network.
	Dial func(context.Context) (net.Conn, error)

	SystemConfig string // path of the system's configuration file; empty: none

	StdinIsTerminal  bool
	StdoutIsTerminal bool
	StderrIsTerminal bool

	stdoutClosed bool // it was closed when the process started, and is /dev/null now

	// askSecret prompts the user for a secret; nil: there is no terminal.
	askSecret func(ctx context.Context, prompt string) ([]byte, error)

	lostZone string // the value of TZ that names no time zone known on this machine

	unset   func(string)  // removes a variable from the environment of children; nil: not possible
	exit    func(int)     // ends the process; nil: there is none
	signals *signals      // nil: no signals are handled
	catch   func()        // catches signals; nil: they are already caught
	settle  func()        // gives the process all processors; nil: it has them
	grace   time.Duration // time before signals are caught; 0 is the default, negative means never
}

// CatchSignals is Begin without an end.
func (e *Env) CatchSignals() { e.Begin() }

// Begin marks the start of work that must be cleaned up, until end is called: a connection,
// a child process, a terminal without echo, a file that is half written. During that time
// the first signal cancels the context of Tool.Run. At other times it ends the process,
// which may be stuck in something that lasts forever, such as reading a named pipe.
func (e *Env) Begin() (end func()) {
	e.CatchNow()
	if e.settle != nil {
		e.settle()
	}
	return e.BeginBriefly()
}

// BeginBriefly is Begin for work that may be done before it is worth catching signals.
func (e *Env) BeginBriefly() (end func()) {
	if e.signals == nil {
		return func() {}
	}
	return e.signals.begin()
}

// CatchNow catches signals, SIGPIPE among them. Until then they have their default action.
// It is called automatically before the first line on stderr, and some milliseconds after
// the start. A one-shot tool is done by then, and saves the two threads and the tenth of
// its time that catching signals costs.
func (e *Env) CatchNow() {
	if e.catch != nil {
		e.catch()
	}
}

// catchLater calls catchNow after the grace period.
func (e *Env) catchLater() *time.Timer {
	grace := e.grace
	if grace == 0 {
		grace = 5 * time.Millisecond
	}
	if grace < 0 {
		grace = 1<<63 - 1
	}
	return time.AfterFunc(grace, e.CatchNow)
}

// catchFirst is a stream that catches signals before it is written to.
type catchFirst struct {
	env *Env
	w   io.Writer
}

func (c *catchFirst) Write(p []byte) (int, error) {
	c.env.CatchNow()
	return c.w.Write(p)
}

// OSEnv returns the environment of this process.
func OSEnv() Env {
	env := Env{
		Stdin:            os.Stdin,
		Stdout:           os.Stdout,
		Stderr:           os.Stderr,
		Lookup:           os.LookupEnv,
		StdinIsTerminal:  isTerminal(os.Stdin),
		StdoutIsTerminal: isTerminal(os.Stdout),
		StderrIsTerminal: isTerminal(os.Stderr),
		SystemConfig:     option.SystemConfig(os.LookupEnv),
	}
	env.stdoutClosed = !env.StdoutIsTerminal && closedAtStart(1)
	if !env.StdinIsTerminal && closedAtStart(0) {
		env.Stdin = closedInput{}
	}
	if env.StderrIsTerminal || env.StdinIsTerminal {
		env.askSecret = askTerminal
	}
	if len(os.Args) > 0 { // argv may be empty
		env.Name, env.Args = os.Args[0], os.Args[1:]
	}
	return env
}

// closedInput is standard input that was closed when the process started: reading it fails,
// so that it is not mistaken for an empty file.
type closedInput struct{}

func (closedInput) Read([]byte) (int, error) {
	return 0, errors.New("closed when the program started; </dev/null is empty")
}

func isTerminal(f *os.File) bool {
	return controls(f, func(fd uintptr) bool { return isatty.IsTerminal(fd) || isatty.IsCygwinTerminal(fd) })
}

// environment returns the sources of options besides the words.
func (e *Env) environment() *option.Environment {
	return &option.Environment{Lookup: e.Lookup, SystemConfig: e.SystemConfig}
}

// Variable looks up a variable.
func (e *Env) Variable(name string) (string, bool) { return e.environment().Variable(name) }

// Getenv returns the value of a variable, or "".
func (e *Env) Getenv(name string) string { return e.environment().Getenv(name) }

// StderrSize is TerminalSize of the stream to which messages are written.
func (e *Env) StderrSize() (width, height int) {
	w := e.Stderr
	if c, ok := w.(*catchFirst); ok {
		w = c.w
	}
	f, _ := w.(*os.File)
	return TerminalSize(f)
}

// UTF8 reports whether the user's locale uses UTF-8, as all terminals of Windows and macOS
// do.
func (e *Env) UTF8() bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	locale := strings.ToLower(cmp.Or(e.Getenv("LC_ALL"), e.Getenv("LC_CTYPE"), e.Getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
