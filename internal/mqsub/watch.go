package mqsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
)

// watch shows the latest message of every topic, one line each, in the order
// in which the topics came first. It draws at most ten times a second, however
// fast messages come, and never more than the terminal has room for.
type watch struct {
	broker string
	rows   []row
	at     map[string]int // index into rows
	dirty  bool
	drawn  time.Time
	size   func() (width, height int)
	buf    []byte
}

type row struct {
	topic, text string
	n           int // messages of the topic
}

const (
	drawEvery = 100 * time.Millisecond
	watchMost = 10_000 // topics that are kept
)

var errDraw = errors.New("time to draw")

func newWatch(inv *cli.Invocation) *watch {
	w := &watch{at: map[string]int{}, size: func() (int, int) { return 80, 24 }}
	if f, ok := inv.Stdout.(*os.File); ok {
		w.size = func() (int, int) { return cli.TerminalSize(f) }
	}
	return w
}

// take notes a message.
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

// draw appends the picture: the cursor goes home, every line is cleared to its
// end, and so is the rest of the screen.
func (w *watch) draw(dst []byte) []byte {
	width, height := w.size()
	dst = append(dst, "\x1b[H"...)
	room := max(height-2, 1)
	dst = cut(dst, fmt.Sprintf("%s: %d topics", w.broker, len(w.rows)), width)
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
	w.dirty = false
	return append(dst, "\x1b[J"...)
}

// cut appends a line of at most width columns, taking each character for one.
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

// watchTopics draws until it is told to end.
func (j *job) watchTopics(ctx context.Context) error {
	w := j.watch
	w.broker = j.conn.Broker()
	if err := j.out.write([]byte("\x1b[2J")); err != nil {
		return err
	}
	w.dirty = true
	for {
		wait := time.Duration(0)
		if w.dirty {
			wait = max(drawEvery-time.Since(w.drawn), time.Millisecond)
		}
		b, err := j.receive(ctx, wait, errDraw)
		if err != nil && !errors.Is(err, errDraw) {
			if drawErr := j.out.write(w.draw(nil)); drawErr != nil {
				return drawErr
			}
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		taken := 0
		if err == nil {
			for i := range b.Messages {
				m := &b.Messages[i]
				taken++
				if !j.wanted(m) {
					continue
				}
				if err := j.remove(m); err != nil {
					return err
				}
				w.take(m)
				if j.count++; j.limit > 0 && j.count >= j.limit {
					break
				}
			}
			b.Ack(taken)
			b.Release()
		}
		done := j.limit > 0 && j.count >= j.limit
		if done || w.dirty && time.Since(w.drawn) >= drawEvery {
			w.buf = w.draw(w.buf[:0])
			w.drawn = time.Now()
			if err := j.out.write(w.buf); err != nil {
				return err
			}
		}
		if done {
			return errDone
		}
	}
}
