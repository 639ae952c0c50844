// Package mqpub implements the publishing tool.
package mqpub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/mosquitto"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Tool returns mqpub.
func Tool() cli.Tool {
	return cli.Tool{
		Program: option.Program{
			Name:    "mqpub",
			Bit:     option.Pub,
			Summary: "publish MQTT messages",
			Usage:   "[OPTION]... -t TOPIC {-m TEXT | -f FILE | -s | -n | -l}\n[OPTION]... --input FORMAT",
			Brief:   brief, Topics: topics,
			Examples: []option.Example{
				{Command: "mqpub -t lamp/hall -m on -r", Text: "set a retained value"},
				{Command: "mqpub -t lamp/ask -m state --request -W 5", Text: "ask, and print the reply"},
				{Command: "tail -F app.log | mqpub -l -q 1 -t logs/app", Text: "publish each line"},
				{Command: "mqsub --json -t 'a/#' | mqpub --input jsonl -h other", Text: "copy to another broker"},
			},
		},
		Commands: []cli.Command{{Command: option.Command{
			Name: "request", Means: "request", Idle: notOfRequests,
			Summary: "publish a request, and print the replies to it",
			Usage:   "[OPTION]... -t TOPIC {-m MESSAGE | -f FILE | -s | -n}",
			Examples: []option.Example{
				{Command: "mqpub request -t lamp/ask -m state -W 5", Text: "ask, and print the reply, or exit with 27 after 5 seconds"},
				{Command: "mqpub request -t lamp/ask -n -e lamp/answer --replies 3", Text: "three answers on a topic of your choice"},
			},
		}}, {Command: option.Command{
			Name: "follow", Means: "stdin-line", Idle: notOfFollow, Own: option.FollowOptions, MaxArgs: 1, Files: []string{"*"},
			Summary: "publish the lines of a file that grows",
			Usage:   "[OPTION]... -t TOPIC FILE",
			Examples: []option.Example{
				{Command: "mqpub follow app.log --spool DIR -q 1 -t logs/app", Text: "each line once, over restarts and rotation"},
				{Command: "mqpub follow data.csv --end -q 1 -t data", Text: "to the end of the file"},
			},
		}}},
		Personalities: mosquitto.Publishers(),
		Run:           run,
		Resolve:       connection.Resolve,
	}
}

// resumeTime is how long the broker is asked to keep the session of a stream at QoS 1 and 2
// after a lost connection.
const resumeTime = 5 * time.Minute

// job is one run: what is published, to which broker, and the result.
type job struct {
	inv    *cli.Invocation
	conn   *connection.Connection
	client *mqtt.Client
	topics []string     // of every message, each once; empty with --input
	msg    mqtt.Message // the QoS, retain flag and properties of every message, and its first topic
	report report
	acks   *acks  // nil without --ack-report
	spool  *spool // nil without --spool
	path   string // the file of follow, or ""
	place  []byte // encoded, of the line that is published; nil: standard input
}

func run(ctx context.Context, inv *cli.Invocation) error {
	mode, err := modeOf(inv.Values)
	if err != nil {
		return err
	}
	ctx, stop := inv.Limit(ctx)
	defer stop()
	for _, name := range [...]string{"repeat", "repeat-delay"} {
		if inv.Values.Of(name).Origin() == option.OriginFlag && (mode == "stdin-line" || mode == "input") {
			inv.Warnf("--%s has no effect with --%s", name, mode)
		}
	}
	conn, err := connection.New(ctx, inv)
	if err != nil {
		return err
	}
	defer conn.Close()
	j := &job{inv: inv, conn: conn, report: report{inv: inv}}
	if err := j.readMessage(mode); err != nil {
		return err
	}
	if inv.Tool.Path == "follow" {
		if len(inv.Args) == 0 {
			return option.Usagef("follow: FILE is missing")
		}
		if j.path = inv.Args[0]; len(j.topics) > 1 {
			return option.Usagef("follow takes one topic, not %d", len(j.topics))
		}
	}
	if inv.Values.Spool.Given() {
		return j.runSpooled(ctx, mode)
	}
	var feed func(context.Context) error
	streams := false
	switch mode {
	case "stdin-line":
		feed, streams = j.readLines(), true
	case "input":
		feed, streams = j.records, true
	default:
		if j.msg.Payload, err = j.payload(ctx, mode); err != nil {
			return err
		}
		feed = j.once
	}
	if !streams { // one message does not make a service
		inv.Service = nil
	}
	if asks(inv.Values) {
		return j.request(ctx)
	}
	if inv.Values.AckReport.IsSet() {
		if err := inv.CheckOutput(); err != nil {
			return err
		}
		ctx, end := j.reportAcks(ctx)
		return end(j.publish(ctx, feed, streams))
	}
	return j.publish(ctx, feed, streams)
}

// readLines returns the source of lines.
func (j *job) readLines() func(context.Context) error {
	if j.path != "" {
		return j.follow
	}
	return j.lines
}

// runSpooled is run with --spool.
func (j *job) runSpooled(ctx context.Context, mode string) (err error) {
	if err := j.openSpool(ctx, mode); err != nil {
		return err
	}
	feed, streams := j.putOnce, false
	switch mode {
	case "stdin-line":
		feed, streams = j.readLines(), true
	case "input":
		feed, streams = j.records, true
	case "": // what is left
		if left, err := j.spool.inbox.left(); err == nil && left == 0 && j.spool.queue.Len() == 0 {
			return j.spool.queue.Close()
		}
		feed = func(context.Context) error { return nil }
	default:
		if j.msg.Payload, err = j.payload(ctx, mode); err != nil {
			if j.spool.queue != nil {
				_ = j.spool.queue.Close() // nothing was put
			}
			return err
		}
	}
	return j.publishSpooled(ctx, feed, streams)
}

// publish connects, lets feed send, waits for acknowledgements, and disconnects.
func (j *job) publish(ctx context.Context, feed func(context.Context) error, streams bool) error {
	o := &j.conn.Options
	o.PublishOnly = true
	o.Undeliverable = j.disposition
	var twice atomic.Bool // messages may be delivered twice after a loss, which is not reported yet
	o.OnEvent = func(e mqtt.Event) {
		if e.Kind == mqtt.EventDown && twice.CompareAndSwap(true, false) {
			j.inv.Warnf("before MQTT 5 there is no session without --id: QoS 2 messages may be delivered twice")
		}
		j.report.event(e)
	}
	endSession := false
	if streams && !o.Session.Resume && o.Session.Expiry == 0 && j.mayNeedSession() {
		o.Session.Expiry = resumeTime
		// Before 5.0 it takes two more connections, which is worth it if messages must not
		// be delivered twice.
		o.Session.Keep = j.mayBeQoS2()
		endSession = true
		if o.ClientID == "" && o.Version != packet.V31 && o.Version != packet.V311 {
			o.ClientID, o.NewClientID = fmt.Sprintf("mqpub-%016x", rand.Uint64()), true
		}
	}
	client, err := j.conn.Connect(ctx, streams)
	if err != nil {
		return err
	}
	j.client = client
	// Before 5.0 a session is kept under a client identifier that the user chose, or not at
	// all.
	old := client.Version() < packet.V5
	kept := old && o.Session.Keep && o.ClientID != "" && !o.NewClientID
	twice.Store(old && streams && j.msg.QoS == 2 && !kept && !o.Session.Resume)
	j.inv.Service.Ready()
	feedErr := feed(ctx)
	if ctx.Err() != nil {
		j.inv.Service.Stopping()
	}
	j.report.inputUnread = streams && (ctx.Err() != nil || feedErr != nil)

	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		j.drain(ctx, last, cancel)
	})
	defer func() {
		if cancel(); !stop() {
			<-drained // it may be printing
		}
	}()
	if streams || j.msg.QoS > 0 {
		if err := j.waitFeedingWatchdog(last, client.Flush); err != nil && feedErr == nil && !j.report.failed() {
			feedErr = j.conn.OperationError(err)
		}
	}
	j.inv.Service.Stopping()
	closeErr := client.Close(last, j.conn.Properties.Bye, func(bye *packet.Disconnect) {
		if _, has := bye.Properties.Uint(packet.SessionExpiryInterval); endSession && !has {
			bye.Properties, _ = append(packet.Properties(nil), bye.Properties...).AppendUint(packet.SessionExpiryInterval, 0)
		}
	})
	if endSession && kept {
		j.conn.DiscardSession(client)
	}
	if ctx.Err() != nil {
		return j.cutShort(context.Cause(ctx), streams)
	}
	if verdict := j.report.verdict(client.Stats()); streams && verdict != nil {
		cause := client.Err()
		if u := asUndeliverable(cause); u != nil {
			return j.stopped(u, verdict)
		}
		if j.conn.NotReconnected(cause) {
			j.inv.Errorf("%v", verdict)
			return j.conn.OperationError(cause)
		}
		if cause != nil && !errors.Is(cause, mqtt.ErrClosed) {
			j.inv.Errorf("%v", j.conn.OperationError(cause)) // the reason comes before the counts
		}
		return verdict
	}
	if feedErr != nil {
		return feedErr
	}
	if connection.Disapproved(closeErr) {
		return fmt.Errorf("topic %q: %w", j.msg.Topic, j.conn.OperationError(closeErr))
	}
	if st := client.Stats(); closeErr != nil && !errors.Is(closeErr, mqtt.ErrClosed) && (st.Unfinished > 0 || st.Unwritten > 0) {
		what := "the message"
		if st.Sent > 1 {
			what = fmt.Sprintf("%d of %d messages", uint64(st.Unfinished)+st.Unwritten, st.Sent)
		}
		return fmt.Errorf("topic %q: %s may not have arrived: %w", j.msg.Topic, what, j.conn.OperationError(closeErr))
	}
	return nil
}

// drain cancels last when the time for acknowledgements is over. The first signal stops the
// feed; what was taken may still be acknowledged within --drain-timeout, until a second
// signal. After --timeout there is no time for acknowledgements. If none is outstanding,
// the disconnect still has its own time, because only the server's close shows whether
// messages at QoS 0 have arrived.
func (j *job) drain(ctx, last context.Context, cancel context.CancelFunc) {
	defer cancel()
	limit := j.inv.Values.DrainTimeout.Duration()
	if errors.Is(context.Cause(ctx), cli.ErrTimeout) {
		limit = 0
	}
	if n := j.client.Stats().Unfinished; n == 0 {
		limit = max(limit, connection.DisconnectTime)
	} else if limit > 0 {
		j.inv.Infof("waiting up to %s for %s to be acknowledged; another signal exits at once", units.Short(limit), units.Count(n, "message"))
	}
	select {
	case <-time.After(limit):
	case <-j.inv.Hurry():
	case <-last.Done():
	}
}

// cutShort returns the error of a run that a signal or the time limit has ended; it says
// what was not delivered.
func (j *job) cutShort(cause error, streams bool) error {
	st := j.client.Stats()
	verdict, detail := j.report.verdict(st), ""
	switch {
	case streams && verdict != nil:
		detail = verdict.Error()
	case streams:
		detail = units.Count(st.Sent, "message") + " delivered; the rest of the input was not read"
	case st.Sent == 0:
		detail = "message not sent"
	case st.Unfinished > 0:
		detail = "message not acknowledged: it may have arrived"
	case st.Unwritten > 0:
		detail = "message may not have arrived"
	}
	if errors.Is(cause, cli.ErrTimeout) {
		return j.inv.TimedOut(cmp.Or(detail, units.Count(st.Sent, "message")+" sent"))
	}
	if verdict != nil || !streams && detail != "" {
		j.inv.Errorf("%v: %s", cause, detail)
	}
	return cause
}

// mayNeedSession reports whether there may be messages above QoS 0.
func (j *job) mayNeedSession() bool { return j.msg.QoS > 0 || j.anyQoS() }

// mayBeQoS2 reports whether there may be messages at QoS 2.
func (j *job) mayBeQoS2() bool { return j.msg.QoS == 2 || j.anyQoS() }

// anyQoS reports whether the records set the QoS.
func (j *job) anyQoS() bool { return j.inv.Values.Input.IsSet() && !j.forEvery("qos") }

// modes are the options that select what to publish.
var modes = [...]string{"message", "file", "stdin-file", "null-message", "stdin-line", "input"}

// modeOf returns the one that is set.
func modeOf(v *option.Values) (string, error) {
	mode := ""
	for _, m := range modes {
		if v.Of(m).Given() {
			mode = m
		}
	}
	if mode == "" && !v.Spool.Given() {
		if asks(v) {
			return "", option.Usagef("no message given").WithHint("pass -m TEXT, -f FILE, -s or -n")
		}
		return "", option.Usagef("no message given").WithHint("pass -m TEXT, -f FILE, -l, ... (see --help)")
	}
	return mode, nil
}

// asks reports whether the message is a request.
func asks(v *option.Values) bool { return v.Request.Given() || v.ResponseTopic.Given() }

// readMessage checks the options that apply to every message.
func (j *job) readMessage(mode string) error {
	v := j.inv.Values
	topics := v.Topic.Texts()
	if u := j.conn.URLTopic(); u != "" {
		switch {
		case v.URL.Origin() > v.Topic.Origin():
			topics = []string{u}
		case v.URL.Origin() == v.Topic.Origin():
			topics = append(topics, u)
		}
	}
	switch {
	case mode == "input", mode == "" && v.Spool.Given(): // every record has its own, every message in the spool
	case len(topics) == 0:
		return option.Usagef("no topic given").WithHint("pass one, e.g. -t a/b")
	default:
		for _, t := range topics {
			if err := connection.CheckTopic(v.Topic.Name(), t); err != nil {
				return err
			}
			if !slices.Contains(j.topics, t) {
				j.topics = append(j.topics, t)
			}
		}
	}
	j.msg = mqtt.Message{QoS: packet.QoS(v.QoS.Int()), Retain: v.Retain.On(), Properties: j.conn.Properties.Publish}
	if len(j.topics) > 0 {
		j.msg.Topic = j.topics[0]
	}
	return nil
}

// pause waits between repeats. If the client ends, there is nothing to wait for. It returns
// false if ctx ends.
func (j *job) pause(ctx context.Context, delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	select {
	case <-time.After(delay):
	case <-j.lost():
	case <-ctx.Done():
		return false
	}
	return true
}

// once publishes the message to every topic, as often as --repeat says.
func (j *job) once(ctx context.Context) error {
	n, delay := j.inv.Values.Repeat.Int64(), j.inv.Values.RepeatDelay.Duration()
	total, skipped := n*int64(len(j.topics)), int64(0)
	for i := int64(0); i < n; i++ {
		if i > 0 && !j.pause(ctx, delay) {
			return nil
		}
		var failed error
		for _, j.msg.Topic = range j.topics {
			err := j.client.Publish(ctx, &j.msg)
			u := asUndeliverable(err)
			switch {
			case err == nil:
				continue
			case ctx.Err() != nil:
				return nil
			case u != nil && total > 1 && j.client.Err() == nil:
				skipped++
				j.report.print(u)
				continue
			}
			if failed != nil {
				j.inv.Errorf("%v", failed)
			}
			if failed = j.conn.OperationError(err); u == nil { // it names the topic
				failed = fmt.Errorf("topic %q: %w", j.msg.Topic, failed)
			}
			if j.client.Err() != nil {
				break
			}
		}
		if failed != nil {
			return failed
		}
	}
	if skipped > 0 {
		return cli.Failed(option.ExitLost, fmt.Errorf("%d of %d messages were undeliverable", skipped, total))
	}
	return nil
}
