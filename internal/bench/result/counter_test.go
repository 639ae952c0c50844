package result

import "testing"

func TestWhatIsMissingIsSetAgainstWhatCame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ missing, unexpected, left, more, instead [3]int64 }{
		{[3]int64{}, [3]int64{}, [3]int64{}, [3]int64{}, [3]int64{}},
		{[3]int64{1, 2, 3}, [3]int64{}, [3]int64{1, 2, 3}, [3]int64{}, [3]int64{}},
		{[3]int64{0, 0, 3}, [3]int64{2, 0, 0}, [3]int64{0, 0, 1}, [3]int64{}, [3]int64{0, 0, 2}},
		{[3]int64{2, 0, 0}, [3]int64{0, 5, 0}, [3]int64{}, [3]int64{0, 3, 0}, [3]int64{2, 0, 0}},
		// the highest first
		{[3]int64{2, 0, 2}, [3]int64{0, 3, 0}, [3]int64{1, 0, 0}, [3]int64{}, [3]int64{1, 0, 2}},
		{[3]int64{0, 4, 0}, [3]int64{1, 0, 2}, [3]int64{0, 1, 0}, [3]int64{}, [3]int64{0, 3, 0}},
	} {
		left, more := c.missing, c.unexpected
		if instead := Offset(&left, &more); left != c.left || more != c.more || instead != c.instead {
			t.Errorf("%v missing, %v more: %v, %v and %v instead; want %v, %v, %v", c.missing, c.unexpected, left, more, instead, c.left, c.more, c.instead)
		}
	}
}
