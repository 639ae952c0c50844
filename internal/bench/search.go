package bench

import "strconv"

// Outcome is what a run at a load came to.
type Outcome uint8

// The outcomes.
const (
	Sustained Outcome = iota // the load was sent, and kept what was asked for
	Missed                   // it was not
	Limited                  // it was not, and the generator may be the reason
	Undecided                // nothing tells, and a longer measurement would not either
)

// Search finds the highest load that a broker sustains. A load is a factor of
// the rates of a plan.
type Search struct {
	From      float64 // the first load, above 0
	Precision float64 // the answer is this share below a load that was missed, or less; above 0
}

// Found is the answer of a search.
type Found struct {
	Load    float64 // the highest that was sustained; 0: none
	Missed  float64 // the lowest that was missed; 0: none
	Limited float64 // the load at which the generator ended the search; 0: it did not
	Open    float64 // the load that was not decided, which ended the search; 0: none
}

// The search goes from its first load up to the one multiplied with searchMost,
// and down to the one divided by searchLeast.
const (
	searchMost  = 1 << 20
	searchLeast = 1 << 10
)

// Run measures loads: twice the load as long as it is sustained, half of it as
// long as none is, and then the middle between the highest that was sustained and
// the lowest that was missed, until these are close. A load that is not sustained
// is measured again before that counts: a machine hiccups. Where the generator is
// the limit even then the search ends: no higher load would tell more of the
// broker. It ends where nothing is decided, too: of a lower load less is known. An
// error of measure ends it with what has been found.
func (s Search) Run(measure func(load float64) (Outcome, error)) (Found, error) {
	var f Found
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

// next is the load to measure; 0 when there is none.
func (s Search) next(f Found) float64 {
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
	// Four digits are as good, and can be typed.
	middle, _ := strconv.ParseFloat(strconv.FormatFloat((f.Load+f.Missed)/2, 'g', 4, 64), 64)
	if middle <= f.Load || middle >= f.Missed {
		return 0
	}
	return middle
}
