// Package jsontext reads and writes JSON (RFC 8259) in place: it checks, finds, unquotes and
// quotes without building values.
package jsontext

import "unicode/utf8"

// MaxDepth bounds the nesting of JSON values.
const MaxDepth = 1000

// Valid reports whether b is one JSON value, with or without white space around it.
func Valid(b []byte) bool {
	end, ok := SkipValue(b, SkipBlank(b, 0), 0)
	return ok && SkipBlank(b, end) == len(b)
}

// OneLine reports whether b is one JSON value without white space around it and without line
// ends inside.
func OneLine(b []byte) bool {
	if len(b) == 0 || SkipBlank(b, 0) != 0 {
		return false
	}
	end, ok := SkipValue(b, 0, 0)
	if !ok || end != len(b) {
		return false
	}
	for _, c := range b {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return true
}

// SkipBlank returns the index of the first byte from i on that is not JSON white space.
func SkipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// SkipValue returns the index after the JSON value that starts at i. If there is no valid
// value, it returns the index of the error, and false. depth is the number of values around
// it.
func SkipValue(b []byte, i, depth int) (int, bool) { return walk(b, i, depth, nil, nil) }

// walk is SkipValue that also notes in f, unless it is nil, what the path leads to from here.
func walk(b []byte, i, depth int, path Path, f *Found) (end int, ok bool) {
	if i >= len(b) || depth > MaxDepth {
		return i, false
	}
	if f != nil {
		*f = Found{}
	}
	switch c := b[i]; {
	case c == '"':
		end, ok = SkipString(b, i)
	case c == '{':
		end, ok = walkContainer(b, i, depth, '}', path, f)
	case c == '[':
		end, ok = walkContainer(b, i, depth, ']', path, f)
	case c == '-' || c >= '0' && c <= '9':
		end, ok = skipNumber(b, i)
	default:
		end, ok = skipWord(b, i)
	}
	if f != nil {
		f.arrive(b, i, end, path)
	}
	return end, ok
}

func skipWord(b []byte, i int) (int, bool) {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word), true
		}
	}
	return i, false
}

func walkContainer(b []byte, i, depth int, end byte, path Path, f *Found) (int, bool) {
	i = SkipBlank(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1, true
	}
	for n := 0; ; n++ {
		var ok bool
		name := i
		if end == '}' {
			if i >= len(b) || b[i] != '"' {
				return i, false
			}
			if i, ok = SkipString(b, i); !ok {
				return i, false
			}
			colon := SkipBlank(b, i)
			if colon >= len(b) || b[colon] != ':' {
				return colon, false
			}
			if f != nil && len(path) > 0 && path[0].isKey(b[name+1:i-1]) {
				i, ok = walk(b, SkipBlank(b, colon+1), depth+1, path[1:], f)
			} else {
				i, ok = SkipValue(b, SkipBlank(b, colon+1), depth+1)
			}
		} else if f != nil && len(path) > 0 && path[0].IsIndex && path[0].Index == n {
			i, ok = walk(b, i, depth+1, path[1:], f)
		} else {
			i, ok = SkipValue(b, i, depth+1)
		}
		if !ok {
			return i, false
		}
		i = SkipBlank(b, i)
		switch {
		case i >= len(b):
			return i, false
		case b[i] == end:
			return i + 1, true
		case b[i] != ',':
			return i, false
		}
		i = SkipBlank(b, i+1)
	}
}

// SkipString is SkipValue for a string, whose first quote is at i.
func SkipString(b []byte, i int) (int, bool) {
	for i++; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			return i + 1, true
		case c == '\\':
			if i+1 >= len(b) {
				return i, false
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if _, ok := hex4(b, i+2); !ok {
					return i, false
				}
				i += 6
			default:
				return i, false
			}
		case c < ' ':
			return i, false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return i, false
			}
			i += n
		}
	}
	return i, false
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		d := unhex(c)
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 255
}

func skipNumber(b []byte, i int) (int, bool) {
	digits := func() bool {
		start := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, false
		}
	}
	return i, true
}
