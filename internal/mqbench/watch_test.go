package mqbench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// words splits a command line.
func words(s string) []string { return strings.Fields(s) }

// short1s is the command line of a run of about a second.
const short1s = "pubsub --serve 127.0.0.1:0 --clients 4 --rate 400 -q 1 --duration 1100ms "

// strictly decodes a line, and fails if it has a member that the type lacks.
func strictly(t *testing.T, line string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	out, stderr, code := mqbench(t, words(short1s+"--json --quiet")...).parts()
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var phases []string
	var sent, delivered, latencies int64
	at := map[result.Phase]int64{}
	for _, line := range lines[:len(lines)-1] {
		var head struct{ Type string }
		if err := json.Unmarshal([]byte(line), &head); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		switch head.Type {
		case "note":
			var n noteObject
			strictly(t, line, &n)
			if n.Kind == result.NotePhase {
				phases = append(phases, n.Text)
			}
		case "interval":
			var i intervalObject
			strictly(t, line, &i)
			if i.Clients != 8 || i.T < i.Length || i.Length < 0 || i.Latencies == nil || i.Errors == nil || i.Gauges == nil {
				t.Errorf("odd interval %s", line)
			}
			if got, want := i.Rates.Sent*i.Length.Seconds(), float64(i.Counters["sent"]); i.Length > 0 && (got < want-0.01 || got > want+0.01) {
				t.Errorf("rate of %v messages, %v were sent", got, want)
			}
			at[i.Phase]++
			sent += i.Counters["sent"]
			delivered += i.Counters["distinct"]
			for _, l := range i.Latencies {
				if l.Op == "delivery" && l.Kind == "response" {
					latencies += l.Count
				}
				if l.Count > 0 && l.Max == 0 || l.P99 != nil && (*l.P99 > l.Max || *l.P50 > *l.P99) || l.Count < 20 && l.P50 != nil || l.Count >= 20 && l.P50 == nil {
					t.Errorf("odd latency %+v", l)
				}
			}
		default:
			t.Errorf("a line of type %q", head.Type)
		}
	}
	if want := []string{"connect", "settle", "warm-up", "measure", "drain"}; !slices.Equal(phases, want) {
		t.Errorf("phases: got %q, want %q", phases, want)
	}
	if at[result.PhaseMeasure] < 1 || at[result.PhaseConnect] < 1 {
		t.Errorf("intervals: got %v", at)
	}
	last := lines[len(lines)-1]
	doc := reportObject{Document: new(report.Document)}
	strictly(t, last, &doc)
	if doc.Type != "report" || doc.Plan.Name != "pubsub" || doc.Total.Sent != sent || doc.Total.Received != delivered || latencies != delivered || sent < 400 {
		t.Errorf("the report has %d sent and %d received, the lines %d and %d with %d latencies", doc.Total.Sent, doc.Total.Received, sent, delivered, latencies)
	}
}

// TestJSONOfShortPayloads checks that deliveries are counted even without a header.
func TestJSONOfShortPayloads(t *testing.T) {
	t.Parallel()
	out, stderr, code := mqbench(t, words(short1s+"--size 4 --json --quiet")...).parts()
	if code != 0 {
		t.Fatalf("code %d, stderr %q", code, stderr)
	}
	var got, want float64
	for line := range strings.Lines(out) {
		var o struct {
			intervalObject
			Total report.Flow
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		got += o.Rates.Delivered * o.Length.Seconds()
		want += float64(o.Total.Received)
	}
	if want < 400 || math.Abs(got-want) > 0.01*want {
		t.Errorf("the intervals have %.1f deliveries, the report has %.0f", got, want)
	}
}

func TestJSONHasTheErrorThatEndsTheRun(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close() // there is no listener any more
	out, _, code := mqbench(t, "pub", "--json", "-h", "127.0.0.1", "-p", fmt.Sprint(addr.Port)).parts()
	var o errorObject
	strictly(t, out, &o)
	if code != option.ExitUnreached || o.Type != "error" || o.ExitCode != code || !strings.Contains(o.Text, "connection refused") {
		t.Errorf("code %d, stdout %s", code, out)
	}
}

func TestJSONHasTheErrorBeforeTheRun(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing", "result.jsonl")
	for _, c := range []struct {
		option, value, says string
		code                int
	}{
		{"--out", missing, missing, option.ExitFailure},
		{"--fail-on", "nonsense", `--fail-on: invalid condition "nonsense" (e.g. p99<10ms)`, option.ExitUsage},
	} {
		out, stderr, code := mqbench(t, append(words(short1s), "--json", c.option, c.value)...).parts()
		var o errorObject
		strictly(t, out, &o)
		if code != c.code || o.Type != "error" || o.ExitCode != code || !strings.Contains(o.Text, c.says) || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: code %d, stdout %s, stderr %s", c.option, code, out, stderr)
		}
	}
}

// brokenPipe fails from the second write on.
type brokenPipe struct{ n int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.n++; b.n > 1 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

func TestJSONWithoutReaderEndsTheRun(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	out := &brokenPipe{}
	env := cli.Env{Args: words("pubsub --serve 127.0.0.1:0 --clients 2 --duration 1h --json"), Stdin: strings.NewReader(""), Stdout: out, Stderr: &stderr, Lookup: option.MapEnv(nil)}
	code := cli.Run(t.Context(), env, Tool())
	if code != option.ExitPipe || strings.Contains(stderr.String(), "standard output") || out.n != 2 {
		t.Errorf("code %d after %d writes, stderr %q", code, out.n, stderr.String())
	}
}

func TestMetricsOfARunAndTheirHold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, stderr := io.Pipe()
	var stdout bytes.Buffer
	done := make(chan int)
	go func() {
		env := cli.Env{Args: words(short1s + "--repeat 2 --metrics 0 --hold 1h --format json"), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: stderr, Lookup: option.MapEnv(nil)}
		code := cli.Run(ctx, env, Tool())
		stderr.Close()
		done <- code
	}()
	url := ""
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "holding the metrics") {
		if _, after, ok := strings.Cut(lines.Text(), "metrics on "); ok {
			url = after
		}
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("code %d", code)
	}
	sent := 0.0
	for _, m := range families["mqbench_sent_total"].GetMetric() {
		sent += m.GetCounter().GetValue()
	}
	deliveries := uint64(0)
	for _, m := range families["mqbench_latency_seconds"].GetMetric() {
		labels := fmt.Sprint(m.GetLabel())
		if strings.Contains(labels, `"delivery"`) && strings.Contains(labels, `"response"`) {
			deliveries += m.GetHistogram().GetSampleCount()
		}
	}
	var want, received int64
	var docs []report.Document
	if err := json.Unmarshal(stdout.Bytes(), &docs); err != nil || len(docs) != 2 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	for _, doc := range docs {
		want += doc.Total.Sent
		received += doc.Total.Received
	}
	if sent != float64(want) || want < 800 || deliveries != uint64(received) {
		t.Errorf("metrics: %v sent and %d deliveries; reports: %d and %d", sent, deliveries, want, received)
	}
	if client.CloseIdleConnections(); families["mqbench_phase"] == nil {
		t.Error("no phases")
	}
	if _, err := client.Get(url); err == nil {
		t.Error("the endpoint outlives the run")
	}
}

// TestRefusals checks refusals before any connection, and their text.
func TestRefusals(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	broker, err := net.Listen("tcp", "127.0.0.1:0") // no connection may be made to it
	if err != nil {
		t.Fatal(err)
	}
	var connects atomic.Int32
	go func() {
		for {
			conn, err := broker.Accept()
			if err != nil {
				return
			}
			connects.Add(1)
			conn.Close()
		}
	}()
	defer broker.Close()
	closed := filepath.Join(t.TempDir(), "closed.yaml")
	if err := os.WriteFile(closed, []byte("name: closed\ngroups: {a: {clients: 1, publish: {topic: a, pace: unlimited}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, says string }{
		{"pub --metrics " + taken.Addr().String(), "--metrics: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"pub --metrics nonsense", "--metrics: listen tcp: lookup tcp/nonsense: unknown port"},
		{"pub --metrics a:b:c", `--metrics: "a:b:c" is not PORT or HOST:PORT`},
		{"pub -m x --size 64", "--message and --size cannot be used together"},
		{"pub --hold 1s", "--hold needs --metrics"},
		{"pub --json --format csv", "--json and --format cannot be used together"},
		{"pub --json --out -", "--json and --out - cannot be used together"},
		{"search", "no preset or scenario given"},
		{"search conn", "conn publishes nothing: there is no rate to search"},
		{"search sub", "sub publishes nothing: there is no rate to search"},
		{"search pub --rate unlimited", "pub has no rate to search"},
		{"search " + closed, "closed has no rate to search"},
		{"search pub --slo p99", `--slo: invalid condition "p99" (e.g. p99<10ms)`},
		{"search pub --slo p98.x<1ms", `--slo: invalid condition "p98.x<1ms" (unknown metric "p98.x"`},
		{"search pub --load 2", "--load has no effect on search"},
		{"search pub --from-load 0", `--from-load: invalid value "0" (want a number above 0)`},
		{"search pub --precision 0", `--precision: invalid value "0" (want a number from 0.001 to 1)`},
		{"search pub --precision 2", `--precision: invalid value "2" (want a number from 0.001 to 1)`},
		{"search pub --precision NaN", `--precision: invalid value "NaN" (want a number from 0.001 to 1)`},
		{"search pub --format junit", `--format: invalid value "junit" (want text, json or csv for search)`},
		{"search pub --out -", "--out: standard output has the report"},
		{"search pub --json", "--json has no effect on search"},
		{"search pub --fail-on p99>1ms", "--fail-on has no effect on search"},
		{"search pub --metrics " + taken.Addr().String(), "address already in use"},
	} {
		args := words(c.args)
		out, stderr, code := mqbench(t, append(args, "-h", "127.0.0.1", "-p", fmt.Sprint(broker.Addr().(*net.TCPAddr).Port))...).parts()
		if code != option.ExitUsage || !strings.Contains(stderr, c.says) || out != "" {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want %q", c.args, code, out, stderr, c.says)
		}
	}
	if n := connects.Load(); n > 0 {
		t.Errorf("refused runs have connected %d times", n)
	}
}
