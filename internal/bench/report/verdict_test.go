package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func labels(s *Summary) string {
	var list []string
	for _, v := range s.Verdicts {
		if !slices.Contains(list, string(v.Label)) {
			list = append(list, string(v.Label))
		}
	}
	return strings.Join(list, ",")
}

func TestVerdicts(t *testing.T) {
	with := func(change func(*load)) *result.Result {
		l := steady()
		change(&l)
		return l.result()
	}
	for _, c := range []struct {
		name string
		r    *result.Result
		want string
	}{
		{"has none for a steady run", with(func(*load) {}), ""},
		{"is not saturated at 99.5 %, when the backlog hardly grows", with(func(l *load) { l.share = 0.9951 }), ""},
		{"is saturated below 99 %", with(func(l *load) { l.share = 0.98 }), "SATURATED"},
		{"is violated by loss at QoS 1", with(func(l *load) { l.lost = 1 }), "VIOLATION"},
		{"is limited by lag", with(func(l *load) { l.lag = time.Millisecond }), "GENERATOR LIMITED"},
		{"is limited by CPU", with(func(l *load) { l.cpu = 860 }), "GENERATOR LIMITED"},
		{"has no lag in a closed loop", with(func(l *load) { l.lag, l.closed = time.Millisecond, true }), "CLOSED LOOP"},
		{"is labelled when scaled", with(func(l *load) { l.scale = 0.5 }), "SCALED"},
		{"is labelled when partial, and loss is not judged", with(func(l *load) { l.partial, l.lost = true, 5 }), "PARTIAL"},
		{"hints at 40 ms", with(func(l *load) { l.mode = 40 * time.Millisecond }), "HINT"},
		{"hints at no other mode", with(func(l *load) { l.mode = 25 * time.Millisecond }), ""},
		{"hints at no 40 ms in a wide distribution", with(func(l *load) { l.mean = 30 * time.Millisecond }), ""},
	} {
		if got := labels(Summarize(c.r)); got != c.want {
			t.Errorf("it %s: got %q, want %q: %v", c.name, got, c.want, Summarize(c.r).Verdicts)
		}
	}
}

func TestGrowingBacklogIsSaturation(t *testing.T) {
	l := steady()
	l.seconds, l.share = 60, 0.992
	r := l.result()
	s := Summarize(r)
	if s.Rates.Delivered < 0.99*s.Rates.Expected || !s.Has(Saturated) || s.Has(Violated) || !strings.Contains(s.Verdicts[0].Text, "backlog grew") {
		t.Errorf("delivered %v of %v, growth %v, backlog %d: %v", s.Rates.Delivered, s.Rates.Expected, s.Growth, s.Backlog, s.Verdicts)
	}
}

// TestTheCPUIsAMeanOverTime: an interval that the end of a phase has cut to a
// moment is all work or all rest.
func TestTheCPUIsAMeanOverTime(t *testing.T) {
	l := steady()
	l.cpu = 100
	for _, length := range []time.Duration{20 * time.Microsecond, 200 * time.Millisecond} {
		r := l.result()
		last := r.Intervals[len(r.Intervals)-2]
		cut := result.NewInterval(result.PhaseMeasure, last.End, last.End+length)
		cut.Gauges[result.GaugeCPU] = 1000
		r.Intervals = append(r.Intervals, cut)
		if s := Summarize(r); s.CPU < 0.1 || s.CPU > 0.14 || s.Has(GeneratorLimited) {
			t.Errorf("%v of full load after ten seconds of 10 %%: %v, %v", length, s.CPU, s.Verdicts)
		}
	}
	r := l.result()
	moment := result.NewInterval(result.PhaseMeasure, time.Second, time.Second+20*time.Microsecond)
	moment.Gauges[result.GaugeCPU] = 1000
	r.Intervals = []*result.Interval{moment}
	if s := Summarize(r); s.CPU != 0 || s.CPUMax != 0 || s.Has(GeneratorLimited) {
		t.Errorf("in a moment no CPU is measured: %v, %v, %v", s.CPU, s.CPUMax, s.Verdicts)
	}
}

func TestSYNRetriesAreHinted(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want bool
	}{{1030 * time.Millisecond, true}, {3080 * time.Millisecond, true}, {2 * time.Second, false}} {
		r := steady().result()
		r.Intervals[0].Histogram(result.Key{Op: result.ConnectTCP, Kind: result.Service, Group: "pub"}).Record(c.d, 30)
		if got := Summarize(r).Has(Hint); got != c.want {
			t.Errorf("a mode at %v: hint %v, want %v", c.d, got, c.want)
		}
	}
}

// TestWhatTheProtocolForbids: which counts are violations depends on the QoS.
func TestWhatTheProtocolForbids(t *testing.T) {
	for _, c := range []struct {
		counter result.Counter
		want    [3]bool // by QoS
	}{
		{result.Expected, [3]bool{false, true, true}}, // one more than received: lost
		{result.Duplicates, [3]bool{true, false, true}},
		{result.Reordered, [3]bool{true, true, true}},
		{result.Corrupt, [3]bool{true, true, true}},
		{result.Unjudged, [3]bool{}},
		{result.Foreign, [3]bool{}},
	} {
		for q, want := range c.want {
			l := steady()
			l.seconds, l.rate = 3, 100
			r := l.result()
			r.Intervals[5].Count(c.counter, "sub", packet.QoS(q), 1)
			if s := Summarize(r); s.Has(Violated) != want || (s.ExitCode(nil) == ExitViolation) != want {
				t.Errorf("%s at QoS %d: %v, want a violation: %v", c.counter, q, s.Verdicts, want)
			}
		}
	}
}

// TestLossThatIsNotCertain: a message that was not judged may be the one missing.
func TestLossThatIsNotCertain(t *testing.T) {
	l := steady()
	l.seconds, l.rate, l.lost = 3, 100, 2
	for unjudged, want := range map[int64]bool{0: true, 1: true, 2: false} {
		r := l.result()
		r.Intervals[5].Count(result.Unjudged, "sub", 1, unjudged)
		if s := Summarize(r); s.Has(Violated) != want {
			t.Errorf("2 lost, %d not judged: %v", unjudged, s.Verdicts)
		}
	}
}

// TestWhatIsNotAcceptedIsNotLost: what is missing may be a message that the broker
// never accepted.
func TestWhatIsNotAcceptedIsNotLost(t *testing.T) {
	for _, c := range []struct{ missing, unaccepted, lost int64 }{{2, 0, 2}, {2, 1, 1}, {2, 2, 0}, {2, 5, 0}, {0, 5, 0}, {-3, 5, -3}} {
		l := steady()
		l.seconds, l.rate, l.lost = 3, 100, c.missing
		r := l.result()
		r.Intervals[5].Count(result.Unaccepted, "sub", 1, c.unaccepted)
		s := Summarize(r)
		if s.Total.Lost != c.lost || s.Flows[0].Lost != c.lost || s.Flows[0].Unaccepted != c.unaccepted || s.Has(Violated) != (c.lost > 0) {
			t.Errorf("%+v: got %+v, %v", c, s.Total, s.Verdicts)
		}
	}
	l := steady()
	l.share = 0.9
	r := l.result()
	for _, i := range r.Intervals {
		if i.Phase == result.PhaseMeasure {
			i.Count(result.Unaccepted, "sub", 1, l.rate/10)
		}
	}
	if s := Summarize(r); s.Has(Saturated) {
		t.Errorf("a broker that delivers all it has accepted: %v", s.Verdicts)
	}
}

// TestMessagesThatWereNotSentAreTold: subscriptions that were not are none.
func TestMessagesThatWereNotSentAreTold(t *testing.T) {
	for _, qos := range []packet.QoS{0, 1, 2, result.NoQoS} {
		r := steady().result()
		r.Intervals[5].Count(result.Skipped, "pub", qos, 7)
		s := Summarize(r)
		if want := qos != result.NoQoS; s.Has(Skipped) != want || (s.Total.Skipped == 7) != want || s.ExitCode(nil) != 0 {
			t.Errorf("7 at QoS %d: %d, %v", qos, s.Total.Skipped, s.Verdicts)
		}
	}
}

// TestLatenciesOfTheDrainPhaseCount: the slowest answers come last.
func TestLatenciesOfTheDrainPhaseCount(t *testing.T) {
	r := steady().result()
	drain := r.Intervals[len(r.Intervals)-1]
	drain.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(5*time.Second, 1)
	warm := r.Intervals[2]
	warm.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(9*time.Second, 1)
	h := Summarize(r).Latency(result.Delivery, result.Response)
	if h.Max().Round(time.Second) != 5*time.Second || h.Count() != 10_001 {
		t.Errorf("max %v of %d values, want 5s of 10001", h.Max(), h.Count())
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"999 ns": duration(999), "1.00 us": duration(1000), "12.3 us": duration(12345), "1.00 ms": duration(999_999), "999 ms": duration(999 * time.Millisecond),
		"1.00 s": duration(999_900 * time.Microsecond), "300 s": duration(300 * time.Second), "3600 s": duration(time.Hour),
		"-1,234,567": integer(-1234567), "0": integer(0), "999": integer(999), "1,000": number(999.6), "12.5": number(12.49), "0.05": number(0.05),
		"100 %": percent(1), "99.97 %": percent(0.9997), "99.9 %": percent(0.999), "0.0125 %": percent(0.000125), "0 %": percent(0), "12 %": percent(0.12),
		"999 B": bytesIn(999), "40.0 MiB": bytesIn(40 << 20),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
