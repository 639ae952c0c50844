package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Time formats a duration with three digits and a unit, in at most eight characters: 1.23
// ms.
func Time(d time.Duration) string {
	if d < time.Microsecond {
		return strconv.FormatInt(int64(d), 10) + " ns"
	}
	units := []struct {
		name string
		unit time.Duration
	}{{"us", time.Microsecond}, {"ms", time.Millisecond}, {"s", time.Second}}
	for i, u := range units {
		if i == len(units)-1 || threeDigits(float64(d)/float64(u.unit)) != "1000" && d < 1000*u.unit {
			return threeDigits(float64(d)/float64(u.unit)) + " " + u.name
		}
	}
	return ""
}

// threeDigits formats a number above 1 with three digits, or with all digits before the
// decimal point.
func threeDigits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Integer formats a whole number with separators: 1,234,567.
func Integer(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Number formats a rate: whole from 100 on, with one decimal or three digits below.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return Integer(int64(math.Round(v)))
	case a >= 1 || a == 0:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Percent formats a share: 99.3 %.
func Percent(share float64) string {
	v := 100 * share
	switch {
	case v >= 99.95 && v < 100 || v > 0 && v < 1:
		return strconv.FormatFloat(v, 'g', 4, 64) + " %"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " %"
}

// Bytes formats a number of bytes in binary units.
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return Integer(n) + " B"
	}
	return threeDigits(v) + " " + units[u]
}

// Seconds formats a duration in seconds: 30 s, 1.5 s.
func Seconds(d time.Duration) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
}

// Compact formats a number in at most five characters, for a line that is redrawn.
func Compact(f float64) string {
	switch {
	case f < 9.95 && f != float64(int(f)):
		return fmt.Sprintf("%.1f", f)
	case f < 9999.5:
		return fmt.Sprintf("%.0f", f)
	case f < 999_500:
		return fmt.Sprintf("%.0fk", f/1e3)
	}
	return fmt.Sprintf("%.2fM", f/1e6)
}

// CompactTime formats a duration without a blank: 1.23ms.
func CompactTime(d time.Duration) string { return strings.ReplaceAll(Time(d), " ", "") }
