package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// everyVersion are the values of -V that name one.
var everyVersion = []string{"31", "311", "5"}

// TestExchangeOverMosquitto has the tools exchange messages over Debian's
// broker, on every listener that it has.
func TestExchangeOverMosquitto(t *testing.T) {
	t.Parallel()
	dir, certs := tempDir(t), certtest.New(t)
	plain, secure, ws, wss := freePort(t), freePort(t), freePort(t), freePort(t)
	tls := []string{"cafile " + certs.CA.CertFile, "certfile " + certs.Server.CertFile, "keyfile " + certs.Server.KeyFile}
	lines := []string{"per_listener_settings true", "max_queued_messages 0",
		"listener " + plain + " 127.0.0.1", "allow_anonymous true",
		"listener " + ws + " 127.0.0.1", "protocol websockets", "allow_anonymous true"}
	lines = append(append(lines, "listener "+secure+" 127.0.0.1", "allow_anonymous true"), tls...)
	lines = append(append(lines, "listener "+wss+" 127.0.0.1", "protocol websockets", "allow_anonymous true"), tls...)
	m := newMosquittoWith(t, dir, nil, lines...)
	// 2.0.11 sends 4096 bytes every tenth of a second over WebSocket.
	const large, notSoLarge = 1 << 20, 1 << 14
	for _, c := range []struct {
		name     string
		versions []string
		large    int
		w        way
	}{
		{"unix", []string{"5"}, large, way{"--unix", m.socket()}},
		{"tcp", everyVersion, large, way{"-h", "127.0.0.1", "-p", plain}},
		{"TLS", []string{"311", "5"}, large, way{"-h", "127.0.0.1", "-p", secure, "--cafile", certs.CA.CertFile}},
		{"ws", everyVersion, notSoLarge, way{"-L", "ws://127.0.0.1:" + ws}},
		{"wss", []string{"5"}, notSoLarge, way{"-L", "wss://localhost:" + wss, "--cafile", certs.CA.CertFile}},
	} {
		for _, version := range c.versions {
			t.Run(c.name+" v"+version, func(t *testing.T) { exchange(t, c.w, version, limits{large: c.large, kept: 2}) })
		}
	}
}

// attempt is a run of a tool against a foreign broker: what it ends with, and
// a part of what it says.
type attempt struct {
	name string
	w    way
	code int
	says string
}

// check runs mqpub, and mqsub alike, which ends at once.
func (a attempt) check(t *testing.T, topic string) {
	for tool, args := range map[string][]string{
		"mqpub": {"-t", topic, "-m", "x", "-q", "1"},
		"mqsub": {"-t", topic, "-q", "1", "-E"},
	} {
		r := run(t, "", tool, a.w.with(args...)...)
		if r.code != a.code || !strings.Contains(r.err, a.says) || (a.says == "") != (r.err == "") || strings.Count(r.err, "\n") > 2 || strings.Contains(r.err, "hunter2") {
			t.Errorf("%s: code %d, stderr %q; want code %d and %q", tool, r.code, r.err, a.code, a.says)
		}
	}
}

// TestMosquittoCertificates meets every fault of certificates, on both sides,
// as OpenSSL reports them in TLS 1.3 and 1.2.
func TestMosquittoCertificates(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	var lines []string
	listener := func(p certtest.Pair, more ...string) string {
		port := freePort(t)
		lines = append(lines, "listener "+port+" 127.0.0.1", "cafile "+certs.CA.CertFile, "certfile "+p.CertFile, "keyfile "+p.KeyFile, "allow_anonymous true")
		lines = append(lines, more...)
		return port
	}
	lines = append(lines, "per_listener_settings true")
	good, mutual, socket := listener(certs.Server), listener(certs.Server, "require_certificate true"), listener(certs.Server, "require_certificate true", "protocol websockets")
	expired, early, wrong, self := listener(certs.Expired), listener(certs.NotYetValid), listener(certs.WrongHost), listener(certs.SelfSigned)
	newMosquittoWith(t, tempDir(t), nil, lines...)
	lines = []string{"per_listener_settings true"}
	good12, mutual12 := listener(certs.Server), listener(certs.Server, "require_certificate true")
	openssl := writeFile(t, filepath.Join(t.TempDir(), "openssl.cnf"), "openssl_conf = a", "[a]", "ssl_conf = b", "[b]", "system_default = c", "[c]", "MaxProtocol = TLSv1.2")
	newMosquittoWith(t, tempDir(t), []string{"OPENSSL_CONF=" + openssl}, lines...)

	ca := []string{"--cafile", certs.CA.CertFile}
	shows := func(p certtest.Pair) []string {
		return append([]string{"--cert", p.CertFile, "--key", p.KeyFile}, ca...)
	}
	to := func(port string, more ...string) way { return append(way{"-h", "localhost", "-p", port}, more...) }
	for _, a := range []attempt{
		{"trusted", to(good, ca...), 0, ""},
		{"trusted, TLS 1.2", to(good12, ca...), 0, ""},
		{"TLS 1.2 with a chosen suite", to(good12, append(ca, "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256")...), 0, ""},
		{"TLS 1.2 without a suite in common", to(good12, append(ca, "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")...), 3, "no cipher or parameter in common"},
		{"TLS 1.3 only", to(good12, append(ca, "--tls-version", "1.3")...), 3, "no TLS version in common"},
		{"system's authorities", to(good, "--tls"), 3, "unknown CA"},
		{"another authority", to(good, "--cafile", certs.OtherCA.CertFile), 3, "unknown CA"},
		{"another name", to(good, append(ca, "--tls-server-name", "elsewhere.example")...), 3, "elsewhere.example"},
		{"expired", to(expired, ca...), 3, "expired on 2020-01-02"},
		{"not yet valid", to(early, ca...), 3, "not valid before 2200-01-02"},
		{"for another host", to(wrong, ca...), 3, `not for "localhost"`},
		{"for that host", to(wrong, append(ca, "--tls-server-name", "other.example")...), 0, ""},
		{"self-signed", to(self, ca...), 3, "self-signed"},
		{"a client's", to(mutual, shows(certs.Client)...), 0, ""},
		{"a client's, TLS 1.2", to(mutual12, shows(certs.Client)...), 0, ""},
		{"a client's, wss", append(way{"-L", "wss://localhost:" + socket}, shows(certs.Client)...), 0, ""},
		{"none", to(mutual, ca...), 3, "requires a client certificate"},
		{"none, TLS 1.2", to(mutual12, ca...), 3, "requires a client certificate"},
		{"none, wss", append(way{"-L", "wss://localhost:" + socket}, ca...), 3, "requires a client certificate"},
		{"another authority's", to(mutual, shows(certs.OtherClient)...), 3, "refused the client certificate"},
		{"another authority's, TLS 1.2", to(mutual12, shows(certs.OtherClient)...), 3, "refused the client certificate"},
		{"another authority's, wss", append(way{"-L", "wss://localhost:" + socket}, shows(certs.OtherClient)...), 3, "refused the client certificate"},
		{"a server's", to(mutual, shows(certs.Server)...), 3, "refused the client certificate"},
		{"an expired one", to(mutual, shows(certs.Expired)...), 3, "refused the client certificate"},
		{"no TLS", to(good), 3, "localhost:" + good},
	} {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.check(t, "t")
		})
	}
}

// TestMosquittoUsers has a password file, as mosquitto_passwd makes it, an
// access list, and users that are known by their certificates.
func TestMosquittoUsers(t *testing.T) {
	t.Parallel()
	dir, certs := tempDir(t), certtest.New(t)
	passwords := writeFile(t, filepath.Join(dir, "passwords"))
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(program(t, "mosquitto_passwd"), "-b", passwords, "joe", "hunter2").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v %s", err, b)
	}
	acl := writeFile(t, filepath.Join(dir, "acl"), "user joe", "topic readwrite joe/#", "topic readwrite all", "topic read news/#", "pattern readwrite %u/own/#", "user client", "topic readwrite all")
	private, mutual := freePort(t), freePort(t)
	m := newMosquittoWith(t, dir, nil, "per_listener_settings true",
		"listener "+private+" 127.0.0.1", "allow_anonymous false", "password_file "+passwords, "acl_file "+acl,
		"listener "+mutual+" 127.0.0.1", "cafile "+certs.CA.CertFile, "certfile "+certs.Server.CertFile, "keyfile "+certs.Server.KeyFile,
		"require_certificate true", "use_identity_as_username true", "acl_file "+acl)
	file := writeFile(t, filepath.Join(dir, "secret"), "hunter2")
	to := way{"-h", "127.0.0.1", "-p", private}
	cert := way{"-h", "127.0.0.1", "-p", mutual, "--cafile", certs.CA.CertFile, "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile}
	for _, version := range everyVersion {
		for _, a := range []attempt{
			{"right", append(way{"-u", "joe", "-P", "hunter2"}, to...), 0, ""},
			{"right, from a file", append(way{"-u", "joe", "--password-file", file}, to...), 0, ""},
			{"right, in the URL", way{"-L", "mqtt://joe:hunter2@127.0.0.1:" + private}, 0, ""},
			{"wrong", append(way{"-u", "joe", "-P", "hunter22"}, to...), 4, "mq"},
			{"missing", append(way{"-u", "joe"}, to...), 4, "check --username and --password-file"},
			{"another user's", append(way{"-u", "eve", "-P", "hunter2"}, to...), 4, "check --username and --password-file"},
			{"no user name", to, 4, "not authorized"},
			{"a certificate's", cert, 0, ""},
		} {
			t.Run(a.name+" v"+version, func(t *testing.T) {
				t.Parallel()
				a.w = append(a.w, "-V", version)
				a.check(t, "all")
			})
		}
		t.Run("v"+version, func(t *testing.T) {
			t.Parallel()
			// The broker grants every subscription and withholds the messages;
			// what joe may not publish it acknowledges before MQTT 5 like all
			// else, and drops.
			joe, all := append(way{"-u", "joe", "-P", "hunter2", "-V", version}, to...), way{"--unix", m.socket(), "-V", version}
			name := append(cert, "-V", version)
			watch := all.follow(t, "-t", version+"/#", "-t", "client/own/"+version, "-q", "1", "-v", "-C", "3")
			mine := joe.follow(t, "-t", "joe/"+version, "-t", version+"/#", "-t", "news/#", "-q", "1", "-v", "-C", "2")
			all.pub(t, "", "-t", "joe/"+version, "-m", "for joe", "-q", "1")
			denied := 0
			if version == "5" {
				denied = 5
			}
			for _, qos := range []string{"0", "1", "2"} {
				want := denied
				if qos == "0" {
					want = 0
				}
				r := run(t, "", "mqpub", joe.with("-t", version+"/x", "-m", "denied", "-q", qos)...)
				if r.code != want || want != 0 && !strings.Contains(r.err, `"`+version+`/x": publish refused: not authorized (0x87)`) {
					t.Errorf("QoS %s: code %d, stderr %q; want code %d", qos, r.code, r.err, want)
				}
			}
			r := run(t, "a\nb\n", "mqpub", joe.with("-t", version+"/x", "-l", "-q", "1")...)
			if r.code != denied || denied != 0 && !strings.Contains(r.err, "2 of 2 messages not delivered: 2 refused") {
				t.Errorf("lines: code %d, stderr %q; want code %d", r.code, r.err, denied)
			}
			name.pub(t, "", "-t", "client/own/"+version, "-m", "by name", "-q", "1")
			all.pub(t, "", "-t", version+"/x", "-m", "allowed", "-q", "1")
			all.pub(t, "", "-t", "joe/"+version, "-m", "at last", "-q", "1")
			all.pub(t, "", "-t", version+"/x", "-m", "at last", "-q", "1")
			mine.gets(t, "joe/"+version+" for joe\njoe/"+version+" at last\n")
			watch.gets(t, "client/own/"+version+" by name\n"+version+"/x allowed\n"+version+"/x at last\n")
		})
	}
}

// TestMosquittoDeniesSubscriptions has the plugin that does so; our mqpub reports
// it of a user, by a request that works without MQTT 5.
func TestMosquittoDeniesSubscriptions(t *testing.T) {
	t.Parallel()
	plugins, _ := filepath.Glob("/usr/lib/*/mosquitto_dynamic_security.so")
	if len(plugins) == 0 {
		t.Skip("mosquitto's plugin for dynamic security is not installed")
	}
	dir, port := tempDir(t), freePort(t)
	config := filepath.Join(dir, "users.json")
	if b, err := exec.Command(program(t, "mosquitto_ctrl"), "dynsec", "init", config, "admin", "hunter2").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_ctrl: %v %s", err, b)
	}
	newMosquittoWith(t, dir, nil, "plugin "+plugins[0], "plugin_opt_config_file "+config, "listener "+port+" 127.0.0.1")
	to := way{"-h", "127.0.0.1", "-p", port, "-P", "hunter2"}
	const control = "$CONTROL/dynamic-security/v1"
	got := ok(t, "", "mqpub", to.with("-u", "admin", "-V", "311", "-t", control, "-e", control+"/response", "-W", "20", "-m", `{"commands":[
		{"command":"createRole","rolename":"r","acls":[
			{"acltype":"publishClientSend","topic":"yes/#","allow":true},{"acltype":"subscribePattern","topic":"yes/#","allow":true}]},
		{"command":"createClient","username":"joe","password":"hunter2","roles":[{"rolename":"r"}]}]}`)...)
	if got != `{"responses":[{"command":"createRole"},{"command":"createClient"}]}`+"\n" {
		t.Fatalf("the plugin answers %q", got)
	}
	// MQTT 3.1 has no way to say so.
	for version, says := range map[string]string{"311": "0x80", "5": "not authorized (0x87)"} {
		joe := append(way{"-u", "joe", "-V", version}, to...)
		ok(t, "", "mqsub", joe.with("-t", "yes/a", "-E")...)
		for _, args := range [][]string{{"-t", "no/a"}, {"-t", "yes/a", "-t", "no/a"}} {
			r := run(t, "", "mqsub", joe.with(args...)...)
			if r.code != 5 || !strings.Contains(r.err, "refused the subscription") || !strings.Contains(r.err, says) || !strings.Contains(r.err, "no/a") {
				t.Errorf("%q v%s: code %d, stderr %q; want code 5 and %q", args, version, r.code, r.err, says)
			}
		}
	}
}
