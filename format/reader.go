package format

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// RecordReader reads the JSON records that [Record] writes, one per line. Blank lines
// are skipped. Members may come in any order; only topic is required. A payload that is
// null or missing is empty; a JSON value other than a string is taken as written.
// RecordReader also reads the variants of mosquitto_sub's %j (retain as 0 or 1, mid,
// and the names user-properties and subscription-identifier) and HiveMQ's names for
// qos. Other members are skipped, since recorders and filters add their own, and
// Unknown returns their names; but a name that may be a misspelled known one is an
// error.
type RecordReader struct {
	// Strict refuses every unknown member.
	Strict bool

	r     io.Reader
	limit int
	buf   []byte
	at, n int // buf[at:n] is unread
	err   error
	skip  bool // the rest of a line that is too long comes next
	line  int
	rec   InputRecord
	known []string // names of members that were skipped, each once
	fresh int      // known[fresh:] has not been returned by Unknown yet
	arena []byte   // decoded strings of the current record
	props packet.Properties
}

// InputRecord is one record that was read. Its slices are valid until the next call of
// Next.
type InputRecord struct {
	mqtt.Message
	Line      int // counted from 1
	HasQoS    bool
	HasRetain bool
}

// RecordError reports where a record is wrong. The reader can continue.
type RecordError struct {
	Line   int // counted from 1
	Column int // in bytes, counted from 1
	Text   string
	Hint   string // what may be meant, or ""
}

func (e *RecordError) Error() string {
	text := "line " + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column) + ": " + e.Text
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// NewRecordReader returns a reader of r for records of at most limit bytes, 0 for 512
// MiB.
func NewRecordReader(r io.Reader, limit int) *RecordReader {
	if limit <= 0 {
		limit = 512 << 20
	}
	return &RecordReader{r: r, limit: limit}
}

// Next returns the next record, io.EOF at the end, a [*RecordError] for a line that is
// not a record, or the stream's error.
func (r *RecordReader) Next() (*InputRecord, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		i := jsontext.SkipBlank(line, 0)
		if i == len(line) {
			continue
		}
		p := parser{b: line, i: i, r: r}
		r.rec = InputRecord{Line: r.line, Message: mqtt.Message{Topic: r.rec.Topic}}
		r.arena, r.props = r.arena[:0], r.props[:0]
		if cap(r.arena) < len(line) {
			// Decoded text is never longer than its source, so the arena does not move
			// while slices of it are in use.
			r.arena = make([]byte, 0, len(line)+len(line)/2)
		}
		if err := p.record(&r.rec); err != nil {
			return nil, err
		}
		return &r.rec, nil
	}
}

// maxUnknown is how many names of unknown members are remembered.
const maxUnknown = 10

// Unknown returns the names of members that were skipped since its last call. It
// returns each name once in the life of the reader, and ten at most.
func (r *RecordReader) Unknown() []string {
	names := r.known[r.fresh:]
	r.fresh = len(r.known)
	return names
}

// passOver notes an unknown member.
func (r *RecordReader) passOver(name []byte) {
	if len(r.known) < maxUnknown && !slices.Contains(r.known, string(name)) {
		r.known = append(r.known, string(name))
	}
}

// misspelt returns the member that a name is probably meant for, of those that change
// the message; "" if there is none.
func misspelt(name []byte) string {
	if len(name) > 32 {
		return ""
	}
	bare := bareName(string(name))
	for _, known := range [...]string{"topic", "qos", "retain", "payload", "payload_encoding", "properties"} {
		want := bareName(known)
		d := spelling.Distance(bare, want)
		switch {
		case d == 0, len(want) > 5 && d <= 2, len(want) == 5 && d == 1:
			return known
		case d == 1 && len(bare) == len(want): // of three letters, two have changed places
			a, b := []byte(bare), []byte(want)
			slices.Sort(a)
			slices.Sort(b)
			if bytes.Equal(a, b) {
				return known
			}
		}
	}
	return ""
}

func bareName(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// readLine returns the next line without its end. A last line without a line end counts
// too.
func (r *RecordReader) readLine() ([]byte, error) {
	if err := r.skipLine(); err != nil {
		return nil, err
	}
	seen := r.at
	for {
		if i := bytes.IndexByte(r.buf[seen:r.n], '\n'); i >= 0 {
			line := r.buf[r.at : seen+i]
			r.at = seen + i + 1
			r.line++
			return line, nil
		}
		seen = r.n
		if r.err != nil {
			if r.at == r.n {
				return nil, r.err
			}
			line := r.buf[r.at:r.n]
			r.at = r.n
			r.line++
			if r.err != io.EOF {
				return nil, r.err // a truncated line is not a record
			}
			return line, nil
		}
		if r.n-r.at > r.limit {
			r.line++
			r.at, r.skip = r.n, true
			return nil, &RecordError{Line: r.line, Column: 1, Text: "longer than " + strconv.Itoa(r.limit) + " bytes"}
		}
		if r.at > 0 {
			r.n = copy(r.buf, r.buf[r.at:r.n])
			seen -= r.at
			r.at = 0
		}
		if r.n == len(r.buf) {
			bigger := make([]byte, max(64<<10, 2*len(r.buf)))
			copy(bigger, r.buf[:r.n])
			r.buf = bigger
		}
		n, err := r.r.Read(r.buf[r.n:])
		r.n += n
		r.err = err
	}
}

// skipLine skips the rest of a line that was too long.
func (r *RecordReader) skipLine() error {
	for r.skip {
		if i := bytes.IndexByte(r.buf[r.at:r.n], '\n'); i >= 0 {
			r.at += i + 1
			r.skip = false
			return nil
		}
		if r.at, r.n = 0, 0; r.err != nil {
			return r.err
		}
		r.n, r.err = r.r.Read(r.buf)
	}
	return nil
}

type parser struct {
	b []byte
	i int
	r *RecordReader
}

func (p *parser) fail(format string, args ...any) *RecordError {
	return &RecordError{Line: p.r.line, Column: p.i + 1, Text: fmt.Sprintf(format, args...)}
}

// unknown returns the error for an unknown key.
func (p *parser) unknown(name []byte, at int, meant string) error {
	e := p.fail("unknown key %q", name)
	e.Column = at + 1
	if meant != "" {
		e.Hint = "did you mean " + meant + "?"
	}
	return e
}

func (p *parser) blank() { p.i = jsontext.SkipBlank(p.b, p.i) }

// next skips white space and takes the byte c.
func (p *parser) next(c byte) error {
	p.blank()
	if p.i >= len(p.b) {
		return p.fail("ends early: %q is missing", c)
	}
	if p.b[p.i] != c {
		return p.fail("%q where %q is expected", p.b[p.i], c)
	}
	p.i++
	return nil
}

// members calls each for every member of the object that starts here, with the parser
// at the value and the position of the name.
func (p *parser) members(each func(name []byte, at int) error) error {
	if err := p.next('{'); err != nil {
		return err
	}
	p.blank()
	if p.i < len(p.b) && p.b[p.i] == '}' {
		p.i++
		return nil
	}
	for {
		p.blank()
		at := p.i
		name, err := p.text()
		if err != nil {
			return err
		}
		if err := p.next(':'); err != nil {
			return err
		}
		p.blank()
		if err := each(name, at); err != nil {
			return err
		}
		p.blank()
		if p.i < len(p.b) && p.b[p.i] == '}' {
			p.i++
			return nil
		}
		if err := p.next(','); err != nil {
			return err
		}
	}
}

// elements calls each for every element of an array.
func (p *parser) elements(each func() error) error {
	if err := p.next('['); err != nil {
		return err
	}
	p.blank()
	if p.i < len(p.b) && p.b[p.i] == ']' {
		p.i++
		return nil
	}
	for {
		p.blank()
		if err := each(); err != nil {
			return err
		}
		p.blank()
		if p.i < len(p.b) && p.b[p.i] == ']' {
			p.i++
			return nil
		}
		if err := p.next(','); err != nil {
			return err
		}
	}
}

// text decodes the string that starts here. The result is in the line itself if it has
// no escapes, otherwise in the arena.
func (p *parser) text() ([]byte, error) {
	if p.i >= len(p.b) || p.b[p.i] != '"' {
		return nil, p.fail("no string where one is expected")
	}
	end, ok := jsontext.SkipString(p.b, p.i)
	if !ok {
		p.i = min(end, len(p.b)-1)
		return nil, p.fail("malformed string")
	}
	raw := p.b[p.i+1 : end-1]
	start := p.i
	p.i = end
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, nil
	}
	from := len(p.r.arena)
	dst, whole := jsontext.AppendUnquoted(p.r.arena, raw)
	if !whole {
		p.i = start
		return nil, p.fail("lone surrogate in a string")
	}
	p.r.arena = dst
	return dst[from:len(dst):len(dst)], nil
}

// value returns the JSON value that starts here as it is written.
func (p *parser) value() ([]byte, error) {
	end, ok := jsontext.SkipValue(p.b, p.i, 0)
	if !ok {
		p.i = end
		return nil, p.fail("not valid JSON")
	}
	raw := p.b[p.i:end]
	p.i = end
	return raw, nil
}

// number reads a whole number from 0 to most.
func (p *parser) number(name string, most uint64) (uint64, error) {
	start := p.i
	raw, err := p.value()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || n > most {
		p.i = start
		return 0, p.fail("%s is %s, not a whole number from 0 to %d", name, shorten(raw), most)
	}
	return n, nil
}

// qos reads 0, 1 or 2, or HiveMQ's names for them.
func (p *parser) qos() (packet.QoS, error) {
	for n, word := range [...]string{`"AT_MOST_ONCE"`, `"AT_LEAST_ONCE"`, `"EXACTLY_ONCE"`} {
		if bytes.HasPrefix(p.b[p.i:], []byte(word)) {
			_, err := p.value()
			return packet.QoS(n), err
		}
	}
	n, err := p.number("qos", 2)
	return packet.QoS(n), err
}

// truth reads true, false, 0 or 1.
func (p *parser) truth(name string) (bool, error) {
	start := p.i
	raw, err := p.value()
	if err != nil {
		return false, err
	}
	switch string(raw) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	p.i = start
	return false, p.fail("%s is %s, not true or false", name, shorten(raw))
}

func shorten(raw []byte) string {
	if len(raw) > 40 {
		return string(raw[:40]) + "..."
	}
	return string(raw)
}

// The members of a record, as bits of a set.
const (
	hasTst = 1 << iota
	hasTopic
	hasQoS
	hasRetain
	hasDup
	hasMid
	hasLength
	hasPayload
	hasEncoding
	hasProperties
)

// memberBit returns the bit for a name.
func memberBit(name []byte) int {
	switch string(name) {
	case "tst":
		return hasTst
	case "topic":
		return hasTopic
	case "qos":
		return hasQoS
	case "retain":
		return hasRetain
	case "dup":
		return hasDup
	case "mid":
		return hasMid
	case "payloadlen":
		return hasLength
	case "payload":
		return hasPayload
	case "payload_encoding":
		return hasEncoding
	case "properties":
		return hasProperties
	}
	return 0
}

func (p *parser) record(rec *InputRecord) error {
	seen := 0
	length, length64 := -1, uint64(0)
	var raw, encoding []byte // the payload as written
	payloadAt := 0
	if p.i < len(p.b) && p.b[p.i] != '{' {
		return p.fail("not a JSON object")
	}
	err := p.members(func(name []byte, at int) (err error) {
		bit := memberBit(name)
		if bit == 0 {
			meant := misspelt(name)
			switch {
			case meant != "", p.r.Strict:
				return p.unknown(name, at, meant)
			}
			p.r.passOver(name)
			_, err := p.value()
			return err
		}
		if seen&bit != 0 {
			return p.fail("key %q appears twice", name)
		}
		seen |= bit
		switch bit {
		case hasTopic:
			var t []byte
			if t, err = p.text(); err == nil && string(t) != rec.Topic {
				rec.Topic = string(t)
			}
		case hasQoS:
			rec.QoS, err = p.qos()
			rec.HasQoS = true
		case hasRetain:
			rec.Retain, err = p.truth("retain")
			rec.HasRetain = true
		case hasDup:
			rec.Dup, err = p.truth("dup")
		case hasMid:
			_, err = p.number("mid", 65535)
		case hasLength:
			length64, err = p.number("payloadlen", packet.MaxRemainingLength)
			length = int(length64)
		case hasPayload:
			payloadAt = p.i
			raw, err = p.value()
		case hasEncoding:
			encoding, err = p.text()
		case hasProperties:
			err = p.properties()
			rec.Properties = p.r.props
		default:
			_, err = p.value()
		}
		return err
	})
	if err != nil {
		return err
	}
	p.blank()
	if p.i < len(p.b) {
		return p.fail("more than one value in the line")
	}
	if seen&hasTopic == 0 {
		return p.fail("the topic is missing")
	}
	end := p.i
	p.i = payloadAt
	if err := p.payload(rec, raw, encoding); err != nil {
		return err
	}
	if length >= 0 && length != len(rec.Payload) {
		p.i = end - 1
		return p.fail("payloadlen is %d, and the payload has %d bytes", length, len(rec.Payload))
	}
	return nil
}

// payload decodes the payload, with the parser at its start.
func (p *parser) payload(rec *InputRecord, raw, encoding []byte) (err error) {
	text := len(raw) > 0 && raw[0] == '"'
	switch string(encoding) {
	case "json":
		rec.Payload = raw
		return nil
	case "", "text":
	case "base64":
		if !text {
			return p.fail("the payload is not a base64 string")
		}
	default:
		return p.fail("payload_encoding is %q, not text, base64 or json", encoding)
	}
	switch {
	case !text && string(raw) == "null":
		return nil
	case !text:
		rec.Payload = raw
		return nil
	}
	if rec.Payload, err = p.text(); err == nil && len(encoding) == 6 {
		rec.Payload, err = p.base64(rec.Payload)
	}
	return err
}

func (p *parser) base64(b []byte) ([]byte, error) {
	from := len(p.r.arena)
	dst, err := base64.StdEncoding.AppendDecode(p.r.arena, b)
	if err != nil {
		return nil, p.fail("not base64: %v", err)
	}
	p.r.arena = dst
	return dst[from:len(dst):len(dst)], nil
}

// properties reads the object of properties into the reader's block.
func (p *parser) properties() error {
	seen := uint64(0)
	return p.members(func(name []byte, _ int) error {
		switch string(name) {
		case "user-properties", "user-property":
			return p.pairs()
		case "subscription-identifiers", "subscription-identifier", "topic-alias":
			_, err := p.value() // a property of the delivery, not of the message
			return err
		}
		id, ok := packet.PropertyByName(string(name))
		if !ok || !id.AllowedIn(packet.PUBLISH) {
			return p.fail("unknown property %q", name)
		}
		if seen&(1<<id) != 0 {
			return p.fail("property %q appears twice", name)
		}
		seen |= 1 << id
		var err error
		at := p.i
		switch id.Type() {
		case packet.TypeString, packet.TypeBinary:
			var b []byte
			if b, err = p.bytes(); err == nil {
				p.r.props, err = p.r.props.AppendBytes(id, b)
			}
		default:
			var n uint64
			if n, err = p.number(string(name), 1<<32-1); err == nil {
				p.r.props, err = p.r.props.AppendUint(id, uint32(n))
			}
		}
		return p.located(err, at)
	})
}

// located adds the position to an error of package packet.
func (p *parser) located(err error, at int) error {
	if _, ok := err.(*RecordError); err == nil || ok {
		return err
	}
	p.i = at
	return p.fail("%v", err)
}

// bytes reads a string or {"base64": "..."}.
func (p *parser) bytes() (b []byte, err error) {
	if p.i < len(p.b) && p.b[p.i] == '{' {
		err = p.members(func(name []byte, at int) error {
			if string(name) != "base64" || b != nil {
				return p.unknown(name, at, "")
			}
			t, err := p.text()
			if err == nil {
				b, err = p.base64(t)
			}
			return err
		})
		return b, err
	}
	return p.text()
}

// pairs reads user properties: an array of objects, or one object.
func (p *parser) pairs() error {
	object := func() error {
		return p.members(func(name []byte, _ int) error {
			at := p.i
			value, err := p.text()
			if err == nil {
				p.r.props, err = p.r.props.AppendUser(name, value)
			}
			return p.located(err, at)
		})
	}
	if p.i < len(p.b) && p.b[p.i] == '{' {
		return object()
	}
	return p.elements(object)
}
