package report

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func gateOf(t testing.TB, s string) Gate {
	t.Helper()
	gates, err := ParseGates(s)
	if err != nil || len(gates) != 1 {
		t.Fatal(err)
	}
	return gates[0]
}

func TestAGateIsDecidedByTheRuns(t *testing.T) {
	for _, c := range []struct {
		name, gate string
		x, y       []float64
		want       gateVerdict
		runs       int
	}{
		{"one run within", "p99=+10%", []float64{100}, []float64{110}, gateKept, 0},
		{"one run beyond", "p99=+10%", []float64{100}, []float64{110.1}, gateMissed, 0},
		{"two and two beyond", "p99=+10%", []float64{99, 101}, []float64{149, 151}, gateMissed, 0},
		{"three and one", "p99=+10%", []float64{98, 100, 102}, []float64{150}, gateMissed, 0},
		{"one and three", "p99=+10%", []float64{100}, []float64{148, 150, 152}, gateMissed, 0},
		{"sixty times, three and two", "p99=+10%", []float64{98, 100, 102}, []float64{6000, 6100}, gateMissed, 0},
		{"beyond, and between A and its gate at the lowest", "p99=+10%", []float64{99, 100, 101}, []float64{102, 130, 140}, gateMissed, 0},
		{"beyond by the medians, and overlapping", "p99=+10%", []float64{90, 100, 140}, []float64{95, 120, 150}, gateOpen, 147},
		{"within by the medians, and one far beyond", "p99=+10%", []float64{100, 100, 100}, []float64{100, 100, 160}, gateOpen, 17},
		{"all within, spread as they are", "p99=+10%", []float64{80, 100, 120}, []float64{80, 100, 109}, gateKept, 0},
		{"many that overlap little", "p99=+10%", []float64{98, 99, 100, 101, 102}, []float64{100, 101, 102, 103, 112}, gateKept, 0},
		{"at the gate", "p99=+10%", []float64{90, 110}, []float64{99, 121}, gateOpen, 0},
		{"a lower rate", "rate=-5%", []float64{990, 1000}, []float64{940, 945}, gateMissed, 0},
		{"a rate within", "rate=-5%", []float64{990, 1000}, []float64{960, 970}, gateKept, 0},
		{"a higher rate", "rate=-5%", []float64{990, 1000}, []float64{2000, 2100}, gateKept, 0},
		{"a rate that once fell", "rate=-5%", []float64{1000, 1000}, []float64{500, 1000}, gateOpen, 0},
		{"from nothing to nothing", "lost=+10%", []float64{0, 0}, []float64{0, 0}, gateKept, 0},
		{"from nothing to something", "lost=+10%", []float64{0, 0}, []float64{1, 2}, gateMissed, 0},
		{"something once", "lost=+10%", []float64{0, 0, 0}, []float64{0, 0, 5}, gateOpen, 17},
	} {
		slices.Sort(c.x)
		slices.Sort(c.y)
		if v, runs := gateOf(t, c.gate).decide(c.x, c.y); v != c.want || runs != c.runs {
			t.Errorf("%s: verdict %v, %d runs; want %v, %d", c.name, v, runs, c.want, c.runs)
		}
	}
}

// TestARegressionPassesNoGate: for generated pairs of runs, however many there are and
// however they are spread, as long as it remains a regression.
func TestARegressionPassesNoGate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.Float64Range(0, 0.15).Draw(t, "noise")
		worse := rapid.Float64Range(1.5, 100).Draw(t, "worse")
		base := math.Pow(10, rapid.Float64Range(0, 9).Draw(t, "base"))
		draw := func(what string, factor float64) []float64 {
			list := make([]float64, rapid.IntRange(1, 8).Draw(t, what))
			for i := range list {
				list[i] = base * factor * (1 + rapid.Float64Range(-noise, noise).Draw(t, what))
			}
			slices.Sort(list)
			return list
		}
		x, y := draw("A", 1), draw("B", worse)
		if v, _ := (Gate{bound: 0.1}).decide(x, y); v != gateMissed {
			t.Fatalf("%v and %v: %v", x, y, v)
		}
		if v, _ := (Gate{bound: -0.1}).decide(y, x); v != gateMissed {
			t.Fatalf("a fall from %v to %v: %v", y, x, v)
		}
		// A change within the gate and the noise is not a regression.
		if v, runs := (Gate{bound: 0.1}).decide(x, slices.Clone(x)); v == gateMissed || v == gateOpen && runs <= len(x) && runs > 0 {
			t.Fatalf("%v and the same: %v, %d", x, v, runs)
		}
	})
}

// TestWhatOverlapsFarIsNeverPassed: where the spread is wide the medians alone do not
// decide, and an undecided gate asks for more runs than there were.
func TestWhatOverlapsFarIsNeverPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := func(what string) []float64 {
			l := rapid.SliceOfN(rapid.Float64Range(1, 1000), 1, 9).Draw(t, what)
			slices.Sort(l)
			return l
		}
		x, y := list("A"), list("B")
		// B is one and a half times A, run by run if there are as many, otherwise by
		// the medians.
		if rapid.Bool().Draw(t, "paired") {
			y = nil
			for _, v := range x {
				y = append(y, 1.5*v)
			}
		}
		v, runs := (Gate{bound: 0.1}).decide(x, y)
		if median(y) > 1.1*median(x)*(1+1e-9) && v == gateKept {
			t.Fatalf("%v and %v pass", x, y)
		}
		if v == gateOpen && runs > 0 && (runs <= max(len(x), len(y)) || runs < 3) {
			t.Fatalf("%v and %v are not decided, and %d runs were to be enough", x, y, runs)
		}
	})
}
