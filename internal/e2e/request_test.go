package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/broker"
)

func TestRequestsAndReplies(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.sub(t, "-t", "ask/echo", "--echo", "-q", "2")
	h.sub(t, "-t", "ask/both", "--echo")
	h.sub(t, "-t", "ask/both", "--reply-command", "tr a-z A-Z; printf ' to %s' \"$MQ_MESSAGE_TOPIC\"")
	h.sub(t, "-t", "ask/fails", "--reply-command", "exit 3")
	for _, c := range []struct {
		name string
		args []string
		want string
		code int
		says string
	}{
		{"echo", []string{"-t", "ask/echo", "-m", "hello", "--request"}, "hello\n", 0, ""},
		{"echo at QoS 2", []string{"-t", "ask/echo", "-m", "hello", "--request", "-q", "2", "-F", "%q %p"}, "2 hello\n", 0, ""},
		{"a topic of one's own", []string{"-t", "ask/echo", "-m", "hello", "-e", "answers/here", "-v"}, "answers/here hello\n", 0, ""},
		{"correlation data of one's own", []string{"-t", "ask/echo", "-m", "x", "--request", "-D", "publish", "correlation-data", "abc", "-F", "%D"}, "abc\n", 0, ""},
		{"latency", []string{"-t", "ask/echo", "-m", "x", "--request", "--latency"}, "x\n", 0, "reply after "},
		{"nobody answers", []string{"-t", "ask/nobody", "-m", "x", "--request", "-W", "0.1"}, "", 27, "no reply within 100ms"},
		{"the answer fails", []string{"-t", "ask/fails", "-m", "x", "--request", "-W", "0.5"}, "", 27, "no reply within "},
		{"too few answers", []string{"-t", "ask/echo", "-m", "x", "--request", "--replies", "2", "-W", "5"}, "x\n", 27, "1 of 2 replies"},
		{"3.1.1 asks in vain", []string{"-t", "ask/echo", "-m", "x", "-V", "311", "-e", "r", "-W", "0.1"}, "", 27, "no reply within "},
		{"3.1.1 without a topic", []string{"-t", "ask/echo", "-m", "x", "-V", "311", "--request"}, "", 2, "needs MQTT 5"},
		{"lines", []string{"-t", "ask/echo", "-l", "--request"}, "", 2, "--request and --stdin-line cannot be used together"},
		{"retained", []string{"-t", "ask/echo", "-m", "x", "-r", "--request"}, "", 2, "cannot be used together"},
		{"a format without request", []string{"-t", "ask/echo", "-m", "x", "-F", "%p"}, "", 2, "needs --request"},
		{"two topics", []string{"-t", "ask/echo", "-m", "x", "-e", "a", "-D", "publish", "response-topic", "b"}, "", 2, "disagree"},
		{"a filter", []string{"-t", "ask/echo", "-m", "x", "-e", "a/#"}, "", 2, "wildcard"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, "", "mqpub", append(slices.Clone(h.addr), c.args...)...)
			if r.out != c.want || r.code != c.code || !strings.Contains(r.err, c.says) || c.says == "" && r.err != "" {
				t.Errorf("code %d, %q, %q; want %d, %q and %q", r.code, r.out, r.err, c.code, c.want, c.says)
			}
		})
	}
	r := run(t, "", "mqpub", append(slices.Clone(h.addr), "-t", "ask/both", "-m", "hello", "--request", "--replies", "2", "-q", "1")...)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	slices.Sort(lines)
	if want := []string{"HELLO to ask/both", "hello"}; r.code != 0 || !slices.Equal(lines, want) {
		t.Errorf("two answers: code %d, %q, %q, want %q", r.code, r.out, r.err, want)
	}
}

// Only what carries the request's correlation data is its reply.
func TestForeignRepliesAreLeftOut(t *testing.T) {
	t.Parallel()
	h := newHub(t, broker.Options{})
	h.pub(t, "", "-t", "r", "-m", "kept from before", "-r")
	p := start(t, nil, "mqpub", append(slices.Clone(h.addr), "-t", "ask", "-m", "x", "-e", "r", "-W", "20")...)
	<-h.subscribed
	h.pub(t, "", "-t", "r", "-m", "foreign", "-q", "1")
	h.pub(t, "", "-t", "r", "-m", "foreign too", "-q", "1", "-D", "publish", "correlation-data", "other")
	s := h.sub(t, "-t", "ask", "--echo", "-C", "1")
	// The request was sent before anybody could answer; ask once more.
	again := run(t, "", "mqpub", append(slices.Clone(h.addr), "-t", "ask", "-m", "y", "-e", "r", "-W", "20")...)
	if again.out != "y\n" {
		t.Errorf("second request: %q, %q", again.out, again.err)
	}
	s.wait()
	p.cancel(nil)
	if got := p.wait(); got.out != "" {
		t.Errorf("first request: %q was taken for its reply", got.out)
	}
	if !regexp.MustCompile(`^y\n$`).MatchString(again.out) {
		t.Errorf("got %q", again.out)
	}
}
