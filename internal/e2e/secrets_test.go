package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestPasswordsFromEverywhere has a broker that lets one password in.
func TestPasswordsFromEverywhere(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t word"
	_, addr := brokertest.StartWith(t, broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		if string(p.Password) != secret {
			return packet.BadUserNameOrPassword
		}
		return packet.Success
	}})
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		says  string
	}{
		{"an option", []string{"-P", secret}, "", 0, ""},
		{"a file", []string{"--password-file", file}, "", 0, ""},
		{"a file that others can read", []string{"--password-file", open}, "", 0, "other users can read it"},
		{"standard input", []string{"--password-file", "-"}, secret + "\n", 0, ""},
		{"standard input with a byte order mark", []string{"--password-file", "-"}, "\ufeff" + secret + "\r\n", 0, ""},
		{"UTF-16", []string{"--password-file", "-"}, "\xff\xfes\x00", 2, "the text is UTF-16; save it as UTF-8"},
		{"a command", []string{"--password-command", "cat " + file}, "", 0, ""},
		{"a wrong one", []string{"--password-command", "echo s3cr3t wrong"}, "", 4, "bad user name or password"},
		{"a command that fails", []string{"--password-command", "echo s3cr3t; exit 3"}, "", 2, "exit status 3"},
		{"a command that says nothing", []string{"--password-command", "true"}, "", 2, "printed nothing"},
		{"a file that is not there", []string{"--password-file", dir + "/none"}, "", 2, "/none"},
		{"nobody to ask", []string{"--ask-password"}, "", 2, "no terminal"},
		{"two", []string{"-P", secret, "--password-file", file}, "", 2, "--password and --password-file cannot be used together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, c.stdin, "mqpub", append(append(at(addr), "-u", "u", "-t", "t", "-m", "x", "-d"), c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("code %d, stderr %q; want %d and %q", r.code, r.err, c.code, c.says)
			}
			if strings.Contains(r.err, "s3cr3t") && !strings.Contains(c.says, "s3cr3t") && c.name != "a command that fails" {
				t.Errorf("the secret is in %q", r.err)
			}
		})
	}
}

func TestBinaryPropertiesInHexAndBase64(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	for value, want := range map[string]string{"hex:00ff": "\x00\xff", "base64:AP8=": "\x00\xff", "text:hex:00": "hex:00", "plain": "plain"} {
		s := h.sub(t, "-t", "t", "-F", "%D", "-C", "1", "-N")
		h.pub(t, "", "-t", "t", "-m", "x", "-q", "1", "-D", "publish", "correlation-data", value)
		if got := s.wait(); got.out != want {
			t.Errorf("%s: got %q, want %q", value, got.out, want)
		}
	}
	for value, says := range map[string]string{"hex:0": "hex digits", "hex:zz": "hex digits", "base64:!": "not base64"} {
		r := run(t, "", "mqpub", append(h.addr[:2:2], "-t", "t", "-m", "x", "-D", "publish", "correlation-data", value)...)
		if r.code != 2 || !strings.Contains(r.err, says) || !strings.Contains(r.err, value) {
			t.Errorf("%s: code %d, %q", value, r.code, r.err)
		}
	}
}
