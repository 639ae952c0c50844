// Package topic knows topic names and topic filters: what is valid, what
// matches, and two trees to look them up in.
//
// Statement identifiers are those of MQTT 5.0; MQTT 3.1.1 has the same rules
// under other numbers, and no shared subscriptions. Matching is by bytes,
// without any normalisation (MQTT-4.7.3-4): levels may be empty, and "/a", "a"
// and "a/" are three names.
//
// Functions and trees that take []byte never keep or change it.
package topic

import "unsafe"

// MaxLength is the length limit of a topic name or filter, in bytes of UTF-8
// (MQTT-4.7.3-3).
const MaxLength = 65535

// DefaultMaxLevels is the number of levels that a [Trie] or [Names] accepts
// unless told otherwise. Each level costs a node: without a limit one filter
// of 65535 slashes would cost megabytes.
const DefaultMaxLevels = 200

// view is b as a string without a copy. The string is good until the caller of
// this package gets control back; nothing here may keep it. Error and the
// trees copy what they store.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cut takes the first level off s. More says that a separator followed, so
// that "a/" has a second, empty level.
func cut(s string) (level, rest string, more bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Levels is the number of levels of a topic name or filter: 1 plus the number
// of separators.
func Levels[S ~string | ~[]byte](s S) int {
	n := 1
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			n++
		}
	}
	return n
}
