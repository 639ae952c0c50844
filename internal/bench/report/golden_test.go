package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench/result"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// limited is a run that has every fault.
func limited() load {
	l := steady()
	l.name = "oms/p2p-50k"
	l.share, l.lag, l.cpu, l.lost, l.reconnect, l.scale = 0.9, time.Millisecond, 900, 3, 5, 0.1
	return l
}

func conditions(t *testing.T, s string) []Condition {
	t.Helper()
	c, err := ParseConditions(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func summaries(t *testing.T) map[string]*Summary {
	t.Helper()
	shards := steady()
	shards.shards, shards.name = 3, "with\x1b[31m escapes\n and a name that is rather long for a line of eighty columns"
	merged, err := result.Merge(shards.shard(0), shards.shard(2))
	if err != nil {
		t.Fatal(err)
	}
	bare := steady().result()
	bare.Run.Plan.Header, bare.Run.Plan.Closed = false, true
	empty := &result.Result{Run: bare.Run, Shards: bare.Shards}
	atMost, mixed := steady(), steady().result()
	atMost.atMost = true
	for _, i := range mixed.Intervals { // as many messages at QoS 0, of a second group
		for _, c := range []result.Counter{result.Offered, result.Sent, result.Expected, result.Distinct, result.Arrived} {
			i.Count(c, "quick", 0, i.Totals().Of(c))
		}
	}
	return map[string]*Summary{
		"steady": Summarize(steady().result()), "limited": Summarize(limited().result()), "shards": Summarize(merged),
		"bare": Summarize(bare), "empty": Summarize(empty), "qos0": Summarize(atMost.result()), "mixed": Summarize(mixed),
	}
}

func TestFormats(t *testing.T) {
	formats := map[string]func(io.Writer, *Summary, []Check) error{
		"txt":  func(w io.Writer, s *Summary, c []Check) error { return Text(w, s, c, format.Palette{}) },
		"json": JSON,
		"csv":  func(w io.Writer, s *Summary, _ []Check) error { return CSV(w, s) },
		"md":   Markdown,
		"xml":  JUnit,
	}
	for name, s := range summaries(t) {
		checks := CheckSLO(s, conditions(t, "p99<10ms,loss=0,rate.delivered>=950,p99.99<1s"))
		for suffix, write := range formats {
			var b bytes.Buffer
			if err := write(&b, s, checks); err != nil {
				t.Errorf("%s.%s: %v", name, suffix, err)
				continue
			}
			golden(t, name+"."+suffix, b.Bytes())
			if strings.ContainsRune(b.String(), '\x1b') {
				t.Errorf("%s.%s has an escape character from the plan's name", name, suffix)
			}
			switch suffix {
			case "txt":
				for line := range strings.Lines(b.String()) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width || strings.TrimRight(line, "\n ")+"\n" != line {
						t.Errorf("%s: a line of %d columns, or blanks at its end: %q", name, n, line)
					}
				}
			case "json":
				var d Document
				decoder := json.NewDecoder(&b)
				decoder.DisallowUnknownFields()
				if err := decoder.Decode(&d); err != nil || d.ExitCode != s.ExitCode(checks) {
					t.Errorf("%s.json: %v, %+v", name, err, d)
				}
			case "csv":
				rows, err := csv.NewReader(&b).ReadAll()
				if err != nil || len(rows) != len(s.Result.Intervals)+1 {
					t.Errorf("%s.csv: %d rows, %v", name, len(rows), err)
				}
			case "xml":
				if err := xml.Unmarshal(b.Bytes(), new(junitSuite)); err != nil {
					t.Errorf("%s.xml: %v", name, err)
				}
			}
		}
	}
}

// TestDeliveriesOfOthers: what was not sent while measuring has no share.
func TestDeliveriesOfOthers(t *testing.T) {
	r := steady().result()
	for _, i := range r.Intervals {
		for k := range i.Counters {
			if k.Name == result.Expected.String() {
				delete(i.Counters, k)
			}
			if k.Name == result.Distinct.String() { // they were unexpected
				i.Count(result.Surplus, k.Group, k.QoS, i.Counters[k])
			}
		}
	}
	var b bytes.Buffer
	if err := Text(&b, Summarize(r), nil, format.Palette{}); err != nil {
		t.Fatal(err)
	}
	if want := "\n  delivered             1,000\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no line %q in\n%s", want, b.String())
	}
}

func TestTextInColourSaysTheSame(t *testing.T) {
	s := Summarize(limited().result())
	var plain, colored bytes.Buffer
	if err := Text(&plain, s, nil, format.Palette{}); err != nil {
		t.Fatal(err)
	}
	if err := Text(&colored, s, nil, format.Colors); err != nil {
		t.Fatal(err)
	}
	strip := colored.String()
	for _, code := range []string{"\x1b[1m", format.Colors.Meta, format.Colors.Number, format.Colors.Text, format.Colors.End} {
		strip = strings.ReplaceAll(strip, code, "")
	}
	if strip != plain.String() || colored.String() == strip {
		t.Errorf("got\n%s\nwant\n%s", strip, plain.String())
	}
}

func TestCalibrationText(t *testing.T) {
	var b bytes.Buffer
	if err := Calibration(&b, result.Calibration{Messages: 2494462.4, Acked: 1222216, Connects: 14786, Floor: 82 * time.Microsecond}); err != nil {
		t.Fatal(err)
	}
	const want = `QoS 0         2,494,462 messages/s, sent and received again
QoS 1         1,222,216 messages/s, sent and acknowledged
connecting       14,786 clients/s
latency         82.0 us median, at 1,000 messages/s
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestHLog: HdrHistogram's own reader reads the log.
func TestHLog(t *testing.T) {
	r := steady().result()
	var b bytes.Buffer
	if err := HLog(&b, r); err != nil {
		t.Fatal(err)
	}
	reader := hdr.NewHistogramLogReader(&b)
	sums := make(map[string]int64)
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		sums[h.Tag()] += h.TotalCount()
	}
	want := make(map[string]int64)
	for k, h := range r.Sum().Histograms {
		want[k.Op.String()+"."+k.Kind.String()+"."+k.Group] = h.Count()
	}
	if len(want) < 5 || len(sums) != len(want) {
		t.Fatalf("got %v, want %v", sums, want)
	}
	for name, n := range want {
		if sums[name] != n {
			t.Errorf("%s: %d values, want %d", name, sums[name], n)
		}
	}
}

func TestHGRM(t *testing.T) {
	s := Summarize(steady().result())
	var b bytes.Buffer
	if err := HGRM(&b, s, ""); err != nil {
		t.Fatal(err)
	}
	golden(t, "steady.hgrm", b.Bytes())
	for _, c := range []struct{ metric, want string }{{"will.p50", "will.p50: the run has no such latency"}, {"rate.sent", "rate.sent is not a latency"}, {"p", `unknown metric "p": mqbench(1) lists them under Metrics`}} {
		if err := HGRM(io.Discard, s, c.metric); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.metric, err, c.want)
		}
	}
}
