package yamlfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// checkText returns an error with a place for bytes that are not text. The errors of the library
// have no place for them.
func checkText(path string, data []byte) error {
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		text := ""
		switch {
		case r == utf8.RuneError && size == 1:
			text = fmt.Sprintf("byte 0x%02x is not UTF-8", data[i])
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			text = fmt.Sprintf("control character U+%04X", r)
		case r == 0xfeff && i > 0:
			text = "a byte order mark that is not the first character"
		}
		if text != "" {
			return &Error{Path: path, Line: line, Column: column, Text: text}
		}
		i += size
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

// located returns an error of the library with its place. The library names the line on which the
// construct begins, or no line. located searches for the shortest beginning of the file that gives
// the same error: it ends where the parser noticed.
func located(path string, data []byte, err error) *Error {
	_, text := message(err)
	all := lines(data)
	if all[len(all)-1] == "" && len(all) > 1 {
		all = all[:len(all)-1]
	}
	low, high := 1, len(all) // the answer is one of low..high
	for low < high {
		middle := (low + high) / 2
		_, e := decode([]byte(strings.Join(all[:middle], "")))
		if _, again := message(e); e != nil && again == text {
			high = middle
		} else {
			low = middle + 1
		}
	}
	line := low
	if line == len(all) {
		// At the end of the file, the construct that was not closed is the better place.
		if began, _ := message(err); began > 0 && began < line && strings.Contains(text, "end of") {
			line = began
		}
	}
	at := all[line-1]
	blank := len(at) - len(strings.TrimLeft(at, " \t"))
	e := &Error{Path: path, Line: line, Column: 1 + blank, Text: text}
	if tab := strings.IndexByte(at[:blank], '\t'); tab >= 0 {
		e.Column, e.Text = 1+tab, "a tab in the indentation; YAML allows only spaces"
	}
	return e
}

// message returns the line and the text of an error of the library, without its prefix.
func message(err error) (line int, text string) {
	if err == nil {
		return 0, ""
	}
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if n, scanErr := fmt.Sscanf(text, "line %d:", &line); n == 1 && scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return line, strings.TrimSpace(text)
}

// newline returns the line ending that the file uses.
func newline(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
