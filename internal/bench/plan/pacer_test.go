package plan

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawRate(t *rapid.T, label string, least uint64) Rate {
	r := Rate{rapid.Uint64Range(least, 1_000_000).Draw(t, label), time.Duration(rapid.SampledFrom([]int64{1e6, 1e9, 90e9, 7_000_003}).Draw(t, label+" per"))}
	if r.PerSecond() > maxRate {
		r.Per = time.Second
	}
	return r
}

// drawPacer draws a pacer and the integral of its rate up to a time; nil where
// it is random.
func drawPacer(t *rapid.T) (Pacer, func(d time.Duration) float64) {
	second := func(label string) time.Duration {
		return time.Duration(rapid.Int64Range(1e6, 5e9).Draw(t, label))
	}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		r := drawRate(t, "rate", 1)
		return constant{r}, func(d time.Duration) float64 { return r.PerSecond() * d.Seconds() }
	case 1:
		var stages []Stage
		for range rapid.IntRange(1, 5).Draw(t, "stages") {
			stages = append(stages, Stage{drawRate(t, "from", 0), drawRate(t, "to", 0), second("for")})
		}
		repeat := rapid.Bool().Draw(t, "repeat")
		p := newStaged(stages, repeat)
		return p, func(d time.Duration) float64 {
			sum, end := 0.0, stages[len(stages)-1].To.PerSecond()
			if repeat && p.total > 0 {
				sum, d = float64(d/p.length)*p.total, d%p.length
			}
			for _, s := range stages {
				x := min(d, s.For).Seconds()
				from, to := s.From.PerSecond(), s.To.PerSecond()
				sum += from*x + (to-from)/s.For.Seconds()*x*x/2
				d -= min(d, s.For)
			}
			return sum + end*d.Seconds()
		}
	case 2:
		mean := drawRate(t, "mean", 1)
		swing := Rate{rapid.Uint64Range(0, mean.Events).Draw(t, "swing"), mean.Per}
		period := second("period")
		return newSine(mean, swing, period), func(d time.Duration) float64 {
			x := 2 * math.Pi / period.Seconds()
			return mean.PerSecond()*d.Seconds() + swing.PerSecond()/x*(1-math.Cos(x*d.Seconds()))
		}
	case 3:
		p := burst{rapid.Uint64Range(1, 1000).Draw(t, "messages"), second("every"), 0}
		p.over = time.Duration(rapid.Int64Range(0, int64(p.every)).Draw(t, "over"))
		return p, func(d time.Duration) float64 {
			n := float64(d/p.every) * float64(p.messages)
			if rest := d % p.every; rest > 0 && p.over > 0 {
				return n + math.Min(float64(rest)/float64(p.over), 1)*float64(p.messages)
			} else if rest > 0 {
				return n + float64(p.messages)
			}
			return n
		}
	}
	r := drawRate(t, "rate", 1)
	return poisson{r, rapid.Uint64().Draw(t, "seed")}, nil
}

func TestPacersAreMonotoneAndTheirInverseAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, _ := drawPacer(t)
		most := uint64(1 << 33)
		if _, random := p.(poisson); random {
			most = 2000
		}
		j := rapid.Uint64Range(0, most).Draw(t, "j")
		last := time.Duration(0)
		for k := range uint64(20) {
			at, ok := p.At(j + k)
			if !ok {
				return
			}
			if at < last {
				t.Fatalf("message %d is at %v, before %v", j+k, at, last)
			}
			last = at
			// Of messages before At(m) there are at most m, and m-th itself comes
			// before the next nanosecond.
			if n := p.Count(at); n > j+k {
				t.Fatalf("message %d is at %v, and %d are before that", j+k, at, n)
			}
			if n := p.Count(at + 1); n < j+k+1 {
				t.Fatalf("message %d is at %v, and only %d have been by then", j+k, at, n)
			}
		}
	})
}

func TestTheNumberOfMessagesIsTheIntegralOfTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, integral := drawPacer(t)
		if integral == nil {
			return
		}
		d := time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "time"))
		got, want := float64(p.Count(d)), integral(d)
		// A message, and what half a nanosecond of rounding is at the highest rate.
		slack := 2 + want*1e-10
		if s, ok := p.(*staged); ok && s.named != nil {
			slack += want * 1e-4 // a sine of straight pieces
		}
		if math.Abs(got-want) > slack {
			t.Fatalf("%v messages by %v, want %v", got, d, want)
		}
	})
}

func TestPoissonHasItsMeanAndItsSpread(t *testing.T) {
	t.Parallel()
	p := poisson{Rate{1000, time.Second}, 7}
	n := p.Count(200 * time.Second)
	if n < 200_000-4*448 || n > 200_000+4*448 { // four standard deviations
		t.Errorf("got %d messages in 200 s at 1000 a second", n)
	}
	// The number in each second has the variance of its mean.
	sum, last := 0.0, uint64(0)
	for s := 1; s <= 100; s++ {
		c := p.Count(time.Duration(s) * time.Second)
		sum += math.Pow(float64(c-last)-1000, 2)
		last = c
	}
	if v := sum / 100; v < 600 || v > 1500 {
		t.Errorf("the variance is %v, want about 1000", v)
	}
	if a, _ := (poisson{p.rate, 7}).At(500); func() bool { b, _ := p.At(500); return a != b }() {
		t.Error("the same seed gives other times")
	}
	if a, _ := (poisson{p.rate, 8}).At(500); func() bool { b, _ := p.At(500); return a == b }() {
		t.Error("another seed gives the same times")
	}
}

// A million messages a second for a day and more: each is where exact arithmetic
// puts it.
func TestConstantDoesNotDrift(t *testing.T) {
	t.Parallel()
	for _, r := range []Rate{{1_000_000, time.Second}, {999_983, time.Second}, {3, 7}, {1, 90 * time.Second}, {50_000_000, 90 * time.Second}} {
		p := constant{r}
		w := p.walk()
		j := uint64(0)
		for step := uint64(1); j < 1<<37; step *= 3 {
			j += step
			want := new(big.Int).Mul(new(big.Int).SetUint64(j), big.NewInt(int64(r.Per)))
			want.Div(want, new(big.Int).SetUint64(r.Events))
			at, _ := p.At(j)
			walked, _ := w.skip(step)
			if want.IsInt64() && (int64(at) != want.Int64() || walked != at) {
				t.Errorf("%v: message %d is at %d, walked to at %d, want %v", r, j, at, walked, want)
			}
		}
	}
}

func TestWalkersGoWhereAtIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, _ := drawPacer(t)
		w, j := p.walk(), uint64(0)
		steps := rapid.SliceOfN(rapid.Uint64Range(1, 200), 1, 30).Draw(t, "steps")
		for i, n := range append([]uint64{0}, steps...) {
			j += n
			got, gotOK := w.skip(n)
			want, wantOK := p.At(j)
			if gotOK != wantOK || wantOK && got != want {
				t.Fatalf("step %d, message %d: walked to %v, %v, want %v, %v", i, j, got, gotOK, want, wantOK)
			}
			if !wantOK {
				return
			}
		}
	})
}

func TestPacesThatEnd(t *testing.T) {
	t.Parallel()
	s := time.Second
	for _, c := range []struct {
		it   string
		p    Pacer
		want uint64 // messages
	}{
		{"stops at rate 0", newStaged([]Stage{{Rate{100, s}, Rate{100, s}, s}, {For: s}}, false), 100},
		{"goes down to 0", newStaged([]Stage{{Rate{100, s}, Rate{}, 2 * s}}, false), 100},
		{"has the times of its trace", trace{times: []time.Duration{0, 0, 5}}, 3},
	} {
		if _, ok := c.p.At(c.want); ok {
			t.Errorf("it %s: there is a message %d", c.it, c.want)
		}
		if _, ok := c.p.At(c.want - 1); !ok {
			t.Errorf("it %s: there is no message %d", c.it, c.want-1)
		}
		if n := c.p.Count(time.Hour); n != c.want {
			t.Errorf("it %s: got %d messages, want %d", c.it, n, c.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Rate{
		"1000": {1, time.Millisecond}, "1000/s": {1, time.Millisecond}, "0.5/s": {1, 2 * time.Second}, "1/90s": {1, 90 * time.Second},
		"3/100s": {3, 100 * time.Second}, "60/m": {1, time.Second}, "0": {}, "0/s": {}, "1.25": {1, 800 * time.Millisecond}, "1000000000": {1, 1},
	} {
		got, err := ParseRate(s)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
		if again, err := ParseRate(got.String()); err != nil || again != got {
			t.Errorf("%q: is %v, which reads as %v, %v", s, got, again, err)
		}
	}
	for _, s := range []string{"", "/s", "1/", "x", "-1", "1.", ".5", "1/0s", "1/x", "1e3", "1000000001", "99999999999999999999", "1 /s", "0x1", "1.0000000001"} {
		if got, err := ParseRate(s); err == nil {
			t.Errorf("%q: got %v, want a refusal", s, got)
		}
	}
}

func benchmarkSchedule(b *testing.B, p Pacer) {
	s := newSchedule(p, 1000, 0, 3, 1, 8) // one of two loops in one of four shards
	b.ReportAllocs()
	var sum time.Duration
	for b.Loop() {
		m, _ := s.Peek()
		sum += m.At
		s.Advance()
	}
	_ = sum
}

func BenchmarkConstant(b *testing.B) { benchmarkSchedule(b, constant{Rate{999_983, time.Second}}) }
func BenchmarkStages(b *testing.B) {
	benchmarkSchedule(b, newStaged([]Stage{{Rate{1, time.Second}, Rate{1000, time.Millisecond}, time.Hour}}, false))
}
func BenchmarkSine(b *testing.B) {
	benchmarkSchedule(b, newSine(Rate{1000, time.Millisecond}, Rate{500, time.Millisecond}, time.Minute))
}
func BenchmarkPoisson(b *testing.B) { benchmarkSchedule(b, poisson{Rate{1000, time.Millisecond}, 1}) }
func BenchmarkBurst(b *testing.B) {
	benchmarkSchedule(b, burst{1000, time.Second, 10 * time.Millisecond})
}
