package topic

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidateName(t *testing.T) {
	for _, c := range []struct {
		it, name, rule string
		off            int
	}{
		{"accepts a plain name", "sport/tennis", "", 0},
		{"accepts one character", "a", "", 0},
		{"accepts only a separator", "/", "", 0},
		{"accepts empty levels", "a//b/", "", 0},
		{"accepts spaces", "Accounts payable", "", 0},
		{"accepts $ names", "$SYS/broker", "", 0},
		{"accepts a $share name, which is only special in filters", "$share/g/x", "", 0},
		{"accepts multi-byte characters", "łąka/😀", "", 0},
		{"accepts U+FFFD itself", "a\uFFFDb", "", 0},
		{"accepts a byte order mark (MQTT-1.5.4-3)", "\uFEFFa", "", 0},
		{"accepts control characters and noncharacters", "a\x01\u0085\uFFFF", "", 0},
		{"accepts 65535 bytes", strings.Repeat("a", 65535), "", 0},
		{"accepts 65535 separators", strings.Repeat("/", 65535), "", 0},
		{"refuses 65536 bytes", strings.Repeat("a", 65536), "MQTT-4.7.3-3", -1},
		{"refuses nothing", "", "MQTT-4.7.3-1", -1},
		{"refuses U+0000", "a\x00b", "MQTT-4.7.3-2", 1},
		{"refuses a +", "a/+", "MQTT-4.7.0-1", 2},
		{"refuses a + inside a level", "a+", "MQTT-4.7.0-1", 1},
		{"refuses a #", "#", "MQTT-4.7.0-1", 0},
		{"refuses a surrogate", "a/\xed\xa0\x80", "MQTT-1.5.4-1", 2},
		{"refuses an overlong slash", "a\xc0\xaf", "MQTT-1.5.4-1", 1},
		{"refuses an overlong null", "\xc0\x80", "MQTT-1.5.4-1", 0},
		{"refuses a cut character", "ab\xe2\x82", "MQTT-1.5.4-1", 2},
		{"refuses a lone continuation byte", "\x80", "MQTT-1.5.4-1", 0},
		{"refuses code points above U+10FFFF", "\xf4\x90\x80\x80", "MQTT-1.5.4-1", 0},
	} {
		t.Run(c.it, func(t *testing.T) {
			check(t, ValidateName(c.name), c.name, c.rule, c.off, false)
			check(t, ValidateNameBytes([]byte(c.name)), c.name, c.rule, c.off, false)
		})
	}
}

func TestValidateFilter(t *testing.T) {
	for _, c := range []struct {
		it, filter, rule string
		off              int
	}{
		{"accepts a name", "a/b", "", 0},
		{"accepts #", "#", "", 0},
		{"accepts +", "+", "", 0},
		{"accepts + at both ends", "+/a/+", "", 0},
		{"accepts # last", "a/+/#", "", 0},
		{"accepts # after an empty level", "/#", "", 0},
		{"accepts empty levels", "//", "", 0},
		{"accepts a shared subscription", "$share/g/a/+", "", 0},
		{"accepts a shared #", "$share/g/#", "", 0},
		{"accepts a shared separator", "$share/g//", "", 0},
		{"accepts $share alone as a level", "$share", "", 0},
		{"accepts $SHARE, which is not special", "$SHARE/g", "", 0},
		{"refuses nothing", "", "MQTT-4.7.3-1", -1},
		{"refuses 65536 bytes", strings.Repeat("/", 65536), "MQTT-4.7.3-3", -1},
		{"refuses U+0000", "a/\x00", "MQTT-4.7.3-2", 2},
		{"refuses ill-formed UTF-8", "+/\xff", "MQTT-1.5.4-1", 2},
		{"refuses # in the middle", "a/#/b", "MQTT-4.7.1-1", 2},
		{"refuses # with an empty level after it", "#/", "MQTT-4.7.1-1", 0},
		{"refuses # before text", "#a", "MQTT-4.7.1-1", 0},
		{"refuses # after text", "a#", "MQTT-4.7.1-1", 1},
		{"refuses ##", "##", "MQTT-4.7.1-1", 0},
		{"refuses +#", "+#", "MQTT-4.7.1-2", 0},
		{"refuses + after text", "a+", "MQTT-4.7.1-2", 1},
		{"refuses + before text", "x/+a", "MQTT-4.7.1-2", 2},
		{"refuses ++", "++", "MQTT-4.7.1-2", 0},
		{"refuses a share name without a filter", "$share/g", "MQTT-4.8.2-2", 8},
		{"refuses an empty filter after the share name", "$share/g/", "MQTT-4.8.2-2", 9},
		{"refuses an empty share name", "$share//x", "MQTT-4.8.2-1", 7},
		{"refuses nothing at all after $share/", "$share/", "MQTT-4.8.2-1", 7},
		{"refuses + in the share name", "$share/g+/x", "MQTT-4.8.2-2", 8},
		{"refuses # as the share name", "$share/#", "MQTT-4.8.2-2", 7},
		{"refuses a bad inner filter", "$share/g/a#", "MQTT-4.7.1-1", 10},
	} {
		t.Run(c.it, func(t *testing.T) {
			check(t, ValidateFilter(c.filter), c.filter, c.rule, c.off, true)
			check(t, ValidateFilterBytes([]byte(c.filter)), c.filter, c.rule, c.off, true)
		})
	}
}

func check(t *testing.T, err error, topic, rule string, off int, filter bool) {
	t.Helper()
	if rule == "" {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error for %s", err, rule)
	}
	if e.Rule != rule || e.Offset != off || e.Topic != topic || e.Filter != filter {
		t.Errorf("got rule %s offset %d filter %v topic %.20q, want %s %d %v %.20q",
			e.Rule, e.Offset, e.Filter, e.Topic, rule, off, filter, topic)
	}
	if text := err.Error(); !strings.Contains(text, rule) || !utf8.ValidString(text) {
		t.Errorf("got text %q, want valid UTF-8 that names %s", text, rule)
	}
}

func TestErrorText(t *testing.T) {
	long := strings.Repeat("ł", 39) + "abł" + "/#/x"
	for _, c := range []struct{ it, got, want string }{
		{"repeats the filter and the rule", ValidateFilter("a/#/b").Error(),
			`topic filter "a/#/b": '#' must be the last character at byte 2 [MQTT-4.7.1-1]`},
		{"escapes what a terminal would obey", ValidateName("\x1b[2J/+").Error(),
			`topic name "\x1b[2J/+": wildcard "+" in a topic name at byte 5 [MQTT-4.7.0-1]`},
		{"has no place for what has none", ValidateName("").Error(),
			`topic name "": empty [MQTT-4.7.3-1]`},
		{"cuts a long topic between characters", ValidateFilter(long).Error(),
			`topic filter "` + long[:80] + `"... (86 bytes): '#' must be the last character at byte 83 [MQTT-4.7.1-1]`},
		{"cuts before a character that spans the limit", Quote(strings.Repeat("a", 79) + "łx"),
			`"` + strings.Repeat("a", 79) + `"... (82 bytes)`},
		{"cuts a run of continuation bytes", Quote(strings.Repeat("\x80", 100)),
			`"` + strings.Repeat(`\x80`, 76) + `"... (100 bytes)`},
	} {
		if c.got != c.want {
			t.Errorf("it %s:\n got %s\nwant %s", c.it, c.got, c.want)
		}
	}
}

func TestErrorKeepsACopy(t *testing.T) {
	b := []byte("a/+")
	err := ValidateNameBytes(b)
	copy(b, "zzz")
	if got := err.(*Error).Topic; got != "a/+" {
		t.Errorf("got topic %q after the buffer changed, want %q", got, "a/+")
	}
}

func TestParseShare(t *testing.T) {
	for _, c := range []struct {
		filter, group, inner string
		shared               bool
	}{
		{"$share/g/a/b", "g", "a/b", true},
		{"$share/g//", "g", "/", true},
		{"$share/g/#", "g", "#", true},
		{"$share/g/$share/h/x", "g", "$share/h/x", true},
		{"a/b", "", "a/b", false},
		{"$share", "", "$share", false},
		{"$share/g", "", "$share/g", false},
		{"$share/g/", "", "$share/g/", false},
		{"$share//x", "", "$share//x", false},
		{"$SHARE/g/x", "", "$SHARE/g/x", false},
		{"", "", "", false},
	} {
		group, inner, shared := ParseShare(c.filter)
		if group != c.group || inner != c.inner || shared != c.shared {
			t.Errorf("%q: got %q %q %v, want %q %q %v", c.filter, group, inner, shared, c.group, c.inner, c.shared)
		}
	}
}

func TestDiscouraged(t *testing.T) {
	for _, c := range []struct {
		it, s string
		r     rune
		off   int
		ok    bool
	}{
		{"finds nothing in text", "łąka/😀 \uFFFD\uFEFF", 0, 0, false},
		{"finds a tab", "a\tb", '\t', 1, true},
		{"finds delete", "\x7f", 0x7f, 0, true},
		{"finds a C1 control", "ł\u009F", 0x9f, 2, true},
		{"passes U+00A0", "\u00A0", 0, 0, false},
		{"finds U+FDD0", "\uFDD0", 0xfdd0, 0, true},
		{"finds U+FDEF", "\uFDEF", 0xfdef, 0, true},
		{"passes U+FDF0", "\uFDF0", 0, 0, false},
		{"finds U+FFFE", "a/\uFFFE", 0xfffe, 2, true},
		{"finds U+10FFFF", "\U0010FFFF", 0x10ffff, 0, true},
		{"leaves U+0000 and bad bytes to validation", "\x00\xff", 0, 0, false},
	} {
		r, off, ok := FirstDiscouraged(c.s)
		if r != c.r || off != c.off || ok != c.ok {
			t.Errorf("it %s: got %U %d %v, want %U %d %v", c.it, r, off, ok, c.r, c.off, c.ok)
		}
	}
}

// naiveFilter is a second implementation of ValidateFilter, by splitting.
func naiveFilter(f string) bool {
	if f == "" || len(f) > 65535 || !utf8.ValidString(f) || strings.Contains(f, "\x00") {
		return false
	}
	levels := strings.Split(f, "/")
	if levels[0] == "$share" && len(levels) > 1 {
		if levels[1] == "" || strings.ContainsAny(levels[1], "+#") || len(levels) == 2 {
			return false
		}
		if levels = levels[2:]; len(levels) == 1 && levels[0] == "" {
			return false
		}
	}
	for i, l := range levels {
		if strings.Contains(l, "+") && l != "+" || strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) {
			return false
		}
	}
	return true
}

func FuzzValidateFilter(f *testing.F) {
	for _, s := range []string{"a/b", "+/#", "$share/g/+", "$share/g", "$share//a", "a#", "\xff", "a\x00", "", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := ValidateFilter(s)
		if got, want := err == nil, naiveFilter(s); got != want {
			t.Fatalf("%q: got %v, want valid %v", s, err, want)
		}
		if err == nil {
			if group, inner, shared := ParseShare(s); shared && "$share/"+group+"/"+inner != s {
				t.Fatalf("%q: split into %q and %q", s, group, inner)
			}
			return
		}
		if e := err.(*Error); e.Offset > len(s) || e.Rule == "" || !utf8.ValidString(e.Error()) || len(e.Error()) > 600 {
			t.Fatalf("%q: got %#v", s, e)
		}
	})
}
