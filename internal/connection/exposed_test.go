package connection

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// Users are warned if and only if others can read a secret, whatever file it is in.
func TestFilesOfSecretsThatOthersCanReadAreWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the bits of a mode are made up")
	}
	certs := certtest.New(t)
	key, err := os.ReadFile(certs.Client.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(certs.Server.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	serverKey, err := os.ReadFile(certs.Server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys("SCRAM-SHA-512", "pencil")
	if err != nil {
		t.Fatal(err)
	}
	client := "--cafile " + certs.CA.CertFile + " --cert " + certs.Client.CertFile + " --key FILE"
	for _, row := range []struct {
		it, text, args, holds string
		group                 bool // its group may read it
	}{
		{"an options file with a password", "-u me\n-P hunter2\n", "-o FILE", "a secret", false},
		{"an options file with a URL's", "-L mqtt://me:hunter2@localhost\n", "-o FILE", "a secret", false},
		{"an options file with a token", "--ws\n--ws-header Authorization: x\n", "-o FILE", "a secret", false},
		{"an options file without a secret", "-u me\n-L mqtt://localhost\n", "-o FILE", "", false},
		{"a password file", "hunter2\n", "-u me --password-file FILE", "a password", false},
		{"a configuration file", "defaults: {password: hunter2}\n", "--config FILE", "a secret", false},
		{"a users file", "users: {joe: '" + keys.String() + "'}\n", "--serve=127.0.0.1:0 --serve-users FILE", "hashes of passwords", true},
		{"a file of rules without users", "anonymous: true\n", "--serve=127.0.0.1:0 --serve-users FILE", "", true},
		{"a key", string(key), client, "a private key", true},
		{"a key of the broker", string(serverKey), "--serve=mqtts://127.0.0.1:0 --serve-cert " + certs.Server.CertFile + " --serve-key FILE", "a private key", true},
		{"a key with its certificate", string(cert) + string(serverKey), "--serve=mqtts://127.0.0.1:0 --serve-cert FILE", "a private key", true},
	} {
		for mode, exposed := range map[os.FileMode]bool{0o644: true, 0o604: true, 0o640: !row.group, 0o600: false, 0o400: false} {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			args := strings.Fields(strings.ReplaceAll(row.args, "FILE", path))
			if !strings.Contains(row.args, "--config") {
				args = append([]string{"--config", "none"}, args...)
			}
			var stderr strings.Builder
			code := cli.Run(t.Context(), cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr, Lookup: option.MapEnv(nil)},
				cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Run: func(ctx context.Context, inv *cli.Invocation) error {
					c, err := New(ctx, inv)
					if err == nil && inv.Values.Serve.IsSet() {
						err = c.serve(ctx, nil)
						c.Close()
					}
					return err
				}})
			want := ""
			if exposed && row.holds != "" {
				want = "mqsub: warning: \"" + path + "\" holds " + row.holds + " and other users can read it\nmqsub: chmod 600 " + path + "\n"
			}
			if n := strings.Count(stderr.String(), "other users can read it"); code != 0 || !strings.Contains(stderr.String(), want) || (n > 0) != (want != "") || n > 1 || strings.Contains(stderr.String(), "hunter2") {
				t.Errorf("%s, %o: status %d, %q; want %q", row.it, mode, code, stderr.String(), want)
			}
		}
	}
}
