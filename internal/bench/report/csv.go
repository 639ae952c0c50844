package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// csvColumns are the columns of the CSV report. Rates are per second, times in
// milliseconds unless the name says otherwise. A cell is empty if the figure is not
// known.
var csvColumns = []string{
	"start_s", "end_s", "phase", "offered", "sent", "acked", "expected", "delivered", "duplicates", "errors", "connects", "connected",
	"latency", "values", "p50_ms", "p99_ms", "max_ms", "lag_p99_ms", "lag_max_ms", "cpu_percent", "rss_bytes",
}

// CSV writes a row for each interval. The latency columns are for the operation that
// column latency names.
func CSV(w io.Writer, s *Summary) error {
	c := csv.NewWriter(w)
	rows := [][]string{csvColumns}
	for _, i := range s.Result.Intervals {
		rows = append(rows, s.csvRow(i))
	}
	return c.WriteAll(rows)
}

func (s *Summary) csvRow(i *result.Interval) []string {
	span := i.End - i.Start
	decimal := func(v float64, n int) string { return strconv.FormatFloat(v, 'f', n, 64) }
	totals := i.Totals()
	rate := func(c result.Counter) string { return decimal(perSecond(totals.Of(c), span), 1) }
	gauge := func(g result.Gauge, unit float64, n int) string {
		if v, ok := i.Gauges[g]; ok {
			return decimal(float64(v)/unit, n)
		}
		return ""
	}
	at := intervalLatencies(i)
	cell := func(d *time.Duration) string {
		if d == nil {
			return ""
		}
		return decimal(milliseconds(*d), 3)
	}
	highest := func(h *result.Histogram) string {
		if h == nil {
			return ""
		}
		return decimal(milliseconds(h.Max()), 3)
	}
	name, values := "", ""
	if at.main != nil {
		name, values = at.name, strconv.FormatInt(at.main.Count(), 10)
	}
	return []string{
		decimal(i.Start.Seconds(), 3), decimal(i.End.Seconds(), 3), string(i.Phase),
		rate(result.Offered), rate(result.Sent), rate(result.Acked), rate(result.Expected), rate(result.Arrived),
		strconv.FormatInt(totals.Of(result.Duplicates), 10), strconv.FormatInt(errorsIn(totals), 10),
		rate(result.Connects), gauge(result.GaugeConnected, 1, 0),
		name, values, cell(at.main.Known(50)), cell(at.main.Known(99)), highest(at.main), cell(at.lag.Known(99)), highest(at.lag),
		gauge(result.GaugeCPU, 10, 1), gauge(result.GaugeRSS, 1, 0),
	}
}

// latencies holds the two distributions of an interval that reports show over time, nil
// if there is no value.
type latencies struct {
	name      string
	main, lag *result.Histogram
}

// intervalLatencies merges the groups of an interval: main is for the first of mainOps
// that it has.
func intervalLatencies(i *result.Interval) latencies {
	merged := i.Merged()
	l := latencies{lag: lag(merged)}
	for _, op := range mainOps {
		for _, kind := range []result.Kind{result.Response, result.Service} {
			if l.main = merged[result.Key{Op: op, Kind: kind}]; l.main != nil {
				l.name = op.String() + "." + kind.String()
				return l
			}
		}
	}
	return l
}

// lag returns the lag of sending messages, nil if there is none.
func lag(merged map[result.Key]*result.Histogram) (sum *result.Histogram) {
	for k, h := range merged {
		switch {
		case k.Kind != result.Lag || wholeRun(k.Op):
		case sum == nil:
			sum = h.Clone()
		default:
			sum.Merge(h)
		}
	}
	return sum
}

// milliseconds returns a duration in milliseconds.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
