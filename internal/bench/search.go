package bench

import "strconv"

// Outcome is the result of a run at one load.
type Outcome uint8

// The outcomes.
const (
	Sustained Outcome = iota // the load was sent and met the conditions
	Missed                   // it was not
	Limited                  // it was not, and the generator may be the reason
	Undecided                // it cannot be decided, not even by a longer measurement
)

// Search finds the highest load that a broker sustains. A load is a factor applied to
// the rates of a plan.
type Search struct {
	From      float64 // the first load, above 0
	Precision float64 // how far the answer may be below a load that was missed, as a share; above 0
}

// SearchResult is the answer of a search.
type SearchResult struct {
	Load    float64 // the highest that was sustained; 0: none
	Missed  float64 // the lowest that was missed; 0: none
	Limited float64 // the load at which the generator ended the search; 0: it did not
	Open    float64 // the load that was not decided, which ended the search; 0: none
}

// The search stays between its first load divided by searchLeast and the same
// multiplied by searchMost.
const (
	searchMost  = 1 << 20
	searchLeast = 1 << 10
)

// Run measures loads: it doubles the load as long as it is sustained, halves it as long
// as none is, and then takes the middle between the highest that was sustained and the
// lowest that was missed, until these are close. A load that is not sustained is
// measured again before that counts, since a machine may pause. If the generator is the
// limit both times, the search ends: a higher load would reveal nothing more about the
// broker. It also ends if a load is not decided, since a lower load gives even fewer
// values. An error of measure ends it with what has been found.
func (s Search) Run(measure func(load float64) (Outcome, error)) (SearchResult, error) {
	var f SearchResult
	for load := s.From; load > 0; load = s.next(f) {
		outcome, err := measure(load)
		if err == nil && outcome != Sustained && outcome != Undecided {
			outcome, err = measure(load)
		}
		if err != nil {
			return f, err
		}
		switch outcome {
		case Sustained:
			f.Load = load
		case Missed:
			f.Missed = load
		case Undecided:
			f.Open = load
			return f, nil
		default:
			f.Limited = load
			return f, nil
		}
	}
	return f, nil
}

// next returns the load to measure, 0 if there is none.
func (s Search) next(f SearchResult) float64 {
	switch {
	case f.Missed == 0:
		if f.Load*2 > s.From*searchMost {
			return 0
		}
		return f.Load * 2
	case f.Load == 0:
		if f.Missed/2 < s.From/searchLeast {
			return 0
		}
		return f.Missed / 2
	case f.Missed-f.Load <= s.Precision*f.Missed:
		return 0
	}
	// Four digits are precise enough, and can be typed.
	middle, _ := strconv.ParseFloat(strconv.FormatFloat((f.Load+f.Missed)/2, 'g', 4, 64), 64)
	if middle <= f.Load || middle >= f.Missed {
		return 0
	}
	return middle
}
