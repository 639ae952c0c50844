package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/units"
)

// Markdown writes the figures as tables, for an issue or a README.
func Markdown(w io.Writer, s *Summary, checks []Check) error {
	if err := s.Err(); err != nil {
		return err
	}
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	run := s.Result.Run
	line("### %s\n", markdown(run.Plan.Name))
	line("mqtools %s, plan `%s`, %s measured of %s\n", markdown(run.Tool), code(shortHash(run.Plan.Hash)), units.Seconds(s.Measured), units.Seconds(s.Whole))
	for _, v := range s.Verdicts {
		line("- **%s**: %s", v.Label, markdown(v.Text))
	}
	if len(s.Verdicts) > 0 {
		line("")
	}
	if len(checks) > 0 {
		line("| threshold | measured | |\n|---|---|---|")
		for _, c := range checks {
			word := "ok"
			if !c.OK {
				word = "**missed**"
			}
			line("| `%s` | %s | %s |", code(c.Condition.String()), markdown(c.Got), word)
		}
		line("")
	}
	if s.Measured > 0 {
		line("| per second | offered | sent | acknowledged | expected | delivered |\n|---|--:|--:|--:|--:|--:|")
		r := s.Rates
		line("| messages | %s | %s | %s | %s | %s |\n", units.Number(r.Offered), units.Number(r.Sent), s.acked(), units.Number(r.Expected), units.Number(r.Delivered))
	}
	if len(s.Latencies) > 0 {
		line("| latency | p50 | p90 | p99 | p99.9 | max | values |\n|---|--:|--:|--:|--:|--:|--:|")
		for _, l := range s.Latencies {
			if l.Group != "" {
				continue
			}
			cells := fmt.Sprintf("| %s %s |", l.Op, l.Kind)
			for _, p := range percentiles[:4] {
				cells += " " + orDash(l.Values.Known(p)) + " |"
			}
			line("%s %s | %s |", cells, units.Time(l.Values.Max()), units.Integer(l.Values.Count()))
		}
		line("")
	}
	if len(s.Flows) > 0 {
		line("| messages, whole run | sent | expected | received | lost | duplicates | out of order | corrupt |\n|---|--:|--:|--:|--:|--:|--:|--:|")
		for _, f := range s.Flows {
			received, lost := units.Integer(f.Received), units.Integer(f.Lost)
			if !run.Plan.Header {
				received = "?"
			}
			if s.lossUnknown() != nil {
				lost = "?"
			}
			line("| QoS %d | %s | %s | %s | %s | %s | %s | %s |", f.QoS, units.Integer(f.Sent), units.Integer(f.Expected), received, lost, units.Integer(f.Duplicates), units.Integer(f.Reordered), units.Integer(f.Corrupt))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// markdown escapes the characters that Markdown interprets.
func markdown(s string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "<", "&lt;", "\n", " ", "*", `\*`, "_", `\_`).Replace(format.Escape(s))
}

// code returns s as a code span.
func code(s string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "\n", " ").Replace(format.Escape(s))
}
