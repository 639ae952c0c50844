package mqsub

import (
	"bytes"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
)

// watch shows the latest message of every topic, one line each, in the order in which the
// topics first came. It draws at most ten times a second, however fast messages come, and
// never more than fits on the terminal.
type watch struct {
	broker func() string
	rows   []row
	at     map[string]int // index into rows
	dirty  bool
	drawn  time.Time // zero: not yet
	size   func() (width, height int)
}

type row struct {
	topic, text string
	n           int // messages of the topic
}

const (
	drawEvery = 100 * time.Millisecond
	watchMost = 10_000 // maximum number of topics
)

func newWatch(broker func() string, stdout *os.File) *watch {
	w := &watch{broker: broker, at: map[string]int{}, dirty: true, size: func() (int, int) { return 80, 24 }}
	if stdout != nil {
		w.size = func() (int, int) { return cli.TerminalSize(stdout) }
	}
	return w
}

// take records a message.
func (w *watch) take(m *mqtt.Message) {
	i, known := w.at[m.Topic]
	if !known {
		if len(w.rows) == watchMost {
			return
		}
		i = len(w.rows)
		w.at[m.Topic] = i
		w.rows = append(w.rows, row{topic: m.Topic})
	}
	r := &w.rows[i]
	r.n++
	line, _, more := bytes.Cut(m.Payload[:min(len(m.Payload), 1024)], []byte("\n"))
	r.text = string(format.AppendEscaped(nil, line))
	if more || len(m.Payload) > 1024 {
		r.text += " …"
	}
	w.dirty = true
}

func (w *watch) wait() time.Duration {
	if !w.dirty {
		return 0
	}
	return max(drawEvery-time.Since(w.drawn), time.Millisecond)
}

func (w *watch) draw(dst []byte, end bool) []byte {
	now := time.Now()
	if !end && (!w.dirty || now.Sub(w.drawn) < drawEvery) {
		return dst
	}
	if w.drawn.IsZero() {
		dst = append(dst, "\x1b[2J"...)
	}
	w.drawn = now
	return w.picture(dst)
}

// picture appends the whole display: the cursor goes home, every line is cleared to its
// end, and so is the rest of the screen.
func (w *watch) picture(dst []byte) []byte {
	w.dirty = false
	width, height := w.size()
	dst = append(dst, "\x1b[H"...)
	room := max(height-2, 1)
	dst = cut(dst, fmt.Sprintf("%s: %d topics", w.broker(), len(w.rows)), width)
	rows := w.rows
	if len(rows) > room {
		rows = rows[:room-1]
	}
	for i := range rows {
		r := &rows[i]
		dst = cut(dst, string(format.AppendEscaped(nil, []byte(r.topic)))+" "+r.text, width)
	}
	if left := len(w.rows) - len(rows); left > 0 {
		dst = cut(dst, fmt.Sprintf("… and %d topics more", left), width)
	}
	return append(dst, "\x1b[J"...)
}

// cut appends a line of at most width columns, counting each character as one.
func cut(dst []byte, s string, width int) []byte {
	for n := 0; s != ""; n++ {
		_, size := utf8.DecodeRuneInString(s)
		if n >= width {
			break
		}
		dst = append(dst, s[:size]...)
		s = s[size:]
	}
	return append(dst, "\x1b[K\r\n"...)
}
