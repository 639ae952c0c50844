package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/internal/option"
)

// A reader that stays without reading delays the exit after a signal or the time limit only
// for a while.
func TestAReaderThatReadsNothingHoldsNoEndUpForEver(t *testing.T) {
	t.Parallel()
	const pending = "mqsub: standard output is blocked; QoS 1 and 2 messages not written are left unacknowledged\n"
	for _, c := range []struct {
		it       string
		args     []string
		bit      option.ToolSet
		toStderr bool
		later    time.Duration  // the write begins this long after the start
		signal   syscall.Signal // sent 5 seconds after the start; 0: none
		exits    time.Duration  // after the start; 0: it does not exit
		code     int
		says     string
	}{
		{"a signal", nil, option.Sub, false, 0, syscall.SIGTERM, 7 * time.Second, 143, pending},
		{"another signal", nil, option.Pub, false, 0, syscall.SIGHUP, 7 * time.Second, 129, pending},
		{"of mqbench", nil, option.Bench, false, 0, syscall.SIGTERM, 7 * time.Second, 143, "mqsub: standard output is blocked; the rest was not written\n"},
		{"the time limit", []string{"-W", "3"}, option.Sub, false, 0, 0, 5 * time.Second, 27, "mqsub: timed out after 3s (standard output is blocked)\n"},
		{"a signal, and standard error is blocked", nil, option.Sub, true, 0, syscall.SIGQUIT, 7 * time.Second, 131, ""},
		{"the time limit, and standard error is blocked", []string{"-W", "3"}, option.Sub, true, 0, 0, 5 * time.Second, 27, ""},
		{"a signal, and the last write begins behind it", nil, option.Sub, false, 6500 * time.Millisecond, syscall.SIGTERM, 8 * time.Second, 143, pending},
		{"a signal, and the last write begins long behind it", nil, option.Sub, false, 20500 * time.Millisecond, syscall.SIGTERM, 22 * time.Second, 143, pending},
		{"a signal, and the file of --out is blocked", nil, option.Bench, false, 0, syscall.SIGTERM, 7 * time.Second, 143, "mqsub: the file of --out is blocked; the rest was not written\n"},
		{"nothing, and it waits as others do", nil, option.Sub, false, 0, 0, 0, 0, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe() // nothing reads from r
			defer r.Close()
			var stderr bytes.Buffer
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			start, code, after := time.Now(), -1, time.Duration(0)
			env := Env{Args: c.args, Stdout: w, Stderr: &stderr, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
			if c.toStderr {
				env.Stdout, env.Stderr = io.Discard, w
			}
			exited := make(chan struct{})
			env.exit = func(n int) { code, after = n, time.Since(start); close(exited) }
			go Run(ctx, env, Tool{Program: option.Program{Name: "mqsub", Bit: c.bit, MaxArgs: -1}, Run: func(ctx context.Context, inv *Invocation) error {
				if c.bit != option.Bench {
					_, stop := inv.Limit(ctx)
					defer stop()
				}
				time.Sleep(c.later)
				if strings.Contains(c.it, "--out") {
					_, err := io.WriteString(inv.Watched(w), "a line\n")
					return err
				}
				if c.toStderr {
					inv.Errorf("a line")
				}
				_, err := io.WriteString(inv.Stdout, "a line\n")
				return err
			}})
			if c.signal != 0 {
				time.Sleep(5 * time.Second)
				cancel(&SignalError{c.signal})
			}
			select {
			case <-exited:
			case <-time.After(time.Hour):
			}
			if (code == -1) != (c.exits == 0) || after != c.exits || code > 0 && code != c.code || stderr.String() != c.says {
				t.Errorf("%s: status %d after %v, %q; want %d after %v, %q", c.it, code, after, stderr.String(), c.code, c.exits, c.says)
			}
		})
	}
}

// A closed terminal ends a tool as SIGHUP does, whichever of the two is noticed first.
func TestATerminalThatIsClosedIsAHangup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it       string
		err      error
		terminal bool
		code     int
		says     string
	}{
		{"a terminal", syscall.EIO, true, 129, ""},
		{"a disk", syscall.EIO, false, 6, "mqsub: standard output: input/output error\n"},
		{"a terminal with another error", syscall.ENOSPC, true, 6, "mqsub: standard output: no space left on device\n"},
	} {
		var stderr bytes.Buffer
		env := Env{Stdout: failingWriter{c.err}, StdoutIsTerminal: c.terminal, Stderr: &stderr, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
		code := Run(t.Context(), env, Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub}, Run: func(_ context.Context, inv *Invocation) error {
			_, err := io.WriteString(inv.Stdout, "a line\n")
			return OutputError(option.Sub, err)
		}})
		if code != c.code || stderr.String() != c.says {
			t.Errorf("%s: status %d, %q; want %d, %q", c.it, code, stderr.String(), c.code, c.says)
		}
	}
}
