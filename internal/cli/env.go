package cli

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Env is everything a tool gets from outside: its words, its streams, the
// environment and which streams are terminals.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Lookup LookupFunc // nil: no environment

	StdinIsTerminal  bool
	StdoutIsTerminal bool
	StderrIsTerminal bool

	ready <-chan struct{} // closed when signals are caught; nil: they are
}

// settle waits until signals, SIGPIPE among them, are caught.
func (e *Env) settle() {
	if e.ready != nil {
		<-e.ready
	}
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
	}
	if len(os.Args) > 1 { // argv may be empty
		env.Args = os.Args[1:]
	}
	return env
}

func isTerminal(f *os.File) (yes bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	// Not f.Fd, which may put a file shared with other processes into blocking mode.
	_ = conn.Control(func(fd uintptr) {
		yes = isatty.IsTerminal(fd) || isatty.IsCygwinTerminal(fd)
	})
	return yes
}

// MapEnv makes a LookupFunc of a map, for tests.
func MapEnv(vars map[string]string) LookupFunc {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func (e *Env) getenv(name string) string {
	if e.Lookup == nil {
		return ""
	}
	v, _ := e.Lookup(name)
	return v
}
