// Package textfile reads text that people and their programs have saved: options,
// passwords, certificates, records, results. Some editors put a byte order mark before the
// text, which is removed, and some shells write UTF-16, which is reported as an error.
// Payloads are not text: nothing is removed from them.
package textfile

import (
	"bytes"
	"errors"
	"io"
)

// ErrUTF16 reports text in UTF-16.
var ErrUTF16 = errors.New("the text is UTF-16; save it as UTF-8")

const mark = "\ufeff" // in UTF-8

// Trim returns text without a byte order mark.
func Trim(text []byte) ([]byte, error) {
	if isUTF16(text) {
		return nil, ErrUTF16
	}
	return bytes.TrimPrefix(text, []byte(mark)), nil
}

// isUTF16 reports whether text begins with a byte order mark of UTF-16.
func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff})
}

// NewReader returns a reader of r's text without a byte order mark. It reads no more of r
// than it takes to see that there is none.
func NewReader(r io.Reader) io.Reader { return &reader{r: r} }

type reader struct {
	r     io.Reader
	begun bool
	head  []byte // read, and not yet returned
	err   error  // the error after head
}

func (t *reader) Read(p []byte) (int, error) {
	if !t.begun {
		t.begun = true
		t.begin()
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		return n, nil
	}
	if t.err != nil {
		return 0, t.err
	}
	return t.r.Read(p)
}

// begin reads until it is known whether the text has a mark.
func (t *reader) begin() {
	var b [len(mark)]byte
	n := 0
	for t.err == nil && n < len(b) && (n == 0 || maybeMark(b[:n])) {
		var more int
		more, t.err = t.r.Read(b[n:])
		n += more
	}
	text, err := Trim(b[:n])
	if t.head = text; err != nil {
		t.err = err
	}
}

// maybeMark reports whether b may be the beginning of a byte order mark.
func maybeMark(b []byte) bool {
	return bytes.HasPrefix([]byte(mark), b) || len(b) == 1 && b[0] >= 0xfe
}

// TrimLine returns b without one newline, \n or \r\n, at its end.
func TrimLine(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}
