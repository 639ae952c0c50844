package result

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Partial returns in a few words why a result is not the whole of its run, or "".
func (r *Result) Partial() string {
	var why []string
	if absent := r.Absent(); len(absent) > 0 {
		why = append(why, "no result of "+shardList(absent))
	}
	ended := make(map[int]End)
	for _, e := range r.Ends {
		ended[e.Shard] = e
	}
	shards := make(map[string][]int) // by reason
	var reasons []string
	for _, s := range r.Shards {
		e, ok := ended[s.Shard]
		reason := cmp.Or(e.Reason, "interrupted")
		switch {
		case !ok:
			reason = "the result has no last line: the run was killed, or the file cut off"
		case e.Complete:
			continue
		}
		if shards[reason] == nil {
			reasons = append(reasons, reason)
		}
		shards[reason] = append(shards[reason], s.Shard)
	}
	for _, reason := range reasons {
		if r.Run.Shards > 1 {
			reason = shardList(shards[reason]) + ": " + reason
		}
		why = append(why, reason)
	}
	return strings.Join(append(why, r.Lost...), "; ")
}

// Whole reports whether the shards that are present ran to the end of the plan.
func (r *Result) Whole() bool {
	part := *r
	part.Run.Shards = 0 // so that no shard counts as absent
	return part.Partial() == ""
}

// Absent returns the shards of the run that the result does not contain.
func (r *Result) Absent() []int {
	var absent []int
	for n := range r.Run.Shards {
		if !slices.ContainsFunc(r.Shards, func(s Shard) bool { return s.Shard == n }) {
			absent = append(absent, n)
		}
	}
	return absent
}

func shardList(shards []int) string {
	const most = 8
	words := make([]string, 0, most)
	for _, s := range shards[:min(len(shards), most)] {
		words = append(words, strconv.Itoa(s))
	}
	list := "shard "
	if len(shards) > 1 {
		list = "shards "
	}
	list += strings.Join(words, ", ")
	if len(shards) > most {
		list += fmt.Sprintf(" and %d more", len(shards)-most)
	}
	return list
}

// Merge adds up the results of the shards of one run. Counters and histograms are added
// exactly, bucket by bucket. Intervals are aligned by the time since the shards'
// epochs, which --start-at makes the same. Merged results can be merged again, in any
// order and grouping, with the same outcome.
//
// Merge returns an error for results of different plans, formats, numbers of shards or
// repetitions, and for a shard that occurs twice. Absent shards are not an error: see
// Absent and Partial.
func Merge(results ...*Result) (*Result, error) {
	if len(results) == 0 {
		return nil, fmt.Errorf("nothing to merge")
	}
	first := results[0].Run
	merged := &Result{Run: first}
	for _, r := range results {
		merged.Run.Step = max(merged.Run.Step, r.Run.Step)
	}
	at := make(map[slot]*Interval)
	for _, r := range results {
		if err := mergeable(first, r.Run); err != nil {
			return nil, err
		}
		for _, s := range r.Shards {
			if slices.ContainsFunc(merged.Shards, func(m Shard) bool { return m.Shard == s.Shard }) {
				return nil, fmt.Errorf("shard %d occurs twice", s.Shard)
			}
			merged.Shards = append(merged.Shards, s)
		}
		for key, i := range r.slots(merged.Run.Step) {
			if at[key] == nil {
				at[key] = i
			} else {
				at[key].merge(i, acrossShards)
			}
		}
		merged.Notes = append(merged.Notes, r.Notes...)
		merged.Ends = append(merged.Ends, r.Ends...)
		merged.Lost = append(merged.Lost, r.Lost...)
	}
	merged.Intervals = sorted(at)
	slices.SortFunc(merged.Shards, func(a, b Shard) int { return a.Shard - b.Shard })
	slices.SortFunc(merged.Ends, func(a, b End) int { return a.Shard - b.Shard })
	slices.SortFunc(merged.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.At, b.At), a.Shard-b.Shard, cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	slices.Sort(merged.Lost)
	return merged, nil
}

// mergeable returns an error that says why two runs are not the same one.
func mergeable(a, b Run) error {
	switch {
	case a.Plan.Hash != b.Plan.Hash:
		return fmt.Errorf("plans differ: %s (%s) and %s (%s)", a.Plan.Name, a.Plan.Hash, b.Plan.Name, b.Plan.Hash)
	case a.Plan != b.Plan:
		return fmt.Errorf("plans have the same hash %s and differ", a.Plan.Hash)
	case a.Tool != b.Tool:
		return fmt.Errorf("shards were run by different versions: %s and %s", a.Tool, b.Tool)
	case a.Shards != b.Shards:
		return fmt.Errorf("a run of %d shards and one of %d", a.Shards, b.Shards)
	case a.Repeat != b.Repeat:
		return fmt.Errorf("repetitions %d and %d of a run are compared, not merged", a.Repeat, b.Repeat)
	}
	return nil
}

// slot is the key by which intervals are aligned.
type slot struct {
	step  time.Duration // Start in whole steps
	phase Phase
}

// slots merges the intervals of a result that fall into the same slot of a step's
// width. The intervals returned are copies.
func (r *Result) slots(step time.Duration) map[slot]*Interval {
	at := make(map[slot]*Interval)
	for _, i := range r.Intervals {
		key := slot{i.Start / step, i.Phase}
		if at[key] == nil {
			at[key] = NewInterval(i.Phase, i.Start, i.End)
		}
		at[key].merge(i, overTime)
	}
	return at
}

func sorted(at map[slot]*Interval) []*Interval {
	list := make([]*Interval, 0, len(at))
	for _, i := range at {
		list = append(list, i)
	}
	slices.SortFunc(list, compareIntervals)
	return list
}

func compareIntervals(a, b *Interval) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Index(phases, a.Phase)-slices.Index(phases, b.Phase), cmp.Compare(a.End, b.End))
}

// acrossShards merges a gauge of two shards at the same time.
func acrossShards(g Gauge, a, b *Interval) int64 {
	if gaugeAdds[g] {
		return a.Gauges[g] + b.Gauges[g]
	}
	return max(a.Gauges[g], b.Gauges[g])
}

// overTime merges a gauge of two times. It keeps the highest value, but the mean for
// shares of processors: otherwise one busy second would stand for a minute.
func overTime(g Gauge, a, b *Interval) int64 {
	x, y := a.Gauges[g], b.Gauges[g]
	if span, more := a.End-a.Start, b.End-b.Start; (g == GaugeCPU || g == GaugeMachineCPU) && span+more > 0 {
		share := float64(more) / float64(span+more)
		return x + int64(math.Round(float64(y-x)*share))
	}
	return max(x, y)
}

// Coarsen returns the result with intervals of a longer step. Counters and histograms
// stay exact. A gauge becomes its highest value, a share of processors its mean.
func (r *Result) Coarsen(step time.Duration) *Result {
	coarse := *r
	coarse.Run.Step = step
	coarse.Intervals = sorted(r.slots(step))
	return &coarse
}

// Sum merges all intervals of the given phases, of all phases without arguments.
func (r *Result) Sum(in ...Phase) *Interval {
	var sum *Interval
	for _, i := range r.Intervals {
		if len(in) > 0 && !slices.Contains(in, i.Phase) {
			continue
		}
		if sum == nil {
			sum = NewInterval(i.Phase, i.Start, i.End)
		}
		sum.merge(i, overTime)
	}
	if sum == nil {
		sum = NewInterval("", 0, 0)
	}
	return sum
}
