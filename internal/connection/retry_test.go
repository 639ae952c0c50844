package connection

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// A broker that has accepted a client and refuses it now may do so for --retry-for, which
// counts from the first refusal in a row, and with --retry forever.
func TestRetryForCountsFromTheFirstRefusalInARow(t *testing.T) {
	t.Parallel()
	refused := &mqtt.Error{Op: "connect", Reason: packet.NotAuthorized}
	ended := &mqtt.Error{Op: "connection", Reason: packet.SessionTakenOver} // after it was accepted
	expired := &mqtt.Error{Op: "connection", Reason: packet.NotAuthorized}
	stays := errors.New("stays for 10 s") // the connection is up for 10 s
	passing := errors.New("connection refused")
	for _, c := range []struct {
		it     string
		args   []string
		errs   []error // one each second
		passes int     // number of retries
	}{
		{"refused", []string{"--retry-for", "3"}, []error{refused, refused, refused, refused, refused}, 3},
		{"refused, with a time of 0", []string{"--retry-for", "0"}, []error{refused}, 0},
		{"refused, for ever", []string{"--retry-for", "3", "--retry"}, []error{refused, refused, refused, refused, refused, refused}, 6},
		{"not reached", []string{"--retry-for", "3"}, []error{passing, passing, passing, passing, passing, passing}, 6},
		{"not reached in between", []string{"--retry-for", "3"}, []error{refused, refused, passing, refused, refused, refused, refused}, 6},
		{"let in, and its password expires", []string{"--retry-for", "3"}, []error{expired, stays, expired, stays, expired}, 5},
		{"let in, and thrown out at once", []string{"--retry-for", "3"}, []error{expired, expired, expired, expired, expired, expired}, 3},
		{"let in, and refused as its password has expired", []string{"--retry-for", "3"}, []error{expired, refused, refused, refused, refused}, 3},
		{"let in between", []string{"--retry-for", "3"}, []error{refused, refused, ended, refused, refused, refused, refused}, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			var stderr bytes.Buffer
			cli.Run(t.Context(), cli.Env{Args: c.args, Stderr: &stderr, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}, cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub, MaxArgs: -1},
				Run: func(_ context.Context, inv *cli.Invocation) error {
					policy := (&Connection{inv: inv}).retrying(func(int, error) (time.Duration, bool) { return time.Second, true })
					passes := 0
					for i, err := range c.errs {
						if err == stays {
							passes++
							time.Sleep(10 * time.Second)
							continue
						}
						wait, again := policy(i+1, err)
						if !again {
							break
						}
						passes++
						time.Sleep(wait)
					}
					if passes != c.passes {
						t.Errorf("%s: retried %d times, want %d", c.it, passes, c.passes)
					}
					return nil
				}})
			if stderr.Len() > 0 {
				t.Errorf("%s: %s", c.it, &stderr)
			}
		})
	}
}

// lateContext is past its deadline but not done yet.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// The network may notice the deadline first, which is not the broker's fault.
func TestAnErrorAtTheTimeLimitIsThatOfTheTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }
		var stderr bytes.Buffer
		cli.Run(t.Context(), cli.Env{Stderr: &stderr, Dial: dial, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}, cli.Tool{Program: option.Program{Name: "mqsub", Bit: option.Sub},
			Run: func(ctx context.Context, inv *cli.Invocation) error {
				conn, err := New(ctx, inv)
				if err != nil {
					return err
				}
				limited, cancel := context.WithTimeoutCause(ctx, time.Second, cli.ErrTimeout)
				defer cancel()
				if _, err := conn.Connect(lateContext{limited, time.Now()}, false); err != cli.ErrTimeout {
					t.Errorf("got %v, want %v", err, cli.ErrTimeout)
				}
				return nil
			}})
	})
}
