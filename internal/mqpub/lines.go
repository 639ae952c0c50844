package mqpub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
)

// errLost ends the reading of input after the client has ended.
var errLost = errors.New("connection lost")

// lines publishes every line of standard input: every byte, whatever the length of the
// line, and also a last line without delimiter. Lines are sent as fast as the window of
// unacknowledged messages allows; there is no other queue.
func (j *job) lines(ctx context.Context) error {
	delim, err := j.delimiter()
	if err != nil {
		return err
	}
	skip := j.inv.Values.SkipBlank.On()
	in := newInput(ctx, j.inv.Stdin, j.lost(), j.inv.Service.Alive)
	number := uint64(0)
	send := func(line []byte) error {
		number++
		if skip && len(line) == 0 {
			return nil
		}
		j.msg.Payload = line
		return j.toTopics(ctx, number)
	}
	cut := splitter{delim: delim}
	for {
		b, err := in.next()
		if err != nil {
			if len(cut.carry) > 0 && errors.Is(err, io.EOF) {
				if err := send(cut.carry); err != nil {
					return err
				}
			}
			return j.inputEnd(err)
		}
		if err := cut.feed(b, send); err != nil {
			return err
		}
		if len(cut.carry) > maxPayload {
			return errLineTooLong(number + 1)
		}
	}
}

func errLineTooLong(number uint64) error {
	return cli.Failed(option.ExitFailure, fmt.Errorf("line %d has more than %d bytes, the most that MQTT carries", number, maxPayload))
}

// toTopics sends the message to every topic.
func (j *job) toTopics(ctx context.Context, number uint64) error {
	for _, j.msg.Topic = range j.topics {
		if err := j.send(ctx, &j.msg, number); err != nil {
			return err
		}
	}
	return nil
}

// splitter splits blocks of a stream at a delimiter.
type splitter struct {
	delim []byte
	carry []byte // the beginning of a line that spans blocks
}

// keepCarry is the largest carry buffer that is kept, in bytes.
const keepCarry = 4 << 20

// feed calls send for each line that ends in b; the line is valid during the call. It
// examines every byte once, however long a line is.
func (s *splitter) feed(b []byte, send func([]byte) error) error {
	if len(s.carry) > 0 {
		// The delimiter may span two blocks.
		border := len(s.carry)
		from := max(border-len(s.delim)+1, 0)
		part := b
		if len(s.delim) == 1 { // copy only the line
			if at := bytes.IndexByte(b, s.delim[0]); at >= 0 {
				part = b[:at+1]
			}
		}
		s.carry = append(s.carry, part...)
		at := bytes.Index(s.carry[from:], s.delim)
		if at < 0 {
			return nil
		}
		at += from
		if err := send(s.carry[:at]); err != nil {
			return err
		}
		b = b[at+len(s.delim)-border:]
		if cap(s.carry) > keepCarry {
			s.carry = nil
		}
		s.carry = s.carry[:0]
	}
	for {
		var at int
		if len(s.delim) == 1 {
			at = bytes.IndexByte(b, s.delim[0])
		} else {
			at = bytes.Index(b, s.delim)
		}
		if at < 0 {
			s.carry = append(s.carry, b...)
			return nil
		}
		if err := send(b[:at]); err != nil {
			return err
		}
		b = b[at+len(s.delim):]
	}
}

// lost returns the channel that is closed when the client has ended.
func (j *job) lost() <-chan struct{} {
	if j.spool != nil {
		return j.spool.lost
	}
	return j.client.Done()
}

// send publishes one message, or puts it into the spool. If the client cannot send a message, that is reported and
// counted, and the stream continues; an error means that nothing more can be sent.
func (j *job) send(ctx context.Context, m *mqtt.Message, number uint64) error {
	if j.spool != nil {
		return j.put(m, number)
	}
	if j.acks != nil {
		if err := j.acks.sending(ctx, m, number); err != nil {
			j.report.unsent(1)
			return err
		}
	}
	err := j.waitFeedingWatchdog(ctx, func(ctx context.Context) error { return j.client.Send(ctx, m, number) })
	if j.acks != nil {
		j.acks.noteSent(m, number, err)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		j.report.unsent(1)
		return ctx.Err()
	}
	if cause := j.client.Err(); cause != nil {
		j.report.unsent(1)
		return j.conn.OperationError(cause)
	}
	j.report.rejected(number, err)
	return nil
}

// waitFeedingWatchdog calls wait, and again whenever the service manager's watchdog is due:
// an absent broker is no reason to restart the tool and to lose the messages that wait for
// it.
func (j *job) waitFeedingWatchdog(ctx context.Context, wait func(context.Context) error) error {
	for {
		due := j.inv.Service.Alive()
		if due == 0 {
			return wait(ctx)
		}
		turn, cancel := context.WithTimeout(ctx, due)
		err := wait(turn)
		over := turn.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !over || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// inputEnd converts the end of input to the result of the feed.
func (j *job) inputEnd(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, context.Canceled):
		return nil // the caller checks its context
	case errors.Is(err, errLost):
		return j.conn.OperationError(j.client.Err())
	}
	return cli.Failed(option.ExitLocalIO, fmt.Errorf("standard input: %w", err))
}
