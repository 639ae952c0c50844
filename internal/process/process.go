// Package process runs commands in the system's shell, and those that are
// spoken with by their standard input and output.
package process

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// Shell is a command for the system's shell, which the end of ctx ends.
func Shell(ctx context.Context, command string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, "cmd", "/c", command)
	}
	return exec.CommandContext(ctx, "/bin/sh", "-c", command)
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

// Gone waits for the command's end, at most so long, and tells whether it has
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
	killGroup(p.cmd)
	<-p.exited
}
