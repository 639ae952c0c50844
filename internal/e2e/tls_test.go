package e2e

import (
	"strings"
	"testing"

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
		{"not verified", addr, []string{"--tls", "--insecure"}, 0, "not verified"},
		{"not trusted", addr, []string{"--tls"}, 3, "unknown authority"},
		{"other authority", addr, []string{"--cafile", certs.OtherCA.CertFile}, 3, "unknown authority"},
		{"other name", addr, []string{"--cafile", certs.CA.CertFile, "--tls-server-name", "nobody.example"}, 3, "nobody.example"},
		{"client certificate", mutual, []string{"--cafile", certs.CA.CertFile, "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile}, 0, ""},
		{"no client certificate", mutual, []string{"--cafile", certs.CA.CertFile}, 3, "certificate"},
		{"plain to a TLS port", addr, nil, 3, ""},
		{"TLS to a plain port", plain, []string{"--cafile", certs.CA.CertFile}, 3, "TLS"},
		{"certificate without key", addr, []string{"--cafile", certs.CA.CertFile, "--cert", certs.Client.CertFile}, 2, "--key"},
		{"a key for a CA file", addr, []string{"--cafile", certs.CA.KeyFile}, 2, certs.CA.KeyFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, "", "mqpub", append(append(at(c.addr), send...), c.args...)...)
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
