package format

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Record writes messages as JSON Lines: one message, one object, one line.
// The fields are, in this order:
//
//	tst               time of arrival, RFC 3339 with microseconds and zone
//	topic             topic name
//	qos               0, 1 or 2
//	retain            true or false
//	dup               true; absent otherwise
//	payloadlen        bytes of the payload
//	payload           the payload
//	payload_encoding  "base64" or "json"; absent for text
//	properties        MQTT 5.0 properties by name; absent when there are none
//
// A payload of valid UTF-8 is a JSON string, and any other one base64.
// Binary correlation data is {"base64": "..."}; user properties are an array
// of objects with one member each, in order, because names may repeat.
// [RecordReader] reads all of it back.
type Record struct {
	// JSONPayload puts payloads that are valid JSON in as values, byte for
	// byte but for white space around them and line ends within.
	JSONPayload bool
	// Terminal is for output that people see: what steers a terminal is
	// escaped, and the parts have the palette's colours.
	Terminal bool
	Palette  Palette

	scratch []byte
	stamp   stamp
}

// Append draws one message.
func (f *Record) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	if !f.Terminal {
		return append(f.object(dst, m, at), '\n'), nil
	}
	f.scratch = f.object(f.scratch[:0], m, at)
	return append(appendIndented(dst, f.scratch, "", true, &f.Palette), '\n'), nil
}

func (f *Record) object(dst []byte, m *mqtt.Message, at time.Time) []byte {
	dst = append(dst, `{"tst":"`...)
	dst = f.stamp.append(dst, at)
	dst = append(dst, `","topic":`...)
	dst = appendString(dst, m.Topic)
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
	dst = append(dst, `,"payload":`...)
	switch {
	case f.JSONPayload && oneLineJSON(m.Payload):
		dst = append(append(dst, m.Payload...), `,"payload_encoding":"json"`...)
	case utf8.Valid(m.Payload):
		dst = appendString(dst, m.Payload)
	default:
		dst = appendBase64(append(dst, '"'), m.Payload)
		dst = append(dst, `","payload_encoding":"base64"`...)
	}
	if len(m.Properties) > 0 {
		dst = appendProperties(append(dst, `,"properties":`...), m.Properties)
	}
	return append(dst, '}')
}

// oneLineJSON tells whether b can stand in a line as a JSON value without any
// change.
func oneLineJSON(b []byte) bool {
	if len(b) == 0 || skipBlank(b, 0) != 0 {
		return false
	}
	end, ok := skipValue(b, 0, 0)
	if !ok || end != len(b) {
		return false
	}
	for _, c := range b {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return true
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
		dst = appendString(append(dst, '{'), q.Bytes)
		dst = append(appendString(append(dst, ':'), q.Value), '}')
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

// appendString appends valid UTF-8 as a JSON string.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// stamp draws times of arrival and keeps the second it drew last: the
// messages of one read share it.
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
