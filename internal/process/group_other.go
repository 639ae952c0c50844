//go:build !unix

package process

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func groupOf(cmd *exec.Cmd) ender { return aloneOf(cmd) }

// alone is a command alone: this system has no process groups to kill.
type alone struct{ p *os.Process }

func (a alone) terminate() { a.kill() }

func (a alone) kill() { _ = a.p.Kill() }

func aloneOf(cmd *exec.Cmd) ender { return alone{cmd.Process} }
