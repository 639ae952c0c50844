package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
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

// TestTheFilesOfTheManual reads the examples of mqtools(5).
func TestTheFilesOfTheManual(t *testing.T) {
	t.Parallel()
	page := examples(t, "../../man/mqtools.5")
	if len(page) != 3 {
		t.Errorf("%d examples, want 3", len(page))
	}
	dir := t.TempDir()
	const site = "/etc/ssl/site.pem" // which --show-config reads, as a run does
	ca := certtest.New(t).CA.CertFile
	config := writeFile(t, filepath.Join(dir, "config.yaml"), strings.ReplaceAll(page["config"], site, ca))
	options := writeFile(t, filepath.Join(dir, "options"), page["options"])
	for _, c := range []struct {
		args []string
		want []string // words of --show-config
	}{
		{[]string{"--config", config}, []string{"context lab", "host lab", "port 1884", "property connect user-property bench seven", "keepalive 30s", "verbose true"}},
		{[]string{"--config", config, "--context", "prod"}, []string{"url mqtts://broker.example:8883", "username joe", "cafile " + ca, "password-command pass show mqtt"}},
		{[]string{"--config", "none", "-o", options}, []string{"host cellar.example", "username sensor-log", "tls true",
			"password-file /home/me/secrets/cellar password", "property connect user-property site cellar"}},
	} {
		lines := strings.Split(strings.ReplaceAll(ok(t, "", "mqsub", append(c.args, "--show-config")...), `"`, ""), "\n")
		for _, want := range c.want {
			if !slices.ContainsFunc(lines, func(line string) bool {
				return strings.HasPrefix(strings.Join(strings.Fields(line), " ")+" ", want+" ")
			}) {
				t.Errorf("%q: no %q in\n%s", c.args, want, strings.Join(lines, "\n"))
			}
		}
	}
	word := strings.TrimSpace(run(t, "secret\n", "mqsub", "--hash-password").out)
	const stub = "SCRAM-SHA-512$210000:..."
	if !strings.Contains(page["users"], stub) || !strings.HasPrefix(word, strings.TrimSuffix(stub, "...")) {
		t.Fatalf("the password of the example is not like %q", word)
	}
	users := usersFile(t, strings.Replace(page["users"], stub, word, 1))
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve-users", users, "-u", "alice", "-P", "secret", "-t", "#", "-C", "1")
	ok(t, "", "mqpub", "-h", s.listening(t), "-u", "alice", "-P", "secret", "-t", "secret/a", "-m", "x", "-q", "1")
	if got := s.wait(); got.code != 0 {
		t.Errorf("code %d, %q", got.code, got.err)
	}
}
