package mqbench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/cli"
)

// verifying runs mqbench verify.
func verifying(t *testing.T, line string) (out, talk string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := cli.Env{Args: append([]string{"verify"}, strings.Fields(line)...), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Lookup: cli.MapEnv(map[string]string{"MQ_CONFIG": "none"})}
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
	if code != cli.ExitDone || !v.OK() || v.QoS != 2 || v.Sent == 0 || v.Received != v.Sent || len(v.Faults) == 0 {
		t.Errorf("status %d, %+v\n%s", code, v, talk)
	}
	if !strings.Contains(talk, "seed 5") || !strings.Contains(talk, "cut") {
		t.Errorf("it does not tell the seed and the faults:\n%s", talk)
	}
}

func TestVerifyEndsWithStatus5(t *testing.T) {
	t.Parallel()
	b := badbroker.Start(t, badbroker.Flaws{Duplicate: 20})
	out, _, code := verifying(t, fmt.Sprintf("-h 127.0.0.1 -p %d --clients 2 --rate 200 --duration 1s --faults none", b.Addr().Port))
	if code != cli.ExitLoss {
		t.Errorf("status %d", code)
	}
	for _, want := range []string{"FAIL QoS 0: ", "ok   QoS 1: ", "FAIL QoS 2: ", "VIOLATION: 10 received twice: QoS 2 is exactly once"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestVerifyAfterARestartTellsWhatItDoesNotJudge(t *testing.T) {
	t.Parallel()
	out, talk, code := verifying(t, "--serve 127.0.0.1:0 --clients 3 --rate 300 --duration 6s --faults restart -q 1")
	if code != cli.ExitDone || !strings.Contains(out, "told, not judged") || !strings.Contains(talk, "broker restarted") {
		t.Errorf("status %d:\n%s%s", code, out, talk)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--size 15":                     "no room for the header",
		"--faults cut,melt":             `"melt" is none of`,
		"--faults restart -h 127.0.0.1": "only the broker of --serve",
		"--rate fast -h 127.0.0.1":      `"fast"`,
	} {
		if _, talk, code := verifying(t, line); code != cli.ExitUsage || !strings.Contains(talk, want) {
			t.Errorf("%s: status %d: %s", line, code, talk)
		}
	}
	if _, talk, code := verifying(t, "-h 127.0.0.1 -p 1"); code != cli.ExitUnreached {
		t.Errorf("status %d: %s", code, talk)
	}
}
