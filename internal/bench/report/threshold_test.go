package report

import (
	"strings"
	"testing"

	"github.com/mqtools/mqtools/internal/bench/result"
)

func TestConditions(t *testing.T) {
	s := Summarize(limited().result()) // p99 about 1 s, 3 of 11,000 lost, CPU 91 %
	for _, c := range []struct {
		text         string
		holds, known bool
	}{
		{"p99<10ms", false, true},
		{"p99>10ms", true, true},
		{" p99 > 10 ms ", true, true},
		{"delivery.p50>0.5s", true, true},
		{"delivery.response.p50>500ms", true, true},
		{"puback.lag.p99>=1ms", true, true},
		{"lag.p99<1ms", false, true},
		{"connect.tcp.p99<1ms", true, true},
		{"connect.p99<10ms", true, true},
		{"connect.max>0us", true, true},
		{"p99.99<1s", false, false}, // 10,097 values are too few
		{"will.p50<1s", false, false},
		{"loss=0", false, true},
		{"lost<=3", true, true},
		{"loss.qos1!=3", false, true},
		{"loss.qos2=0", true, true},
		{"loss<0.1%", true, true},
		{"loss<0.01%", false, true},
		{"loss.qos2<1%", false, false}, // nothing was expected
		{"duplicates=0", true, true},
		{"rate.delivered>=0.9k", true, true},
		{"rate.sent<1M", true, true},
		{"errors>0", true, true},
		{"error.read.reset=1000", true, true},
		{"reason.connack.0x97=12", true, true},
		{"cpu<85%", false, true},
		{"connected>=2000", true, true},
		{"skipped=0", true, true},
		{"delivery.count>9000", true, true},
		{"mean<1s", true, true},
	} {
		cs := conditions(t, c.text)
		if slo := CheckSLO(s, cs)[0]; slo.OK != (c.holds && c.known) || slo.Got == "" {
			t.Errorf("%s as an objective: %+v", c.text, slo)
		}
		if fail := CheckFailOn(s, cs)[0]; fail.OK != (!c.holds && c.known) {
			t.Errorf("%s as a failure: %+v", c.text, fail)
		}
	}
}

func TestConditionRefusals(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `invalid condition "" (e.g. p99<10ms)`},
		{"p99", `invalid condition "p99"`},
		{"p99<10ms,", `invalid condition ""`},
		{"p99!10ms", `invalid condition "p99!10ms"`},
		{"p99==10ms", `invalid duration "=10ms"`},
		{"p99<10", `invalid duration "10" (e.g. 10ms)`},
		{"p99<-10ms", `invalid duration "-10ms"`},
		{"p99<10%", `invalid duration "10%"`},
		{"p100<10ms", `unknown metric "p100"`},
		{"p0<10ms", `unknown metric "p0"`},
		{"p1e1<10ms", `unknown metric "p1e1"`},
		{"pNaN<10ms", `unknown metric "pNaN"`},
		{"delivary.p99<10ms", `unknown metric "delivary.p99"`},
		{"delivery.respons.p99<1s", `unknown metric "delivery.respons.p99"`},
		{"loss<x", `invalid number "x"`},
		{"loss<-1", `invalid number "-1"`},
		{"loss<NaN", `invalid number "NaN"`},
		{"loss<0x10", `invalid number "0x10"`},
		{"cpu<85", `invalid percentage "85" (e.g. 85%)`},
		{"errors<1%", "errors cannot be a percentage"},
		{"loss.qos3=0", `unknown metric "loss.qos3"`},
		{"rate.foo>1", `unknown metric "rate.foo"`},
	} {
		if got, err := ParseConditions(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// TestUnqualifiedLatency: p99 is that of delivery, or of the first operation that the
// run has.
func TestUnqualifiedLatency(t *testing.T) {
	r := steady().result()
	drop := func(op result.Op) {
		for _, i := range r.Intervals {
			for k := range i.Histograms {
				if k.Op == op && k.Kind != result.Lag {
					delete(i.Histograms, k)
				}
			}
		}
	}
	m, err := parseMetric("max")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []result.Op{result.Delivery, result.Puback, result.Connect} {
		s := Summarize(r)
		got, err := m.histogram(s)
		if err != nil || got != s.Latency(op, result.Response) {
			t.Errorf("want the response of %s, %v", op, err)
		}
		drop(op)
	}
	if _, err := m.histogram(Summarize(r)); err == nil {
		t.Error("a latency without any operation")
	}
	closed := steady().result()
	for _, i := range closed.Intervals {
		delete(i.Histograms, result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"})
	}
	s := Summarize(closed)
	if got, err := m.histogram(s); err != nil || got != s.Latency(result.Delivery, result.Service) {
		t.Errorf("without responses: want the delivery's service, %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	missed := []Check{{OK: true}, {}}
	for _, c := range []struct {
		labels []Label
		checks []Check
		strict bool
		want   int
	}{
		{nil, nil, true, 0},
		{[]Label{ClosedLoop, Scaled, NoHeader, Hint}, []Check{{OK: true}}, true, 0},
		{[]Label{Saturated}, nil, false, 0},
		{[]Label{Saturated}, nil, true, 7},
		{[]Label{GeneratorLimited}, nil, false, 0},
		{[]Label{GeneratorLimited}, nil, true, 6},
		{[]Label{Saturated, GeneratorLimited}, nil, true, 7},
		{[]Label{Saturated}, missed, true, 4},
		{nil, missed, false, 4},
		{[]Label{GeneratorLimited}, missed, true, 4},
		{[]Label{Incomplete}, nil, false, 8},
		{[]Label{PartialRun}, nil, false, 8},
		{[]Label{NoData}, nil, false, 8},
		{[]Label{Incomplete, Saturated, GeneratorLimited}, missed, true, 8},
		{[]Label{Violated}, nil, false, 5},
		{[]Label{Incomplete, Saturated, GeneratorLimited, Violated}, missed, true, 5},
	} {
		s := &Summary{Strict: c.strict}
		for _, l := range c.labels {
			s.Verdicts = append(s.Verdicts, Verdict{Label: l})
		}
		if got := s.ExitCode(c.checks); got != c.want {
			t.Errorf("strict %v, %v, %v: got %d, want %d", c.strict, c.labels, c.checks, got, c.want)
		}
	}
}
