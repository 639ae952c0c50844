package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// ejabberd is Debian's ejabberd as an MQTT broker, and its ports.
type ejabberd struct{ plain, secure, http, https string }

// newEjabberd starts one with the user joe@localhost, whose password is
// hunter2. It is no node of a cluster, so it needs and starts no epmd, and
// anybody may run it; ejabberdctl would want a node and a user of its own.
func newEjabberd(t *testing.T, certs *certtest.Set) *ejabberd {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/ejabberd-*/ebin/mod_mqtt.beam")
	if len(found) == 0 {
		t.Skip("ejabberd is not installed")
	}
	erl := program(t, "erl")
	e := &ejabberd{freePort(t), freePort(t), freePort(t), freePort(t)}
	dir := tempDir(t)
	pem := filepath.Join(dir, "server.pem")
	if err := os.WriteFile(pem, append(append([]byte(nil), certs.Server.KeyPEM...), certs.Server.CertPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	// What is not named is denied.
	open := `{"` + t.Name() + `/#": all, "open/#": all}`
	config := writeFile(t, filepath.Join(dir, "ejabberd.yml"),
		"loglevel: warning", "hosts: [localhost]", "auth_method: internal", "certfiles: ["+pem+"]", "ca_file: "+certs.CA.CertFile, "listen:",
		"  - {port: "+e.plain+", ip: 127.0.0.1, module: mod_mqtt, max_payload_size: infinity}",
		"  - {port: "+e.secure+", ip: 127.0.0.1, module: mod_mqtt, tls: true}",
		"  - {port: "+e.http+", ip: 127.0.0.1, module: ejabberd_http, request_handlers: {/broker: mod_mqtt}}",
		"  - {port: "+e.https+", ip: 127.0.0.1, module: ejabberd_http, tls: true, request_handlers: {/mqtt: mod_mqtt}}",
		"modules:", "  mod_mqtt:", "    access_subscribe: "+open, "    access_publish: "+open, "    max_queue: 100000")
	inetrc := writeFile(t, filepath.Join(dir, "inetrc"), "{lookup, [file, native]}.")
	c := exec.Command(erl, "-noinput", "-mnesia", "dir", `"`+filepath.Join(dir, "spool")+`"`, "-s", "ejabberd",
		"-eval", `io:format("registered: ~p~n", [ejabberd_auth:try_register(<<"joe">>, <<"localhost">>, <<"hunter2">>)]).`)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "ERL_LIBS="+filepath.Dir(filepath.Dir(filepath.Dir(found[0]))),
		"EJABBERD_CONFIG_PATH="+config, "EJABBERD_LOG_PATH="+filepath.Join(dir, "log"), "ERL_CRASH_DUMP="+filepath.Join(dir, "crash"), "ERL_INETRC="+inetrc)
	d := startDaemon(t, c, e.plain, e.secure, e.http, e.https)
	d.await("user", func() bool { return strings.Contains(d.log.String(), "registered: ok") })
	return e
}

// TestExchangeOverEjabberd has the tools exchange messages over a broker that
// shares no code with mosquitto nor with ours, by every way that it knows.
func TestExchangeOverEjabberd(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	e := newEjabberd(t, certs)
	joe := way{"-u", "joe@localhost", "-P", "hunter2"}
	ca := []string{"--cafile", certs.CA.CertFile}
	for _, c := range []struct {
		name     string
		versions []string
		w        way
	}{
		{"tcp", []string{"311", "5"}, append(way{"-h", "127.0.0.1", "-p", e.plain}, joe...)},
		{"TLS", []string{"5"}, append(append(way{"-h", "localhost", "-p", e.secure}, ca...), joe...)},
		{"URL", []string{"5"}, way{"-L", "mqtt://joe%40localhost:hunter2@127.0.0.1:" + e.plain}},
		{"ws", []string{"311", "5"}, append(way{"-L", "ws://127.0.0.1:" + e.http + "/broker"}, joe...)},
		{"wss", []string{"5"}, append(append(way{"-h", "localhost", "-p", e.https, "--ws", "--ws-header", "Origin: https://localhost"}, ca...), joe...)},
	} {
		for _, version := range c.versions {
			t.Run(c.name+" v"+version, func(t *testing.T) { exchange(t, c.w, version, limits{large: 1 << 20, kept: 2}) })
		}
	}
	at := func(port string, more ...string) way { return append(way{"-h", "127.0.0.1", "-p", port}, more...) }
	for _, a := range []attempt{
		{"the version is agreed on", at(e.plain, joe...), 0, ""},
		{"3.1", at(e.plain, append(joe, "-V", "31")...), 4, "not supported (0x84)"},
		{"wrong password", at(e.plain, "-u", "joe@localhost", "-P", "hunter22"), 4, "not authorized"},
		{"wrong password, 3.1.1", at(e.plain, "-u", "joe@localhost", "-P", "hunter22", "-V", "311"), 4, "check --username and --password-file"},
		{"no user name", at(e.plain), 4, "not authorized"},
		{"wrong password, ws", way{"-L", "ws://joe%40localhost:hunter22@127.0.0.1:" + e.http + "/broker"}, 4, "not authorized"},
		{"path of ws", way{"-L", "ws://127.0.0.1:" + e.http + "/mqtt"}, 3, "/mqtt: broker answered 404 Not Found"},
		{"path of wss", append(way{"-L", "wss://127.0.0.1:" + e.https + "/other"}, ca...), 3, "check --ws-path; many brokers use /mqtt"},
		{"ws at the port of MQTT", way{"-L", "ws://127.0.0.1:" + e.plain}, 3, "does this port speak WebSocket?"},
		{"no TLS", at(e.secure, joe...), 3, "127.0.0.1:" + e.secure},
		{"TLS at the plain port", at(e.plain, append(joe, ca...)...), 3, "127.0.0.1:" + e.plain + " closed the connection during the TLS handshake"},
		{"another authority", at(e.secure, append(joe, "--cafile", certs.OtherCA.CertFile)...), 3, "unknown CA"},
		{"another authority, wss", way{"-L", "wss://localhost:" + e.https, "--cafile", certs.OtherCA.CertFile}, 3, "unknown CA"},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.check(t, "open/to/all")
		})
	}
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		// Also before MQTT 5 this broker answers with codes of MQTT 5.
		for version, says := range map[string]string{"311": "0x80", "5": "topic filter invalid (0x8f)"} {
			w := at(e.plain, append(joe, "-V", version)...)
			r := run(t, "", "mqsub", w.with("-t", "secret/x", "-t", "open/x")...)
			if r.code != 5 || !strings.Contains(r.err, says) || !strings.Contains(r.err, "secret/x") {
				t.Errorf("SUBSCRIBE v%s: code %d, stderr %q; want code 5 and %q", version, r.code, r.err, says)
			}
		}
		for _, qos := range []string{"1", "2"} {
			r := run(t, "", "mqpub", at(e.plain, joe...).with("-t", "secret/x", "-m", "x", "-q", qos, "-V", "5")...)
			if r.code != 5 || !strings.Contains(r.err, "topic name invalid (0x90): Publishing to this topic is forbidden") {
				t.Errorf("PUBLISH at QoS %s: code %d, stderr %q; want code 5", qos, r.code, r.err)
			}
		}
		// This broker says in CONNACK that it has no shared subscriptions.
		r := run(t, "", "mqsub", at(e.plain, joe...).with("-t", "$share/g/t", "-V", "5")...)
		if r.code != 5 || !strings.Contains(r.err, "does not support this kind of subscription") {
			t.Errorf("shared: code %d, stderr %q; want code 5", r.code, r.err)
		}
	})
}
