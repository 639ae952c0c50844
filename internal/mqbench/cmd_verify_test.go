package mqbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// verifying runs mqbench verify.
func verifying(t *testing.T, line string) (out, talk string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := cli.Env{Args: append([]string{"verify"}, strings.Fields(line)...), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
	code = cli.Run(t.Context(), env, Tool())
	return stdout.String(), stderr.String(), code
}

func TestVerifyPassesABrokerThatKeepsTheRules(t *testing.T) {
	t.Parallel()
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 3 --rate 300 --duration 1500ms --seed 5 --json -q 2")
	var v bench.Verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v: %q", err, out)
	}
	if code != option.ExitDone || !v.OK() || v.QoS != 2 || v.Sent == 0 || v.Received != v.Sent || len(v.Faults) == 0 {
		t.Errorf("status %d, %+v\n%s", code, v, talk)
	}
	if !strings.Contains(talk, "seed 5") || !strings.Contains(talk, "cut") {
		t.Errorf("it does not print the seed and the faults:\n%s", talk)
	}
}

// report and plot work on the results of verify as on those of run, and merge does not take
// the runs of several shapes and QoS for parts of one.
func TestVerifyWritesResults(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "verify.jsonl")
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 3 --rate 300 --duration 1s --shapes fan-in,fan-out,shared -q 1 --faults none --out "+path)
	if code != option.ExitDone || !strings.Contains(out, "ok   QoS 1, fan-in: 300 sent") || !strings.Contains(out, "ok   QoS 1, shared: ") {
		t.Fatalf("status %d:\n%s%s", code, out, talk)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	results, err := result.Read(f, path)
	if err != nil || len(results) != 3 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, want := range []struct {
		name     string
		distinct int64
	}{{"verify-fan-in-qos1", 300}, {"verify-fan-out-qos1", 900}, {"verify-shared-qos1", 300}} {
		r := results[i]
		n := r.Sum().Counters[result.CounterKey{Name: result.Distinct.String(), Group: "sub", QoS: 1}]
		if r.Run.Plan.Name != want.name || n != want.distinct || r.Partial() != "" || !slices.Contains(r.Shards[0].Command, "verify") {
			t.Errorf("%s, %d distinct, %q, %+v; want %+v", r.Run.Plan.Name, n, r.Partial(), r.Shards, want)
		}
	}
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"report":        {option.ExitDone, "verify-fan-in-qos1"},
		"merge --out -": {option.ExitUsage, "are of different plans: verify-fan-in-qos1"},
	} {
		var stdout, stderr bytes.Buffer
		env := cli.Env{Args: append(strings.Fields(line), path), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Lookup: option.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
		if code := cli.Run(t.Context(), env, Tool()); code != want.code || !strings.Contains(stdout.String()+stderr.String(), want.text) {
			t.Errorf("%s: status %d:\n%s%s", line, code, stdout.String(), stderr.String())
		}
	}
}

// With --out -, the result goes to standard output and the verdict to standard error.
func TestVerifyToStandardOutput(t *testing.T) {
	t.Parallel()
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 2 --rate 100 --duration 500ms -q 2 --faults none --username u --pw s3cret --out -")
	results, err := result.Read(strings.NewReader(out), "out")
	if code != option.ExitDone || err != nil || len(results) != 1 || !strings.Contains(talk, "ok   QoS 2: 50 sent") {
		t.Errorf("status %d, %d results, %v:\n%s", code, len(results), err, talk)
	}
	if strings.Contains(out, "s3cret") {
		t.Error("the password is in the result")
	}
}

func TestVerifyEndsWithStatus5(t *testing.T) {
	t.Parallel()
	b := badbroker.Start(t, badbroker.Flaws{Duplicate: 20})
	out, _, code := verifying(t, fmt.Sprintf("-h 127.0.0.1 -p %d --clients 2 --rate 200 --duration 1s --faults none", b.Addr().Port))
	if code != option.ExitLoss {
		t.Errorf("status %d", code)
	}
	for _, want := range []string{"FAIL QoS 0: ", "ok   QoS 1: ", "FAIL QoS 2: ", "VIOLATION: 10 received twice: QoS 2 is exactly once"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestVerifyAfterARestartReportsWhatItDoesNotCheck(t *testing.T) {
	t.Parallel()
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 3 --rate 300 --duration 6s --seed 240 --faults restart -q 1")
	if code != option.ExitDone || !strings.Contains(out, "reported, but are not violations") || !strings.Contains(talk, "broker restarted") {
		t.Errorf("status %d:\n%s%s", code, out, talk)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--size 15":                     "too small for the header",
		"--shapes pairs,star":           `--shapes: invalid value "star" (want pairs, fan-in, fan-out or shared)`,
		"--shapes shared -V 3.1.1":      "before MQTT 5",
		"--faults cut,melt":             `--faults: invalid value "melt" (want delay, stall, split, cut, refuse, restart or none)`,
		"--faults restart -h 127.0.0.1": "only the broker of --serve",
		"--rate fast -h 127.0.0.1":      `"fast"`,
	} {
		if _, talk, code := verifying(t, line); code != option.ExitUsage || !strings.Contains(talk, want) {
			t.Errorf("%s: status %d: %s", line, code, talk)
		}
	}
	if _, talk, code := verifying(t, "-h 127.0.0.1 -p 1"); code != option.ExitUnreached {
		t.Errorf("status %d: %s", code, talk)
	}
}

// TestListsAddUp checks that repeated values neither replace others nor run twice.
func TestListsAddUp(t *testing.T) {
	t.Parallel()
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 2 --shapes pairs --shapes fan-in,pairs --faults none --duration 0.2 -q 0")
	if code != option.ExitDone || strings.Count(out, "ok ") != 2 || strings.Count(out, "fan-in") != 1 {
		t.Errorf("status %d, %s%s", code, out, talk)
	}
	out, talk, code = verifying(t, "--serve 127.0.0.1:0 --clients 2 --seed 5 --faults split --faults delay --duration 2 -q 0")
	if code != option.ExitDone || !strings.Contains(out, " delay") || !strings.Contains(out, " split") {
		t.Errorf("status %d, %s%s", code, out, talk)
	}
}
