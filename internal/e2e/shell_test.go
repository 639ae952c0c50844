package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
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

// TestShellTutorialPair is the classic first exercise: a random number from 1
// to 100 every two seconds, retained, and a subscriber that sees the last
// value at once and the next one when it comes.
func TestShellTutorialPair(t *testing.T) {
	t.Parallel()
	need(t, "awk")
	out, code := shell(t, `
		while awk 'BEGIN { srand(); print 1 + int(100 * rand()) }'; do sleep 2; done 2>/dev/null | mqpub -l -r -t example/basic >/dev/null 2>&1 & pair=$! # mqpub's
		until mqsub -t example/basic --retained-only 2>/dev/null; do :; done
		mqsub -t example/basic -C 2 -W 20
		kill $pair`)
	if !regexp.MustCompile(`^(([1-9][0-9]?|100)\n){3}`).MatchString(out) {
		t.Errorf("code %d, %q", code, out)
	}
}

func TestShellLoopsPipesAndStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, want string
		code               int
		tools              string
	}{
		{"publish from a loop", `
			mqsub -E -q 1 -c -i s -t 'loop/+'
			for i in 1 2 3; do mqpub -q 1 -t loop/$i -m "value $i"; done
			mqsub -q 1 -c -i s -t 'loop/+' -v -C 3`, "loop/1 value 1\nloop/2 value 2\nloop/3 value 3\n", 0, ""},
		{"into jq", `
			mqpub -r -t a/b -m '{"celsius": 21.5, "ok": true}'
			mqpub -r -t a/c -m 'no JSON'
			mqsub --json -t 'a/+' --retained-only | jq -r 'select(.topic == "a/b") | .payload | fromjson | .celsius'
			mqsub --json --json-payload -t 'a/b' --retained-only | jq -r '.payload.ok'`, "21.5\ntrue\n", 0, "jq"},
		{"head ends it although no further message comes", `
			mqpub -r -t t -m one
			mqsub -t t | head -n 1`, "one\n", 141, ""},
		{"a reader that goes away ends it as it ends cat", `
			seq 1000 | mqpub -l -r -q 1 -t t/1
			mqsub -v -t 't/#' | head -c 3; echo " ${PIPESTATUS[*]}"
			mqsub -t t/1 | (exit 3); echo "${PIPESTATUS[*]}"
			exec 3> >(exit 3); wait $!; mqsub --help >&3; echo $?`, "t/1 141 0\n141 3\n141\n", 0, ""},
		{"a value with a limit", `
			value=$(mqsub -t nothing -C 1 -W 0.2); echo "$? <$value>"`, "mqsub: timed out after 200ms (no messages received)\n27 <>\n", 0, ""},
		{"a full disk", `
			mqpub -r -t t -m x
			mqsub -t t -C 1 >/dev/full; echo $?`, "mqsub: standard output: no space left on device\n6\n", 0, ""},
		{"a reader of the pipe that does not read", `
			head -c 5000000 /dev/zero | mqpub -r -t t -s
			(mqsub -t t -W 3; echo $? >&3) 3>status | sleep 10
			cat status`, "mqsub: timed out after 3s (standard output is blocked)\n27\n", 0, ""},
		{"SIGTERM", `
			mqsub -t t & p=$!
			mqpub -q 1 -t x -m x; kill -TERM $p; wait $p; echo $?`, "143\n", 0, ""},
		{"Ctrl-C ends the loop around it", `
			mqpub -r -t t -m retained
			set -m # the loop is a process group of its own, as at a prompt
			bash -c 'for i in 1 2 3; do echo $i; mqsub -q 1 -t t > out; done' & p=$!
			set +m
			until [ -s out ]; do :; done
			kill -INT -- -$p; wait $p; echo $?`, "1\n130\n", 0, ""},
		{"a command for a password ends with the tool", `
			mqpub -t t -m x -u joe --password-command 'echo up >&2; sleep 76; true' 2> log & p=$!
			until [ -s log ]; do :; done
			kill $p; wait $p; echo $?`, "143\n", 0, ""},
		{"a command for a reply ends with the tool, and its request is not acknowledged", `
			mqsub -E -q 1 -c -i s -t ask
			mqsub -q 1 -c -i s -t ask --reply-command 'echo up >&2; sleep 76; true' 2> log & p=$!
			mqpub -q 1 -t ask -m question -D publish response-topic answer
			until [ -s log ]; do :; done
			kill $p; wait $p; echo $?
			mqsub -q 1 -c -i s -t ask -C 1`, "143\nquestion\n", 0, ""},
		{"a reply is written although the command left somebody behind", `
			mqsub -t ask --reply-command 'sleep 76 & printf here' > /dev/null & p=$!
			until mqpub -q 1 -t ask -m x --request -W 2 2>/dev/null; do :; done
			kill $p`, "here\n", 0, ""},
		{"mqpub after a producer that fails", `
			mqsub -E -q 1 -c -i s -t t
			(echo one; exit 3) | mqpub -l -q 1 -t t; echo $?
			mqsub -q 1 -c -i s -t t -C 1`, "3\none\n", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			need(t, strings.Fields(c.tools)...)
			out, code := shell(t, c.script)
			if out != c.want || code != c.code {
				t.Errorf("code %d, got\n%s\nwant code %d and\n%s", code, out, c.code, c.want)
			}
		})
	}
}

// TestShellTerminal tails a topic in a pseudo-terminal: colours, and control
// characters shown.
func TestShellTerminal(t *testing.T) {
	t.Parallel()
	need(t, "script")
	out, _ := shell(t, `
		mqpub -r -t t/1 -m $'a\x1b[2J\tb'
		script -qec "mqsub -v -t 't/#' -C 1" /dev/null </dev/null
		NO_COLOR=1 script -qec "mqsub -v -t 't/#' -C 1" /dev/null </dev/null
		mqsub -v -t 't/#' -C 1`)
	want := "\x1b[36mt/1\x1b[0m a\\x1b[2J\tb\r\n" + "t/1 a\\x1b[2J\tb\r\n" + "t/1 a\x1b[2J\tb\n"
	if out != want {
		t.Errorf("got  %q\nwant %q", out, want)
	}
}
