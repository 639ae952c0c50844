package mqpub

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
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
	"stdin-line", "input", "strict", "delimiter", "null", "skip-blank",
	"repeat", "repeat-delay", "retain", "drain-timeout", "request",
}

// exchange is a request in progress.
type exchange struct {
	topic string
	made  bool   // the topic was generated and is private
	data  []byte // correlation data; nil before 5.0
	plain bool   // a reply without correlation data is accepted
	form  format.Formatter
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
	x := &exchange{topic: v.ResponseTopic.Text(), form: form}
	if given, has := j.msg.Properties.Bytes(packet.ResponseTopic); has {
		if x.topic != "" && x.topic != string(given) {
			return option.Usagef("%s and %s publish response-topic disagree", v.ResponseTopic.Name(), v.Property.Name())
		}
		x.topic = string(given)
	}
	if x.topic != "" {
		if err := connection.CheckTopic(v.ResponseTopic.Name(), x.topic); err != nil {
			return err
		}
	} else if o.Version == packet.V31 || o.Version == packet.V311 {
		return v.Request.Lacks("MQTT 5, or a topic for the reply").WithHint("choose one with -e")
	}
	if _, has := o.Properties.Uint(packet.RequestResponseInformation); !has && x.topic == "" {
		o.Properties, _ = append(packet.Properties(nil), o.Properties...).AppendUint(packet.RequestResponseInformation, 1)
	}
	// A publisher starts a new session, here as in publish: with the packet identifiers of
	// an old one, a request could be taken for an old message.
	if o.Resume {
		o.Resume, o.Keep = false, true
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
	if err := j.prepare(x); err != nil {
		return err
	}
	filter := j.conn.Properties.Subscription()
	filter.Filter, filter.QoS, filter.Options = x.topic, j.msg.QoS, packet.RetainHandlingNone
	if j.inv.CompatBehavior().RetainedReplies {
		filter.Options = 0
	}
	if _, err := j.client.Subscribe(ctx, filter); err != nil {
		return j.ended(ctx, err)
	}
	start := time.Now()
	if err := j.client.Publish(ctx, &j.msg); err != nil {
		return j.ended(ctx, err)
	}
	err = j.replies(ctx, x, start)
	late = errors.Is(context.Cause(ctx), cli.ErrTimeout)
	return err
}

// prepare completes the message when the connection's version is known.
func (j *job) prepare(x *exchange) error {
	if j.client.Version() < packet.V5 {
		if x.topic == "" {
			return &cli.Exit{Code: option.ExitFailure, Err: errors.New("the broker speaks no MQTT 5, and no topic for the reply is given"), Help: "choose one with -e"}
		}
		j.msg.Properties = nil
		return nil
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	props := append(packet.Properties(nil), j.msg.Properties...)
	if x.topic == "" {
		base := j.client.ConnackProperties().Text(packet.ResponseInformation)
		if base == "" {
			base = "mqpub/reply"
		}
		x.topic, x.made = base+"/"+hex.EncodeToString(random[:8]), true
	}
	if _, has := props.Bytes(packet.ResponseTopic); !has {
		props, _ = props.AppendBytes(packet.ResponseTopic, []byte(x.topic))
	}
	data, has := props.Bytes(packet.CorrelationData)
	x.plain = j.inv.CompatBehavior().PlainRequest
	if !has && !x.plain {
		data = random[8:]
		props, _ = props.AppendBytes(packet.CorrelationData, data)
	}
	if data != nil {
		x.data = append([]byte(nil), data...)
	}
	j.msg.Properties = props
	return nil
}

// replies prints replies until there are enough.
func (j *job) replies(ctx context.Context, x *exchange, start time.Time) error {
	want, got, foreign := j.inv.Values.Replies.Int64(), int64(0), 0
	for {
		b, err := j.client.Receive(ctx)
		if errors.Is(context.Cause(ctx), cli.ErrTimeout) && err != nil {
			return j.noReply(got, want, foreign)
		}
		if err != nil {
			return j.ended(ctx, err)
		}
		now := time.Now()
		for i := range b.Messages {
			m := &b.Messages[i]
			if m.Retain && !j.inv.CompatBehavior().RetainedReplies || m.Topic != x.topic {
				continue
			}
			if !x.answers(m) {
				foreign++
				continue
			}
			if r, ok := x.form.(*format.Record); ok { // it may be much larger than the payload
				if err := cli.OutputError(option.Pub, r.WriteMessage(j.inv.Stdout, m, now)); err != nil {
					return err
				}
			} else {
				out, err := x.form.Append(nil, m, now)
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
			if got++; got == want {
				b.Ack(i + 1)
				return nil
			}
		}
		b.Ack(len(b.Messages))
		b.Release()
	}
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

// answers reports whether a message on the response topic is a reply to the request.
// Replies without correlation data are accepted if the topic is private.
func (x *exchange) answers(m *mqtt.Message) bool {
	if x.data == nil {
		return true
	}
	data, has := m.Properties.Bytes(packet.CorrelationData)
	return has && bytes.Equal(data, x.data) || !has && (x.made || x.plain)
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
