// Package format draws messages: as plain payloads, after a pattern, as JSON
// records that lose nothing, and for people at a terminal. It also reads the
// JSON records back.
//
// All formatters append to a buffer of the caller and keep no reference to
// the message.
package format

import (
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

// Formatter draws one message at a time. It is not safe for concurrent use.
type Formatter interface {
	// Append appends the message m, received at the time at, to dst. An
	// error concerns this message alone: what could be drawn of it stands in
	// the result, and the next message can be drawn.
	Append(dst []byte, m *mqtt.Message, at time.Time) ([]byte, error)
}

// Plain writes payloads.
type Plain struct {
	Topic bool   // the topic and a blank before the payload; "(null)" for an empty one
	End   string // after each message: "\n", "\x00" or ""
}

// Append writes nothing at all for an empty payload without Topic, as the
// mosquitto clients do; but where messages end in a NUL byte, each has its own.
func (f *Plain) Append(dst []byte, m *mqtt.Message, _ time.Time) ([]byte, error) {
	if f.Topic {
		dst = append(append(dst, m.Topic...), ' ')
		if len(m.Payload) == 0 {
			dst = append(dst, "(null)"...)
		}
	} else if len(m.Payload) == 0 && f.End != "\x00" {
		return dst, nil
	}
	return append(append(dst, m.Payload...), f.End...), nil
}
