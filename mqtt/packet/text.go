package packet

import (
	"encoding/binary"
	"unicode/utf8"
)

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// hasZero returns non-zero if one of the eight bytes of x is zero.
func hasZero(x uint64) uint64 { return (x - lows) &^ x & highs }

// checkUTF8 returns the violated statement and what is wrong with s as a UTF-8
// encoded string, or "" for a well-formed one (MQTT-1.5.4-1, -2). utf8.Valid
// refuses surrogates, overlong forms and code points above U+10FFFF.
func checkUTF8(s []byte) (rule, why string) {
	odd := uint64(0)
	b := s
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		odd |= x&highs | hasZero(x)
	}
	for _, c := range b {
		if c == 0 || c >= 128 {
			odd = 1
		}
	}
	if odd == 0 {
		return "", ""
	}
	if !utf8.Valid(s) {
		return "MQTT-1.5.4-1", "is not well-formed UTF-8"
	}
	for _, c := range s {
		if c == 0 {
			return "MQTT-1.5.4-2", "contains U+0000"
		}
	}
	return "", ""
}

// checkTopicName is checkUTF8 for a topic name, which in addition must not
// contain wildcard characters (MQTT-3.3.2-2): a name with one is malformed, and
// not one that is "correctly formed, but is not accepted" (reason 0x90). An
// empty name passes: MQTT 5.0 allows it with a topic alias.
func checkTopicName(s []byte) (rule, why string) {
	odd := uint64(0)
	b := s
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		odd |= x&highs | hasZero(x) | hasZero(x^('+'*lows)) | hasZero(x^('#'*lows))
	}
	for _, c := range b {
		if c == 0 || c >= 128 || c == '+' || c == '#' {
			odd = 1
		}
	}
	if odd == 0 {
		return "", ""
	}
	if rule, why := checkUTF8(s); rule != "" {
		return rule, why
	}
	for _, c := range s {
		if c == '+' || c == '#' {
			return "MQTT-3.3.2-2", "contains the wildcard " + string(rune(c))
		}
	}
	return "", ""
}
