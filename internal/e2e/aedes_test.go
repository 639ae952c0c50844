package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// TestExchangeOverAedes has the tools exchange messages over a broker of 3.1
// and 3.1.1 only: without -V the tools try 5.0 first.
func TestExchangeOverAedes(t *testing.T) {
	t.Parallel()
	node := program(t, "node")
	const dir = "../../interop/aedes"
	if _, err := os.Stat(dir + "/node_modules/aedes"); err != nil {
		t.Skip("aedes is not installed (npm ci in interop/aedes)")
	}
	certs := certtest.New(t)
	plain, secure, ws := freePort(t), freePort(t), freePort(t)
	c := exec.Command(node, "broker.js", plain, secure, ws, certs.Server.CertFile, certs.Server.KeyFile)
	c.Dir = dir
	d := startDaemon(t, c)
	d.await("word", func() bool { return strings.Contains(d.log.String(), "ready\n") })
	joe := []string{"-u", "joe", "-P", "hunter2"}
	ca := []string{"--cafile", certs.CA.CertFile}
	tcp := append(way{"-h", "127.0.0.1", "-p", plain}, joe...)
	for _, c := range []struct {
		name     string
		versions []string
		w        way
	}{
		{"tcp", []string{"31", "311", "auto"}, tcp},
		{"TLS", []string{"311"}, append(append(way{"-h", "localhost", "-p", secure}, ca...), joe...)},
		{"ws", []string{"31", "311", "auto"}, append(way{"-L", "ws://127.0.0.1:" + ws + "/mqtt"}, joe...)},
	} {
		for _, version := range c.versions {
			// Of QoS 2 it sends some again that PUBREC has answered, as new.
			t.Run(c.name+" v"+version, func(t *testing.T) { exchange(t, c.w, version, limits{large: 1 << 20, kept: 1}) })
		}
	}
	for _, a := range []attempt{
		{"5.0", append(way{"-V", "5"}, tcp...), 4, "not supported (0x84)"},
		{"wrong password", way{"-h", "127.0.0.1", "-p", plain, "-u", "joe", "-P", "hunter22"}, 4, "user name or password"},
		{"no user name", way{"-h", "127.0.0.1", "-p", plain, "-V", "311"}, 4, "user name or password"},
		{"path", way{"-L", "ws://127.0.0.1:" + ws + "/other"}, 3, "broker answered 400 Bad Request"},
		{"another authority", append(way{"-h", "localhost", "-p", secure, "--cafile", certs.OtherCA.CertFile}, joe...), 3, "certificate signed by unknown CA"},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.check(t, "t")
		})
	}
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		r := run(t, "", "mqsub", tcp.with("-t", "secret/x")...)
		if r.code != 5 || !strings.Contains(r.err, "secret/x") {
			t.Errorf("SUBSCRIBE: code %d, stderr %q; want code 5", r.code, r.err)
		}
		// It has no answer to a PUBLISH but to end the connection.
		r = run(t, "", "mqpub", tcp.with("-t", "secret/x", "-m", "x", "-q", "1")...)
		if r.code != 7 || !strings.Contains(r.err, "lost") {
			t.Errorf("PUBLISH: code %d, stderr %q; want code 7", r.code, r.err)
		}
	})
}
