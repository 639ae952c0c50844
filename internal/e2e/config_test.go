package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker"
)

// TestShellContexts has a user with a home of their own.
func TestShellContexts(t *testing.T) {
	t.Parallel()
	need(t)
	out, code := shell(t, `
		socket=$MQ_UNIX; unset MQ_UNIX MQ_CONFIG; export HOME=$PWD XDG_CONFIG_HOME=
		mqpub context add here --unix "$socket" -q 1 --quiet
		mqpub context use here
		mqpub -r -t t -m x; mqsub -t t --retained-only
		mqpub -h 127.0.0.1:1 -t t -m x 2>/dev/null; echo $?
		mqpub --context none -p 1 -t t -m x 2>/dev/null; echo $?
		mqsub context list --names
		stat -c %a .config/mqtools .config/mqtools/config.yaml
		echo 'qos: 3' >>.config/mqtools/config.yaml
		mqsub -t t 2>&1 | sed "s#$PWD#HOME#"`)
	want := "x\n3\n3\nhere\n700\n600\nmqsub: HOME/.config/mqtools/config.yaml:7:1: unknown key \"qos\"\nmqsub: options go below defaults:, the name of a tool, or a context\n"
	if code != 2 || out != want {
		t.Errorf("code %d, got\n%s\nwant\n%s", code, out, want)
	}
}

// A request of the file yields to -r, and -r of the file to a request; the
// topic of a URL to -t.
func TestModesOfTheFileYield(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	dir := t.TempDir()
	in := func(text, name string, args ...string) result {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return startIn(t, cli.Env{Args: append([]string{"--config", path}, append(args, h.addr...)...)}, name).wait()
	}
	for _, c := range []struct {
		it, text, tool string
		args           []string
		out            string
		code           int
	}{
		{"takes -m over the file's payload", "defaults: {file: /nonexistent}\n", "mqpub", []string{"-t", "a", "-m", "one", "-r"}, "", 0},
		{"does not retain a request", "defaults: {retain: true}\n", "mqpub", []string{"-t", "b", "-m", "x", "--request", "-W", "0.05"}, "", 27},
		{"does not ask with -r", "defaults: {request: true}\n", "mqpub", []string{"-t", "c", "-m", "three", "-r"}, "", 0},
		{"takes --retained-only over -R", "mqsub: {skip-retained: true}\n", "mqsub", []string{"-v", "-t", "#", "--retained-only"}, "a one\nc three\n", 0},
		{"takes -F over --json", "mqsub: {json: true, topic: c}\n", "mqsub", []string{"-F", "%p!", "--retained-only"}, "three!\n", 0},
		{"tells which line asks for too much", "mqsub: {json: true, verbose: true}\n", "mqsub", []string{"-t", "a"}, "", 2},
	} {
		if got := in(c.text, c.tool, c.args...); got.out != c.out || got.code != c.code {
			t.Errorf("it %s: got %+v, want %q and %d", c.it, got, c.out, c.code)
		}
	}
}
