package mqsub

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
)

const (
	clean4 = "10 0d 0004 4d515454 04 02 0000 0001 61"
	ok4    = "20 02 00 00"
	sub4   = "82 06 0001 0001 74 00" // to t, at QoS 0
	subok4 = "90 03 0001 00"
)

// virtual runs the tool in virtual time, and returns the time it took. A signal, if not 0,
// is sent when the tool only waits.
func virtual(t *testing.T, signal syscall.Signal, args string, conns ...[]Step) (r Result, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		done := make(chan Result)
		b := InMemory(t, conns...)
		go func() {
			done <- b.Run(ctx, Tool(), "", Before(strings.Fields(args), "-i", "a")...)
		}()
		if synctest.Wait(); signal != 0 {
			cancel(&cli.SignalError{Signal: signal})
		}
		r = <-done
		took = time.Since(start)
	})
	return r, took
}

// message is a message on topic, a letter, with a payload of one byte; at QoS 1 it has an
// identifier.
func message(topic, payload string) string { return "30 04 0001 " + topic + payload }
func retained(topic, payload string) string {
	return "31 04 0001 " + topic + payload
}

// The options decide what is printed, and when the run ends.
func TestWhatIsWritten(t *testing.T) {
	t.Parallel()
	all := retained("74", "31") + message("74", "32") + message("75", "33") + message("74", "34")
	for _, c := range []struct {
		it, args  string
		subscribe string // "" is t at QoS 0
		suback    string
		came      string // after SUBACK
		more      []Step
		took      time.Duration
		code      int
		out, says string
	}{
		{"one message", "-C 1", "", "", all, nil, 0, 0, "1\n", ""},
		{"three messages", "-C 3", "", "", all, nil, 0, 0, "1\n2\n3\n", ""},
		{"with topics", "-C 3 -v", "", "", all, nil, 0, 0, "t 1\nt 2\nu 3\n", ""},
		{"no retained ones", "-C 2 -R", "", "", all, nil, 0, 0, "2\n3\n", ""},
		{"not what a filter matches", "-C 3 -T +/x -T u", "", "", all, nil, 0, 0, "1\n2\n4\n", ""},
		{"not what a wildcard matches", "-W 3 -T +", "", "", all, nil, 3 * time.Second, 27, "", "mqsub: timed out*"},
		{"too few in time", "-C 5 -W 3", "", "", all, nil, 3 * time.Second, 27, "1\n2\n3\n4\n", "mqsub: timed out*"},
		{"all in time", "-W 3", "", "", all, nil, 3 * time.Second, 27, "1\n2\n3\n4\n", "mqsub: timed out*"},
		{"until it is quiet", "--idle-timeout 2", "", "", all, nil, 2 * time.Second, 27, "1\n2\n3\n4\n", "mqsub: timed out*"},
		{"only retained ones", "--retained-only", "", "", all, []Step{{"c0 00", "d0 00"}, {"c0 00+", "d0 00"}}, 200 * time.Millisecond, 0, "1\n", ""},
		{"only retained ones, and none comes", "--retained-only", "", "", message("74", "32"), []Step{{"c0 00", "d0 00"}, {"c0 00+", "d0 00"}},
			200 * time.Millisecond, 28, "", "mqsub: no retained*"},
		{"the subscription alone", "-E", "", "", all, nil, 0, 0, "", ""},
		{"a lower QoS than was asked for", "-q 2 -C 1", "82 06 0001 0001 74 02", "90 03 0001 01", all, nil, 0, 0, "1\n", "mqsub: warning: *"},
		{"the QoS that was asked for", "-q 1 -C 1", "82 06 0001 0001 74 01", "90 03 0001 01", all, nil, 0, 0, "1\n", ""},
		{"two filters, of which one is refused", "-t u", "82 0a 0001 0001 74 00 0001 75 00", "90 04 0001 00 80", "", nil, 0, 5, "",
			"mqsub: broker refused the subscription \"u\": unspecified error (0x80)\nmqsub: check the broker's access rules\n"},
		{"two filters that are refused", "-t u", "82 0a 0001 0001 74 00 0001 75 00", "90 04 0001 80 80", "", nil, 0, 5, "",
			"mqsub: broker refused the subscription \"t\": unspecified error (0x80)\nmqsub: broker refused the subscription \"u\": unspecified error (0x80)\nmqsub: check the broker's access rules\n"},
		{"a filter that is refused", "", "", "90 03 0001 80", "", nil, 0, 5, "", "mqsub: *"},
		{"messages that are taken off", "--remove-retained -C 3", "", "", retained("74", "31") + message("74", "32") + "31 03 0001 74",
			[]Step{{"33 05 0001 74 0002", "40 02 0002"}}, 0, 0, "1\n2\n", ""},
		{"what is unsubscribed from", "-U u -C 1", "", "", "", []Step{{"a2 05 0002 0001 75", "b0 02 0002" + message("74", "31")}}, 0, 0, "1\n", ""},
	} {
		if c.subscribe == "" {
			c.subscribe = sub4
		}
		if c.suback == "" {
			c.suback = subok4
		}
		steps := append([]Step{{clean4, ok4}, {c.subscribe, c.suback + c.came}}, c.more...)
		r, took := virtual(t, 0, "-V 311 -t t "+c.args, append(steps, Step{bye, ""}))
		says, open := strings.CutSuffix(c.says, "*")
		if r.Code != c.code || r.Stdout != c.out || took != c.took || !open && r.Stderr != says || !strings.HasPrefix(r.Stderr, says) {
			t.Errorf("%s: status %d after %v, %q, stderr %q; want %d after %v, %q, %q", c.it, r.Code, took, r.Stdout, r.Stderr, c.code, c.took, c.out, c.says)
		}
	}
}

// The options of a subscription are sent to the broker [MQTT-3.8.3-1].
func TestTheOptionsOfSubscriptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, subscribe string }{
		{"-t t", "82 07 0001 00 0001 74 00"},
		{"-t t -q 1 --no-local", "82 07 0001 00 0001 74 05"},
		{"-t t --retain-as-published", "82 07 0001 00 0001 74 08"},
		{"-t t --retain-handling new", "82 07 0001 00 0001 74 10"},
		{"-t t --retain-handling never", "82 07 0001 00 0001 74 20"},
		{"-t t --retain-handling always", "82 07 0001 00 0001 74 00"},
		{"-t t -R", "82 07 0001 00 0001 74 20"},
		{"-t t -R --retain-handling new", "82 07 0001 00 0001 74 10"},
		{"--sub t;qos=2;nl;rap;rh=1", "82 07 0001 00 0001 74 1e"},
		{"-q 1 --sub t;id=5", "82 09 0001 02 0b 05 0001 74 01"},
	} {
		r, _ := virtual(t, 0, "-V 5 -E "+c.args, []Step{{connect, connack}, {c.subscribe, "90 04 0001 00 02"}, {bye, ""}})
		if r.Code != 0 {
			t.Errorf("%s: status %d, stderr %q", c.args, r.Code, r.Stderr)
		}
	}
}

// -U alone subscribes to nothing, and reports filters that were not subscribed to.
func TestUnsubscribingAlone(t *testing.T) {
	t.Parallel()
	r, _ := virtual(t, 0, "-V 5 -U u -U v", []Step{{connect, connack}, {"a2 09 0001 00 0001 75 0001 76", "b0 05 0001 00 00 11"}, {bye, ""}})
	if want := "mqsub: warning: the session had no subscription to \"v\"\n"; r.Code != 0 || r.Stderr != want {
		t.Errorf("status %d, stderr %q; want 0 and %q", r.Code, r.Stderr, want)
	}
	r, _ = virtual(t, 0, "-V 5 -U u", []Step{{connect, connack}, {"a2 06 0001 00 0001 75", "b0 04 0001 00 87"}, {bye, ""}})
	if r.Code != option.ExitDenied {
		t.Errorf("refused: status %d, stderr %q; want 5", r.Code, r.Stderr)
	}
}

// --idle-timeout counts from the latest message, not from the first.
func TestTheIdleTimeRestartsWithEachMessage(t *testing.T) {
	t.Parallel()
	r, took := virtual(t, 0, "-V 311 -t t --idle-timeout 10", []Step{{clean4, ok4}, {sub4, subok4 + message("74", "31")},
		{"", "6s: " + message("74", "32")}, {"", "6s: " + message("74", "33")}, {bye, ""}})
	if r.Code != 27 || r.Stdout != "1\n2\n3\n" || took != 22*time.Second {
		t.Errorf("status %d after %v, %q, stderr %q; want 27 after 22 s", r.Code, took, r.Stdout, r.Stderr)
	}
}

// The messages of each second are counted from zero, with either spelling of the option.
func TestTheMessagesOfASecond(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-V 311 -t t --message-rate -W 3.5", "stats -V 311 -t t -W 3.5"} {
		r, took := virtual(t, 0, args, []Step{{clean4, ok4}, {sub4, subok4 + message("74", "31") + message("74", "32")}, {bye, ""}})
		if r.Code != 27 || r.Stdout != "2 msgs/s\n0 msgs/s\n0 msgs/s\n" || took != 3500*time.Millisecond {
			t.Errorf("%s: status %d after %v, %q; want 2, 0, 0", args, r.Code, took, r.Stdout)
		}
	}
}

// The command watch is the same as --watch, which needs a terminal.
func TestWatchIsACommandAndASwitch(t *testing.T) {
	t.Parallel()
	var shown []string
	for _, args := range []string{"watch -V 311 -t t -C 1", "-V 311 -t t -C 1 --watch"} {
		for _, terminal := range []bool{true, false} {
			port := "1"
			if terminal {
				port = Start(t, []Step{{clean4, ok4}, {sub4, subok4 + message("74", "31")}, {bye, ""}}).Port
			}
			var out, errs strings.Builder
			code := cli.Run(t.Context(), cli.Env{
				Args: Before(strings.Fields(args), "-h", "127.0.0.1", "-p", port, "-i", "a", "-k", "0"), Stdout: &out, Stderr: &errs,
				Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"}), StdoutIsTerminal: terminal,
			}, Tool())
			switch {
			case terminal && (code != 0 || !strings.Contains(out.String(), "t 1")):
				t.Errorf("%s: status %d, %q, stderr %q", args, code, &out, &errs)
			case terminal:
				shown = append(shown, strings.ReplaceAll(out.String(), port, "PORT"))
			case code != option.ExitUsage || !strings.Contains(errs.String(), "watch needs a terminal as standard output"):
				t.Errorf("%s, no terminal: status %d, stderr %q", args, code, &errs)
			}
		}
	}
	if len(shown) != 2 || shown[0] != shown[1] {
		t.Errorf("they show %q", shown)
	}
}

// A reply carries the correlation data and the QoS of its request, and is acknowledged
// before the end.
func TestAReplyIsThatToItsRequest(t *testing.T) {
	t.Parallel()
	r, took := virtual(t, 0, "-V 5 -q 1 -t q --echo -C 1", []Step{{connect, connack}, {"82 07 0001 00 0001 71 01", "90 04 0001 00 01" +
		"32 0f 0001 71 0007 08 08 0001 72 09 0001 63 78"},
		{"32 0b 0001 72 0002 04 09 0001 63 78", ""}, {"40 02 0007", "30s: 40 02 0002"}, {bye, ""}})
	if r.Code != 0 || r.Stderr != "" || took != 30*time.Second {
		t.Errorf("status %d after %v, stderr %q; want 0 behind the answer, after 30 s", r.Code, took, r.Stderr)
	}
	// Without a response topic there is no reply.
	r, _ = virtual(t, 0, "-V 5 -q 1 -t q --echo -C 1", []Step{{connect, connack}, {"82 07 0001 00 0001 71 01", "90 04 0001 00 01" + "30 05 0001 71 00 78"}, {bye, ""}})
	if r.Code != 0 || r.Stdout != "x\n" || r.Stderr != "" {
		t.Errorf("no request: status %d, %q, stderr %q", r.Code, r.Stdout, r.Stderr)
	}
}

// After a signal, mqsub disconnects cleanly; mosquitto_sub has the will published in MQTT 5
// and exits with success.
func TestASignalEndsWhatWaits(t *testing.T) {
	t.Parallel()
	wait := func(disconnect string) []Step {
		return []Step{{connect, connack}, {"82 07 0001 00 0001 74 00", "90 04 0001 00 00"}, {disconnect, ""}}
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if r, took := virtual(t, signal, "-V 5 -t t", wait(bye)); r.Code != 128+int(signal) || r.Stderr != "" || took != 0 {
			t.Errorf("%v: status %d after %v, stderr %q", signal, r.Code, took, r.Stderr)
		}
	}
}

// A second counts even if its end is noticed late.
func TestTheSecondsOfAnInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rates{}
		if w := r.wait(); w != time.Second {
			t.Errorf("at the start it waits %v, want 1s", w)
		}
		r.take(nil)
		if out := r.draw(nil, true); len(out) > 0 {
			t.Errorf("a second that has not passed: %q", out)
		}
		time.Sleep(2500 * time.Millisecond) // one was missed
		if out := string(r.draw(nil, false)); out != "1 msgs/s\n" || r.wait() != 500*time.Millisecond {
			t.Errorf("got %q, and then %v to wait; want 1 and 500ms", out, r.wait())
		}
	})
}

// The display has room for a limited number of topics, the first that arrive.
func TestTheTopicsThatAreWatchedAreBounded(t *testing.T) {
	t.Parallel()
	w := newWatch(func() string { return "h:1" }, nil)
	for i := range watchMost + 2 {
		w.take(&mqtt.Message{Topic: strconv.Itoa(i)})
	}
	w.take(&mqtt.Message{Topic: "0", Payload: []byte("again")})
	if len(w.rows) != watchMost || len(w.at) != watchMost || w.rows[0].text != "again" || w.rows[0].n != 2 {
		t.Errorf("%d rows, %d topics, the first is %+v", len(w.rows), len(w.at), w.rows[0])
	}
}
