// Package process runs other programs: for what they print, or to speak with them
// through their standard input and output. It is the one place where the tools start
// any, and gives each what it needs to end in time: a process group of its own, so
// that what a shell has started ends with it, and an end to waiting for whoever still
// holds its output. A signal from the terminal does not reach such a group.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Shell returns a command for the system's shell. It gets this process's
// environment, without what an outer tool has put there for a handler of its own.
func Shell(command string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", command)
	if runtime.GOOS == "windows" {
		cmd = exec.Command("cmd", "/c", command)
	}
	cmd.Env = environ(os.Environ())
	return cmd
}

// environ returns the variables that a command inherits.
func environ(all []string) []string {
	kept := make([]string, 0, len(all))
	for _, v := range all {
		if !strings.HasPrefix(v, "MQ_MESSAGE_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// grace is how long a command may take to end when it was asked to, and how long its
// output is read on once it has ended and somebody else still holds it.
const grace = 200 * time.Millisecond

// ErrTooMuch is what the error of a command matches that printed more than it may.
var ErrTooMuch = errors.New("too much output")

// Output runs a command to its end and returns what it prints, at most most bytes;
// one that prints more is ended, and the error matches ErrTooMuch. When ctx ends, the
// command and all that its shell started are asked to end (SIGTERM), and killed 200 ms
// later; the error is then the cause of ctx. What a command leaves running in the
// background is not waited for.
func Output(ctx context.Context, cmd *exec.Cmd, most int) ([]byte, error) {
	ownGroup(cmd)
	return output(ctx, cmd, most, groupOf)
}

// Ask is Output for a command that may ask a person on the terminal, which only lets
// its own process group read: the command stays in this one. So Ctrl-C reaches it too,
// and when ctx ends, it is ended, but not what it started.
func Ask(ctx context.Context, cmd *exec.Cmd, most int) ([]byte, error) {
	return output(ctx, cmd, most, aloneOf)
}

// ender ends a command: first politely.
type ender interface {
	terminate()
	kill()
}

func output(ctx context.Context, cmd *exec.Cmd, most int, of func(*exec.Cmd) ender) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := bounded{most: most, full: cancel}
	cmd.Stdout, cmd.WaitDelay = &out, grace
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	var err error
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		if out.over {
			return nil, context.Cause(ctx)
		}
		if errors.Is(err, exec.ErrWaitDelay) { // it has ended, and well
			err = nil
		}
		return out.b.Bytes(), err
	case <-ctx.Done():
	}
	command := of(cmd)
	command.terminate()
	select {
	case <-ended:
		command.kill() // whom it left behind
	case <-time.After(grace):
		command.kill()
		<-ended
	}
	return nil, context.Cause(ctx)
}

// bounded keeps what is written to it, as long as that is not too much.
type bounded struct {
	b    bytes.Buffer
	most int
	full context.CancelCauseFunc
	over bool // more was to be written; read it when the writer has ended
}

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > w.most {
		w.over = true
		err := fmt.Errorf("%w: more than %d bytes", ErrTooMuch, w.most)
		w.full(err)
		return 0, err
	}
	return w.b.Write(p)
}

// Process is a command that runs in a process group of its own: a signal from
// the terminal does not reach it.
type Process struct {
	In  *os.File // writes to its standard input
	Out *os.File // reads its standard output

	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Start starts a command with pipes to its standard input and output.
func Start(cmd *exec.Cmd) (*Process, error) {
	in, toIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromOut, out, err := os.Pipe()
	if err != nil {
		_, _ = in.Close(), toIn.Close()
		return nil, err
	}
	cmd.Stdin, cmd.Stdout = in, out
	ownGroup(cmd)
	err = cmd.Start()
	_, _ = in.Close(), out.Close()
	if err != nil {
		_, _ = toIn.Close(), fromOut.Close()
		return nil, err
	}
	p := &Process{In: toIn, Out: fromOut, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Exited is closed when the command has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is what exec.Cmd.Wait says of the command's end, once Exited is closed.
func (p *Process) Err() error { return p.err }

// Close closes the pipes.
func (p *Process) Close() { _, _ = p.In.Close(), p.Out.Close() }

// Gone waits for the command's end, at most so long, and reports whether it has
// come.
func (p *Process) Gone(within time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(within):
		return false
	}
}

// Kill ends the command with all that its shell started, also what it left
// behind: the number of a group is not free as long as there is a member.
func (p *Process) Kill() {
	groupOf(p.cmd).kill()
	<-p.exited
}
