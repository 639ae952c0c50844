package bench

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// capacity is a broker that sustains loads up to a capacity, and a generator that
// manages loads up to another.
type capacity struct {
	broker, generator float64
	loads             []float64
}

func (c *capacity) measure(load float64) (Outcome, error) {
	c.loads = append(c.loads, load)
	switch {
	case load > c.generator:
		return Limited, nil
	case load > c.broker:
		return Missed, nil
	}
	return Sustained, nil
}

func TestSearchGoesUpAndThenDividesTheRest(t *testing.T) {
	c := &capacity{broker: 5.3, generator: math.Inf(1)}
	found, err := Search{From: 1, Precision: 0.1}.Run(c.measure)
	want := SearchResult{Load: 5, Missed: 5.5}
	if loads := []float64{1, 2, 4, 8, 8, 6, 6, 5, 5.5, 5.5}; err != nil || found != want || !slices.Equal(c.loads, loads) {
		t.Errorf("got %+v by %v, %v; want %+v by %v", found, c.loads, err, want, loads)
	}
}

func TestSearchGoesDownFromALoadThatIsTooHigh(t *testing.T) {
	c := &capacity{broker: 1.1, generator: math.Inf(1)}
	found, err := Search{From: 8, Precision: 0.5}.Run(c.measure)
	if loads := []float64{8, 8, 4, 4, 2, 2, 1}; err != nil || found != (SearchResult{Load: 1, Missed: 2}) || !slices.Equal(c.loads, loads) {
		t.Errorf("got %+v by %v, %v", found, c.loads, err)
	}
}

func TestSearchEndsWhereNothingIsSustained(t *testing.T) {
	c := &capacity{generator: math.Inf(1)}
	found, err := Search{From: 1, Precision: 0.05}.Run(c.measure)
	if err != nil || found != (SearchResult{Missed: 1.0 / 1024}) || len(c.loads) != 2*11 {
		t.Errorf("got %+v by %v, %v", found, c.loads, err)
	}
}

func TestSearchEndsWhereEverythingIsSustained(t *testing.T) {
	c := &capacity{broker: math.Inf(1), generator: math.Inf(1)}
	found, err := Search{From: 1, Precision: 0.05}.Run(c.measure)
	if err != nil || found != (SearchResult{Load: 1 << 20}) || len(c.loads) != 21 {
		t.Errorf("got %+v by %v, %v", found, c.loads, err)
	}
}

func TestSearchEndsWhereTheGeneratorIsTheLimitTwice(t *testing.T) {
	c := &capacity{broker: 100, generator: 3}
	found, err := Search{From: 1, Precision: 0.05}.Run(c.measure)
	if loads := []float64{1, 2, 4, 4}; err != nil || found != (SearchResult{Load: 2, Limited: 4}) || !slices.Equal(c.loads, loads) {
		t.Errorf("going up: got %+v by %v, %v", found, c.loads, err)
	}
	c = &capacity{broker: 6, generator: 0}
	found, err = Search{From: 1, Precision: 0.05}.Run(c.measure)
	if err != nil || found != (SearchResult{Limited: 1}) || len(c.loads) != 2 {
		t.Errorf("from the start: got %+v by %v, %v", found, c.loads, err)
	}
}

// TestSearchEndsWhereNothingIsDecided: a lower load has fewer values, which decide even
// less.
func TestSearchEndsWhereNothingIsDecided(t *testing.T) {
	for _, at := range []int{1, 3} {
		c, n := &capacity{broker: 100, generator: math.Inf(1)}, 0
		found, err := Search{From: 1, Precision: 0.05}.Run(func(load float64) (Outcome, error) {
			if n++; n >= at {
				c.loads = append(c.loads, load)
				return Undecided, nil
			}
			return c.measure(load)
		})
		want := map[int]SearchResult{1: {Open: 1}, 3: {Load: 2, Open: 4}}[at]
		if err != nil || found != want || len(c.loads) != at {
			t.Errorf("got %+v by %v, %v", found, c.loads, err)
		}
	}
}

func TestSearchGoesOnAfterAHiccup(t *testing.T) {
	for _, hiccup := range []Outcome{Missed, Limited} {
		c := &capacity{broker: 3, generator: math.Inf(1)}
		hiccups := 0
		found, err := Search{From: 1, Precision: 0.3}.Run(func(load float64) (Outcome, error) {
			if load == 2 && hiccups == 0 {
				hiccups++
				return hiccup, nil
			}
			return c.measure(load)
		})
		if err != nil || found != (SearchResult{Load: 3, Missed: 4}) || hiccups != 1 {
			t.Errorf("got %+v by %v, %v", found, c.loads, err)
		}
	}
}

func TestSearchEndsWithAnErrorAndWhatItHas(t *testing.T) {
	c := &capacity{broker: 100, generator: math.Inf(1)}
	oops := errors.New("oops")
	for _, again := range []bool{false, true} {
		n := 0
		found, err := Search{From: 1, Precision: 0.05}.Run(func(load float64) (Outcome, error) {
			if n++; n == 3 && again {
				return Limited, nil
			}
			if n >= 3 {
				return Sustained, oops
			}
			return c.measure(load)
		})
		if !errors.Is(err, oops) || found != (SearchResult{Load: 2}) {
			t.Errorf("again %v: got %+v, %v", again, found, err)
		}
	}
}

// TestSearchFindsAnyCapacity: the answer is sustained, and no more than the precision
// below the capacity, after few steps.
func TestSearchFindsAnyCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &capacity{broker: math.Pow(2, rapid.Float64Range(-9, 19).Draw(t, "capacity")), generator: math.Inf(1)}
		s := Search{From: 1, Precision: rapid.Float64Range(0.005, 1).Draw(t, "precision")}
		found, err := s.Run(c.measure)
		if err != nil {
			t.Fatal(err)
		}
		if found.Load > c.broker || found.Missed <= c.broker || found.Missed-found.Load > s.Precision*found.Missed {
			t.Fatalf("capacity %v, precision %v: got %+v", c.broker, s.Precision, found)
		}
		if len(c.loads) > 2*(21+9) {
			t.Fatalf("%d steps: %v", len(c.loads), c.loads)
		}
		measured := map[float64]int{}
		for _, l := range c.loads {
			measured[l]++
		}
		for l, n := range measured {
			if want := map[bool]int{true: 1, false: 2}[l <= c.broker]; n != want {
				t.Fatalf("%v was measured %d times, not %d: %v", l, n, want, c.loads)
			}
		}
	})
}
