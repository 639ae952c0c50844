package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
)

// Text writes a summary for a terminal of 80 columns. The palette holds the colors; its
// zero value has none. Text from the run, such as names and errors, is escaped.
func Text(w io.Writer, s *Summary, checks []Check, palette format.Palette) error {
	if err := s.Err(); err != nil {
		return err
	}
	t := &text{palette: palette}
	t.title(s)
	t.verdicts(s)
	t.checks(checks)
	t.rates(s)
	t.latencies(s)
	t.flows(s)
	t.events(s)
	t.missing(s)
	t.errors(s)
	t.generator(s)
	_, err := w.Write(t.b.Bytes())
	return err
}

const width = 80

type text struct {
	b       bytes.Buffer
	palette format.Palette
}

func (t *text) color(color, s string) string {
	if color == "" {
		return s
	}
	return color + s + t.palette.End
}

func (t *text) line(format string, args ...any) {
	fmt.Fprintf(&t.b, format+"\n", args...)
}

// head begins a section: its name, and what its figures are about.
func (t *text) head(name, about string) {
	t.b.WriteByte('\n')
	name = t.bold(name)
	if about != "" {
		name += t.color(t.palette.Meta, "  "+about)
	}
	t.line("%s", name)
}

// strong returns bold if the palette has colors.
func (t *text) strong() string {
	if t.palette.End == "" {
		return ""
	}
	return "\x1b[1m"
}

func (t *text) bold(s string) string { return t.color(t.strong(), s) }

// wrap writes words after a label, with the following lines indented.
func (t *text) wrap(label, color, words string, indent int) {
	column := utf8.RuneCountInString(label)
	t.b.WriteString(t.color(color, label))
	for i, word := range phrases(words) {
		n := utf8.RuneCountInString(word)
		if (i > 0 || label != "") && column+1+n > width {
			t.b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		} else if i > 0 || label != "" {
			t.b.WriteByte(' ')
			column++
		}
		t.b.WriteString(word)
		column += n
	}
	t.b.WriteByte('\n')
}

// phrases splits a text into words, but keeps a unit together with its number.
func phrases(s string) []string {
	var list []string
	for _, word := range strings.Fields(s) {
		switch strings.TrimRight(word, ",;:.)") {
		case "ns", "us", "ms", "s", "%", "B", "KiB", "MiB", "GiB", "TiB":
			if len(list) > 0 {
				list[len(list)-1] += " " + word
				continue
			}
		}
		list = append(list, word)
	}
	return list
}

func (t *text) title(s *Summary) {
	r := s.Result
	plan := r.Run.Plan
	name := format.Escape(plan.Name)
	if utf8.RuneCountInString(name) > width {
		name = t.pad(name, width)
	}
	t.wrap(name, t.strong(), "plan "+format.Escape(shortHash(plan.Hash))+", mqtools "+format.Escape(r.Run.Tool), 0)
	var parts []string
	if len(r.Shards) > 0 {
		parts = append(parts, r.Shards[0].Epoch.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	parts = append(parts, fmt.Sprintf("%s measured of %s", units.Seconds(s.Measured), units.Seconds(s.Whole)))
	if n := r.Run.Shards; n > 1 {
		parts = append(parts, fmt.Sprintf("%d of %d shards", len(r.Shards), n))
	}
	if len(r.Shards) > 0 {
		parts = append(parts, "engine "+format.Escape(r.Shards[0].Engine))
		if b := r.Shards[0].Broker; b != "" {
			parts = append(parts, "broker "+format.Escape(b))
		}
	}
	t.wrap("", "", strings.Join(parts, ", "), 0)
}

// shortHash returns enough digits of a plan's hash to tell plans apart. The JSON report
// has all.
func shortHash(hash string) string { return hash[:min(len(hash), 12)] }

func (t *text) verdicts(s *Summary) {
	if len(s.Verdicts) > 0 {
		t.b.WriteByte('\n')
	}
	for _, v := range s.Verdicts {
		t.wrap(string(v.Label)+":", t.palette.Number, format.Escape(v.Text), 2)
	}
}

func (t *text) checks(checks []Check) {
	if len(checks) == 0 {
		return
	}
	t.head("Thresholds", "")
	for _, c := range checks {
		mark, color := "ok", t.palette.Text
		if !c.OK {
			mark, color = "MISSED", t.palette.Number
		}
		t.line("  %s %-30s %s", t.color(color, fmt.Sprintf("%-6s", mark)), format.Escape(c.Condition.String()), c.Got)
	}
}

func (t *text) rates(s *Summary) {
	r := s.Rates
	if s.Measured > 0 && r != (Rates{Connects: r.Connects}) {
		t.head("Rates", "messages per second while measuring")
		ofAcked := "of sent"
		if s.toAck < r.Sent {
			ofAcked = "of those sent at QoS 1 and 2"
		}
		for _, row := range []struct {
			name  string
			rate  float64
			of    float64
			share string // the name of of
			about string // for an unknown of
		}{
			{"offered", r.Offered, 0, "", "due by the plan"},
			{"sent", r.Sent, r.Offered, "of offered", ""},
			{"acknowledged", r.Acked, s.toAck, ofAcked, ""},
			{"expected", r.Expected, 0, "", "deliveries owed by the messages accepted"},
			{"delivered", r.Delivered, r.Expected, "of expected", ""},
		} {
			if row.rate == 0 && row.of == 0 {
				continue
			}
			about := row.about
			if row.of > 0 {
				about = units.Percent(row.rate/row.of) + " " + row.share
			}
			if about != "" {
				about = "  " + t.color(t.palette.Meta, about)
			}
			t.line("  %-14s %12s%s", row.name, units.Number(row.rate), about)
		}
		if r.DueShare > 0 {
			t.line("  %-14s %12s  %s", "of those due", units.Percent(r.DueShare), t.color(t.palette.Meta, "were delivered, while measuring or draining"))
		}
	}
	attempts := s.Counters[result.Attempts.String()]
	if attempts == 0 {
		return
	}
	t.head("Connections", "whole run")
	t.line("  %-14s %12s  %s", "accepted", units.Integer(s.Counters[result.Connects.String()]), t.color(t.palette.Meta, "of "+units.Integer(attempts)+" attempts; "+units.Number(r.Connects)+"/s while connecting"))
	if n := s.Counters[result.Failures.String()]; n > 0 {
		t.line("  %-14s %12s  %s", "failed", units.Integer(n), t.color(t.palette.Meta, units.Percent(float64(n)/float64(attempts))+" of the attempts"))
	}
	if n := s.Counters[result.Losses.String()]; n > 0 {
		t.line("  %-14s %12s", "lost", units.Integer(n))
	}
	t.line("  %-14s %12s  %s", "at once", units.Integer(s.Peak[result.GaugeConnected]), t.color(t.palette.Meta, "at most"))
}

// percentiles are the columns of latency tables.
var percentiles = []float64{50, 90, 99, 99.9, 99.99}

// percentileName returns a name such as p50 or p99.9.
func percentileName(p float64) string { return "p" + strconv.FormatFloat(p, 'f', -1, 64) }

func (t *text) latencies(s *Summary) {
	if len(s.Latencies) == 0 {
		return
	}
	about := "response: from when it was due; service: from the sending; lag: between"
	t.head("Latency", about)
	t.line("  %-24s %7s %7s %7s %7s %7s %11s", "", "p50", "p90", "p99", "p99.9", "max", "values")
	for _, l := range s.Latencies {
		name := l.Op.String() + " " + l.Kind.String()
		if l.Group != "" {
			if wholeRun(l.Op) && l.Kind != result.Response {
				continue // the JSON report has the parts of connecting
			}
			name = "  " + format.Escape(l.Group)
		}
		t.latency(name, l.Values)
	}
	var below, above int64
	for _, l := range s.Latencies {
		if l.Group == "" {
			below += l.Values.Below
			above += l.Values.Above
		}
	}
	if below > 0 || above > 0 {
		t.wrap("  out of range:", t.palette.Meta, fmt.Sprintf("%s below 0 counted as %s, %s above %s counted as that", units.Integer(below), units.Time(result.MinValue), units.Integer(above), units.Time(result.MaxValue)), 4)
	}
}

// pad pads or truncates a name to n columns.
func (t *text) pad(s string, n int) string {
	if have := utf8.RuneCountInString(s); have < n {
		return s + strings.Repeat(" ", n-have)
	} else if have > n {
		return string([]rune(s)[:n-1]) + "~"
	}
	return s
}

func (t *text) latency(name string, h *result.Histogram) {
	t.b.WriteString("  " + t.pad(name, 24))
	for _, p := range percentiles[:4] {
		fmt.Fprintf(&t.b, " %7s", orDash(h.Known(p)))
	}
	t.line(" %7s %11s", units.Time(h.Max()), units.Integer(h.Count()))
}

func (t *text) flows(s *Summary) {
	if len(s.Flows) == 0 {
		return
	}
	t.head("Messages", "whole run, warm-up and drain included")
	header := fmt.Sprintf("  %-14s", "")
	for _, f := range s.Flows {
		header += fmt.Sprintf(" %14s", fmt.Sprintf("QoS %d", f.QoS))
	}
	t.line("%s", header)
	row := func(name string, always bool, value func(Flow) int64) {
		line := fmt.Sprintf("  %-14s", name)
		for _, f := range s.Flows {
			line += fmt.Sprintf(" %14s", units.Integer(value(f)))
			always = always || value(f) != 0
		}
		if always {
			t.line("%s", line)
		}
	}
	row("due", false, func(f Flow) int64 { return f.Due })
	row("not connected", false, func(f Flow) int64 { return f.Skipped })
	row("no room", false, func(f Flow) int64 { return f.Unsent })
	row("sent", true, func(f Flow) int64 { return f.Sent })
	row("acknowledged", false, func(f Flow) int64 { return f.Acked })
	row("refused", false, func(f Flow) int64 { return f.Refused })
	row("not accepted", false, func(f Flow) int64 { return f.Unaccepted })
	row("expected", false, func(f Flow) int64 { return f.Expected })
	known := s.Total.Expected > 0 && s.lossUnknown() == nil
	row("received", false, func(f Flow) int64 { return f.Received })
	row("corrupt", known, func(f Flow) int64 { return f.Corrupt })
	row("lost", known, func(f Flow) int64 { return f.Lost })
	row("dropped", false, func(f Flow) int64 { return f.Dropped })
	row("in flight", false, func(f Flow) int64 { return f.InFlight })
	if s.Result.Run.Plan.Header {
		row("duplicates", known, func(f Flow) int64 { return f.Duplicates })
		row("copies", false, func(f Flow) int64 { return f.Copies })
		row("out of order", known, func(f Flow) int64 { return f.Reordered })
		row("not checked", false, func(f Flow) int64 { return f.Unchecked })
	}
	row("not this run's", false, func(f Flow) int64 { return f.Foreign })
}

// events writes what happened besides messages, and what the plan then expected of the
// broker.
func (t *text) events(s *Summary) {
	n := func(c result.Counter) int64 { return s.Counters.Of(c) }
	begun := false
	row := func(name string, count int64, about string) {
		if count == 0 {
			return
		}
		if !begun {
			begun = true
			t.head("Events", "whole run")
		}
		t.line("  %-14s %12s  %s", name, units.Integer(count), t.color(t.palette.Meta, about))
	}
	row("requests", n(result.Requests), units.Integer(n(result.Unreplied))+" without a reply")
	row("wills", n(result.WillsDue), "due; "+units.Integer(n(result.Wills))+" came")
	row("takeovers", n(result.Takeovers), units.Integer(n(result.TakenOver))+" first connections closed, "+units.Integer(n(result.TakenOver)-n(result.Unannounced))+" with DISCONNECT 0x8E")
	back := "of clients that were cut or lost"
	if h := s.Latency(result.AllBack, result.Response); h != nil {
		back += "; all were back after " + units.Time(h.Max()) + " at most"
	}
	row("returns", n(result.Returns), back)
	row("sessions lost", n(result.SessionsLost), "gone when their clients reconnected")
	row("pings", n(result.Pongs), "answered")
	if h := s.Latency(result.Replay, result.Response); h != nil {
		row("retained", h.Count(), "messages received after subscribing, within "+units.Time(h.Max()))
	}
	if h := s.Latency(result.Backlog, result.Response); h != nil {
		row("backlog", h.Count(), "messages received after reconnecting, within "+units.Time(h.Max()))
	}
}

// Calibration writes the highest figures that the generator itself can reach.
func Calibration(w io.Writer, c result.Calibration) error {
	var t text
	for _, row := range []struct{ name, value, about string }{
		{"QoS 0", units.Number(c.Messages), "messages/s, sent and received again"},
		{"QoS 1", units.Number(c.Acked), "messages/s, sent and acknowledged"},
		{"connecting", units.Number(c.Connects), "clients/s"},
		{"latency", units.Time(c.Floor), "median, at 1,000 messages/s"},
	} {
		t.line("%-10s %12s %s", row.name, row.value, row.about)
	}
	_, err := w.Write(t.b.Bytes())
	return err
}

// shown is how many examples of missing messages the text has.
const shown = 5

func (t *text) missing(s *Summary) {
	var list []result.MissingRange
	var forgotten int64
	for _, e := range s.Result.Ends {
		list = append(list, e.Missing...)
		forgotten += e.Forgotten
	}
	if len(list) == 0 && forgotten == 0 {
		return
	}
	t.head("Missing", "the first examples; all are in the JSON report")
	for _, m := range list[:min(len(list), shown)] {
		who := fmt.Sprintf("subscriber %d", m.Subscriber)
		if m.Subscriber == result.AnySubscriber {
			who = "a shared subscription"
		}
		which := fmt.Sprintf("message %d", m.From)
		if m.To != m.From {
			which = fmt.Sprintf("messages %d to %d", m.From, m.To)
		}
		t.line("  %s lacks %s of publisher %d", who, which, m.Publisher)
	}
	if forgotten > 0 {
		t.line("  %s more were forgotten to keep memory bounded", units.Integer(forgotten))
	}
}

func (t *text) errors(s *Summary) {
	names := s.Errors()
	if len(names) == 0 {
		return
	}
	t.head("Errors and reason codes", "whole run")
	for _, name := range names {
		about := ""
		if _, code, ok := result.ParseReason(name); ok {
			about = code.String()
		}
		line := fmt.Sprintf("  %-32s %12s", format.Escape(name), units.Integer(s.Counters[name]))
		if about != "" {
			line += "  " + t.color(t.palette.Meta, about)
		}
		t.line("%s", line)
	}
}

func (t *text) generator(s *Summary) {
	t.head("Generator", "")
	var parts []string
	if s.CPUMax > 0 {
		parts = append(parts, fmt.Sprintf("CPU %s, at most %s of an interval", units.Percent(s.CPU), units.Percent(s.CPUMax)))
	}
	if p99 := s.Lag.Known(99); p99 != nil {
		parts = append(parts, "lag p99 "+units.Time(*p99)+", max "+units.Time(s.Lag.Max()))
	}
	for _, g := range []struct {
		gauge result.Gauge
		name  string
	}{{result.GaugeRSS, "memory "}, {result.GaugeGCPause, "GC pause "}, {result.GaugeSchedP99, "scheduler p99 "}} {
		v, ok := s.Peak[g.gauge]
		switch {
		case !ok:
		case g.gauge == result.GaugeRSS:
			parts = append(parts, g.name+units.Bytes(v))
		default:
			parts = append(parts, g.name+units.Time(time.Duration(v)))
		}
	}
	if len(parts) > 0 {
		t.wrap(" ", "", strings.Join(parts, "; "), 2)
	}
	for _, shard := range s.Result.Shards[:min(1, len(s.Result.Shards))] {
		c := shard.Calibration
		if c.Messages > 0 && !s.above(c) {
			acked := ""
			if c.Acked > 0 {
				acked = fmt.Sprintf(" (%s at QoS 1)", units.Number(c.Acked))
			}
			t.wrap(" ", "", fmt.Sprintf("its own ceiling here: %s messages/s%s, %s connects/s, median latency %s", units.Number(c.Messages), acked, units.Number(c.Connects), units.Time(c.Floor)), 2)
		}
	}
	var machines []string
	for _, shard := range s.Result.Shards {
		e := shard.Environment
		line := fmt.Sprintf("%s, %d x %s, %s, kernel %s, %s, nofile %d, clock %s, TCP_NODELAY %s", e.OS, e.CPUs, orUnknown(e.CPU), units.Bytes(e.Memory), orUnknown(e.Kernel), e.Go, e.NoFile, orUnknown(e.Clock), onOff(shard.NoDelay))
		if !slices.Contains(machines, line) {
			machines = append(machines, line)
		}
	}
	for _, m := range machines[:min(len(machines), 3)] {
		t.wrap(" ", "", format.Escape(m), 4)
	}
	if n := len(machines) - 3; n > 0 {
		t.line("  and %d other machines", n)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// above reports whether a run was faster than the measured ceiling. The ceiling then
// does not describe this machine in its present state, or is for other messages.
func (s *Summary) above(c result.Calibration) bool {
	return max(s.Rates.Sent, s.Rates.Delivered) > c.Messages || s.Rates.Connects > c.Connects && c.Connects > 0
}
