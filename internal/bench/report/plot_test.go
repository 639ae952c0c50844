package report

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// plotted returns results to look at: one with a stall, a cut and a second mode, and
// three of different lengths.
func plotted() map[string][]*Summary {
	eventful := steady()
	eventful.seconds, eventful.stallAt, eventful.stall, eventful.reconnect, eventful.mode = 60, 20, 800*time.Millisecond, 40, 40*time.Millisecond
	slow := steady()
	slow.name, slow.seconds, slow.seed, slow.mean = `slow </script><b>&"`, 50, 4, 900*time.Microsecond
	connects := steady().result()
	for _, i := range connects.Intervals {
		clear(i.Histograms)
	}
	return map[string][]*Summary{
		"one":     {Summarize(eventful.result())},
		"three":   {Summarize(steady().result()), Summarize(slow.result()), Summarize(eventful.result())},
		"without": {Summarize(connects)},
	}
}

func plot(t *testing.T, s ...*Summary) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Plot(&b, s...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPlotIsOneFile: the page parses, contains the data, and refers to nothing outside.
func TestPlotIsOneFile(t *testing.T) {
	for name, s := range plotted() {
		page := plot(t, s...)
		root, err := html.Parse(bytes.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		ids := make(map[string]bool)
		scripts := 0
		var data []plotRun
		for n := range root.Descendants() {
			for _, a := range n.Attr {
				switch a.Key {
				case "id":
					ids[a.Val] = true
				case "src", "href", "action", "data", "poster", "srcset", "background":
					t.Errorf("%s: <%s %s=%q>", name, n.Data, a.Key, a.Val)
				}
			}
			if n.Type == html.ElementNode && slices.Contains([]string{"b", "link", "iframe", "img", "object", "embed", "base"}, n.Data) && n.Parent.Data != "p" {
				t.Errorf("%s: <%s>", name, n.Data)
			}
			if n.Type != html.ElementNode || n.Data != "script" {
				continue
			}
			scripts++
			if scripts == 1 {
				if err := json.Unmarshal([]byte(n.FirstChild.Data), &data); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		if scripts != 3 || len(data) != len(s) {
			t.Errorf("%s: %d scripts, %d runs, want 3 and %d", name, scripts, len(data), len(s))
		}
		for _, id := range []string{"rates", "heat", "latency", "spectrum", "connections", "errors", "generator", "data", "theme"} {
			if !ids[id] {
				t.Errorf("%s: nothing has the id %s", name, id)
			}
		}
		// Only the license contains a URL; nothing is fetched.
		for _, u := range regexp.MustCompile(`(?i)https?://[^\s"')]*|url\(|@import|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(`).FindAllString(string(page), -1) {
			if u != "https://github.com/leeoniya/uPlot" {
				t.Errorf("%s: the page has %q", name, u)
			}
		}
	}
}

// TestPlotOfAShortInterval: 4 ms of draining are too short for a rate, and must keep
// their end time.
func TestPlotOfAShortInterval(t *testing.T) {
	l := steady()
	l.drain, l.share, l.atMost = 4*time.Millisecond, 0.99, true
	r := l.result()
	r.Notes[0].At = r.Notes[1].At - time.Millisecond // no warm-up
	run := newPlotRun(Summarize(r), "x")
	if len(run.Marks) != 1 || run.Marks[0][1] != "measure" {
		t.Errorf("marks: %v", run.Marks)
	}
	last := len(run.T) - 1
	if run.T[last] != 13 || run.End != 13.004 {
		t.Errorf("the drain is from %v to %v s", run.T[last], run.End)
	}
	if run.Delivered[last] != nil || run.Delivered[last-1] == nil {
		t.Errorf("delivered: %v in the drain, %v before it", run.Delivered[last], run.Delivered[last-1])
	}
	for n, v := range run.Acked {
		if v != nil {
			t.Errorf("at QoS 0 column %d has a rate of acknowledgements: %v", n, *v)
		}
	}
	if run.Max[last] == nil {
		t.Error("the latencies of the drain are not shown")
	}
}

// TestPlotHasTheFigures: what is drawn adds up to what was counted.
func TestPlotHasTheFigures(t *testing.T) {
	s := plotted()["one"][0]
	run := newPlotRun(s, "x")
	for _, column := range [][]*float64{run.Offered, run.Sent, run.Acked, run.Expected, run.Delivered, run.Duplicates, run.Errors, run.Skipped, run.Connects, run.Connected, run.CPU, run.P50, run.P99, run.Max, run.Lag} {
		if len(column) != len(run.T) || len(run.T) != len(s.Result.Intervals) {
			t.Fatalf("a column of %d for %d times", len(column), len(run.T))
		}
	}
	if run.Latency != "delivery.response" || run.Max[0] != nil {
		t.Errorf("%s: while connecting, the maximum is %v", run.Latency, run.Max[0])
	}
	cells := make(map[int64]int64)
	for _, c := range run.Heat.Cells {
		cells[c[0]] += c[2]
	}
	for n, i := range s.Result.Intervals {
		want := int64(0)
		if at := intervalLatencies(i); at.name == "delivery.response" { // not connect.response
			want = at.main.Count()
		}
		if cells[int64(n)] != want {
			t.Errorf("column %d: %d values in the heat map, want %d", n, cells[int64(n)], want)
		}
	}
	for _, spectrum := range run.Spectra {
		if !slices.IsSorted(spectrum.X) || !slices.IsSorted(spectrum.Y) || len(spectrum.X) != len(spectrum.Y) {
			t.Errorf("%s does not rise", spectrum.Name)
		}
		i := slices.IndexFunc(s.Latencies, func(l Latency) bool { return l.Op.String()+" "+l.Kind.String() == spectrum.Name && l.Group == "" })
		h := s.Latencies[i].Values
		for k, x := range spectrum.X {
			if x > 0.99 && x < 1.01 {
				if p90 := milliseconds(h.PercentileOfFew(90)); spectrum.Y[k] < p90*0.95 || spectrum.Y[k] > p90*1.05 {
					t.Errorf("%s: %v ms at 90 %%, want %v", spectrum.Name, spectrum.Y[k], p90)
				}
			}
		}
	}
	if len(run.Marks) != 3 || run.Marks[2][2] != true {
		t.Errorf("marks: %v", run.Marks)
	}
}

// TestPlotOfALongRunIsSmall: the page without data is below 150 kB, and an hour of wide
// distributions adds less than three megabytes.
func TestPlotOfALongRunIsSmall(t *testing.T) {
	r := steady().result()
	base := len(plot(t, Summarize(r)))
	wide := r.Intervals[5]
	for d := time.Microsecond; d < result.MaxValue; d += max(time.Microsecond, d/10) {
		wide.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(d, 1000)
	}
	for n := range 3600 {
		i := *wide
		i.Start, i.End = time.Duration(14+n)*time.Second, time.Duration(15+n)*time.Second
		r.Intervals = append(r.Intervals, &i)
	}
	hour := len(plot(t, Summarize(r)))
	t.Logf("%d kB without an hour, %d kB with it", base/1000, hour/1000)
	if base > 150_000 || hour > 3_000_000 {
		t.Errorf("%d bytes, and %d with an hour", base, hour)
	}
}

func TestPlotLabels(t *testing.T) {
	run := func(plan, file string) *Summary {
		s := Summarize(steady().result())
		s.Result.Run.Plan.Name, s.File = plan, file
		return s
	}
	all := []*Summary{run("a", ""), run("b", "mon.mqb"), run("b", "tue\x1b.mqb"), run("c", "x"), run("c", "x"), run("d", ""), run("d", "")}
	for i, want := range []string{"a", "mon.mqb", `tue\x1b.mqb`, "x #4", "x #5", "d #6", "d #7"} {
		if got := plotLabel(all, i); got != want {
			t.Errorf("run %d: %q, want %q", i+1, got, want)
		}
	}
}

func TestPlotRefusals(t *testing.T) {
	if err := Plot(io.Discard); err == nil {
		t.Error("nothing is plotted")
	}
	r := steady().result()
	r.Intervals = nil
	if err := Plot(io.Discard, Summarize(r)); err == nil {
		t.Error("a result without intervals is plotted")
	}
}

// TestPlotInChromium: the scripts run without an error and draw every chart.
func TestPlotInChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	charts := map[string]string{"one": "7", "three": "9", "without": "4"}
	for name, s := range plotted() {
		file := filepath.Join(t.TempDir(), name+".html")
		if err := os.WriteFile(file, plot(t, s...), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
			"--virtual-time-budget=5000", "--dump-dom", (&url.URL{Scheme: "file", Path: file}).String())
		dom, err := cmd.Output()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body := regexp.MustCompile(`<body[^>]*>`).FindString(string(dom))
		if want := `data-charts="` + charts[name] + `"`; !strings.Contains(body, want) || strings.Contains(body, "data-error") {
			t.Errorf("%s: got %s, want %s", name, body, want)
		}
		if n := strings.Count(string(dom), "<canvas"); n < 4 {
			t.Errorf("%s: %d canvases", name, n)
		}
	}
}
