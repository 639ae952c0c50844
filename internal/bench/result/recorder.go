package result

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Recorder records what one loop measures. It is not safe for concurrent use: the
// loop's lock must be held. Groups are identified by their index in the list passed to
// NewRecorder.
//
// A collector takes what was recorded so far with Swap, with the loop's lock held, and
// adds it to an interval with Interval.Take after it has released the lock:
//
//	loop.Do(func() { batch = recorder.Swap() })
//	interval.Take(batch)
type Recorder struct {
	now   *Batch // the batch being filled
	spare *Batch
}

// Batch is what a Recorder recorded between two swaps.
type Batch struct {
	groups     []string
	counters   []int64 // by group, counter and QoS
	histograms []*dense
	reasons    map[reasonKey]int64
	errors     map[errorKey]int64
}

// dense is a histogram that is fast to record into: 172 kB.
type dense struct {
	below, above int64
	h            *hdr.Histogram
}

type reasonKey struct {
	group int
	t     packet.Type
	code  packet.ReasonCode
}

type errorKey struct {
	group      int
	what, kind string
}

const qosSlots = int(NoQoS) + 1

// NewRecorder returns a recorder for the groups of a plan.
func NewRecorder(groups ...string) *Recorder {
	batch := func() *Batch {
		return &Batch{
			groups:     groups,
			counters:   make([]int64, len(groups)*int(numCounters)*qosSlots),
			histograms: make([]*dense, len(groups)*int(numOps)*int(numKinds)),
			reasons:    make(map[reasonKey]int64),
			errors:     make(map[errorKey]int64),
		}
	}
	return &Recorder{now: batch(), spare: batch()}
}

// Record records one duration of an operation of a group. Durations are rounded up to
// whole microseconds, zero to one. One below zero or above MaxValue is recorded as
// MinValue or MaxValue and counted in the histogram's Below or Above. Only the first
// value of each histogram allocates.
func (r *Recorder) Record(op Op, kind Kind, group int, d time.Duration) {
	slot := &r.now.histograms[(group*int(numOps)+int(op))*int(numKinds)+int(kind)]
	if *slot == nil {
		*slot = &dense{h: hdr.New(lowest, highest, digits)}
	}
	h := *slot
	v, below, above := microseconds(d)
	h.below += below
	h.above += above
	_ = h.h.RecordValue(v) // v is in range, and the count cannot reach 2^63
}

// Count adds n to a counter of a group. Counters without a QoS use NoQoS.
func (r *Recorder) Count(c Counter, group int, qos packet.QoS, n int64) {
	r.now.counters[(group*int(numCounters)+int(c))*qosSlots+int(qos)] += n
}

// CountReason counts a reason code that a packet of type t carried. It is meant for
// codes other than Success.
func (r *Recorder) CountReason(group int, t packet.Type, code packet.ReasonCode) {
	r.now.reasons[reasonKey{group, t, code}]++
}

// CountError counts a failure as error.WHAT.KIND: what failed (connect, read) and how
// (timeout, refused). Both are words of the program, never text from the network.
func (r *Recorder) CountError(group int, what, kind string) {
	r.now.errors[errorKey{group, what, kind}]++
}

// Swap returns what was recorded since the last Swap and starts a new batch. The batch
// belongs to the caller until the next call of Swap; the caller should pass it to
// Interval.Take before that. Otherwise its values come again with a later batch.
func (r *Recorder) Swap() *Batch {
	r.now, r.spare = r.spare, r.now
	return r.spare
}
