package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// as starts a tool by the name of a mosquitto client.
func as(t *testing.T, stdin io.Reader, name string, args ...string) *running {
	t.Helper()
	tool := "mqpub"
	if name == "mosquitto_sub" {
		tool = "mqsub"
	}
	return startIn(t, cli.Env{Name: name, Args: args, Stdin: stdin}, tool)
}

func TestMosquittoClientsEndAsTheyDo(t *testing.T) {
	t.Parallel()
	refuse := func(code ...byte) []string {
		return peer(t, func(p *rawPeer, _ []byte) { p.say(code...) })
	}
	granted := func(code byte) []string {
		return peer(t, func(p *rawPeer, _ []byte) {
			p.connack()
			if first, body, ok := p.next(); ok && first == 0x82 {
				if p.v5 {
					p.say(0x90, 4, body[0], body[1], 0, code)
				} else {
					p.say(0x90, 3, body[0], body[1], code)
				}
			}
			p.next()
		})
	}
	silent := peer(t, func(p *rawPeer, _ []byte) { p.next() })
	closes := peer(t, func(p *rawPeer, _ []byte) { p.connack(); p.next() })
	ends := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		p.next()
		p.say(0xe0, 2, 0x8b, 0) // DISCONNECT, server shutting down
	})
	denies := peer(t, func(p *rawPeer, _ []byte) {
		p.connack()
		if first, body, ok := p.next(); ok && first>>4 == 3 {
			p.say(0x40, 4, body[3], body[4], 0x87, 0)
		}
		p.next()
	})
	open := newHub(t, broker.Options{})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := at(closed.Addr().String())
	_ = closed.Close()
	for _, c := range []struct {
		name    string
		program string
		at      []string
		args    string
		stdin   string
		out     string
		err     string // the whole of stderr, * for anything
		code    int
	}{
		{"a message", "mosquitto_pub", open.addr, "-t t -m x", "", "", "", 0},
		{"3.1.1 refused, bad password", "mosquitto_pub", refuse(0x20, 2, 0, 4), "-t t -m x", "", "", "Connection error: Connection Refused: bad user name or password.\n", 4},
		{"3.1.1 refused, not authorized", "mosquitto_sub", refuse(0x20, 2, 0, 5), "-t t", "", "", "Connection error: Connection Refused: not authorised.\n", 5},
		{"5.0 refused", "mosquitto_pub", refuse(0x20, 3, 0, 0x87, 0), "-t t -m x -V 5", "", "", "Connection error: Not authorized\n", 0x87},
		{"5.0 refused, quietly", "mosquitto_rr", refuse(0x20, 3, 0, 0x86, 0), "-t t -e r -m x --quiet", "", "", "", 0x86},
		{"nobody there", "mosquitto_pub", dead, "-t t -m x", "", "", "Error: cannot connect to *: connection refused*", 1},
		{"nobody there, quietly", "mosquitto_sub", dead, "-t t --quiet", "", "", "", 1},
		{"denied subscription", "mosquitto_sub", granted(0x80), "-t t", "", "", "*refused*", 5},
		{"denied response topic", "mosquitto_rr", granted(0x80), "-t t -e r -m x", "", "", "*refused*", 5},
		{"denied message", "mosquitto_pub", denies, "-t t -m x -q 1 -V 5", "", "", "*not authorized*", 5},
		{"closed before CONNACK", "mosquitto_pub", refuse(), "-t t -m x", "", "", "Error: *", 7},
		{"time is up", "mosquitto_sub", open.addr, "-t nothing -W 1", "", "", "Timed out\n", 27},
		{"time is up for a reply", "mosquitto_rr", open.addr, "-t t -e r -m x -W 1", "", "", "Timed out\n", 27},
		{"lost before the end", "mosquitto_pub", closes, "-t t -m x -q 1", "", "", "Error: *", 7},
		{"no CONNACK in time", "mosquitto_pub", silent, "-t t -m x --connect-timeout 0.1", "", "", "Error: *", 19},
		{"the broker ends it", "mosquitto_pub", ends, "-t t -m x -q 1 -V 5", "", "", "*", 4},
		{"a wrong combination", "mosquitto_pub", open.addr, "-t t -m x -P p", "", "", "Error: a password without --username needs MQTT 5\n\nUse 'mosquitto_pub --help' to see usage.\n", 1},
		{"no input", "mosquitto_pub", open.addr, "-t t -s", "", "", "Error: standard input is empty\n", 1},
		{"an empty line", "mosquitto_pub", open.addr, "-t t -l", "\n", "", "", 0},
		{"nothing retained", "mosquitto_sub", open.addr, "-t t --retained-only", "", "", "", 0},
		{"only subscribes", "mosquitto_sub", open.addr, "-t t -E", "", "", "", 0},
		{"a pre-shared key", "mosquitto_pub", open.addr, "-t t -m x --psk ab --psk-identity me", "", "", "Error: *pre-shared keys*--proxy-command*", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := as(t, strings.NewReader(c.stdin), c.program, append(slices.Clone(c.at), strings.Fields(c.args)...)...).wait()
			want := regexp.MustCompile(`^(?s:` + strings.ReplaceAll(regexp.QuoteMeta(c.err), `\*`, ".*") + ")$")
			if r.code != c.code || r.out != c.out || !want.MatchString(r.err) {
				t.Errorf("code %d, stdout %q, stderr %q; want %d, %q, %q", r.code, r.out, r.err, c.code, c.out, c.err)
			}
		})
	}
}

// The formats of -v, -N, -F and --pretty as the program has them.
func TestMosquittoSubWritesAsItDoes(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.pub(t, "", "-t", "r/json", "-r", "-q", "1", "-m", `{"a":[1,{"b":[]},{}],"c":1.0}`, "-D", "publish", "user-property", "k", "v")
	h.pub(t, "", "-t", "r/empty", "-r", "-m", "x")
	tst := regexp.MustCompile(`"tst":(\s*)"[^"]*"`)
	for _, c := range []struct{ args, want string }{
		{"-t r/json", `{"a":[1,{"b":[]},{}],"c":1.0}` + "\n"},
		{"-t r/json -v -N", `r/json {"a":[1,{"b":[]},{}],"c":1.0}`},
		{"-t r/json -v -F %t:%q:%r:%l", "r/json:0:1:29\n"},
		{"-t r/json -V 5 -q 1 -F %P", "k:v\n"},
		{"-t r/json -F %J", `{"tst":"","topic":"r/json","qos":0,"retain":true,"payloadlen":29,"payload":{"a":[1,{"b":[]},{}],"c":1.0}}` + "\n"},
		{"-t r/json --pretty -F %J", "{\n\t\"tst\":\t\"\",\n\t\"topic\":\t\"r/json\",\n\t\"qos\":\t0,\n\t\"retain\":\ttrue,\n\t\"payloadlen\":\t29,\n\t\"payload\":\t{\n" +
			"\t\t\"a\":\t[1, {\n\t\t\t\t\"b\":\t[]\n\t\t\t}, {\n\t\t\t}],\n\t\t\"c\":\t1.0\n\t}\n}\n"},
		{"-t r/json --pretty", `{"a":[1,{"b":[]},{}],"c":1.0}` + "\n"},
		{"-t r/json -C 1 -d", "Client null sending CONNECT\nClient null received CONNACK (0)\n" +
			"Client null sending SUBSCRIBE (Mid: 1, Topic: r/json, QoS: 0, Options: 0x00)\nClient null received SUBACK\nSubscribed (mid: 1): 0\n" +
			"Client null received PUBLISH (d0, q0, r1, m0, 'r/json', ... (29 bytes))\n" + `{"a":[1,{"b":[]},{}],"c":1.0}` + "\nClient null sending DISCONNECT\n"},
	} {
		r := as(t, nil, "mosquitto_sub", append(slices.Clone(h.addr), strings.Fields(c.args+" -C 1")...)...).wait()
		got := tst.ReplaceAllString(r.out, `"tst":$1""`)
		if r.code != 0 || r.err != "" || got != c.want {
			t.Errorf("%s: code %d, %q\ngot  %q\nwant %q", c.args, r.code, r.err, got, c.want)
		}
	}
}

func TestMosquittoPubTellsPackets(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	r := as(t, nil, "mosquitto_pub", append(at(addr), "-d", "-i", "me", "-V", "5", "-q", "2", "-t", "a", "-m", "xy", "-r")...).wait()
	want := "Client me sending CONNECT\nClient me received CONNACK (0)\nClient me sending PUBLISH (d0, q2, r1, m1, 'a', ... (2 bytes))\n" +
		"Client me received PUBREC (Mid: 1)\nClient me sending PUBREL (m1)\nClient me received PUBCOMP (Mid: 1, RC:0)\nClient me sending DISCONNECT\n"
	if r.code != 0 || r.err != "" || r.out != want {
		t.Errorf("code %d, %q\ngot  %q\nwant %q", r.code, r.err, r.out, want)
	}
}

// A signal is a good end for the subscriber, and has the will published.
func TestMosquittoSubEndsBySignal(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ version, will string }{{"5", "gone\n"}, {"311", ""}} {
		h := newHub(t, broker.Options{})
		watch := h.sub(t, "-t", "will", "-t", "end", "-C", "2")
		<-h.subscribed
		r := as(t, nil, "mosquitto_sub", append(slices.Clone(h.addr), "-t", "t", "-V", v.version, "--will-topic", "will", "--will-payload", "gone")...)
		<-h.subscribed
		r.cancel(&cli.SignalError{Signal: syscall.SIGTERM})
		if got := r.wait(); got.code != 0 || got.err != "" {
			t.Errorf("%s: code %d, %q", v.version, got.code, got.err)
		}
		h.pub(t, "", "-t", "end", "-m", "end", "--repeat", "2")
		if got := watch.wait(); !strings.HasPrefix(got.out, v.will+"end\n") {
			t.Errorf("%s: %q, want the will %q", v.version, got.out, v.will)
		}
	}
}

func TestMosquittoRRTakesRepliesWithoutCorrelationData(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.pub(t, "", "-t", "r", "-r", "-m", "stale") // never a reply
	answer := func(payload string, args ...string) {
		s := h.sub(t, "-t", "ask", "-C", "1", "-F", "%R|%D|%p")
		r := as(t, nil, "mosquitto_rr", append(append(slices.Clone(h.addr), "-t", "ask", "-e", "r", "-m", "q", "-W", "20"), args...)...)
		<-h.subscribed
		if got := s.wait(); got.out != payload {
			t.Errorf("the request is %q, want %q", got.out, payload)
		}
		if slices.Contains(args, "correlation-data") {
			h.pub(t, "", "-t", "r", "-m", "foreign", "-D", "publish", "correlation-data", "other")
		}
		h.pub(t, "", "-t", "r", "-m", "yes")
		got := r.wait()
		latency := regexp.MustCompile(`Latency: \d+\.\d+(µs|ms)?\n`)
		if slices.Contains(args, "--latency") && !latency.MatchString(got.out) {
			t.Errorf("no latency in %q", got.out)
		}
		if out := latency.ReplaceAllString(got.out, ""); got.code != 0 || out != "yes\n" || got.err != "" {
			t.Errorf("%q: code %d, %q, %q", args, got.code, got.out, got.err)
		}
	}
	answer("r||q\n", "--latency")
	answer("||q\n", "-V", "311")
	answer("r|mine|q\n", "-D", "publish", "correlation-data", "mine")
}

// topic-alias of -D is the client's business: from the second message on it
// saves the topic, and no subscriber sees a difference.
func TestTopicAliasOfAProperty(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	s := h.sub(t, "-v", "-t", "a/long/topic", "-C", "3")
	h.pub(t, "", "-t", "a/long/topic", "-m", "x", "--repeat", "3", "-D", "publish", "topic-alias", "5")
	if r := s.wait(); r.out != strings.Repeat("a/long/topic x\n", 3) {
		t.Errorf("%q", r.out)
	}
	r := run(t, "", "mqpub", append(slices.Clone(h.addr), "-t", "a/long/topic", "-m", "x", "--repeat", "2", "-d", "-D", "publish", "topic-alias", "5")...)
	if !strings.Contains(r.err, "PUBLISH q0 'a/long/topic'") || strings.Count(r.err, "a/long/topic") != 1 {
		t.Errorf("the topic is not abbreviated: %s", r.err)
	}
	for _, wrong := range [][]string{{"0"}, {"65536"}, {"x"}, {"1", "-D", "publish", "topic-alias", "2"}} {
		if r := run(t, "", "mqpub", append(append(slices.Clone(h.addr), "-t", "t", "-m", "x", "-D", "publish", "topic-alias"), wrong...)...); r.code != 2 {
			t.Errorf("%q: code %d, %q", wrong, r.code, r.err)
		}
	}
}

// The file that the program would read is read, and MQ_PASSWORD alone of our
// variables.
func TestMosquittoPubReadsItsOwnFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var seen string
	_, addr := brokertest.StartWith(t, broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
		seen = string(p.Username) + "/" + string(p.Password)
		return packet.Success
	}})
	where := at(addr)
	if err := os.WriteFile(filepath.Join(dir, "mosquitto_pub"), []byte("-h "+where[1]+"\n-p "+where[3]+"\n-u user\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"XDG_CONFIG_HOME": dir, "MQ_PASSWORD": "pw", "MQ_HOST": "not.there.invalid"}
	env := cli.Env{Name: "/usr/local/bin/mosquitto_pub", Args: []string{"-t", "t", "-m", "x", "-q", "1"}, Lookup: option.MapEnv(vars)}
	if r := startIn(t, env, "mqpub").wait(); r.code != 0 || r.err != "" || seen != "user/pw" {
		t.Errorf("code %d, %q, seen %q", r.code, r.err, seen)
	}
}

// mosquitto_rr takes a retained message for the reply where it is asked for.
func TestMosquittoRRTakesRetainedRepliesIfAsked(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.Start(t)
	ok(t, "", "mqpub", append(at(addr), "-t", "r", "-m", "old", "-r")...)
	for _, c := range []struct {
		args string
		out  string
		code int
	}{
		{"", "", 27},
		{"--retain-handling never", "", 27},
		{"--retain-handling always", "old\n", 0},
		{"--retain-handling new", "old\n", 0},
		{"-R --retain-handling always", "", 27},
	} {
		r := as(t, nil, "mosquitto_rr", append(at(addr), strings.Fields("-t q -e r -m x -W 1 "+c.args)...)...).wait()
		if r.code != c.code || r.out != c.out {
			t.Errorf("%q: code %d, %q, %q; want %d and %q", c.args, r.code, r.out, r.err, c.code, c.out)
		}
	}
}
