package report

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/units"
)

// Step is one run of a search for the highest load that meets conditions. Durations are
// in nanoseconds, rates per second.
type Step struct {
	Load      float64        `json:"load"` // factor of the plan's rates
	Verdict   StepVerdict    `json:"verdict"`
	Offered   float64        `json:"offered"`
	Sent      float64        `json:"sent"`
	Delivered float64        `json:"delivered"`
	P50       *time.Duration `json:"p50_ns"` // of the latency of an unqualified condition; null: not known
	P99       *time.Duration `json:"p99_ns"`
	Lost      *int64         `json:"lost"` // null: not known
	Why       []string       `json:"why"`  // why it was not sustained, or why the generator is the limit

	// More is the factor by which the measurement of the step must be longer to decide
	// it, 0 if it is decided.
	More float64 `json:"-"`
}

// StepVerdict is the outcome of a step.
type StepVerdict string

// The verdicts.
const (
	StepSustained StepVerdict = "sustained"
	StepMissed    StepVerdict = "missed"
	StepLimited   StepVerdict = "generator limited"
	StepUndecided StepVerdict = "undecided" // there were too few values for a percentile
)

// CheckStep evaluates a run. A load is sustained if it was sent, if its deliveries
// arrived at the same rate, and if it meets all conditions. err is the error that ended
// the run early, or nil.
func CheckStep(s *Summary, load float64, slo []Condition, err error) Step {
	step := Step{
		Load: load, Offered: s.Rates.Offered, Sent: s.Rates.Sent, Delivered: s.Rates.Delivered,
		Why: []string{}, Verdict: StepSustained,
	}
	if h, herr := (&metric{op: anyOp, kind: anyKind}).histogram(s); herr == nil {
		step.P50, step.P99 = h.Known(50), h.Known(99)
	}
	if s.lossUnknown() == nil {
		lost := s.Total.Lost
		step.Lost = &lost
	}
	more := 0.0
	var open []string
	for _, c := range CheckSLO(s, slo) {
		why := fmt.Sprintf("%s: %s", c.Condition, c.Got)
		switch few, ok := errors.AsType[*tooFewError](c.unknown); {
		case ok:
			more = max(more, few.more())
			open = append(open, why)
		case !c.OK:
			step.Why = append(step.Why, why)
		}
	}
	if step.Sent < minDelivered*step.Offered {
		step.Why = append(step.Why, fmt.Sprintf("%s/s sent of %s/s offered", units.Number(step.Sent), units.Number(step.Offered)))
	}
	for _, v := range s.Verdicts {
		if v.Label == Saturated {
			step.Why = append(step.Why, "saturated: "+v.Text)
		}
	}
	if err != nil {
		step.Why = append(step.Why, err.Error())
	}
	switch {
	case len(step.Why) > 0: // whatever the other conditions say
	case more > 0:
		step.Verdict, step.Why, step.More = StepUndecided, open, more
		return step
	default:
		return step
	}
	step.Verdict, step.Why = StepMissed, append(step.Why, open...)
	for _, v := range s.Verdicts {
		if v.Label == GeneratorLimited {
			step.Verdict = StepLimited
			step.Why = append(step.Why, v.Text)
		}
	}
	return step
}

// Search is the report of a search. Its members are stable.
type Search struct {
	Format    int     `json:"format"` // 1
	Tool      string  `json:"tool"`
	Plan      string  `json:"plan"`
	SLO       string  `json:"slo"`
	Precision float64 `json:"precision"`
	Steps     []Step  `json:"steps"` // in the order of measuring

	// The answer: the highest load that was sustained, 0 if none was, what was sent and
	// delivered then, and the lowest load that was not sustained, 0 if none.
	Load      float64 `json:"load"`
	Sent      float64 `json:"sent"`
	Delivered float64 `json:"delivered"`
	Missed    float64 `json:"missed"`
	Limited   bool    `json:"limited"`             // the generator was the limit: the broker may sustain more
	Open      float64 `json:"undecided,omitempty"` // the load that could not be decided; 0: none
	Partial   string  `json:"partial,omitempty"`
	ExitCode  int     `json:"exit_code"`
}

// Best returns the step of the answer, nil if no load was sustained.
func (s *Search) Best() *Step {
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Load == s.Load && st.Verdict == StepSustained {
			return st
		}
	}
	return nil
}

// JSON writes the report, indented.
func (s *Search) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(s)
}

// CSV writes a line for each step.
func (s *Search) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"load", "offered", "sent", "delivered", "p50_ns", "p99_ns", "lost", "verdict", "why"})
	for _, st := range s.Steps {
		_ = c.Write([]string{exact(st.Load), exact(st.Offered), exact(st.Sent), exact(st.Delivered), cellOf(st.P50), cellOf(st.P99),
			cellOf(st.Lost), string(st.Verdict), strings.Join(st.Why, "; ")})
	}
	c.Flush()
	return c.Error()
}

// cellOf formats a whole number, or an empty cell for nil.
func cellOf[T ~int64](n *T) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Text writes the table of the steps, and the answer.
func (s *Search) Text(w io.Writer) error {
	var t text
	t.wrap("", "", fmt.Sprintf("%s, the highest load with %s", s.Plan, s.SLO), 2)
	t.line("")
	t.line("%8s %10s %10s %11s %8s %8s %8s  %s", "load", "offered/s", "sent/s", "delivered/s", "p50", "p99", "lost", "verdict")
	for _, st := range s.Steps {
		lost := "-"
		if st.Lost != nil {
			lost = units.Integer(*st.Lost)
		}
		t.line("%8s %10s %10s %11s %8s %8s %8s  %s", strconv.FormatFloat(st.Load, 'g', 4, 64),
			units.Number(st.Offered), units.Number(st.Sent), units.Number(st.Delivered), orDash(st.P50), orDash(st.P99), lost, st.Verdict)
		for _, why := range st.Why {
			t.wrap(strings.Repeat(" ", 8), "", why, 11)
		}
	}
	t.line("")
	t.wrap("", "", s.Answer(), 0)
	_, err := w.Write(t.b.Bytes())
	return err
}

func orDash(d *time.Duration) string {
	if d == nil {
		return "-"
	}
	return units.Time(*d)
}

// Answer returns the answer in a sentence or two.
func (s *Search) Answer() string {
	var a string
	switch best := s.Best(); {
	case best != nil:
		a = fmt.Sprintf("Sustained: %s messages/s sent, %s/s delivered (load %s).", units.Number(best.Sent), units.Number(best.Delivered), strconv.FormatFloat(best.Load, 'g', 4, 64))
	case s.Open > 0 && s.Missed == 0:
		a = "Nothing was decided."
	case len(s.Steps) > 0:
		a = "No load was sustained."
	default:
		a = "Nothing was measured."
	}
	switch {
	case s.Partial != "":
		a += " The search ended early: " + s.Partial + "."
	case s.Limited:
		a += " This machine, not the broker, was the limit above that: the broker may sustain more."
	case s.Open > 0:
		a += fmt.Sprintf(" Load %s could not be decided: there are too few values for a percentile. Use a longer --duration or a higher rate.", strconv.FormatFloat(s.Open, 'g', 4, 64))
	case s.Missed == 0 && s.Load > 0:
		a += " Every load was sustained."
	}
	return a
}
