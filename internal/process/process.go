// Package process runs other programs: for their output, or to communicate through their
// standard input and output. Only this package starts programs for the tools, and makes
// sure that they end in time: each has a new process group, so that what a shell has
// started ends with it, and the wait for descendants that still hold its output is limited.
// A signal from the terminal does not reach such a group.
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

// Shell returns a command for the system's shell. The command gets this process's
// environment, without what an outer tool has added for its own handler.
func Shell(command string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", command)
	if runtime.GOOS == "windows" {
		cmd = exec.Command("cmd", "/c", command)
	}
	cmd.Env = environ(os.Environ())
	return cmd
}

// Command is Shell for a program with its arguments, without a shell.
func Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
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

// grace is how long a command may take to exit after it was asked to, and how long its
// output is still read after it has exited if a descendant holds it.
const grace = 200 * time.Millisecond

// ErrAtOnce is the cause of a context whose commands are killed without being asked to exit.
var ErrAtOnce = errors.New("killed")

// ErrTooMuch is matched by the error of a command that printed more than it may.
var ErrTooMuch = errors.New("too much output")

// Output runs a command until it exits and returns its output, at most most bytes; a
// command that prints more is ended, and the error matches ErrTooMuch. When ctx is done,
// the command and all that its shell started are asked to exit (SIGTERM), and killed 200 ms
// later; the error is then the cause of ctx. Output does not wait for what a command leaves
// running in the background.
func Output(ctx context.Context, cmd *exec.Cmd, most int) ([]byte, error) {
	return Run(ctx, cmd, most, grace)
}

// Run is Output with a time of its own between SIGTERM and SIGKILL. If the cause of ctx is
// ErrAtOnce, SIGKILL comes at once.
func Run(ctx context.Context, cmd *exec.Cmd, most int, grace time.Duration) ([]byte, error) {
	ownGroup(cmd)
	return output(ctx, cmd, most, grace, groupOf)
}

// Ask is Output for a command that may prompt on the terminal. Only the terminal's process
// group may read from it, so the command stays in this process's group: Ctrl-C reaches it
// too, and when ctx is done, the command is ended, but not what it started.
func Ask(ctx context.Context, cmd *exec.Cmd, most int) ([]byte, error) {
	return output(ctx, cmd, most, grace, aloneOf)
}

// ender ends a command, first by asking it to exit.
type ender interface {
	terminate()
	kill()
}

func output(ctx context.Context, cmd *exec.Cmd, most int, patience time.Duration, of func(*exec.Cmd) ender) ([]byte, error) {
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
		if errors.Is(err, exec.ErrWaitDelay) { // it exited with success
			err = nil
		}
		return out.b.Bytes(), err
	case <-ctx.Done():
	}
	command := of(cmd)
	if errors.Is(context.Cause(ctx), ErrAtOnce) {
		patience = 0
	} else {
		command.terminate()
	}
	select {
	case <-ended:
		command.kill() // also what it left running
	case <-time.After(patience):
		command.kill()
		<-ended
	}
	return nil, context.Cause(ctx)
}

// bounded keeps what is written to it, up to a limit.
type bounded struct {
	b    bytes.Buffer
	most int
	full context.CancelCauseFunc
	over bool // the limit was exceeded; to be read after the writer has ended
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

// Process is a command in its own process group: a signal from the terminal does not reach
// it.
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

// Exited returns a channel that is closed when the command has exited.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err returns the result of exec.Cmd.Wait. It may be called after Exited is closed.
func (p *Process) Err() error { return p.err }

// Close closes the pipes.
func (p *Process) Close() { _, _ = p.In.Close(), p.Out.Close() }

// Gone waits for the command to exit and reports whether it did within the given time.
func (p *Process) Gone(within time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(within):
		return false
	}
}

// Kill kills the command with all that its shell started, including what outlives it: a
// group's ID is not reused while the group has a member.
func (p *Process) Kill() {
	groupOf(p.cmd).kill()
	<-p.exited
}
