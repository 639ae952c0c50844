package report

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/option"
)

// Checked is a run with the results of its thresholds.
type Checked struct {
	*Summary
	Checks []Check
}

// label returns the name of a run among several.
func (j *Checked) label(n int) string {
	s := "run " + strconv.Itoa(n+1)
	if j.File != "" {
		s += ", " + j.File
	}
	return s
}

// JSONOf writes the reports of several runs as one document, a list.
func JSONOf(w io.Writer, runs []Checked) error {
	if len(runs) == 1 {
		return JSON(w, runs[0].Summary, runs[0].Checks)
	}
	list := make([]*Document, 0, len(runs))
	for _, j := range runs {
		if err := j.Err(); err != nil {
			return err
		}
		list = append(list, NewDocument(j.Summary, j.Checks))
	}
	return writeJSON(w, list)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// CSVOf writes a row for each interval of several runs, under one heading, with the
// number of the run, from 1, as the first column.
func CSVOf(w io.Writer, runs []Checked) error {
	if len(runs) == 1 {
		return CSV(w, runs[0].Summary)
	}
	rows := [][]string{append([]string{"run"}, csvColumns...)}
	for n, j := range runs {
		for _, i := range j.Result.Intervals {
			rows = append(rows, append([]string{strconv.Itoa(n + 1)}, j.csvRow(i)...))
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// junitSuites holds the test suites of several runs.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

// JUnitOf writes the reports of several runs as one document, each as a test suite.
func JUnitOf(w io.Writer, runs []Checked) error {
	if len(runs) == 1 {
		return JUnit(w, runs[0].Summary, runs[0].Checks)
	}
	all := junitSuites{Name: "mqbench"}
	for n, j := range runs {
		suite := j.junit(j.Checks)
		suite.Name += " (" + j.label(n) + ")"
		all.add(suite)
	}
	return writeXML(w, all)
}

func (all *junitSuites) add(s junitSuite) {
	all.Tests, all.Failures = all.Tests+s.Tests, all.Failures+s.Failures
	all.Suites = append(all.Suites, s)
}

func writeXML(w io.Writer, v any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WorstExit returns the exit status of several runs: the first in the order of
// precedence that [Summary.ExitCode] documents.
func WorstExit(runs []Checked) int {
	worst := 0
	for _, j := range runs {
		if code := j.ExitCode(j.Checks); worst == 0 || code != 0 && rank(code) < rank(worst) {
			worst = code
		}
	}
	return worst
}

// rank returns the place of a status in the order of precedence.
func rank(code int) int {
	for i, c := range [...]int{option.ExitLoss, option.ExitIncomplete, option.ExitThreshold, option.ExitSaturated, option.ExitGenerator} {
		if c == code {
			return i
		}
	}
	return -1
}

// diffDocument is a comparison as JSON. Its members are stable.
type diffDocument struct {
	Format   int       `json:"format"` // 1
	A        int       `json:"a"`      // runs
	B        int       `json:"b"`
	Rows     []diffRow `json:"rows"`
	Remarks  []string  `json:"remarks"`
	Failed   []string  `json:"failed"`
	ExitCode int       `json:"exit_code"`
}

type diffRow struct {
	Metric  string    `json:"metric"`
	Unit    string    `json:"unit"`    // ns, share, or empty
	A       *float64  `json:"a"`       // the median; null: not known
	B       *float64  `json:"b"`       //
	RunsA   []float64 `json:"runs_a"`  // sorted
	RunsB   []float64 `json:"runs_b"`  //
	Change  *float64  `json:"change"`  // from A to B, as a share; null: from 0, or not known
	Spread  float64   `json:"spread"`  // half of highest less lowest, as a share of the median
	Noise   bool      `json:"noise"`   // the difference may be chance
	Unknown string    `json:"unknown"` // why there is no value
	Gate    string    `json:"gate"`
	Verdict string    `json:"verdict"` // of the gate: ok, failed, undecided; empty without a gate
}

// verdict returns the outcome of a row's gate.
func (r *DiffRow) verdict() string {
	switch {
	case r.Gate == "":
		return ""
	case r.Open:
		return "undecided"
	case r.Failed:
		return "failed"
	}
	return "ok"
}

// JSON writes the comparison as one document.
func (c *Comparison) JSON(w io.Writer) error {
	d := diffDocument{Format: 1, A: c.A, B: c.B, Rows: []diffRow{}, Remarks: append([]string{}, c.Remarks...), Failed: append([]string{}, c.Failed...), ExitCode: c.ExitCode()}
	for _, r := range c.Rows {
		row := diffRow{Metric: r.Metric, Unit: [...]string{numbers: "", durations: "ns", shares: "share"}[r.metric.unit], RunsA: append([]float64{}, r.x...), RunsB: append([]float64{}, r.y...),
			Spread: r.Spread, Noise: r.Noise, Unknown: r.Unknown, Gate: r.Gate, Verdict: r.verdict()}
		if r.Unknown == "" {
			row.A, row.B = &r.A, &r.B
			if r.A != 0 || r.B == 0 {
				row.Change = &r.Change
			}
		}
		d.Rows = append(d.Rows, row)
	}
	return writeJSON(w, d)
}

// JUnit writes the gates as test cases, and one case for what fails them all.
func (c *Comparison) JUnit(w io.Writer) error {
	suite := junitSuite{Name: "mqbench diff"}
	reported := map[string]bool{}
	for _, r := range c.Rows {
		if r.Gate == "" {
			continue
		}
		failure := ""
		for _, f := range c.Failed {
			if why, ok := strings.CutPrefix(f, r.Gate+": "); ok && r.Failed {
				failure, reported[f] = why, true
			}
		}
		suite.add("mqbench.diff", r.Gate, failure)
	}
	rest := ""
	for _, f := range c.Failed {
		if !reported[f] {
			rest = join(rest, f)
		}
	}
	suite.add("mqbench.diff", "both sides are whole runs", rest)
	return writeXML(w, suite)
}

// onlyOne returns an error for several runs in a format that can hold only one.
func onlyOne(runs []Checked, name string) error {
	if len(runs) != 1 {
		return fmt.Errorf("%s holds one run, and there are %d", name, len(runs))
	}
	return nil
}

// HGRMOf is HGRM for the only run of a list.
func HGRMOf(w io.Writer, runs []Checked, metric string) error {
	if err := onlyOne(runs, "hgrm"); err != nil {
		return err
	}
	return HGRM(w, runs[0].Summary, metric)
}

// HLogOf is HLog for the only run of a list.
func HLogOf(w io.Writer, runs []Checked) error {
	if err := onlyOne(runs, "hlog"); err != nil {
		return err
	}
	return HLog(w, runs[0].Result)
}
