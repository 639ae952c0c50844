package mqpub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt"
)

// errLost ends the reading of input when the client is over.
var errLost = errors.New("connection lost")

// lines publishes every line of standard input: every byte of it, whatever
// its length, and a last line without delimiter too. Lines are sent as fast
// as the window of unacknowledged messages allows; nothing else queues.
func (j *job) lines(ctx context.Context) error {
	v := j.inv.Values
	delim := []byte(v.String("delimiter"))
	if v.Bool("null") {
		delim = []byte{0}
	}
	if len(delim) == 0 {
		return cli.Usagef("%s is empty", v.Label("delimiter"))
	}
	skip := v.Bool("skip-blank")
	in := newInput(ctx, j.inv.Stdin, j.client.Done())
	number := uint64(0)
	send := func(line []byte) error {
		number++
		if skip && len(line) == 0 {
			return nil
		}
		j.msg.Payload = line
		return j.send(ctx, &j.msg, number)
	}
	var carry []byte // the beginning of a line that spans blocks
	for {
		b, err := in.next()
		if err != nil {
			if len(carry) > 0 && errors.Is(err, io.EOF) {
				if err := send(carry); err != nil {
					return err
				}
			}
			return j.inputEnd(err)
		}
		if len(delim) > 1 && len(carry) > 0 {
			// The delimiter may lie across the border.
			carry = append(carry, b...)
			b = carry
			carry = nil
		}
		for {
			var at int
			if len(delim) == 1 {
				at = bytes.IndexByte(b, delim[0])
			} else {
				at = bytes.Index(b, delim)
			}
			if at < 0 {
				break
			}
			line := b[:at]
			if len(carry) > 0 {
				carry = append(carry, line...)
				line = carry
			}
			if err := send(line); err != nil {
				return err
			}
			if cap(carry) > keepCarry {
				carry = nil
			}
			carry = carry[:0]
			b = b[at+len(delim):]
		}
		if len(carry)+len(b) > maxPayload {
			return cli.Failed(cli.ExitFailure, fmt.Errorf("line %d has more than %d bytes, the most that MQTT carries", number+1, maxPayload))
		}
		carry = append(carry, b...)
	}
}

// keepCarry is the largest buffer for broken lines that is kept, in bytes.
const keepCarry = 4 << 20

// send gives one message to the client. A message that the client cannot
// send is told and counted, and the stream goes on; an error means that
// nothing can be sent any more.
func (j *job) send(ctx context.Context, m *mqtt.Message, number uint64) error {
	err := j.client.Send(ctx, m, number)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		j.report.unsent(1)
		return ctx.Err()
	}
	if cause := j.client.Err(); cause != nil {
		j.report.unsent(1)
		return cli.WorkError(cause)
	}
	j.report.rejected(number, err)
	return nil
}

// inputEnd turns the end of input into the feed's result.
func (j *job) inputEnd(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, context.Canceled):
		return nil // the caller looks at its context
	case errors.Is(err, errLost):
		return cli.WorkError(j.client.Err())
	}
	return cli.Failed(cli.ExitLocalIO, fmt.Errorf("standard input: %w", err))
}
