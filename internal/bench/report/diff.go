package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
)

// significance is the probability, if both sides were alike, below which a difference
// of several runs counts as one (Mann-Whitney, two-sided). Three runs each reach it
// only if all of one side are above all of the other.
const significance = 0.1

// Comparison is the difference between two sides, each of one or several runs of a
// plan.
type Comparison struct {
	A, B    int // runs
	Rows    []DiffRow
	Remarks []string // why the sides may not be comparable
	Failed  []string // gates that failed, and why
}

// DiffRow is one metric. A side's value is the median of its runs.
type DiffRow struct {
	Metric  string
	A, B    float64 // nanoseconds, messages per second, shares or counts
	Spread  float64 // half of highest less lowest, as a share of the median; of the wider side
	Change  float64 // from A to B, as a share; infinite from 0
	Noise   bool    // the difference may be chance
	Unknown string  // why there is no value
	Gate    string
	Failed  bool
	Open    bool // the runs do not decide the gate

	metric *metric
	x, y   []float64 // the values of the runs, sorted; nil: unknown
}

// diffMetrics are always compared.
var diffMetrics = []string{"rate.sent", "rate.acked", "rate.delivered", "p50", "p99", "p99.9", "max", "lag.p99", "connect.p99", "lost", "duplicates", "errors", "cpu"}

// Diff compares two sides and applies gates.
func Diff(a, b []*Summary, gates []Gate) (*Comparison, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, fmt.Errorf("a side has no run")
	}
	c := &Comparison{A: len(a), B: len(b)}
	c.remarks(a, b)
	for _, name := range diffMetrics {
		m, err := parseMetric(name)
		if err != nil {
			return nil, err
		}
		if row := compare(m, a, b); row.Unknown == "" && (row.A != 0 || row.B != 0) {
			c.Rows = append(c.Rows, row)
		}
	}
	c.apply(gates, a, b)
	return c, nil
}

func (c *Comparison) remarks(a, b []*Summary) {
	first := a[0].Result
	for _, s := range slices.Concat(a, b) {
		r := s.Result
		remark := ""
		switch {
		case r.Run.Plan.Hash != first.Run.Plan.Hash:
			remark = fmt.Sprintf("the plans differ: %s (%s) and %s (%s)", first.Run.Plan.Name, shortHash(first.Run.Plan.Hash), r.Run.Plan.Name, shortHash(r.Run.Plan.Hash))
		case len(r.Shards) > 0 && len(first.Shards) > 0 && r.Shards[0].Environment.CPU != first.Shards[0].Environment.CPU:
			remark = "the load came from different machines"
		case r.Partial() != "":
			remark = "a run is partial: " + r.Partial()
		}
		if remark != "" && !slices.Contains(c.Remarks, remark) {
			c.Remarks = append(c.Remarks, remark)
		}
		for _, l := range []Label{Saturated, GeneratorLimited} {
			if remark := "a run is " + string(l); s.Has(l) && !slices.Contains(c.Remarks, remark) {
				c.Remarks = append(c.Remarks, remark)
			}
		}
	}
}

func compare(m *metric, a, b []*Summary) DiffRow {
	row := DiffRow{Metric: m.name, metric: m}
	values := func(side []*Summary) []float64 {
		var list []float64
		for _, s := range side {
			resolved := *m
			if m.rate == "rate" {
				resolved.rate = "delivered"
				if s.Rates.Expected == 0 {
					resolved.rate = "sent"
				}
			}
			v, err := resolved.value(s)
			if err != nil {
				row.Unknown = err.Error()
			}
			list = append(list, v)
		}
		slices.Sort(list)
		return list
	}
	x, y := values(a), values(b)
	if row.Unknown != "" {
		return row
	}
	row.x, row.y = x, y
	row.A, row.B = median(x), median(y)
	row.Spread = max(spread(x), spread(y))
	switch {
	case row.A != 0:
		row.Change = row.B/row.A - 1
	case row.B != 0:
		row.Change = math.Inf(1)
	}
	row.Noise = len(x)+len(y) > 2 && mannWhitney(x, y) > significance
	return row
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func spread(sorted []float64) float64 {
	if m := median(sorted); m != 0 {
		return (sorted[len(sorted)-1] - sorted[0]) / 2 / math.Abs(m)
	}
	return 0
}

// rankSum returns how many pairs of x and y have the higher value in x. Ties count
// half.
func rankSum(x, y []float64) (u float64) {
	for _, a := range x {
		for _, b := range y {
			switch {
			case a > b:
				u++
			case a == b:
				u += 0.5
			}
		}
	}
	return u
}

// mannWhitney returns the exact two-sided probability of a rank sum at least as far
// from the middle as that of x and y, if both were drawn from the same distribution.
func mannWhitney(x, y []float64) float64 {
	u := rankSum(x, y)
	n, m := len(x), len(y)
	// ways[i][v] counts the orders of i values of x and j of y with the rank sum v. If
	// the highest of all is a value of y, it adds nothing; if it is a value of x, it
	// adds j.
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, n*m+1)
		ways[i][0] = 1
	}
	for j := 1; j <= m; j++ {
		for i := 1; i <= n; i++ {
			for v := n * m; v >= j; v-- {
				ways[i][v] += ways[i-1][v-j]
			}
		}
	}
	total, tail := 0.0, 0.0
	far := math.Abs(u - float64(n*m)/2)
	for v, count := range ways[n] {
		total += count
		if math.Abs(float64(v)-float64(n*m)/2) >= far-1e-9 {
			tail += count
		}
	}
	return tail / total
}

func changed(share float64) string {
	if math.IsInf(share, 1) {
		return "it was 0"
	}
	return "changed by " + change(share)
}

func change(share float64) string {
	if math.IsInf(share, 1) {
		return "from 0"
	}
	if math.Abs(share) < 0.0005 {
		return "0.0 %"
	}
	return fmt.Sprintf("%+.1f %%", 100*share)
}

// Text writes the comparison as a table of 80 columns.
func (c *Comparison) Text(w io.Writer, palette format.Palette) error {
	t := &text{palette: palette}
	t.line("%s", t.bold("Comparison")+t.color(palette.Meta, fmt.Sprintf("  A: %s, B: %s", runs(c.A), runs(c.B))))
	for _, r := range c.Remarks {
		t.wrap("note:", palette.Number, format.Escape(r), 2)
	}
	t.line("")
	t.line("  %-18s %12s %12s %10s %8s", "", "A", "B", "change", "spread")
	for _, r := range c.Rows {
		if r.Unknown != "" {
			t.line("  %-18s %s", t.pad(r.Metric, 18), r.Unknown)
			continue
		}
		verdict := ""
		switch {
		case r.Open:
			verdict = t.color(palette.Number, "UNDECIDED "+r.Gate)
		case r.Failed:
			verdict = t.color(palette.Number, "FAILED "+r.Gate)
		case r.Noise:
			verdict = t.color(palette.Meta, "within noise")
		case r.Gate != "":
			verdict = t.color(palette.Text, "ok "+r.Gate)
		}
		line := fmt.Sprintf("  %-18s %12s %12s %10s %8s  %s", t.pad(r.Metric, 18), r.metric.text(r.A), r.metric.text(r.B), change(r.Change), spreadText(c, r), verdict)
		t.line("%s", strings.TrimRight(line, " "))
	}
	if c.A == 1 && c.B == 1 {
		t.wrap("", "", "One run of each: repeat the runs to see whether a difference is chance.", 0)
	} else {
		t.wrap("", "", fmt.Sprintf("Medians; spread is half of highest less lowest, of the wider side. Within noise: such a difference comes by chance in more than %s of comparisons.", units.Percent(significance)), 0)
	}
	for _, f := range c.Failed {
		t.wrap("FAILED", palette.Number, format.Escape(f), 2)
	}
	_, err := w.Write(t.b.Bytes())
	return err
}

func spreadText(c *Comparison, r DiffRow) string {
	if c.A == 1 && c.B == 1 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*r.Spread)
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

// ExitCode returns 0 or option.ExitThreshold.
func (c *Comparison) ExitCode() int {
	if len(c.Failed) > 0 {
		return option.ExitThreshold
	}
	return 0
}
