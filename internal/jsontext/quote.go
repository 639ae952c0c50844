package jsontext

import (
	"bytes"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends valid UTF-8 as a JSON string.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	return append(AppendEscaped(append(dst, '"'), s), '"')
}

// AppendEscaped appends what comes between the quotes of a JSON string. s may be any part of
// a UTF-8 text.
func AppendEscaped[T string | []byte](dst []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, s[start:]...)
}

// AppendUnquoted appends the text of a valid string, given what is between its quotes. Half
// of a surrogate pair is replaced by U+FFFD, and whole is false.
func AppendUnquoted(dst, raw []byte) (_ []byte, whole bool) {
	whole = true
	for i := 0; i < len(raw); {
		plain := bytes.IndexByte(raw[i:], '\\')
		if plain < 0 {
			return append(dst, raw[i:]...), whole
		}
		dst = append(dst, raw[i:i+plain]...)
		i += plain + 2
		switch c := raw[i-1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(raw, i)
			i += 4
			if r >= 0xd800 && r < 0xe000 {
				low, ok := rune(0), false
				if r < 0xdc00 && i+1 < len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low, ok = hex4(raw, i+2)
				}
				if ok && low >= 0xdc00 && low < 0xe000 {
					r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
					i += 6
				} else {
					r, whole = utf8.RuneError, false
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst, whole
}

// AppendCompact appends the valid JSON value b without the white space between its parts.
func AppendCompact(dst, b []byte) []byte {
	for i := SkipBlank(b, 0); i < len(b); i = SkipBlank(b, i) {
		end := i + 1
		switch b[i] {
		case '"':
			end, _ = SkipString(b, i)
		case '{', '}', '[', ']', ',', ':':
		default:
			end, _ = SkipValue(b, i, 0)
		}
		dst = append(dst, b[i:end]...)
		i = end
	}
	return dst
}
