//go:build unix

// Package cli holds the promises of the command line, one in each script, and runs
// them. README.md here lists the commands of a script.
package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
	"github.com/mqtools/mqtools/internal/mqpub"
	"github.com/mqtools/mqtools/internal/mqsub"
)

// patience is how long a command of a script may wait.
const patience = time.Minute

func TestMain(m *testing.M) {
	tool := func(make func() cli.Tool) func() { return func() { os.Exit(cli.Main(make())) } }
	testscript.Main(m, map[string]func(){
		"mqpub": tool(mqpub.Tool), "mqsub": tool(mqsub.Tool), "mqbench": tool(mqbench.Tool),
		"mosquitto_pub": tool(mqpub.Tool), "mosquitto_sub": tool(mqsub.Tool), "mosquitto_rr": tool(mqpub.Tool),
		"exits": exits,
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	if race {
		// A thousand starts of programs that take a second each. The tests of package e2e
		// run the tools within the test, under the race detector.
		t.Skip("the scripts run without the race detector")
	}
	testscript.Run(t, testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			w := &world{TB: env.T().(testing.TB), brokers: map[string]*server{}}
			env.Values[worldKey{}] = w
			env.Setenv("MQ_CONFIG", "none")
			env.Setenv("TZ", "UTC")
			man, err := filepath.Abs("../../man")
			env.Setenv("MAN", man)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appears":         positive(awaitText),
			"await":           positive(await),
			"broker":          positive(startBroker),
			"certs":           positive(makeCertificates),
			"closes-at":       positive(startClosing),
			"contains":        contains,
			"fault":           positive(makeFault),
			"fingerprint":     positive(makeFingerprint),
			"notified":        positive(awaitNotification),
			"peer":            positive(startPeer),
			"says":            positive(startSaying),
			"service-manager": positive(startManager),
			"signal":          positive(sendSignal),
			"transcript":      positive(runTranscript),
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		RequireUniqueNames: true,
	})
}

// Every script begins with its promise, and none has a name that does not say what it
// is about.
func TestEveryScriptStatesItsPromise(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.txtar")
	if err != nil || len(paths) < 60 {
		t.Fatalf("%d scripts, want at least 60 (%v)", len(paths), err)
	}
	said := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(first, "# ") || !strings.HasSuffix(first, ".") || len(first) > 100 {
			t.Errorf("%s: begins with %q, want a comment that is one sentence of at most 100 columns", path, first)
		}
		if other := said[first]; other != "" {
			t.Errorf("%s: %s makes the same promise", path, other)
		}
		said[first] = path
	}
}

// positive refuses the ! in front of a command that cannot fail.
func positive(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! has no meaning here")
		}
		f(ts, args)
	}
}

// contains is the command
//
//	[!] contains FILE TEXT
//
// which checks that a file, or stdout or stderr, contains the text as it stands.
func contains(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: contains FILE TEXT")
	}
	if text := ts.ReadFile(args[0]); strings.Contains(text, args[1]) == neg {
		ts.Fatalf("%s is\n%s", args[0], text)
	}
}

// sendSignal is the command
//
//	signal NAME PROGRAM
//
// which sends a signal to the program that runs in the background; of two, to the one
// whose command line contains PROGRAM.
func sendSignal(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signal NAME PROGRAM")
	}
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("unknown signal %q", args[0])
	}
	var found []*exec.Cmd
	for _, c := range ts.BackgroundCmds() {
		if strings.Contains(strings.Join(c.Args, " "), args[1]) && c.Process.Signal(syscall.Signal(0)) == nil {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d programs run in the background whose command lines contain %q, want 1", len(found), args[1])
	}
	if sig == syscall.SIGKILL && strings.HasPrefix(filepath.Base(found[0].Args[0]), "exits") {
		sig = syscall.SIGUSR2 // exits cannot pass the other one on
	}
	ts.Check(found[0].Process.Signal(sig))
}

// exits is the program
//
//	exits STATUS COMMAND...
//
// which runs a command and fails unless it exits with that status, or, where STATUS is
// the name of a signal, is ended by it. Signals are passed on.
func exits() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: exits STATUS COMMAND...")
		os.Exit(2)
	}
	c := exec.Command(os.Args[2], os.Args[3:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR2)
	if err := c.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "exits:", err)
		os.Exit(1)
	}
	go func() {
		for s := range signals {
			if s == syscall.SIGUSR2 { // sent in place of the one that cannot be passed on
				s = syscall.SIGKILL
			}
			_ = c.Process.Signal(s)
		}
	}()
	err := c.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "exits:", err)
		os.Exit(1)
	}
	got := strconv.Itoa(c.ProcessState.ExitCode())
	if s, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		got = unix.SignalName(s.Signal())
	}
	if got != os.Args[1] {
		fmt.Fprintf(os.Stderr, "exits: status %s, want %s\n", got, os.Args[1])
		os.Exit(1)
	}
}
