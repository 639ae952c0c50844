package bench

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// machine measures the resources that the run uses, in this process and on its machine.
type machine struct {
	at        time.Time
	cpu       time.Duration // of this process
	busy, all uint64        // of all processes, in clock ticks
	samples   []metrics.Sample
	pauses    []uint64
	waits     []uint64
}

const (
	metricHeap   = "/memory/classes/heap/objects:bytes"
	metricPauses = "/sched/pauses/total/gc:seconds"
	metricWaits  = "/sched/latencies:seconds"
)

func newMachine() *machine {
	m := &machine{at: time.Now(), cpu: processCPU(), samples: []metrics.Sample{{Name: metricHeap}, {Name: metricPauses}, {Name: metricWaits}}}
	m.busy, m.all = machineTicks()
	metrics.Read(m.samples)
	m.pauses = counts(&m.samples[1])
	m.waits = counts(&m.samples[2])
	return m
}

// measure sets the gauges of an interval that ends now.
func (m *machine) measure(i *result.Interval) {
	now, cpu := time.Now(), processCPU()
	if wall := now.Sub(m.at); wall > 0 {
		i.Gauges[result.GaugeCPU] = int64((cpu - m.cpu) * 1000 / (wall * time.Duration(result.Processors())))
	}
	m.at, m.cpu = now, cpu
	if busy, all := machineTicks(); all > m.all {
		i.Gauges[result.GaugeMachineCPU] = int64((busy - m.busy) * 1000 / (all - m.all))
		m.busy, m.all = busy, all
	}
	if rss := residentBytes(); rss > 0 {
		i.Gauges[result.GaugeRSS] = rss
	}
	if n := openFiles(); n > 0 {
		i.Gauges[result.GaugeFDs] = n
	}
	i.Gauges[result.GaugeGoroutines] = int64(runtime.NumGoroutine())
	metrics.Read(m.samples)
	if m.samples[0].Value.Kind() == metrics.KindUint64 {
		i.Gauges[result.GaugeHeap] = int64(m.samples[0].Value.Uint64())
	}
	if d, ok := quantile(&m.samples[1], m.pauses, 1); ok {
		i.Gauges[result.GaugeGCPause] = int64(d)
	}
	if d, ok := quantile(&m.samples[2], m.waits, 0.99); ok {
		i.Gauges[result.GaugeSchedP99] = int64(d)
	}
}

// counts copies the counts of a histogram.
func counts(s *metrics.Sample) []uint64 {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return append([]uint64(nil), s.Value.Float64Histogram().Counts...)
}

// quantile returns the bound below which the given share of the values lies that were
// added since before. It sets before to the present counts.
func quantile(s *metrics.Sample, before []uint64, share float64) (time.Duration, bool) {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return 0, false
	}
	h := s.Value.Float64Histogram()
	total := uint64(0)
	news := make([]uint64, len(h.Counts))
	for i, n := range h.Counts {
		news[i] = n - before[i]
		before[i] = n
		total += news[i]
	}
	if total == 0 {
		return 0, false
	}
	upTo, rank := uint64(0), uint64(float64(total)*share)
	for i, n := range news {
		if upTo += n; n > 0 && upTo >= rank {
			return time.Duration(max(h.Buckets[i], 0) * 1e9), true
		}
	}
	return 0, false
}
