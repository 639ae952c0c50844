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

// Env is everything a tool gets from outside: its words, its streams, the
// environment and which streams are terminals.
type Env struct {
	Name   string   // what the program is invoked as: its path or that of a link
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Lookup option.LookupFunc // nil: no environment

	// Dial connects to the broker, whatever its address; nil: over the network.
	Dial func(context.Context) (net.Conn, error)

	SystemConfig string // path of the system's configuration file; empty: none

	StdinIsTerminal  bool
	StdoutIsTerminal bool
	StderrIsTerminal bool

	stdoutClosed bool // it was when the process started, and is /dev/null now

	// askSecret asks a user for a secret; nil: there is nobody.
	askSecret func(ctx context.Context, prompt string) ([]byte, error)

	lostZone string // the value of TZ that names no time zone of this machine's

	unset   func(string)  // takes a variable out of the environment of children; nil: cannot
	exit    func(int)     // ends the process; nil: cannot
	signals *signals      // nil: none come
	catch   func()        // catches them; nil: they are
	settle  func()        // gives the process all processors; nil: it has them
	grace   time.Duration // until then without; 0 is the usual time, negative: for ever
}

// CatchSignals is Begin without an end.
func (e *Env) CatchSignals() { e.Begin() }

// Begin says that something is under way, until end: a connection, a child process, a
// terminal without echo, a file that is half written. The first signal then ends the
// context of Tool.Run. Else it ends the process: whatever that does may last for ever,
// as the reading of a named pipe does.
func (e *Env) Begin() (end func()) {
	e.CatchNow()
	if e.settle != nil {
		e.settle()
	}
	return e.BeginBriefly()
}

// BeginBriefly is Begin for what may be over before it is worth catching signals.
func (e *Env) BeginBriefly() (end func()) {
	if e.signals == nil {
		return func() {}
	}
	return e.signals.begin()
}

// CatchNow catches signals, SIGPIPE among them. Until then they have their usual
// meaning. It is called by itself before the first line on stderr, and some
// milliseconds after the start: a one-shot tool is done by then, and saves the two
// threads and the tenth of its time that catching signals costs.
func (e *Env) CatchNow() {
	if e.catch != nil {
		e.catch()
	}
}

// catchLater is catchNow when the time comes.
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

// catchFirst is a stream that signals are caught for before it is written.
type catchFirst struct {
	env *Env
	w   io.Writer
}

func (c *catchFirst) Write(p []byte) (int, error) {
	c.env.CatchNow()
	return c.w.Write(p)
}

// OSEnv is the environment of this process.
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

// closedInput is standard input that was closed when the process started: whoever
// reads it learns that, and does not take it for an empty file.
type closedInput struct{}

func (closedInput) Read([]byte) (int, error) {
	return 0, errors.New("closed when the program started; </dev/null is empty")
}

func isTerminal(f *os.File) bool {
	return controls(f, func(fd uintptr) bool { return isatty.IsTerminal(fd) || isatty.IsCygwinTerminal(fd) })
}

// environment is what options are read from beside the words.
func (e *Env) environment() *option.Environment {
	return &option.Environment{Lookup: e.Lookup, SystemConfig: e.SystemConfig}
}

// Variable finds a variable.
func (e *Env) Variable(name string) (string, bool) { return e.environment().Variable(name) }

// Getenv is a variable of the environment; "" where there is none.
func (e *Env) Getenv(name string) string { return e.environment().Getenv(name) }

// StderrSize is TerminalSize of the stream to which the tool talks.
func (e *Env) StderrSize() (width, height int) {
	w := e.Stderr
	if c, ok := w.(*catchFirst); ok {
		w = c.w
	}
	f, _ := w.(*os.File)
	return TerminalSize(f)
}

// UTF8 reports whether the user's locale writes UTF-8, as all terminals of Windows
// and macOS do.
func (e *Env) UTF8() bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	locale := strings.ToLower(cmp.Or(e.Getenv("LC_ALL"), e.Getenv("LC_CTYPE"), e.Getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
