//go:build unix

package cli

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// end waits for a child and returns the signal that ended it, or else its exit code.
func (c *child) end() (syscall.Signal, int) {
	exit, ok := errors.AsType[*exec.ExitError](c.Wait())
	if !ok {
		return 0, 0
	}
	if st := exit.Sys().(syscall.WaitStatus); st.Signaled() {
		return st.Signal(), -1
	}
	return 0, exit.ExitCode()
}

func TestTheLastSignalEndsAProcessThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second syscall.Signal
		cause         string
	}{
		{syscall.SIGINT, syscall.SIGTERM, "interrupted"},
		{syscall.SIGTERM, syscall.SIGINT, "terminated"},
		{syscall.SIGHUP, syscall.SIGTERM, "hung up"},
	} {
		t.Run(c.cause, func(t *testing.T) {
			t.Parallel()
			tool := startChild(t, "drain")
			_ = tool.Process.Signal(c.first)
			if line, err := tool.out.ReadString('\n'); line != c.cause+"\n" {
				t.Errorf("cause: got %q, %v, want %q", line, err, c.cause)
			}
			_ = tool.Process.Signal(c.second)
			if sig, code := tool.end(); sig != c.second {
				t.Errorf("ended by %v, code %d, want by %v", sig, code, c.second)
			}
			if tool.stderr.Len() > 0 {
				t.Errorf("stderr: got %q, want nothing", &tool.stderr)
			}
		})
	}
}

// A shell ends its loop at Ctrl-C only if the program died by the signal.
func TestAToolThatHasCleanedUpDiesByItsSignalWithoutAWord(t *testing.T) {
	t.Parallel()
	for _, want := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		tool := startChild(t, "leave")
		_ = tool.Process.Signal(want)
		if sig, code := tool.end(); sig != want || tool.stderr.Len() > 0 {
			t.Errorf("%v: ended by %v, code %d, stderr %q, want the signal and nothing", want, sig, code, &tool.stderr)
		}
	}
}

// Whatever file is read first, a named pipe without a writer never reaches EOF.
func TestTheFirstSignalEndsAToolWithoutWorkInProgress(t *testing.T) {
	t.Parallel()
	for _, it := range []string{"read", "work and read"} {
		for _, want := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
			tool := startChild(t, it)
			_ = tool.Process.Signal(want)
			rest, _ := io.ReadAll(tool.out)
			if sig, code := tool.end(); sig != want || tool.stderr.Len() > 0 {
				t.Errorf("%s, %v: ended by %v, code %d, stderr %q, want the signal and nothing", it, want, sig, code, &tool.stderr)
			}
			if cause := (&SignalError{want}).Error() + "\n"; (string(rest) == cause) != (it != "read") {
				t.Errorf("%s, %v: %q was written on", it, want, rest)
			}
		}
	}
}

func TestAClosedPipeIsTheDeathOfAWriter(t *testing.T) {
	t.Parallel()
	tool := startChild(t, "write")
	_ = tool.pipe.Close()
	if sig, code := tool.end(); sig != syscall.SIGPIPE || tool.stderr.Len() > 0 {
		t.Errorf("ended by %v, code %d, stderr %q, want SIGPIPE and nothing", sig, code, &tool.stderr)
	}
}

// Neither a panic nor the watchdog's SIGABRT may look like a usage error, status 2, after
// which a service manager does not restart the tool.
func TestAPanicAndSIGABRTEndBySIGABRTWithATrace(t *testing.T) {
	t.Parallel()
	for it, end := range map[string]func(*child){
		"panic": func(*child) {}, // immediately
		"drain": func(c *child) { _ = c.Process.Signal(syscall.SIGABRT) },
	} {
		tool := startChild(t, it)
		end(tool)
		if sig, code := tool.end(); sig != syscall.SIGABRT || !strings.Contains(tool.stderr.String(), "goroutine ") {
			t.Errorf("%s: ended by %v, code %d, stderr %q, want SIGABRT and a trace", it, sig, code, &tool.stderr)
		}
	}
}

// nohup and a shell's "&" start a program with signals ignored.
func TestASignalThatIsIgnoredAtTheStartStaysIgnored(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"INT": syscall.SIGINT, "HUP": syscall.SIGHUP} {
		tool := startShell(t, "trap '' "+name+"; exec \"$0\"", "leave")
		_ = tool.Process.Signal(sig)
		_ = tool.Process.Signal(syscall.SIGTERM)
		if got, code := tool.end(); got != syscall.SIGTERM {
			t.Errorf("SIG%s and SIGTERM: ended by %v, code %d, want by SIGTERM", name, got, code)
		}
	}
}

// The kernel does not let the first process of a PID namespace die by a signal that it
// sends to itself.
func TestTheFirstProcessOfANamespaceExitsWithTheSignalsCode(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "--user", "--map-root-user", "--pid", "--fork", "true").Run(); err != nil {
		t.Skip("no PID namespaces here:", err)
	}
	for sig, want := range map[string]int{"TERM": 143, "HUP": 129} { // a shell's "&" makes it ignore the others
		for _, it := range []string{"leave", "read"} {
			// The shell outside finds the child of unshare and signals it.
			tool := startShell(t, `unshare --user --map-root-user --pid --fork --kill-child "$0" & u=$!
			read go
			kill -`+sig+` $(cat /proc/$u/task/$u/children)
			wait $u`, it)
			_, _ = io.WriteString(tool.in, "go\n")
			if got, code := tool.end(); code != want {
				t.Errorf("%s, SIG%s: ended by %v, code %d, want code %d", it, sig, got, code, want)
			}
		}
	}
}
