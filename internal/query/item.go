package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
)

// Item is the message under work. It is decoded when that is first needed.
type Item struct {
	Message *mqtt.Message
	At      time.Time // of its arrival

	decoded  bool
	value    any
	encoding string
	err      error
	dec      decoder
	record   format.Record
	scratch  []byte
}

// Set begins the work on a message, which must not change while it lasts.
func (it *Item) Set(m *mqtt.Message, at time.Time) {
	it.Message, it.At, it.decoded, it.value, it.err = m, at, false, nil, nil
}

// decode returns the value that the payload is for an expression.
func (it *Item) decode() (any, error) {
	if it.decoded {
		return it.value, it.err
	}
	it.decoded = true
	b := it.Message.Payload
	switch {
	case len(b) == 0:
		it.encoding = "empty"
	case len(b) > maxPayload:
		it.encoding, it.err = "", fmt.Errorf("payload of %d bytes is larger than expressions read (%d)", len(b), maxPayload)
	default:
		var err error
		if it.value, err = it.dec.decode(b); err == nil {
			it.encoding = "json"
			break
		}
		it.value = nil
		switch {
		case !errors.Is(err, errSyntax):
			it.err = err
		case utf8.Valid(b):
			it.encoding, it.value = "text", string(b)
		default:
			it.encoding = "binary"
		}
	}
	return it.value, it.err
}

// variable returns the value of a variable of the message.
func (it *Item) variable(name string) (any, error) {
	m := it.Message
	switch name {
	case "$topic":
		return m.Topic, nil
	case "$levels":
		levels := []any{}
		for level := range strings.SplitSeq(m.Topic, "/") {
			levels = append(levels, level)
		}
		return levels, nil
	case "$qos":
		return int(m.QoS), nil
	case "$retain":
		return m.Retain, nil
	case "$dup":
		return m.Dup, nil
	case "$tst":
		return it.At.Format("2006-01-02T15:04:05.000000-07:00"), nil
	case "$encoding":
		return it.encoding, nil
	case "$props":
		head := *m
		head.Payload = nil
		v, err := it.recordOf(&head)
		if err != nil {
			return nil, err
		}
		if props, has := v.(map[string]any)["properties"]; has {
			return props, nil
		}
		return map[string]any{}, nil
	}
	return it.recordOf(m)
}

// recordOf returns the record of a message as a value.
func (it *Item) recordOf(m *mqtt.Message) (any, error) {
	it.record.JSONPayload = true
	var err error
	if it.scratch, err = it.record.Append(it.scratch[:0], m, it.At); err != nil {
		return nil, err
	}
	return it.dec.decode(it.scratch)
}

// appendOwn adds the payload as the result of ".", if it is JSON: as it was sent, so that the
// order of its names and the form of its numbers stay.
func (it *Item) appendOwn(r *Results, quoted bool) bool {
	b := it.Message.Payload
	i := jsontext.SkipBlank(b, 0)
	if i == len(b) || b[i] == '"' && !quoted || len(b) > maxOutput || !jsontext.Valid(b) {
		return false
	}
	if jsontext.OneLine(b) {
		r.buf = append(r.buf, b...)
	} else {
		r.buf = jsontext.AppendCompact(r.buf, b)
	}
	r.ends = append(r.ends, len(r.buf))
	return true
}

// decoder builds the values that expressions work with.
type decoder struct {
	b      []byte
	values int
	keys   map[string]string // short names, which repeat from message to message
}

var (
	errSyntax = errors.New("not JSON")
	errValues = fmt.Errorf("JSON payload has more than %d values", maxValues)
	errDigits = fmt.Errorf("JSON payload has a number of more than %d digits", maxDigits)
)

// decode returns the value of one JSON text: nil, bool, int, json.Number, string, []any or
// map[string]any. The error matches errSyntax if b is no such text. Numbers stay as they are
// written, except for small integers.
func (d *decoder) decode(b []byte) (any, error) {
	d.b, d.values = b, 0
	v, end, err := d.value(jsontext.SkipBlank(b, 0), 0)
	if err == nil && jsontext.SkipBlank(b, end) != len(b) {
		err = errSyntax
	}
	d.b = nil
	return v, err
}

func (d *decoder) value(i, depth int) (v any, end int, err error) {
	if d.values++; d.values > maxValues {
		if !jsontext.Valid(d.b) { // then it is no JSON, and no error
			return nil, i, errSyntax
		}
		return nil, i, errValues
	}
	if i >= len(d.b) || depth > jsontext.MaxDepth {
		return nil, i, errSyntax
	}
	switch d.b[i] {
	case '{':
		return d.object(i, depth)
	case '[':
		return d.array(i, depth)
	case '"':
		text, end, err := d.text(i)
		return text, end, err
	}
	end, ok := jsontext.SkipValue(d.b, i, depth)
	if !ok {
		return nil, i, errSyntax
	}
	switch raw := d.b[i:end]; raw[0] {
	case 'n':
		return nil, end, nil
	case 't', 'f':
		return raw[0] == 't', end, nil
	default:
		if len(raw) > maxDigits {
			return nil, i, errDigits
		}
		if n, ok := smallInt(raw); ok {
			return n, end, nil
		}
		return json.Number(raw), end, nil
	}
}

// smallInt returns the value of an integer of at most 9 digits that would be written in the
// same way.
func smallInt(raw []byte) (n int, ok bool) {
	negative := raw[0] == '-'
	digits := raw
	if negative {
		digits = raw[1:]
	}
	if len(digits) > 9 || negative && digits[0] == '0' {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

func (d *decoder) text(i int) (text string, end int, err error) {
	end, ok := jsontext.SkipString(d.b, i)
	if !ok {
		return "", i, errSyntax
	}
	raw := d.b[i+1 : end-1]
	for _, c := range raw {
		if c == '\\' {
			unquoted, _ := jsontext.AppendUnquoted(make([]byte, 0, len(raw)), raw)
			return string(unquoted), end, nil
		}
	}
	return string(raw), end, nil
}

// key is text for the name of a member.
func (d *decoder) key(i int) (text string, end int, err error) {
	const most, longest = 1024, 64
	end, ok := jsontext.SkipString(d.b, i)
	if !ok {
		return "", i, errSyntax
	}
	raw := d.b[i+1 : end-1]
	if known, ok := d.keys[string(raw)]; ok {
		return known, end, nil
	}
	if text, end, err = d.text(i); err == nil && len(raw) <= longest && len(d.keys) < most {
		if d.keys == nil {
			d.keys = map[string]string{}
		}
		d.keys[string(raw)] = text
	}
	return text, end, err
}

func (d *decoder) object(i, depth int) (v any, end int, err error) {
	b, m := d.b, map[string]any{}
	i = jsontext.SkipBlank(b, i+1)
	if i < len(b) && b[i] == '}' {
		return m, i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return nil, i, errSyntax
		}
		var key string
		if key, i, err = d.key(i); err != nil {
			return nil, i, err
		}
		if i = jsontext.SkipBlank(b, i); i >= len(b) || b[i] != ':' {
			return nil, i, errSyntax
		}
		if v, i, err = d.value(jsontext.SkipBlank(b, i+1), depth+1); err != nil {
			return nil, i, err
		}
		m[key] = v
		more := false
		if i, more, err = d.next(i, '}'); err != nil || !more {
			return m, i, err
		}
	}
}

func (d *decoder) array(i, depth int) (v any, end int, err error) {
	b, a := d.b, []any{}
	i = jsontext.SkipBlank(b, i+1)
	if i < len(b) && b[i] == ']' {
		return a, i + 1, nil
	}
	for {
		if v, i, err = d.value(i, depth+1); err != nil {
			return nil, i, err
		}
		a = append(a, v)
		more := false
		if i, more, err = d.next(i, ']'); err != nil || !more {
			return a, i, err
		}
	}
}

// next goes to the next part of an object or array, or behind its end.
func (d *decoder) next(i int, end byte) (_ int, more bool, err error) {
	i = jsontext.SkipBlank(d.b, i)
	switch {
	case i >= len(d.b):
		return i, false, errSyntax
	case d.b[i] == end:
		return i + 1, false, nil
	case d.b[i] != ',':
		return i, false, errSyntax
	}
	return jsontext.SkipBlank(d.b, i+1), true, nil
}
