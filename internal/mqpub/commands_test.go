package mqpub

import (
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

const (
	ok5     = "20 03 00 00 00"
	new5    = "10 0e 0004 4d515454 05 02 0000 00 0001 61"
	stream5 = "10 13 0004 4d515454 05 02 0000 05 11 0000012c 0001 61" // expires after five minutes
	bye5    = "e0 07 00 05 11 00000000"                               // expires with the run
	ping    = "c0 00"
	pong    = "d0 00"
)

// virtual runs the tool in virtual time, and returns the time it took.
func virtual(t *testing.T, stdin io.Reader, args string, conns ...[]Step) (r Result, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r = InMemory(t, conns...).RunWith(t.Context(), Tool(), stdin, Before(strings.Fields(args), "-i", "a")...)
		took = time.Since(start)
	})
	return r, took
}

// The options and the input decide what is sent.
func TestWhatIsPublished(t *testing.T) {
	t.Parallel()
	ack := func(id string) string { return "40 02 " + id }
	record := func(more string) string { return `{"topic":"t","payload":"x"` + more + "}\n" }
	for _, c := range []struct {
		it, args, stdin string
		steps           []Step
		took            time.Duration
		code            int
		says            string
	}{
		{"the retain flag", "-V 311 -t t -m x -r", "", []Step{{clean4, ok4}, {"31 04 0001 74 78", ""}, {bye, ""}}, 0, 0, ""},
		{"QoS 1 and the retain flag", "-V 311 -t t -m x -q 1 -r", "", []Step{{clean4, ok4}, {"33 06 0001 74 0001 78", ack("0001")}, {bye, ""}}, 0, 0, ""},
		{"QoS 2", "-V 311 -t t -m x -q 2", "", []Step{{clean4, ok4}, {"34 06 0001 74 0001 78", "50 02 0001"}, {"62 02 0001", "70 02 0001"}, {bye, ""}}, 0, 0, ""},
		{"once, and no delay behind it", "-V 311 -t t -m x --repeat 1 --repeat-delay 10", "", []Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {bye, ""}}, 0, 0, ""},
		{"three times, and the delay twice", "-V 311 -t t -m x --repeat 3 --repeat-delay 10", "",
			[]Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {"30 04 0001 74 78", ""}, {"30 04 0001 74 78", ""}, {bye, ""}}, 20 * time.Second, 0, ""},
		{"blank lines, and one without an end", "-V 311 -t t -l", "x\n\ny",
			[]Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {"30 03 0001 74", ""}, {"30 04 0001 74 79", ""}, {ping, pong}, {bye, ""}}, 0, 0, ""},
		{"no blank lines", "-V 311 -t t -l --skip-blank", "x\n\ny\n\n",
			[]Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {"30 04 0001 74 79", ""}, {ping, pong}, {bye, ""}}, 0, 0, ""},
		{"lines that end in a NUL byte", "-V 311 -t t -l -0", "x\ny\x00z",
			[]Step{{clean4, ok4}, {"30 06 0001 74 780a79", ""}, {"30 04 0001 74 7a", ""}, {ping, pong}, {bye, ""}}, 0, 0, ""},
		{"a stream whose session ends with it", "-V 5 -t t -l -q 1", "x\n",
			[]Step{{stream5, ok5}, {"32 07 0001 74 0001 00 78", ack("0001")}, {bye5, ""}}, 0, 0, ""},
		{"a stream whose session the user keeps", "-V 5 -t t -l -q 1 -x 60", "x\n",
			[]Step{{"10 13 0004 4d515454 05 02 0000 05 11 0000003c 0001 61", ok5}, {"32 07 0001 74 0001 00 78", ack("0001")}, {bye, ""}}, 0, 0, ""},
		{"a record as it says", "-V 5 --input jsonl", record(`,"qos":1,"retain":true,"dup":true`),
			[]Step{{stream5, ok5}, {"33 07 0001 74 0001 00 78", ack("0001")}, {bye5, ""}}, 0, 0, ""},
		{"a record that says nothing", "-V 5 --input jsonl -q 1 -r", record(""),
			[]Step{{stream5, ok5}, {"33 07 0001 74 0001 00 78", ack("0001")}, {bye5, ""}}, 0, 0, ""},
		{"records for which -q decides", "-V 5 --input jsonl -q 1", record(`,"qos":2`) + record(`,"qos":0,"retain":true`),
			[]Step{{stream5, ok5}, {"32 07 0001 74 0001 00 78", ack("0001")}, {"33 07 0001 74 0002 00 78", ack("0002")}, {bye5, ""}}, 0, 0, ""},
		{"records for which -r decides", "-V 5 --input jsonl -r", record(`,"retain":false`),
			[]Step{{stream5, ok5}, {"31 05 0001 74 00 78", ""}, {ping, pong}, {bye5, ""}}, 0, 0, ""},
		{"a record that is no topic's, behind a good one", "-V 5 --input jsonl", record("") + `{"topic":"t/+","payload":"x"}` + "\n" + record(""),
			[]Step{{stream5, ok5}, {"30 05 0001 74 00 78", ""}, {"30 05 0001 74 00 78", ""}, {ping, pong}, {bye5, ""}}, 0, option.ExitLocalIO,
			"mqpub: standard input:2: topic \"t/+\": cannot publish to a wildcard\nmqpub: publish to one topic; + and # are for subscribing\nmqpub: 1 of 3 messages not delivered: 1 invalid\n"},
	} {
		r, took := virtual(t, strings.NewReader(c.stdin), c.args, c.steps)
		if r.Code != c.code || r.Stderr != c.says || took != c.took {
			t.Errorf("%s: status %d after %v, stderr %q; want %d after %v, %q", c.it, r.Code, took, r.Stderr, c.code, c.took, c.says)
		}
	}
}

// lines is standard input that does not end after these lines: it calls then, and waits for
// the end of the test.
type lines struct {
	text string
	then func()
	over <-chan struct{}
}

func (l *lines) Read(b []byte) (int, error) {
	if l.text != "" {
		n := copy(b, l.text)
		l.text = l.text[n:]
		return n, nil
	}
	if l.then != nil {
		l.then()
	}
	<-l.over
	return 0, io.EOF
}

// After a signal, sent messages have the time of --drain-timeout to be acknowledged; after
// -W they have none. In both cases the undelivered messages are reported.
func TestWhatIsDueHasItsTime(t *testing.T) {
	t.Parallel()
	unanswered := []Step{{clean4, ok4}, {"32 06 0001 74 0001 78", "hold"}}
	const open = "1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read\n"
	for _, c := range []struct {
		it, args string
		signal   bool // at the start
		steps    []Step
		took     time.Duration
		code     int
		says     string
	}{
		{"a signal", "-l -q 1", true, unanswered, 5 * time.Second, 143,
			"mqpub: waiting up to 5s for 1 message to be acknowledged; another signal exits at once\nmqpub: terminated: " + open},
		{"a signal, and less time", "-l -q 1 --drain-timeout 2", true, unanswered, 2 * time.Second, 143,
			"mqpub: waiting up to 2s for 1 message to be acknowledged; another signal exits at once\nmqpub: terminated: " + open},
		{"a signal, and no time", "-l -q 1 --drain-timeout 0", true, unanswered, 0, 143, "mqpub: terminated: " + open},
		{"a signal, and one message", "-m x -q 1 --drain-timeout 2", true, unanswered, 2 * time.Second, 143,
			"mqpub: waiting up to 2s for 1 message to be acknowledged; another signal exits at once\nmqpub: terminated: message not acknowledged: it may have arrived\n"},
		{"the end of -W", "-l -q 1 -W 3", false, unanswered, 3 * time.Second, 27, "mqpub: timed out after 3s (" + strings.TrimSuffix(open, "\n") + ")\n"},
		{"the end of -W, and one message", "-m x -q 1 -W 3", false, unanswered, 3 * time.Second, 27,
			"mqpub: timed out after 3s (message not acknowledged: it may have arrived)\n"},
		{"the end of -W between two", "-m x --repeat 2 --repeat-delay 10 -W 3", false, []Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {bye, ""}}, 3 * time.Second, 27,
			"mqpub: timed out after 3s (1 message sent)\n"},
		{"the end of -W, and the server never ends", "-m x --repeat 2 --repeat-delay 10 -W 3", false, []Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {bye, "2100ms: close"}}, 5100 * time.Millisecond, 27,
			"mqpub: timed out after 3s (message may not have arrived)\n"},
		{"a signal, no time, and QoS 0", "-l --drain-timeout 0", true, []Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {ping, pong}, {bye, ""}}, 0, 143, ""},
		{"the end of -W, and nothing is due", "-l -q 1 -W 3", false, []Step{{clean4, ok4}, {"32 06 0001 74 0001 78", "40 02 0001"}, {bye, ""}}, 3 * time.Second, 27,
			"mqpub: timed out after 3s (1 message delivered; the rest of the input was not read)\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			over := make(chan struct{})
			defer close(over)
			start := time.Now()
			b := InMemory(t, c.steps)
			done := make(chan Result)
			go func() {
				done <- b.RunWith(ctx, Tool(), &lines{text: "x\n", over: over}, append([]string{"-i", "a", "-V", "311", "-t", "t"}, strings.Fields(c.args)...)...)
			}()
			if synctest.Wait(); c.signal {
				cancel(&cli.SignalError{Signal: syscall.SIGTERM})
			}
			r := <-done
			if took := time.Since(start); r.Code != c.code || r.Stderr != c.says || took != c.took {
				t.Errorf("%s: status %d after %v, stderr %q; want %d after %v, %q", c.it, r.Code, took, r.Stderr, c.code, c.took, c.says)
			}
		})
	}
}

// The exit status of a stream depends first on messages that may be lost, then on those
// refused, then on invalid input. All are counted, and the first is printed.
func TestTheStatusOfAStream(t *testing.T) {
	t.Parallel()
	refused := func(n int) (steps []Step) {
		for i := range n {
			id := fmt.Sprintf("%04x", i+1)
			steps = append(steps, Step{"32 07 0001 74 " + id + " 00 78", "40 03 " + id + " 87"})
		}
		return append(steps, Step{bye5, ""})
	}
	var printed strings.Builder
	for i := range 10 {
		fmt.Fprintf(&printed, "mqpub: message %d: publish refused: not authorized (0x87)\n", i+1)
	}
	record := `{"topic":"t","payload":"x","qos":1}` + "\n"
	for _, c := range []struct {
		it, args, stdin string
		steps           []Step
		code            int
		says            string
	}{
		{"invalid", "--input jsonl", "x\n", []Step{{bye5, ""}}, option.ExitLocalIO, "1 of 1 message not delivered: 1 invalid\n"},
		{"invalid and refused", "--input jsonl", "x\n" + record, refused(1), option.ExitDenied, "2 of 2 messages not delivered: 1 refused, 1 invalid\n"},
		{"invalid, refused and lost", "--input jsonl --no-reconnect", "x\n" + record + record,
			[]Step{{"32 07 0001 74 0001 00 78", "40 03 0001 87"}, {"32 07 0001 74 0002 00 78", "close"}}, option.ExitLost,
			"3 of 3 messages not delivered: 1 refused, 1 invalid, 1 unacknowledged (may have arrived)"},
		{"ten refused", "-t t -l -q 1", strings.Repeat("x\n", 10), refused(10), option.ExitDenied, printed.String() + "mqpub: 10 of 10 messages not delivered: 10 refused\n"},
		{"eleven refused", "-t t -l -q 1", strings.Repeat("x\n", 11), refused(11), option.ExitDenied,
			printed.String() + "mqpub: more errors follow; they are counted, not printed\nmqpub: 11 of 11 messages not delivered: 11 refused\n"},
		{"twelve refused", "-t t -l -q 1", strings.Repeat("x\n", 12), refused(12), option.ExitDenied,
			printed.String() + "mqpub: more errors follow; they are counted, not printed\nmqpub: 12 of 12 messages not delivered: 12 refused\n"},
	} {
		r, _ := virtual(t, strings.NewReader(c.stdin), "-V 5 "+c.args, append([]Step{{stream5, ok5}}, c.steps...))
		if r.Code != c.code || !strings.Contains(r.Stderr, c.says) {
			t.Errorf("%s: status %d, stderr %q; want %d and %q", c.it, r.Code, r.Stderr, c.code, c.says)
		}
	}
}

// Messages that the broker has announced not to accept count as refused, and are not sent.
func TestWhatABrokerDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := virtual(t, strings.NewReader("x\n"), "-V 5 -t t -l -q 1", []Step{{stream5, "20 05 00 00 02 24 00"}, {bye5, ""}}) // Maximum QoS 0
	if r.Code != option.ExitDenied || !strings.HasSuffix(r.Stderr, "mqpub: 1 of 1 message not delivered: 1 refused\n") {
		t.Errorf("status %d, stderr %q; want 5", r.Code, r.Stderr)
	}
}

// A reply carries the correlation data of the request, or none if the topic is private; a
// retained message is not a reply.
func TestWhatIsAReply(t *testing.T) {
	t.Parallel()
	const (
		request  = "30 0d 0001 74 08 09 0001 63 08 0001 72 78" // correlation data c, response topic r
		answer   = "30 09 0001 72 04 09 0001 63 79"
		another  = "30 09 0001 72 04 09 0001 64 7a"
		retained = "31 09 0001 72 04 09 0001 63 7b"
		without  = "30 05 0001 72 00 7c"
		off      = "30 09 0001 71 04 09 0001 63 7d" // on another topic
	)
	subscribe := []Step{{new5, ok5}, {"82 07 0001 00 0001 72 20", "90 04 0001 00 00"}}
	for _, c := range []struct {
		it, command, args, replies string
		took                       time.Duration
		code                       int
		out, says                  string
	}{
		{"the first", "", "", answer + without, 0, 0, "y\n", ""},
		{"the first, by the command", "request ", "", answer + without, 0, 0, "y\n", ""},
		{"the first, by both", "", "--request", answer + without, 0, 0, "y\n", ""},
		{"not that to another", "", "", another + retained + without + off + answer, 0, 0, "y\n", ""},
		{"two", "", "--replies 2", answer + another + answer + answer, 0, 0, "y\ny\n", ""},
		{"none", "", "-W 3", retained + another + off, 3 * time.Second, 27, "",
			"mqpub: no reply within 3s; 1 message without the correlation data of the request filtered out\nmqpub: is a responder subscribed to \"t\"?\n"},
		{"one of two", "", "-W 3 --replies 2", answer, 3 * time.Second, 27, "y\n", "mqpub: timed out after 3s (1 of 2 replies)\nmqpub: is a responder subscribed to \"t\"?\n"},
	} {
		r, took := virtual(t, strings.NewReader(""), c.command+"-V 5 -t t -m x -e r -D publish correlation-data c "+c.args, append(subscribe, Step{request, c.replies}, Step{bye, ""}))
		if r.Code != c.code || r.Stdout != c.out || r.Stderr != c.says || took != c.took {
			t.Errorf("%s: status %d after %v, %q, stderr %q; want %d after %v, %q, %q", c.it, r.Code, took, r.Stdout, r.Stderr, c.code, c.took, c.out, c.says)
		}
	}
	// The subscription has the QoS of the request, and accepts no retained messages.
	r, _ := virtual(t, strings.NewReader(""), "-V 5 -t t -m x -e r -D publish correlation-data c -q 1", []Step{
		{new5, ok5}, {"82 07 0001 00 0001 72 21", "90 04 0001 00 01"}, {"32 0f 0001 74 0002 08 09 0001 63 08 0001 72 78", "40 02 0002" + answer}, {bye, ""}})
	if r.Code != 0 || r.Stdout != "y\n" {
		t.Errorf("at QoS 1: status %d, %q, stderr %q", r.Code, r.Stdout, r.Stderr)
	}
	// The broker sets the prefix of response topics.
	r, _ = virtual(t, strings.NewReader(""), "-V 5 -t t -m x --request", []Step{
		{"10 10 0004 4d515454 05 02 0000 02 19 01 0001 61", "20 07 00 00 04 1a 0001 62"},
		{"82 18 0001 00 0012 622f ...", "90 04 0001 00 00"}, {"30 ...", "close"}})
	if r.Code != option.ExitLost || !strings.Contains(r.Stderr, "lost") {
		t.Errorf("the broker's topic: status %d, stderr %q; want 7", r.Code, r.Stderr)
	}
}

// Standard input has one reader: a second one would consume what is to be published, and
// the run would exit with status 0.
func TestStandardInputHasOneReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says string }{
		{"-s --password-file -", "mqpub: --stdin-file and --password-file cannot be used together\nmqpub: both read standard input\n"},
		{"-l --password-file -", "mqpub: --stdin-line and --password-file cannot be used together\nmqpub: both read standard input\n"},
		{"-f - --password-file -", "mqpub: --file and --password-file cannot be used together\nmqpub: both read standard input\n"},
		{"-l --key-password-file -", "mqpub: --stdin-line and --key-password-file cannot be used together\nmqpub: both read standard input\n"},
	} {
		var errs strings.Builder
		code := cli.Run(t.Context(), cli.Env{
			Args: append(strings.Fields(c.args), "-t", "a", "-u", "u"), Stdin: strings.NewReader("secret"), Stdout: io.Discard, Stderr: &errs,
			Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"}),
		}, Tool())
		if code != option.ExitUsage || errs.String() != c.says {
			t.Errorf("%s: status %d, %q; want %q", c.args, code, errs.String(), c.says)
		}
	}
}
