package mqpub

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	. "github.com/mqtools/mqtools/internal/bytebroker"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// -W bounds the whole command: the connect, the acknowledgement and the stream.
func TestTheTimeLimitBoundsACommandAsAWhole(t *testing.T) {
	t.Parallel()
	clean := "10 0d 0004 4d515454 04 02 0000 0001 61"
	for _, c := range []struct {
		it    string
		steps []Step
		args  []string
		says  string
	}{
		{"a broker that says nothing", []Step{{clean, "hold"}}, []string{"-m", "x"}, "timed out after 300ms (not connected)"},
		{"a message that is not acknowledged", []Step{{clean, "20 02 00 00"}, {"32 06 0001 74 0001 78", "hold"}}, []string{"-m", "x", "-q", "1"},
			"timed out after 300ms (message not acknowledged: it may have arrived)"},
		{"a stream", []Step{{clean, "20 02 00 00"}, {"32 06 0001 74 0001 78", "hold"}}, []string{"-l", "-q", "1"},
			"timed out after 300ms (1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read)"},
		{"a request", []Step{{clean, "20 02 00 00"}, {"82 06 0001 0001 72 00", "hold"}}, []string{"-m", "x", "-e", "r"},
			"timed out after 300ms (request not acknowledged)"},
		{"a reply", []Step{{clean, "20 02 00 00"}, {"82 06 0001 0001 72 00", "90 03 0001 00"}, {"30 04 0001 74 78", "hold"}}, []string{"-m", "x", "-e", "r"},
			"no reply within 300ms"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			lines, w := io.Pipe() // it does not end
			go func() { _, _ = io.WriteString(w, "x\n") }()
			defer w.Close()
			args := append([]string{"-i", "a", "-V", "311", "-t", "t", "-W", "0.3", "--reconnect-delay", "10"}, c.args...)
			r := Start(t, c.steps).RunWith(t.Context(), Tool(), lines, args...)
			if r.Code != option.ExitTimeLimit || !strings.Contains(r.Stderr, "mqpub: "+c.says+"\n") {
				t.Errorf("status %d, stderr %q; want 27 and %q", r.Code, r.Stderr, c.says)
			}
		})
	}
}

// A refusal has the same status and text at any time, and a broker that has accepted a
// client may do so again.
func TestARefusedReconnect(t *testing.T) {
	t.Parallel()
	clean, accepted, refused := "10 0d 0004 4d515454 04 02 0000 0001 61", "20 02 00 00", "20 02 00 05"
	message := "32 06 0001 74 0001 78"
	args := []string{"-i", "a", "-V", "311", "-t", "t", "-q", "1", "--reconnect-delay", "10ms", "-W", "20"}
	const says = "127.0.0.1:PORT refused the connection: not authorized (0x87)\nmqpub: check --username and --password-file, and the broker's access rules\n"

	r := Start(t, []Step{{clean, refused}}).Run(t.Context(), Tool(), "x\n", append(args, "-l")...)
	if r.Code != option.ExitRefused || !strings.HasSuffix(r.Stderr, says) {
		t.Errorf("at first: status %d, stderr %q", r.Code, r.Stderr)
	}
	for _, mode := range [][]string{{"-l"}, {"-m", "x", "--retry"}} {
		r = Start(t, []Step{{clean, accepted}, {message, "reset"}}, []Step{{clean, refused}}, []Step{{clean, refused}},
			[]Step{{clean, accepted}, {"32 06 0001 74 0002 78", "40 02 0002"}, {"e0 00", ""}}).Run(t.Context(), Tool(), "x\n", append(args, mode...)...)
		if r.Code != 0 || strings.Count(r.Stderr, "not authorized (0x87); retrying in ") != 2 {
			t.Errorf("%s, for a while: status %d, stderr %q", mode, r.Code, r.Stderr)
		}
	}
	r = Start(t, []Step{{clean, accepted}, {message, "reset"}}, []Step{{clean, refused}}).Run(t.Context(), Tool(), "x\n", append(args, "-l", "--retry-for", "0")...)
	if r.Code != option.ExitRefused || !strings.HasSuffix(r.Stderr, says) || !strings.Contains(r.Stderr, "1 of 1 message not delivered: 1 unacknowledged") {
		t.Errorf("for longer than --retry-for: status %d, stderr %q", r.Code, r.Stderr)
	}
}

// Passwords that may have expired are obtained again; if that fails, the old one is used.
func TestALaterConnectionHasANewPassword(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/n"
	command := "n=$(cat " + file + " 2>/dev/null); echo x$n >> " + file + `; [ "$n" != x ] || exit 1; printf pw%d ${#n}`
	connect := func(password string) string { return "10 15 0004 4d515454 04 c2 0000 0001 61 0001 75 0003 " + password }
	first, third := "707730", "707734"
	r := Start(t,
		[]Step{{connect(first), "20 02 00 00"}, {"32 06 0001 74 0001 78", "reset"}},
		[]Step{{connect(first), "20 02 00 03"}}, // the command failed
		[]Step{{connect(third), "20 02 00 00"}, {"32 06 0001 74 0002 78", "40 02 0002"}, {"e0 00", ""}},
	).Run(t.Context(), Tool(), "x\n", "-i", "a", "-V", "311", "-t", "t", "-q", "1", "-l", "--reconnect-delay", "10ms", "-W", "20", "-u", "u", "--password-command", command)
	if want := "--password-command: exit status 1; using the password that it printed before"; r.Code != 0 || strings.Count(r.Stderr, want) != 1 {
		t.Errorf("status %d, stderr %q; want 0 and once %q", r.Code, r.Stderr, want)
	}
}

// A signal reports immediately what is waited for, and a second one stops the wait;
// undelivered messages are counted in either case.
func TestASignalSaysWhatItWaitsForAndWhatWasNotDelivered(t *testing.T) {
	t.Parallel()
	clean := "10 0d 0004 4d515454 04 02 0000 0001 61"
	ctx, cancel := context.WithCancelCause(t.Context())
	b := Start(t, []Step{{clean, "20 02 00 00"}, {"32 06 0001 74 0001 78", "hold"}})
	r := b.RunWith(ctx, Tool(), &oneLine{cancel: func() { cancel(&cli.SignalError{Signal: syscall.SIGTERM}) }},
		"-i", "a", "-V", "311", "-t", "t", "-l", "-q", "1", "--drain-timeout", "200ms")
	for _, says := range []string{
		"mqpub: waiting up to 200ms for 1 message to be acknowledged; another signal exits at once\n",
		"mqpub: terminated: 1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read\n",
	} {
		if !strings.Contains(r.Stderr, says) {
			t.Errorf("stderr %q, want %q", r.Stderr, says)
		}
	}
	if r.Code != 143 {
		t.Errorf("status %d, want 143", r.Code)
	}
}
