package topic

import (
	"strconv"
	"unicode/utf8"
)

// ValidateName returns an error unless name can be published to: 1 to 65535
// bytes of well-formed UTF-8 without U+0000 and without wildcards. The error is
// an [*Error]. Characters that MQTT only discourages pass; see [FirstDiscouraged].
func ValidateName(name string) error {
	if isPlain(name) {
		return nil
	}
	if err := validateText(name, false); err != nil {
		return err
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c == '+' || c == '#' {
			return nameError(name, "MQTT-4.7.0-1", "wildcard "+strconv.Quote(name[i:i+1])+" in a topic name", i)
		}
	}
	return nil
}

// ValidateNameBytes is [ValidateName] for bytes. It allocates only for an
// error, which holds a copy.
func ValidateNameBytes(name []byte) error { return ValidateName(view(name)) }

// ValidateFilter returns an error unless filter can be subscribed to: 1 to
// 65535 bytes of well-formed UTF-8 without U+0000, where each + fills a level
// and # fills the last one. A filter that starts with $share/ must have the
// form $share/group/filter (see [ParseShare]). The error is an [*Error].
func ValidateFilter(filter string) error {
	if err := validateText(filter, true); err != nil {
		return err
	}
	start := 0
	if isShare(filter) {
		n, err := validateShare(filter)
		if err != nil {
			return err
		}
		start = n
	}
	for i := start; i < len(filter); i++ {
		c := filter[i]
		if c != '+' && c != '#' {
			continue
		}
		fills := i == start || filter[i-1] == '/'
		switch {
		case c == '#' && !fills:
			return filterError(filter, "MQTT-4.7.1-1", "'#' must follow a '/' or stand alone", i)
		case c == '#' && i+1 < len(filter):
			return filterError(filter, "MQTT-4.7.1-1", "'#' must be the last character", i)
		case c == '+' && (!fills || i+1 < len(filter) && filter[i+1] != '/'):
			return filterError(filter, "MQTT-4.7.1-2", "'+' must fill a whole level", i)
		}
	}
	return nil
}

// ValidateFilterBytes is [ValidateFilter] for bytes. It allocates only for an
// error, which holds a copy.
func ValidateFilterBytes(filter []byte) error { return ValidateFilter(view(filter)) }

// isPlain is the fast path of ValidateName: the length is in range and all
// bytes are allowed ASCII. The slow path checks the others.
func isPlain(s string) bool {
	if s == "" || len(s) > MaxLength {
		return false
	}
	for i := 0; i < len(s); i++ {
		// c-1 wraps around for the null character.
		if c := s[i]; c-1 >= utf8.RuneSelf-1 || c == '+' || c == '#' {
			return false
		}
	}
	return true
}

// validateText checks the rules that names and filters have in common.
func validateText(s string, filter bool) error {
	fail := nameError
	if filter {
		fail = filterError
	}
	if s == "" {
		return fail(s, "MQTT-4.7.3-1", "empty", -1)
	}
	if len(s) > MaxLength {
		return fail(s, "MQTT-4.7.3-3", strconv.Itoa(len(s))+" bytes, the limit is 65535", -1)
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c == 0 {
				return fail(s, "MQTT-4.7.3-2", "null character", i)
			}
			i++
			continue
		}
		// DecodeRune refuses surrogates, overlong forms and code points above
		// U+10FFFF, as MQTT-1.5.4-1 requires.
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return fail(s, "MQTT-1.5.4-1", "ill-formed UTF-8", i)
		}
		i += n
	}
	return nil
}
