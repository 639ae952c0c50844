package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

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
	users := writeFile(t, filepath.Join(dir, "users"), strings.Replace(page["users"], stub, word, 1))
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve-users", users, "-u", "alice", "-P", "secret", "-t", "#", "-C", "1")
	ok(t, "", "mqpub", "-h", s.listening(t), "-u", "alice", "-P", "secret", "-t", "secret/a", "-m", "x", "-q", "1")
	if got := s.wait(); got.code != 0 {
		t.Errorf("code %d, %q", got.code, got.err)
	}
}
