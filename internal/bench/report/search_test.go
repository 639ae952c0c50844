package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// stepOf evaluates a generated run.
func stepOf(t *testing.T, slo string, l load, err error) Step {
	t.Helper()
	conditions, perr := ParseConditions(slo)
	if perr != nil {
		t.Fatal(perr)
	}
	return CheckStep(Summarize(l.result()), 2, conditions, err)
}

func TestJudgeStep(t *testing.T) {
	slow := steady()
	slow.share = 0.5
	late := steady()
	late.lag = 20 * time.Millisecond
	for _, c := range []struct {
		name string
		slo  string
		load load
		err  error
		want StepVerdict
		why  string
	}{
		{"all is met", "p99<10ms,loss=0", steady(), nil, StepSustained, ""},
		{"a latency is missed", "p99<1us,loss=0", steady(), nil, StepMissed, "p99<1us: "},
		{"what is not known is missed", "rtt.p99<1s", steady(), nil, StepMissed, "rtt.p99<1s: the run has no such latency"},
		{"values too few for a percentile decide nothing", "p99.99<10ms,loss=0", steady(), nil, StepUndecided, "p99.99<10ms: 10,000 values are too few for p99.99"},
		{"what is missed besides is missed", "p99.99<10ms,p99<1us", steady(), nil, StepMissed, "p99<1us: "},
		{"a saturated broker meets conditions and is at its limit", "loss=0", slow, nil, StepMissed, "saturated: "},
		{"a late generator does not matter if all is met", "loss=0", late, nil, StepSustained, ""},
		{"a late generator may be the reason", "p99<10ms", late, nil, StepLimited, "messages were sent late"},
		{"a run that ended early", "loss=0", steady(), errors.New("far behind"), StepMissed, "far behind"},
	} {
		got := stepOf(t, c.slo, c.load, c.err)
		if why := strings.Join(got.Why, "; "); got.Verdict != c.want || !strings.Contains(why, c.why) || (c.why == "") != (why == "") {
			t.Errorf("%s: got %s, %q, want %s, %q", c.name, got.Verdict, why, c.want, c.why)
		}
		if got.Load != 2 || got.Sent < 900 || got.P50 == nil || got.P99 == nil || *got.P50 > *got.P99 {
			t.Errorf("%s: odd figures %+v", c.name, got)
		}
	}
}

// TestAnUndecidedStepSaysHowLongItTakes: More is the factor that it takes to have ten
// values above the percentile.
func TestAnUndecidedStepSaysHowLongItTakes(t *testing.T) {
	for slo, want := range map[string]float64{"p99.99<10ms": 10, "p99.999<10ms": 100, "p99.99<10ms,p99.995<1s": 20, "p99<10ms": 0, "p99.99<10ms,p50<1us": 0} {
		if step := stepOf(t, slo, steady(), nil); step.More != want {
			t.Errorf("%s: %v times, want %v: %+v", slo, step.More, want, step)
		}
	}
}

// TestLossOfAStepMayNotBeKnown: a run that was cut short, or whose payloads have no
// header, has no known loss.
func TestLossOfAStepMayNotBeKnown(t *testing.T) {
	partial := steady()
	partial.partial, partial.lost = true, 5
	bare := partial.result()
	bare.Ends, bare.Run.Plan.Header = []result.End{{Complete: true}}, false
	for name, r := range map[string]*result.Result{"partial": partial.result(), "no header": bare} {
		step := CheckStep(Summarize(r), 1, nil, nil)
		if step.Lost != nil {
			t.Errorf("%s: %d lost", name, *step.Lost)
		}
		var text, table bytes.Buffer
		s := &Search{Steps: []Step{step}}
		if err := errors.Join(s.Text(&text), s.CSV(&table)); err != nil {
			t.Fatal(err)
		}
		if fields := strings.Fields(text.String()); !slices.Contains(fields, "-") {
			t.Errorf("%s: got\n%s", name, &text)
		}
		if rows, err := csv.NewReader(&table).ReadAll(); err != nil || len(rows) != 2 || rows[1][6] != "" {
			t.Errorf("%s: got %q, %v", name, rows, err)
		}
	}
	whole := steady()
	whole.lost = 5
	if lost := CheckStep(Summarize(whole.result()), 1, nil, nil).Lost; lost == nil || *lost != 5 {
		t.Errorf("a whole run has lost 5, and not %v", lost)
	}
}

// TestWhatIsNotSentIsNotSustained: deliveries keep up with what was sent, but the
// offered rate is not reached.
func TestWhatIsNotSentIsNotSustained(t *testing.T) {
	r := steady().result()
	for _, i := range r.Intervals {
		for k, n := range i.Counters {
			if k.Name == result.Offered.String() {
				i.Counters[k] = 2 * n
			}
		}
	}
	slo, err := ParseConditions("loss=0")
	if err != nil {
		t.Fatal(err)
	}
	got := CheckStep(Summarize(r), 1, slo, nil)
	if got.Verdict != StepMissed || len(got.Why) != 1 || !strings.Contains(got.Why[0], "sent of 2,0") {
		t.Errorf("got %+v", got)
	}
}

func TestSearchReport(t *testing.T) {
	p50, p99 := 1200*time.Microsecond, 9*time.Millisecond
	none, lost := int64(0), int64(12)
	s := Search{Format: 1, Plan: "pubsub", SLO: "p99<10ms", Load: 1.5, Missed: 2, Steps: []Step{
		{Load: 1, Verdict: StepSustained, Offered: 1000, Sent: 1000, Delivered: 1000, P50: &p50, P99: &p99, Lost: &none},
		{Load: 2, Verdict: StepMissed, Offered: 2000, Sent: 1990, Delivered: 1200.5, P50: &p99, Lost: &lost, Why: []string{"p99<10ms: 12.0 ms", "saturated"}},
		{Load: 1.5, Verdict: StepSustained, Offered: 1500, Sent: 1500, Delivered: 1500, P50: &p50, P99: &p99, Lost: &none},
	}}
	var text bytes.Buffer
	if err := s.Text(&text); err != nil {
		t.Fatal(err)
	}
	want := `pubsub, the highest load with p99<10ms

    load  offered/s     sent/s delivered/s      p50      p99     lost  verdict
       1      1,000      1,000       1,000  1.20 ms  9.00 ms        0  sustained
       2      2,000      1,990       1,201  9.00 ms        -       12  missed
         p99<10ms: 12.0 ms
         saturated
     1.5      1,500      1,500       1,500  1.20 ms  9.00 ms        0  sustained

Sustained: 1,500 messages/s sent, 1,500/s delivered (load 1.5).
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var table bytes.Buffer
	if err := s.CSV(&table); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 4 || !slices.Equal(rows[2], []string{"2", "2000", "1990", "1200.5", "9000000", "", "12", "missed", "p99<10ms: 12.0 ms; saturated"}) {
		t.Errorf("got %q, %v", rows, err)
	}
}
