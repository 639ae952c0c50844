// Package metrics serves the measurements of a run to Prometheus while it runs.
package metrics

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mqtools/mqtools/internal/bench/result"
)

// Run describes a run.
type Run struct {
	Tool       string // version of mqtools
	Plan, Hash string
	Shard      string // I/N
	Clients    int
}

// Exporter adds up the intervals of runs. It is a [prometheus.Collector], and is safe
// for concurrent use.
type Exporter struct {
	descs descs

	mu         sync.Mutex
	run        Run
	phase      result.Phase // "": no run is in progress
	counters   map[result.CounterKey]int64
	gauges     map[result.Gauge]int64
	histograms map[result.Key]*histogram
}

// New returns an exporter without a run.
func New() *Exporter {
	return &Exporter{descs: newDescs(), counters: map[result.CounterKey]int64{}, gauges: map[result.Gauge]int64{}, histograms: map[result.Key]*histogram{}}
}

// Begin sets the run that begins now. Counters and histograms continue from those of
// the run before.
func (e *Exporter) Begin(r Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.run, e.phase = r, result.PhaseConnect
	clear(e.gauges)
}

// End notes that the run is over.
func (e *Exporter) End() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.phase = ""
	e.gauges[result.GaugeConnected] = 0
}

// Take adds an interval; its phase becomes that of the run.
func (e *Exporter) Take(i *result.Interval) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.phase = i.Phase
	maps.Copy(e.gauges, i.Gauges)
	for k, n := range i.Counters {
		e.counters[k] += n
	}
	for k, h := range i.Histograms {
		if e.histograms[k] == nil {
			e.histograms[k] = &histogram{counts: make([]uint64, len(bounds))}
		}
		e.histograms[k].add(h)
	}
}

// bounds are the bounds of the buckets in seconds, three for each power of ten.
var bounds = []float64{
	25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 30, 60, 120,
}

// histogram is a distribution in a few buckets. A value goes where the lowest value
// with the same three significant digits goes.
type histogram struct {
	counts []uint64 // up to each bound, cumulative
	count  uint64
	sum    float64 // seconds
}

func (h *histogram) add(from *result.Histogram) {
	h.count += uint64(from.Count())
	h.sum += from.Mean().Seconds() * float64(from.Count())
	for d, n := range from.Buckets {
		for at := len(bounds) - 1; at >= 0 && d <= time.Duration(bounds[at]*1e9+0.5); at-- {
			h.counts[at] += uint64(n)
		}
	}
}

// counterHelp maps each exported counter to its help text.
var counterHelp = map[result.Counter]string{
	result.Offered:        "Messages that were due by the plan.",
	result.Sent:           "PUBLISH packets passed to connections.",
	result.SentBytes:      "Bytes of their payloads.",
	result.Acked:          "Messages acknowledged with success (PUBACK, PUBCOMP).",
	result.Refused:        "Messages acknowledged with a failure.",
	result.Delivered:      "PUBLISH packets received with the header.",
	result.DeliveredBytes: "Bytes of their payloads.",
	result.Distinct:       "Messages received for the first time.",
	result.Duplicates:     "Messages received again.",
	result.Reordered:      "Messages received after a later one.",
	result.Unchecked:      "Messages that may or may not be duplicates.",
	result.Untimed:        "Messages whose latency is not known.",
	result.Corrupt:        "Messages with a corrupt payload.",
	result.Foreign:        "PUBLISH packets received without the header.",
	result.Expected:       "Deliveries owed by accepted messages to granted subscriptions.",
	result.Attempts:       "Connection attempts begun.",
	result.Connects:       "Connections accepted.",
	result.Failures:       "Connection attempts that failed.",
	result.Losses:         "Connections lost.",
	result.Subscribes:     "Subscriptions accepted.",
	result.Unsubscribes:   "UNSUBACK packets received.",
	result.Skipped:        "Messages due but not sent: the publisher was not connected.",
	result.Unaccepted:     "Messages not acknowledged before their connection closed.",
	result.Answered:       "Messages acknowledged with success, counted on acknowledgement.",
	result.Arrived:        "Messages received for the first time, counted on arrival.",
	result.Copies:         "Messages received again as MQTT allows.",
	result.Unsent:         "Messages due but not sent: there was no room for them.",
	result.Voided:         "Expected deliveries whose subscription ended first.",
	result.Surplus:        "Deliveries that arrived but were not expected.",
	result.Lost:           "Deliveries at QoS 1 and 2 that did not arrive.",
	result.Dropped:        "Deliveries at QoS 0 that did not arrive.",
	result.InFlight:       "Deliveries missing at the end that may have arrived later.",
	result.ExpectedAway:   "Deliveries expected in any shard.",
	result.DistinctAway:   "Messages received for the first time that other shards may have sent.",
	result.Ignored:        "Messages never acknowledged on connections that stayed up.",
	result.Unready:        "Clients that were not connected and subscribed at the end.",
	result.Planned:        "Clients that were to be connected at some time.",
	result.SessionsLost:   "Sessions that the broker did not keep.",
	result.Requests:       "Requests sent.",
	result.Unreplied:      "Requests without a reply in time.",
	result.WillsDue:       "Deliveries of wills that are owed.",
	result.Wills:          "Wills received.",
	result.Takeovers:      "Second connections accepted.",
	result.TakenOver:      "First connections that the broker closed then.",
	result.Unannounced:    "First connections closed without DISCONNECT 0x8E.",
	result.Returns:        "Clients reconnected after their connection was cut or lost.",
	result.Pongs:          "PINGRESP packets received.",
	result.Restless:       "Shards whose drain did not end quiet.",
	result.Settled:        "Shards that closed their accounts.",
}

// gaugeMetrics holds the gauges' names and what their values are divided by.
var gaugeMetrics = map[result.Gauge]struct {
	name, help string
	unit       float64
}{
	result.GaugeConnected:  {"connected_clients", "Clients connected.", 1},
	result.GaugeInFlight:   {"inflight_messages", "Messages due and waiting, or sent and not acknowledged.", 1},
	result.GaugeCPU:        {"generator_cpu_ratio", "Share of its processors that the generator uses.", 1000},
	result.GaugeMachineCPU: {"machine_cpu_ratio", "Share of the machine's processors that are busy.", 1000},
	result.GaugeRSS:        {"generator_resident_memory_bytes", "Resident memory of the generator.", 1},
	result.GaugeHeap:       {"generator_heap_bytes", "Live heap of the generator.", 1},
	result.GaugeGoroutines: {"generator_goroutines", "Goroutines of the generator.", 1},
	result.GaugeGCPause:    {"generator_gc_pause_seconds", "Longest pause of the garbage collector in the latest interval.", 1e9},
	result.GaugeSchedP99:   {"generator_scheduling_p99_seconds", "99th percentile of how long goroutines waited for a processor in the latest interval.", 1e9},
	result.GaugeFDs:        {"generator_open_fds", "Open descriptors of the generator.", 1},
	result.GaugeBuffered:   {"generator_buffered_bytes", "Bytes appended to connections and not yet written.", 1},
	result.GaugeSlowest:    {"generator_collector_late_seconds", "How late the latest interval ended.", 1e9},
}

// descs holds the descriptions of all metrics.
type descs struct {
	info, phase, clients, latency, reasons, errors *prometheus.Desc

	counters map[string]*prometheus.Desc // by the counter's name
	gauges   map[result.Gauge]*prometheus.Desc
}

func newDescs() descs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mqbench_"+name, help, labels, nil)
	}
	d := descs{
		info:    desc("run_info", "What is run.", "version", "plan", "hash", "shard"),
		phase:   desc("phase", "1 for the current phase, 0 for the others.", "phase"),
		clients: desc("clients", "Clients that should be connected."),
		latency: desc("latency_seconds", "Durations of operations: response is from the intended time, service from the send, lag between the two.", "op", "kind", "group"),
		reasons: desc("reason_codes_total", "Reason codes other than success that were received.", "packet", "code", "group"),
		errors:  desc("errors_total", "Failures, by what failed and how.", "what", "kind", "group"),

		counters: map[string]*prometheus.Desc{}, gauges: map[result.Gauge]*prometheus.Desc{},
	}
	for c, help := range counterHelp {
		d.counters[c.String()] = desc(strings.ReplaceAll(c.String(), ".", "_")+"_total", help, "group", "qos")
	}
	for g, m := range gaugeMetrics {
		d.gauges[g] = desc(m.name, m.help)
	}
	return d
}

// Describe implements [prometheus.Collector].
func (e *Exporter) Describe(ch chan<- *prometheus.Desc) {
	d := &e.descs
	for _, one := range []*prometheus.Desc{d.info, d.phase, d.clients, d.latency, d.reasons, d.errors} {
		ch <- one
	}
	for _, one := range d.counters {
		ch <- one
	}
	for _, one := range d.gauges {
		ch <- one
	}
}

// Collect implements [prometheus.Collector].
func (e *Exporter) Collect(ch chan<- prometheus.Metric) {
	for _, m := range e.metrics() { // e.mu is not held here: a slow reader blocks the channel
		ch <- m
	}
}

// metrics returns the present metrics.
func (e *Exporter) metrics() (all []prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := &e.descs
	put := func(desc *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		m, err := prometheus.NewConstMetric(desc, t, v, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err)
		}
		all = append(all, m)
	}
	put(d.info, prometheus.GaugeValue, 1, e.run.Tool, e.run.Plan, e.run.Hash, e.run.Shard)
	put(d.clients, prometheus.GaugeValue, float64(e.run.Clients))
	for _, p := range result.Phases() {
		is := 0.0
		if p == e.phase {
			is = 1
		}
		put(d.phase, prometheus.GaugeValue, is, string(p))
	}
	for g, v := range e.gauges {
		if desc := d.gauges[g]; desc != nil {
			put(desc, prometheus.GaugeValue, float64(v)/gaugeMetrics[g].unit)
		}
	}
	for k, n := range e.counters {
		name, code, isReason := result.ParseReason(k.Name)
		what, kind := "", ""
		if rest, isError := strings.CutPrefix(k.Name, "error."); isError {
			what, kind, _ = strings.Cut(rest, ".")
		}
		switch desc := d.counters[k.Name]; {
		case desc != nil:
			put(desc, prometheus.CounterValue, float64(n), k.Group, qosLabels[k.QoS])
		case isReason:
			put(d.reasons, prometheus.CounterValue, float64(n), name, fmt.Sprintf("0x%02x", byte(code)), k.Group)
		case what != "":
			put(d.errors, prometheus.CounterValue, float64(n), what, kind, k.Group)
		}
	}
	for k, h := range e.histograms {
		buckets := make(map[float64]uint64, len(bounds))
		for i, b := range bounds {
			buckets[b] = h.counts[i]
		}
		m, err := prometheus.NewConstHistogram(d.latency, h.count, h.sum, buckets, k.Op.String(), k.Kind.String(), k.Group)
		if err != nil {
			m = prometheus.NewInvalidMetric(d.latency, err)
		}
		all = append(all, m)
	}
	return all
}

// qosLabels are the labels for QoS; counters not kept by QoS have none.
var qosLabels = [result.NoQoS + 1]string{"0", "1", "2", ""}
