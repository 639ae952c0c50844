package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/script"
)

// TestCommandsOfScripts plays a broker to each command line that a script
// gives.
func TestCommandsOfScripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../scripts/client/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		s, err := script.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Command) == 0 {
			continue
		}
		n++
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			playCommand(t, s)
		})
	}
	if n < 8 {
		t.Errorf("only %d scripts have a command", n)
	}
}

// playCommand plays a broker to the command of a script.
func playCommand(t *testing.T, s *script.Script) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, nil, s.Command[0], append(s.Command[1:], at(ln.Addr().String())...)...)
	if err := s.Serve(t.Context(), ln, &script.Options{Strict: true, Patience: patience}); err != nil {
		t.Error(err)
	}
	if got := r.wait(); got.code != s.Exit {
		t.Errorf("%s: exit status %d, want %d; stderr %q", strings.Join(s.Command, " "), got.code, s.Exit, got.err)
	}
}

func TestPlayTestsABroker(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	r := run(t, "", "mqbench", "play", "../../scripts/broker/split-byte-by-byte.yaml", "../../scripts/broker/ping.yaml", "--connect", addr)
	want := "ok    a conversation byte by byte (3.1.1)\n" +
		"ok    a conversation byte by byte (5.0)\n" +
		"ok    PINGREQ is answered (3.1.1)\n" +
		"ok    PINGREQ is answered (5.0)\n"
	if r.code != 0 || r.out != want || r.err != "" {
		t.Errorf("code %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

// TestTheScriptsOfTheManual plays the examples of mqtools-script(5).
func TestTheScriptsOfTheManual(t *testing.T) {
	t.Parallel()
	page := examples(t, "../../man/mqtools-script.5")
	if len(page) != 2 {
		t.Errorf("%d examples, want one for brokers and one for clients", len(page))
	}
	dir := t.TempDir()
	_, addr := brokertest.Start(t)
	file := writeFile(t, filepath.Join(dir, "broker.yaml"), page["broker"])
	r := run(t, "", "mqbench", "play", file, "--connect", addr)
	if want := "ok    a retained message (3.1.1)\nok    a retained message (5.0)\n"; r.code != 0 || r.out != want {
		t.Errorf("code %d, got %q, %q; want %q", r.code, r.out, r.err, want)
	}
	s, err := script.Parse("client.yaml", []byte(page["client"]))
	if err != nil {
		t.Fatal(err)
	}
	playCommand(t, s)
}

func TestPlayTellsAFailure(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.StartWith(t, broker.Options{LimitQoS: true})
	r := run(t, "", "mqbench", "play", "../../scripts/broker/ping.yaml", "../../scripts/broker/subscribe-replaces.yaml", "--connect", "mqtt://"+addr)
	if r.code != 1 || !strings.HasPrefix(r.out, "ok    PINGREQ is answered (3.1.1)\nok    PINGREQ is answered (5.0)\nFAIL  the same filter again") ||
		!strings.Contains(r.out, "subscribe-replaces.yaml:13:5: a: expect SUBACK: got another\n    codes[0]: want granted QoS 1 (0x01), got success (0x00)\n") ||
		!strings.Contains(r.out, "a -> SUBSCRIBE id 2 't' q1\n") || r.err != "" {
		t.Errorf("code %d, stderr %q, stdout:\n%s", r.code, r.err, r.out)
	}
}

// What fails because the broker is not set up for the script says so.
func TestPlayTellsWhatAScriptNeeds(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	r := run(t, "", "mqbench", "play", "../../scripts/broker/connections-at-most.yaml", "--connect", addr)
	if want := "      it is for a broker with these settings: clients: 1\n"; r.code != 1 || strings.Count(r.out, want) != 1 {
		t.Errorf("code %d, stderr %q, stdout:\n%s", r.code, r.err, r.out)
	}
}

func TestPlayTestsAClient(t *testing.T) {
	t.Parallel()
	url := "unix://" + filepath.Join(t.TempDir(), "s")
	r := start(t, nil, "mqbench", "play", "../../scripts/client/command-publish-qos-1.yaml", "../../scripts/client/command-publish-retained.yaml", "--listen", url)
	for _, words := range []string{"-q 1 -t a/b -m hello", "-r -n -t a/b"} {
		if c := run(t, "", "mqpub", append(strings.Fields(words), "-L", url, "--wait-for", "20s")...); c.code != 0 {
			t.Errorf("mqpub %s: code %d, stderr %q", words, c.code, c.err)
		}
	}
	got := r.wait()
	if got.code != 0 || got.out != "ok    a command publishes at QoS 1 (5.0)\nok    a command removes a retained message (5.0)\n" ||
		!strings.Contains(got.err, "waiting for a client: mqpub -q 1 -t a/b -m hello\n") {
		t.Errorf("code %d, stdout %q, stderr %q", got.code, got.out, got.err)
	}
}

func TestPlayRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "no command given"},
		{[]string{"paly", "x.yaml"}, "unknown command \"paly\""},
		{[]string{"play", "--connect", "x"}, "no script given"},
		{[]string{"play", "../../scripts/broker/ping.yaml"}, "play needs --listen or --connect"},
		{[]string{"play", "../../scripts/broker/ping.yaml", "--listen", "0", "--connect", "x"}, "--listen and --connect cannot be used together"},
		{[]string{"play", "../../scripts/broker/ping.yaml", "--listen", "0"}, "the script plays a client, and needs --connect"},
		{[]string{"play", "../../scripts/broker/ping.yaml", "--connect", "x", "-u", "me"}, "--username has no effect on play"},
		{[]string{"play", "missing.yaml", "--listen", "0"}, "missing.yaml"},
		{[]string{"play", "../../go.mod", "--listen", "0"}, "go.mod:1"},
		{[]string{"play", "../../scripts/broker/ping.yaml", "--connect", "ftp://x"}, "unknown scheme"},
	} {
		r := run(t, "", "mqbench", c.args...)
		if r.code != 2 || r.out != "" || !strings.Contains(r.err, c.want) {
			t.Errorf("%q: code %d, stderr %q, want %q", c.args, r.code, r.err, c.want)
		}
	}
}
