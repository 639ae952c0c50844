package mqsub

import (
	"context"
	"errors"
	"strconv"
	"time"
)

var errTick = errors.New("a second has passed")

// rates writes how many messages came in each second.
func (j *job) rates(ctx context.Context) error {
	next := time.Now().Add(time.Second)
	n := 0
	for {
		b, err := j.receive(ctx, max(time.Until(next), time.Millisecond), errTick)
		switch {
		case err == nil:
			for i := range b.Messages {
				if j.wanted(&b.Messages[i]) {
					n++
				}
			}
			j.count += int64(len(b.Messages))
			b.Ack(len(b.Messages))
			b.Release()
		case !errors.Is(err, errTick):
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if now := time.Now(); !now.Before(next) {
			if err := j.out.write(strconv.AppendInt(nil, int64(n), 10), " msgs/s\n"); err != nil {
				return err
			}
			n = 0
			for !now.Before(next) {
				next = next.Add(time.Second)
			}
		}
		if j.limit > 0 && j.count >= j.limit {
			return errDone
		}
	}
}
