package textfile

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAByteOrderMarkIsNoPartOfTheText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "plain": "plain", "\xef\xbb\xbfplain": "plain", "\xef\xbb\xbf": "", "\xef\xbb\xbf\xef\xbb\xbfa": "\xef\xbb\xbfa",
		"\xef\xbb": "\xef\xbb", "\xef": "\xef", "\xefabc": "\xefabc", "\xfe": "\xfe", "\xffa": "\xffa", "\xfe\xfeab": "\xfe\xfeab", "a\xef\xbb\xbf": "a\xef\xbb\xbf",
	} {
		if got, err := Trim([]byte(text)); string(got) != want || err != nil {
			t.Errorf("Trim(%q): got %q, %v, want %q", text, got, err, want)
		}
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			if got, err := io.ReadAll(NewReader(r)); string(got) != want || err != nil {
				t.Errorf("NewReader(%q): got %q, %v, want %q", text, got, err, want)
			}
		}
	}
}

func TestUTF16IsNamed(t *testing.T) {
	for _, text := range []string{"\xff\xfea\x00", "\xfe\xff\x00a", "\xff\xfe"} {
		if got, err := Trim([]byte(text)); got != nil || err != ErrUTF16 {
			t.Errorf("Trim(%q): got %q, %v", text, got, err)
		}
		if got, err := io.ReadAll(NewReader(iotest.OneByteReader(strings.NewReader(text)))); len(got) > 0 || err != ErrUTF16 {
			t.Errorf("NewReader(%q): got %q, %v", text, got, err)
		}
	}
}

func TestAReaderKeepsItsError(t *testing.T) {
	broken := errors.New("broken")
	for _, text := range []string{"", "\xef", "\xef\xbb\xbf", "abc"} {
		got, err := io.ReadAll(NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))))
		if want := strings.TrimPrefix(text, mark); string(got) != want || err != broken {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// A stream is not delayed: each line is available as soon as it has arrived.
func TestAStreamIsNotHeldUp(t *testing.T) {
	r, w := io.Pipe()
	text := NewReader(r)
	b := make([]byte, 10)
	for _, part := range []string{"{", "}\n", "x"} {
		go func() { _, _ = io.WriteString(w, part) }()
		if n, err := text.Read(b); string(b[:n]) != part || err != nil {
			t.Errorf("got %q, %v, want %q", b[:n], err, part)
		}
	}
}
