package option

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The parsers below are strict: base 10, no sign where a sign makes no sense, no blanks, no
// exponents. The text of their errors goes into the parentheses after the value, see
// invalid.

var (
	errNotBool  = errors.New("want true or false")
	errNotInt   = errors.New("want a whole number")
	errEscape   = errors.New(`want two hexadecimal digits behind \x`)
	ErrEmpty    = errors.New("must not be empty")
	errListen   = errors.New("want PORT, HOST:PORT or a path, with a port from 0 to 65535")
	errBrackets = errors.New("want an IPv6 address in brackets")
)

// parseBool parses the value of a switch, as in --name=value or an environment variable.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, errNotBool
}

// parseInt parses a whole number: an optional minus sign and decimal digits.
func parseInt(s string) (int64, error) {
	digits := strings.TrimPrefix(s, "-")
	if !allDigits(digits) {
		return 0, errNotInt
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, units.ErrTooLarge
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

// parseEscaped resolves \n \r \t \0 \\ and \xHH; the result has at least one byte.
func parseEscaped(s string) (string, error) {
	if s == "" {
		return "", ErrEmpty
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", errors.New(`want \\ for a backslash`)
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
				return "", errEscape
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", errEscape
			}
			b = append(b, byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c`, s[i])
		}
	}
	return string(b), nil
}

// parseListen parses PORT, HOST:PORT, a URL or the path of a socket (with a slash). A bare
// port becomes HOST:PORT on the loopback address.
func parseListen(s string) (string, error) {
	if strings.ContainsRune(s, '/') || transport.IsURL(s) {
		return s, nil
	}
	host, port := "127.0.0.1", s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
		if strings.ContainsRune(host, ':') && !(strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")) {
			return "", errBrackets
		}
	}
	if n, err := parseInt(port); err != nil || n < 0 || n > 65535 {
		return "", errListen
	}
	return host + ":" + port, nil
}
