// Package e2e tests the tools as a shell user meets them: words in, streams
// and an exit code out, against the development broker.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/mqbench"
	"github.com/mqtools/mqtools/internal/mqpub"
	"github.com/mqtools/mqtools/internal/mqsub"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// patience is how long a tool may take before its test fails.
const patience = 2 * time.Minute

// result is what a tool left behind.
type result struct {
	out, err string
	code     int
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Len()
}

func tool(name string) cli.Tool {
	switch name {
	case "mqpub":
		return mqpub.Tool()
	case "mqsub":
		return mqsub.Tool()
	}
	return mqbench.Tool()
}

// running is a tool at work.
type running struct {
	t        *testing.T
	out, err buffer
	cancel   context.CancelCauseFunc
	done     chan struct{}
	code     int
}

// start runs a tool in the background.
func start(t *testing.T, stdin io.Reader, name string, args ...string) *running {
	t.Helper()
	return startIn(t, cli.Env{Args: args, Stdin: stdin}, name)
}

// startIn is start with an environment, whose output is recorded.
func startIn(t *testing.T, env cli.Env, name string) *running {
	t.Helper()
	r := &running{t: t, done: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	if env.Stdin == nil {
		env.Stdin = strings.NewReader("")
	}
	env.Stdout, env.Stderr = &r.out, &r.err
	go func() {
		defer close(r.done)
		r.code = cli.Run(ctx, env, tool(name))
	}()
	t.Cleanup(func() { cancel(nil); r.wait() })
	return r
}

func (r *running) wait() result {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.cancel(nil)
		r.t.Fatalf("does not end; stdout %q, stderr %q", r.out.String(), r.err.String())
	}
	return result{r.out.String(), r.err.String(), r.code}
}

// run runs a tool to its end.
func run(t *testing.T, stdin, name string, args ...string) result {
	t.Helper()
	return start(t, strings.NewReader(stdin), name, args...).wait()
}

// ok is run for what must succeed without a word on stderr.
func ok(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	r := run(t, stdin, name, args...)
	if r.code != 0 || r.err != "" {
		t.Fatalf("%s %q: code %d, stderr %q", name, args, r.code, r.err)
	}
	return r.out
}

// at makes the options that lead to a broker.
func at(addr string) []string {
	host, port, _ := net.SplitHostPort(addr)
	return []string{"-h", host, "-p", port}
}

// hub is a broker with a signal for every subscription.
type hub struct {
	addr       []string
	broker     *broker.Broker
	subscribed chan string
}

func newHub(t *testing.T, o broker.Options) *hub {
	t.Helper()
	h := &hub{subscribed: make(chan string, 100)}
	o.Log = func(e broker.Event) {
		if e.Kind == broker.EventSubscribed {
			select {
			case h.subscribed <- e.Topic:
			default:
			}
		}
	}
	b, addr := brokertest.StartWith(t, o)
	h.broker, h.addr = b, at(addr)
	return h
}

// sub starts mqsub and waits until it has subscribed.
func (h *hub) sub(t *testing.T, args ...string) *running {
	t.Helper()
	return h.subs(t, 1, args...)
}

// subs is sub with n filters.
func (h *hub) subs(t *testing.T, n int, args ...string) *running {
	t.Helper()
	r := start(t, nil, "mqsub", append(args, h.addr...)...)
	for range n {
		select {
		case <-h.subscribed:
		case <-r.done:
			t.Fatalf("mqsub %q ended early: code %d, stderr %q", args, r.code, r.err.String())
		case <-time.After(patience):
			t.Fatal("no subscription")
		}
	}
	return r
}

func (h *hub) pub(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if out := ok(t, stdin, "mqpub", append(args, h.addr...)...); out != "" {
		t.Errorf("mqpub writes %q to stdout", out)
	}
}

func TestEveryWayToPublishArrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "payload")
	if err := os.WriteFile(file, []byte("from\x00file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"-m", "", []string{"-m", "hello"}, "t hello\n"},
		{"-m of nothing", "", []string{"-m", ""}, "t (null)\n"},
		{"-f", "", []string{"-f", file}, "t from\x00file\n\n"},
		{"-f -", "piped", []string{"-f", "-"}, "t piped\n"},
		{"-s", "a\nb\n", []string{"-s"}, "t a\nb\n\n"},
		{"-n", "", []string{"-n"}, "t (null)\n"},
		{"-l", "a\n\nb\r\nc", []string{"-l"}, "t a\nt (null)\nt b\r\nt c\n"},
		{"-l of nothing", "", []string{"-l"}, ""},
		{"-l --skip-blank", "a\n\nb\n", []string{"-l", "--skip-blank"}, "t a\nt b\n"},
		{"-l -0", "a\nb\x00c\x00", []string{"-l", "-0"}, "t a\nb\nt c\n"},
		{"-l --delimiter", "a--b--c", []string{"-l", "--delimiter", "--"}, "t a\nt b\nt c\n"},
		{"--repeat", "", []string{"-m", "x", "--repeat", "3"}, "t x\nt x\nt x\n"},
	} {
		for _, qos := range []string{"0", "1", "2"} {
			t.Run(c.name+" q"+qos, func(t *testing.T) {
				t.Parallel()
				h := newHub(t, broker.Options{})
				s := h.sub(t, "-v", "-t", "t", "-t", "end", "-q", qos, "-T", "end")
				h.pub(t, c.stdin, append([]string{"-t", "t", "-q", qos}, c.args...)...)
				if got := s.until(t, c.want); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		}
	}
}

// until waits until the output is as long as want, and returns it.
func (r *running) until(t *testing.T, want string) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for len(r.out.String()) < len(want) && time.Now().Before(deadline) {
		select {
		case <-r.done:
			return r.out.String()
		case <-time.After(time.Millisecond):
		}
	}
	return r.out.String()
}

func TestManyLinesArriveInOrderAtEveryQoS(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 20000 {
		lines.WriteString(strings.Repeat("x", i%97))
		lines.WriteByte(byte('0' + i%10))
		lines.WriteByte('\n')
	}
	lines.WriteString(strings.Repeat("long", 300_000)) // above every buffer
	lines.WriteByte('\n')
	want := lines.String()
	for _, qos := range []string{"0", "1", "2"} {
		t.Run("q"+qos, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, broker.Options{})
			s := h.sub(t, "-t", "t", "-q", qos, "-C", "20001")
			h.pub(t, want, "-t", "t", "-q", qos, "-l")
			if r := s.wait(); r.code != 0 || r.out != want {
				t.Errorf("code %d, stderr %q, %d bytes where %d are due", r.code, r.err, len(r.out), len(want))
			}
		})
	}
}

func TestRecordsAreAFaithfulCopy(t *testing.T) {
	t.Parallel()
	from, to := newHub(t, broker.Options{}), newHub(t, broker.Options{})
	recorder := from.sub(t, "--json", "-t", "#", "-q", "2", "-C", "5", "-D", "subscribe", "subscription-identifier", "7")
	copied := to.sub(t, "--json", "-t", "#", "-q", "2", "-C", "5")
	from.pub(t, "", "-t", "a/b", "-m", "text with \"quotes\", \x1b and \u202e")
	from.pub(t, "\x00\xff\xfe", "-t", "a/binary", "-s", "-q", "1")
	from.pub(t, "", "-t", "a/ü", "-n", "-q", "2")
	from.pub(t, "", "-t", "a/json", "-m", `{"n": 1.50, "s": "x"}`)
	from.pub(t, "", "-t", "a/props", "-m", "x", "-q", "1", "-D", "publish", "content-type", "text/plain",
		"-D", "publish", "user-property", "k", "1", "-D", "publish", "user-property", "k", "2",
		"-D", "publish", "message-expiry-interval", "1000", "-D", "publish", "correlation-data", "id")
	first := recorder.wait()
	if first.code != 0 || strings.Count(first.out, "\n") != 5 {
		t.Fatalf("code %d, stderr %q, stdout %q", first.code, first.err, first.out)
	}
	to.pub(t, first.out, "--input", "jsonl")
	second := copied.wait()
	strip := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			if _, rest, found := strings.Cut(line, `,"topic":`); found {
				line = rest
			}
			line = strings.ReplaceAll(line, `"subscription-identifiers":[7],`, "")
			line = strings.ReplaceAll(line, `,"subscription-identifiers":[7]`, "")
			line = strings.ReplaceAll(line, `,"properties":{"subscription-identifiers":[7]}`, "")
			line = strings.ReplaceAll(line, `,"properties":{}`, "")
			b.WriteString(line)
		}
		return b.String()
	}
	if a, b := strip(first.out), strip(second.out); a != b {
		t.Errorf("the copy differs:\n%s\n%s", a, b)
	}
	if !strings.Contains(first.out, `"payload":"AP/+","payload_encoding":"base64"`) {
		t.Errorf("binary payload: %s", first.out)
	}
}

func TestRetainedOnlyEndsByItself(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	if r := run(t, "", "mqsub", append([]string{"-t", "#", "--retained-only"}, h.addr...)...); r.code != 28 {
		t.Errorf("nothing retained: code %d, stderr %q", r.code, r.err)
	}
	<-h.subscribed
	for _, name := range []string{"a", "b", "c"} {
		h.pub(t, "", "-t", name, "-m", "v-"+name, "-r")
	}
	if got := ok(t, "", "mqsub", append([]string{"-v", "-t", "#", "--retained-only"}, h.addr...)...); got != "a v-a\nb v-b\nc v-c\n" {
		t.Errorf("got %q", got)
	}
	<-h.subscribed
	s := h.sub(t, "-R", "-v", "-t", "#", "-C", "1")
	h.pub(t, "", "-t", "d", "-m", "live")
	if r := s.wait(); r.out != "d live\n" {
		t.Errorf("-R: got %q", r.out)
	}
}

func TestTimeLimitsAndCounts(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	r := run(t, "", "mqsub", append([]string{"-t", "t", "-W", "0.2"}, h.addr...)...)
	if r.code != 27 {
		t.Errorf("-W: code %d, stderr %q", r.code, r.err)
	}
	r = run(t, "", "mqsub", append([]string{"-t", "t", "--idle-timeout", "0.1"}, h.addr...)...)
	if r.code != 27 {
		t.Errorf("--idle-timeout: code %d, stderr %q", r.code, r.err)
	}
	if out := ok(t, "", "mqsub", append([]string{"-t", "t", "-E"}, h.addr...)...); out != "" {
		t.Errorf("-E: %q", out)
	}
}

func TestUsageErrorsRepeatTheValueAndHint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string // without the tool's mq
		says  string
	}{
		{"pub -t a -m x --qqos 1", "--qqos"},
		{"pub -m x", "no topic"},
		{"pub -t a -f /does/not/exist", "/does/not/exist"},
		{"pub -t a -m x --will-retain", "--will-topic"},
		{"pub -t a -m x --tls --cafile /does/not/exist", "/does/not/exist"},
		{"pub -t a -m x -D publish topic-aliasx 3", "topic-aliasx"},
		{"pub -t a -m x --url http://x", "http"},
		{"pub -t a -m x --url ftp://x", "\nmqpub: use one of mqtt, tcp"},
		{"pub -t a -m x -V 311 -x 60", "MQTT 5"},
		{"pub -t a\xff -m x", `\xff`},
		{"sub -t a/#/b", `"a/#/b"`},
		{"sub -t a -F %z", `"%z"`},
		{"sub -t a -F %", "incomplete"},
		{"sub -t a --json -v", "cannot be used together"},
		{"sub -t a -C 0", `"0"`},
		{"sub -t a -p 65536", "65536"},
		{"bench --nonsense", "--nonsense"},
		{"pub -t a -m x --unix ''", `--unix: invalid value "" (must not be empty)`},
		{"pub -t a -m x -h ''", `--host: invalid value ""`},
		{"pub -t a -m x -D publish response-topic a/#", "wildcard"},
		{"pub -t a -m x -D publish subscription-identifier 3", "not a property of this packet"},
		{"pub -t a -m x -D disconnect server-reference x", "not a property of this packet"},
		{"pub -t a -m x -D connect authentication-data x", "needs an authentication-method"},
		{"pub -t a -m x -D connect receive-maximum 70000", `receive-maximum: invalid value "70000" (want a whole number from 1 to 65535)`},
		{"pub -t a -m x -D publish message-expiry-interval 1m", `invalid value "1m" (want a whole number from 0 to 4294967295)`},
		{"pub -t a -m x -D publish user-property \xffk v", `key "\xffk"`},
		{"pub -t a -m x -D will content-type x", "--will-topic"},
		{"pub -t a -m x -D disconnect session-expiry-interval 9", "-x 9"},
		{"pub -t a -m x -x 0 -D disconnect session-expiry-interval 9", "-x 9"},
		{"sub -t a -E -D disconnect session-expiry-interval 9", "-x 9"},
		{"pub -t a -m x -D subscribe user-property k v", "needs --request"},
		{"pub -t a -m x -D unsubscribe user-property k v", "no UNSUBSCRIBE"},
		{"sub -t a -D publish content-type x", "mqsub publishes nothing of its own"},
		{"sub -t a -D unsubscribe user-property k v", "needs --unsubscribe"},
		{"pub -t a -m \xff -D publish payload-format-indicator 1", "--message is not UTF-8"},
		{"pub -t a -m x --will-topic w --will-payload \xff -D will payload-format-indicator 1", "--will-payload is not UTF-8"},
		{"pub -t a -m x -D publish payload-format-indicator 2", `invalid value "2" (want 0 or 1)`},
		{"pub -t a -m x -D will will-delay-interval -1 --will-topic w", "from 0 to 4294967295"},
		{"pub -t a -m x -D connect will-delay-interval 1", "not a property of this packet"},
		{"pub -t a -m x -D publish response-topic a -D publish response-topic b", "is given twice"},
		{"pub -t a -m x -D connect maximum-packet-size 0", "from 1 to 4294967295"},
		{"pub -t a -m x -D connect request-problem-information 2", "want 0 or 1"},
		{"sub -t a -D subscribe subscription-identifier 0", "from 1 to 268435455"},
		{"sub -t a -h mqtts://x:8883", "use -L mqtts://x:8883"},
		{"pub -t a -f /nonexistent", `cannot read "/nonexistent": no such file`},
		{"pub -t a -m x --strict", "--strict needs --input"},
		{"sub -t a --serve-users x", "--serve-users needs --serve\nmqsub: add --serve"},
		{"sub -t a --serve-origin x", "--serve-origin needs --serve"},
		{"sub -t a --serve-cert x", "--serve-cert needs --serve"},
		{"sub -t a --serve-proxy-protocol", "--serve-proxy-protocol needs --serve"},
		{"sub -t a --serve mqtts://127.0.0.1:0 --insecure", "--serve and --insecure cannot be used together\nmqsub: drop it"},
		{"sub -t a --serve --cafile x", "--serve and --cafile cannot be used together\nmqsub: to serve TLS"},
		{"pub -t a -m x --serve --proxy http://x", "--serve and --proxy cannot be used together"},
		{"sub -t a --ts", "unknown option \"--ts\"\nmqsub: try"},
		{"sub -t a --tsl", "did you mean --tls?"},
		{"sub -t a --qos=1 --hots x", "did you mean --host?"},
		{"pub -t a -m x --tls-alpn ''", "1 to 255 bytes"},
		{"sub -t a -W 99999999999", "292 years"},
		{"sub -t a --auth scram-sha-256", "user name and a password"},
		{"sub -t a --auth plain", `"plain"`},
		{"sub -t a --auth scram-sha-1 -u a -P b -V 311", "MQTT 5"},
		{"sub -t a --auth m --auth-command c -V 311", "MQTT 5"},
		{"sub -t a --auth m\xff --auth-command c", `"m\xff"`},
		{"sub -t a --auth-command c", "--auth-command needs --auth"},
		{"sub -t a --reauthenticate-every 60", "--reauthenticate-every needs --auth"},
		{"sub -t a --auth m --auth-command c --reauthenticate-every 1ms", "1ms"},
		{"sub -t a --auth m --auth-command c -D connect authentication-method m", "cannot be used together"},
		{"sub -t a -S -p 1883", "--srv and --port"},
		{"sub -t a -S -h a:1", "(want a domain, with --srv)"},
	} {
		t.Run(c.words, func(t *testing.T) {
			t.Parallel()
			words := strings.Fields(c.words)
			for i, w := range words {
				if w == "''" {
					words[i] = ""
				}
			}
			r := run(t, "", "mq"+words[0], words[1:]...)
			lines := strings.Count(r.err, "\n")
			if r.code != 2 || !strings.Contains(r.err, c.says) || lines != 2 || r.out != "" {
				t.Errorf("code %d, stdout %q, stderr %q; want code 2 and two lines with %q", r.code, r.out, r.err, c.says)
			}
		})
	}
}

func TestRefusalsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{
		Authenticate: onlyUser("joe"),
		Authorize:    func(_, _, topic string, write bool) bool { return !strings.HasPrefix(topic, "secret") },
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := at(ln.Addr().String())
	_ = ln.Close()
	for _, c := range []struct {
		name  string
		tool  string
		args  []string
		stdin string
		code  int
		says  string
	}{
		{"nobody listens", "mqpub", append([]string{"-t", "a", "-m", "x"}, nobody...), "", 3, "refused"},
		{"no such host", "mqsub", []string{"-t", "a", "-h", "no-such-host.invalid"}, "", 3, "no-such-host.invalid"},
		{"bad user", "mqpub", append([]string{"-t", "a", "-m", "x", "-u", "eve", "-P", "hunter2"}, h.addr...), "", 4, "user name or password"},
		{"TLS to a plain port", "mqpub", append([]string{"-t", "a", "-m", "x", "--tls", "--insecure"}, h.addr...), "", 3, "TLS"},
		{"PUBACK denied", "mqpub", append([]string{"-t", "secret", "-m", "x", "-u", "joe", "-q", "1"}, h.addr...), "", 5, "not authorized"},
		{"PUBREC denied", "mqpub", append([]string{"-t", "secret", "-m", "x", "-u", "joe", "-q", "2"}, h.addr...), "", 5, "not authorized"},
		{"line denied", "mqpub", append([]string{"-t", "secret", "-l", "-u", "joe", "-q", "1"}, h.addr...), "a\nb\n", 5, "2 of 2 messages not delivered: 2 refused"},
		{"SUBACK denied", "mqsub", append([]string{"-t", "secret", "-u", "joe"}, h.addr...), "", 5, "not authorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, c.stdin, c.tool, c.args...)
			if r.code != c.code || !strings.Contains(r.err, c.says) || strings.Contains(r.err, "hunter2") {
				t.Errorf("code %d, stderr %q; want code %d and %q", r.code, r.err, c.code, c.says)
			}
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestAFullDiskLosesNothingOfADurableSession(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	durable := append([]string{"-t", "t", "-q", "1", "-c", "-i", "keeper"}, h.addr...)
	ok(t, "", "mqsub", append(durable, "-E")...)
	h.pub(t, "one\ntwo\n", "-t", "t", "-l", "-q", "1")
	var errs buffer
	code := cli.Run(context.Background(), cli.Env{Args: durable, Stdin: strings.NewReader(""), Stdout: full{}, Stderr: &errs}, mqsub.Tool())
	if code != 6 || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("code %d, stderr %q", code, errs.String())
	}
	if got := ok(t, "", "mqsub", append(durable, "-C", "2")...); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

func TestServeIsABrokerOfOnesOwn(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	s := start(t, nil, "mqsub", "--serve", "unix://"+socket, "-v", "-t", "#", "-C", "2")
	args := []string{"--unix", socket, "--wait-for", "60", "--quiet"}
	// Both find mqsub's own subscription, early or late: they are retained. What is
	// retained has no order.
	ok(t, "", "mqpub", append(args, "-t", "a", "-m", "1", "-r", "-q", "1")...)
	ok(t, "", "mqpub", append(args, "-t", "b", "-m", "2", "-r", "-q", "1")...)
	r := s.wait()
	if r.code != 0 || r.out != "a 1\nb 2\n" && r.out != "b 2\na 1\n" {
		t.Errorf("code %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mqpub", "mqsub", "mqbench"} {
		if out := ok(t, "", name, "--help"); !strings.Contains(out, name) || strings.Count(out, "\n") < 5 {
			t.Errorf("%s --help: %q", name, out)
		}
		if out := ok(t, "", name, "--version"); !strings.HasPrefix(out, name+" ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s --version: %q", name, out)
		}
	}
}

func TestTheCommandLineWinsOverVariablesThatItExcludes(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	host, port, _ := net.SplitHostPort(addr)
	for _, c := range []struct {
		env  map[string]string
		args []string
	}{
		{map[string]string{"MQTT_URL": "mqtt://127.0.0.1:1"}, []string{"-h", host, "-p", port, "-m", "x"}},
		{map[string]string{"MQ_URL": "mqtt://127.0.0.1:1"}, []string{"-h", addr, "-m", "x"}},
		{map[string]string{"MQ_UNIX": "/nowhere"}, []string{"-h", addr, "-m", "x"}},
		{map[string]string{"MQ_HOST": "127.0.0.1:1"}, []string{"-p", port, "-m", "x"}},
		{map[string]string{"MQ_PORT": "1"}, []string{"-h", addr, "-m", "x"}},
		{map[string]string{"MQ_HOST": "127.0.0.1:1", "MQ_PORT": "2"}, []string{"-L", "mqtt://" + addr, "-m", "x"}},
		{map[string]string{"MQ_ID": "foo"}, []string{"-h", addr, "-I", "pre", "-m", "x"}},
		{map[string]string{"MQ_MESSAGE": "hi"}, []string{"-h", addr, "-n"}},
		{map[string]string{"MQ_TLS": "1"}, []string{"-h", addr, "-m", "x", "--no-tls"}},
	} {
		var stdout, stderr buffer
		env := cli.Env{Args: append(c.args, "-t", "t"), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(c.env)}
		if code := cli.Run(t.Context(), env, tool("mqpub")); code != 0 || stderr.String() != "" {
			t.Errorf("%v %q: code %d, %q", c.env, c.args, code, stderr.String())
		}
	}
	// Of two variables neither wins, and both are named.
	var stderr buffer
	env := cli.Env{Args: []string{"-h", addr, "-t", "t"}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr,
		Lookup: option.MapEnv(map[string]string{"MQ_MESSAGE": "hi", "MQ_NULL_MESSAGE": "1"})}
	if code := cli.Run(t.Context(), env, tool("mqpub")); code != 2 || !strings.Contains(stderr.String(), "MQ_MESSAGE and MQ_NULL_MESSAGE cannot be used together") {
		t.Errorf("two variables: code %d, %q", code, stderr.String())
	}
}

// One record with a bad property costs neither the connection nor the others.
func TestABadPropertyOfARecordIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	sub := h.sub(t, "-t", "k/#", "-v", "-q", "1")
	in := `{"topic":"k/1","payload":"x"}` + "\n" + `{"topic":"k/2","payload":"x","properties":{"response-topic":"a/#"}}` + "\n" + `{"topic":"k/3","payload":"x"}` + "\n"
	r := run(t, in, "mqpub", append(slices.Clone(h.addr), "--input", "jsonl", "-q", "1")...)
	if r.code != 6 || !strings.Contains(r.err, "standard input:2: ") || !strings.Contains(r.err, "wildcard") || !strings.Contains(r.err, "1 of 3 messages not delivered: 1 invalid") {
		t.Errorf("code %d, %q", r.code, r.err)
	}
	sub.until(t, "k/1 x\nk/3 x\n")
}

// What mosquitto_sub and mosquitto_pub take together.
func TestOptionsThatGoBeforeOthers(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.pub(t, "", "-t", "t", "-m", "x", "-r")
	if got := ok(t, "", "mqsub", append(slices.Clone(h.addr), "-t", "t", "-v", "-F", "%t!", "--retained-only")...); got != "t!\n" {
		t.Errorf("-v and -F: %q", got)
	}
	r := run(t, "a\n", "mqpub", append(slices.Clone(h.addr), "-t", "u", "-l", "--repeat", "3")...)
	if r.code != 0 || !strings.Contains(r.err, "--repeat has no effect with --stdin-line") {
		t.Errorf("-l and --repeat: code %d, %q", r.code, r.err)
	}
	h.pub(t, "", "-t", "e/1", "-n", "-q", "1")
	if got := ok(t, "", "mqsub", append(slices.Clone(h.addr), "-t", "t", "-0", "--retained-only")...); got != "x\x00" {
		t.Errorf("-0: %q", got)
	}
}

// A signal ends the wait for input that does not come.
func TestASignalEndsTheReadingOfOneMessage(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	defer w.Close()
	_, addr := brokertest.Start(t)
	p := start(t, r, "mqpub", append(at(addr), "-t", "t", "-s")...)
	_, _ = w.Write([]byte("a")) // taken, and more is awaited
	p.cancel(&cli.SignalError{Signal: os.Interrupt})
	if got := p.wait(); got.code != 130 {
		t.Errorf("code %d, %q, want 130", got.code, got.err)
	}
}
