package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/option"
)

// threeRuns are a good run, one that loses messages, and one that misses its threshold.
func threeRuns(t *testing.T) []Checked {
	t.Helper()
	slo, err := ParseConditions("p99>2ms")
	if err != nil {
		t.Fatal(err)
	}
	lossy, slow := steady(), steady()
	lossy.lost = 5
	slow.mean *= 10
	var runs []Checked
	for n, l := range []load{steady(), lossy, slow} {
		s := Summarize(l.result())
		s.File = string(rune('a'+n)) + " <&>.mqb"
		runs = append(runs, Checked{s, CheckFailOn(s, slo)})
	}
	return runs
}

// TestSeveralRunsAreOneDocument: in each format that has documents, as read to the end
// by a reader of that format.
func TestSeveralRunsAreOneDocument(t *testing.T) {
	runs := threeRuns(t)
	write := func(of func(io.Writer, []Checked) error, runs []Checked) []byte {
		t.Helper()
		var b bytes.Buffer
		if err := of(&b, runs); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var docs []Document
	if err := json.Unmarshal(write(JSONOf, runs), &docs); err != nil || len(docs) != 3 || docs[1].ExitCode != option.ExitLoss {
		t.Errorf("JSON: %d documents, %v", len(docs), err)
	}
	var one Document
	if err := json.Unmarshal(write(JSONOf, runs[:1]), &one); err != nil || one.Format != 1 {
		t.Errorf("JSON of one run: %v", err)
	}

	rows, err := csv.NewReader(bytes.NewReader(write(CSVOf, runs))).ReadAll()
	if err != nil || rows[0][0] != "run" || rows[0][1] != csvColumns[0] {
		t.Fatalf("CSV: %v", err)
	}
	seen := map[string]int{}
	for _, row := range rows[1:] {
		seen[row[0]]++
	}
	if n := len(runs[0].Result.Intervals); len(seen) != 3 || seen["1"] != n || seen["3"] != n {
		t.Errorf("CSV: rows by run: %v, want %d each", seen, n)
	}

	var suites struct {
		XMLName  xml.Name
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	d := xml.NewDecoder(bytes.NewReader(write(JUnitOf, runs)))
	d.Strict = true
	if err := d.Decode(&suites); err != nil {
		t.Fatal(err)
	}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if text, ok := token.(xml.CharData); err != nil || !ok || strings.TrimSpace(string(text)) != "" {
			t.Fatalf("JUnit: more behind the document: %v, %v", token, err)
		}
	}
	var names []string
	tests, failures := 0, 0
	for _, s := range suites.Suites {
		names = append(names, s.Name)
		tests, failures = tests+s.Tests, failures+s.Failures
		if s.Tests != len(s.Cases) {
			t.Errorf("JUnit: %d tests of %d", len(s.Cases), s.Tests)
		}
	}
	slices.Sort(names)
	if suites.XMLName.Local != "testsuites" || len(slices.Compact(names)) != 3 || suites.Tests != tests || suites.Failures != failures || failures < 2 {
		t.Errorf("JUnit: %+v", suites)
	}
	if !strings.HasPrefix(string(write(JUnitOf, runs[:1])), xml.Header+"<testsuite ") {
		t.Error("JUnit of one run has another root")
	}
	for name, err := range map[string]error{"hgrm": HGRMOf(io.Discard, runs, ""), "hlog": HLogOf(io.Discard, runs)} {
		if err == nil || err.Error() != name+" holds one run, and there are 3" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(HGRMOf(io.Discard, runs[:1], ""), HLogOf(io.Discard, runs[:1])); err != nil {
		t.Error(err)
	}
}

// TestTheWorstRunDecides: wherever it is in the list.
func TestTheWorstRunDecides(t *testing.T) {
	runs := threeRuns(t)
	for _, c := range []struct {
		of   []int
		want int
	}{{[]int{0}, 0}, {[]int{0, 0}, 0}, {[]int{2, 0}, option.ExitThreshold}, {[]int{0, 2}, option.ExitThreshold}, {[]int{2, 1, 0}, option.ExitLoss}, {[]int{1, 2, 0}, option.ExitLoss}} {
		var list []Checked
		for _, n := range c.of {
			list = append(list, runs[n])
		}
		if got := WorstExit(list); got != c.want {
			t.Errorf("runs %v: status %d, want %d", c.of, got, c.want)
		}
	}
}

// TestAComparisonIsADocumentToo: with the outcome of each gate.
func TestAComparisonIsADocumentToo(t *testing.T) {
	slower := func(l *load) { l.mean = l.mean * 13 / 10 }
	gates, err := ParseGates("p99=+10%,rate=-5%,p99.999=+1%,p50=+1000%,lost=+0%")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Diff(side(1, 2, nil), side(10, 2, slower), gates)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var d diffDocument
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]string{}
	for _, r := range d.Rows {
		if r.Gate != "" {
			verdicts[r.Gate] = r.Verdict
		}
		if r.Metric == "p99" && (r.Unit != "ns" || len(r.RunsA) != 2 || *r.Change < 0.2 || *r.A < 1e6) {
			t.Errorf("p99: %+v", r)
		}
	}
	for gate, want := range map[string]string{"p99=+10%": "failed", "rate=-5%": "ok", "p99.999=+1%": "failed", "p50=+1000%": "ok", "lost=+0%": "ok"} {
		if verdicts[gate] != want {
			t.Errorf("%s: %q, want %q", gate, verdicts[gate], want)
		}
	}
	if d.Format != 1 || d.A != 2 || d.ExitCode != option.ExitThreshold || len(d.Failed) != 2 {
		t.Errorf("%+v", d)
	}
	b.Reset()
	if err := c.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(b.Bytes(), &suite); err != nil || suite.Tests != 6 || suite.Failures != 2 || suite.Cases[1].Name != "p99=+10%" || suite.Cases[1].Failure == nil {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestALatencyNeedsNoPercentileForItsHistogram: puback.service is enough.
func TestALatencyNeedsNoPercentileForItsHistogram(t *testing.T) {
	s := Summarize(steady().result())
	for name, want := range map[string]string{"puback.response": "puback.response.p99", "puback": "puback.p50", "lag": "lag.p50", "connect.tcp.service": "connect.tcp.p50"} {
		var a, b bytes.Buffer
		if err := errors.Join(HGRM(&a, s, name), HGRM(&b, s, want)); err != nil || a.String() != b.String() || !strings.HasPrefix(a.String(), "#[mqbench ") || !strings.Contains(a.String(), "milliseconds") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestACeilingIsNotShownBesideAFasterRun: it would not be a ceiling.
func TestACeilingIsNotShownBesideAFasterRun(t *testing.T) {
	r := steady().result()
	for rate, shown := range map[float64]bool{3.1e6: true, 1001: true, 999: false} {
		r.Shards[0].Calibration.Messages = rate
		var b bytes.Buffer
		s := Summarize(r)
		if err := Text(&b, s, nil, format.Palette{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "its own ceiling") != shown {
			t.Errorf("a ceiling of %v, at %v sent: %s", rate, s.Rates.Sent, b.String())
		}
	}
}
