package mqbench

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// board is the content of the block on a terminal: the latest figures, the last minute, and
// the errors since the start.
type board struct {
	latest *figures
	phase  plan.Phase
	began  time.Duration // when the phase began
	rates  []float64     // of the last minute, by interval
	p99s   []float64
	sent   bool // there were messages to send
	got    bool // messages were received
	wrong  [len(wrongs)]int64
	style  style
}

// style is the set of characters used for drawing.
type style struct {
	done, left string   // of a bar
	levels     []string // of a sparkline, the lowest first
}

var (
	blocks = style{"━", "─", []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}}
	plain  = style{"=", ".", []string{"_", ".", "-", "=", "+", "*", "#", "@"}}
)

// wrongs are the counters shown in the last line.
var wrongs = [...]struct {
	counter result.Counter
	text    string
}{
	{result.Failures, "failed attempts"}, {result.Losses, "lost connections"}, {result.Refused, "refused"}, {result.Skipped, "not sent"},
	{result.Corrupt, "corrupt"}, {result.Duplicates, "duplicates"}, {result.Reordered, "out of order"},
}

// history is how many intervals a sparkline can show: a minute of them.
const history = int(time.Minute / bench.Step)

// take adds an interval.
func (b *board) take(f *figures) {
	if b.latest == nil || f.Phase != b.phase {
		b.phase, b.began = f.Phase, f.Interval.Start
	}
	for i, w := range wrongs {
		b.wrong[i] += f.count(w.counter)
	}
	b.sent = b.sent || f.count(result.Offered, result.Sent) > 0
	b.got = b.got || f.count(result.Delivered, result.Foreign) > 0
	if old := b.latest; old != nil && f.short() {
		f.length, f.counts, f.op, f.latency, f.lag = old.length, old.counts, old.op, old.latency, old.lag
		b.latest = f
		return
	}
	b.latest = f
	rate, p99 := f.rate(result.Delivered, result.Foreign), 0.0
	if !b.got {
		rate = f.rate(result.Sent)
	}
	if f.latency != nil {
		p99 = float64(f.latency.PercentileOfFew(99))
	}
	b.rates, b.p99s = last(append(b.rates, rate)), last(append(b.p99s, p99))
}

// last keeps the last minute of values.
func last(values []float64) []float64 {
	return slices.Delete(values, 0, max(len(values)-history, 0))
}

// lines returns the block for a terminal with width columns, the last of which stays empty.
// Errors, if there are any, are shown in the last line only.
func (b *board) lines(width int) (lines []string, errors bool) {
	f, w := b.latest, max(width-1, 10)
	lines = append(lines, b.progress(w))
	clients := []string{fmt.Sprintf("%d of %d connected", f.Connected, f.Clients)}
	if f.count(result.Connects) > 0 {
		clients = append(clients, units.Compact(f.rate(result.Connects))+"/s new")
	}
	lines = append(lines, b.line(w, "clients", nil, clients...))
	spark := b.rates
	if b.sent {
		parts := []string{units.Compact(f.rate(result.Sent)) + "/s"}
		if f.count(result.Offered) > 0 {
			parts[0] += " of " + units.Compact(f.rate(result.Offered)) + "/s due"
		}
		if n := f.count(result.Acked); n > 0 {
			parts = append(parts, units.Compact(f.rate(result.Acked))+"/s acked")
		}
		if n := f.Interval.Gauges[result.GaugeInFlight]; n > 0 {
			parts = append(parts, units.Compact(float64(n))+" waiting")
		}
		own := spark
		if b.got {
			own = nil
		}
		lines = append(lines, b.line(w, "sent", own, parts...))
	}
	if b.got {
		parts := []string{units.Compact(f.rate(result.Delivered, result.Foreign)) + "/s"}
		if f.count(result.Expected) > 0 {
			parts[0] += " of " + units.Compact(f.rate(result.Expected)) + "/s expected"
		}
		lines = append(lines, b.line(w, "received", spark, parts...))
	}
	if h := f.latency; h != nil {
		lines = append(lines, b.line(w, f.op.String(), b.p99s, append(percentiles(h), "max "+units.CompactTime(h.Max()))...))
	}
	lines = append(lines, b.line(w, "generator", nil, b.generator()...))
	var wrong []string
	for i, x := range wrongs {
		if n := b.wrong[i]; n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, x.text))
		}
	}
	if len(wrong) > 0 {
		lines = append(lines, b.line(w, "errors", nil, wrong...))
	}
	return lines, len(wrong) > 0
}

// generator returns the figures of this process.
func (b *board) generator() (parts []string) {
	f := b.latest
	if cpu, ok := f.Interval.Gauges[result.GaugeCPU]; ok {
		parts = append(parts, fmt.Sprintf("CPU %d%%", cpu/10))
	}
	if f.lag != nil {
		lag := "max " + units.CompactTime(f.lag.Max())
		if d := f.lag.Known(99); d != nil {
			lag = "p99 " + units.CompactTime(*d)
		}
		parts = append(parts, "lag "+lag)
	}
	if rss := f.Interval.Gauges[result.GaugeRSS]; rss > 0 {
		parts = append(parts, fmt.Sprintf("%d MiB", rss>>20))
	}
	return parts
}

// progress returns the line of the phase.
func (b *board) progress(w int) string {
	f := b.latest
	spent := f.Interval.End - b.began
	text, share := clock(spent), -1.0
	switch {
	case f.Phase == plan.PhaseConnect && f.Clients > 0:
		share = float64(f.Connected) / float64(f.Clients)
	case f.Phase == plan.PhaseDrain && f.Left > 0:
		text += ", at most " + clock(f.Left+time.Second-1) + " left"
	case f.Left > 0:
		text += ", " + clock(f.Left+time.Second-1) + " left"
		share = float64(spent) / float64(spent+f.Left)
	}
	const label = 10
	if room := min(w-label-2-len(text), 40); share >= 0 && room >= 6 {
		done := min(int(share*float64(room)), room)
		text = strings.Repeat(b.style.done, done) + strings.Repeat(b.style.left, room-done) + "  " + text
	}
	return b.line(w, f.Phase.String(), nil, text)
}

// line returns a line of at most w columns: as many of the parts as fit, and the sparkline
// in the remaining space.
func (b *board) line(w int, label string, spark []float64, parts ...string) string {
	line := fmt.Sprintf("%-10s", label)
	columns := utf8.RuneCountInString
	for i, p := range parts {
		if i > 0 {
			p = "  " + p
		}
		if i > 0 && columns(line)+columns(p) > w {
			break
		}
		line += p
	}
	if room := w - columns(line) - 2; len(spark) > 1 && room >= 6 {
		line += "  " + sparkline(spark, room, b.style.levels)
	}
	if columns(line) > w {
		line = string([]rune(line)[:w])
	}
	return line
}
