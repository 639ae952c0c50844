package topic

import "unicode/utf8"

// FirstDiscouraged returns the first character of s that MQTT asks senders not to
// use, although receivers may accept it (section 1.5.4): the control characters
// U+0001 to U+001F and U+007F to U+009F, and the noncharacters U+FDD0 to U+FDEF
// and U+xxFFFE, U+xxFFFF. offset is its position in bytes; ok is false if there
// is none. Bytes that are not UTF-8 are skipped.
func FirstDiscouraged(s string) (r rune, offset int, ok bool) {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if isDiscouraged(r) {
			return r, i, true
		}
		i += n
	}
	return 0, 0, false
}

func isDiscouraged(r rune) bool {
	switch {
	case r >= 0x01 && r <= 0x1f, r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0xfdd0 && r <= 0xfdef:
		return true
	}
	return r&0xfffe == 0xfffe
}
