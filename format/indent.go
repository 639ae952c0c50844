package format

import (
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/jsontext"
)

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
	for i := jsontext.SkipBlank(b, 0); i < len(b); i = jsontext.SkipBlank(b, i) {
		switch ch := b[i]; ch {
		case '{', '[':
			next := jsontext.SkipBlank(b, i+1)
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
			end, ok := jsontext.SkipValue(b, i, 0)
			if !ok {
				return AppendEscaped(dst, b[i:])
			}
			color := c.Number
			if ch == '"' {
				color = c.Text
				if next := jsontext.SkipBlank(b, end); next < len(b) && b[next] == ':' {
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
