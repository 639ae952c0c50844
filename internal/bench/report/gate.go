package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Gate bounds how much a metric may change: p99=+10% fails if it grows by more,
// rate=-5% if it falls by more.
type Gate struct {
	metric *metric
	bound  float64 // a share, with its sign
	text   string
}

// String returns the gate as it was written.
func (g Gate) String() string { return g.text }

// ParseGates parses gates, separated by commas: METRIC=+N% or METRIC=-N%. The metrics
// are those of ParseConditions; rate is rate.delivered, or rate.sent if nothing was to
// be delivered.
func ParseGates(s string) ([]Gate, error) {
	var gates []Gate
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		name, bound, ok := strings.Cut(part, "=")
		bound, isPercent := strings.CutSuffix(strings.TrimSpace(bound), "%")
		v, err := strconv.ParseFloat(bound, 64)
		if !ok || !isPercent || err != nil || !strings.ContainsAny(bound[:1], "+-") || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("invalid gate %q (e.g. p99=+10%%)", part)
		}
		m, err := parseDiffMetric(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		gates = append(gates, Gate{m, v / 100, part})
	}
	return gates, nil
}

func parseDiffMetric(name string) (*metric, error) {
	if name == "rate" {
		return &metric{name: "rate", rate: "rate"}, nil
	}
	return parseMetric(name)
}

// gateVerdict is the outcome of a gate.
type gateVerdict uint8

const (
	gateKept gateVerdict = iota
	gateMissed
	gateOpen // the runs do not decide it
)

// decide reports whether the sorted values y of B keep the gate against the values x of
// A. If they do not decide it, decide returns how many runs of each side would, 0 if no
// number would, as far as can be estimated.
//
// B is compared with A moved by the bound. The gate is kept if no run of B is beyond
// the median of A so moved, or if the median of B is within it by more than the errors
// of both medians. It is missed if the median of B is beyond it and no run of B is as
// good as any of A, or if no run of B is as good as any of A so moved, however few runs
// there are. Otherwise the runs must suffice for a decision (Mann-Whitney). If they do
// not, the gate is open, and an open gate fails: it does not pass a regression that the
// runs cannot rule out.
func (g Gate) decide(x, y []float64) (v gateVerdict, runs int) {
	if g.bound < 0 { // falling is worse: with the sign changed it becomes growing
		x, y = negated(x), negated(y)
	}
	at := make([]float64, len(x))
	for i := range x {
		at[i] = x[i] + math.Abs(x[i])*math.Abs(g.bound)
	}
	beyond := median(y) > median(at)
	switch {
	case y[len(y)-1] <= median(at), median(y)+medianError(y) <= median(at)-medianError(at):
		return gateKept, 0
	case y[0] > at[len(at)-1], beyond && y[0] > x[len(x)-1]:
		return gateMissed, 0
	case mannWhitney(at, y) > significance:
		return gateOpen, repetitions(at, y)
	case beyond:
		return gateMissed, 0
	}
	return gateKept, 0
}

// medianError returns about how far the median of a few values may be off.
func medianError(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[n-1] - sorted[0]) / 2 / math.Sqrt(float64(n))
}

// negated returns the values with the opposite sign, sorted.
func negated(sorted []float64) []float64 {
	list := make([]float64, 0, len(sorted))
	for _, v := range slices.Backward(sorted) {
		list = append(list, -v)
	}
	return list
}

// manyRuns is the number of repetitions that is not worth suggesting any more.
const manyRuns = 1000

// repetitions estimates how many runs of each side would distinguish x and y, if
// further runs are like these. The rank sum of n and n runs has the standard deviation
// n*sqrt((2n+1)/12), and must be 1.645 of them from the middle for a significance of
// 0.1.
func repetitions(x, y []float64) int {
	off := math.Abs(rankSum(x, y)/float64(len(x)*len(y)) - 0.5)
	if off == 0 {
		return 0
	}
	const far = 1.645
	n := int(math.Ceil(far * far / (6 * off * off)))
	// three of each are the fewest that can be distinguished
	if n = max(n, 3, max(len(x), len(y))+1); n > manyRuns {
		return 0
	}
	return n
}

// apply applies gates to the rows of a comparison.
func (c *Comparison) apply(gates []Gate, a, b []*Summary) {
	for _, g := range gates {
		at := slices.IndexFunc(c.Rows, func(r DiffRow) bool { return r.Metric == g.metric.name && r.Gate == "" })
		if at < 0 {
			c.Rows = append(c.Rows, compare(g.metric, a, b))
			at = len(c.Rows) - 1
		}
		row := &c.Rows[at]
		row.Gate = g.text
		why := row.Unknown
		if why == "" {
			switch v, runs := g.decide(row.x, row.y); v {
			case gateMissed:
				why = changed(row.Change)
			case gateOpen:
				row.Open = true
				why = fmt.Sprintf("%s, which %d and %d runs do not decide: %s", changed(row.Change), len(row.x), len(row.y), atLeast(runs))
			}
		}
		if row.Failed = why != ""; row.Failed {
			c.Failed = append(c.Failed, g.text+": "+why)
		}
	}
	if len(gates) == 0 {
		return
	}
	for _, s := range slices.Concat(a, b) {
		if why := s.Result.Partial(); !s.Result.Whole() && !slices.Contains(c.Failed, "a run is partial: "+why) {
			c.Failed = append(c.Failed, "a run is partial: "+why)
		}
	}
}

func atLeast(runs int) string {
	if runs == 0 {
		return "it is too close to the gate for any number of runs"
	}
	return fmt.Sprintf("it takes about %d of each", runs)
}
