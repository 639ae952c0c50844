package mqpub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// notOfRequests are the options that have no effect on a request.
var notOfRequests = []string{
	"stdin-line", "input", "strict", "ack-report", "delimiter", "null", "skip-blank",
	"repeat", "repeat-delay", "retain", "drain-timeout", "request",
}

// request publishes the message and prints the replies.
func (j *job) request(ctx context.Context) error {
	v, o := j.inv.Values, &j.conn.Options
	if len(j.topics) > 1 {
		return option.Usagef("%s takes one topic, not %d", v.Request.Name(), len(j.topics)).WithHint("a request is one message; without --request it is published to every -t")
	}
	if err := j.inv.CheckOutput(); err != nil {
		return err
	}
	ctx, stop := j.inv.WhileRead(ctx)
	defer stop()
	form, err := j.inv.Formatter()
	if err != nil {
		return err
	}
	to := v.ResponseTopic.Text()
	if given, has := j.msg.Properties.Bytes(packet.ResponseTopic); has {
		if to != "" && to != string(given) {
			return option.Usagef("%s and %s publish response-topic disagree", v.ResponseTopic.Name(), v.Property.Name())
		}
		to = string(given)
	}
	if j.msg.ResponseTopic = to; to != "" {
		if err := connection.CheckTopic(v.ResponseTopic.Name(), to); err != nil {
			return err
		}
	} else if o.Version == packet.V31 || o.Version == packet.V311 {
		return v.Request.Lacks("MQTT 5, or a topic for the reply").WithHint("choose one with -e")
	}
	if _, has := o.Properties.Uint(packet.RequestResponseInformation); !has && to == "" {
		o.Properties, _ = append(packet.Properties(nil), o.Properties...).AppendUint(packet.RequestResponseInformation, 1)
	}
	// A publisher starts a new session, here as in publish: with the packet identifiers of
	// an old one, a request could be taken for an old message.
	if s := &o.Session; s.Resume {
		s.Resume, s.Keep = false, true
	}
	o.OnEvent, o.Undeliverable = j.report.event, j.disposition
	if j.client, err = j.conn.Connect(ctx, false); err != nil {
		return err
	}
	j.inv.CatchSignals() // before the first reply is printed
	late := false        // timed out
	defer func() {
		j.conn.Disconnect(j.client, late) // the work is done, or its error is known
	}()
	behaves := j.inv.CompatBehavior()
	details := mqtt.ExchangeOptions{Base: "mqpub/reply", Subscription: j.conn.Properties.Subscription(),
		Uncorrelated: behaves.PlainRequest, Retained: behaves.RetainedReplies}
	details.Subscription.QoS = j.msg.QoS
	if !behaves.RetainedReplies {
		details.Subscription.RetainHandling = mqtt.RetainedNever
	}
	x, err := j.client.NewExchange(ctx, &j.msg, details)
	switch {
	case errors.Is(err, mqtt.ErrNoResponseTopic):
		return &cli.Exit{Code: option.ExitFailure, Err: errors.New("the broker speaks no MQTT 5, and no topic for the reply is given"), Help: "choose one with -e"}
	case err != nil:
		return j.ended(ctx, err)
	}
	start := time.Now()
	if err := x.Publish(ctx); err != nil {
		return j.ended(ctx, err)
	}
	err = j.replies(ctx, x, form, start)
	late = errors.Is(context.Cause(ctx), cli.ErrTimeout)
	return err
}

// replies prints replies until there are enough.
func (j *job) replies(ctx context.Context, x *mqtt.Exchange, form format.Formatter, start time.Time) error {
	want := j.inv.Values.Replies.Int64()
	for got := int64(0); got < want; got++ {
		m, err := x.Next(ctx)
		if errors.Is(context.Cause(ctx), cli.ErrTimeout) && err != nil {
			return j.noReply(got, want, x.Foreign())
		}
		if err != nil {
			return j.ended(ctx, err)
		}
		now := time.Now()
		if r, ok := form.(*format.Record); ok { // it may be much larger than the payload
			if err := cli.OutputError(option.Pub, r.WriteMessage(j.inv.Stdout, m, now)); err != nil {
				return err
			}
		} else {
			out, err := form.Append(nil, m, now)
			if err != nil {
				j.inv.Warnf("%v", err)
			}
			if err := j.write(out); err != nil {
				return err
			}
		}
		if j.inv.Values.Latency.On() {
			if err := j.printLatency(now.Sub(start)); err != nil {
				return err
			}
		}
	}
	return nil
}

// noReply returns the error of a request that timed out.
func (j *job) noReply(got, want int64, foreign int) error {
	text := fmt.Sprintf("no reply within %s", units.Short(j.inv.Values.Timeout.Duration()))
	if want > 1 {
		text = fmt.Sprintf("timed out after %s (%d of %d replies)", j.inv.Values.Timeout.Duration(), got, want)
	}
	if foreign > 0 {
		text += fmt.Sprintf("; %s without the correlation data of the request filtered out", units.Count(foreign, "message"))
	}
	return &cli.Exit{Code: option.ExitTimeLimit, Err: errors.New(text), Help: "is a responder subscribed to " + topic.Quote(j.msg.Topic) + "?"}
}

// printLatency prints how long a reply took.
func (j *job) printLatency(d time.Duration) error {
	if !j.inv.CompatBehavior().PlainRequest {
		j.inv.Errorf("reply after %v", d.Round(time.Microsecond))
		return nil
	}
	text := fmt.Sprintf("%fµs", float64(d)/1e3)
	switch {
	case d >= time.Second:
		text = fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	case d >= time.Millisecond:
		text = fmt.Sprintf("%fms", float64(d)/1e6)
	}
	return j.write([]byte("Latency: " + text + "\n"))
}

// write writes to standard output.
func (j *job) write(b []byte) error {
	_, err := j.inv.Stdout.Write(b)
	return cli.OutputError(option.Pub, err)
}

// ended converts an error of the running client.
func (j *job) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, cli.ErrTimeout) {
		return j.inv.TimedOut("request not acknowledged")
	} else if cause != nil {
		return cause
	}
	return j.conn.OperationError(err)
}
