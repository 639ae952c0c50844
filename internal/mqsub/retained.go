package mqsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

var (
	errRetainedDone = errors.New("quiet")
	errAnswered     = errors.New("the broker has answered a PINGREQ")
)

// quietTrips is the minimum of the quiet time in round trips. A broker whose window is full
// sends the next message at QoS 2 two round trips after the last: PUBREC and PUBREL,
// PUBCOMP and PUBLISH.
const quietTrips = 4

// endPings is the number of PINGREQs in a row that must be answered without a retained
// message before the answer. When the first is answered, every PUBREL that our PUBRECs
// caused has arrived and its PUBCOMP is sent; the second PINGREQ follows those.
const endPings = 2

// retained prints the retained messages and returns when the broker has sent them all. MQTT
// does not mark their end. It is reached when PINGREQs sent after our last acknowledgement
// are answered without a retained message before, and when no retained message has come for
// the quiet time: servers of a cluster answer a PINGREQ before the messages collected from
// the others arrive.
func (j *job) retained(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		latest  = time.Now()  // when a retained message came last
		trip    time.Duration // the longest round trip of the pings that count
		clean   int           // pings that count: no retained message came since the first was sent
		asked   int           // clean when the outstanding ping was sent; -1 if something came since
		pinging bool
		taken   uint64 // messages that were taken
		mark    uint64 // number of messages that came before the latest answer
		answer  = make(chan error, 1)
		waiting = ctx // done when the outstanding ping is answered
		sent    time.Time
	)
	again := func() { latest, trip, clean, asked = time.Now(), 0, 0, -1 }
	for {
		select {
		case err := <-answer:
			pinging, waiting = false, ctx
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case err == nil && asked == clean:
				clean, trip = clean+1, max(trip, time.Since(sent))
				mark = j.client.Stats().Received
			case err == nil:
			case errors.Is(err, mqtt.ErrLost) && j.client.Err() == nil:
				again() // on the next connection, which delivers them again
			default:
				return j.conn.OperationError(err)
			}
		default:
		}
		quiet := max(j.quiet, quietTrips*trip)
		left := quiet - time.Since(latest)
		switch {
		case clean < endPings:
			left = 0 // until the answer
		case left <= 0 && taken >= mark:
			return j.foundRetained(ctx)
		case left <= 0: // what came before the answer has not been taken yet
			left = quiet
		}
		if !pinging && clean < endPings && !j.client.Waiting() {
			var wake context.CancelCauseFunc
			waiting, wake = context.WithCancelCause(ctx)
			pinging, asked, sent = true, clean, time.Now()
			go func() {
				answer <- j.client.Ping(ctx)
				wake(errAnswered)
			}()
		}
		b, err := j.receive(waiting, left, errRetainedDone)
		switch {
		case errors.Is(err, errAnswered):
			continue
		case errors.Is(err, errRetainedDone):
			if left == quiet {
				taken = mark // nothing is outstanding: it was lost with its connection
			}
			continue
		case err != nil:
			return err
		case ctx.Err() != nil: // messages may be waiting without end
			return context.Cause(ctx)
		}
		taken += uint64(len(b.Messages))
		retained := false
		for i := range b.Messages {
			retained = retained || b.Messages[i].Retain
		}
		if err := j.batch(ctx, b); err != nil {
			return err
		}
		if retained {
			again()
		}
	}
}

// foundRetained returns the result after the last retained message.
func (j *job) foundRetained(ctx context.Context) error {
	if j.stages != nil {
		if err := j.printHeld(ctx); err != nil {
			return err
		}
	}
	if j.count > 0 {
		return nil
	}
	if j.inv.As != nil { // the imitated program sets the status
		return cli.ExitSilently(option.ExitNothing)
	}
	filters := make([]string, len(j.subs))
	for i, s := range j.subs {
		filters[i] = topic.Quote(s.Filter)
	}
	return cli.Failed(option.ExitNothing, fmt.Errorf("no retained message matches %s", strings.Join(filters, " or ")))
}
