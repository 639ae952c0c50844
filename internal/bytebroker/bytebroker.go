// Package bytebroker plays brokers of hand-written bytes for tests of the tools.
package bytebroker

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// Step is what the broker expects and what it answers, in hexadecimal digits separated by
// blanks. An expectation that ends with "..." is the beginning of a packet; one that ends
// with "+" is a packet that may be repeated and is answered each time. An answer that
// begins with a duration and a colon is delayed by it. The answer "reset" resets the
// connection, "close" closes it cleanly, and "hold" leaves closing it to the tool, whatever
// the tool still sends.
type Step [2]string

// Broker is a running broker.
type Broker struct {
	Port     string
	t        testing.TB
	ln       listener
	dial     func(context.Context) (net.Conn, error) // nil: over the network
	patience time.Duration
	done     chan struct{}
	wrong    chan struct{} // closed when the tool has not done what the steps expect
}

type listener interface {
	Accept() (net.Conn, error)
	Close() error
}

// Start plays the steps, one list per connection, and closes each connection after its last
// step. After the last connection it stops listening.
func Start(t testing.TB, conns ...[]Step) *Broker {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{t: t, ln: ln, patience: 20 * time.Second, done: make(chan struct{}), wrong: make(chan struct{})}
	t.Cleanup(func() {
		_ = ln.Close()
		<-b.done // it fails the test, which must not have ended
	})
	_, b.Port, _ = net.SplitHostPort(ln.Addr().String())
	go b.serve(conns)
	return b
}

// InMemory is Start without a network, for a bubble of testing/synctest.
func InMemory(t testing.TB, conns ...[]Step) *Broker {
	t.Helper()
	network := memtest.New()
	b := &Broker{t: t, Port: "1883", ln: network, dial: network.Dial, patience: 24 * time.Hour, done: make(chan struct{}), wrong: make(chan struct{})}
	go b.serve(conns)
	return b
}

// Wait returns when the steps are played, or when the client has not done its part.
func (b *Broker) Wait() { <-b.done }

func (b *Broker) serve(conns [][]Step) {
	defer close(b.done)
	defer func() { _ = b.ln.Close() }()
	for i, steps := range conns {
		nc, err := b.ln.Accept()
		if err != nil {
			b.t.Errorf("connection %d of %d has not come", i+1, len(conns))
			return
		}
		if !b.play(nc, i+1, steps) {
			close(b.wrong)
			return
		}
	}
}

// play plays the steps of a connection and reports whether the tool did its part.
func (b *Broker) play(nc net.Conn, number int, steps []Step) bool {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(b.patience))
	for i, s := range steps {
		expect, answer := s[0], s[1]
		wait, late, isLate := strings.Cut(answer, ": ")
		if isLate {
			answer = late
		}
		digits, open := strings.CutSuffix(expect, "...")
		want := unhex(b.t, strings.TrimSuffix(digits, "+"))
		got := make([]byte, len(want))
		n, err := io.ReadFull(nc, got)
		for i > 0 && strings.HasSuffix(steps[i-1][0], "+") && err == nil {
			same := unhex(b.t, strings.TrimSuffix(steps[i-1][0], "+"))
			if !bytes.HasPrefix(got, same) || bytes.HasPrefix(want, same) {
				break
			}
			_, _ = nc.Write(unhex(b.t, steps[i-1][1]))
			n = copy(got, got[len(same):])
			var more int
			more, err = io.ReadFull(nc, got[n:])
			n += more
		}
		if err != nil || !bytes.Equal(got, want) {
			b.t.Errorf("connection %d, step %d: the tool sent %x (%v), want %x", number, i+1, got[:n], err, want)
			return false
		}
		if open { // the rest of the packet, which is short
			if len(got) == 1 {
				got = append(got, 0)
				_, _ = io.ReadFull(nc, got[1:])
			}
			_, _ = io.CopyN(io.Discard, nc, int64(got[1])+2-int64(len(got)))
		}
		if isLate {
			d, err := time.ParseDuration(wait)
			if err != nil {
				b.t.Errorf("%q: %v", s[1], err)
			}
			time.Sleep(d)
		}
		switch answer {
		case "hold":
			_, _ = io.Copy(io.Discard, nc)
			return true
		case "reset":
			_ = nc.(interface{ SetLinger(int) error }).SetLinger(0)
			return true
		case "close":
			return true
		}
		if _, err := nc.Write(unhex(b.t, answer)); err != nil {
			b.t.Errorf("connection %d, step %d: %v", number, i+1, err)
			return false
		}
	}
	// The tool closes the connection after its last step.
	if n, err := nc.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		b.t.Errorf("connection %d: the tool goes on (%v) behind the last step", number, err)
		return false
	}
	return true
}

// Result is the result of a run of a tool.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a tool against the broker, without configuration and keep alive, and also waits
// for the broker to end.
func (b *Broker) Run(ctx context.Context, tool cli.Tool, stdin string, args ...string) Result {
	return b.RunWith(ctx, tool, strings.NewReader(stdin), args...)
}

// RunWith is Run with any standard input.
func (b *Broker) RunWith(ctx context.Context, tool cli.Tool, stdin io.Reader, args ...string) Result {
	var out, errs strings.Builder
	args = Before(args, "--config", "none", "-h", "127.0.0.1", "-p", b.Port, "-k", "0", "--reconnect-delay", "0.01")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if b.dial != nil { // or else a tool that looks for a broker that has ended does so forever
		ctx, cancel = context.WithTimeout(ctx, 2*b.patience)
		defer cancel()
	}
	go func() {
		select {
		case <-b.wrong:
			cancel()
		case <-ctx.Done():
		}
	}()
	code := cli.Run(ctx, cli.Env{Args: args, Stdin: stdin, Stdout: &out, Stderr: &errs, Lookup: option.MapEnv(nil), Dial: b.dial}, tool)
	_ = b.ln.Close() // it may wait for connections that do not come
	<-b.done
	return Result{code, out.String(), strings.ReplaceAll(errs.String(), b.Port, "PORT")}
}

// Before inserts options before those of words: after the command, if words begin with one.
func Before(words []string, options ...string) []string {
	at := 0
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		at = 1
	}
	return slices.Insert(slices.Clone(words), at, options...)
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Errorf("%q: %v", s, err)
	}
	return b
}
