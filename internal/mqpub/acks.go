package mqpub

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/jsontext"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
)

// acksMost is how many messages may be without a line of --ack-report: then the input waits
// for the reader of the lines.
const acksMost = 10_000

// acks writes a line for each record of --input when it is known what has become of it, in the
// order in which that is known. Lines are written by a goroutine of their own, so that a reader
// that is slow stops the input and not the connection.
type acks struct {
	report *report
	out    io.Writer
	room   chan struct{} // one for each message without a line
	lines  chan []byte   // has room for all of those
	done   chan struct{} // closed when all lines are written
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	open   map[uint64]acked // by tag, which is the line of the record
	closed bool
}

// acked is a message that was given to the client.
type acked struct {
	topic string
	qos   byte
	at    time.Time
}

// reportAcks makes the job report acknowledgements, and returns the context of its work: if a
// line cannot be written, it ends. end must be called with the result of the work.
func (j *job) reportAcks(ctx context.Context) (_ context.Context, end func(error) error) {
	ctx, cancel := context.WithCancelCause(ctx)
	a := &acks{report: &j.report, out: j.inv.Stdout, room: make(chan struct{}, acksMost), lines: make(chan []byte, acksMost),
		done: make(chan struct{}), cancel: cancel, open: map[uint64]acked{}}
	j.acks, j.conn.Options.OnOutcome = a, a.outcome
	ctx, stop := j.inv.WhileRead(ctx)
	go a.write()
	return ctx, func(err error) error {
		a.mu.Lock()
		a.closed = true
		close(a.lines)
		a.mu.Unlock()
		select {
		case <-a.done:
		case <-j.inv.Hurry():
		}
		if lost := context.Cause(ctx); cli.ReaderLost(lost) {
			err = lost
		}
		stop()
		cancel(nil)
		return err
	}
}

// write writes the lines as they come.
func (a *acks) write() {
	defer close(a.done)
	failed := false
	for line := range a.lines {
		if !failed {
			if _, err := a.out.Write(line); err != nil {
				failed = true
				a.cancel(cli.OutputError(option.Pub, err))
			}
		}
		<-a.room
	}
}

// sending notes a message that is going to be given to the client, as soon as there is room.
func (a *acks) sending(ctx context.Context, m *mqtt.Message, line uint64) error {
	select {
	case a.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[line] = acked{m.Topic, byte(m.QoS), time.Now()}
	return nil
}

// invalid reports a record that is not a message.
func (a *acks) invalid(ctx context.Context, line uint64, err error) {
	select {
	case a.room <- struct{}{}:
	case <-ctx.Done():
		return
	}
	a.put(append(appendError(appendLine(nil, line), err), "}\n"...))
}

// outcome is the client's OnOutcome.
func (a *acks) outcome(line uint64, err error) {
	a.finish(line, err)
	if e, ok := errors.AsType[*mqtt.Error](err); ok && e.Class == mqtt.ErrRefused {
		a.report.add(tally{denied: 1})
		a.report.printNumbered(line, err)
	}
}

// finish writes the line of a message: err is nil if it was acknowledged, or at QoS 0 sent.
func (a *acks) finish(line uint64, err error) {
	a.mu.Lock()
	m, known := a.open[line]
	delete(a.open, line)
	a.mu.Unlock()
	if !known {
		return
	}
	b := appendLine(nil, line)
	b = jsontext.AppendString(append(b, `,"topic":`...), m.topic)
	b = strconv.AppendUint(append(b, `,"qos":`...), uint64(m.qos), 10)
	e, refused := errors.AsType[*mqtt.Error](err)
	refused = refused && e.Reason.Failed()
	switch {
	case refused:
		b = strconv.AppendUint(append(b, `,"reason_code":`...), uint64(e.Reason), 10)
	case err == nil && m.qos > 0:
		b = append(b, `,"reason_code":0`...)
	}
	b = strconv.AppendFloat(append(b, `,"ms":`...), float64(time.Since(m.at))/float64(time.Millisecond), 'f', 3, 64)
	if err != nil {
		b = appendError(b, err)
	}
	a.put(append(b, "}\n"...))
}

func appendLine(dst []byte, line uint64) []byte {
	return strconv.AppendUint(append(dst, `{"line":`...), line, 10)
}

func appendError(dst []byte, err error) []byte {
	return jsontext.AppendString(append(dst, `,"error":`...), err.Error())
}

func (a *acks) put(line []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed { // else the client has ended late, and its messages are counted
		a.lines <- line
	}
}

// invalid reports and counts a record that is not a message.
func (j *job) invalid(ctx context.Context, line int, err error) {
	j.report.invalid(err)
	if j.acks != nil {
		j.acks.invalid(ctx, uint64(line), err)
	}
}

// noteSent is called with the result of giving a message to the client.
func (a *acks) noteSent(m *mqtt.Message, line uint64, err error) {
	if err != nil || m.QoS == 0 {
		a.finish(line, err)
	}
}
