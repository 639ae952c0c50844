package format

import (
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// Stamped puts a time and a space before each message that another formatter formats:
// RFC 3339 with microseconds, as in records, or seconds with microseconds, as in 12.345678.
type Stamped struct {
	Formatter
	Since time.Time // if not zero, the time is the seconds since then
	Delta bool      // Since becomes the time of each message
	Color string    // the escape sequence before the time; "": none
	End   string    // the escape sequence after the time

	stamp stamp
}

// Append formats one message. A message that the other formatter leaves out has no time.
func (f *Stamped) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	start := len(dst)
	dst = append(dst, f.Color...)
	if f.Since.IsZero() {
		dst = f.stamp.append(dst, at)
	} else {
		dst = appendSeconds(dst, at.Sub(f.Since))
	}
	dst = append(append(dst, f.End...), ' ')
	head := len(dst)
	dst, err := f.Formatter.Append(dst, m, at)
	if len(dst) == head {
		return dst[:start], err
	}
	if f.Delta {
		f.Since = at
	}
	return dst, err
}

// appendSeconds appends a duration in seconds with microseconds, at least three digits before
// the point, so that columns stay below each other for a quarter of an hour.
func appendSeconds(dst []byte, d time.Duration) []byte {
	micro := int64(max(d, 0) / time.Microsecond)
	for limit := int64(100); limit > 1 && micro/1e6 < limit; limit /= 10 {
		dst = append(dst, ' ')
	}
	dst = append(strconv.AppendInt(dst, micro/1e6, 10), '.')
	for unit := int64(100000); unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(micro/unit%10))
	}
	return dst
}
