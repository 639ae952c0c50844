package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Pattern formats messages by a format string, in the language of mosquitto_sub -F:
// text, %-specifiers for the parts of the message, @ for the time, and \ escapes.
//
//	%%  a percent sign          %t  topic             %p  payload, unchanged
//	%x  payload in hex          %X  in upper case     %l  payload length, bytes
//	%m  packet identifier       %q  QoS               %r  retain flag, 0 or 1
//	%A  topic alias             %C  content type      %D  correlation data
//	%E  message expiry, s       %F  payload format    %P  user properties
//	%R  response topic          %S  subscription identifier
//	%I  time, ISO 8601          %U  time, Unix seconds with nanoseconds
//	%j  JSON, payload as text   %J  JSON, payload as JSON
//	%f  payload as a float      %d  as a double
//	@X  strftime's %X           @N  nanoseconds       @@  an at sign
//	\\ \0 \a \e \n \r \t \v
//
// Between % and the letter a flag (0 or -), a width, a precision, and one character
// that separates groups of hex digits are allowed, as in %.2:x.
type Pattern struct {
	// Terminal escapes text from the message that could control a terminal.
	Terminal bool
	// Indent formats %j and %J over several lines, as cJSON does.
	Indent bool

	ops     []op
	end     string
	json    mosquittoJSON
	scratch []byte
}

// op is one part of a compiled pattern.
type op struct {
	verb  byte   // 0 for literal text, '@' for time, otherwise the specifier
	conv  byte   // of '@'
	text  string // literal
	zero  bool
	left  bool
	width int
	prec  int // -1 if absent
	sep   byte
}

// PatternError reports where a format string is wrong.
type PatternError struct {
	Offset  int // bytes from the start
	Text    string
	Unknown byte // the unknown character; 0: something is missing
	Escape  bool // the error is in an escape, not in a specifier
}

func (e *PatternError) Error() string { return e.Text }

// maxWidth bounds widths and precisions: a pattern is for a line of text, not for
// filling memory.
const maxWidth = 10000

// Compile compiles a format string. end is appended to each message.
func Compile(pattern, end string) (*Pattern, error) {
	p := &Pattern{end: end}
	var text []byte
	literal := func() {
		if len(text) > 0 {
			p.ops = append(p.ops, op{text: string(text)})
			text = text[:0]
		}
	}
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; c {
		case '%':
			o, n, err := compileSpecifier(pattern, i)
			if err != nil {
				return nil, err
			}
			i = n
			if o.verb == '%' {
				text = append(text, '%')
				continue
			}
			literal()
			p.ops = append(p.ops, o)
		case '@':
			if i+1 >= len(pattern) {
				return nil, &PatternError{Offset: i, Text: "incomplete time specifier @ at the end"}
			}
			conv := pattern[i+1]
			i += 2
			if conv == '@' {
				text = append(text, '@')
				continue
			}
			if !knownTime(conv) {
				return nil, &PatternError{Offset: i - 2, Text: fmt.Sprintf("unknown time specifier %q", pattern[i-2:i]), Unknown: conv}
			}
			literal()
			p.ops = append(p.ops, op{verb: '@', conv: conv})
		case '\\':
			if i+1 >= len(pattern) {
				return nil, &PatternError{Offset: i, Text: `incomplete escape \ at the end`, Escape: true}
			}
			at := strings.IndexByte(`\0aenrtv`, pattern[i+1])
			if at < 0 {
				return nil, &PatternError{Offset: i, Text: fmt.Sprintf("unknown escape %q", pattern[i:i+2]), Unknown: pattern[i+1], Escape: true}
			}
			text = append(text, "\\\x00\a\x1b\n\r\t\v"[at])
			i += 2
		default:
			text = append(text, c)
			i++
		}
	}
	literal()
	return p, nil
}

// compileSpecifier compiles the specifier at i and returns the index after it.
func compileSpecifier(s string, i int) (o op, end int, err error) {
	start := i
	o.prec = -1
	number := func() (int, error) {
		n := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			if n = n*10 + int(s[i]-'0'); n > maxWidth {
				return 0, &PatternError{Offset: start, Text: fmt.Sprintf("a width or precision in %q is above %d", s[start:i+1], maxWidth)}
			}
			i++
		}
		return n, nil
	}
	i++
	if i < len(s) && s[i] == '-' {
		o.left = true
		i++
	}
	if i < len(s) && s[i] == '0' {
		o.zero = !o.left
		i++
	}
	if o.width, err = number(); err != nil {
		return o, 0, err
	}
	if i < len(s) && s[i] == '.' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
		i++
		if o.prec, err = number(); err != nil {
			return o, 0, err
		}
	}
	// A separator is any punctuation before the letter.
	if i+1 < len(s) && s[i] != '%' && strings.IndexByte(" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~", s[i]) >= 0 {
		o.sep = s[i]
		i++
	}
	if i >= len(s) || s[i:] == "." {
		return o, 0, &PatternError{Offset: start, Text: fmt.Sprintf("incomplete specifier %q at the end", s[start:])}
	}
	o.verb = s[i]
	i++
	if strings.IndexByte("%ACDEFIJPRSUXdfjlmpqrtx", o.verb) < 0 {
		return o, 0, &PatternError{Offset: start, Text: fmt.Sprintf("unknown specifier %q", s[start:i]), Unknown: o.verb}
	}
	return o, i, nil
}

// Append formats one message. What cannot be formatted, such as %f for a payload that
// is not four bytes long, is omitted and reported.
func (p *Pattern) Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error) {
	var failed error
	for i := range p.ops {
		o := &p.ops[i]
		start := len(dst)
		var err error
		dst, err = p.op(dst, o, m, at)
		if p.Terminal && o.verb != 0 && len(dst) > start {
			p.scratch = append(p.scratch[:0], dst[start:]...)
			if o.verb == 'j' || o.verb == 'J' {
				dst = appendSafeJSON(dst[:start], p.scratch)
			} else {
				dst = AppendEscaped(dst[:start], p.scratch)
			}
		}
		if err != nil && failed == nil {
			failed = err
		}
	}
	return append(dst, p.end...), failed
}

var (
	errNotFloat  = errors.New("%f needs a payload of 4 bytes")
	errNotDouble = errors.New("%d needs a payload of 8 bytes")
)

func (p *Pattern) op(dst []byte, o *op, m *mqtt.Message, at time.Time) ([]byte, error) {
	switch o.verb {
	case 0:
		return append(dst, o.text...), nil
	case '@':
		return appendTime(dst, o.conv, at), nil
	case 't':
		return o.str(dst, m.Topic), nil
	case 'p':
		return o.payload(dst, m.Payload), nil
	case 'x', 'X':
		return o.hex(dst, m.Payload), nil
	case 'l':
		return o.integer(dst, int64(len(m.Payload))), nil
	case 'm':
		return o.integer(dst, int64(m.PacketID)), nil
	case 'q':
		return append(dst, '0'+byte(m.QoS)), nil
	case 'r':
		if m.Retain {
			return append(dst, '1'), nil
		}
		return append(dst, '0'), nil
	case 'A':
		if m.TopicAlias > 0 {
			return o.integer(dst, int64(m.TopicAlias)), nil
		}
		return o.pad(dst, 0, func(b []byte) []byte { return b }), nil
	case 'E':
		return o.property(dst, m, packet.MessageExpiryInterval), nil
	case 'F':
		return o.property(dst, m, packet.PayloadFormatIndicator), nil
	case 'S':
		return o.property(dst, m, packet.SubscriptionIdentifier), nil
	case 'C':
		return o.str(dst, m.Properties.Text(packet.ContentType)), nil
	case 'R':
		if b, has := m.Properties.Bytes(packet.ResponseTopic); has {
			return o.str(dst, string(b)), nil
		}
		return dst, nil
	case 'D':
		b, _ := m.Properties.Bytes(packet.CorrelationData)
		return append(dst, b...), nil
	case 'P':
		sep := false
		for q := range m.Properties.All() {
			if q.ID != packet.UserProperty {
				continue
			}
			if sep {
				dst = append(dst, ' ')
			}
			sep = true
			dst = append(append(append(dst, q.Bytes...), ':'), q.Value...)
		}
		return dst, nil
	case 'I':
		return o.str(dst, string(appendTime(appendTime(append(appendTime(nil, 'F', at), 'T'), 'T', at), 'z', at))), nil
	case 'U':
		dst = strconv.AppendInt(dst, at.Unix(), 10)
		return appendTime(append(dst, '.'), 'N', at), nil
	case 'j', 'J':
		start := len(dst)
		dst, err := p.json.append(dst, m, at, o.verb == 'J')
		if p.Indent && err == nil {
			p.scratch = append(p.scratch[:0], dst[start:]...)
			dst = appendLikeCJSON(dst[:start], p.scratch)
		}
		return dst, err
	case 'f':
		if len(m.Payload) != 4 {
			return dst, errNotFloat
		}
		return o.float(dst, float64(math.Float32frombits(binary.NativeEndian.Uint32(m.Payload)))), nil
	case 'd':
		if len(m.Payload) != 8 {
			return dst, errNotDouble
		}
		return o.float(dst, math.Float64frombits(binary.NativeEndian.Uint64(m.Payload))), nil
	}
	return dst, nil
}

// pad appends what draw appends, at least o.width bytes wide; n is its length.
func (o *op) pad(dst []byte, n int, draw func([]byte) []byte) []byte {
	fill := byte(' ')
	if o.zero {
		fill = '0'
	}
	if !o.left {
		for range o.width - n {
			dst = append(dst, fill)
		}
	}
	dst = draw(dst)
	if o.left {
		for range o.width - n {
			dst = append(dst, ' ')
		}
	}
	return dst
}

// str appends a string by printf's rules for %s: 0 has no meaning.
func (o *op) str(dst []byte, s string) []byte {
	if o.prec >= 0 && o.prec < len(s) {
		s = s[:o.prec]
	}
	if o.width == 0 {
		return append(dst, s...)
	}
	q := *o
	q.zero = false
	return q.pad(dst, len(s), func(b []byte) []byte { return append(b, s...) })
}

// payload pads to the width and also truncates to it.
func (o *op) payload(dst, b []byte) []byte {
	if o.width == 0 {
		return append(dst, b...)
	}
	b = b[:min(len(b), o.width)]
	return o.pad(dst, len(b), func(d []byte) []byte { return append(d, b...) })
}

func (o *op) integer(dst []byte, n int64) []byte {
	if o.width == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	var digits [20]byte
	s := strconv.AppendInt(digits[:0], n, 10)
	return o.pad(dst, len(s), func(b []byte) []byte { return append(b, s...) })
}

func (o *op) property(dst []byte, m *mqtt.Message, id packet.PropertyID) []byte {
	if n, has := m.Properties.Uint(id); has {
		return o.integer(dst, int64(n))
	}
	return o.pad(dst, 0, func(b []byte) []byte { return b })
}

// hex appends the payload in hexadecimal: width counts digits for padding and bytes for
// truncating, precision is the size of a group in digits.
func (o *op) hex(dst, b []byte) []byte {
	if o.width > 0 {
		b = b[:min(len(b), o.width)]
	}
	digits := hexDigits
	if o.verb == 'X' {
		digits = "0123456789ABCDEF"
	}
	sep := o.sep
	if sep == 0 && o.prec > 0 {
		sep = ' '
	}
	group := o.prec
	if group < 0 {
		group = 2 // a separator without a precision is put between bytes
	}
	count := 0
	nibble := func(d []byte, c byte) []byte {
		if sep != 0 && group > 0 && count > 0 && count%group == 0 {
			d = append(d, sep)
		}
		count++
		return append(d, c)
	}
	fill := o.width - 2*len(b)
	if !o.left {
		for range fill {
			if o.zero {
				dst = nibble(dst, '0')
			} else {
				dst = append(dst, ' ')
			}
		}
	}
	for _, c := range b {
		dst = nibble(nibble(dst, digits[c>>4]), digits[c&15])
	}
	if o.left {
		for range fill {
			dst = append(dst, ' ')
		}
	}
	return dst
}

// float is printf's %f.
func (o *op) float(dst []byte, f float64) []byte {
	prec := o.prec
	if prec < 0 {
		prec = 6
	}
	var room [64]byte
	var s []byte
	q := *o
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f):
		q.zero = false
		s = append(room[:0], "nan"...)
		if math.IsInf(f, 0) {
			s = append(room[:0], "inf"...)
		}
		if math.Signbit(f) {
			s = append([]byte{'-'}, s...)
		}
	default:
		s = strconv.AppendFloat(room[:0], f, 'f', prec, 64)
	}
	if q.zero && len(s) > 0 && s[0] == '-' {
		dst = append(dst, '-')
		s, q.width = s[1:], max(q.width-1, 0)
	}
	return q.pad(dst, len(s), func(b []byte) []byte { return append(b, s...) })
}
