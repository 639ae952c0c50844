package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// duration writes three digits and a unit, in at most eight characters: 1.23 ms.
func duration(d time.Duration) string {
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

// threeDigits writes a number above 1 with three digits, or all before the
// point.
func threeDigits(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// integer writes a whole number with separators: 1,234,567.
func integer(n int64) string {
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

// number writes a rate: whole from 100 on, with one decimal or three digits
// below.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return integer(int64(math.Round(v)))
	case a >= 1 || a == 0:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// percent writes a share: 99.3 %.
func percent(share float64) string {
	v := 100 * share
	switch {
	case v >= 99.95 && v < 100 || v > 0 && v < 1:
		return strconv.FormatFloat(v, 'g', 4, 64) + " %"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " %"
}

// bytesIn writes a number of bytes in binary units.
func bytesIn(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return integer(n) + " B"
	}
	return threeDigits(v) + " " + units[u]
}
