package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func shell(t *testing.T, command string) *Process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
	p, err := Start(Shell(command))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// A command reads In and writes Out, and its exit is reported once.
func TestProcessSpeaks(t *testing.T) {
	p := shell(t, "read a; echo \"got $a\"; exit 3")
	if _, err := io.WriteString(p.In, "word\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(p.Out).ReadString('\n'); err != nil || line != "got word\n" {
		t.Errorf("it wrote %q, %v", line, err)
	}
	<-p.Exited()
	if err := p.Err(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("it ended with %v", err)
	}
	if !p.Gone(0) && !p.Gone(time.Second) {
		t.Error("it is gone and not said to be")
	}
}

// Kill also ends what the shell started: the pipe that they share is closed.
func TestProcessKillsDescendants(t *testing.T) {
	p := shell(t, "sleep 1000 & echo ready; wait")
	if line, err := bufio.NewReader(p.Out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it wrote %q, %v", line, err)
	}
	if p.Gone(0) {
		t.Fatal("it has ended by itself")
	}
	p.Kill()
	if _, err := p.Out.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a descendant still holds its output: %v", err)
	}
}

func TestOutputIsWhatACommandPrints(t *testing.T) {
	t.Setenv("MQ_MESSAGE_TOPIC", "of an outer handler")
	t.Setenv("MQ_HOST", "inherited")
	for command, want := range map[string]string{
		"printf 1234": "1234", "true": "", "cat": "from a file",
		"echo \"${MQ_MESSAGE_TOPIC-none} $MQ_HOST\"": "none inherited\n",
		"sleep 1000 & echo it is not waited for":     "it is not waited for\n",
	} {
		cmd := unixShell(t, command)
		cmd.Stdin = strings.NewReader("from a file")
		if out, err := Output(t.Context(), cmd, 100); string(out) != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", command, out, err, want)
		}
	}
	if out, err := Output(t.Context(), unixShell(t, "echo x; exit 3"), 100); err == nil || err.Error() != "exit status 3" {
		t.Errorf("exit 3: got %q, %v", out, err)
	}
	if out, err := Output(t.Context(), exec.Command("/nonexistent/program"), 100); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: got %q, %v", out, err)
	}
}

func TestOutputIsBoundedWhileItComes(t *testing.T) {
	if out, err := Output(t.Context(), unixShell(t, "printf 1234"), 4); string(out) != "1234" || err != nil {
		t.Errorf("just as much: got %q, %v", out, err)
	}
	for _, command := range []string{"printf 12345", "yes", "(yes & yes & yes)", "trap '' PIPE TERM; yes"} {
		if out, err := Output(t.Context(), unixShell(t, command), 4); out != nil || !errors.Is(err, ErrTooMuch) {
			t.Errorf("%s: got %q, %v, want %v", command, out, err, ErrTooMuch)
		}
	}
}

// Otherwise each would delay its caller by 20 s.
func TestTheEndOfTheContextEndsACommandWithAllThatItStarted(t *testing.T) {
	for it, command := range map[string]string{
		"it is the shell itself":            "echo up >&2; exec sleep 20",
		"it is a child of the shell's":      "echo up >&2; sleep 20; true",
		"a grandchild holds the output":     "(echo up >&2; sleep 20; true) & wait",
		"it heeds no wish":                  "trap '' TERM INT HUP; echo up >&2; while :; do sleep 20; done",
		"what heeds no wish is left behind": "(trap '' TERM; echo up >&2; sleep 20; true) & exit",
		"a grandchild has left its group":   "setsid sh -c 'echo up >&2; exec sleep 7' & wait",
	} {
		for name, run := range map[string]func(context.Context, *exec.Cmd, int) ([]byte, error){"Output": Output, "Ask": Ask} {
			cause := errors.New("time to end")
			ctx, cancel := context.WithCancelCause(t.Context())
			cmd := unixShell(t, command)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = write
			go func() {
				_, _ = read.Read(make([]byte, 1))
				cancel(cause)
			}()
			out, err := run(ctx, cmd, 100)
			_ = write.Close()
			// The last of them may have ended well before.
			if len(out) > 0 || err != cause && !(err == nil && strings.HasSuffix(command, "exit")) {
				t.Errorf("%s, by %s: got %q, %v, want %v", it, name, out, err, cause)
			}
			_ = read.Close()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Output(ctx, exec.Command("/nonexistent/program"), 1); err != context.Canceled {
		t.Errorf("a context that has ended: got %v", err)
	}
}

func unixShell(t *testing.T, command string) *exec.Cmd {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
	return Shell(command)
}

// A command that cannot be started is an error, and no pipe is left open.
func TestProcessNotStarted(t *testing.T) {
	cmd := Shell("true")
	cmd.Path = "/nonexistent/shell"
	if p, err := Start(cmd); err == nil {
		p.Kill()
		t.Error("a program that is not there was started")
	}
}
