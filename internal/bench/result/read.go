package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits on what a file can make the reader hold.
const (
	maxLine    = 64 << 20  // bytes
	maxMemory  = 768 << 20 // bytes, roughly, for intervals
	maxNotes   = 10_000
	maxSamples = 1 << 50
	minStep    = time.Millisecond
	maxStep    = time.Hour
	maxAt      = int64(10 * 365 * 24 * time.Hour)

	// Roughly the memory of an interval's parts. Histograms know theirs.
	intervalMemory, counterMemory, gaugeMemory = 512, 128, 64
)

// ErrNoResult is returned for a file that holds no result.
var ErrNoResult = errors.New("no result in it")

// Read reads a result file, or a log that has a result on one line (see [AppendLine])
// among others. path is for errors, which are path:line: text. Several results in one
// file are read one after the other.
//
// A file whose end is missing gives a partial result, which says so, and so does a file
// whose last line is cut off. Anything else that a Writer would not write is an error.
// If the intervals take too much memory they are coarsened, see [Result.Coarsen]; the
// figures stay exact.
func Read(r io.Reader, path string) ([]*Result, error) { return read(r, path, maxMemory) }

func read(r io.Reader, path string, memory int64) ([]*Result, error) {
	lines := &lineReader{r: bufio.NewReaderSize(r, 64<<10), path: path}
	var results []*Result
	log := false // the file is a log
	for {
		line, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		file := &fileReader{lines: lines, limit: memory}
		var one *Result
		switch at := bytes.Index(line, []byte(linePrefix)); {
		case at >= 0:
			one, err = unpack(line[at+len(linePrefix):], fmt.Sprintf("%s:%d", path, lines.n), file)
			log = true
		case !log && bytes.HasPrefix(line, []byte(`{"type":"header"`)):
			one, err = file.read(line)
		case lines.n == 1 && !bytes.HasPrefix(line, []byte(`{"type":`)):
			log = true
		case !log:
			err = lines.errorf("not a header line: %.60q", line)
		}
		if err != nil {
			return nil, err
		}
		if one != nil {
			results = append(results, one)
			memory -= file.memory
		}
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNoResult)
	}
	repeated(results)
	return results, nil
}

// repeated notes repetitions that a file should contain but does not.
func repeated(results []*Result) {
	type part struct {
		hash   string
		shards string
	}
	have := map[part]map[int]*Result{}
	for _, r := range results {
		if r.Run.Repeats < 2 {
			continue
		}
		p := part{r.Run.Plan.Hash, fmt.Sprint(r.Run.Shards)}
		for _, s := range r.Shards {
			p.shards += fmt.Sprint(" ", s.Shard)
		}
		if have[p] == nil {
			have[p] = map[int]*Result{}
		}
		have[p][r.Run.Repeat] = r
	}
	for _, runs := range have {
		for _, r := range runs {
			if n := r.Run.Repeats; len(runs) < n {
				r.Lost = append(r.Lost, fmt.Sprintf("%d of %d repetitions are missing", n-len(runs), n))
			}
		}
	}
}

// lineReader splits its input into lines and counts them.
type lineReader struct {
	r    *bufio.Reader
	path string
	n    int // of the line that next returned, from 1
	line []byte
	torn bool // it ends without a newline
	back bool // next is to return it again
}

func (l *lineReader) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", l.path, l.n, fmt.Errorf(format, args...))
}

// next returns a line without its end, valid until the next call, or io.EOF.
func (l *lineReader) next() ([]byte, error) {
	if l.back {
		l.back = false
		return l.line, nil
	}
	l.line = l.line[:0]
	l.n++
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.line)+len(part) > maxLine {
			return nil, l.errorf("a line of more than %d bytes", maxLine)
		}
		l.line = append(l.line, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(l.line) == 0:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("%s: %w", l.path, err)
		}
		l.torn = err == io.EOF
		l.line = bytes.TrimSuffix(l.line, []byte("\n"))
		return l.line, nil
	}
}

// fileReader reads one result.
type fileReader struct {
	lines   *lineReader
	result  Result
	memory  int64 // used by the intervals
	limit   int64 // for memory
	notes   int
	ended   bool
	sum     endLine // of what was read, to compare with the end line
	check   lineSum // likewise
	decoder decoder
}

func (f *fileReader) read(header []byte) (*Result, error) {
	if err := f.header(header); err != nil {
		return nil, err
	}
	for !f.ended {
		if _, err := f.next(); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return f.finish(), nil
}

// next reads a line into the result. It returns io.EOF at the end of the file.
func (f *fileReader) next() (Line, error) {
	line, err := f.lines.next()
	if err != nil {
		return Line{}, err
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &kind); err != nil && f.lines.torn {
		f.result.Lost = append(f.result.Lost, "the last line is cut off")
		return Line{}, io.EOF
	}
	if kind.Type != "end" && kind.Type != "header" {
		f.check.add(line)
	}
	var read Line
	switch kind.Type {
	case "interval":
		read.Interval, err = f.interval(line)
	case "note":
		read.Note, err = f.note(line)
	case "end":
		f.ended = true
		err = f.end(line)
	case "header":
		f.lines.back, f.ended = true, true // it belongs to the next result: this one has no end
	default:
		err = f.lines.errorf("not a line of a result: %.60q", line)
	}
	return read, err
}

// finish returns the result of all lines.
func (f *fileReader) finish() *Result {
	if f.notes > maxNotes {
		last := f.result.Notes[maxNotes-1]
		f.result.Notes = append(f.result.Notes, Note{last.At, last.Shard, NoteInfo, fmt.Sprintf("%d more notes are in the file", f.notes-maxNotes)})
		f.notes = maxNotes
	}
	slices.SortStableFunc(f.result.Intervals, compareIntervals)
	return &f.result
}

// strict decodes a line into v, and refuses members that v does not have.
func (f *fileReader) strict(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); errors.Is(err, io.ErrUnexpectedEOF) {
		return f.lines.errorf("the line is cut off")
	} else if err != nil {
		return f.lines.errorf("%s", damage(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return f.lines.errorf("text after the object")
	}
	return nil
}

// damage returns the text for an error of package json, which mentions Go types.
func damage(err error) string {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("damaged at byte %d: it is not JSON there", syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("damaged at byte %d: a %s does not belong in member %q", wrong.Offset, wrong.Value, wrong.Field)
	}
	if strings.HasPrefix(text, "unknown field ") {
		return text
	}
	return "damaged"
}

func (f *fileReader) header(line []byte) error {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(line, &version); err == nil && version.Format != Format {
		return f.lines.errorf("result format %d; this version of mqbench reads format %d", version.Format, Format)
	}
	var h headerLine
	if err := f.strict(line, &h); err != nil {
		return err
	}
	step := time.Duration(h.StepNS)
	switch {
	case step < minStep || step > maxStep:
		return f.lines.errorf("step_ns %d is not from %v to %v", h.StepNS, minStep, maxStep)
	case h.Count < 1 || h.Count > MaxShards:
		return f.lines.errorf("shards %d is not from 1 to %d", h.Count, MaxShards)
	case h.Of < 0 || h.Of > 0 && h.Repeat >= h.Of:
		return f.lines.errorf("repeat %d of %d is out of range", h.Repeat, h.Of)
	case h.Repeat < 0:
		return f.lines.errorf("repeat %d is negative", h.Repeat)
	case len(h.Shards) == 0:
		return f.lines.errorf("no shard is present")
	}
	for i, s := range h.Shards {
		if s.Shard < 0 || s.Shard >= h.Count || i > 0 && s.Shard <= h.Shards[i-1].Shard {
			return f.lines.errorf("shard %d of %d is out of range or order", s.Shard, h.Count)
		}
	}
	f.check.add(line)
	f.result.Run = Run{h.Tool, h.Plan, h.Count, h.Repeat, h.Of, step}
	f.result.Shards = h.Shards
	f.sum.Totals = make(map[string]map[string]int64)
	return nil
}

func (f *fileReader) interval(line []byte) (*Interval, error) {
	var l intervalLine
	if err := f.strict(line, &l); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(phases, l.Phase):
		return nil, f.lines.errorf("unknown phase %q", l.Phase)
	case l.StartNS < 0 || l.EndNS < l.StartNS || l.EndNS > maxAt:
		return nil, f.lines.errorf("an interval from %d to %d ns", l.StartNS, l.EndNS)
	}
	i := NewInterval(l.Phase, time.Duration(l.StartNS), time.Duration(l.EndNS))
	for group, counters := range l.Counters {
		total := f.sum.Totals[group]
		if total == nil {
			total = make(map[string]int64)
			f.sum.Totals[group] = total
		}
		for field, n := range counters {
			k, err := parseField(group, field)
			if err != nil {
				return nil, f.lines.errorf("%w", err)
			}
			if n < 0 || total[field]+n < 0 {
				return nil, f.lines.errorf("counter %s is out of range: %d", field, n)
			}
			total[field] += n
			i.Counters[k] += n
			f.memory += counterMemory
		}
	}
	for g, v := range l.Gauges {
		if _, ok := gaugeAdds[g]; !ok {
			return nil, f.lines.errorf("unknown gauge %q", g)
		}
		i.Gauges[g] = v
		f.memory += gaugeMemory
	}
	for _, h := range l.Histograms {
		if err := f.histogram(i, h); err != nil {
			return nil, f.lines.errorf("histogram of %s %s: %w", h.Op, h.Kind, err)
		}
	}
	f.memory += intervalMemory
	f.result.Intervals = append(f.result.Intervals, i)
	return i, f.bound()
}

func (f *fileReader) histogram(i *Interval, l histogramLine) error {
	op, ok := ParseOp(l.Op)
	kind, ok2 := ParseKind(l.Kind)
	k := Key{op, kind, l.Group}
	switch {
	case !ok:
		return errors.New("unknown operation")
	case !ok2:
		return errors.New("unknown kind")
	case i.Histograms[k] != nil:
		return fmt.Errorf("group %q occurs twice", l.Group)
	case l.Below < 0 || l.Above < 0:
		return errors.New("a negative count")
	}
	h, err := f.decoder.decode(l.HDR)
	if err != nil {
		return err
	}
	h.Below, h.Above = l.Below, l.Above
	if l.Below > h.Count()-l.Above {
		return errors.New("more values out of range than there are values")
	}
	if f.sum.Samples += h.Count(); f.sum.Samples < 0 || f.sum.Samples > maxSamples {
		return errors.New("too many values")
	}
	i.Histograms[k] = h
	f.memory += h.memory()
	return nil
}

// bound coarsens the intervals if they take too much memory.
func (f *fileReader) bound() error {
	if f.memory <= f.limit {
		return nil
	}
	for f.memory > f.limit/2 {
		step := 2 * f.result.Run.Step
		if step > maxStep || f.limit <= 0 {
			return f.lines.errorf("more than fits into memory")
		}
		f.result = *f.result.Coarsen(step)
		f.memory = 0
		for _, i := range f.result.Intervals {
			f.memory += intervalMemory + counterMemory*int64(len(i.Counters)) + gaugeMemory*int64(len(i.Gauges))
			for _, h := range i.Histograms {
				f.memory += h.memory()
			}
		}
	}
	return nil
}

func (f *fileReader) note(line []byte) (*Note, error) {
	var l noteLine
	if err := f.strict(line, &l); err != nil {
		return nil, err
	}
	if !slices.Contains(noteKinds, l.Kind) {
		return nil, f.lines.errorf("unknown kind of note %q", l.Kind)
	}
	n := Note{time.Duration(l.AtNS), l.Shard, l.Kind, l.Text}
	if f.notes++; f.notes <= maxNotes {
		f.result.Notes = append(f.result.Notes, n)
	}
	return &n, nil
}

func (f *fileReader) end(line []byte) error {
	var l endLine
	if err := f.strict(line, &l); err != nil {
		return err
	}
	for i, s := range l.Shards {
		present := slices.ContainsFunc(f.result.Shards, func(p Shard) bool { return p.Shard == s.Shard })
		switch {
		case !present || i > 0 && s.Shard <= l.Shards[i-1].Shard:
			return f.lines.errorf("the end of shard %d is out of range or order", s.Shard)
		case len(s.Missing) > MaxExamples:
			return f.lines.errorf("more than %d examples", MaxExamples)
		}
		f.result.Ends = append(f.result.Ends, End{s.Shard, time.Duration(s.AtNS), s.Complete, s.Reason, s.Forgotten, s.Missing})
	}
	f.result.Lost = append(f.result.Lost, l.Lost...)
	switch {
	case l.Samples != f.sum.Samples || !equalTotals(l.Totals, f.sum.Totals):
		f.result.Lost = append(f.result.Lost, "intervals do not add up to the totals: lines are missing")
	case l.Check != "" && l.Check != f.check.String():
		f.result.Lost = append(f.result.Lost, "lines are missing, repeated, reordered or changed")
	}
	return nil
}

func equalTotals(a, b map[string]map[string]int64) bool {
	return maps.EqualFunc(a, b, func(a, b map[string]int64) bool { return maps.Equal(a, b) })
}
