package format

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
)

// Influx formats messages as the line protocol of InfluxDB, one point per message:
//
//	measurement,tag=value field=value,field=value time
//
// The fields are the members of a JSON payload: numbers as floats, because the first value
// fixes the type of a field, booleans, and strings. The names of nested members are joined by
// an underscore. null, arrays, numbers that a float cannot hold, and names that InfluxDB keeps
// for itself (time, and those that begin with an underscore) are omitted. A payload that is a
// number, a boolean or a string is the field value. The time is that of arrival, in
// nanoseconds.
type Influx struct {
	// Terminal is for output to a terminal: text that could control it is escaped.
	Terminal bool

	name    template
	tags    []influxTag
	columns *Columns // nil: all members are fields

	key     []byte // of the field
	text    []byte
	scratch []byte
	skipped int
}

type influxTag struct {
	key   string // escaped
	value template
}

// CompileInflux returns the formatter of some settings, KEY=VALUE with commas between them.
// The setting name is the measurement; without it, that is mqtt. Every other one is a tag, and
// one of these is there from the start: topic, the topic. In a value, %{topic} is the topic,
// %{level N} its level N, counted from 1, and %% a percent sign. A tag that has no value is
// omitted.
//
// With columns, which must be paths, only their values are fields. An error is a
// [*PatternError] or, about the columns, a [*ColumnError].
func CompileInflux(settings string, columns *Columns) (*Influx, error) {
	f := &Influx{name: template{{text: "mqtt"}}, tags: []influxTag{{"topic", template{{topic: true}}}}}
	if columns != nil {
		f.columns = columns
		for i := range columns.list {
			if col := &columns.list[i]; col.name[0] != '.' {
				return nil, &ColumnError{Offset: col.at, Text: col.name + " is no field for InfluxDB", Hint: "fields are paths, e.g. .temperature"}
			}
		}
	}
	if settings == "" {
		return f, nil
	}
	seen := map[string]bool{}
	for at := 0; at <= len(settings); {
		part, _, _ := strings.Cut(settings[at:], ",")
		key, value, ok := strings.Cut(part, "=")
		fail := func(text string, args ...any) (*Influx, error) {
			return nil, &PatternError{Offset: at, Text: fmt.Sprintf(text, args...)}
		}
		switch {
		case !ok || key == "":
			return fail("want KEY=VALUE, not %q", part)
		case seen[key]:
			return fail("%s is set twice", key)
		case key == "time" || key[0] == '_':
			return fail("InfluxDB keeps the name %s for itself", key)
		}
		seen[key] = true
		t, err := parseTemplate(value, at+len(key)+1)
		if err != nil {
			return nil, err
		}
		switch escaped := string(appendInfluxName(nil, []byte(key), ",= ")); {
		case key == "name" && (value == "" || value[0] == '#'):
			return fail("want a measurement that does not begin with #")
		case key == "name":
			f.name = t
		case escaped == "":
			return fail("%q is not a name", key)
		case key == "topic":
			f.tags[0].value = t
		default:
			f.tags = append(f.tags, influxTag{escaped, t})
		}
		at += len(part) + 1
	}
	return f, nil
}

var (
	errNoMeasurement = errors.New("not printed: the topic gives no name for the measurement")
	errNoFields      = errors.New("not printed: the payload has no number, boolean or string for InfluxDB")
	errManySkipped   = errors.New("not printed; further messages without a point are skipped without a warning")
)

// maxInfluxWarnings is how many messages without a point are reported.
const maxInfluxWarnings = 10

// Append formats one message. If it has no fields, nothing is appended, and the error says
// so; after ten such messages there is no error any more.
func (f *Influx) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	start := len(dst)
	f.text = f.name.append(f.text[:0], m.Topic)
	if dst = appendInfluxName(dst, f.text, ", "); len(dst) == start {
		return f.skip(dst[:start], errNoMeasurement)
	}
	for i := range f.tags {
		t := &f.tags[i]
		f.text = t.value.append(f.text[:0], m.Topic)
		from := len(dst)
		dst = append(append(append(dst, ','), t.key...), '=')
		value := len(dst)
		if dst = appendInfluxName(dst, f.text, ",= "); len(dst) == value {
			dst = dst[:from]
		}
	}
	dst = append(dst, ' ')
	from := len(dst)
	dst = f.fields(dst, m)
	if len(dst) == from {
		return f.skip(dst[:start], errNoFields)
	}
	dst[len(dst)-1] = ' ' // the last comma
	dst = strconv.AppendInt(dst, at.UnixNano(), 10)
	if f.Terminal {
		f.scratch = append(f.scratch[:0], dst[start:]...)
		dst = AppendEscaped(dst[:start], f.scratch)
	}
	return append(dst, '\n'), nil
}

func (f *Influx) skip(dst []byte, err error) ([]byte, error) {
	f.skipped++
	switch {
	case f.skipped > maxInfluxWarnings:
		return dst, nil
	case f.skipped == maxInfluxWarnings:
		return dst, errManySkipped
	}
	return dst, err
}

// fields appends the fields, with a comma after each.
func (f *Influx) fields(dst []byte, m *mqtt.Message) []byte {
	f.key = f.key[:0]
	if f.columns == nil {
		if i := jsontext.SkipBlank(m.Payload, 0); jsontext.Valid(m.Payload) {
			dst, _ = f.value(dst, m.Payload, i)
		}
		return dst
	}
	f.columns.find(m)
	for i := range f.columns.list {
		col := &f.columns.list[i]
		if raw := f.columns.values[col.path]; raw != nil {
			f.key = f.key[:0]
			for _, s := range f.columns.steps[col.path] {
				f.text = append(f.text[:0], s.Key...)
				if s.IsIndex {
					f.text = strconv.AppendInt(f.text, int64(s.Index), 10)
				}
				f.join(f.text)
			}
			dst, _ = f.value(dst, raw, 0)
		}
	}
	return dst
}

// join adds a name to the key.
func (f *Influx) join(name []byte) {
	if len(f.key) > 0 {
		f.key = append(f.key, '_')
	}
	f.key = append(f.key, name...)
}

// value appends the fields of the valid JSON value that begins at i, and returns the index
// after it.
func (f *Influx) value(dst, b []byte, i int) (_ []byte, end int) {
	switch b[i] {
	case '{':
		return f.object(dst, b, i)
	case '[', 'n':
		end, _ = jsontext.SkipValue(b, i, 0)
		return dst, end
	}
	end, _ = jsontext.SkipValue(b, i, 0)
	key := f.key
	if len(key) == 0 {
		key = valueName
	}
	from := len(dst)
	if dst = appendInfluxName(dst, key, ",= "); len(dst) == from || dst[from] == '_' || string(dst[from:]) == "time" {
		return dst[:from], end
	}
	dst = append(dst, '=')
	switch raw := b[i:end]; raw[0] {
	case '"':
		f.text, _ = jsontext.AppendUnquoted(f.text[:0], raw[1:len(raw)-1])
		dst = append(appendInfluxText(append(dst, '"'), f.text), '"')
	case 't', 'f':
		dst = append(dst, raw...)
	default:
		if !fitsFloat(raw) {
			return dst[:from], end
		}
		dst = append(dst, raw...)
	}
	return append(dst, ','), end
}

var valueName = []byte("value")

func (f *Influx) object(dst, b []byte, i int) ([]byte, int) {
	outer := len(f.key)
	for i = jsontext.SkipBlank(b, i+1); b[i] != '}'; i = jsontext.SkipBlank(b, i) {
		if b[i] == ',' {
			i = jsontext.SkipBlank(b, i+1)
		}
		end, _ := jsontext.SkipString(b, i)
		f.text, _ = jsontext.AppendUnquoted(f.text[:0], b[i+1:end-1])
		named := len(f.text) > 0 || outer > 0
		f.join(f.text)
		i = jsontext.SkipBlank(b, jsontext.SkipBlank(b, end)+1) // behind the colon
		if named {
			dst, i = f.value(dst, b, i)
		} else {
			i, _ = jsontext.SkipValue(b, i, 0)
		}
		f.key = f.key[:outer]
	}
	return dst, i + 1
}

// fitsFloat reports whether a JSON number is a float of 64 bits, perhaps rounded.
func fitsFloat(raw []byte) bool {
	if len(raw) < 300 && bytes.IndexByte(raw, 'e') < 0 && bytes.IndexByte(raw, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(string(raw), 64)
	return err == nil
}

// appendInfluxName appends a measurement, a tag's key or value, or a field's key, with a
// backslash before the characters that are special there. None of them can have control
// characters, which are written as escapes, or a backslash at the end, which is omitted; so is
// one before a special character, because programs differ in how they read that.
func appendInfluxName(dst, name []byte, special string) []byte {
	from := len(dst)
	plain := 0
	for plain < len(name) && name[plain] > ' ' && name[plain] < 0x7f && name[plain] != ',' && name[plain] != '=' && name[plain] != '\\' {
		plain++
	}
	dst = append(dst, name[:plain]...)
	for _, c := range bytes.TrimRight(name[plain:], `\`) {
		switch {
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == 0x7f:
			dst = appendEscape(dst, c)
		case strings.IndexByte(special, c) >= 0:
			dst = append(dst[:from+len(bytes.TrimRight(dst[from:], `\`))], '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendInfluxText appends what comes between the quotes of a string.
func appendInfluxText(dst, text []byte) []byte {
	start := 0
	for i, c := range text {
		if c == '"' || c == '\\' {
			dst = append(append(dst, text[start:i]...), '\\')
			start = i
		}
	}
	return append(dst, text[start:]...)
}

// template is a text with parts of the topic in it.
type template []templatePart

// templatePart is a text, the topic, or a level of the topic, counted from 1.
type templatePart struct {
	text  string
	topic bool
	level int
}

// maxLevel bounds the numbers of levels: a topic has at most 65,535 bytes.
const maxLevel = 65535

// parseTemplate parses a template that begins at the offset at of a longer text.
func parseTemplate(s string, at int) (t template, err error) {
	for i := 0; i < len(s); {
		percent := strings.IndexByte(s[i:], '%')
		if percent < 0 {
			return append(t, templatePart{text: s[i:]}), nil
		}
		t = append(t, templatePart{text: s[i : i+percent]})
		i += percent
		inner, _, closed := strings.Cut(s[i:], "}")
		level, isLevel := strings.CutPrefix(inner, "%{level ")
		n, numErr := strconv.Atoi(level)
		switch {
		case strings.HasPrefix(s[i:], "%%"):
			t = append(t, templatePart{text: "%"})
			i += 2
			continue
		case closed && inner == "%{topic":
			t = append(t, templatePart{topic: true})
		case closed && isLevel && numErr == nil && n >= 1 && n <= maxLevel:
			t = append(t, templatePart{level: n})
		default:
			return nil, &PatternError{Offset: at + i, Text: "want %{topic}, %{level N} or %% at " + strconv.Quote(inner)}
		}
		i += len(inner) + 1
	}
	return t, nil
}

// append appends the text for a topic.
func (t template) append(dst []byte, topic string) []byte {
	for i := range t {
		switch p := &t[i]; {
		case p.topic:
			dst = append(dst, topic...)
		case p.level > 0:
			dst = append(dst, levelOf(topic, p.level)...)
		default:
			dst = append(dst, p.text...)
		}
	}
	return dst
}

// levelOf returns the level n of a topic, or "" if it has fewer.
func levelOf(topic string, n int) string {
	for ; n > 1; n-- {
		_, rest, more := strings.Cut(topic, "/")
		if !more {
			return ""
		}
		topic = rest
	}
	level, _, _ := strings.Cut(topic, "/")
	return level
}
