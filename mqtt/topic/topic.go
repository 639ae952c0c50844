// Package topic validates and matches topic names and topic filters, and has
// two trees to look them up in.
//
// Statement identifiers are those of MQTT 5.0; MQTT 3.1.1 has the same rules
// under other numbers, and no shared subscriptions. Matching is by bytes,
// without any normalization (MQTT-4.7.3-4): levels may be empty, and "/a", "a"
// and "a/" are three names.
//
// Functions and trees that take []byte never keep or change it.
package topic

import "unsafe"

// MaxLength is the maximum length of a topic name or filter, in bytes of UTF-8
// (MQTT-4.7.3-3).
const MaxLength = 65535

// DefaultMaxLevels is the default limit for the levels of a topic in a [Trie]
// or [NameMap]. Each level costs a node: without a limit one filter of 65535
// slashes would cost megabytes.
const DefaultMaxLevels = 200

// view returns b as a string without a copy. The string is valid until this
// package returns to its caller and must not be kept. Error and the trees copy
// what they store.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cut splits the first level off s. more reports whether a separator followed,
// so that "a/" has a second, empty level.
func cut(s string) (level, rest string, more bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Levels returns the number of levels of a topic name or filter: 1 plus the
// number of separators.
func Levels[S ~string | ~[]byte](s S) int {
	n := 1
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			n++
		}
	}
	return n
}
