package format

import (
	"strconv"
	"strings"
	"time"
)

// knownTime reports whether appendTime supports conversion c.
func knownTime(c byte) bool {
	return strings.IndexByte("aAbBcCdDeFgGhHIjklmMnNpPrRsStTuUVwWxXyYzZ%", c) >= 0
}

// appendTime appends at in conversion c of strftime in the POSIX locale, and nine
// digits of nanoseconds for N.
func appendTime(dst []byte, c byte, at time.Time) []byte {
	switch c {
	case 'a':
		return at.AppendFormat(dst, "Mon")
	case 'A':
		return at.AppendFormat(dst, "Monday")
	case 'b', 'h':
		return at.AppendFormat(dst, "Jan")
	case 'B':
		return at.AppendFormat(dst, "January")
	case 'c':
		return at.AppendFormat(dst, "Mon Jan _2 15:04:05 2006")
	case 'C':
		return digits(dst, at.Year()/100, 2, '0')
	case 'd':
		return at.AppendFormat(dst, "02")
	case 'D', 'x':
		return at.AppendFormat(dst, "01/02/06")
	case 'e':
		return at.AppendFormat(dst, "_2")
	case 'F':
		return at.AppendFormat(dst, "2006-01-02")
	case 'g', 'G', 'V':
		year, week := at.ISOWeek()
		switch c {
		case 'g':
			return digits(dst, year%100, 2, '0')
		case 'G':
			return strconv.AppendInt(dst, int64(year), 10)
		}
		return digits(dst, week, 2, '0')
	case 'H':
		return at.AppendFormat(dst, "15")
	case 'I':
		return at.AppendFormat(dst, "03")
	case 'j':
		return digits(dst, at.YearDay(), 3, '0')
	case 'k':
		return digits(dst, at.Hour(), 2, ' ')
	case 'l':
		return digits(dst, (at.Hour()+11)%12+1, 2, ' ')
	case 'm':
		return at.AppendFormat(dst, "01")
	case 'M':
		return at.AppendFormat(dst, "04")
	case 'n':
		return append(dst, '\n')
	case 'N':
		return digits(dst, at.Nanosecond(), 9, '0')
	case 'p':
		return at.AppendFormat(dst, "PM")
	case 'P':
		return at.AppendFormat(dst, "pm")
	case 'r':
		return at.AppendFormat(dst, "03:04:05 PM")
	case 'R':
		return at.AppendFormat(dst, "15:04")
	case 's':
		return strconv.AppendInt(dst, at.Unix(), 10)
	case 'S':
		return at.AppendFormat(dst, "05")
	case 't':
		return append(dst, '\t')
	case 'T', 'X':
		return at.AppendFormat(dst, "15:04:05")
	case 'u':
		return append(dst, '0'+byte((at.Weekday()+6)%7+1))
	case 'U':
		return digits(dst, (at.YearDay()+6-int(at.Weekday()))/7, 2, '0')
	case 'w':
		return append(dst, '0'+byte(at.Weekday()))
	case 'W':
		return digits(dst, (at.YearDay()+6-int(at.Weekday()+6)%7)/7, 2, '0')
	case 'y':
		return at.AppendFormat(dst, "06")
	case 'Y':
		return at.AppendFormat(dst, "2006")
	case 'z':
		return at.AppendFormat(dst, "-0700")
	case 'Z':
		return at.AppendFormat(dst, "MST")
	case '%':
		return append(dst, '%')
	}
	return dst
}

// digits appends n, at least width characters wide.
func digits(dst []byte, n, width int, fill byte) []byte {
	for ; width > 1; width-- {
		unit := 1
		for range width - 1 {
			unit *= 10
		}
		if n >= unit {
			break
		}
		dst = append(dst, fill)
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
