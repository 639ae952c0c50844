package format

import (
	"encoding/base64"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Record formats messages as JSON Lines: one message, one object, one line. The members
// are, in this order:
//
//	tst               time of arrival, RFC 3339 with microseconds and zone
//	topic             topic name
//	qos               0, 1 or 2
//	retain            true or false
//	dup               true; otherwise absent
//	payloadlen        bytes of the payload
//	payload           the payload
//	payload_encoding  "base64" or "json"; absent for text
//	properties        MQTT 5.0 properties by name; absent if there are none
//
// A payload of valid UTF-8 is a JSON string, and any other one base64. Binary
// correlation data is {"base64": "..."}. User properties are an array of objects with
// one member each, in order, because names may repeat. [RecordReader] reads all of it
// back.
type Record struct {
	// JSONPayload embeds payloads that are valid JSON as values, byte for byte except
	// for white space around them and line ends inside.
	JSONPayload bool
	// Terminal is for output to a terminal: text that could control it is escaped, and
	// the parts have the palette's colors.
	Terminal bool
	Palette  Palette

	scratch []byte
	stamp   stamp
}

// Append formats one message.
func (f *Record) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	if !f.Terminal {
		return append(f.object(dst, m, at), '\n'), nil
	}
	f.scratch = f.object(f.scratch[:0], m, at)
	return append(appendIndented(dst, f.scratch, "", true, &f.Palette), '\n'), nil
}

// pieceSize is how much of a payload WriteMessage formats at once: a multiple of 3, so
// that base64 has no padding inside.
const pieceSize = 48 << 10

// WriteMessage writes to w what Append would append, a piece at a time: a payload may
// grow sixfold in JSON. The error is that of w.
func (f *Record) WriteMessage(w io.Writer, m *mqtt.Message, at time.Time) error {
	if f.Terminal {
		b, _ := f.Append(nil, m, at)
		_, err := w.Write(b)
		return err
	}
	b := f.head(f.scratch[:0], m, at)
	form, rest := f.formOf(m.Payload), m.Payload
	b = append(b, form.open...)
	for len(rest) > pieceSize {
		b = form.append(b, rest[:pieceSize])
		if _, err := w.Write(b); err != nil {
			return err
		}
		b, rest = b[:0], rest[pieceSize:]
	}
	b = append(f.tail(append(form.append(b, rest), form.end...), m), '\n')
	f.scratch = b
	_, err := w.Write(b)
	return err
}

// payloadForm is how a payload is put in an object. Applying append to the pieces of a
// payload gives the same as applying it to the whole.
type payloadForm struct {
	open, end string
	append    func(dst, b []byte) []byte
}

var (
	asJSON   = payloadForm{"", `,"payload_encoding":"json"`, func(dst, b []byte) []byte { return append(dst, b...) }}
	asText   = payloadForm{`"`, `"`, jsontext.AppendEscaped[[]byte]}
	asBase64 = payloadForm{`"`, `","payload_encoding":"base64"`, appendBase64}
)

func (f *Record) formOf(payload []byte) *payloadForm {
	switch {
	case f.JSONPayload && jsontext.OneLine(payload):
		return &asJSON
	case utf8.Valid(payload):
		return &asText
	}
	return &asBase64
}

func (f *Record) object(dst []byte, m *mqtt.Message, at time.Time) []byte {
	form := f.formOf(m.Payload)
	dst = form.append(append(f.head(dst, m, at), form.open...), m.Payload)
	return f.tail(append(dst, form.end...), m)
}

// head appends what comes before the payload, and tail what comes after it.
func (f *Record) head(dst []byte, m *mqtt.Message, at time.Time) []byte {
	dst = append(dst, `{"tst":"`...)
	dst = f.stamp.append(dst, at)
	dst = append(dst, `","topic":`...)
	dst = jsontext.AppendString(dst, m.Topic)
	dst = append(dst, `,"qos":`...)
	dst = append(dst, '0'+byte(m.QoS))
	if m.Retain {
		dst = append(dst, `,"retain":true`...)
	} else {
		dst = append(dst, `,"retain":false`...)
	}
	if m.Dup {
		dst = append(dst, `,"dup":true`...)
	}
	dst = append(dst, `,"payloadlen":`...)
	dst = strconv.AppendInt(dst, int64(len(m.Payload)), 10)
	return append(dst, `,"payload":`...)
}

func (f *Record) tail(dst []byte, m *mqtt.Message) []byte {
	if len(m.Properties) > 0 {
		dst = appendProperties(append(dst, `,"properties":`...), m.Properties)
	}
	return append(dst, '}')
}

// appendProperties appends a property block as an object.
func appendProperties(dst []byte, p packet.Properties) []byte {
	dst = append(dst, '{')
	users, ids := false, false
	sep := false
	for q := range p.All() {
		if q.ID == packet.UserProperty && users || q.ID == packet.SubscriptionIdentifier && ids {
			continue
		}
		if sep {
			dst = append(dst, ',')
		}
		sep = true
		dst = append(dst, '"')
		switch q.ID {
		case packet.UserProperty:
			users = true
			dst = appendPairs(append(dst, `user-properties":[`...), p)
		case packet.SubscriptionIdentifier:
			ids = true
			dst = appendIDs(append(dst, `subscription-identifiers":[`...), p)
		default:
			dst = append(append(dst, q.ID.String()...), `":`...)
			switch q.ID.Type() {
			case packet.TypeString, packet.TypeBinary:
				dst = appendText(dst, q.Bytes)
			default:
				dst = strconv.AppendUint(dst, uint64(q.Uint), 10)
			}
		}
	}
	return append(dst, '}')
}

// UserProperties returns the user properties as --json has them, an array of objects with one
// member each, or nil if there are none.
func UserProperties(p packet.Properties) []byte {
	for q := range p.All() {
		if q.ID == packet.UserProperty {
			return appendPairs([]byte{'['}, p)
		}
	}
	return nil
}

func appendPairs(dst []byte, p packet.Properties) []byte {
	first := true
	for q := range p.All() {
		if q.ID != packet.UserProperty {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = jsontext.AppendString(append(dst, '{'), q.Bytes)
		dst = append(jsontext.AppendString(append(dst, ':'), q.Value), '}')
	}
	return append(dst, ']')
}

func appendIDs(dst []byte, p packet.Properties) []byte {
	first := true
	for q := range p.All() {
		if q.ID == packet.SubscriptionIdentifier {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = strconv.AppendUint(dst, uint64(q.Uint), 10)
		}
	}
	return append(dst, ']')
}

func appendBase64(dst, b []byte) []byte { return base64.StdEncoding.AppendEncode(dst, b) }

// stamp formats times of arrival and keeps the last second it formatted: the messages
// of one read share it.
type stamp struct {
	second int64
	zone   *time.Location
	text   []byte // "2006-01-02T15:04:05"
	offset []byte // "+01:00"
}

func (s *stamp) append(dst []byte, at time.Time) []byte {
	if sec := at.Unix(); sec != s.second || s.text == nil || s.zone != at.Location() {
		s.second, s.zone = sec, at.Location()
		s.text = at.AppendFormat(s.text[:0], "2006-01-02T15:04:05")
		s.offset = at.AppendFormat(s.offset[:0], "-07:00")
	}
	dst = append(append(dst, s.text...), '.')
	micro := at.Nanosecond() / 1000
	for unit := 100000; unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(micro/unit%10))
	}
	return append(dst, s.offset...)
}
