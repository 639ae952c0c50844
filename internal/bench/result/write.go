package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
)

// The lines of a result file. Each is one JSON object; all times are in nanoseconds
// since the epoch.
type (
	headerLine struct {
		Type   string  `json:"type"` // header; the first line
		Format int     `json:"format"`
		Tool   string  `json:"tool"`
		Plan   Plan    `json:"plan"`
		Count  int     `json:"shards"`
		Repeat int     `json:"repeat"`
		Of     int     `json:"repeats,omitempty"` // Run.Repeats
		StepNS int64   `json:"step_ns"`
		Shards []Shard `json:"present"`
	}
	intervalLine struct {
		Type       string                      `json:"type"` // interval
		Phase      Phase                       `json:"phase"`
		StartNS    int64                       `json:"start_ns"`
		EndNS      int64                       `json:"end_ns"`
		Counters   map[string]map[string]int64 `json:"counters"` // by group and CounterKey.field
		Gauges     map[Gauge]int64             `json:"gauges"`
		Histograms []histogramLine             `json:"histograms"`
	}
	histogramLine struct {
		Op    string `json:"op"`
		Kind  string `json:"kind"`
		Group string `json:"group"`
		Below int64  `json:"below,omitempty"`
		Above int64  `json:"above,omitempty"`
		HDR   string `json:"hdr"` // HdrHistogram V2, compressed, base64; microseconds
	}
	noteLine struct {
		Type  string   `json:"type"` // note
		AtNS  int64    `json:"at_ns"`
		Shard int      `json:"shard"`
		Kind  NoteKind `json:"kind"`
		Text  string   `json:"text"`
	}
	endLine struct {
		Type     string                      `json:"type"`     // end; the last line
		Complete bool                        `json:"complete"` // all shards ran the whole plan
		Shards   []shardEnd                  `json:"shards"`
		Totals   map[string]map[string]int64 `json:"totals"`  // the intervals' counters added up
		Samples  int64                       `json:"samples"` // in all their histograms
		Lost     []string                    `json:"lost,omitempty"`
		Check    string                      `json:"check,omitempty"` // of all lines before this one
	}
	shardEnd struct {
		Shard     int            `json:"shard"`
		AtNS      int64          `json:"at_ns"`
		Complete  bool           `json:"complete"`
		Reason    string         `json:"reason,omitempty"`
		Forgotten int64          `json:"forgotten,omitempty"`
		Missing   []MissingRange `json:"missing,omitempty"`
	}
)

// Writer writes a result file during the run. Every call writes whole lines at once, so
// that a run that is killed leaves a readable file.
//
// If writing fails, the call that fails returns the error. Later calls do nothing and
// return nil, so that the run continues and the error is reported once; Err keeps
// returning it. A Writer is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	err     error
	total   *Interval // counters only
	sample  int64
	sum     lineSum
	encoder encoder
}

// lineSum is a check of the lines of a result, independent of their line ends: their
// number, and a CRC-32C of their contents.
type lineSum struct {
	lines int
	crc   uint32
}

func (s *lineSum) add(line []byte) {
	s.lines++
	s.crc = crc32.Update(crc32.Update(s.crc, castagnoli(), bytes.TrimSuffix(line, []byte("\r"))), castagnoli(), []byte{'\n'})
}

func (s *lineSum) String() string { return fmt.Sprintf("%d-%08x", s.lines, s.crc) }

// NewWriter starts the result file of one shard. The writer can be used even if that
// fails: it then does nothing, as after any error.
func NewWriter(w io.Writer, run Run, shard Shard) (*Writer, error) {
	return newWriter(w, run, []Shard{shard})
}

func newWriter(w io.Writer, run Run, shards []Shard) (*Writer, error) {
	writer := &Writer{w: w, total: NewInterval("", 0, 0)}
	return writer, writer.line(headerLine{"header", Format, run.Tool, run.Plan, run.Shards, run.Repeat, run.Repeats, int64(run.Step), shards})
}

// Err returns the error that ended the writing, or nil.
func (w *Writer) Err() error { return w.err }

func (w *Writer) line(v any) error {
	if w.err != nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err == nil {
		w.sum.add(line)
		_, err = w.w.Write(append(line, '\n'))
	}
	w.err = err
	return err
}

// Interval writes an interval.
func (w *Writer) Interval(i *Interval) error {
	line := intervalLine{"interval", i.Phase, int64(i.Start), int64(i.End), groupCounters(i.Counters), i.Gauges, []histogramLine{}}
	for _, k := range i.Keys() {
		h := i.Histograms[k]
		encoded, err := w.encoder.encode(h)
		if err != nil {
			return fmt.Errorf("histogram of %s: %w", k.Op, err)
		}
		line.Histograms = append(line.Histograms, histogramLine{k.Op.String(), k.Kind.String(), k.Group, h.Below, h.Above, encoded})
		w.sample += h.Count()
	}
	for k, n := range i.Counters {
		w.total.Counters[k] += n
	}
	return w.line(line)
}

// Note writes a note.
func (w *Writer) Note(n Note) error {
	return w.line(noteLine{"note", int64(n.At), n.Shard, n.Kind, n.Text})
}

// End writes the last line.
func (w *Writer) End(end End) error { return w.end(end.Complete, []End{end}, nil) }

func (w *Writer) end(complete bool, ends []End, lost []string) error {
	line := endLine{"end", complete, []shardEnd{}, groupCounters(w.total.Counters), w.sample, lost, w.sum.String()}
	for _, e := range ends {
		missing := e.Missing[:min(len(e.Missing), MaxExamples)]
		line.Shards = append(line.Shards, shardEnd{e.Shard, int64(e.At), e.Complete, e.Reason, e.Forgotten, missing})
	}
	return w.line(line)
}

// Write writes a whole result.
func Write(w io.Writer, r *Result) error {
	writer, _ := newWriter(w, r.Run, r.Shards)
	for _, n := range r.Notes {
		_ = writer.Note(n)
	}
	for _, i := range r.Intervals {
		_ = writer.Interval(i)
	}
	_ = writer.end(r.Partial() == "", r.Ends, r.Lost)
	return writer.Err()
}

func groupCounters(counters map[CounterKey]int64) map[string]map[string]int64 {
	groups := make(map[string]map[string]int64)
	for k, n := range counters {
		if groups[k.Group] == nil {
			groups[k.Group] = make(map[string]int64)
		}
		groups[k.Group][k.field()] = n
	}
	return groups
}
