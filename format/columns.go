package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/internal/spelling"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// DefaultColumns are the columns of rows, unless others are chosen.
const DefaultColumns = "tst,topic,qos,retain,payload"

// The names of the columns that are not properties. A column of records that [Record] writes
// has the name of its member.
const (
	columnTime     = "tst"
	columnTopic    = "topic"
	columnQoS      = "qos"
	columnRetain   = "retain"
	columnPayload  = "payload"
	columnEncoding = "payload_encoding"
	columnUsers    = "user-properties"
	columnIDs      = "subscription-identifiers"
)

// Columns is a list of columns: parts of a message, its properties, and values inside JSON
// payloads. It must not be used concurrently.
type Columns struct {
	list   []column
	steps  []jsontext.Path
	paths  *jsontext.Paths
	values [][]byte // of the paths, in the message that was found last
	stamp  stamp

	scratch []byte
}

// column is one column: a path, whose place in the list of paths is path, if its name begins
// with a dot; a property that a message has at most once, if id is set; else one of the
// constants.
type column struct {
	name string
	id   packet.PropertyID
	path int
	at   int // in the list
}

// ColumnError reports where a list of columns is wrong.
type ColumnError struct {
	Offset int // in bytes
	Text   string
	Hint   string // what may be meant, or ""
}

func (e *ColumnError) Error() string {
	text := fmt.Sprintf("column %d: %s", e.Offset+1, e.Text)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// ParseColumns parses a list of columns with commas between them. A column is tst, topic,
// qos, retain, payload, payload_encoding, the name of a property that a message can have, or
// a path in jq's notation into a JSON payload, which begins with a dot: .a.b, .a[0] or
// ."a b". Blanks around a column are ignored. The error is a [*ColumnError].
func ParseColumns(list string) (*Columns, error) {
	c := &Columns{}
	for at := 0; at <= len(list); {
		end := columnEnd(list, at)
		if err := c.add(list[at:end], at); err != nil {
			return nil, err
		}
		at = end + 1
	}
	c.paths, c.values = jsontext.NewPaths(c.steps...), make([][]byte, len(c.steps))
	return c, nil
}

// columnEnd returns the index of the comma that ends the column at i, or the length of the
// list. A comma in a string is part of the column.
func columnEnd(list string, i int) int {
	for quoted := false; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return i
		}
	}
	return len(list)
}

func (c *Columns) add(text string, at int) error {
	name := strings.TrimLeft(text, " ")
	at += len(text) - len(name)
	name = strings.TrimRight(name, " ")
	switch {
	case name == "":
		return &ColumnError{Offset: at, Text: "a column is missing"}
	case name[0] == '.':
		path, err := jsontext.ParsePath(name)
		if pe, ok := errors.AsType[*jsontext.PathError](err); ok {
			return &ColumnError{Offset: at + pe.Offset, Text: pe.Text}
		}
		c.list = append(c.list, column{name: name, path: len(c.steps), at: at})
		c.steps = append(c.steps, path)
		return nil
	}
	col, ok := columnNamed(name)
	if !ok {
		e := &ColumnError{Offset: at, Text: "unknown column " + strconv.Quote(name)}
		if meant := spelling.Nearest(name, columnNames()); meant != "" {
			e.Hint = "did you mean " + meant + "?"
		} else if _, err := jsontext.ParsePath("." + name); err == nil {
			e.Hint = "a path into JSON payloads begins with a dot"
		}
		return e
	}
	col.at = at
	c.list = append(c.list, col)
	return nil
}

// columnNamed returns the column of a name that is not a path.
func columnNamed(name string) (column, bool) {
	switch name {
	case columnTime, columnTopic, columnQoS, columnRetain, columnPayload, columnEncoding, columnUsers, columnIDs:
		return column{name: name}, true
	}
	id, ok := packet.PropertyByName(name)
	if !ok || !singleProperty(id) {
		return column{}, false
	}
	return column{name: name, id: id}, true
}

// singleProperty reports whether a message that was received has the property at most once.
func singleProperty(id packet.PropertyID) bool {
	return id.AllowedIn(packet.PUBLISH) && id != packet.UserProperty && id != packet.SubscriptionIdentifier && id != packet.TopicAlias
}

func columnNames() []string {
	names := append(strings.Split(DefaultColumns, ","), columnEncoding, columnUsers, columnIDs)
	for id := range packet.PropertyID(64) {
		if name := id.String(); singleProperty(id) {
			names = append(names, name)
		}
	}
	return names
}

// Times reports whether a column has the time of arrival.
func (c *Columns) Times() bool {
	return slices.ContainsFunc(c.list, func(col column) bool { return col.name == columnTime })
}

// find finds the values of all paths in a message, for text.
func (c *Columns) find(m *mqtt.Message) {
	if len(c.steps) > 0 {
		c.paths.Find(m.Payload, c.values)
	}
}

// text returns the text of a column of the message for which find was called last; ok is
// false if the message has no such part. With encode, bytes that are not UTF-8 are in base64.
// The text is valid until the next call.
func (c *Columns) text(col *column, m *mqtt.Message, at time.Time, encode bool) (text []byte, ok bool) {
	b := c.scratch[:0]
	switch col.name {
	case columnTime:
		b = c.stamp.append(b, at)
	case columnTopic:
		b = append(b, m.Topic...)
	case columnQoS:
		b = append(b, '0'+byte(m.QoS))
	case columnRetain:
		b = strconv.AppendBool(b, m.Retain)
	case columnPayload:
		return c.encoded(m.Payload, encode), true
	case columnEncoding:
		if !encode || utf8.Valid(m.Payload) {
			return nil, false
		}
		return base64Name, true
	case columnUsers:
		if _, ok = m.Properties.Bytes(packet.UserProperty); !ok {
			return nil, false
		}
		b = appendPairs(append(b, '['), m.Properties)
	case columnIDs:
		if _, ok = m.Properties.Uint(packet.SubscriptionIdentifier); !ok {
			return nil, false
		}
		b = appendIDs(append(b, '['), m.Properties)
	default:
		switch col.id.Type() {
		case packet.TypeNone:
			return c.value(c.values[col.path])
		case packet.TypeString, packet.TypeBinary:
			text, ok = m.Properties.Bytes(col.id)
			return c.encoded(text, encode), ok
		}
		n, has := m.Properties.Uint(col.id)
		if !has {
			return nil, false
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	c.scratch = b
	return b, true
}

var base64Name = []byte("base64")

// encoded returns b or, if that is wanted for bytes that are not UTF-8, b in base64.
func (c *Columns) encoded(b []byte, encode bool) []byte {
	if !encode || utf8.Valid(b) {
		return b
	}
	c.scratch = appendBase64(c.scratch[:0], b)
	return c.scratch
}

// value returns the text of a JSON value, nil if there is none: a string without its quotes,
// an object or array without white space, and anything else as it is written. null has no
// text.
func (c *Columns) value(raw []byte) (text []byte, ok bool) {
	if len(raw) == 0 {
		return nil, false
	}
	switch raw[0] {
	case 'n':
		return nil, false
	case '"':
		if raw = raw[1 : len(raw)-1]; bytes.IndexByte(raw, '\\') >= 0 {
			c.scratch, _ = jsontext.AppendUnquoted(c.scratch[:0], raw)
			return c.scratch, true
		}
	case '{', '[':
		c.scratch = jsontext.AppendCompact(c.scratch[:0], raw)
		return c.scratch, true
	}
	return raw, true
}
