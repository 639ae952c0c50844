package mqpub

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

const (
	clean4 = "10 0d 0004 4d515454 04 02 0000 0001 61"
	kept4  = "10 0d 0004 4d515454 04 00 0000 0001 61"
	clean3 = "10 0f 0006 4d5149736470 03 02 0000 0001 61"
	kept3  = "10 0f 0006 4d5149736470 03 00 0000 0001 61"
	anon4  = "10 0c 0004 4d515454 04 02 0000 0000"
	ok4    = "20 02 00 00"
	again4 = "20 02 01 00"
	bye    = "e0 00"
)

// cleaning is a connection that only ends a session.
func cleaning(connect string) []Step { return []Step{{connect, ok4}, {bye, ""}} }

// A new message must not have a packet identifier that the broker still knows: mqpub
// without a journal starts a new session, even with -c.
func TestAKeptSessionIsNotTakenUpByAPublisher(t *testing.T) {
	t.Parallel()
	qos2 := []Step{{"34 06 0001 74 0001 78", "50 02 0001"}, {"62 02 0001", "70 02 0001"}, {bye, ""}}
	for _, row := range []struct {
		it    string
		args  []string
		conns [][]Step
	}{
		{"in 3.1.1", []string{"-V", "311", "-m", "x", "-q", "2"}, [][]Step{cleaning(clean4), append([]Step{{kept4, ok4}}, qos2...)}},
		{"in 3.1", []string{"-V", "31", "-m", "x", "-q", "2"}, [][]Step{cleaning(clean3), append([]Step{{kept3, ok4}}, qos2...)}},
		{"in 5.0", []string{"-V", "5", "-m", "x", "-q", "2"}, [][]Step{{
			{"10 13 0004 4d515454 05 02 0000 05 11 ffffffff 0001 61", "20 03 00 00 00"},
			{"34 07 0001 74 0001 00 78", "50 02 0001"}, {"62 02 0001", "70 02 0001"}, {bye, ""}}}},
		{"in 5.0 with an expiry", []string{"-V", "5", "-x", "60", "-m", "x", "-q", "1"}, [][]Step{{
			{"10 13 0004 4d515454 05 02 0000 05 11 0000003c 0001 61", "20 03 00 00 00"},
			{"32 07 0001 74 0001 00 78", "40 02 0001"}, {bye, ""}}}},
		{"for a request in 3.1.1", []string{"-V", "311", "-m", "x", "-q", "2", "-e", "r"}, [][]Step{cleaning(clean4), {
			{kept4, ok4}, {"82 06 0001 0001 72 02", "90 03 0001 02"}, {"34 06 0001 74 0002 78", "50 02 0002"},
			{"62 02 0002", "70 02 0002 30 04 0001 72 79"}, {bye, ""}}}},
	} {
		t.Run(row.it, func(t *testing.T) {
			t.Parallel()
			r := Start(t, row.conns...).Run(t.Context(), Tool(), "", append([]string{"-i", "a", "-c", "-t", "t"}, row.args...)...)
			if r.Code != 0 || r.Stderr != "" {
				t.Errorf("status %d, stderr %q", r.Code, r.Stderr)
			}
		})
	}
}

// Before 5.0, a stream at QoS 2 arrives exactly once across the reconnects of mqpub if it
// has a client identifier, and leaves no session behind.
func TestAStreamAtQoS2KeepsItsSessionBefore5(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ version, clean, kept, present string }{{"311", clean4, kept4, again4}, {"31", clean3, kept3, ok4}} {
		t.Run(v.version, func(t *testing.T) {
			t.Parallel()
			r := Start(t, cleaning(v.clean),
				[]Step{{v.kept, ok4}, {"34 06 0001 74 0001 78", "50 02 0001"}, {"62 02 0001", "reset"}},
				[]Step{{v.kept, v.present}, {"62 02 0001", "70 02 0001"}, {bye, ""}},
				cleaning(v.clean),
			).Run(t.Context(), Tool(), "x\n", "-i", "a", "-V", v.version, "-t", "t", "-l", "-q", "2", "--quiet")
			if r.Code != 0 || r.Stderr != "" {
				t.Errorf("status %d, stderr %q", r.Code, r.Stderr)
			}
		})
	}
}

func TestAStreamBefore5ThatNeedsNoSessionMakesOneConnection(t *testing.T) {
	t.Parallel()
	r := Start(t, []Step{{clean4, ok4}, {"32 06 0001 74 0001 78", "40 02 0001"}, {bye, ""}}).
		Run(t.Context(), Tool(), "x\n", "-i", "a", "-V", "311", "-t", "t", "-l", "-q", "1")
	if r.Code != 0 || r.Stderr != "" {
		t.Errorf("QoS 1: status %d, stderr %q", r.Code, r.Stderr)
	}
}

// Without a client identifier, no session is left behind; a warning says when that has
// consequences.
func TestAStreamAtQoS2WithoutANameBefore5SaysWhatMayComeTwice(t *testing.T) {
	t.Parallel()
	const warning = "mqpub: warning: before MQTT 5 there is no session without --id: QoS 2 messages may be delivered twice\n"
	for _, v := range []struct{ version, connect string }{{"311", anon4}, {"auto", ""}} {
		send := []Step{{"34 06 0001 74 0001 78", "50 02 0001"}, {"62 02 0001", "70 02 0001"}, {bye, ""}}
		again := []Step{{"34 06 0001 74 0002 78", "50 02 0002"}, {"62 02 0002", "70 02 0002"}, {bye, ""}}
		connect := v.connect
		var first [][]Step
		if connect == "" { // the generated identifier of 5.0 has no session to end
			first = [][]Step{{{"10 28 0004 4d515454 05 00 0000 05 11 0000012c 0016 6d717075622d ...", "20 03 00 84 00"}}}
			connect = "10 22 0004 4d515454 04 02 0000 0016 6d717075622d ..."
		}
		r := Start(t, append(first, append([]Step{{connect, ok4}}, send...))...).
			Run(t.Context(), Tool(), "x\n", "-V", v.version, "-t", "t", "-l", "-q", "2")
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("-V %s: status %d, stderr %q; want 0 and nothing", v.version, r.Code, r.Stderr)
		}
		r = Start(t, append(first, []Step{{connect, ok4}, {"34 06 0001 74 0001 78", "reset"}}, append([]Step{{connect, ok4}}, again...))...).
			Run(t.Context(), Tool(), "x\n", "-V", v.version, "-t", "t", "-l", "-q", "2")
		if r.Code != 0 || strings.Count(r.Stderr, warning) != 1 {
			t.Errorf("-V %s: status %d, stderr %q; want 0 and %q once", v.version, r.Code, r.Stderr, warning)
		}
	}
}

// The session ends with the run, however that ends; if that may have failed, a warning says
// so.
func TestASessionBefore5EndsWithTheRun(t *testing.T) {
	t.Parallel()
	t.Run("by a refused connection", func(t *testing.T) {
		t.Parallel()
		r := Start(t, cleaning(clean4),
			[]Step{{kept4, ok4}, {"34 06 0001 74 0001 78", "reset"}},
			[]Step{{kept4, "20 02 00 05"}},
			cleaning(clean4),
		).Run(t.Context(), Tool(), "x\n", "-i", "a", "-V", "311", "-t", "t", "-l", "-q", "2", "--quiet", "--retry-for", "0")
		if r.Code != option.ExitRefused {
			t.Errorf("status %d, stderr %q", r.Code, r.Stderr)
		}
	})
	t.Run("by a signal", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		b := Start(t, cleaning(clean4), []Step{{kept4, ok4}, {"34 06 0001 74 0001 78", "50 02 0001"}, {"62 02 0001", "70 02 0001"}, {bye, ""}}, cleaning(clean4))
		r := b.RunWith(ctx, Tool(), &oneLine{cancel: func() { cancel(&cli.SignalError{Signal: syscall.SIGTERM}) }}, "-i", "a", "-V", "311", "-t", "t", "-l", "-q", "2")
		if r.Code != 143 {
			t.Errorf("status %d, stderr %q; want 143", r.Code, r.Stderr)
		}
	})
	t.Run("and the broker is gone", func(t *testing.T) {
		t.Parallel()
		r := Start(t, cleaning(clean4), []Step{{kept4, ok4}, {"34 06 0001 74 0001 78", "reset"}}).
			Run(t.Context(), Tool(), "x\n", "-i", "a", "-V", "311", "-t", "t", "-l", "-q", "2", "--no-reconnect")
		if want := "mqpub: warning: 127.0.0.1:PORT may still have the session of \"a\", until that connects clean: "; r.Code != option.ExitLost || !strings.Contains(r.Stderr, want) {
			t.Errorf("status %d, stderr %q; want %d and %q", r.Code, r.Stderr, option.ExitLost, want)
		}
	})
}

// oneLine is standard input with one line; it calls cancel when more is read.
type oneLine struct {
	read   bool
	cancel func()
}

func (o *oneLine) Read(b []byte) (int, error) {
	if o.read {
		o.cancel()
		return 0, errors.ErrUnsupported
	}
	o.read = true
	return copy(b, "x\n"), nil
}

// The version of the CONNACK decides.
func TestAfterAFallbackTheVersionSpokenDecides(t *testing.T) {
	t.Parallel()
	connect5 := "10 0e 0004 4d515454 05 02 0000 00 0001 61"
	t.Run("an end twice", func(t *testing.T) {
		t.Parallel()
		r := Start(t, []Step{{connect5, "reset"}}, []Step{{connect5, "close"}}, []Step{{clean4, ok4}, {"30 04 0001 74 78", ""}, {bye, ""}}).
			Run(t.Context(), Tool(), "", "-i", "a", "-t", "t", "-m", "x")
		if want := "mqpub: 127.0.0.1:PORT closes connections that speak MQTT 5: using MQTT 3.1.1; -V 311 spares the attempts\n"; r.Code != 0 || r.Stderr != want {
			t.Errorf("status %d, stderr %q; want 0 and %q", r.Code, r.Stderr, want)
		}
	})
	t.Run("an end once", func(t *testing.T) {
		t.Parallel()
		r := Start(t, []Step{{connect5, "reset"}}, []Step{{connect5, "20 03 00 00 00"}, {"30 05 0001 74 00 78", ""}, {bye, ""}}).
			Run(t.Context(), Tool(), "", "-i", "a", "-t", "t", "-m", "x")
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("status %d, stderr %q; want 0 and nothing", r.Code, r.Stderr)
		}
	})
	t.Run("options of 5 are reported", func(t *testing.T) {
		t.Parallel()
		r := Start(t, []Step{{"10 19 0004 4d515454 05 02 0000 0b 11 0000003c 21 0007 22 0005 ...", "20 03 00 84 00"}}, cleaning(clean4),
			[]Step{{kept4, ok4}, {"30 04 0001 74 78", ""}, {bye, ""}}).
			Run(t.Context(), Tool(), "", "-i", "a", "-t", "t", "-m", "x", "-x", "60", "--topic-alias-maximum", "5", "--receive-maximum", "7")
		want := "mqpub: warning: 127.0.0.1:PORT speaks MQTT 3.1.1: --receive-maximum, --topic-alias-maximum have no effect\n" +
			"mqpub: warning: 127.0.0.1:PORT speaks MQTT 3.1.1: the session does not expire, the broker keeps it until \"a\" connects clean\n"
		if r.Code != 0 || r.Stderr != want {
			t.Errorf("status %d, stderr %q; want 0 and %q", r.Code, r.Stderr, want)
		}
	})
	t.Run("at most 20 at QoS 2", func(t *testing.T) {
		t.Parallel()
		steps := []Step{{kept4, ok4}}
		for i := range 20 {
			answer := ""
			if i == 19 { // the 21st comes only after that
				answer = "50 02 0001"
			}
			steps = append(steps, Step{"34 06 0001 74 00" + digits(i+1) + " 78", answer})
		}
		steps = append(steps, Step{"62 02 0001", "70 02 0001"}, Step{"34 06 0001 74 0015 78", ""})
		for i := 1; i < 21; i++ {
			steps = append(steps, Step{"", "50 02 00" + digits(i+1)}, Step{"62 02 00" + digits(i+1), "70 02 00" + digits(i+1)})
		}
		steps = append(steps, Step{bye, ""})
		r := Start(t, []Step{{"10 13 0004 4d515454 05 02 0000 05 11 0000012c 0001 61", "20 02 00 01"}}, cleaning(clean4), steps, cleaning(clean4)).
			Run(t.Context(), Tool(), strings.Repeat("x\n", 21), "-i", "a", "-t", "t", "-l", "-q", "2")
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("status %d, stderr %q; want 0 and nothing", r.Code, r.Stderr)
		}
	})
}

func digits(n int) string { return string("0123456789abcdef"[n>>4]) + string("0123456789abcdef"[n&15]) }

// A version that the user chose is not changed; the error says what to choose instead.
func TestAChosenVersionThatIsRefusedSaysWhatToTry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ version, connect, answer, says string }{
		{"5", "10 0e 0004 4d515454 05 02 0000 00 0001 61", "20 03 00 84 00", "mqpub: try -V 311\n"},
		{"5", "10 0e 0004 4d515454 05 02 0000 00 0001 61", "20 02 00 01", "mqpub: try -V 311\n"},
		{"5", "10 0e 0004 4d515454 05 02 0000 00 0001 61", "close", "mqpub: the broker may not support MQTT 5: try -V 311\n"},
		{"311", clean4, "20 02 00 01", "mqpub: try another -V, or -V auto\n"},
		{"31", clean3, "20 02 00 01", "mqpub: try another -V, or -V auto\n"},
		{"5", "10 0e 0004 4d515454 05 02 0000 00 0001 61", "20 03 01 00 00", "mqpub: pass another --id, or end that session at the broker\n"},
	} {
		answer := []Step{{row.connect, row.answer}}
		if row.answer == "20 03 01 00 00" {
			answer = append(answer, Step{"e0 ...", ""})
		}
		r := Start(t, answer).Run(t.Context(), Tool(), "", "-i", "a", "-t", "t", "-m", "x", "-V", row.version)
		if r.Code == 0 || !strings.HasSuffix(r.Stderr, row.says) {
			t.Errorf("-V %s, answer %s: status %d, stderr %q; want %q", row.version, row.answer, r.Code, r.Stderr, row.says)
		}
	}
}

// The error for a peer that is not a broker depends on its answer, and has a remedy.
func TestAPeerThatIsNoBroker(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ answer, says string }{
		{"494e464f207b7d0d0a", "mqpub: 127.0.0.1:PORT speaks NATS, not MQTT (it answered \"INFO {}\\r\\n\")\nmqpub: use the MQTT port (usually 1883): check -h, -p or -L\n"},
		{"414d515000000901", "mqpub: 127.0.0.1:PORT speaks AMQP, not MQTT (it answered \"AMQP\\x00\\x00\\t\\x01\")\nmqpub: use the MQTT port (usually 1883): check -h, -p or -L\n"},
		{"485454502f312e3120343030", "mqpub: 127.0.0.1:PORT speaks HTTP, not MQTT (it answered \"HTTP/1.1 400\")\nmqpub: use --ws for WebSocket, or the MQTT port (usually 1883)\n"},
		{"1503010002022a", "mqpub: 127.0.0.1:PORT speaks TLS, not MQTT (it answered \"\\x15\\x03\\x01\\x00\\x02\\x02*\")\nmqpub: add --tls or --cafile FILE\n"},
	} {
		r := Start(t, []Step{{"10 ...", row.answer}}).Run(t.Context(), Tool(), "", "-t", "t", "-m", "x")
		if r.Code != 3 || r.Stderr != row.says {
			t.Errorf("a peer that answers %s: status %d, %q; want 3 and %q", row.answer, r.Code, r.Stderr, row.says)
		}
	}
}

// The error for a message that is too large says by how much, and the message is counted.
func TestAMessageThatIsTooLargeSaysItsSize(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-m", "0123456789abcdef"}, {"-l"}} {
		r := Start(t, []Step{{"10 ...", "20 08 00 00 05 27 00000014"}, {"e0 ...", ""}}).Run(t.Context(), Tool(), "0123456789abcdef\n", append(args, "-t", "t", "-q", "1")...)
		says := "a packet of 24 bytes is too large: at most 20 are accepted\n"
		if args[0] == "-l" {
			says += "mqpub: 1 of 1 message not delivered: 1 refused\n"
		}
		if r.Code != option.ExitDenied || !strings.HasSuffix(r.Stderr, says) {
			t.Errorf("%q: status %d, %q; want %q", args, r.Code, r.Stderr, says)
		}
	}
}
