package format

import (
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendEscaped appends s as text that cannot control a terminal. Control characters,
// line and paragraph separators, characters that change the direction of text or are
// invisible, and bytes that are not UTF-8 become \n, \x1b or \u202e. Tabs are kept.
// Everything else is unchanged, including the backslash: the result is for reading, not
// for parsing.
func AppendEscaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f || c == '\t' {
			dst = append(dst, c)
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = appendEscape(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		switch {
		case n == 1:
			dst = appendEscape(dst, c)
		case hidden(r):
			dst = appendUnicode(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// appendUnicode appends \uXXXX, above U+FFFF a surrogate pair as in JSON.
func appendUnicode(dst []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		return appendUnicode(appendUnicode(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// hidden reports whether a character above U+007F controls the display.
func hidden(r rune) bool {
	switch {
	case r < 0xa0, r == 0xad, r == 0x061c, r == 0x180e, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f && r != 0x200d, // 200d joins emoji
		r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f,
		r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff,
		r == 0x2800, r == 0x3164, r == 0x115f, r == 0x1160:
		return true
	}
	return false
}

// Escape returns untrusted text on one line, safe for a terminal or a log. It escapes
// what AppendEscaped escapes, and tabs.
func Escape(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.ReplaceAll(string(AppendEscaped(nil, []byte(s))), "\t", `\t`)
		}
	}
	return s
}
