package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// RowReader reads the rows that [Rows] writes as messages. Blank lines are skipped, and a
// carriage return before a line end is not part of the row.
//
// With Header, the first row names the columns: topic, which must be there, payload, qos,
// retain, payload_encoding (text, base64 or json), and the properties of a message. tst and
// subscription-identifiers are skipped. Other columns are skipped, too, and Unknown returns
// their names; but a name that may be a misspelled known one is an error. Without Header, a
// row is topic and payload.
//
// An empty column says nothing about the message, but a quoted one is an empty text.
type RowReader struct {
	CSV    bool // commas and quotes, not tabs and escapes
	Header bool // the first row has the names of the columns
	Strict bool // refuses every unknown column

	lines   RecordReader // what reads lines, and has the properties of the message
	columns []column     // nil before the first row; one without a name is skipped
	cells   []cell
	text    []byte // of all cells
}

// cell is one column of a row, with its place in the input.
type cell struct {
	start, end   int // in the text of the row
	quoted       bool
	line, column int
}

// HeaderError reports that the columns of the input are not known. The reader cannot
// continue.
type HeaderError struct{ RecordError }

// maxColumns bounds the columns of a row.
const maxColumns = 1000

// NewRowReader returns a reader of r for rows of at most limit bytes, 0 for 512 MiB.
func NewRowReader(r io.Reader, limit int) *RowReader {
	return &RowReader{lines: *NewRecordReader(r, limit)}
}

// Next returns the next message, io.EOF at the end, a [*RecordError] for a row that is not a
// message, a [*HeaderError], or the stream's error.
func (r *RowReader) Next() (*InputRecord, error) {
	if r.columns == nil && !r.Header {
		r.columns = []column{{name: columnTopic}, {name: columnPayload}}
	}
	for {
		if err := r.readRow(); err != nil {
			if bad, ok := errors.AsType[*RecordError](err); ok && r.columns == nil {
				return nil, &HeaderError{*bad}
			}
			return nil, err
		}
		if len(r.cells) == 0 {
			continue
		}
		if r.columns == nil {
			if err := r.readHeader(); err != nil {
				return nil, &HeaderError{*err}
			}
			continue
		}
		if err := r.message(); err != nil {
			return nil, err
		}
		return &r.lines.rec, nil
	}
}

// Unknown returns the names of columns that are skipped, as RecordReader.Unknown does.
func (r *RowReader) Unknown() []string { return r.lines.Unknown() }

// readRow reads the cells of the next line, of several lines if line ends are quoted; none if
// the line is blank.
func (r *RowReader) readRow() error {
	r.cells, r.text = r.cells[:0], r.text[:0]
	line, err := r.lines.readLine()
	switch {
	case err != nil:
		return err
	case len(line) == 0 || len(line) == 1 && line[0] == '\r':
		return nil
	case r.CSV:
		return r.readCSV(line)
	}
	return r.readTSV(bytes.TrimSuffix(line, []byte("\r")))
}

// fail returns the error for a byte of the line that was read last.
func (r *RowReader) fail(at int, text string, args ...any) *RecordError {
	return &RecordError{Line: r.lines.line, Column: at + 1, Text: fmt.Sprintf(text, args...)}
}

// begin begins a cell at a byte of the line that was read last.
func (r *RowReader) begin(at int) (*cell, error) {
	if len(r.cells) == maxColumns {
		return nil, r.fail(at, "more than %d columns", maxColumns)
	}
	r.cells = append(r.cells, cell{start: len(r.text), line: r.lines.line, column: at + 1})
	return &r.cells[len(r.cells)-1], nil
}

func (r *RowReader) readTSV(line []byte) error {
	for i := 0; i <= len(line); i++ {
		c, err := r.begin(i)
		if err != nil {
			return err
		}
		end := len(line)
		if tab := bytes.IndexByte(line[i:], '\t'); tab >= 0 {
			end = i + tab
		}
		for i < end {
			escape := bytes.IndexByte(line[i:end], '\\')
			if escape < 0 {
				r.text = append(r.text, line[i:end]...)
				break
			}
			r.text = append(r.text, line[i:i+escape]...)
			i += escape
			var b byte
			if i+1 < end {
				b = unescaped(line[i+1])
			}
			if b == 0 {
				return r.fail(i, `unknown escape %s; a backslash is written \\`, Escape(string(line[i:min(i+2, end)])))
			}
			r.text = append(r.text, b)
			i += 2
		}
		c.end = len(r.text)
		i = end
	}
	return nil
}

// unescaped returns the byte that a letter behind a backslash stands for, or 0.
func unescaped(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case '\\':
		return c
	}
	return 0
}

func (r *RowReader) readCSV(line []byte) error {
	for i := 0; ; i++ {
		c, err := r.begin(i)
		if err != nil {
			return err
		}
		if i < len(line) && line[i] == '"' {
			c.quoted = true
			if line, i, err = r.readQuoted(line, i+1); err != nil {
				return err
			}
		} else {
			end := len(line)
			if comma := bytes.IndexByte(line[i:], ','); comma >= 0 {
				end = i + comma
			} else if end > i && line[end-1] == '\r' {
				end--
			}
			if quote := bytes.IndexByte(line[i:end], '"'); quote >= 0 {
				return r.fail(i+quote, "a quote in a column that does not begin with one")
			}
			r.text = append(r.text, line[i:end]...)
			i = end
		}
		r.cells[len(r.cells)-1].end = len(r.text)
		switch {
		case i == len(line), i+1 == len(line) && line[i] == '\r':
			return nil
		case line[i] != ',':
			return r.fail(i, "%q behind the quote that ends a column", line[i])
		}
	}
}

// readQuoted reads the rest of a column behind its first quote, and returns the line of the
// last one, and the index behind that. If the row is too long, it is read to the last quote.
func (r *RowReader) readQuoted(line []byte, i int) (_ []byte, end int, err error) {
	open := r.cells[len(r.cells)-1]
	var tooLong error
	for {
		if quote := bytes.IndexByte(line[i:], '"'); quote >= 0 {
			r.text = append(r.text, line[i:i+quote]...)
			if i += quote + 1; i == len(line) || line[i] != '"' {
				return line, i, tooLong
			}
			r.text = append(r.text, '"')
			i++
			continue
		}
		if r.text = append(append(r.text, line[i:]...), '\n'); len(r.text) > r.lines.limit {
			if tooLong == nil {
				tooLong = r.failAt(&open, "longer than %d bytes", r.lines.limit)
			}
			r.text = r.text[:open.start]
		}
		if line, err = r.lines.readLine(); err == io.EOF {
			return nil, 0, r.failAt(&open, "the quote at the beginning of this column has no end")
		} else if err != nil {
			return nil, 0, err
		}
		i = 0
	}
}

// content returns the text of a cell.
func (r *RowReader) content(c *cell) []byte { return r.text[c.start:c.end:c.end] }

// failAt returns the error for a cell.
func (r *RowReader) failAt(c *cell, text string, args ...any) *RecordError {
	return &RecordError{Line: c.line, Column: c.column, Text: fmt.Sprintf(text, args...)}
}

// readHeader takes the row as the names of the columns.
func (r *RowReader) readHeader() *RecordError {
	var columns []column
	hasTopic := false
	for i := range r.cells {
		c := &r.cells[i]
		name := string(r.content(c))
		col, known := columnNamed(name)
		switch {
		case known && col.name == columnTime, known && col.name == columnIDs:
			col.name = "" // of the delivery, not of the message
		case known:
			for j := range columns {
				if columns[j].name == name {
					return r.failAt(c, "the column %s appears twice", name)
				}
			}
			hasTopic = hasTopic || name == columnTopic
		default:
			meant := misspelt([]byte(name))
			if meant != "" || r.Strict {
				e := r.failAt(c, "unknown column %q", name)
				if meant != "" {
					e.Hint = "did you mean " + meant + "?"
				}
				return e
			}
			r.lines.passOver([]byte(name))
		}
		columns = append(columns, col)
	}
	if !hasTopic {
		return r.failAt(&r.cells[0], "no column is named topic")
	}
	r.columns = columns
	return nil
}

// message makes a message of the row.
func (r *RowReader) message() error {
	rec := &r.lines.rec
	*rec = InputRecord{Line: r.cells[0].line, Message: mqtt.Message{Topic: rec.Topic}}
	r.lines.arena, r.lines.props = r.lines.arena[:0], r.lines.props[:0]
	if n := len(r.cells); n != len(r.columns) {
		last := &r.cells[min(n, len(r.columns)+1)-1]
		if r.Header {
			return r.failAt(last, "%s, and the header names %d", units.Count(n, "column"), len(r.columns))
		}
		return r.failAt(last, "%s, not 2: topic and payload", units.Count(n, "column"))
	}
	if cap(r.lines.arena) < len(r.text) {
		r.lines.arena = make([]byte, 0, len(r.text)+len(r.text)/2) // see RecordReader.Next
	}
	var encoding *cell
	payload := -1
	for i := range r.columns {
		col, c := &r.columns[i], &r.cells[i]
		text := r.content(c)
		switch {
		case col.name == columnTopic:
			if string(text) != rec.Topic {
				rec.Topic = string(text)
			}
		case col.name == "" || len(text) == 0 && !c.quoted:
		case col.name == columnPayload:
			rec.Payload, payload = text, i
		case col.name == columnEncoding:
			encoding = c
		default:
			if err := r.part(rec, col, c, text); err != nil {
				return err
			}
		}
	}
	rec.Properties = r.lines.props
	if encoding != nil {
		switch name := r.content(encoding); string(name) {
		case "", "text", "json":
		case "base64":
			p := parser{b: rec.Payload, r: &r.lines}
			b, err := p.base64(rec.Payload)
			if err != nil {
				return r.located(err, &r.cells[max(payload, 0)])
			}
			rec.Payload = b
		default:
			return r.failAt(encoding, "payload_encoding is %q, not text, base64 or json", shorten(name))
		}
	}
	return nil
}

// part takes a column that is not empty, other than the topic and the payload.
func (r *RowReader) part(rec *InputRecord, col *column, c *cell, text []byte) error {
	p := parser{b: text, r: &r.lines}
	var err error
	switch {
	case col.name == columnQoS:
		if len(text) != 1 || text[0] < '0' || text[0] > '2' {
			return r.failAt(c, "qos is %q, not 0, 1 or 2", shorten(text))
		}
		rec.QoS, rec.HasQoS = packet.QoS(text[0]-'0'), true
	case col.name == columnRetain:
		switch string(text) {
		case "true", "1":
			rec.Retain = true
		case "false", "0":
		default:
			return r.failAt(c, "retain is %q, not true or false", shorten(text))
		}
		rec.HasRetain = true
	case col.name == columnUsers:
		if err = p.pairs(); err == nil {
			if p.blank(); p.i < len(text) {
				err = p.fail("more than one value in the column")
			}
		}
	case col.id.Type() == packet.TypeString, col.id.Type() == packet.TypeBinary:
		r.lines.props, err = r.lines.props.AppendBytes(col.id, text)
	default:
		var n uint64
		if n, err = strconv.ParseUint(string(text), 10, 32); err != nil {
			return r.failAt(c, "%s is %q, not a whole number from 0 to %d", col.name, shorten(text), uint32(1<<32-1))
		}
		r.lines.props, err = r.lines.props.AppendUint(col.id, uint32(n))
	}
	return r.located(err, c)
}

// located adds the place of a cell to an error about its text.
func (r *RowReader) located(err error, c *cell) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*RecordError](err)
	if !ok {
		return r.failAt(c, "%v", err)
	}
	e.Line, e.Column = c.line, c.column
	return e
}
