package mqbench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// The objects of --json, one per line. Their members are stable: new ones may be added, but
// none changes its meaning. Times and durations are in nanoseconds, times since the start
// of the run; rates are per second. mqbench(1) lists the members.
type (
	intervalObject struct {
		Type      string                 `json:"type"` // interval
		Repeat    int                    `json:"repeat"`
		T         time.Duration          `json:"t"` // end of the interval
		Length    time.Duration          `json:"length"`
		Phase     result.Phase           `json:"phase"` // in which its messages were due
		Left      time.Duration          `json:"left"`  // of the phase; 0: unknown
		Clients   int                    `json:"clients"`
		Rates     report.Rates           `json:"rates"`
		Latencies []latencyObject        `json:"latencies"`
		Counters  map[string]int64       `json:"counters"` // over all groups and QoS
		Gauges    map[result.Gauge]int64 `json:"gauges"`   // at its end; none if another object has the same t
		Errors    map[string]int64       `json:"errors"`   // error.WHAT.KIND and reason.PACKET.0xNN
	}
	// latencyObject is a distribution over all groups. A percentile with fewer than ten
	// values above it is null.
	latencyObject struct {
		Op    string         `json:"op"`
		Kind  string         `json:"kind"`
		Count int64          `json:"count"`
		P50   *time.Duration `json:"p50"`
		P90   *time.Duration `json:"p90"`
		P99   *time.Duration `json:"p99"`
		P999  *time.Duration `json:"p999"`
		Max   time.Duration  `json:"max"`
	}
	noteObject struct {
		Type   string          `json:"type"` // note
		Repeat int             `json:"repeat"`
		T      time.Duration   `json:"t"`
		Kind   result.NoteKind `json:"kind"`
		Text   string          `json:"text"`
	}
	reportObject struct {
		Type string `json:"type"` // report
		*report.Document
	}
	errorObject struct {
		Type     string `json:"type"` // error: the run ended early, or did not start
		Text     string `json:"text"`
		ExitCode int    `json:"exit_code"`
	}
)

// jsonLines writes a run as JSON Lines. It is safe for concurrent use.
type jsonLines struct {
	repeat int
	fail   context.CancelCauseFunc // ends the run if its lines have lost their reader

	mu  sync.Mutex
	w   io.Writer
	err error
}

// write writes a line. The first error ends the run; nothing is written after it.
func (j *jsonLines) write(object any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(object)
	if err == nil {
		_, err = j.w.Write(b.Bytes())
	}
	if err != nil {
		j.err = cli.OutputError(option.Bench, err)
		j.fail(j.err)
	}
}

// failed returns the error that ended the writing.
func (j *jsonLines) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

func (j *jsonLines) note(n result.Note) {
	j.write(noteObject{"note", j.repeat, n.At, n.Kind, n.Text})
}

func (j *jsonLines) show(st bench.Status) {
	for _, i := range parts(st) {
		j.write(j.interval(st, i))
	}
}

func (j *jsonLines) report(s *report.Summary, checks []report.Check) {
	j.write(reportObject{"report", report.NewDocument(s, checks)})
}

func (j *jsonLines) interval(st bench.Status, i *result.Interval) *intervalObject {
	o := &intervalObject{
		Type: "interval", Repeat: j.repeat, T: i.End, Length: i.End - i.Start, Phase: i.Phase, Clients: st.Clients,
		Latencies: []latencyObject{}, Counters: map[string]int64{}, Gauges: i.Gauges, Errors: map[string]int64{},
	}
	if i == st.Interval {
		o.Left = st.Left
	}
	totals := i.Totals()
	for name, n := range totals {
		if strings.HasPrefix(name, "error.") || strings.HasPrefix(name, "reason.") {
			o.Errors[name] = n
		} else {
			o.Counters[name] = n
		}
	}
	rate := func(c result.Counter) float64 { return perSecond(totals.Of(c), o.Length) }
	o.Rates = report.Rates{
		Offered: rate(result.Offered), Sent: rate(result.Sent), Acked: rate(result.Acked),
		Expected: rate(result.Expected), Delivered: rate(result.Arrived), Connects: rate(result.Connects),
	}
	merged := result.Interval{Histograms: i.Merged()}
	for _, k := range merged.Keys() {
		h := merged.Histograms[k]
		o.Latencies = append(o.Latencies, latencyObject{
			k.Op.String(), k.Kind.String(), h.Count(), h.Known(50), h.Known(90), h.Known(99), h.Known(99.9), h.Max(),
		})
	}
	return o
}
