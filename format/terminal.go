package format

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Palette holds the escape sequences around the parts of a message. The zero value has
// no colors.
type Palette struct {
	Topic, Meta, Name, Text, Number, End string
	// Topics, if there are any, are the colors of topics before payloads: each topic has its
	// own, as far as they suffice.
	Topics []string
}

// Colors is the palette for terminals with colors.
var Colors = Palette{Topic: "\x1b[36m", Meta: "\x1b[2m", Name: "\x1b[34m", Text: "\x1b[32m", Number: "\x1b[33m", End: "\x1b[0m",
	Topics: []string{"\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[93m", "\x1b[95m", "\x1b[94m"}}

func (p *Palette) paint(dst []byte, color string, draw func([]byte) []byte) []byte {
	if color == "" {
		return draw(dst)
	}
	return append(draw(append(dst, color...)), p.End...)
}

// of returns the color of a topic.
func (p *Palette) of(name string) string {
	if len(p.Topics) == 0 {
		return p.Topic
	}
	h := uint32(2166136261) // FNV-1a: the same color in every run
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return p.Topics[h%uint32(len(p.Topics))]
}

// Escaped is Plain for a terminal: topics and payloads are escaped, see AppendEscaped,
// unless Raw is set.
type Escaped struct {
	Topic   bool
	End     string
	Palette Palette
	Raw     bool
	Blank   bool
}

func (f *Escaped) text(dst, s []byte) []byte {
	if f.Raw {
		return append(dst, s...)
	}
	return AppendEscaped(dst, s)
}

// Append formats one message.
func (f *Escaped) Append(dst []byte, m *mqtt.Message, _ time.Time) ([]byte, error) {
	if f.Topic {
		dst = f.Palette.paint(dst, f.Palette.of(m.Topic), func(b []byte) []byte { return f.text(b, []byte(m.Topic)) })
		dst = append(dst, ' ')
		if len(m.Payload) == 0 && !f.Blank {
			dst = f.Palette.paint(dst, f.Palette.Meta, func(b []byte) []byte { return append(b, "(null)"...) })
		}
	} else if len(m.Payload) == 0 && f.End != "\x00" && !f.Blank {
		return dst, nil
	}
	return append(f.text(dst, m.Payload), f.End...), nil
}

// Pretty formats a message in several lines for people: the topic, what is known about
// the message, and the payload: JSON indented, text as text, and anything else as a hex
// dump.
type Pretty struct {
	Palette Palette
}

// dumpMost is how many bytes of a binary payload are dumped.
const dumpMost = 1024

// Append formats one message.
func (f *Pretty) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	c := &f.Palette
	dst = c.paint(dst, c.Topic, func(b []byte) []byte { return AppendEscaped(b, []byte(m.Topic)) })
	dst = append(dst, "  "...)
	dst = c.paint(dst, c.Meta, func(b []byte) []byte {
		b = at.AppendFormat(b, "15:04:05.000")
		b = append(append(b, "  QoS "...), '0'+byte(m.QoS))
		if m.Retain {
			b = append(b, "  retained"...)
		}
		if m.Dup {
			b = append(b, "  dup"...)
		}
		b = strconv.AppendInt(append(b, "  "...), int64(len(m.Payload)), 10)
		if len(m.Payload) == 1 {
			return append(b, " byte"...)
		}
		return append(b, " bytes"...)
	})
	dst = append(dst, '\n')
	for p := range m.Properties.All() {
		dst = append(dst, "  "...)
		name := []byte(p.ID.String())
		value := p.Bytes
		if p.ID == packet.UserProperty {
			name, value = p.Bytes, p.Value
		}
		dst = c.paint(dst, c.Name, func(b []byte) []byte { return AppendEscaped(b, name) })
		dst = append(dst, ": "...)
		if value == nil && p.ID.Type() != packet.TypePair {
			dst = strconv.AppendUint(dst, uint64(p.Uint), 10)
		} else {
			dst = AppendEscaped(dst, value)
		}
		dst = append(dst, '\n')
	}
	switch {
	case len(m.Payload) == 0:
	case jsonContainer(m.Payload):
		dst = append(dst, "  "...)
		dst = appendIndented(dst, m.Payload, "  ", false, c)
		dst = append(dst, '\n')
	case printable(m.Payload):
		rest := m.Payload
		for len(rest) > 0 {
			line := rest
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				line, rest = rest[:i], rest[i+1:]
			} else {
				rest = nil
			}
			dst = append(AppendEscaped(append(dst, "  "...), line), '\n')
		}
	default:
		dst = appendDump(dst, m.Payload)
	}
	return dst, nil
}

// jsonContainer reports whether b is a JSON object or array.
func jsonContainer(b []byte) bool {
	i := jsontext.SkipBlank(b, 0)
	return i < len(b) && (b[i] == '{' || b[i] == '[') && jsontext.Valid(b)
}

// printable reports whether b is text: UTF-8 with no control characters except tabs and
// line ends.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// appendDump appends a hex dump, 16 bytes per line.
func appendDump(dst, b []byte) []byte {
	all := len(b)
	b = b[:min(all, dumpMost)]
	for at := 0; at < len(b); at += 16 {
		line := b[at:min(at+16, len(b))]
		dst = append(dst, "  "...)
		for shift := 28; shift >= 0; shift -= 4 {
			dst = append(dst, hexDigits[at>>shift&15])
		}
		dst = append(dst, ' ')
		for i := range 16 {
			if i == 8 {
				dst = append(dst, ' ')
			}
			if i < len(line) {
				dst = append(dst, ' ', hexDigits[line[i]>>4], hexDigits[line[i]&15])
			} else {
				dst = append(dst, "   "...)
			}
		}
		dst = append(dst, "  |"...)
		for _, c := range line {
			if c < ' ' || c >= 0x7f {
				c = '.'
			}
			dst = append(dst, c)
		}
		dst = append(dst, "|\n"...)
	}
	if all > len(b) {
		dst = strconv.AppendInt(append(dst, "  ... "...), int64(all-len(b)), 10)
		dst = append(dst, " more bytes\n"...)
	}
	return dst
}
