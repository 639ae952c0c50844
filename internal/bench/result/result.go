package result

import (
	"maps"
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Result is a run: one shard as read from its file, or several merged.
type Result struct {
	Run       Run
	Shards    []Shard     // those present, by number
	Intervals []*Interval // by time
	Notes     []Note      // by time
	Ends      []End       // of the shards that wrote their end line, by number
	// Lost lists what is known to be missing from the files, one text for each. A
	// result that has lost something is partial.
	Lost []string
}

// End is the last thing that a shard writes.
type End struct {
	Shard     int
	At        time.Duration  // since the epoch
	Complete  bool           // the whole plan was run; false: it was interrupted
	Reason    string         // why it is not complete
	Forgotten int64          // missing messages that the checkers' bounds made them forget
	Missing   []MissingRange // examples of what was not received; at most MaxExamples are kept
}

// MaxExamples is how many examples of missing messages a result keeps: the first, by
// subscriber, publisher and sequence number.
const MaxExamples = 100

// Interval is what a run did in about one Step.
type Interval struct {
	Start, End time.Duration // since the epoch
	Phase      Phase         // an interval belongs to one phase: cut it where a phase ends
	Counters   map[CounterKey]int64
	Gauges     map[Gauge]int64
	Histograms map[Key]*Histogram
}

// NewInterval returns an empty interval.
func NewInterval(phase Phase, start, end time.Duration) *Interval {
	return &Interval{
		Start: start, End: end, Phase: phase,
		Counters:   make(map[CounterKey]int64),
		Gauges:     make(map[Gauge]int64),
		Histograms: make(map[Key]*Histogram),
	}
}

// Take adds what a recorder recorded, and empties the batch.
func (i *Interval) Take(b *Batch) {
	for at, n := range b.counters {
		if n != 0 {
			counter := Counter(at / qosSlots % int(numCounters))
			i.Counters[CounterKey{counter.String(), b.groups[at/qosSlots/int(numCounters)], packet.QoS(at % qosSlots)}] += n
		}
	}
	clear(b.counters)
	for k, n := range b.reasons {
		i.Counters[CounterKey{reasonName(k.t, k.code), b.groups[k.group], NoQoS}] += n
	}
	clear(b.reasons)
	for k, n := range b.errors {
		i.Counters[CounterKey{"error." + k.what + "." + k.kind, b.groups[k.group], NoQoS}] += n
	}
	clear(b.errors)
	for at, d := range b.histograms {
		if d == nil || d.h.TotalCount() == 0 {
			continue
		}
		op := at / int(numKinds)
		h := i.Histogram(Key{Op(op % int(numOps)), Kind(at % int(numKinds)), b.groups[op/int(numOps)]})
		h.Below += d.below
		h.Above += d.above
		h.h.MergeFrom(d.h)
		d.h.Reset()
		d.below, d.above = 0, 0
	}
}

// Histogram returns the interval's histogram for a key, and creates it if there is
// none.
func (i *Interval) Histogram(key Key) *Histogram {
	h := i.Histograms[key]
	if h == nil {
		h = NewHistogram()
		i.Histograms[key] = h
	}
	return h
}

// Keys returns the keys of the histograms, in the order of Op, Kind and Group.
func (i *Interval) Keys() []Key { return slices.SortedFunc(maps.Keys(i.Histograms), compareKeys) }

// Totals holds an interval's counters over all groups and QoS, by name.
type Totals map[string]int64

// Totals adds up the counters.
func (i *Interval) Totals() Totals {
	t := make(Totals)
	for k, n := range i.Counters {
		t[k.Name] += n
	}
	return t
}

// Of returns the sum of the given counters.
func (t Totals) Of(counters ...Counter) (n int64) {
	for _, c := range counters {
		n += t[c.String()]
	}
	return n
}

// Merged returns copies of the histograms over all groups, those that have values.
// Their keys have no group.
func (i *Interval) Merged() map[Key]*Histogram {
	merged := make(map[Key]*Histogram)
	for k, h := range i.Histograms {
		k.Group = ""
		switch {
		case h.Count() == 0:
		case merged[k] == nil:
			merged[k] = h.Clone()
		default:
			merged[k].Merge(h)
		}
	}
	return merged
}

// Count adds n to a counter, as Recorder.Count does. An empty group is the run itself.
func (i *Interval) Count(c Counter, group string, qos packet.QoS, n int64) {
	i.Counters[CounterKey{c.String(), group, qos}] += n
}

// Add adds another interval of the same run. A gauge becomes the higher value, a share
// of processors the mean over time.
func (i *Interval) Add(from *Interval) { i.merge(from, overTime) }

// merge adds an interval of another shard, or of the same one at another time.
func (i *Interval) merge(from *Interval, gauge func(g Gauge, a, b *Interval) int64) {
	for g, v := range from.Gauges {
		if _, ok := i.Gauges[g]; ok {
			v = gauge(g, i, from)
		}
		i.Gauges[g] = v
	}
	i.Start, i.End = min(i.Start, from.Start), max(i.End, from.End)
	for k, n := range from.Counters {
		i.Counters[k] += n
	}
	for k, h := range from.Histograms {
		i.Histogram(k).Merge(h)
	}
}
