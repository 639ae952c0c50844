package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/auth"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// listening is the address that a --serve says.
func (r *running) listening(t *testing.T) string {
	t.Helper()
	said := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		said = r.err.String()
		if _, rest, ok := strings.Cut(said, "serving MQTT on "); ok && strings.Contains(rest, "\n") {
			break
		}
	}
	_, addr, _ := strings.Cut(said, "serving MQTT on ")
	addr, _, _ = strings.Cut(addr, "\n")
	return addr
}

func usersFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whoever finds the broker of mqsub finds mqsub subscribed.
func TestServeSubscribesFirst(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "-t", "#", "-C", "1")
		ok(t, "", "mqpub", "-h", s.listening(t), "-q", "1", "-t", "t", "-m", "the first")
		if got := s.wait(); got.code != 0 || got.out != "the first\n" {
			t.Fatalf("code %d, %q, %q", got.code, got.out, got.err)
		}
	}
}

// Without -t mqsub is a broker and nothing else: it has no login of its own to its
// broker, and writes nothing to stdout.
func TestServeAloneServes(t *testing.T) {
	t.Parallel()
	keys, err := auth.KeysOf("SCRAM-SHA-512", "pencil", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	users := usersFile(t, "users: {al: '"+keys.String()+"'}\nacl:\n- {topic: '#', access: readwrite}\n")
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, exec.Command(bin+"/mqsub", "--config", "none", "--serve", "127.0.0.1:0", "--serve-users", users))
	d.await("address", func() bool { return strings.HasSuffix(d.log.String(), "\n") })
	_, addr, _ := strings.Cut(strings.TrimSpace(d.log.String()), "serving MQTT on ")
	for range 2 {
		ok(t, "", "mqpub", "-h", addr, "-u", "al", "-P", "pencil", "-q", "1", "-r", "-t", "t", "-m", "kept")
		if out := ok(t, "", "mqsub", "-h", addr, "-u", "al", "-P", "pencil", "-t", "#", "-C", "1"); out != "kept\n" {
			t.Errorf("got %q", out)
		}
	}
	if r := run(t, "", "mqpub", "-h", addr, "-t", "t", "-m", "x"); r.code != 4 {
		t.Errorf("without a login: %+v", r)
	}
	if r := run(t, "", "mqsub", "--serve", "127.0.0.1:0", "-W", "0.2"); r.code != 27 || r.out != "" {
		t.Errorf("with a time limit: %+v", r)
	}
	for _, more := range [][]string{{"-E"}, {"-C", "1"}, {"--retained-only"}} {
		if r := run(t, "", "mqsub", append(more, "--serve", "127.0.0.1:0")...); r.code != 2 || !strings.Contains(r.err, "no topic filter") {
			t.Errorf("%q: %+v", more, r)
		}
	}
}

func TestServeHasUsers(t *testing.T) {
	t.Parallel()
	keys, err := auth.KeysOf("SCRAM-SHA-512", "pencil", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	users := usersFile(t, "users: {al: '"+keys.String()+"'}\nacl:\n- {topic: '%u/#', access: readwrite}\n")
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve-users", users, "-u", "al", "-P", "pencil", "-t", "al/#", "-C", "2", "-v")
	host := []string{"-h", s.listening(t), "-m", "x", "-q", "1", "-r"}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-t", "al/1", "-u", "al", "-P", "pencil"}, 0},
		{[]string{"-t", "al/1", "-u", "al", "-P", "pen"}, 4},
		{[]string{"-t", "al/1"}, 4},
		{[]string{"-t", "bo/1", "-u", "al", "-P", "pencil"}, 5},
		{[]string{"-t", "al/2", "-u", "al", "-P", "pencil", "--auth", "scram-sha-512"}, 0},
	} {
		if r := run(t, "", "mqpub", append(c.args, host...)...); r.code != c.code {
			t.Errorf("%q: status %d, want %d: %s", c.args, r.code, c.code, r.err)
		}
	}
	if r := s.wait(); r.code != 0 || r.out != "al/1 x\nal/2 x\n" {
		t.Errorf("%+v", r)
	}
	r := run(t, "", "mqsub", "--serve", "127.0.0.1:0", "--serve-users", usersFile(t, "users: {al: pencil}\n"), "-t", "a")
	if r.code != 2 || !strings.Contains(r.err, ":1:13: ") || strings.Contains(r.err, "pencil") {
		t.Errorf("%+v", r)
	}
}

func TestServeHasLimits(t *testing.T) {
	t.Parallel()
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve-users", usersFile(t, "anonymous: true\nlimits: {packet-bytes: 1000}\n"), "-t", "a", "-C", "1")
	host := []string{"-h", s.listening(t), "-t", "a", "-q", "1", "-r"}
	if r := run(t, "", "mqpub", append(host, "-m", strings.Repeat("x", 1000))...); r.code != 5 || !strings.Contains(r.err, "a packet of 1009 bytes is too large: at most 1000 are accepted") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "", "mqpub", append(host, "-m", "x")...); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := s.wait(); r.code != 0 || r.out != "x\n" {
		t.Errorf("%+v", r)
	}
}

// One broker behind several addresses, of all kinds.
func TestServeListensOnSeveralAddresses(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	socket := filepath.Join(t.TempDir(), "s")
	for _, name := range []string{"mqsub", "mqpub", "mqbench"} {
		args := []string{"--serve", "mqtt://127.0.0.1:0", "--serve", "ws://127.0.0.1:0/mqtt", "--serve", "mqtts://127.0.0.1:0",
			"--serve=wss://127.0.0.1:0", "--serve", "unix://" + socket, "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile}
		if name != "mqsub" {
			if r := run(t, "", name, append(args, "--show-config")...); r.code != 0 || !strings.Contains(r.out, `"mqtt://127.0.0.1:0" "ws://127.0.0.1:0/mqtt" "mqtts://127.0.0.1:0" "wss://127.0.0.1:0" "unix://`+socket+`"`) {
				t.Errorf("%s: %+v", name, r)
			}
			continue
		}
		s := start(t, nil, name, append(args, "-t", "#", "-C", "5", "-v")...)
		s.listening(t)
		said := ""
		for deadline := time.Now().Add(patience); strings.Count(said, "\n") < 5 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			said = s.err.String()
		}
		for i, line := range strings.Split(strings.TrimSpace(said), "\n") {
			_, addr, _ := strings.Cut(line, "serving MQTT on ")
			to := []string{"--url", []string{"mqtt://", "", "mqtts://", "", "unix://"}[i] + addr}
			if i == 2 || i == 3 {
				to = append(to, "--cafile", certs.CA.CertFile)
			}
			if r := run(t, "", "mqpub", append(to, "-t", "a", "-m", "x", "-q", "1", "-r")...); r.code != 0 {
				t.Errorf("%s: %+v", line, r)
			}
		}
		if r := s.wait(); r.code != 0 || r.out != strings.Repeat("a x\n", 5) {
			t.Errorf("%+v", r)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--serve", "127.0.0.1:0", "--serve", "mqtts://127.0.0.1:0"}, 3, "without a certificate"},
		{[]string{"--serve", "mqtt://127.0.0.1:0", "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile}, 3, "without TLS"},
		{[]string{"--serve", "127.0.0.1:0", "--serve", "mqtt://127.0.0.1:0", "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile,
			"--serve-client-ca", certs.CA.CertFile}, 2, "open to anyone"},
		{[]string{"--serve", "127.0.0.1:0", "--serve", "mqtts://127.0.0.1:0", "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile,
			"--serve-client-ca", certs.CA.CertFile}, 2, "open to anyone"},
		{[]string{"--serve", "ws://127.0.0.1:0", "--serve-origin", "app.example"}, 2, `--serve-origin: invalid value "app.example" (want scheme://HOST`},
		{[]string{"--serve", "127.0.0.1:0", "--serve-origin", "*"}, 2, "--serve-origin needs WebSocket"},
	} {
		if r := run(t, "", "mqsub", append(c.args, "-t", "a")...); r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("%q: %+v, want %d and %q", c.args, r, c.code, c.says)
		}
	}
}

func TestServeBehindAProxy(t *testing.T) {
	t.Parallel()
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve-proxy-protocol", "-t", "#", "-C", "1", "-v", "-d")
	addr := s.listening(t)
	if r := run(t, "", "mqpub", "-h", addr, "-t", "a", "-m", "no header", "-q", "1"); r.code != 3 {
		t.Errorf("without a header: %+v", r)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// CONNECT, and PUBLISH of a retained message.
	_, _ = nc.Write([]byte("PROXY TCP4 192.0.2.1 198.51.100.1 56324 1883\r\n\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00\x31\x04\x00\x01ax"))
	if r := s.wait(); r.code != 0 || r.out != "a x\n" || !strings.Contains(r.err, " connected from 192.0.2.1:56324") || !strings.Contains(r.err, "this looks like MQTT") {
		t.Errorf("%+v", r)
	}
}

// SIGHUP has the broker read its users again: who is new gets in, who is gone
// is cut off, and a file with an error changes nothing.
func TestServeReadsItsUsersAgain(t *testing.T) {
	t.Parallel()
	need(t)
	if runtime.GOOS == "windows" {
		t.Skip("no SIGHUP")
	}
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	user := func(name string) string {
		k, err := auth.KeysOf("SCRAM-SHA-512", "of "+name, []byte("salt of "+name), 4096)
		if err != nil {
			t.Fatal(err)
		}
		return "  " + name + ": " + k.String() + "\n"
	}
	as := func(name string) []string { return []string{"-u", name, "-P", "of " + name} }
	users := usersFile(t, "users:\n"+user("al")+user("bo"))
	d := startDaemon(t, exec.Command(bin+"/mqsub", append(as("al"), "--config", "none", "--serve", "127.0.0.1:0", "--serve-users", users, "-t", "own")...))
	hangUp := func(text, says string) {
		t.Helper()
		before := len(d.log.String())
		if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = d.cmd.Process.Signal(syscall.SIGHUP)
		d.await(says, func() bool { return strings.Contains(d.log.String()[before:], says+"\n") })
	}
	const listens = "serving MQTT on "
	d.await("address", func() bool {
		_, rest, ok := strings.Cut(d.log.String(), listens)
		return ok && strings.Contains(rest, "\n")
	})
	_, addr, _ := strings.Cut(d.log.String(), listens)
	addr, _, _ = strings.Cut(addr, "\n")
	pub := func(name string, code int) {
		t.Helper()
		if r := run(t, "", "mqpub", append(as(name), "-h", addr, "-t", "t", "-m", "by "+name, "-q", "1")...); r.code != code {
			t.Errorf("%s: %+v, want status %d", name, r, code)
		}
	}
	follow := func(name string) *running {
		t.Helper()
		r := start(t, nil, "mqsub", append(as(name), "-h", addr, "-t", "t", "-d", "--no-reconnect")...)
		if !poll(r.done, func() bool { return strings.Contains(r.err.String(), "received SUBACK") }) {
			t.Fatalf("%s does not subscribe: %s", name, r.err.String())
		}
		return r
	}
	al, bo := follow("al"), follow("bo")
	pub("bo", 0)
	pub("cy", 4)
	hangUp("users:\n"+user("al")+user("cy"), "users and rules reloaded")
	if r := bo.wait(); r.code != 7 || !strings.Contains(r.err, "not authorized") {
		t.Errorf("the user that is gone: %+v", r)
	}
	pub("bo", 4)
	pub("cy", 0)
	hangUp("users:\n"+user("al")+"  bo: pencil\n", users+":3:7: the password of \"bo\" is not what --hash-password prints: not of the form METHOD$ITERATIONS:SALT$STOREDKEY:SERVERKEY; users and rules unchanged")
	pub("bo", 4)
	pub("cy", 0)
	if want := "by bo\nby cy\nby cy\n"; al.until(t, want) != want {
		t.Errorf("the user that stays: %q, want %q", al.out.String(), want)
	}
	if strings.Contains(d.log.String(), "pencil") {
		t.Errorf("it tells a secret: %s", d.log.String())
	}
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	r := run(t, "pencil\n", "mqsub", "--hash-password")
	k, err := auth.ParseKeys(strings.TrimSuffix(r.out, "\n"))
	if err != nil || r.code != 0 || !k.Matches("pencil") {
		t.Errorf("%+v, %v", r, err)
	}
	if r := run(t, "", "mqsub", "--hash-password"); r.code != 2 {
		t.Errorf("no password: %+v", r)
	}
}

func TestServeSpeaksTLS(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	keys, err := auth.KeysOf("SCRAM-SHA-512", "x", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	users := usersFile(t, "anonymous: true\nusers: {al: '"+keys.String()+"'}\nacl:\n- {user: '', topic: '#', access: readwrite}\n- {topic: '%u/#', access: readwrite}\n")
	for _, scheme := range []string{"mqtts", "wss"} {
		s := start(t, nil, "mqsub", "--serve", scheme+"://127.0.0.1:0", "--serve-users", users, "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile,
			"--serve-client-ca", certs.CA.CertFile, "-t", "#", "-C", "1", "-v")
		addr := s.listening(t)
		if scheme == "mqtts" {
			addr = "mqtts://" + addr
		}
		for _, c := range []struct {
			args []string
			code int
		}{
			{[]string{"-t", "client/1"}, 3},
			{[]string{"-t", "al/1", "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile, "-u", "al"}, 5},
			{[]string{"-t", "client/1", "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile}, 0},
		} {
			if r := run(t, "", "mqpub", append(c.args, "--url", addr, "--cafile", certs.CA.CertFile, "-m", "x", "-q", "1", "-r")...); r.code != c.code {
				t.Errorf("%s: %q: status %d, want %d: %s", scheme, c.args, r.code, c.code, r.err)
			}
		}
		if r := s.wait(); r.code != 0 || r.out != "client/1 x\n" {
			t.Errorf("%s: %+v", scheme, r)
		}
	}
	if r := run(t, "", "mqsub", "--serve", "127.0.0.1:0", "--serve-key", certs.Server.KeyFile, "-t", "a"); r.code != 2 {
		t.Errorf("%+v", r)
	}
}

// An address without a scheme is plain beside one that says TLS.
func TestServeWithoutASchemeIsPlainBesideTLS(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	s := start(t, nil, "mqsub", "--serve", "127.0.0.1:0", "--serve", "mqtts://127.0.0.1:0", "--serve-cert", certs.Server.CertFile, "--serve-key", certs.Server.KeyFile,
		"-t", "a", "-C", "1")
	ok(t, "", "mqpub", "--url", "mqtt://"+s.listening(t), "-t", "a", "-m", "x", "-q", "1")
	if r := s.wait(); r.code != 0 || r.out != "x\n" {
		t.Errorf("%+v", r)
	}
}

// A browser's page from elsewhere is not let in, and the warning says so once.
func TestServeAsksWhosePageItIs(t *testing.T) {
	t.Parallel()
	s := start(t, nil, "mqsub", "--serve", "ws://127.0.0.1:0/mqtt", "--serve-origin", "https://app.example", "-t", "a", "-C", "1")
	url := s.listening(t)
	for range 3 {
		r := run(t, "", "mqpub", "--url", url, "--ws-header", "Origin: https://evil.example", "-t", "a", "-m", "x")
		if r.code != 3 || !strings.Contains(r.err, "403 Forbidden: web pages of this origin may not connect to this broker") {
			t.Errorf("%+v", r)
		}
	}
	ok(t, "", "mqpub", "--url", url+"?token=x", "--ws-header", "Origin: https://app.example", "-t", "a", "-m", "x", "-q", "1")
	if r := s.wait(); r.code != 0 || r.out != "x\n" ||
		strings.Count(r.err, `rejected: WebSocket: a web page of "https://evil.example" may not connect: --serve-origin allows the pages of an origin`) != 1 {
		t.Errorf("%+v", r)
	}
}
