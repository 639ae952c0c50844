//go:build unix

package cli

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
)

// status waits for a child and returns its exit code, -1 for a death by signal.
func (c *child) status() int {
	if exit, ok := errors.AsType[*exec.ExitError](c.Wait()); ok {
		return exit.ExitCode()
	}
	return 0
}

func TestFirstSignalAsksAndSecondEndsTheProcess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second syscall.Signal
		cause         string
		code          int
	}{
		{syscall.SIGINT, syscall.SIGTERM, "interrupted", 143},
		{syscall.SIGTERM, syscall.SIGINT, "terminated", 130},
	} {
		t.Run(c.cause, func(t *testing.T) {
			t.Parallel()
			tool := startChild(t, "drain")
			_ = tool.Process.Signal(c.first)
			if line, err := tool.out.ReadString('\n'); line != c.cause+"\n" {
				t.Errorf("cause: got %q, %v, want %q", line, err, c.cause)
			}
			_ = tool.Process.Signal(c.second)
			if code := tool.status(); code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			if tool.stderr.Len() > 0 {
				t.Errorf("stderr: got %q, want nothing", &tool.stderr)
			}
		})
	}
}

func TestOneSignalGivesItsCodeWithoutAWord(t *testing.T) {
	t.Parallel()
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		tool := startChild(t, "leave")
		_ = tool.Process.Signal(signal)
		if code := tool.status(); code != want || tool.stderr.Len() > 0 {
			t.Errorf("%v: got code %d, stderr %q, want %d and nothing", signal, code, &tool.stderr, want)
		}
	}
}

func TestClosedStdoutIsAnErrorAndNotDeath(t *testing.T) {
	t.Parallel()
	tool := startChild(t, "write")
	_ = tool.pipe.Close()
	code := tool.status()
	if want := "mqsub: pipe closed\n"; code != ExitLocalIO || tool.stderr.String() != want {
		t.Errorf("got code %d, stderr %q, want %d, %q", code, &tool.stderr, ExitLocalIO, want)
	}
}
