package result

import (
	"io"
	"math"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The one layout of all histograms, in microseconds.
const (
	lowest  = 1
	highest = 300_000_000
	digits  = 3
)

// MinValue and MaxValue are the smallest and the largest duration that a histogram can
// hold.
const (
	MinValue = lowest * time.Microsecond
	MaxValue = highest * time.Microsecond
)

// tail is how many samples must lie above a percentile.
const tail = 10

// Histogram is a distribution of durations, kept sparse: it takes a few bytes for each
// distinct value. It is not safe for concurrent use.
type Histogram struct {
	// Below and Above count the values below zero and above MaxValue, which were
	// recorded as MinValue and MaxValue.
	Below, Above int64

	h *hdr.PackedHistogram
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram { return &Histogram{h: hdr.NewPacked(lowest, highest, digits)} }

// Record adds n values of d, as Recorder.Record does. It is for tests and small
// numbers: recorders are faster.
func (h *Histogram) Record(d time.Duration, n int64) {
	v, below, above := microseconds(d)
	if h.h.RecordValues(v, n) != nil {
		panic("result: a clamped value is out of range")
	}
	h.Below += below * n
	h.Above += above * n
}

// microseconds returns the value that is recorded for a duration: rounded up, so that
// no figure flatters, at least 1 and at most highest.
func microseconds(d time.Duration) (v, below, above int64) {
	switch {
	case d <= 0:
		if d < 0 {
			below = 1
		}
		return lowest, below, 0
	case d > MaxValue:
		return highest, 0, 1
	}
	return (int64(d) + 999) / 1000, 0, 0
}

// Merge adds another histogram, bucket by bucket.
func (h *Histogram) Merge(from *Histogram) {
	h.Below += from.Below
	h.Above += from.Above
	h.h.Merge(from.h)
}

// Clone returns an independent copy.
func (h *Histogram) Clone() *Histogram {
	return &Histogram{Below: h.Below, Above: h.Above, h: h.h.Clone()}
}

// Count returns how many values were recorded.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// StdDev returns the standard deviation.
func (h *Histogram) StdDev() time.Duration {
	return time.Duration(h.h.StdDev() * float64(time.Microsecond))
}

// Max returns the largest value to three digits, 0 if there is none.
func (h *Histogram) Max() time.Duration { return min(fromMicroseconds(h.h.Max()), MaxValue) }

// Min returns the smallest value to three digits, 0 if there is none.
func (h *Histogram) Min() time.Duration { return fromMicroseconds(h.h.Min()) }

// Mean returns the arithmetic mean, 0 if there is no value.
func (h *Histogram) Mean() time.Duration {
	return time.Duration(h.h.Mean() * float64(time.Microsecond))
}

// Percentile returns the value that p per cent of the values are below or equal to. If
// fewer than ten values lie above that share, ok is false: one odd value would
// determine it.
func (h *Histogram) Percentile(p float64) (d time.Duration, ok bool) {
	return h.PercentileOfFew(p), float64(h.Count())*(100-p)/100 >= tail-1e-9
}

// Enough returns how many values are needed to know a percentile.
func Enough(p float64) int64 { return int64(math.Ceil((tail - 1e-9) * 100 / (100 - p))) }

// Known returns Percentile, or nil if it is not known. h may be nil: nothing is known
// then.
func (h *Histogram) Known(p float64) *time.Duration {
	if h == nil {
		return nil
	}
	d, ok := h.Percentile(p)
	if !ok {
		return nil
	}
	return &d
}

// PercentileOfFew returns the percentile however few the values are.
func (h *Histogram) PercentileOfFew(p float64) time.Duration {
	return min(fromMicroseconds(h.h.ValueAtPercentile(p)), MaxValue)
}

// Buckets calls f for each bucket that has values, in ascending order, with the
// bucket's lowest value, until f returns false. It is an [iter.Seq2].
func (h *Histogram) Buckets(f func(d time.Duration, n int64) bool) {
	h.h.ForEachBucket(func(v, n int64) bool { return f(fromMicroseconds(v), n) })
}

func fromMicroseconds(v int64) time.Duration { return time.Duration(v) * time.Microsecond }

// Encode returns the histogram in HdrHistogram's V2 format, compressed, in base64. Its
// values are microseconds.
func (h *Histogram) Encode() (string, error) {
	var e encoder
	return e.encode(h)
}

// WritePercentiles writes the percentile distribution in the text format of
// HdrHistogram's tools (.hgrm), in milliseconds.
func (h *Histogram) WritePercentiles(w io.Writer) error {
	dense := hdr.New(lowest, highest, digits)
	h.h.MergeInto(dense)
	_, err := dense.PercentilesPrint(w, 5, float64(time.Millisecond/time.Microsecond))
	return err
}

func (h *Histogram) memory() int64 { return int64(h.h.GetMemorySize()) + 256 }
