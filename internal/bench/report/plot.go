package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// uPlot 1.6.32 draws the charts. It is embedded as its authors publish it, with its
// license. It zooms, follows the pointer and draws ten thousand points at once, in 51
// kB without dependencies. plot.js draws the heat map on a chart of uPlot, so that its
// axes and its zoom are the same.
var (
	//go:embed uplot/uPlot.iife.min.js
	uplotJS string
	//go:embed uplot/uPlot.min.css
	uplotCSS string
	//go:embed uplot/LICENSE
	uplotLicense string
	//go:embed plot.js
	plotJS string
	//go:embed plot.css
	plotCSS string
)

// plotColumns is how many intervals of a run are drawn. A longer run is coarsened,
// which keeps its counts and its histograms exact.
const plotColumns = 600

// binsPerDecade is the resolution of the heat map.
const binsPerDecade = 16

// plotRun is one run in the form that plot.js reads. Times are in seconds, latencies in
// milliseconds, rates per second; null is not known.
type plotRun struct {
	Label      string         `json:"label"`
	T          []float64      `json:"t"`   // the start of each interval
	End        float64        `json:"end"` // of the last
	Offered    []*float64     `json:"offered"`
	Sent       []*float64     `json:"sent"`
	Acked      []*float64     `json:"acked"`
	Expected   []*float64     `json:"expected"`
	Delivered  []*float64     `json:"delivered"`
	Duplicates []*float64     `json:"duplicates"`
	Errors     []*float64     `json:"errors"`
	Skipped    []*float64     `json:"skipped"`
	Connects   []*float64     `json:"connects"`
	Connected  []*float64     `json:"connected"`
	CPU        []*float64     `json:"cpu"` // per cent
	Latency    string         `json:"latency"`
	P50        []*float64     `json:"p50"`
	P99        []*float64     `json:"p99"`
	Max        []*float64     `json:"max"`
	Lag        []*float64     `json:"lag"`
	Heat       plotHeat       `json:"heat"`
	Spectra    []plotSpectrum `json:"spectra"`
	Marks      [][3]any       `json:"marks"` // time, text, whether it is not a phase
}

// plotHeat counts values by interval and logarithmic bin: [interval, bin, count], where
// bin is floor(log10(us)*perDecade).
type plotHeat struct {
	PerDecade int        `json:"perDecade"`
	Cells     [][3]int64 `json:"cells"`
}

// plotSpectrum is a percentile distribution: x is -log10(1-p).
type plotSpectrum struct {
	Name string    `json:"name"`
	Main bool      `json:"main"`
	X    []float64 `json:"x"`
	Y    []float64 `json:"y"`
}

// Plot writes one self-contained HTML file with all runs overlaid.
func Plot(w io.Writer, summaries ...*Summary) error {
	if len(summaries) == 0 {
		return fmt.Errorf("nothing to plot")
	}
	var runs []plotRun
	for i, s := range summaries {
		if len(s.Result.Intervals) == 0 {
			return fmt.Errorf("%s has no interval to plot", plotLabel(summaries, i))
		}
		runs = append(runs, newPlotRun(s, plotLabel(summaries, i)))
	}
	data, err := json.Marshal(runs) // escapes < and >
	if err != nil {
		return err
	}
	var b bytes.Buffer
	title := "mqbench: " + plotLabel(summaries, 0)
	if len(summaries) > 1 {
		title = fmt.Sprintf("mqbench: %d runs", len(summaries))
	}
	fmt.Fprintf(&b, `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>%s</title>
<style>%s
%s</style>
</head>
<body>
<header><h1>%s</h1><button id="theme" type="button">light / dark</button></header>
`, html.EscapeString(title), uplotCSS, plotCSS, html.EscapeString(title))
	plotTables(&b, summaries)
	for _, c := range []struct{ id, title, about string }{
		{"rates", "Rates", "Drag to zoom, double-click to reset; click a name to hide or show its line."},
		{"heat", "Latency over time", "How many values fell into each cell, on a logarithmic color scale."},
		{"latency", "Latency percentiles over time", "A percentile of an interval is shown when at least ten values lie above it."},
		{"spectrum", "Percentile spectrum", "Values answered while measuring and draining; each line ends at its maximum."},
		{"connections", "Connections", ""},
		{"errors", "Errors", ""},
		{"generator", "Load generator", "Lag is how late messages were sent. Above 1 ms, or above 85 % CPU, the generator was the limit."},
	} {
		fmt.Fprintf(&b, "<h2>%s</h2><p>%s</p><div class=\"chart\" id=\"%s\"></div>\n", c.title, c.about, c.id)
	}
	fmt.Fprintf(&b, `<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>
<script type="application/json" id="data">%s</script>
<script>/*
uPlot 1.6.32
%s*/
%s</script>
<script>%s</script>
</body>
</html>
`, data, uplotLicense, uplotJS, plotJS)
	_, err = w.Write(b.Bytes())
	return err
}

// plotLabel returns a name that distinguishes a run from the others: its plan, its
// file, or its number.
func plotLabel(all []*Summary, i int) string {
	plan := func(s *Summary) string { return s.Result.Run.Plan.Name }
	file := func(s *Summary) string { return s.File }
	for _, name := range []func(*Summary) string{plan, file} {
		own := name(all[i])
		if own != "" && !slices.ContainsFunc(all, func(s *Summary) bool { return s != all[i] && name(s) == own }) {
			return format.Escape(own)
		}
	}
	return fmt.Sprintf("%s #%d", format.Escape(cmp.Or(file(all[i]), plan(all[i]))), i+1)
}

// plotTables writes verdicts and the main figures, which need no script.
func plotTables(b *bytes.Buffer, summaries []*Summary) {
	text := func(s string) string { return html.EscapeString(format.Escape(s)) }
	for i, s := range summaries {
		r := s.Result
		line := fmt.Sprintf("%s measured of %s, plan %s, mqtools %s", units.Seconds(s.Measured), units.Seconds(s.Whole), text(shortHash(r.Run.Plan.Hash)), text(r.Run.Tool))
		if len(r.Shards) > 0 {
			shard := r.Shards[0]
			line = shard.Epoch.UTC().Format("2006-01-02 15:04:05 UTC, ") + line + ", engine " + text(shard.Engine) + ", " + text(shard.Environment.CPU)
			if shard.Broker != "" {
				line += ", broker " + text(shard.Broker)
			}
		}
		if len(summaries) > 1 {
			line = fmt.Sprintf("<span class=\"key\" data-key=\"%d\"></span>%s: %s", i, text(plotLabel(summaries, i)), line)
		}
		fmt.Fprintf(b, "<p class=\"dim\">%s</p>\n", line)
		for _, v := range s.Verdicts {
			fmt.Fprintf(b, "<p class=\"verdict\"><b>%s</b> %s</p>\n", v.Label, text(v.Text))
		}
	}
	row := func(tag, name string, cells ...string) {
		fmt.Fprintf(b, "<tr><th>%s</th><%s>%s</%s></tr>\n", name, tag, strings.Join(cells, "</"+tag+"><"+tag+">"), tag)
	}
	b.WriteString("<div class=\"tables\"><table class=\"figures\"><thead>")
	row("th", "messages per second", "offered", "sent", "acknowledged", "expected", "delivered", "lost in all")
	b.WriteString("</thead><tbody>")
	for i, s := range summaries {
		r := s.Rates
		lost := units.Integer(s.Total.Lost)
		if s.lossUnknown() != nil {
			lost = "not known"
		}
		row("td", text(plotLabel(summaries, i)), units.Number(r.Offered), units.Number(r.Sent), s.acked(), units.Number(r.Expected), units.Number(r.Delivered), lost)
	}
	b.WriteString("</tbody></table>\n<table class=\"figures\"><thead>")
	row("th", "latency", "p50", "p90", "p99", "p99.9", "p99.99", "max", "values")
	b.WriteString("</thead><tbody>")
	for i, s := range summaries {
		for _, l := range s.Latencies {
			if l.Group != "" {
				continue
			}
			name := l.Op.String() + " " + l.Kind.String()
			if len(summaries) > 1 {
				if l.Kind != result.Response {
					continue
				}
				name = plotLabel(summaries, i) + ": " + name
			}
			var cells []string
			for _, p := range percentiles {
				cells = append(cells, orDash(l.Values.Known(p)))
			}
			row("td", text(name), append(cells, units.Time(l.Values.Max()), units.Integer(l.Values.Count()))...)
		}
	}
	b.WriteString("</tbody></table></div>\n")
}

func newPlotRun(s *Summary, label string) plotRun {
	r := s.Result
	for len(r.Intervals) > plotColumns && r.Run.Step < time.Hour {
		r = r.Coarsen(2 * r.Run.Step)
	}
	step := r.Run.Step
	p := plotRun{Label: label, Heat: plotHeat{PerDecade: binsPerDecade, Cells: [][3]int64{}}, Spectra: []plotSpectrum{}, Marks: [][3]any{}}
	main := intervalLatencies(r.Sum()).name
	p.Latency = main
	// Intervals of several phases in one step are one column.
	columns := make(map[time.Duration]*result.Interval)
	var order []time.Duration
	for _, i := range r.Intervals {
		at := i.Start / step
		if columns[at] == nil {
			columns[at] = result.NewInterval(i.Phase, i.Start, i.End)
			order = append(order, at)
		}
		columns[at].Add(i)
	}
	for n, at := range order {
		p.add(columns[at], n, step)
	}
	if !s.acks() {
		clear(p.Acked)
	}
	for k, n := range r.Notes {
		next := slices.IndexFunc(r.Notes[k+1:], func(m result.Note) bool { return m.Kind == result.NotePhase })
		// a phase without length
		passed := n.Kind == result.NotePhase && next >= 0 && r.Notes[k+1+next].At-n.At < step/100
		if n.Kind == result.NotePhase && !passed || n.Kind == result.NoteAction || n.Kind == result.NoteFault {
			p.Marks = append(p.Marks, [3]any{n.At.Seconds(), format.Escape(n.Text), n.Kind != result.NotePhase})
		}
	}
	for _, l := range s.Latencies {
		if l.Group == "" && l.Kind != result.Lag {
			spectrum := newSpectrum(l)
			spectrum.Main = l.Op.String()+"."+l.Kind.String() == main
			p.Spectra = append(p.Spectra, spectrum)
		}
	}
	return p
}

// add appends the interval in column n. If it is far shorter than a step it has no
// rates: a burst of some milliseconds does not represent the second.
func (p *plotRun) add(i *result.Interval, n int, step time.Duration) {
	span := i.End - i.Start
	totals := i.Totals()
	rate := func(n int64) *float64 {
		if span < step/10 {
			return nil
		}
		return rounded(perSecond(n, span))
	}
	gauge := func(g result.Gauge, unit float64) *float64 {
		if v, ok := i.Gauges[g]; ok {
			return rounded(float64(v) / unit)
		}
		return nil
	}
	percentile := func(h *result.Histogram, q float64) *float64 {
		d := h.Known(q)
		if d == nil {
			return nil
		}
		return rounded(milliseconds(*d))
	}
	p.T, p.End = append(p.T, i.Start.Seconds()), i.End.Seconds()
	for _, c := range []struct {
		to *[]*float64
		v  int64
	}{
		{&p.Offered, totals.Of(result.Offered)}, {&p.Sent, totals.Of(result.Sent)}, {&p.Acked, totals.Of(result.Acked)},
		{&p.Expected, totals.Of(result.Expected)}, {&p.Delivered, totals.Of(result.Arrived)}, {&p.Duplicates, totals.Of(result.Duplicates)},
		{&p.Errors, errorsIn(totals)}, {&p.Skipped, totals.Of(result.Skipped)}, {&p.Connects, totals.Of(result.Connects)},
	} {
		*c.to = append(*c.to, rate(c.v))
	}
	p.Connected = append(p.Connected, gauge(result.GaugeConnected, 1))
	p.CPU = append(p.CPU, gauge(result.GaugeCPU, 10))
	at := intervalLatencies(i)
	if at.name != p.Latency {
		at.main = nil // latency of connecting, before the first delivery
	}
	p.Lag = append(p.Lag, percentile(at.lag, 99))
	p.P50, p.P99 = append(p.P50, percentile(at.main, 50)), append(p.P99, percentile(at.main, 99))
	if at.main == nil {
		p.Max = append(p.Max, nil)
		return
	}
	p.Max = append(p.Max, rounded(milliseconds(at.main.Max())))
	bins := make(map[int64]int64)
	var order []int64
	for d, k := range at.main.Buckets {
		bin := int64(math.Floor(math.Log10(float64(d/time.Microsecond))*binsPerDecade + 1e-9))
		if bins[bin] == 0 {
			order = append(order, bin)
		}
		bins[bin] += k
	}
	for _, bin := range order {
		p.Heat.Cells = append(p.Heat.Cells, [3]int64{int64(n), bin, bins[bin]})
	}
}

// rounded keeps four digits, enough for a chart.
func rounded(v float64) *float64 {
	if v != 0 {
		scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
		v = math.Round(v*scale) / scale
	}
	return &v
}

// newSpectrum returns a spectrum with a point at each fiftieth of a decade of the axis,
// and the maximum.
func newSpectrum(l Latency) plotSpectrum {
	s := plotSpectrum{Name: l.Op.String() + " " + l.Kind.String()}
	total, below, last := float64(l.Values.Count()), 0.0, -1.0
	for d, n := range l.Values.Buckets {
		x := -math.Log10(1 - below/total)
		if x-last >= 0.02 {
			s.X, s.Y = append(s.X, *rounded(x)), append(s.Y, *rounded(milliseconds(d)))
			last = x
		}
		below += float64(n)
	}
	s.X, s.Y = append(s.X, *rounded(max(math.Log10(total), last+0.001))), append(s.Y, *rounded(milliseconds(l.Values.Max())))
	return s
}
