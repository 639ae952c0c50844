package topic

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Error describes why a string is not a valid topic name or topic filter.
type Error struct {
	Topic  string // the whole invalid string, a copy
	Filter bool   // it was checked as a topic filter, not as a topic name
	Rule   string // statement identifier, such as "MQTT-4.7.1-2"; empty for a limit of this package
	Reason string // what is wrong
	Offset int    // position in bytes from the start of Topic; -1 if there is none
}

// Error returns a text with the topic, quoted and cut at 80 bytes, and the
// rule.
func (e *Error) Error() string {
	s := "topic name "
	if e.Filter {
		s = "topic filter "
	}
	s += Quote(e.Topic) + ": " + e.Reason
	if e.Offset >= 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	if e.Rule != "" {
		s += " [" + e.Rule + "]"
	}
	return s
}

// quoteLimit is how many bytes of a topic an error text includes.
const quoteLimit = 80

// Quote returns s in double quotes with everything unprintable escaped, safe
// for a terminal. If s exceeds 80 bytes it returns the first 80 and the length.
func Quote(s string) string {
	if len(s) <= quoteLimit {
		return strconv.Quote(s)
	}
	end := quoteLimit
	for end > quoteLimit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return strconv.Quote(s[:end]) + "... (" + strconv.Itoa(len(s)) + " bytes)"
}

func nameError(name, rule, reason string, off int) error {
	return &Error{Topic: strings.Clone(name), Rule: rule, Reason: reason, Offset: off}
}

func filterError(filter, rule, reason string, off int) error {
	return &Error{Topic: strings.Clone(filter), Filter: true, Rule: rule, Reason: reason, Offset: off}
}
