package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// unit is the unit of a metric.
type unit uint8

const (
	numbers   unit = iota // plain numbers
	durations             // nanoseconds
	shares                // 0 to 1
)

// metric is a named figure of a summary.
//
//	[OP.[KIND.]]STAT    a latency: delivery.p99.9, puback.service.p50, connect.max
//	lag.STAT            how late messages were sent
//	rate.NAME           offered, sent, acked, expected, delivered, connects; per second
//	NAME[.qosN]         lost (QoS 1 and 2), dropped (QoS 0), loss (both), in-flight, duplicates, reordered,
//	                    corrupt, unchecked, refused, due, skipped, unsent, sent, acked, expected,
//	                    received, copies, unaccepted, foreign: messages of the whole run
//	errors              all errors, failed connection attempts and lost connections
//	COUNTER             any other counter by its name, such as skipped or reason.connack.0x87
//	cpu                 mean share of the generator's processors
//	connected           the highest number of clients connected
//
// STAT is p and a number above 0 and below 100, max, min, mean, stddev or count. KIND
// is response, service or lag; without it, response, or service if there is no response
// (a closed loop). Without OP it is the latency of delivery, or else of rtt, puback,
// pubcomp or connect, the first that the run has.
type metric struct {
	name string
	unit unit

	// For a latency, stat is set. op is -1 if it is to be chosen, -2 for lag; kind is
	// -1 if it is to be chosen.
	stat     string
	op, kind int
	p        float64

	flow    string     // name of a figure of Flow
	qos     packet.QoS // NoQoS: all
	rate    string
	counter string
}

const (
	anyOp   = -1
	lagOp   = -2
	anyKind = -1
)

// mainOps are the operations of a latency without a name. The first that the run has
// counts.
var mainOps = []result.Op{result.Delivery, result.RTT, result.Puback, result.Pubcomp, result.Connect, result.Replay, result.Backlog, result.Will}

var (
	flowNames = []string{"loss", "lost", "dropped", "in-flight", "duplicates", "reordered", "corrupt", "unchecked", "refused", "due", "skipped", "unsent", "sent", "acked", "expected", "received", "copies", "foreign", "unaccepted"}
	rateNames = []string{"offered", "sent", "acked", "expected", "delivered", "connects"}
	statNames = []string{"max", "min", "mean", "stddev", "count"}
)

// parseMetric parses the name of a metric.
func parseMetric(name string) (*metric, error) {
	m := &metric{name: name, op: anyOp, kind: anyKind, qos: result.NoQoS}
	if m.latency(name) {
		m.unit = durations
		if m.stat == "count" {
			m.unit = numbers
		}
		return m, nil
	}
	if rate, ok := strings.CutPrefix(name, "rate."); ok && slices.Contains(rateNames, rate) {
		m.rate = rate
		return m, nil
	}
	switch name {
	case "errors", "connected":
		m.counter = name
		return m, nil
	case "cpu":
		m.counter, m.unit = name, shares
		return m, nil
	}
	flow := name
	for q, suffix := range []string{".qos0", ".qos1", ".qos2"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			flow, m.qos = base, packet.QoS(q)
		}
	}
	if slices.Contains(flowNames, flow) {
		m.flow = flow
		return m, nil
	}
	if result.IsCounter(name) {
		m.counter = name
		return m, nil
	}
	return nil, fmt.Errorf("unknown metric %q: mqbench(1) lists them under Metrics", name)
}

func (m *metric) latency(name string) bool {
	rest := name
	if after, ok := strings.CutPrefix(name, "lag."); ok {
		rest, m.op = after, lagOp
	} else {
		for _, op := range result.Ops() {
			// connect.tcp.p99 begins with connect. as well: the longest name counts.
			if after, ok := strings.CutPrefix(name, op.String()+"."); ok && len(after) < len(rest) {
				rest, m.op = after, int(op)
			}
		}
		if m.op != anyOp {
			if word, after, ok := strings.Cut(rest, "."); ok {
				if kind, ok := result.ParseKind(word); ok {
					rest, m.kind = after, int(kind)
				}
			}
		}
	}
	if slices.Contains(statNames, rest) {
		m.stat = rest
		return true
	}
	digits, ok := strings.CutPrefix(rest, "p")
	p, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || strings.Trim(digits, "0123456789.") != "" || !(p > 0 && p < 100) {
		return false
	}
	m.stat, m.p = "p", p
	return true
}

// value returns the metric's value, or an error that says why it is not known.
func (m *metric) value(s *Summary) (float64, error) {
	switch {
	case m.stat != "":
		return m.latencyValue(s)
	case m.rate != "":
		return m.rateValue(s)
	case m.flow != "":
		return m.flowValue(s)
	}
	switch m.counter {
	case "errors":
		return float64(errorsIn(s.Counters)), nil
	case "connected":
		return float64(s.Peak[result.GaugeConnected]), nil
	case "cpu":
		if s.CPUMax == 0 {
			return 0, fmt.Errorf("the generator's CPU was not measured")
		}
		return s.CPU, nil
	}
	return float64(s.Counters[m.counter]), nil
}

// errorsIn returns the number of all failures that were counted.
func errorsIn(t result.Totals) (n int64) {
	for name, v := range t {
		if strings.HasPrefix(name, "error.") {
			n += v
		}
	}
	return max(n, t.Of(result.Failures, result.Losses))
}

// histogram returns the histogram of a latency.
func (m *metric) histogram(s *Summary) (*result.Histogram, error) {
	if m.op == lagOp {
		if s.Lag == nil {
			return nil, fmt.Errorf("no lag was recorded")
		}
		return s.Lag, nil
	}
	ops := mainOps
	if m.op != anyOp {
		ops = []result.Op{result.Op(m.op)}
	}
	kinds := []result.Kind{result.Response, result.Service}
	if m.kind != anyKind {
		kinds = []result.Kind{result.Kind(m.kind)}
	}
	for _, op := range ops {
		for _, kind := range kinds {
			if h := s.Latency(op, kind); h != nil {
				return h, nil
			}
		}
	}
	return nil, fmt.Errorf("the run has no such latency")
}

func (m *metric) latencyValue(s *Summary) (float64, error) {
	h, err := m.histogram(s)
	if err != nil {
		return 0, err
	}
	switch m.stat {
	case "max":
		return float64(h.Max()), nil
	case "min":
		return float64(h.Min()), nil
	case "mean":
		return float64(h.Mean()), nil
	case "stddev":
		return float64(h.StdDev()), nil
	case "count":
		return float64(h.Count()), nil
	}
	d, ok := h.Percentile(m.p)
	if !ok {
		return 0, &tooFewError{h.Count(), m.p}
	}
	return float64(d), nil
}

// tooFewError is returned if there are too few values to know a percentile.
type tooFewError struct {
	n int64
	p float64
}

func (e *tooFewError) Error() string {
	return fmt.Sprintf("%s values are too few for p%v", units.Integer(e.n), e.p)
}

// more returns the factor by which the number of values must grow.
func (e *tooFewError) more() float64 {
	return float64(result.Enough(e.p)) / float64(max(e.n, 1))
}

func (m *metric) rateValue(s *Summary) (float64, error) {
	if m.rate == "connects" {
		return s.Rates.Connects, nil
	}
	if s.Measured == 0 {
		return 0, fmt.Errorf("nothing was measured")
	}
	return map[string]float64{
		"offered": s.Rates.Offered, "sent": s.Rates.Sent, "acked": s.Rates.Acked,
		"expected": s.Rates.Expected, "delivered": s.Rates.Delivered,
	}[m.rate], nil
}

func (m *metric) flowValue(s *Summary) (float64, error) {
	f := s.flow(m.qos)
	if m.flow == "lost" || m.flow == "loss" || m.flow == "dropped" {
		if err := s.lossUnknown(); err != nil {
			return 0, err
		}
		if f.InFlight > 0 {
			return 0, fmt.Errorf("%s messages are in flight", units.Integer(f.InFlight))
		}
	}
	return float64(map[string]int64{
		"loss": f.Lost + f.Dropped, "lost": f.Lost, "dropped": f.Dropped, "in-flight": f.InFlight, "due": f.Due, "skipped": f.Skipped, "unsent": f.Unsent, "copies": f.Copies, "duplicates": f.Duplicates, "reordered": f.Reordered, "corrupt": f.Corrupt, "unchecked": f.Unchecked,
		"refused": f.Refused, "sent": f.Sent, "acked": f.Acked, "expected": f.Expected, "received": f.Received, "foreign": f.Foreign,
		"unaccepted": f.Unaccepted,
	}[m.flow]), nil
}

// flow returns the flow of one QoS, or of all for NoQoS.
func (s *Summary) flow(qos packet.QoS) Flow {
	if qos == result.NoQoS {
		return s.Total
	}
	for _, f := range s.Flows {
		if f.QoS == qos {
			return f
		}
	}
	return Flow{QoS: qos}
}

// text formats a value of the metric.
func (m *metric) text(v float64) string {
	switch m.unit {
	case durations:
		return units.Time(time.Duration(v))
	case shares:
		return units.Percent(v)
	}
	return units.Number(v)
}
