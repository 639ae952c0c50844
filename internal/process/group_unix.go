//go:build unix

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes a command the leader of a new process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// group is a command with all that its shell started.
type group int

func groupOf(cmd *exec.Cmd) ender { return group(cmd.Process.Pid) }

func (g group) terminate() { _ = syscall.Kill(-int(g), syscall.SIGTERM) }

func (g group) kill() { _ = syscall.Kill(-int(g), syscall.SIGKILL) }

// alone is a command without what it started.
type alone struct{ p *os.Process }

func (a alone) terminate() { _ = a.p.Signal(syscall.SIGTERM) }

func (a alone) kill() { _ = a.p.Kill() }

func aloneOf(cmd *exec.Cmd) ender { return alone{cmd.Process} }
