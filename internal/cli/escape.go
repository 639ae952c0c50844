package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// escape makes untrusted text fit for one line on a terminal or in a log:
// control characters (C0, DEL, C1), line and paragraph separators, characters
// that change the direction of text or have no width, and bytes that are not
// UTF-8 are shown as \n, \x1b or \u202e.
func escape(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case isTricky(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

func isTricky(r rune) bool {
	switch {
	case r >= 0x80 && r <= 0x9f, // C1
		r == 0xad,                    // soft hyphen
		r == 0x61c,                   // Arabic letter mark
		r >= 0x200b && r <= 0x200f,   // zero width, direction marks
		r >= 0x2028 && r <= 0x202e,   // separators, embeddings, overrides
		r >= 0x2060 && r <= 0x206f,   // invisible operators, isolates
		r == 0xfeff,                  // byte order mark
		r >= 0xfff9 && r <= 0xfffb,   // interlinear annotation
		r >= 0xe0000 && r <= 0xe007f: // tags
		return true
	}
	return false
}
