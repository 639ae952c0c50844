// Package format formats messages: as plain payloads, by a pattern, as lossless JSON
// records, as rows of a table, as points for InfluxDB, and for people at a terminal. It also
// reads the JSON records and the rows back.
//
// All formatters append to a buffer of the caller and keep no reference to the message.
package format

import (
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// Formatter formats one message at a time. It is not safe for concurrent use.
type Formatter interface {
	// Append appends the message m, received at the time at, to dst. An error concerns
	// only this message: the result holds what could be formatted of it, and the next
	// message can be formatted.
	Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error)
}

// Plain formats a message as its payload.
type Plain struct {
	Topic bool   // put the topic and a space before the payload, which is "(null)" if empty
	End   string // after each message: "\n", "\x00" or ""
	Blank bool   // an empty payload is an empty line
}

// Append appends nothing at all for an empty payload without Topic, as the mosquitto
// clients do, unless Blank is set. If messages end in a NUL byte, however, an empty one has
// that too.
func (f *Plain) Append(dst []byte, m *mqtt.Message, _ time.Time) ([]byte, error) {
	if f.Topic {
		dst = append(append(dst, m.Topic...), ' ')
		if len(m.Payload) == 0 && !f.Blank {
			dst = append(dst, "(null)"...)
		}
	} else if len(m.Payload) == 0 && f.End != "\x00" && !f.Blank {
		return dst, nil
	}
	return append(append(dst, m.Payload...), f.End...), nil
}
