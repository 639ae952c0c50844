package format

import "unicode/utf8"

// maxDepth bounds the nesting of JSON values.
const maxDepth = 1000

// skipBlank returns the index of the first byte from i on that is not JSON white space.
func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index after the JSON value (RFC 8259) that starts at i. If
// there is no valid value, it returns the index of the error, and false.
func skipValue(b []byte, i, depth int) (int, bool) {
	if i >= len(b) || depth > maxDepth {
		return i, false
	}
	switch c := b[i]; {
	case c == '"':
		return skipString(b, i)
	case c == '{':
		return skipContainer(b, i, depth, '}')
	case c == '[':
		return skipContainer(b, i, depth, ']')
	case c == '-' || c >= '0' && c <= '9':
		return skipNumber(b, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word), true
		}
	}
	return i, false
}

func skipContainer(b []byte, i, depth int, end byte) (int, bool) {
	i = skipBlank(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1, true
	}
	for {
		var ok bool
		if end == '}' {
			if i >= len(b) || b[i] != '"' {
				return i, false
			}
			if i, ok = skipString(b, i); !ok {
				return i, false
			}
			i = skipBlank(b, i)
			if i >= len(b) || b[i] != ':' {
				return i, false
			}
			i = skipBlank(b, i+1)
		}
		if i, ok = skipValue(b, i, depth+1); !ok {
			return i, false
		}
		i = skipBlank(b, i)
		switch {
		case i >= len(b):
			return i, false
		case b[i] == end:
			return i + 1, true
		case b[i] != ',':
			return i, false
		}
		i = skipBlank(b, i+1)
	}
}

func skipString(b []byte, i int) (int, bool) {
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

// appendIndented appends the valid JSON text b over several lines, each but the first
// after the margin, or on one line if flat. Numbers and strings are kept as written,
// except for characters that could control a terminal, which JSON can escape.
func appendIndented(dst, b []byte, margin string, flat bool, c *Palette) []byte {
	depth := 0
	line := func() {
		if flat {
			return
		}
		dst = append(append(dst, '\n'), margin...)
		for range depth {
			dst = append(dst, "  "...)
		}
	}
	for i := skipBlank(b, 0); i < len(b); i = skipBlank(b, i) {
		switch ch := b[i]; ch {
		case '{', '[':
			next := skipBlank(b, i+1)
			dst = append(dst, ch)
			if next < len(b) && (b[next] == '}' || b[next] == ']') {
				dst = append(dst, b[next])
				i = next + 1
				continue
			}
			depth++
			line()
			i++
		case '}', ']':
			depth--
			line()
			dst = append(dst, ch)
			i++
		case ',':
			dst = append(dst, ',')
			line()
			i++
		case ':':
			dst = append(dst, ':')
			if !flat {
				dst = append(dst, ' ')
			}
			i++
		default:
			end, ok := skipValue(b, i, 0)
			if !ok {
				return AppendEscaped(dst, b[i:])
			}
			color := c.Number
			if ch == '"' {
				color = c.Text
				if next := skipBlank(b, end); next < len(b) && b[next] == ':' {
					color = c.Name
				}
			}
			part := b[i:end]
			dst = c.paint(dst, color, func(d []byte) []byte { return appendSafeJSON(d, part) })
			i = end
		}
	}
	return dst
}

// appendSafeJSON copies valid JSON and escapes what could control a terminal.
func appendSafeJSON(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			if b[i] == 0x7f {
				dst = appendUnicode(dst, 0x7f)
			} else {
				dst = append(dst, b[i])
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if hidden(r) {
			dst = appendUnicode(dst, r)
		} else {
			dst = append(dst, b[i:i+n]...)
		}
		i += n
	}
	return dst
}
