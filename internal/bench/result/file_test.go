package result

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"

	"github.com/mqtools/mqtools/mqtt/packet"
)

func someRun(shards int) Run {
	return Run{Tool: "1.2.3", Plan: Plan{Name: "oms/p2p-1k", Hash: "abc", Text: "scenario: x\n", Scale: 1, Header: true}, Shards: shards, Step: time.Second}
}

func someShard(n int) Shard {
	return Shard{
		Shard: n, Epoch: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Engine: "lite", Command: []string{"mqbench", "run"}, NoDelay: true,
		Environment: Environment{Hostname: fmt.Sprint("host", n), CPUs: 2},
	}
}

// drawShard draws the result of one shard. Its bounds may be such that slots have no,
// one or several intervals.
func drawShard(t *rapid.T, n, shards int) *Result {
	r := &Result{Run: someRun(shards), Shards: []Shard{someShard(n)}}
	at := time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "begin"))
	for range rapid.IntRange(0, 6).Draw(t, "intervals") {
		end := at + time.Duration(rapid.Int64Range(1, 15e8).Draw(t, "length"))
		i := NewInterval(rapid.SampledFrom(phases).Draw(t, "phase"), at, end)
		at = end
		for range rapid.IntRange(0, 3).Draw(t, "counts") {
			i.Count(rapid.SampledFrom([]Counter{Sent, Delivered}).Draw(t, "counter"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "group"),
				packet.QoS(rapid.IntRange(0, 3).Draw(t, "qos")), rapid.Int64Range(0, 1e6).Draw(t, "n"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "values") {
			k := Key{rapid.SampledFrom([]Op{Connect, Delivery}).Draw(t, "op"), rapid.SampledFrom([]Kind{Response, Lag}).Draw(t, "kind"), "a"}
			i.Histogram(k).Record(time.Duration(rapid.Int64Range(-1e6, 400e9).Draw(t, "d")), rapid.Int64Range(1, 1000).Draw(t, "n"))
		}
		i.Gauges[GaugeConnected] = rapid.Int64Range(0, 100).Draw(t, "connected")
		i.Gauges[GaugeCPU] = rapid.Int64Range(0, 1000).Draw(t, "cpu")
		r.Intervals = append(r.Intervals, i)
	}
	if rapid.Bool().Draw(t, "note") {
		r.Notes = []Note{{At: at, Shard: n, Kind: NoteError, Text: "broken\npipe"}}
	}
	if rapid.Bool().Draw(t, "ends") {
		r.Ends = []End{{Shard: n, At: at, Complete: true, Missing: []MissingRange{{1, 2, 3, 4}}}}
	}
	return r
}

// text returns a result's file, for comparing results.
func text(t interface{ Fatal(...any) }, r *Result) string {
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readOne(s string) (*Result, error) {
	all, err := Read(strings.NewReader(s), "run.jsonl")
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%d results, want 1", len(all))
	}
	return all[0], nil
}

func TestFileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawShard(t, 1, 3)
		file := text(t, r)
		back, err := readOne(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, back); got != file {
			t.Fatalf("got\n%s\nwant\n%s", got, file)
		}
		if !reflect.DeepEqual(back.Run, r.Run) || !reflect.DeepEqual(back.Shards, r.Shards) || len(back.Lost) != 0 {
			t.Fatalf("got %+v, want %+v", back, r)
		}
		line, err := AppendLine([]byte("2026-01-02T03:04:05Z "), r, 1000)
		if err != nil {
			t.Fatal(err)
		}
		back, err = readOne("starting\n" + string(line) + "\r\ndone\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, back); got != file {
			t.Fatalf("from one line: got\n%s\nwant\n%s", got, file)
		}
	})
}

func TestMergeIsExactAndOrderFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "shards")
		var shards []*Result
		for i := range n {
			shards = append(shards, drawShard(t, i, n+1))
		}
		merge := func(results ...*Result) *Result {
			m, err := Merge(results...)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		all := merge(shards...)
		want := text(t, all)
		permuted := rapid.Permutation(shards).Draw(t, "order")
		if got := text(t, merge(permuted...)); got != want {
			t.Fatalf("in another order:\n%s\nwant\n%s", got, want)
		}
		nested := permuted[0]
		for _, s := range permuted[1:] {
			nested = merge(nested, s)
		}
		if got := text(t, merge(nested)); got != want {
			t.Fatalf("one after the other:\n%s\nwant\n%s", got, want)
		}
		// Nothing is lost or added: recomputed by hand, over all shards and intervals.
		counters := make(map[CounterKey]int64)
		buckets := make(map[Key]map[time.Duration]int64)
		for _, s := range shards {
			for _, i := range s.Intervals {
				for k, v := range i.Counters {
					counters[k] += v
				}
				for k, h := range i.Histograms {
					if buckets[k] == nil {
						buckets[k] = make(map[time.Duration]int64)
					}
					for d, n := range h.Buckets {
						buckets[k][d] += n
					}
				}
			}
		}
		for what, sum := range map[string]*Interval{"merged": all.Sum(), "coarse": all.Coarsen(7 * time.Second).Sum()} {
			if !reflect.DeepEqual(sum.Counters, counters) {
				t.Fatalf("%s: counters %v, want %v", what, sum.Counters, counters)
			}
			got := make(map[Key]map[time.Duration]int64)
			for k, h := range sum.Histograms {
				got[k] = make(map[time.Duration]int64)
				for d, n := range h.Buckets {
					got[k][d] = n
				}
			}
			if !reflect.DeepEqual(got, buckets) {
				t.Fatalf("%s: buckets %v, want %v", what, got, buckets)
			}
		}
		if absent := all.Absent(); !slices.Equal(absent, []int{n}) || !strings.Contains(all.Partial(), fmt.Sprintf("no result of shard %d", n)) {
			t.Fatalf("absent %v, partial %q", absent, all.Partial())
		}
	})
}

func TestMergeRefusals(t *testing.T) {
	with := func(change func(*Result)) *Result {
		r := &Result{Run: someRun(2), Shards: []Shard{someShard(1)}}
		change(r)
		return r
	}
	base := &Result{Run: someRun(2), Shards: []Shard{someShard(0)}}
	for _, c := range []struct {
		name, want string
		r          *Result
	}{
		{"takes the other shard", "", with(func(*Result) {})},
		{"refuses the same shard", "shard 0 occurs twice", with(func(r *Result) { r.Shards = []Shard{someShard(0)} })},
		{"refuses another plan", "plans differ: oms/p2p-1k (abc) and oms/p2p-1k (abd)", with(func(r *Result) { r.Run.Plan.Hash = "abd" })},
		{"refuses another text under one hash", "plans have the same hash abc and differ", with(func(r *Result) { r.Run.Plan.Text = "" })},
		{"refuses another count", "a run of 2 shards and one of 3", with(func(r *Result) { r.Run.Shards = 3 })},
		{"refuses another version", "different versions: 1.2.3 and 1.2.4", with(func(r *Result) { r.Run.Tool = "1.2.4" })},
		{"refuses another repetition", "repetitions 0 and 1", with(func(r *Result) { r.Run.Repeat = 1 })},
	} {
		_, err := Merge(base, c.r)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) && err != nil {
			t.Errorf("it %s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Merge(); err == nil {
		t.Error("nothing is merged")
	}
}

func TestMergeAddsAndMaximizesGauges(t *testing.T) {
	shard := func(n int, connected, cpu int64) *Result {
		i := NewInterval(PhaseMeasure, time.Second, 2*time.Second)
		i.Gauges[GaugeConnected], i.Gauges[GaugeCPU] = connected, cpu
		i.End = 1500 * time.Millisecond
		later := NewInterval(PhaseMeasure, 1500*time.Millisecond, 2*time.Second) // the same second again
		later.Gauges[GaugeConnected], later.Gauges[GaugeCPU] = connected-1, cpu+100
		return &Result{Run: someRun(2), Shards: []Shard{someShard(n)}, Intervals: []*Interval{i, later}}
	}
	m, err := Merge(shard(0, 100, 300), shard(1, 50, 200))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Intervals) != 1 || m.Intervals[0].Gauges[GaugeConnected] != 150 || m.Intervals[0].Gauges[GaugeCPU] != 350 {
		t.Errorf("got %+v", m.Intervals[0])
	}
}

func sampleFile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, someRun(1), someShard(0))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		i := NewInterval(PhaseMeasure, time.Duration(n)*time.Second, time.Duration(n+1)*time.Second)
		i.Count(Sent, "a", 1, 10)
		i.Gauges[GaugeConnected] = 5
		i.Histogram(Key{Delivery, Response, "a"}).Record(time.Millisecond, 10)
		w.Interval(i)
	}
	w.Note(Note{At: time.Second, Kind: NoteFault, Text: "cut"})
	if err := w.End(End{At: 3 * time.Second, Complete: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestKilledRun: whatever was written of a file when the run was killed is read, and
// reported as partial.
func TestKilledRun(t *testing.T) {
	file := sampleFile(t)
	header := strings.Index(file, "\n") + 1
	for n := header; n < len(file); n++ {
		r, err := readOne(file[:n])
		if err != nil {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		intervals := strings.Count(file[:n], "\"type\":\"interval\"")
		if !strings.HasSuffix(file[:n], "\n") && file[n] != '\n' && intervals > 0 && strings.LastIndex(file[:n], `{"type":"interval"`) > strings.LastIndex(file[:n], "\n") {
			intervals-- // it is cut off
		}
		if n < len(file)-1 && r.Partial() == "" {
			t.Fatalf("the first %d bytes of %d are the whole run", n, len(file))
		}
		if len(r.Intervals) != intervals {
			t.Fatalf("the first %d bytes have %d intervals, want %d", n, len(r.Intervals), intervals)
		}
	}
	if r, err := readOne(file); err != nil || r.Partial() != "" {
		t.Errorf("the whole file: %v, %q", err, r.Partial())
	}
}

func TestReadRefusals(t *testing.T) {
	file := sampleFile(t)
	lines := strings.SplitAfter(file, "\n")
	encode := func(h *hdr.Histogram, v int64) string {
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
		b, err := h.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	histogram := func(encoded string) string {
		at := strings.Index(lines[1], `"hdr":"`) + 7
		return lines[0] + lines[1][:at] + encoded + lines[1][at+strings.Index(lines[1][at:], `"`):]
	}
	replace := func(line int, old, new string) string {
		if !strings.Contains(lines[line], old) {
			t.Fatalf("line %d has no %q: %s", line+1, old, lines[line])
		}
		changed := slices.Clone(lines)
		changed[line] = strings.Replace(changed[line], old, new, 1)
		return strings.Join(changed, "")
	}
	good, err := AppendLine(nil, &Result{Run: someRun(1), Shards: []Shard{someShard(0)}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file, want string }{
		{"an empty file", "", "run.jsonl: no result in it"},
		{"a header that is cut off", file[:50], "run.jsonl:1: the line is cut off"},
		{"another log", "hello\nworld\n", "run.jsonl: no result in it"},
		{"a file without its header", strings.Join(lines[1:], ""), "run.jsonl:1: not a header line"},
		{"text behind the end", file + "hello\n", "run.jsonl:7: not a header line"},
		{"another format", replace(0, `"format":1`, `"format":2`), "run.jsonl:1: result format 2; this version of mqbench reads format 1"},
		{"a misspelt member", replace(2, `"phase"`, `"phaze"`), `run.jsonl:3: unknown field "phaze"`},
		{"another phase", replace(2, `"measure"`, `"lunch"`), `run.jsonl:3: unknown phase "lunch"`},
		{"another counter", replace(2, `"sent.qos1"`, `"sent.qos4"`), `run.jsonl:3: unknown counter "sent.qos4"`},
		{"a negative counter", replace(2, `"sent.qos1":10`, `"sent.qos1":-10`), "run.jsonl:3: counter sent.qos1 is out of range: -10"},
		{"a counter that overflows", replace(2, `"sent.qos1":10`, `"sent.qos1":9223372036854775807`), "run.jsonl:3: counter sent.qos1 is out of range"},
		{"another gauge", replace(2, `"connected"`, `"conected"`), `run.jsonl:3: unknown gauge "conected"`},
		{"an interval that ends before it starts", replace(2, `"end_ns":2000000000`, `"end_ns":1`), "run.jsonl:3: an interval from 1000000000 to 1 ns"},
		{"another line", replace(2, `"type":"interval"`, `"type":"pause"`), "run.jsonl:3: not a line of a result"},
		{"a broken line in the middle", replace(2, `}`, ``), "run.jsonl:3: "},
		{"no step", replace(0, `"step_ns":1000000000`, `"step_ns":0`), "run.jsonl:1: step_ns 0"},
		{"no shards", replace(0, `"shards":1`, `"shards":0`), "run.jsonl:1: shards 0 is not from 1 to 4096"},
		{"a shard that is none", replace(0, `"shard":0`, `"shard":1`), "run.jsonl:1: shard 1 of 1 is out of range"},
		{"another operation", replace(2, `"op":"delivery"`, `"op":"delivary"`), "run.jsonl:3: histogram of delivary response: unknown operation"},
		{"no base64", histogram("!!!"), "run.jsonl:2: histogram of delivery response: "},
		{"a short histogram", histogram("SElT"), "run.jsonl:2: histogram of delivery response: cut off or damaged"},
		{"a layout that takes much memory", histogram(encode(hdr.New(1, 1<<62, 5), 5)), "its layout is 1 to 4611686018427387904 with 5 digits"},
		{"a value above the range", histogram(encode(hdr.New(lowest, highest, digits), 500_000_000)), "a value of 499908608 us"},
		{"a line that is not base64", linePrefix + "%%%\n", "run.jsonl:1: the line of the result is cut off or damaged"},
		{"a line that is not packed", linePrefix + "aGVsbG8gd29ybGQhISEhISE=\n", "run.jsonl:1: the line of the result is cut off or damaged"},
		{"a line that is cut off", "x\n" + string(good[:len(good)-12]) + "\n", "run.jsonl:2"},
	} {
		r, err := readOne(c.file)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want %q", c.name, r, err, c.want)
		}
	}
	lost := strings.Join(slices.Delete(slices.Clone(lines), 2, 3), "")
	if r, err := readOne(lost); err != nil || !strings.Contains(r.Partial(), "intervals do not add up") {
		t.Errorf("a file without one of its lines: %v", err)
	}
	if _, err := Read(strings.NewReader(file+file), "two"); err != nil {
		t.Errorf("two results in one file: %v", err)
	}
}

// TestReadingHostileFilesTakesBoundedMemory: intervals full of values that compress
// well are coarsened.
func TestReadingHostileFilesTakesBoundedMemory(t *testing.T) {
	const limit = 4 << 20
	i := NewInterval(PhaseMeasure, 0, time.Second)
	dense := hdr.New(lowest, highest, digits)
	for v := int64(1); v < highest; v += max(1, v>>11) {
		dense.RecordValue(v)
	}
	for op := range Op(4) {
		i.Histogram(Key{op, Lag, "a"}).h.MergeFrom(dense)
	}
	each := i.Histogram(Key{Connect, Lag, "a"}).memory() * int64(len(i.Histograms))
	line := func(n int) string {
		var b bytes.Buffer
		i.Start, i.End = time.Duration(n)*time.Second, time.Duration(n+1)*time.Second
		w := &Writer{w: &b, total: NewInterval("", 0, 0)}
		if err := w.Interval(i); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := line(0)
	n := int(3*limit/each) + 1
	file := strings.Builder{}
	file.WriteString(strings.SplitAfter(sampleFile(t), "\n")[0])
	for k := range n {
		file.WriteString(strings.Replace(first, `"start_ns":0,"end_ns":1000000000`, fmt.Sprintf(`"start_ns":%d,"end_ns":%d`, int64(k)*1e9, int64(k+1)*1e9), 1))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all, err := read(strings.NewReader(file.String()), "run.jsonl", limit)
	if err != nil {
		t.Fatal(err)
	}
	r := all[0]
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > limit {
		t.Errorf("a file of %d MB takes %d MB", file.Len()>>20, held>>20)
	}
	if r.Run.Step < 2*time.Second {
		t.Errorf("the step is %v, want at least 2s", r.Run.Step)
	}
	if got, want := r.Sum().Histogram(Key{Connect, Lag, "a"}).Count(), int64(n)*dense.TotalCount(); got != want {
		t.Errorf("%d values, want %d", got, want)
	}
}

func TestLineCoarsens(t *testing.T) {
	r, err := readOne(sampleFile(t))
	if err != nil {
		t.Fatal(err)
	}
	line, err := AppendLine(nil, r, 1)
	if err != nil {
		t.Fatal(err)
	}
	back, err := readOne(string(line))
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Intervals) != 1 || back.Run.Step != 4*time.Second || back.Partial() != "" || back.Sum().Counters[CounterKey{"sent", "a", 1}] != 30 {
		t.Errorf("got %d intervals of %v, %q", len(back.Intervals), back.Run.Step, back.Partial())
	}
}

// failingWriter accepts n writes.
type failingWriter struct {
	n int
	bytes.Buffer
}

var errFull = errors.New("no space left on device")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n--; w.n < 0 {
		w.Buffer.Write(p[:len(p)/2])
		return len(p) / 2, errFull
	}
	return w.Buffer.Write(p)
}

func TestFullDiskIsReportedOnce(t *testing.T) {
	f := &failingWriter{n: 2}
	w, err := NewWriter(f, someRun(1), someShard(0))
	if err != nil {
		t.Fatal(err)
	}
	reported := 0
	for n := range 4 {
		i := NewInterval(PhaseMeasure, time.Duration(n)*time.Second, time.Duration(n+1)*time.Second)
		i.Count(Sent, "a", 1, 10)
		if err := w.Interval(i); err != nil {
			reported++
			if !errors.Is(err, errFull) {
				t.Errorf("got %v", err)
			}
		}
	}
	if err := w.End(End{Complete: true}); err != nil || reported != 1 || !errors.Is(w.Err(), errFull) {
		t.Errorf("reported %d times, then %v; Err %v", reported, err, w.Err())
	}
	r, err := readOne(f.String())
	if err != nil || len(r.Intervals) != 1 || r.Partial() == "" {
		t.Errorf("what was written: %+v, %v", r, err)
	}
}

func TestPartial(t *testing.T) {
	r := &Result{Run: someRun(12), Shards: []Shard{someShard(0), someShard(1), someShard(11)}, Ends: []End{{Shard: 0, Complete: true}, {Shard: 1, Reason: "interrupted by a signal"}}}
	want := "no result of shards 2, 3, 4, 5, 6, 7, 8, 9 and 1 more; shard 1: interrupted by a signal; shard 11: the result has no last line: the run was killed, or the file cut off"
	if got := r.Partial(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzRead(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds in testdata", err)
	}
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		results, err := Read(bytes.NewReader(b), "f")
		if err != nil {
			return
		}
		for _, r := range results {
			r.Partial()
			back, err := readOne(text(t, r))
			if err != nil {
				t.Fatalf("what was read and written is not read again: %v", err)
			}
			if !reflect.DeepEqual(back.Sum().Counters, r.Sum().Counters) {
				t.Fatal("counters differ")
			}
		}
	})
}

// TestMemoryIsBoundedOverAllResults: many results in one file share the bound.
func TestMemoryIsBoundedOverAllResults(t *testing.T) {
	file := sampleFile(t)
	if _, err := read(strings.NewReader(strings.Repeat(file, 3)), "f", 1<<20); err != nil {
		t.Error(err)
	}
	if _, err := read(strings.NewReader(strings.Repeat(file, 1000)), "f", 1<<20); err == nil || !strings.Contains(err.Error(), "more than fits into memory") {
		t.Errorf("got %v", err)
	}
}
