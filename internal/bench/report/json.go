package report

import (
	"io"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// Document is the JSON report. Its members are stable: new ones may be added, but none
// changes its meaning. Durations are in nanoseconds, rates per second, shares from 0 to
// 1. A percentile that is not known is null.
type Document struct {
	Format     int                   `json:"format"` // 1
	Tool       string                `json:"tool"`
	Plan       result.Plan           `json:"plan"`
	Shards     int                   `json:"shards"`
	Absent     []int                 `json:"absent,omitempty"`
	Repeat     int                   `json:"repeat"`
	Partial    string                `json:"partial,omitempty"` // why the result is not the whole run
	WholeNS    time.Duration         `json:"whole_ns"`
	MeasuredNS time.Duration         `json:"measured_ns"`
	Rates      Rates                 `json:"rates"` // while measuring
	Messages   []Flow                `json:"messages"`
	Total      Flow                  `json:"total"` // qos 3: all
	Latencies  []LatencyJSON         `json:"latencies"`
	Lag        *LatencyJSON          `json:"lag,omitempty"`
	Counters   map[string]int64      `json:"counters"` // of the whole run
	Generator  GeneratorJSON         `json:"generator"`
	Verdicts   []Verdict             `json:"verdicts"`
	Checks     []CheckJSON           `json:"checks"`
	Missing    []result.MissingRange `json:"missing"` // examples; subscriber 4294967295: no member of a share
	Forgotten  int64                 `json:"forgotten"`
	Notes      []NoteJSON            `json:"notes"`
	Present    []result.Shard        `json:"present"`
	ExitCode   int                   `json:"exit_code"`
}

// LatencyJSON is one distribution.
type LatencyJSON struct {
	Op          string                    `json:"op,omitempty"`
	Kind        string                    `json:"kind,omitempty"`
	Group       string                    `json:"group,omitempty"` // empty: all groups
	Count       int64                     `json:"count"`
	Below       int64                     `json:"below"` // the part of count below 0, recorded as 1 us
	Above       int64                     `json:"above"` // the part above 300 s, recorded as 300 s
	MinNS       time.Duration             `json:"min_ns"`
	MeanNS      time.Duration             `json:"mean_ns"`
	StdDevNS    time.Duration             `json:"stddev_ns"`
	MaxNS       time.Duration             `json:"max_ns"`
	Percentiles map[string]*time.Duration `json:"percentiles_ns"` // p50, p90, p99, p99.9, p99.99
}

// GeneratorJSON is the load of the generator itself.
type GeneratorJSON struct {
	CPU     float64                `json:"cpu"`     // mean share of its processors while measuring
	CPUMax  float64                `json:"cpu_max"` // of an interval
	Peak    map[result.Gauge]int64 `json:"peak"`    // the highest value of each gauge
	Backlog int64                  `json:"backlog"` // deliveries outstanding when measuring ended
	Growth  float64                `json:"backlog_growth"`
}

// CheckJSON is one threshold.
type CheckJSON struct {
	Condition string `json:"condition"`
	Got       string `json:"got"`
	OK        bool   `json:"ok"`
}

// NoteJSON is an event of the run.
type NoteJSON struct {
	AtNS  time.Duration   `json:"at_ns"` // since the epoch
	Shard int             `json:"shard"`
	Kind  result.NoteKind `json:"kind"`
	Text  string          `json:"text"`
}

// NewDocument returns the JSON report of a summary.
func NewDocument(s *Summary, checks []Check) *Document {
	r := s.Result
	d := &Document{
		Format: 1, Tool: r.Run.Tool, Plan: r.Run.Plan, Shards: r.Run.Shards, Absent: r.Absent(), Repeat: r.Run.Repeat, Partial: r.Partial(),
		WholeNS: s.Whole, MeasuredNS: s.Measured, Rates: s.Rates, Messages: append([]Flow{}, s.Flows...), Total: s.Total,
		Latencies: []LatencyJSON{}, Counters: s.Counters, Generator: GeneratorJSON{s.CPU, s.CPUMax, s.Peak, s.Backlog, s.Growth},
		Verdicts: append([]Verdict{}, s.Verdicts...), Checks: []CheckJSON{}, Missing: []result.MissingRange{}, Notes: []NoteJSON{},
		Present: append([]result.Shard{}, r.Shards...), ExitCode: s.ExitCode(checks),
	}
	for _, l := range s.Latencies {
		d.Latencies = append(d.Latencies, latencyJSON(l.Op.String(), l.Kind.String(), l.Group, l.Values))
	}
	if s.Lag != nil {
		lag := latencyJSON("", "", "", s.Lag)
		d.Lag = &lag
	}
	for _, c := range checks {
		d.Checks = append(d.Checks, CheckJSON{c.Condition.String(), c.Got, c.OK})
	}
	for _, e := range r.Ends {
		d.Missing = append(d.Missing, e.Missing...)
		d.Forgotten += e.Forgotten
	}
	for _, n := range r.Notes {
		d.Notes = append(d.Notes, NoteJSON{n.At, n.Shard, n.Kind, n.Text})
	}
	return d
}

func latencyJSON(op, kind, group string, h *result.Histogram) LatencyJSON {
	l := LatencyJSON{
		Op: op, Kind: kind, Group: group, Count: h.Count(), Below: h.Below, Above: h.Above,
		MinNS: h.Min(), MeanNS: h.Mean(), StdDevNS: h.StdDev(), MaxNS: h.Max(), Percentiles: make(map[string]*time.Duration),
	}
	for _, p := range percentiles {
		l.Percentiles[percentileName(p)] = h.Known(p)
	}
	return l
}

// JSON writes a Document, indented.
func JSON(w io.Writer, s *Summary, checks []Check) error {
	if err := s.Err(); err != nil {
		return err
	}
	return writeJSON(w, NewDocument(s, checks))
}
