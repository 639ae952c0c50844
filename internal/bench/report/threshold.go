package report

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
)

// Condition compares a metric with a value: p99<10ms.
type Condition struct {
	metric *metric
	op     string
	value  float64
	share  bool // the value is a share of the expected messages: loss<0.1%
	text   string
}

// String returns the condition as it was written.
func (c Condition) String() string { return c.text }

// operators has the longer ones first.
var operators = []string{"<=", ">=", "!=", "<", ">", "="}

// ParseConditions parses conditions, separated by commas: METRIC OP VALUE, where OP is
// <, <=, >, >=, = or !=. The metrics are these:
//
//	p99, p99.9, max ...  latency: of the delivery, or else of the first of rtt,
//	                     puback, pubcomp and connect that the run has
//	OP.p99               of an operation; OP.service.p99, OP.lag.p99
//	lag.p99              how late messages were sent
//	rate.delivered ...   per second: offered, sent, acked, expected, connects
//	loss, duplicates, reordered, corrupt, refused ...   and with .qos0, .qos1, .qos2
//	errors, cpu, connected, and counters by name
//
// Latencies take a duration (10ms, 1.5s, 250us), cpu a percentage, and the others a
// number (0, 1500, 20k, 1.5M). Counts of messages also take a percentage of the
// messages expected.
func ParseConditions(s string) ([]Condition, error) {
	var list []Condition
	for part := range strings.SplitSeq(s, ",") {
		c, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func parseCondition(s string) (Condition, error) {
	at := strings.IndexAny(s, "<>=!")
	if at < 0 {
		return Condition{}, fmt.Errorf("invalid condition %q (e.g. p99<10ms)", s)
	}
	c := Condition{text: s}
	for _, op := range operators {
		if strings.HasPrefix(s[at:], op) {
			c.op = op
			break
		}
	}
	if c.op == "" {
		return c, fmt.Errorf("invalid condition %q (e.g. p99<10ms)", s)
	}
	var err error
	if c.metric, err = parseMetric(strings.TrimSpace(s[:at])); err != nil {
		return c, err
	}
	value := strings.TrimSpace(s[at+len(c.op):])
	c.value, c.share, err = parseValue(c.metric, value)
	if err != nil {
		return c, fmt.Errorf("%s: %w", s, err)
	}
	return c, nil
}

func parseValue(m *metric, s string) (v float64, share bool, err error) {
	number, isPercent := strings.CutSuffix(s, "%")
	number = strings.TrimSpace(number)
	switch {
	case m.unit == durations:
		d, err := time.ParseDuration(strings.ReplaceAll(s, " ", ""))
		if err != nil || d < 0 || isPercent {
			return 0, false, fmt.Errorf("invalid duration %q (e.g. 10ms)", s)
		}
		return float64(d), false, nil
	case m.unit == shares && !isPercent:
		return 0, false, fmt.Errorf("invalid percentage %q (e.g. 85%%)", s)
	case isPercent && m.unit != shares && m.flow == "":
		return 0, false, fmt.Errorf("%s cannot be a percentage", m.name)
	}
	factor := 1.0
	if n := len(number); n > 0 && !isPercent {
		switch number[n-1] {
		case 'k':
			factor, number = 1e3, number[:n-1]
		case 'M':
			factor, number = 1e6, number[:n-1]
		}
	}
	if v, err = strconv.ParseFloat(number, 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || strings.ContainsAny(number, "xXpP_+") {
		return 0, false, fmt.Errorf("invalid number %q", s)
	}
	if isPercent {
		factor = 0.01
	}
	return v * factor, isPercent && m.unit != shares, nil
}

// Check is a condition and its result.
type Check struct {
	Condition Condition
	Got       string // the metric's value; why it is not known
	OK        bool

	unknown error // why the metric's value is not known
}

// eval compares the metric with the value.
func (c Condition) eval(s *Summary) (holds bool, got string, unknown error) {
	v, err := c.metric.value(s)
	if err != nil {
		return false, err.Error(), err
	}
	got = c.metric.text(v)
	if c.share {
		all := s.flow(c.metric.qos).Expected
		if all == 0 {
			err := errors.New("no messages were expected")
			return false, err.Error(), err
		}
		v /= float64(all)
		got = units.Percent(v)
	}
	switch c.op {
	case "<":
		holds = v < c.value
	case "<=":
		holds = v <= c.value
	case ">":
		holds = v > c.value
	case ">=":
		holds = v >= c.value
	case "=":
		holds = v == c.value
	case "!=":
		holds = v != c.value
	}
	return holds, got, nil
}

// CheckSLO checks conditions that should hold. A condition is not met if its metric is
// not known, because there are too few values or the run has no such operation.
func CheckSLO(s *Summary, conditions []Condition) []Check {
	var checks []Check
	for _, c := range conditions {
		holds, got, unknown := c.eval(s)
		checks = append(checks, Check{c, got, holds && unknown == nil, unknown})
	}
	return checks
}

// CheckFailOn checks conditions that should not hold. A condition counts as holding if
// its metric is not known: nothing fails silently.
func CheckFailOn(s *Summary, conditions []Condition) []Check {
	var checks []Check
	for _, c := range conditions {
		holds, got, unknown := c.eval(s)
		checks = append(checks, Check{c, got, unknown == nil && !holds, unknown})
	}
	return checks
}

// AllOK reports whether every check is OK.
func AllOK(checks []Check) bool {
	for _, c := range checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// ExitCode returns the exit status of a run that was not interrupted. The first of
// these counts: a violation of the protocol, which is a fact whatever the limit was; a
// plan that was not carried out, which makes thresholds meaningless; a threshold, which
// the user asked for; and what limited the run, which fails it only if the user asked
// for that.
func (s *Summary) ExitCode(checks []Check) int {
	switch {
	case s.wrong != nil:
		return option.ExitFailure
	case s.Has(Violated):
		return option.ExitLoss
	case s.Has(Incomplete) || s.Has(NoData) || s.Has(PartialRun) && !(s.Part && s.Result.Whole()):
		return option.ExitIncomplete
	case !AllOK(checks):
		return option.ExitThreshold
	case s.Strict && s.Has(Saturated):
		return option.ExitSaturated
	case s.Strict && s.Has(GeneratorLimited):
		return option.ExitGenerator
	}
	return 0
}
