package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
)

// foreign is a client of Debian's at work.
type foreign struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err buffer
}

// clients returns the paths of Debian's clients, or skips the test.
func clients(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub", "mosquitto_rr"} {
		program(t, name)
	}
}

// begin starts one of Debian's clients.
func begin(t *testing.T, stdin, name string, args ...string) *foreign {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	f := &foreign{t: t, cmd: exec.CommandContext(ctx, program(t, name), args...)}
	f.cmd.Stdin, f.cmd.Stdout, f.cmd.Stderr = strings.NewReader(stdin), &f.out, &f.err
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = f.cmd.Wait() })
	return f
}

// wait waits for its end.
func (f *foreign) wait() result {
	_ = f.cmd.Wait()
	return result{f.out.String(), f.err.String(), f.cmd.ProcessState.ExitCode()}
}

// gets is wait for what must succeed with that output.
func (f *foreign) gets(want string) {
	f.t.Helper()
	if r := f.wait(); r.code != 0 || r.err != "" || r.out != want {
		f.t.Errorf("%q: code %d, stdout %q, stderr %q; want %q", f.cmd.Args, r.code, r.out, r.err, want)
	}
}

// theirSub starts mosquitto_sub on our broker and waits until it has subscribed
// n times.
func (h *hub) theirSub(t *testing.T, n int, args ...string) *foreign {
	t.Helper()
	f := begin(t, "", "mosquitto_sub", append(args, h.addr...)...)
	for range n {
		select {
		case <-h.subscribed:
		case <-t.Context().Done():
			t.Fatal("no subscription")
		}
	}
	return f
}

// theirPub runs mosquitto_pub, which must succeed.
func (h *hub) theirPub(t *testing.T, stdin string, args ...string) {
	t.Helper()
	begin(t, stdin, "mosquitto_pub", append(args, h.addr...)...).gets("")
}

func TestMosquittoClientsKeepWhatOurBrokerKeeps(t *testing.T) {
	t.Parallel()
	clients(t)
	for _, version := range everyVersion {
		v := []string{"-V", version}
		t.Run("retained v"+version, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, brokerDefaults)
			for _, name := range []string{"r/1", "r/2"} {
				h.theirPub(t, "", append(v, "-t", name, "-m", "old", "-r", "-q", "1")...)
				h.theirPub(t, "", append(v, "-t", name, "-m", "kept "+name, "-r", "-q", "2")...)
			}
			h.theirPub(t, "", append(v, "-t", "r/1", "-n", "-r", "-q", "1")...)
			h.theirSub(t, 1, append(v, "-t", "r/#", "-q", "2", "-C", "1", "-F", "%t %q %r %p")...).gets("r/2 2 1 kept r/2\n")
			h.theirSub(t, 1, append(v, "-t", "r/#", "-q", "1", "--retained-only", "--remove-retained")...)
			if !poll(nil, func() bool { return h.broker.Stats().Retained == 0 }) {
				t.Errorf("--remove-retained leaves %d messages", h.broker.Stats().Retained)
			}
		})
		t.Run("session v"+version, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, brokerDefaults)
			session := append(v, "-c", "-i", "keeper", "-t", "s/#", "-q", "2", "-F", "%q %p")
			if version == "5" {
				session = append(session, "-x", "100")
			}
			h.theirSub(t, 1, append(session, "-E")...).gets("")
			for q := 1; q < 3; q++ {
				h.theirPub(t, "", append(v, "-t", "s/"+strconv.Itoa(q), "-m", fmt.Sprint("at ", q), "-q", strconv.Itoa(q))...)
			}
			h.pub(t, "ours\n", "-t", "s/ours", "-l", "-q", "2")
			h.theirSub(t, 1, append(session, "-C", "3")...).gets("1 at 1\n2 at 2\n2 ours\n")
		})
		t.Run("will v"+version, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, brokerDefaults)
			watch := h.theirSub(t, 1, append(v, "-t", "will", "-q", "2", "-C", "2", "-F", "%q %r %p")...)
			will := append(v, "-t", "x", "--will-topic", "will", "--will-payload", "it died", "--will-qos", "1", "--will-retain")
			h.theirSub(t, 1, append(will, "-E")...).gets("") // says goodbye
			h.theirPub(t, "", append(v, "-t", "will", "-m", "no will", "-q", "2")...)
			victim := h.theirSub(t, 1, will...)
			_ = victim.cmd.Process.Signal(syscall.SIGKILL)
			watch.gets("2 0 no will\n1 0 it died\n")
			h.theirSub(t, 1, append(v, "-t", "will", "-q", "2", "-C", "1", "-F", "%q %r %p")...).gets("1 1 it died\n")
		})
		t.Run("lines v"+version, func(t *testing.T) {
			t.Parallel()
			for _, qos := range []string{"0", "1", "2"} {
				h := newHub(t, brokerDefaults)
				var want strings.Builder
				numbers(&want, 1000)
				s := h.theirSub(t, 1, append(v, "-t", "t", "-q", qos, "-C", "1000")...)
				h.theirPub(t, want.String(), append(v, "-t", "t", "-q", qos, "-l")...)
				s.gets(want.String())
			}
		})
		t.Run("a mebibyte v"+version, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, brokerDefaults)
			large := strings.Repeat("0123456789abcde\x00", 1<<16)
			file := filepath.Join(t.TempDir(), "large")
			if err := os.WriteFile(file, []byte(large), 0o600); err != nil {
				t.Fatal(err)
			}
			theirs, ours := h.theirSub(t, 1, append(v, "-t", "t", "-q", "2", "-C", "2", "-N")...), h.sub(t, append(v, "-t", "t", "-q", "2", "-C", "2", "-N")...)
			h.theirPub(t, "", append(v, "-t", "t", "-q", "2", "-f", file)...)
			h.pub(t, "", append(v, "-t", "t", "-q", "2", "-f", file)...)
			if a, b := theirs.wait(), ours.wait(); a.out != large+large || b.out != large+large {
				t.Errorf("mosquitto_sub got %d bytes, %q, mqsub %d, %q; want %d", len(a.out), a.err, len(b.out), b.err, 2*len(large))
			}
		})
	}
}

// Properties pass from their publisher to our subscriber and back.
func TestMosquittoClientsAndProperties(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	message := []string{"-V", "5", "-t", "a", "-m", `{"n": 1.50, "s":"ü"}`, "-q", "1"}
	for _, p := range []string{"content-type text/plain", "user-property k v", "user-property k v2", "response-topic r/t", "correlation-data abc",
		"payload-format-indicator 1", "message-expiry-interval 100"} {
		message = append(append(message, "-D", "publish"), strings.Fields(p)...)
	}
	const props = `"content-type":"text/plain","user-properties":{"k":"v","k":"v2"},"response-topic":"r/t","correlation-data":"abc","payload-format-indicator":1,"message-expiry-interval":100`
	sub := []string{"-V", "5", "-q", "2", "-C", "2", "-t", "a", "-D", "subscribe", "subscription-identifier", "7"}
	tst := regexp.MustCompile(`"tst":"[-+:.TZ0-9]*",`)
	// Ours are as those of mosquitto_sub 2.1: flags are booleans, and user
	// properties a list.
	old := strings.NewReplacer(`"retain":false`, `"retain":0`, `[{"k":"v"},{"k":"v2"}]`, `{"k":"v","k":"v2"}`)
	for pattern, payload := range map[string]string{"%J": `{"n":1.5,"s":"ü"}`, "%j": `"{\"n\": 1.50, \"s\":\"ü\"}"`} {
		theirs, ours := h.theirSub(t, 1, append(sub, "-F", pattern)...), h.sub(t, append(sub, "-F", pattern)...)
		h.pub(t, "", message...)
		h.theirPub(t, "", message...)
		want := ""
		for mid := range 2 {
			want += fmt.Sprintf(`{"topic":"a","qos":1,"retain":0,"payloadlen":21,"mid":%d,"properties":{%s,"subscription-identifier":7},"payload":%s}`+"\n", mid+1, props, payload)
		}
		a, b := tst.ReplaceAllString(theirs.wait().out, ""), old.Replace(tst.ReplaceAllString(ours.wait().out, ""))
		if a != want {
			t.Errorf("%s of mosquitto_sub:\n%swant\n%s", pattern, a, want)
		}
		if b = strings.ReplaceAll(b, "1.50,", "1.5,"); b != strings.ReplaceAll(want, "1.50,", "1.5,") {
			t.Errorf("%s of mqsub:\n%swant\n%s", pattern, b, want)
		}
	}
}

// Their clients and ours share one subscription: every message arrives once.
func TestMosquittoClientsShareSubscriptions(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	shared := []string{"-V", "5", "-q", "1", "-t", "$share/group/t", "-t", "end"}
	a, b, c := h.theirSub(t, 2, shared...), h.theirSub(t, 2, shared...), h.subs(t, 2, shared...)
	var want strings.Builder
	numbers(&want, 300)
	h.theirPub(t, want.String(), "-t", "t", "-q", "1", "-l")
	outs := []*buffer{&a.out, &b.out, &c.out}
	all := func() []string {
		var lines []string
		for _, o := range outs {
			lines = append(lines, strings.Fields(o.String())...)
		}
		return lines
	}
	h.theirPub(t, "", "-t", "end", "-m", "end", "-q", "1")
	poll(nil, func() bool {
		return !slices.ContainsFunc(outs, func(o *buffer) bool { return !strings.HasSuffix(o.String(), "end\n") })
	})
	seen := map[string]int{}
	for _, line := range all() {
		seen[line]++
	}
	for i := range 300 {
		if n := seen[strconv.Itoa(i)]; n != 1 {
			t.Errorf("message %d arrives %d times", i, n)
		}
	}
	for i, o := range outs {
		if n := strings.Count(o.String(), "\n"); n < 2 {
			t.Errorf("subscriber %d got no share", i)
		}
	}
}

// They come by every way that they know, and are refused as they understand.
func TestMosquittoClientsWaysAndRefusals(t *testing.T) {
	t.Parallel()
	clients(t)
	certs := certtest.New(t)
	rules := broker.Options{
		Authenticate: onlyUser("joe"),
		Authorize:    func(_, _, topic string, _ bool) bool { return !strings.HasPrefix(topic, "secret") },
	}
	_, plain := brokertest.StartWith(t, rules)
	_, secure := brokertest.StartOn(t, "127.0.0.1:0", certs.ServerConfig(), rules)
	_, mutual := brokertest.StartOn(t, "127.0.0.1:0", certs.MutualConfig(), rules)
	socket := filepath.Join(tempDir(t), "s")
	_, _ = brokertest.StartOn(t, "unix://"+socket, nil, rules)
	ca := []string{"--cafile", certs.CA.CertFile}
	for _, c := range []struct {
		name  string
		way   []string
		says  string
		fails bool // with one code or another
	}{
		{name: "plain", way: at(plain)},
		{name: "unix", way: []string{"--unix", socket}},
		{name: "a user", way: append(at(plain), "-u", "joe", "-P", "x")},
		{name: "TLS", way: append(at(secure), ca...)},
		{name: "TLS 1.2", way: append(append(at(secure), "--tls-version", "tlsv1.2"), ca...)},
		{name: "a client certificate", way: append(append(at(mutual), "--cert", certs.Client.CertFile, "--key", certs.Client.KeyFile), ca...)},
		{name: "another authority", way: append(at(secure), "--cafile", certs.OtherCA.CertFile), fails: true, says: "tls error"},
		{name: "no client certificate", way: append(at(mutual), ca...), fails: true},
		{name: "another user", way: append(at(plain), "-u", "eve"), fails: true, says: "user name or password"},
	} {
		for _, version := range everyVersion {
			t.Run(c.name+" v"+version, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"-V", version, "-q", "1", "-t", version + "/" + strings.ReplaceAll(c.name, " ", "")}, c.way...)
				r := begin(t, "", "mosquitto_pub", append(args, "-m", "hello", "-r")...).wait()
				if (r.code != 0) != c.fails || !strings.Contains(strings.ToLower(r.err), c.says) {
					t.Fatalf("mosquitto_pub: code %d, stderr %q; want failure: %v, and %q", r.code, r.err, c.fails, c.says)
				}
				if !c.fails {
					begin(t, "", "mosquitto_sub", append(args, "-C", "1")...).gets("hello\n")
				}
			})
		}
	}
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		r := begin(t, "", "mosquitto_sub", append(at(plain), "-V", "5", "-t", "secret/x")...).wait()
		if !strings.Contains(r.err, "All subscription requests were denied") {
			t.Errorf("mosquitto_sub: code %d, %q, %q", r.code, r.out, r.err)
		}
		r = begin(t, "", "mosquitto_sub", append(at(plain), "-V", "311", "-t", "secret/x")...).wait()
		if !strings.Contains(r.err, "All subscription requests were denied") {
			t.Errorf("mosquitto_sub -V 311: code %d, %q, %q", r.code, r.out, r.err)
		}
		for _, qos := range []string{"1", "2"} {
			r = begin(t, "", "mosquitto_pub", append(at(plain), "-V", "5", "-t", "secret/x", "-m", "x", "-q", qos)...).wait()
			if !strings.Contains(r.err+r.out, "Not authorized") {
				t.Errorf("mosquitto_pub -q %s: code %d, %q, %q", qos, r.code, r.out, r.err)
			}
		}
	})
}

// What they put into CONNECT arrives, and binds our broker.
func TestMosquittoClientsLimitOurBroker(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	// One message at a time, none above 2000 bytes.
	s := h.theirSub(t, 1, "-V", "5", "-t", "t", "-q", "2", "-C", "100",
		"-D", "connect", "receive-maximum", "1", "-D", "connect", "maximum-packet-size", "2000", "-D", "connect", "user-property", "a", "b")
	var want strings.Builder
	numbers(&want, 100)
	h.theirPub(t, "", "-V", "5", "-t", "t", "-q", "2", "-m", strings.Repeat("x", 3000))
	h.pub(t, want.String(), "-t", "t", "-q", "2", "-l")
	s.gets(want.String())
	// And what ours allows binds them, whatever they say about it.
	small := newHub(t, broker.Options{MaxPacketSize: 1000, MaximumQoS: 1, LimitQoS: true, DisableRetain: true})
	for _, args := range []string{"-m " + strings.Repeat("x", 2000), "-m x -q 2", "-m x -r"} {
		begin(t, "", "mosquitto_pub", append(append(strings.Fields(args), "-V", "5", "-t", "t"), small.addr...)...).wait()
		// Theirs sends a message as not retained where it may not be.
		if n := small.broker.Stats(); n.Retained != 0 || n.Received != 0 && args != "-m x -r" {
			t.Fatalf("mosquitto_pub %.20s: our broker takes the message", args)
		}
	}
}

// Requests: their asker, our responder, on every ground of replies.
func TestMosquittoAsks(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	h.sub(t, "-t", "ask", "--echo", "-q", "2")
	for _, qos := range []string{"0", "1", "2"} {
		begin(t, "", "mosquitto_rr", append([]string{"-V", "5", "-q", qos, "-t", "ask", "-m", "hello", "-e", "answer/" + qos, "-W", "20",
			"-D", "publish", "correlation-data", "abc", "-F", "%q %p"}, h.addr...)...).gets(qos + " hello\n")
		<-h.subscribed
	}
	// And the reverse: our asker, and a responder made of theirs.
	s := h.theirSub(t, 1, "-V", "5", "-t", "by/hand", "-C", "1", "-F", "%R %D")
	p := start(t, nil, "mqpub", append(slices.Clone(h.addr), "-t", "by/hand", "-m", "x", "--request", "-W", "20", "-D", "publish", "correlation-data", "id")...)
	<-h.subscribed
	got := strings.Fields(s.wait().out)
	if len(got) != 2 || got[1] != "id" {
		t.Fatalf("the request has %q, want a response topic and correlation data", got)
	}
	h.theirPub(t, "", "-V", "5", "-t", got[0], "-m", "foreign", "-q", "1", "-D", "publish", "correlation-data", "other")
	h.theirPub(t, "", "-V", "5", "-t", got[0], "-m", "answer", "-q", "1", "-D", "publish", "correlation-data", "id")
	p.gets(t, "answer\n")
}

// What has its time in 5.0: a will waits for its client, and a message expires.
func TestMosquittoClientsAndTime(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	mortal := func(id, delay string) *foreign {
		return h.theirSub(t, 1, "-V", "5", "-c", "-i", id, "-x", "1000", "-t", "x", "--will-topic", "will/"+id, "--will-payload", "it died",
			"-D", "will", "will-delay-interval", delay)
	}
	kill := func(f *foreign) {
		_ = f.cmd.Process.Signal(syscall.SIGKILL)
		f.wait()
	}
	watch := h.theirSub(t, 1, "-V", "5", "-t", "will/#", "-C", "1", "-F", "%t %p")
	session := []string{"-V", "5", "-c", "-i", "keeper", "-x", "1000", "-t", "s", "-q", "1"}
	h.theirSub(t, 1, append(session, "-E")...).gets("")
	for _, p := range [][2]string{{"1", "too late"}, {"1000", "in time"}} {
		h.theirPub(t, "", "-V", "5", "-t", "s", "-q", "1", "-m", p[1], "-D", "publish", "message-expiry-interval", p[0])
	}
	kill(mortal("back", "3"))
	mortal("back", "3")
	kill(mortal("gone", "3"))
	watch.gets("will/gone it died\n") // and that of back, which was due earlier, does not come
	h.theirSub(t, 1, append(session, "-C", "1")...).gets("in time\n")
}

func TestMosquittoClientsUnsubscribeAndAbbreviate(t *testing.T) {
	t.Parallel()
	clients(t)
	for _, version := range everyVersion {
		t.Run("unsubscribe v"+version, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, brokerDefaults)
			session := []string{"-V", version, "-c", "-i", "keeper", "-q", "1"}
			if version == "5" {
				session = append(session, "-x", "1000")
			}
			h.theirSub(t, 2, append(session, "-t", "t/1", "-t", "t/2", "-E")...).gets("")
			h.theirSub(t, 1, append(session, "-U", "t/1", "-t", "t/2", "-E")...).gets("")
			for _, topic := range []string{"t/1", "t/2"} {
				h.theirPub(t, "", "-t", topic, "-m", topic, "-q", "1")
			}
			h.theirSub(t, 1, append(session, "-t", "t/2", "-C", "1")...).gets("t/2\n")
		})
	}
	h := newHub(t, brokerDefaults)
	s := h.sub(t, "-t", "#", "-q", "1", "-v", "-C", "3")
	h.theirPub(t, "a\nb\nc\n", "-V", "5", "-t", "long/name", "-q", "1", "-l", "-D", "publish", "topic-alias", "1")
	s.gets(t, "long/name a\nlong/name b\nlong/name c\n")
}

// Another broker takes the place of the one that they are connected to. Of 5.0
// they take any DISCONNECT for the end: see the next test.
func TestMosquittoClientsComeBack(t *testing.T) {
	t.Parallel()
	clients(t)
	for _, version := range []string{"31", "311"} {
		t.Run("v"+version, func(t *testing.T) {
			t.Parallel()
			subscribed := make(chan struct{}, 10)
			log := func(e broker.Event) {
				if e.Kind == broker.EventSubscribed {
					subscribed <- struct{}{}
				}
			}
			var now atomic.Pointer[broker.Broker]
			now.Store(broker.New(broker.Options{Log: log}))
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ln.Close() })
			go func() {
				for nc, err := ln.Accept(); err == nil; nc, err = ln.Accept() {
					now.Load().ServeConn(nc)
				}
			}()
			addr := at(ln.Addr().String())
			s := begin(t, "", "mosquitto_sub", append(addr, "-V", version, "-t", "t", "-q", "1", "-C", "2")...)
			for _, payload := range []string{"before", "after"} {
				select {
				case <-subscribed:
				case <-time.After(patience):
					t.Fatalf("no subscription: %s", s.err.String())
				}
				begin(t, "", "mosquitto_pub", append(addr, "-V", version, "-t", "t", "-q", "1", "-m", payload)...).gets("")
				if !poll(nil, func() bool { return strings.HasSuffix(s.out.String(), payload+"\n") }) {
					t.Fatalf("%q does not come: %q", payload, s.out.String())
				}
				if err := now.Swap(broker.New(broker.Options{Log: log})).Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			s.gets("before\nafter\n")
			_ = now.Load().Close(t.Context())
		})
	}
}

func TestMosquittoClientsAreToldToEnd(t *testing.T) {
	t.Parallel()
	clients(t)
	h := newHub(t, brokerDefaults)
	sub := []string{"-V", "5", "-i", "one", "-t", "t", "-q", "1"}
	old := h.theirSub(t, 1, sub...)
	young := h.theirSub(t, 1, sub...)
	old.gets("") // taken over
	h.theirPub(t, "", "-t", "t", "-m", "x", "-q", "1")
	if !poll(nil, func() bool { return young.out.String() == "x\n" }) {
		t.Errorf("the later one gets %q", young.out.String())
	}
	if err := h.broker.Close(t.Context()); err != nil {
		t.Error(err)
	}
	young.gets("x\n")
}
