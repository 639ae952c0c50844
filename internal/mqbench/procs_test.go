package mqbench

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// counted sends 60 messages to one subscriber each.
const counted = `
name: counted
phases: {connect: {rate: 1000/s, timeout: 5s}, settle: 0s, measure: 0s, drain: 10s}
groups:
  subs: {clients: 6, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 6, publish: {topic: t/%i, qos: 1, payload: 32, rate: 100/s, messages: 60}}
`

// startBroker starts a broker and returns the options that lead to it.
func startBroker(t *testing.T, o broker.Options) []string {
	t.Helper()
	_, addr := brokertest.StartWith(t, o)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"-h", host, "-p", port}
}

// readOne reads the only result of a file.
func readOne(t *testing.T, path string) *result.Result {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := result.Read(f, path)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %d results, %v", path, len(all), err)
	}
	return all[0]
}

// total returns a counter of the whole run.
func total(r *result.Result, c result.Counter) int64 { return r.Sum().Totals().Of(c) }

func TestProcessesDoTheWholePlan(t *testing.T) {
	t.Parallel()
	at := startBroker(t, broker.Options{})
	out := filepath.Join(t.TempDir(), "run.jsonl")
	r := mqbench(t, append([]string{"run", file(t, "counted.yaml", counted), "--procs", "3", "--out", out, "--fail-on", "loss>0"}, at...)...)
	if r.code != 0 || !strings.Contains(r.out, "3 of 3 shards") || !strings.Contains(r.err, "12/12 up") {
		t.Fatalf("status %d, stderr %q, stdout\n%s", r.code, r.err, r.out)
	}
	res := readOne(t, out)
	if len(res.Shards) != 3 || res.Partial() != "" {
		t.Errorf("%d shards, %q", len(res.Shards), res.Partial())
	}
	for c, want := range map[result.Counter]int64{result.Sent: 60, result.Acked: 60, result.Distinct: 60, result.Expected: 60, result.Connects: 12, result.Subscribes: 6} {
		if got := total(res, c); got != want {
			t.Errorf("%s: %d, want %d", c, got, want)
		}
	}
	for _, s := range res.Shards {
		if s.Engine == "" || !strings.Contains(strings.Join(s.Command, " "), "--shard=") {
			t.Errorf("shard %d: engine %q, command %q", s.Shard, s.Engine, s.Command)
		}
	}
}

// A signal to the parent ends the children, and their results are reported.
func TestSignalEndsAllProcesses(t *testing.T) {
	t.Parallel()
	connected := make(chan struct{}, 100)
	at := startBroker(t, broker.Options{Log: func(e broker.Event) {
		if e.Kind == broker.EventConnected {
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	var out, errs strings.Builder
	done := make(chan int)
	go func() {
		done <- cli.Run(ctx, cli.Env{Args: append([]string{"conn", "--clients", "4", "--procs", "2", "--duration", "1h"}, at...),
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}, Tool())
	}()
	for range 6 { // two probe the broker's version
		<-connected
	}
	cancel(&cli.SignalError{Signal: syscall.SIGTERM})
	if code := <-done; code != option.ExitTerminated || !strings.Contains(out.String(), "PARTIAL") {
		t.Errorf("status %d, stderr %q, stdout\n%s", code, errs.String(), out.String())
	}
}

// A child that has lost its parent ends without being asked.
func TestAChildEndsWhenItsResultHasNoReader(t *testing.T) {
	t.Parallel()
	at := startBroker(t, broker.Options{})
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(exe, append([]string{exe, "conn", "--clients", "1", "--duration", "1h", "--out", "-", "--quiet"}, at...),
		&os.ProcAttr{Env: append(os.Environ(), "MQ_CONFIG=none"), Files: []*os.File{nil, write, nil}})
	if err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if _, err := read.Read(make([]byte, 1)); err != nil { // its header
		t.Error(err)
	}
	_ = read.Close()
	state, err := p.Wait()
	if err != nil || state.ExitCode() != option.ExitPipe && state.String() != "signal: broken pipe" {
		t.Errorf("%v, %v", state, err)
	}
}

// The first child that fails ends the run, with its message and status.
func TestFailureOfAProcess(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nothing accepts
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	r := mqbench(t, "conn", "--clients", "4", "--procs", "2", "-h", "127.0.0.1", "-p", port)
	if r.code != option.ExitUnreached || r.out != "" || !strings.Contains(r.err, "mqbench: the process of shard ") || !strings.Contains(r.err, "connection refused") {
		t.Errorf("status %d, stdout %q, stderr %q", r.code, r.out, r.err)
	}
}

func TestRunsThatCannotBeDivided(t *testing.T) {
	t.Parallel()
	refused(t, "--serve: a run of several processes needs a broker outside of them", "conn", "--procs", "2", "--serve=127.0.0.1:0")
	refused(t, "--source-ip: 1 addresses for 2 processes", "conn", "--procs", "2", "--source-ip", "127.0.0.2")
	refused(t, "--procs: there are not enough clients for 2 processes", "conn", "--clients", "1", "--procs", "2")
	refused(t, "--start-at: invalid time \"2020-01-01T00:00:00Z\" (it has passed)", "conn", "--procs", "2", "--start-at", "2020-01-01T00:00:00Z")
}

func TestLastWords(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"":                           "",
		"mqbench: it broke\n":        "it broke",
		"a\nb\nmqbench: c\nd\n":      "b; c; d",
		"panic: x\n\ngoroutine 1:\n": "panic: x; ; goroutine 1:",
	} {
		if got := lastWords(said, "mqbench"); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// A process that reports why no client could connect is not ended before it has printed
// that, and its status is that of the whole run. A result of another run does no harm.
func TestWhyNoProcessCouldConnect(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 1000))
			_ = nc.Close() // before CONNACK
		}
	}()
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = away.Close()
	old := file(t, "old.mqb", "an older result")
	for _, c := range []struct {
		addr, says string
		out        string
	}{
		{ln.Addr().String(), "no client could connect: " + ln.Addr().String() + " closed the connection before CONNACK", ""},
		{away.Addr().String(), "cannot connect to " + away.Addr().String() + ": connection refused", filepath.Join(t.TempDir(), "new.mqb")},
		{away.Addr().String(), "cannot connect to " + away.Addr().String() + ": connection refused", old},
	} {
		args := []string{"conn", "--clients", "2", "--procs", "2", "-h", c.addr}
		if c.out != "" {
			args = append(args, "--out", c.out)
		}
		if r := mqbench(t, args...); r.code != option.ExitUnreached || !strings.Contains(r.err, "the process of shard ") || !strings.Contains(r.err, c.says) {
			t.Errorf("status %d, %q; want 3 and %q", r.code, r.err, c.says)
		}
		if b, err := os.ReadFile(c.out); c.out == old && string(b) != "an older result" || c.out != old && err == nil {
			t.Errorf("%q is left in %s", b, c.out)
		}
	}
}
