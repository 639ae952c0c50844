package mqbench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// TestSearchEndToEnd searches for a limit that does not depend on the machine: the send
// rate itself. If a busy machine makes a step fail, the answer must still match the steps.
func TestSearchEndToEnd(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "steps.jsonl")
	out, stderr, code := mqbench(t, append(words("search pubsub --serve 127.0.0.1:0 --clients 4 --rate 100 --duration 500ms --warm-up 100ms --slo rate.sent<350 --precision 0.3 --format json --out"), file)...).parts()
	var s report.Search
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v: stdout %q, stderr %q", err, out, stderr)
	}
	if s.Format != 1 || s.Plan != "pubsub" || s.SLO != "rate.sent<350" || s.ExitCode != code || len(s.Steps) == 0 || s.Steps[0].Load != 1 {
		t.Errorf("code %d, report %s", code, out)
	}
	calm := true
	sustained, missed := 0.0, 0.0
	for i, st := range s.Steps {
		switch st.Verdict {
		case report.StepSustained:
			sustained = max(sustained, st.Load)
			if st.Sent >= 350 || len(st.Why) > 0 {
				t.Errorf("sustained: %+v", st)
			}
		case report.StepMissed:
			again := i > 0 && s.Steps[i-1].Load == st.Load
			if again && (missed == 0 || st.Load < missed) {
				missed = st.Load
			}
			calm = calm && len(st.Why) == 1 && strings.HasPrefix(st.Why[0], "rate.sent<350: ")
		default:
			calm = false
		}
	}
	if calm && (code != option.ExitDone || s.Load != 3 || s.Missed != 4 || len(s.Steps) != 5) {
		t.Errorf("code %d, found %v, missed %v: %s", code, s.Load, s.Missed, out)
	}
	if s.Load != sustained || s.Missed != missed || s.Limited != (code == option.ExitGenerator) || code != option.ExitDone && code != option.ExitGenerator && code != option.ExitThreshold {
		t.Errorf("code %d, stderr %q, found %v, missed %v: %s", code, stderr, s.Load, s.Missed, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	results, err := result.Read(f, file)
	if err != nil || len(results) != len(s.Steps) {
		t.Fatalf("%d results of %d steps, %v", len(results), len(s.Steps), err)
	}
	for i, r := range results {
		if r.Run.Repeat != i || r.Partial() != "" {
			t.Errorf("result %d is repetition %d, %q", i, r.Run.Repeat, r.Partial())
		}
	}
}

func TestAnswerOfASearch(t *testing.T) {
	t.Parallel()
	ok := report.Step{Load: 2, Sent: 200, Delivered: 400, Verdict: report.StepSustained}
	no := report.Step{Load: 4, Verdict: report.StepMissed, Why: []string{"p99<1ms: 5.00 ms"}}
	for _, c := range []struct {
		name   string
		steps  []report.Step
		found  bench.SearchResult
		err    error
		code   int
		answer string
	}{
		{"both bounds", []report.Step{ok, no}, bench.SearchResult{Load: 2, Missed: 4}, nil, 0, "Sustained: 200 messages/s sent, 400/s delivered (load 2)."},
		{"no upper bound", []report.Step{ok}, bench.SearchResult{Load: 2}, nil, 0, "(load 2). Every load was sustained."},
		{"nothing", []report.Step{no}, bench.SearchResult{Missed: 4}, nil, 4, "No load was sustained."},
		{"the generator", []report.Step{ok, no}, bench.SearchResult{Load: 2, Limited: 4}, nil, 6, "(load 2). This machine, not the broker, was the limit above that: the broker may sustain more."},
		{"an error", []report.Step{ok}, bench.SearchResult{Load: 2}, cli.Failed(option.ExitUnreached, errors.New("gone")), 3, "(load 2). The search ended early: gone."},
	} {
		var stdout bytes.Buffer
		env := cli.Env{Args: words("search pub"), Stdout: &stdout, Stderr: io.Discard, Lookup: option.MapEnv(nil)}
		tool := Tool()
		search := slices.IndexFunc(tool.Commands, func(c cli.Command) bool { return c.Name == "search" })
		tool.Commands[search].Run = func(ctx context.Context, inv *cli.Invocation) error {
			s := searcher{runner: runner{inv: inv}, doc: report.Search{Plan: "pub", SLO: "p99<1ms", Steps: c.steps}}
			return s.answer(ctx, c.found, c.err)
		}
		code := cli.Run(t.Context(), env, tool)
		if got := strings.Join(strings.Fields(stdout.String()), " "); code != c.code || !strings.HasSuffix(got, c.answer) {
			t.Errorf("%s: code %d, want %d; %s", c.name, code, c.code, got)
		}
		for line := range strings.Lines(stdout.String()) {
			if len(line) > 81 {
				t.Errorf("%s: a line of %d columns: %s", c.name, len(line)-1, line)
			}
		}
	}
}

func TestSearchOfABrokerThatIsNotThere(t *testing.T) {
	t.Parallel()
	out, stderr, code := mqbench(t, words("search pub -h 127.0.0.1 -p 1")...).parts()
	if code != option.ExitUnreached || out != "" || !strings.Contains(stderr, "connection refused") {
		t.Errorf("code %d, stdout %q, stderr %q", code, out, stderr)
	}
}

// TestSearchMeasuresForLongEnough checks that a run is extended: 50 messages a second for a
// second do not suffice for a p90, and half of the rate even less. Several --slo add up.
func TestSearchMeasuresForLongEnough(t *testing.T) {
	t.Parallel()
	out, stderr, code := mqbench(t, words("search pubsub --serve 127.0.0.1:0 --clients 2 --rate 50 --duration 1s --warm-up 100ms --slo p90<10s --slo rate.sent<75 --precision 0.9 --format json")...).parts()
	var s report.Search
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v: stdout %q, stderr %q", err, out, stderr)
	}
	if s.SLO != "p90<10s,rate.sent<75" || len(s.Steps) < 2 || s.Steps[0].Verdict != report.StepUndecided || s.Load != 1 && code == option.ExitDone {
		t.Errorf("code %d, stderr %q: %s", code, stderr, out)
	}
	for _, st := range s.Steps {
		if st.Load < 1 {
			t.Errorf("load %v was tried", st.Load)
		}
	}
	// If no reasonable time suffices, the report says so.
	out, _, code = mqbench(t, words("search pubsub --serve 127.0.0.1:0 --clients 2 --rate 50 --duration 0.3 --warm-up 0 --slo p99.99<10s")...).parts()
	if code != option.ExitFailure || !strings.Contains(strings.Join(strings.Fields(out), " "), "Nothing was decided. Load 1 could not be decided: there are too few values for a percentile.") {
		t.Errorf("code %d: %s", code, out)
	}
}
