package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/mqtools/mqtools/internal/option"
)

// childVar makes the test binary act as a tool, for behavior that only a process shows.
const childVar = "MQTOOLS_CLI_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(childVar); child != "" {
		os.Exit(Main(childTool(child)))
	}
	for _, name := range os.Environ() {
		name, _, _ = strings.Cut(name, "=")
		if strings.HasPrefix(name, "MQ") || strings.Contains(name, "COLOR") || name == "TERM" {
			_ = os.Unsetenv(name)
		}
	}
	// Signals that nohup or a shell's "&" makes the tests ignore would also be ignored by
	// their children.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	goleak.VerifyTestMain(m)
}

func childTool(name string) Tool {
	tool := Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub, MaxArgs: -1}}
	switch name {
	case "drain": // a tool that drains forever
		tool.Run = func(ctx context.Context, inv *Invocation) error {
			inv.CatchSignals()
			fmt.Fprintln(inv.Stdout, "ready")
			<-ctx.Done()
			fmt.Fprintln(inv.Stdout, context.Cause(ctx))
			select {}
		}
	case "leave": // a tool that exits when asked
		tool.Run = func(ctx context.Context, inv *Invocation) error {
			inv.CatchSignals()
			fmt.Fprintln(inv.Stdout, "ready")
			<-ctx.Done()
			return ctx.Err()
		}
	case "read": // a tool that reads its input and gets nothing
		tool.Run = func(_ context.Context, inv *Invocation) error {
			inv.CatchNow()
			fmt.Fprintln(inv.Stdout, "ready")
			return readNothing()
		}
	case "work and read": // a tool with work in progress, and then without
		tool.Run = func(ctx context.Context, inv *Invocation) error {
			end := inv.Begin()
			fmt.Fprintln(inv.Stdout, "ready")
			<-ctx.Done()
			fmt.Fprintln(inv.Stdout, context.Cause(ctx))
			end()
			return readNothing()
		}
	case "write": // a tool that writes until it fails
		tool.Run = func(_ context.Context, inv *Invocation) error {
			inv.CatchSignals()
			for {
				if _, err := fmt.Fprintln(inv.Stdout, "line"); err != nil {
					return OutputError(option.Sub, err)
				}
			}
		}
	case "panic":
		tool.Run = func(_ context.Context, inv *Invocation) error {
			fmt.Fprintln(inv.Stdout, "ready")
			panic("a mistake of ours")
		}
	}
	return tool
}

// readNothing reads a pipe that has no writer, and does not return.
func readNothing() error {
	r, w, err := os.Pipe()
	if err == nil {
		defer w.Close()
		_, err = io.ReadAll(r)
	}
	return err
}

// child is the test binary running as a tool.
type child struct {
	*exec.Cmd
	in     io.WriteCloser
	pipe   io.Closer
	out    *bufio.Reader
	stderr strings.Builder // complete after Wait
}

// startChild starts the test binary as a tool and waits for its first line.
func startChild(t *testing.T, name string) *child {
	t.Helper()
	return start(t, exec.Command(os.Args[0]), name)
}

// startShell starts a shell that runs the test binary, as "$0", as a tool, and waits for
// the tool's first line.
func startShell(t *testing.T, script, name string) *child {
	t.Helper()
	return start(t, exec.Command("sh", "-c", script, os.Args[0]), name)
}

func start(t *testing.T, cmd *exec.Cmd, name string) *child {
	t.Helper()
	c := &child{Cmd: cmd}
	c.Env = []string{childVar + "=" + name, "MQ_CONFIG=none", "GOCOVERDIR=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	c.Stderr = &c.stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.pipe, c.out = in, pipe, bufio.NewReader(pipe)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if _, err := c.out.ReadString('\n'); err != nil {
		t.Fatalf("child %s wrote no line: %v", name, err)
	}
	return c
}
