package report

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
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
		{"is labeled when partial, and loss is not checked", with(func(l *load) { l.partial, l.lost = true, 5 }), "PARTIAL"},
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
	if s.Rates.Delivered < 0.99*s.Rates.Expected || !s.Has(Saturated) || s.Has(Violated) || !strings.Contains(s.Verdicts[0].Text, "the backlog grew by 8/s") {
		t.Errorf("delivered %v of %v, growth %v, backlog %d: %v", s.Rates.Delivered, s.Rates.Expected, s.Growth, s.Backlog, s.Verdicts)
	}
}

// TestTheCPUIsAMeanOverTime: an interval that the end of a phase has cut to a moment
// shows either full load or none.
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
		owed    bool
		want    [3]bool // by QoS
	}{
		{result.Lost, true, [3]bool{true, true, true}}, // at QoS 0 it is called dropped
		{result.Dropped, true, [3]bool{}},
		{result.InFlight, true, [3]bool{}},
		{result.Duplicates, false, [3]bool{true, false, true}},
		{result.Copies, false, [3]bool{}},
		{result.Reordered, false, [3]bool{true, true, true}},
		{result.Corrupt, true, [3]bool{true, true, true}},
		{result.Unchecked, false, [3]bool{}},
		{result.Foreign, false, [3]bool{}},
	} {
		for q, want := range c.want {
			l := steady()
			l.seconds, l.rate = 3, 100
			r := l.result()
			r.Intervals[5].Count(c.counter, "sub", packet.QoS(q), 1)
			if c.owed {
				r.Intervals[5].Count(result.Expected, "sub", packet.QoS(q), 1)
			}
			s := Summarize(r)
			if s.Err() != nil || s.Has(Violated) != want || (s.ExitCode(nil) == option.ExitLoss) != want {
				t.Errorf("%s at QoS %d: %v, %v, want a violation: %v", c.counter, q, s.Err(), s.Verdicts, want)
			}
		}
	}
}

// TestLossThatIsNotCertain: a message that could not be checked may be the missing one.
func TestLossThatIsNotCertain(t *testing.T) {
	l := steady()
	l.seconds, l.rate, l.lost = 3, 100, 2
	for unchecked, want := range map[int64]bool{0: true, 1: true, 2: false} {
		r := l.result()
		r.Intervals[5].Count(result.Unchecked, "sub", 1, unchecked)
		if s := Summarize(r); s.Has(Violated) != want {
			t.Errorf("2 lost, %d not checked: %v", unchecked, s.Verdicts)
		}
	}
}

// TestColumnsAddUp: figures that contradict each other make no report.
func TestColumnsAddUp(t *testing.T) {
	for _, c := range []struct {
		counter result.Counter
		n       int64
		want    string // "": they agree
	}{
		{result.Expected, 1, "QoS 1: expected is 301"},
		{result.Expected, -1, "QoS 1: expected is 299"},
		{result.Voided, 1, "QoS 1: expected is 299"},
		{result.Surplus, 1, "QoS 1: expected is 301"},
		{result.Lost, 1, "received 300, corrupt 0, lost 1"},
		{result.Lost, -1, "QoS 1: lost is -1"},
		{result.InFlight, 1, "in flight 1"},
		{result.Corrupt, 1, "corrupt 1"},
		{result.Offered, 1, "QoS 1: due is 301, and sent 300"},
		{result.Skipped, 1, "not connected 1"},
		{result.Unsent, 1, "no room 1"},
		{result.Sent, 1, "QoS 1: due is 300, and sent 301"},
		{result.Acked, 1, "QoS 1: sent is 300, and acknowledged 301"},
		{result.Refused, 1, "refused 1"},
		{result.Unaccepted, 1, "not accepted 1"},
		{result.Arrived, 1, "301 deliveries are counted when they came, and 300 when they were due"},
		{result.Duplicates, -1, "duplicates is -1"},
		{result.Foreign, 1, ""},
	} {
		l := steady()
		l.seconds, l.rate = 2, 100
		r := l.result()
		r.Intervals[4].Count(c.counter, "sub", 1, c.n)
		s := Summarize(r)
		err := s.Err()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "internal error: ")) {
			t.Errorf("%s %+d: %v, want %q", c.counter, c.n, err, c.want)
		}
		for name, write := range map[string]func() error{
			"text":     func() error { return Text(io.Discard, s, nil, format.Palette{}) },
			"JSON":     func() error { return JSON(io.Discard, s, nil) },
			"Markdown": func() error { return Markdown(io.Discard, s, nil) },
		} {
			if werr := write(); (werr == nil) != (err == nil) {
				t.Errorf("%s %+d: %s is written: %v", c.counter, c.n, name, werr)
			}
		}
		if code := s.ExitCode(nil); (code == option.ExitFailure) != (err != nil) {
			t.Errorf("%s %+d: status %d", c.counter, c.n, code)
		}
	}
}

// TestWhatCrossesShards: it has one account over all shards, and is lost only if all
// subscriptions stood.
func TestWhatCrossesShards(t *testing.T) {
	for _, c := range []struct {
		name                 string
		owed, came           [3]int64
		also                 result.Counter // result.Offered: none
		lost, dropped, under int64
	}{
		{"all came", [3]int64{5, 5, 5}, [3]int64{5, 5, 5}, result.Offered, 0, 0, 0},
		{"QoS 0 dropped", [3]int64{5, 0, 0}, [3]int64{3, 0, 0}, result.Offered, 0, 2, 0},
		{"QoS 1 and 2 lost", [3]int64{0, 5, 5}, [3]int64{0, 4, 3}, result.Offered, 3, 0, 0},
		{"at another QoS", [3]int64{0, 0, 5}, [3]int64{2, 3, 0}, result.Offered, 0, 0, 0},
		{"more than was owed", [3]int64{0, 5, 0}, [3]int64{0, 7, 0}, result.Offered, 0, 0, 0},
		{"a drain that did not end quiet", [3]int64{0, 5, 0}, [3]int64{0, 3, 0}, result.Restless, 0, 0, 2},
		{"a subscriber that was lost", [3]int64{0, 5, 0}, [3]int64{0, 3, 0}, result.Losses, 0, 0, 2},
		{"a subscriber that was not there", [3]int64{3, 5, 0}, [3]int64{0, 5, 0}, result.Unready, 0, 0, 3},
	} {
		l := steady()
		l.seconds, l.rate = 2, 100
		r := l.result()
		i := r.Intervals[4]
		for q := range packet.QoS(3) {
			i.Count(result.Expected, "pub", q, c.owed[q])
			i.Count(result.ExpectedAway, "pub", q, c.owed[q])
			i.Count(result.Distinct, "sub", q, c.came[q])
			i.Count(result.DistinctAway, "sub", q, c.came[q])
			i.Count(result.Arrived, "sub", q, c.came[q])
		}
		if c.also != result.Offered {
			i.Count(c.also, "sub", result.NoQoS, 1)
		}
		s := Summarize(r)
		if f := s.Total; s.Err() != nil || f.Lost != c.lost || f.Dropped != c.dropped || f.InFlight != c.under || s.Has(Violated) != (c.lost > 0) {
			t.Errorf("%s: %v, %+v, %v", c.name, s.Err(), f, s.Verdicts)
		}
	}
}

// TestWhatWasNotCarriedOutIsIncomplete: the exit status says so without options.
func TestWhatWasNotCarriedOutIsIncomplete(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts map[result.CounterKey]int64
		want   string // "": nothing
	}{
		{"skipped", map[result.CounterKey]int64{{Name: "offered", QoS: 1}: 7, {Name: "skipped", QoS: 1}: 7}, "7 of 11,007 messages due were not sent"},
		{"skipped subscriptions", map[result.CounterKey]int64{{Name: "skipped", QoS: result.NoQoS}: 7}, ""},
		{"refused messages", map[result.CounterKey]int64{{Name: "offered", QoS: 1}: 7, {Name: "sent", QoS: 1}: 7, {Name: "refused", QoS: 1}: 7, {Name: "reason.puback.0x97", QoS: result.NoQoS}: 7}, "7 of 11,007 messages were refused (0x97)"},
		{"refused subscriptions", map[result.CounterKey]int64{{Name: "reason.suback.0x87", QoS: result.NoQoS}: 2}, "2 subscriptions were refused (0x87)"},
		{"a success by another name", map[result.CounterKey]int64{{Name: "reason.suback.0x01", QoS: result.NoQoS}: 2}, ""},
		{"clients", map[result.CounterKey]int64{{Name: "unready", QoS: result.NoQoS}: 1}, "1 of 1 client was not connected and subscribed"},
		{"messages without an answer", map[result.CounterKey]int64{{Name: "ignored", QoS: 1}: 4}, "4 messages were never acknowledged"},
		{"messages that a lost connection took along", map[result.CounterKey]int64{{Name: "offered", QoS: 1}: 4, {Name: "sent", QoS: 1}: 4, {Name: "unaccepted", QoS: 1}: 4}, ""},
		{"sessions", map[result.CounterKey]int64{{Name: "sessions.lost", QoS: result.NoQoS}: 3}, "3 sessions were gone"},
		{"requests", map[result.CounterKey]int64{{Name: "requests", QoS: result.NoQoS}: 30, {Name: "unreplied", QoS: result.NoQoS}: 3}, "3 of 30 requests had no reply"},
		{"wills", map[result.CounterKey]int64{{Name: "wills.due", QoS: result.NoQoS}: 30, {Name: "wills", QoS: result.NoQoS}: 29}, "1 of 30 wills did not arrive"},
		{"all wills", map[result.CounterKey]int64{{Name: "wills.due", QoS: result.NoQoS}: 30, {Name: "wills", QoS: result.NoQoS}: 30}, ""},
		{"takeovers", map[result.CounterKey]int64{{Name: "takeovers", QoS: result.NoQoS}: 30, {Name: "taken-over", QoS: result.NoQoS}: 29}, "1 of 30 connections that were taken over were not closed"},
		{"takeovers without a word", map[result.CounterKey]int64{{Name: "takeovers", QoS: result.NoQoS}: 30, {Name: "taken-over", QoS: result.NoQoS}: 30, {Name: "takeovers.unannounced", QoS: result.NoQoS}: 30}, "closed without DISCONNECT 0x8E"},
	} {
		r := steady().result()
		for k, n := range c.counts {
			k.Group = "pub"
			r.Intervals[5].Counters[k] += n
		}
		s := Summarize(r)
		got := ""
		for _, v := range s.Verdicts {
			if v.Label == Incomplete {
				got += v.Text
			}
		}
		code := 0
		if c.want != "" {
			code = option.ExitIncomplete
		}
		if s.Err() != nil || !strings.Contains(got, c.want) || (got == "") != (c.want == "") || s.ExitCode(nil) != code {
			t.Errorf("%s: %v, %q, status %d; want %q", c.name, s.Err(), got, s.ExitCode(nil), c.want)
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
		"999 ns": units.Time(999), "1.00 us": units.Time(1000), "12.3 us": units.Time(12345), "1.00 ms": units.Time(999_999), "999 ms": units.Time(999 * time.Millisecond),
		"1.00 s": units.Time(999_900 * time.Microsecond), "300 s": units.Time(300 * time.Second), "3600 s": units.Time(time.Hour),
		"-1,234,567": units.Integer(-1234567), "0": units.Integer(0), "999": units.Integer(999), "1,000": units.Number(999.6), "12.5": units.Number(12.49), "0.05": units.Number(0.05),
		"100 %": units.Percent(1), "99.97 %": units.Percent(0.9997), "99.9 %": units.Percent(0.999), "0.0125 %": units.Percent(0.000125), "0 %": units.Percent(0), "12 %": units.Percent(0.12),
		"999 B": units.Bytes(999), "40.0 MiB": units.Bytes(40 << 20),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestALossIsNoBacklog: a lost message does not wait, however many are lost.
func TestALossIsNoBacklog(t *testing.T) {
	l := steady()
	l.seconds, l.rate = 10, 1000
	r := l.result()
	for _, i := range r.Intervals {
		if i.Phase == result.PhaseMeasure || i.Phase == result.PhaseWarmUp {
			for _, c := range []result.Counter{result.Distinct, result.Arrived} {
				i.Count(c, "sub", 1, -200)
			}
		}
	}
	r.Intervals[len(r.Intervals)-1].Count(result.Lost, "sub", 1, 200*11)
	if s := Summarize(r); s.Err() != nil || s.Has(Saturated) || !s.Has(Violated) {
		t.Errorf("%v: %v", s.Err(), s.Verdicts)
	}
}

// TestAPauseIsNoBacklog: there is no backlog either if the measurement ends during a
// pause, after which everything arrives.
func TestAPauseIsNoBacklog(t *testing.T) {
	l := steady()
	l.seconds, l.rate = 10, 1000
	r := l.result()
	last, drain := r.Intervals[len(r.Intervals)-2], r.Intervals[len(r.Intervals)-1]
	for _, c := range []result.Counter{result.Distinct, result.Arrived} {
		last.Count(c, "sub", 1, -800)
		drain.Count(c, "sub", 1, 800)
	}
	drain.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(5*time.Second, 800)
	if s := Summarize(r); s.Err() != nil || s.Has(Saturated) || s.Backlog != 800 {
		t.Errorf("%v: %d wait, %v", s.Err(), s.Backlog, s.Verdicts)
	}
}

// TestALagThatTheBrokerExplains: the generator is the limit only if its lag made the
// result.
func TestALagThatTheBrokerExplains(t *testing.T) {
	for _, c := range []struct {
		name                   string
		lag, service, response time.Duration
		n                      int64 // values of each
		want                   bool
	}{
		{"a lag that is the response", 20 * time.Millisecond, 100 * time.Microsecond, 20 * time.Millisecond, 50, true},
		{"the same, of fewer than 1,000 values", 20 * time.Millisecond, 100 * time.Microsecond, 20 * time.Millisecond, 1, true},
		{"a lag of less than 1 ms", 900 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 50, false},
		{"a lag of a twentieth of the response", 20 * time.Millisecond, 100 * time.Microsecond, 400 * time.Millisecond, 50, false},
		{"a lag beside a service time as long", 20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond, 50, false},
	} {
		l := steady()
		l.seconds, l.rate, l.lag = 3, 10*c.n, time.Microsecond
		r := l.result()
		i := r.Intervals[5]
		h := func(op result.Op, kind result.Kind, group string) *result.Histogram {
			return i.Histogram(result.Key{Op: op, Kind: kind, Group: group})
		}
		h(result.Puback, result.Lag, "pub").Record(c.lag, c.n)
		h(result.Delivery, result.Service, "sub").Record(c.service, c.n)
		h(result.Delivery, result.Response, "sub").Record(c.response, c.n)
		if s := Summarize(r); s.Has(GeneratorLimited) != c.want {
			t.Errorf("%s: %v", c.name, s.Verdicts)
		}
	}
}
