package process

import (
	"bufio"
	"context"
	"io"
	"runtime"
	"testing"
	"time"
)

func shell(t *testing.T, command string) *Process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
	p, err := Start(Shell(context.Background(), command))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// A command reads In and writes Out, and its end is told once.
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

// Kill ends what the shell started too: the pipe that they share ends.
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
		t.Errorf("somebody still holds its output: %v", err)
	}
}

// What cannot be started is an error, and no pipe is left open.
func TestProcessNotStarted(t *testing.T) {
	cmd := Shell(context.Background(), "true")
	cmd.Path = "/nonexistent/shell"
	if p, err := Start(cmd); err == nil {
		p.Kill()
		t.Error("a program that is not there was started")
	}
}
