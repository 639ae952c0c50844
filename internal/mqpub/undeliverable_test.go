package mqpub

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// closesAt denies messages with these payloads, and subscriptions to "denied".
func closesAt(payloads ...string) func(packet.Frame, packet.Version) bool {
	return func(f packet.Frame, v packet.Version) bool {
		var p packet.Publish
		if f.Type == packet.SUBSCRIBE {
			return bytes.Contains(f.Body, []byte("denied"))
		}
		return f.Type == packet.PUBLISH && p.Parse(f, v) == nil && slices.Contains(payloads, string(p.Payload))
	}
}

// mqpub runs the tool with an input against a server.
func mqpub(t *testing.T, addr, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = cli.Run(ctx, cli.Env{Args: append([]string{"-h", host, "-p", port, "--reconnect-delay", "10ms"}, args...),
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}, Tool())
	if ctx.Err() != nil {
		t.Errorf("%q does not end: %s", args, errs.String())
	}
	return code, out.String(), errs.String()
}

func TestOnUndeliverable(t *testing.T) {
	t.Parallel()
	const lines = "one\n\ntwo\nbad\nthree\nworse\nfour\n"
	tests := []struct {
		name   string
		args   []string
		stdin  string
		say    []byte // before closing
		code   int
		taken  []string
		prints []string
	}{
		{"it stops at the message by default", []string{"-l", "-q", "1"}, lines, nil, 7, []string{"one", "", "two"},
			[]string{"message 4 (topic \"a/b\") ends every connection it is sent on: it may not be allowed, or be too large (",
				"4 of 7 messages not delivered: 4 unacknowledged (may have arrived)", "stopped at line 4; --on-undeliverable skip goes on without it, wait keeps trying"}},
		{"it names the line although empty ones are skipped", []string{"-l", "-q", "1", "--skip-blank"}, lines, nil, 7, []string{"one", "two"},
			[]string{"message 4 (topic \"a/b\") ends", "4 of 6 messages not delivered: 4 unacknowledged (may have arrived)", "stopped at line 4;"}},
		{"it stops at QoS 2", []string{"-l", "-q", "2"}, lines, nil, 7, []string{"one", "", "two"},
			[]string{"message 4 (topic \"a/b\") ends", "may not support QoS 2", "4 of 7 messages not delivered: 4 unacknowledged (may have arrived)"}},
		{"it stops before 5.0", []string{"-l", "-q", "1", "-V", "311"}, lines, nil, 7, []string{"one", "", "two"},
			[]string{"message 4 (topic \"a/b\") ends", "4 of 7 messages not delivered: 4 unacknowledged (may have arrived)"}},
		{"skip goes on and counts", []string{"-l", "-q", "1", "--on-undeliverable", "skip"}, lines, nil, 7, []string{"one", "", "two", "three", "four"},
			[]string{"message 4 (topic \"a/b\") ends every", "message 6 (topic \"a/b\") ends every", "2 of 7 messages not delivered: 2 undeliverable"}},
		{"a reason code is printed", []string{"-l", "-q", "1", "-V", "5"}, lines, []byte{0xe0, 2, 0x87, 0}, 7, []string{"one", "", "two"},
			[]string{"message 4 (topic \"a/b\") ends the connection: not authorized (0x87)", "4 of 7 messages not delivered: 4 unacknowledged (may have arrived)"}},
		{"skip goes on behind a reason code", []string{"-l", "-q", "1", "-V", "5", "--on-undeliverable=skip"}, lines, []byte{0xe0, 2, 0x95, 0}, 7,
			[]string{"one", "", "two", "three", "four"}, []string{"message 6 (topic \"a/b\") ends the connection: packet too large (0x95)", "2 of 7 messages not delivered: 2 undeliverable"}},
		{"a record is named by its line", []string{"--input", "jsonl", "-q", "1"}, `{"topic":"x","payload":"one"}` + "\n\n" + `{"topic":"y","payload":"bad"}` + "\n", nil, 7,
			[]string{"one"}, []string{"message 3 (topic \"y\") ends", "stopped at line 3;"}},
		{"a single message says it too", []string{"-m", "bad", "-q", "1", "--retry"}, "", nil, 7, nil,
			[]string{`message to topic "a/b" ends every connection it is sent on`}},
		{"repetitions go on", []string{"-m", "bad", "-q", "1", "--retry", "--repeat", "2", "--on-undeliverable", "skip"}, "", nil, 7, nil,
			[]string{`message to topic "a/b" ends every connection`, "2 of 2 messages were undeliverable"}},
		{"a request that may not be published", []string{"-m", "bad", "-q", "1", "--retry", "--request", "-W", "10"}, "", nil, 7, nil,
			[]string{`message to topic "a/b" ends every connection`}},
		{"a reply topic that may not be subscribed to is refused", []string{"-m", "one", "-e", "denied/x", "--retry", "-W", "10"}, "", nil, 5, nil,
			[]string{`subscription to "denied/x" ends every connection it is sent on: it may not be allowed`}},
		{"messages at QoS 0 are not resent, and it says what is known", []string{"-l", "-V", "5"}, "bad\n", []byte{0xe0, 2, 0x87, 0}, 7, nil,
			[]string{"message at QoS 0 ends the connection: not authorized (0x87)", "1 of 1 message not delivered: 1 at QoS 0 that may not have arrived"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := brokertest.StartClosing(t, closesAt("bad", "worse"))
			s.Say = test.say
			args := test.args
			if !slices.Contains(args, "--input") {
				args = append([]string{"-t", "a/b"}, args...)
			}
			code, stdout, stderr := mqpub(t, s.Addr, test.stdin, args...)
			if code != test.code || stdout != "" {
				t.Errorf("code %d, want %d; stdout %q", code, test.code, stdout)
			}
			for _, want := range test.prints {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr has no %q:\n%s", want, stderr)
				}
			}
			var taken []string
			for _, p := range s.Taken() { // a message that is resent because an acknowledgement was lost counts once
				if !slices.Contains(taken, p) {
					taken = append(taken, p)
				}
			}
			if !slices.Equal(taken, test.taken) {
				t.Errorf("the server took %q, want %q", taken, test.taken)
			}
		})
	}
}

// With wait, the message is reported once, and the stream continues when the server accepts
// it.
func TestOnUndeliverableWait(t *testing.T) {
	t.Parallel()
	denied := 0
	s := brokertest.StartClosing(t, func(f packet.Frame, v packet.Version) bool {
		if closesAt("bad")(f, v) {
			denied++
			return denied < 20
		}
		return false
	})
	code, _, stderr := mqpub(t, s.Addr, "one\nbad\ntwo\n", "-t", "a", "-l", "-q", "1", "--on-undeliverable", "wait")
	if taken := s.Taken(); code != 0 || !slices.Equal(taken[len(taken)-2:], []string{"bad", "two"}) {
		t.Errorf("code %d, the server took %q; %s", code, taken, stderr)
	}
	if n := strings.Count(stderr, "message 2 (topic \"a\") ends every connection"); n != 1 || !strings.Contains(stderr, "; still trying") {
		t.Errorf("printed %d times, want once:\n%s", n, stderr)
	}
}

// A server that resets every connection for a while costs no line.
func TestABrokenLinkCostsNoLine(t *testing.T) {
	t.Parallel()
	ends := 0
	s := brokertest.StartClosing(t, func(packet.Frame, packet.Version) bool {
		ends++
		return ends <= 14
	})
	code, _, stderr := mqpub(t, s.Addr, strings.Repeat("line\n", 200), "-t", "a", "-l", "-q", "1")
	if n := len(s.Taken()); code != 0 || n != 200 {
		t.Errorf("code %d, %d lines arrived; %s", code, n, stderr)
	}
}
