package format

import (
	"bytes"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// Rows formats messages as the rows of a table, one message per row, with the columns that
// were chosen. [RowReader] reads them back.
//
// Rows of tab-separated values are one line each: a tab, line feed, carriage return or
// backslash in a column is written \t, \n, \r or \\, as by jq's @tsv, and any other byte as it
// is. A column that is missing, null or empty is empty.
//
// Rows of comma-separated values follow RFC 4180, but end with a line feed. A column has
// quotes if it contains a quote, a comma or a line end, begins or ends with a blank, or is an
// empty text. A column that is missing or null has none, unless it is the only one of its
// row, which would be a blank line. Bytes that are not valid UTF-8 are written in base64; then
// the column payload_encoding is base64 if that is so for the payload.
type Rows struct {
	Columns *Columns
	CSV     bool // commas and quotes, not tabs
	Header  bool // the next row comes after a line with the names of the columns
	// Terminal is for output to a terminal: text that could control it is escaped.
	Terminal bool

	scratch []byte
}

// Append formats one message.
func (f *Rows) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	if f.Header {
		f.Header = false
		dst = f.AppendHeader(dst)
	}
	start := len(dst)
	f.Columns.find(m)
	for i := range f.Columns.list {
		text, ok := f.Columns.text(&f.Columns.list[i], m, at, f.CSV)
		dst = f.cell(dst, i, text, ok)
	}
	return f.end(dst, start), nil
}

// AppendHeader appends the line with the names of the columns.
func (f *Rows) AppendHeader(dst []byte) []byte {
	start := len(dst)
	for i := range f.Columns.list {
		dst = f.cell(dst, i, []byte(f.Columns.list[i].name), true)
	}
	return f.end(dst, start)
}

// end ends the row that begins at start.
func (f *Rows) end(dst []byte, start int) []byte {
	if f.Terminal {
		f.scratch = append(f.scratch[:0], dst[start:]...)
		dst = AppendEscaped(dst[:start], f.scratch)
	}
	return append(dst, '\n')
}

// cell appends the column i of a row. ok is false if there is none.
func (f *Rows) cell(dst []byte, i int, text []byte, ok bool) []byte {
	if !f.CSV {
		if i > 0 {
			dst = append(dst, '\t')
		}
		return appendTSV(dst, text)
	}
	if i > 0 {
		dst = append(dst, ',')
	}
	if !ok && len(f.Columns.list) > 1 {
		return dst
	}
	return appendCSV(dst, text)
}

// appendTSV appends the text of a column with the escapes of jq's @tsv.
func appendTSV(dst, text []byte) []byte {
	start := 0
	for i, c := range text {
		if c > '\r' && c != '\\' {
			continue
		}
		switch c {
		case '\t':
			c = 't'
		case '\n':
			c = 'n'
		case '\r':
			c = 'r'
		case '\\':
		default:
			continue
		}
		dst = append(append(dst, text[start:i]...), '\\', c)
		start = i + 1
	}
	return append(dst, text[start:]...)
}

// appendCSV appends the text of a column, with quotes if it needs them.
func appendCSV(dst, text []byte) []byte {
	if !needsQuotes(text) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	start := 0
	for i, c := range text {
		if c == '"' {
			dst = append(append(dst, text[start:i]...), '"')
			start = i
		}
	}
	return append(append(dst, text[start:]...), '"')
}

// needsQuotes reports whether a text is another one, or may be read as one, without quotes.
// A byte order mark would be removed from the beginning of a file.
func needsQuotes(text []byte) bool {
	if len(text) == 0 || isBlank(text[0]) || isBlank(text[len(text)-1]) || bytes.HasPrefix(text, mark) {
		return true
	}
	for _, c := range text {
		if c == '"' || c == ',' || c == '\n' || c == '\r' {
			return true
		}
	}
	return false
}

var mark = []byte("\ufeff")

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
