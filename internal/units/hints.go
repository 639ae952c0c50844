package units

import (
	"fmt"
	"time"
)

// The hints of Invalid for values that are not understood at all.
const (
	DurationHint = "e.g. 5, 250ms, 2m"
	SizeHint     = "e.g. 512, 64k, 1MiB"
	RateHint     = "e.g. 1000, 1000/s, 10/m"
)

// WantDuration returns the hint of Invalid for durations from least to most.
func WantDuration(least, most time.Duration) string {
	return "want " + plainDuration(least) + " to " + plainDuration(most)
}

// plainDuration writes a duration in one unit: 65535s, 250ms, and from 1000 hours on in
// hours, rounded down.
func plainDuration(d time.Duration) string {
	switch {
	case d >= 1000*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
