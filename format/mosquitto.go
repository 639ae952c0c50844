package format

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// mosquittoJSON formats %j and %J: the object of mosquitto_sub, with its order and
// names, but lossless. Text keeps its NUL bytes; a payload that is not UTF-8 becomes
// {"base64": "..."} instead of invalid JSON; numbers in %J are kept as written.
type mosquittoJSON struct{}

var errNotJSON = errors.New("%J needs a payload of valid JSON")

func (mosquittoJSON) append(dst []byte, m *mqtt.Message, at time.Time, inline bool) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"tst":"`...)
	dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000000-0700")
	dst = jsontext.AppendString(append(dst, `","topic":`...), m.Topic)
	dst = append(append(dst, `,"qos":`...), '0'+byte(m.QoS))
	dst = strconv.AppendBool(append(dst, `,"retain":`...), m.Retain)
	dst = strconv.AppendInt(append(dst, `,"payloadlen":`...), int64(len(m.Payload)), 10)
	if m.QoS > 0 {
		dst = strconv.AppendUint(append(dst, `,"mid":`...), uint64(m.PacketID), 10)
	}
	if len(m.Properties) > 0 || m.TopicAlias > 0 {
		dst = appendMosquittoProperties(append(dst, `,"properties":`...), m)
	}
	dst = append(dst, `,"payload":`...)
	switch {
	case len(m.Payload) == 0:
		dst = append(dst, "null"...)
	case !inline:
		dst = appendText(dst, m.Payload)
	default:
		i := jsontext.SkipBlank(m.Payload, 0)
		end, ok := jsontext.SkipValue(m.Payload, i, 0)
		if !ok || jsontext.SkipBlank(m.Payload, end) != len(m.Payload) {
			return dst[:start], errNotJSON
		}
		dst = appendCompact(dst, m.Payload[i:end])
	}
	return append(dst, '}'), nil
}

// appendText appends a JSON string, or {"base64": ...} for bytes that are not text.
func appendText(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return jsontext.AppendString(dst, b)
	}
	return append(appendBase64(append(dst, `{"base64":"`...), b), `"}`...)
}

func appendMosquittoProperties(dst []byte, m *mqtt.Message) []byte {
	p := m.Properties
	dst = append(dst, '{')
	users, sep := false, false
	for q := range p.All() {
		if q.ID == packet.UserProperty && users {
			continue
		}
		if sep {
			dst = append(dst, ',')
		}
		sep = true
		if q.ID == packet.UserProperty {
			users = true
			dst = appendPairs(append(dst, `"user-properties":[`...), p)
			continue
		}
		dst = append(append(append(dst, '"'), q.ID.String()...), `":`...)
		switch q.ID.Type() {
		case packet.TypeString, packet.TypeBinary:
			dst = appendText(dst, q.Bytes)
		default:
			dst = strconv.AppendUint(dst, uint64(q.Uint), 10)
		}
	}
	if m.TopicAlias > 0 {
		if sep {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(append(dst, `"topic-alias":`...), uint64(m.TopicAlias), 10)
	}
	return append(dst, '}')
}

// appendCompact appends the valid JSON text b without the white space between its
// parts.
func appendCompact(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			end, _ := jsontext.SkipString(b, i)
			dst = append(dst, b[i:end]...)
			i = end
		default:
			dst = append(dst, b[i])
			i++
		}
	}
	return dst
}

// appendLikeCJSON appends the compact JSON text b in the layout of cJSON: a member of
// an object is a line, after tabs, with a tab before its value; the elements of an
// array are on one line. An empty object is {\n}.
func appendLikeCJSON(dst, b []byte) []byte {
	var stack []byte // the open brackets
	newline := func(n int) {
		dst = append(dst, '\n')
		for range n {
			dst = append(dst, '\t')
		}
	}
	for i := 0; i < len(b); {
		c := b[i]
		switch c {
		case '"':
			end, _ := jsontext.SkipString(b, i)
			dst = append(dst, b[i:end]...)
			i = end
			continue
		case '{':
			stack = append(stack, c)
			dst = append(dst, c)
			if b[i+1] != '}' {
				newline(len(stack))
			}
		case '}':
			stack = stack[:len(stack)-1]
			newline(len(stack))
			dst = append(dst, c)
		case '[':
			stack = append(stack, c)
			dst = append(dst, c)
		case ']':
			stack = stack[:len(stack)-1]
			dst = append(dst, c)
		case ':':
			dst = append(dst, ":\t"...)
		case ',':
			dst = append(dst, c)
			if stack[len(stack)-1] == '[' {
				dst = append(dst, ' ')
			} else {
				newline(len(stack))
			}
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}
