package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries builds the tools once and returns their directory.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mqbin")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/mqpub", "../../cmd/mqsub", "../../cmd/mqbench").CombinedOutput()
	if err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	// What is ignored here would be ignored by the programs that the tests start, and
	// nohup ignores SIGHUP: what is caught here is not.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shell runs a script against a broker of its own, which MQ_UNIX names.
func shell(t *testing.T, script string) (out string, code int) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	s := start(t, nil, "mqsub", "--serve", "unix://"+socket, "-t", "$never/ends")
	ok(t, "", "mqsub", "--unix", socket, "--wait-for", "20", "--quiet", "-E", "-t", "x")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", "set -o pipefail\n"+script)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MQ_UNIX="+socket, "MQ_CONFIG=none")
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	c.WaitDelay = time.Second
	err = c.Run()
	s.cancel(nil)
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("%v: %s", err, b.String())
	}
	return b.String(), c.ProcessState.ExitCode()
}

func need(t *testing.T, tools ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	for _, name := range append(tools, "bash", "go") {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name + " is not installed")
		}
	}
}
