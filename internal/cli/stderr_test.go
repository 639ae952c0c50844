package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
)

func TestTalkWritesWholeLinesFromAnyGoroutine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	talk := NewTalk(&b, "mqsub", false, false, false)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				talk.Infof("%s", "reconnected")
			}
		})
	}
	wg.Wait()
	if got, want := b.String(), strings.Repeat("mqsub: reconnected\n", 400); got != want {
		t.Errorf("got %d bytes, want 400 whole lines of %d", len(got), len(want)/400)
	}
}

func TestTalkSurvivesAClosedStderr(t *testing.T) {
	t.Parallel()
	NewTalk(failingWriter{bytes.ErrTooLarge}, "mqsub", false, true, true).Errorf("cannot be written")
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain text":                     "plain text",
		"grüße 測試 🙂":                     "grüße 測試 🙂",
		"\x1b]52;c;eA==\x07":             `\x1b]52;c;eA==\x07`,
		"a\nb\r\tc\x00\x7f":              `a\nb\r\tc\x00\x7f`,
		"\u009b2J":                       `\u009b2J`,
		"\x9b2J":                         `\x9b2J`,
		"\u202eevil\u2066\u200b":         `\u202eevil\u2066\u200b`,
		"\u2028\ufeff\U000e0041":         `\u2028\ufeff\udb40\udc41`,
		"\u180e\u2800\u3164\u115f\u1160": `\u180e\u2800\u3164\u115f\u1160`, // look blank, but are not spaces
		"a\U000e0100":                    `a\udb40\udd00`,                  // a variation selector
		"\U0001f469\u200d\U0001f4bb":     "\U0001f469\u200d\U0001f4bb",     // joined
		"bad \xff\xc3\x28 \xed\xa0":      `bad \xff\xc3( \xed\xa0`,
		"\ufffd":                         "\ufffd",
	} {
		if got := format.Escape(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// FuzzEscape checks that the result is valid text without control characters, and that
// escaping it again changes nothing.
func FuzzEscape(f *testing.F) {
	f.Add("a\nb\x1b[31m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := format.Escape(s)
		if !utf8.ValidString(got) || format.Escape(got) != got {
			t.Fatalf("%q: got %q", s, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u202e' {
				t.Fatalf("%q: %q has %U", s, got, r)
			}
		}
	})
}

// A text from a broker may have 64 KiB: its middle is removed.
func TestLongTextsAreShortened(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", 60_000), strings.Repeat("\u00e9", 30_000), strings.Repeat("\U0001f600", 1000)} {
		var b strings.Builder
		NewTalk(&b, "mqsub", false, false, false).Errorf("refused: %s: not authorized (0x87)", text)
		got := b.String()
		if len(got) > mostText+100 || !strings.HasPrefix(got, "mqsub: refused: "+text[:300]) || !strings.Contains(got, " bytes) ...") || !strings.HasSuffix(got, text[len(text)-200:]+": not authorized (0x87)\n") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
	whole := strings.Repeat("y", mostText)
	if Shorten(whole) != whole {
		t.Error("a text of exactly the most is shortened")
	}
}
