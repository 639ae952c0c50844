package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The parsers below are strict: base 10, no sign where none makes sense, no
// blanks, no exponents. Their errors complete a sentence that begins with the
// quoted value: "5x" is not a whole number.

var (
	errNotBool     = errors.New("is neither true nor false")
	errNotInt      = errors.New("is not a whole number in base 10")
	errNotDuration = errors.New("is not a duration such as 5, 1.5, 250ms, 5s or 2m")
	errNotSize     = errors.New("is not a size such as 512, 64k or 1MiB")
	errTooLarge    = errors.New("is too large")
)

// parseBool reads the value of a switch in --name=value and the environment.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, errNotBool
}

// parseInt reads a whole number: an optional minus and decimal digits.
func parseInt(s string) (int64, error) {
	digits := strings.TrimPrefix(s, "-")
	if !allDigits(digits) {
		return 0, errNotInt
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errTooLarge
	}
	return n, nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// ParseDuration reads a duration: a plain number is seconds (5, 1.5), otherwise
// numbers with the units ns, us, ms, s, m, h (250ms, 1h30m). It is never
// negative.
func ParseDuration(s string) (time.Duration, error) {
	// Before time.ParseDuration, which takes signs, ".5" and ".".
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Contains(s, ".s") {
		return 0, errNotDuration
	}
	if last := s[len(s)-1]; '0' <= last && last <= '9' {
		if strings.Trim(s, "0123456789.") != "" {
			return 0, errNotDuration // 5m3: the last number has no unit
		}
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		if looksLikeDuration(s) {
			return 0, errTooLarge
		}
		return 0, errNotDuration
	}
	if d < 0 {
		return 0, errTooLarge
	}
	return d, nil
}

// looksLikeDuration tells a well-formed duration that overflows from a
// malformed one: with all numbers shortened to one digit it must parse.
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

// ParseSize reads a number of bytes: a whole number and, without a blank, one
// of the units B, k M G (as KiB MiB GiB: powers of 1024) or kB MB GB (powers
// of 1000). Case does not matter.
func ParseSize(s string) (int64, error) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, errNotSize
	}
	factor, ok := sizeUnit(strings.ToLower(s[end:]))
	if !ok {
		return 0, errNotSize
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, errTooLarge
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

// parseEscaped resolves \n \r \t \0 \\ and \xHH; the result has at least one
// byte.
func parseEscaped(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty")
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", errors.New(`ends in a lone \`)
		}
		switch s[i] {
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case '0':
			b = append(b, 0)
		case '\\':
			b = append(b, '\\')
		case 'x':
			if i+2 >= len(s) {
				return "", errors.New(`has a \x without two hexadecimal digits`)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", errors.New(`has a \x without two hexadecimal digits`)
			}
			b = append(b, byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`has the unknown escape \%c`, s[i])
		}
	}
	return string(b), nil
}

// parseListen reads PORT, HOST:PORT or the path of a socket (one with a slash)
// and makes HOST:PORT of a bare port, on the loopback address.
func parseListen(s string) (string, error) {
	if strings.ContainsRune(s, '/') {
		return s, nil
	}
	host, port := "127.0.0.1", s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		if strings.ContainsRune(host, ':') && !(strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")) {
			return "", errors.New("has an IPv6 address without brackets")
		}
	}
	if n, err := parseInt(port); err != nil || n < 0 || n > 65535 {
		return "", errors.New("is not PORT, HOST:PORT or a path, with a port from 0 to 65535")
	}
	return host + ":" + port, nil
}
