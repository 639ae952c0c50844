// Package units parses durations and sizes as people write them, on the command line and in
// files, and words the errors of values.
//
// The parsers are strict: base 10, no sign, no blanks, no exponents. Their errors complete
// a sentence that begins with the quoted value: "5x" is not a duration.
package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The errors of the parsers.
var (
	ErrNotDuration = errors.New("is not a duration such as 5, 1.5, 250ms, 5s or 2m")
	ErrNotSize     = errors.New("is not a size such as 512, 64k or 1MiB")
	ErrTooLarge    = errors.New("is too large")
)

// Count returns a number with its noun: 1 message, 2 messages.
func Count[N int | int64 | uint64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun
}

// Short formats a duration for people: 1m, not 1m0s.
func Short(d time.Duration) string {
	s := d.String()
	for _, zero := range [...]string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// Invalid returns the text for a value that is refused, the same for options and files:
// invalid value "5" (want 0, 1 or 2). what is "value", or more exactly "duration"; shown is
// the value as it is printed, or "" to omit it.
func Invalid(what, shown, hint string) string {
	if shown != "" {
		shown = " " + shown
	}
	return "invalid " + what + shown + " (" + hint + ")"
}

// WantNumber returns the hint of Invalid for whole numbers from least to most.
func WantNumber(least, most int64) string {
	if most-least > 2 {
		return fmt.Sprintf("want a whole number from %d to %d", least, most)
	}
	var all []string
	for n := least; n <= most; n++ {
		all = append(all, strconv.FormatInt(n, 10))
	}
	return "want " + OrList(all...)
}

// OrList joins words as "a, b or c".
func OrList(words ...string) string { return list(words, " or ") }

// AndList joins words as "a, b and c".
func AndList(words ...string) string { return list(words, " and ") }

func list(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + last + words[n]
}

// Duration parses a duration: a plain number is seconds (5, 1.5), otherwise numbers with
// the units ns, us, ms, s, m, h (250ms, 1h30m). It is never negative.
func Duration(s string) (time.Duration, error) {
	// time.ParseDuration accepts signs, ".5" and ".".
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Contains(s, ".s") {
		return 0, ErrNotDuration
	}
	if last := s[len(s)-1]; '0' <= last && last <= '9' {
		if strings.Trim(s, "0123456789.") != "" {
			return 0, ErrNotDuration // 5m3: the last number has no unit
		}
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		if looksLikeDuration(s) {
			return 0, ErrTooLarge
		}
		return 0, ErrNotDuration
	}
	if d < 0 {
		return 0, ErrTooLarge
	}
	return d, nil
}

// looksLikeDuration distinguishes a well-formed duration that overflows from a malformed
// one: with all numbers shortened to one digit it must parse.
func looksLikeDuration(s string) bool {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		digit := s[i] >= '0' && s[i] <= '9'
		if digit && i > 0 && s[i-1] >= '0' && s[i-1] <= '9' {
			continue
		}
		b = append(b, s[i])
	}
	_, err := time.ParseDuration(string(b))
	return err == nil
}

// Size parses a number of bytes: a whole number and, without a blank, one of the units B, k
// M G (the same as KiB MiB GiB: powers of 1024) or kB MB GB (powers of 1000). Case does not
// matter.
func Size(s string) (int64, error) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, ErrNotSize
	}
	factor, ok := sizeUnit(strings.ToLower(s[end:]))
	if !ok {
		return 0, ErrNotSize
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, ErrTooLarge
	}
	return n * factor, nil
}

func sizeUnit(unit string) (factor int64, ok bool) {
	switch unit {
	case "", "b":
		return 1, true
	case "k", "kib":
		return 1 << 10, true
	case "m", "mib":
		return 1 << 20, true
	case "g", "gib":
		return 1 << 30, true
	case "kb":
		return 1000, true
	case "mb":
		return 1000 * 1000, true
	case "gb":
		return 1000 * 1000 * 1000, true
	}
	return 0, false
}
