package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// HGRM writes the percentile distribution of one latency in the text format of
// HdrHistogram's tools, in milliseconds. metricName is a name such as delivery.p99; its
// percentile is ignored and may be omitted. If it is empty, the latency is that of an
// unqualified percentile.
func HGRM(w io.Writer, s *Summary, metricName string) error {
	if metricName == "" {
		metricName = "p50"
	}
	m, err := parseMetric(metricName)
	if err != nil {
		if latency, lerr := parseMetric(metricName + ".p50"); lerr == nil && latency.stat != "" {
			m, err = latency, nil
		}
	}
	if err != nil {
		return err
	}
	if m.stat == "" {
		return fmt.Errorf("%s is not a latency", metricName)
	}
	h, err := m.histogram(s)
	if err != nil {
		return fmt.Errorf("%s: %w", metricName, err)
	}
	if _, err := fmt.Fprintf(w, "#[mqbench %s; values are milliseconds]\n", tag(s.Result.Run.Plan.Name)); err != nil {
		return err
	}
	return h.WritePercentiles(w)
}

// HLog writes the histograms of all intervals as an HdrHistogram log, version 1.3, with
// a tag such as delivery.response.group for each. Values are microseconds, and so is
// the column of the interval's maximum.
func HLog(w io.Writer, r *result.Result) error {
	var b bytes.Buffer
	b.WriteString("#[mqbench; values and maxima are microseconds]\n#[Histogram log format version 1.3]\n")
	if len(r.Shards) > 0 {
		epoch := r.Shards[0].Epoch.UTC()
		fmt.Fprintf(&b, "#[StartTime: %.3f (seconds since epoch), %s]\n", float64(epoch.UnixMilli())/1e3, epoch.Format("Mon Jan 02 15:04:05 UTC 2006"))
	}
	b.WriteString("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n")
	for _, i := range r.Intervals {
		for _, k := range i.Keys() {
			h := i.Histograms[k]
			encoded, err := h.Encode()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "Tag=%s.%s.%s,%.3f,%.3f,%.3f,%s\n", k.Op, k.Kind, tag(k.Group), i.Start.Seconds(), (i.End - i.Start).Seconds(), float64(h.Max())/float64(time.Microsecond), encoded)
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		b.Reset()
	}
	_, err := w.Write(b.Bytes())
	return err
}

// tag replaces characters that are not allowed in a tag.
func tag(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}
