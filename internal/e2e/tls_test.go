package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

func TestTLSWorksAndItsFailuresSayWhy(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	_, addr := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), broker.Options{})
	_, mutual := brokertest.StartOn(t, "127.0.0.1:0", certs.MutualConfig(), broker.Options{})
	_, plain := brokertest.Start(t)
	send := []string{"-t", "t", "-m", "x", "-q", "1", "-r"}
	for _, c := range []struct {
		name string
		addr string
		args []string
		code int
		says string
	}{
		{"trusted", addr, []string{"--cafile", certs.CA.CertFile}, 0, ""},
		{"trusted directory", addr, []string{"--capath", certs.CADir}, 0, ""},
		{"not verified", addr, []string{"--tls", "--insecure"}, 0, "--insecure: anyone on the network can pose as the broker"},
		{"not verified but for the authority", addr, []string{"--cafile", certs.CA.CertFile, "--insecure", "--tls-server-name", "nobody.example"}, 0, "may be for another name"},
		{"another authority, not verified by name", addr, []string{"--cafile", certs.OtherCA.CertFile, "--insecure", "--quiet"}, 3, "unknown CA"},
		{"pinned alone", addr, []string{"--tls-pin", fingerprint(certs.Server.Leaf.Raw)}, 0, ""},
		{"not trusted", addr, []string{"--tls"}, 3, "unknown CA"},
		{"other authority", addr, []string{"--cafile", certs.OtherCA.CertFile}, 3, "unknown CA"},
		{"other name", addr, []string{"--cafile", certs.CA.CertFile, "--tls-server-name", "nobody.example"}, 3, "nobody.example"},
		{"client certificate", mutual, []string{"--cafile", certs.CA.CertFile, "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile}, 0, ""},
		{"no client certificate", mutual, []string{"--cafile", certs.CA.CertFile}, 3, "certificate"},
		{"plain to a TLS port", addr, nil, 3, ""},
		{"TLS to a plain port", plain, []string{"--cafile", certs.CA.CertFile}, 3, "TLS"},
		{"cipher suites", addr, []string{"--cafile", certs.CA.CertFile, "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"}, 0, ""},
		{"unknown cipher suite", addr, []string{"--cafile", certs.CA.CertFile, "--ciphers", "ROT13"}, 2, `"ROT13"`},
		{"pinned", addr, []string{"--tls-pin", fingerprint(certs.Server.Leaf.Raw), "--cafile", certs.CA.CertFile}, 0, ""},
		{"pinned and not verified", addr, []string{"--tls-pin", fingerprint(certs.Server.Leaf.Raw), "--insecure"}, 0, "by its pin alone"},
		{"pinned to another", addr, []string{"--tls-pin", fingerprint(certs.Client.Leaf.Raw)}, 3, fingerprint(certs.Server.Leaf.Raw)},
		{"a bad pin", addr, []string{"--tls-pin", "12"}, 2, "SHA-256"},
		{"key log to nowhere", addr, []string{"--cafile", certs.CA.CertFile, "--tls-keylog", "/nonexistent/x"}, 2, "/nonexistent/x"},
		{"pre-shared key", addr, []string{"--psk", "c0ffee", "--psk-identity", "me"}, 2, "pre-shared keys"},
		{"pre-shared key without identity", addr, []string{"--psk", "c0ffee"}, 2, "--psk-identity"},
		{"pre-shared key beside certificates", addr, []string{"--psk", "c0ffee", "--psk-identity", "me", "--cafile", certs.CA.CertFile}, 2, "--psk and --cafile cannot be used together"},
		{"engine", addr, []string{"--tls-engine", "pkcs11"}, 2, "OpenSSL engines"},
		{"key form without key", addr, []string{"--keyform", "pem"}, 2, "--key"},
		{"certificate without key", addr, []string{"--cafile", certs.CA.CertFile, "--cert", certs.Client.CertFile}, 2, "--key"},
		{"a key for a CA file", addr, []string{"--cafile", certs.CA.KeyFile}, 2, certs.CA.KeyFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, "", "mqpub", append(append(at(c.addr), send...), c.args...)...)
			if strings.Contains(r.err, "c0ffee") {
				t.Errorf("the key is in %q", r.err)
			}
			if r.code != c.code || !strings.Contains(r.err, c.says) || c.code != 0 && r.err == "" || strings.Count(r.err, "\n") > 2 {
				t.Errorf("code %d, stderr %q; want code %d and %q in at most two lines", r.code, r.err, c.code, c.says)
			}
			if r.code == 0 {
				got := run(t, "", "mqsub", append(append(at(c.addr), "-t", "t", "-C", "1", "--quiet"), c.args...)...)
				if got.out != "x\n" {
					t.Errorf("mqsub: code %d, %q, %q", got.code, got.out, got.err)
				}
			}
		})
	}
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// SSLKEYLOGFILE is --tls-keylog from the environment, is told of, and yields to it; a
// run without TLS has nothing to log.
func TestTheEnvironmentMayNameAKeyLog(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	_, addr := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), broker.Options{})
	_, plain := brokertest.Start(t)
	secure := append(at(addr), "--cafile", certs.CA.CertFile)
	for _, c := range []struct {
		it          string
		args        []string
		named, flag bool // the files that hold secrets then
	}{
		{"over TLS", secure, true, false},
		{"beside --tls-keylog", append(slices.Clone(secure), "--tls-keylog", "FLAG"), false, true},
		{"without TLS", at(plain), false, false},
	} {
		dir := t.TempDir()
		named, flag := filepath.Join(dir, "named"), filepath.Join(dir, "flag")
		args := append([]string{"-t", "t", "-m", "x"}, c.args...)
		for i, a := range args {
			if a == "FLAG" {
				args[i] = flag
			}
		}
		env := map[string]string{"SSLKEYLOGFILE": named}
		r := startIn(t, cli.Env{Args: args, Lookup: option.MapEnv(env)}, "mqpub").wait()
		for path, want := range map[string]bool{named: c.named, flag: c.flag} {
			b, _ := os.ReadFile(path)
			if got := strings.Contains(string(b), "CLIENT_TRAFFIC_SECRET_0 "); got != want {
				t.Errorf("%s: secrets in %s: %v, want %v", c.it, path, got, want)
			}
		}
		if told := strings.Contains(r.err, "SSLKEYLOGFILE: appending the secrets of TLS connections to "+named); r.code != 0 || told != c.named {
			t.Errorf("%s: code %d, %q", c.it, r.code, r.err)
		}
	}
}
