// Package mqsub implements the subscribing tool.
package mqsub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/mosquitto"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/outfile"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Tool returns mqsub.
func Tool() cli.Tool {
	return cli.Tool{
		Program: option.Program{
			Name:    "mqsub",
			Bit:     option.Sub,
			Summary: "subscribe to MQTT topics and print the messages",
			Usage:   "[OPTION]... -t FILTER...\n[OPTION]... -t FILTER... --exec -- COMMAND [ARG]...",
			Brief:   brief, Topics: topics,
			Examples: []option.Example{
				{Command: "mqsub -v -t 'sensors/#'", Text: "follow everything below sensors"},
				{Command: "mqsub --json -t 'z2m/#' | jq .topic", Text: "one JSON object per message"},
				{Command: "v=$(mqsub -t boiler/temp -C 1 -W 5)", Text: "one value, or exit 27 after 5 s"},
				{Command: "mqsub --serve -v -t '#'", Text: "local broker that prints all traffic"},
			},
		},
		Commands: []cli.Command{
			{Command: option.Command{
				Name: "watch", Means: "watch", Idle: idle,
				Summary:  "show the latest message of every topic, on a terminal",
				Usage:    "[OPTION]... -t FILTER...",
				Examples: []option.Example{{Command: "mqsub watch -t 'sensors/#'", Text: "show the latest value of every sensor"}},
			}},
			{Command: option.Command{
				Name: "stats", Means: "message-rate", Idle: idle,
				Summary:  "print how many messages come in each second",
				Usage:    "[OPTION]... -t FILTER...",
				Examples: []option.Example{{Command: "mqsub stats -t '#' -W 60", Text: "the messages of a minute, second by second"}},
			}},
		},
		Personalities: mosquitto.Subscribers(),
		Run:           run,
		Resolve:       connection.Resolve,
	}
}

// idle are the options that have no effect when messages are not printed, and the options
// that print something else instead.
var idle = []string{
	"verbose", "no-newline", "format", "json", "pretty", "json-payload", "as", "fields", "ts", "jq", "print0", "raw",
	"watch", "message-rate", "retained-only", "retained-quiet", "exit-after-subscribe",
	"output-file", "rotate", "sync", "repair",
}

// job is one run.
type job struct {
	inv    *cli.Invocation
	conn   *connection.Connection
	client *mqtt.Client
	form   format.Formatter
	subs   []mqtt.Subscription

	filterOut    []string
	skipRetained bool
	retainedOnly bool
	quiet        time.Duration // time without retained messages that marks their end
	limit        int64         // messages to print, 0 for no limit
	idle         time.Duration
	unsubs       []string
	alone        bool    // only the broker of --serve is wanted
	part         float64 // the fraction of messages to print, chosen randomly; 0 for all

	removeRetained bool
	echo           bool
	runner         *runner     // nil: no commands
	sent           atomic.Bool // something was published and may not be acknowledged yet
	published      published
	view           view    // nil: each message is printed
	stages         *stages // nil: no conditions and no expressions

	count   int64     // messages printed, or taken by the view
	batched batched   // what is printed and not written yet
	heard   time.Time // when the latest message was printed
	out     output
	file    *outfile.File // nil: standard output, or many files
	start   outfile.Found // of file
	files   *files        // nil: standard output, or one file that is not rotated

	reconnected, lost atomic.Bool // a connection was restored; a lost session was reported
}

var (
	errIdle = errors.New("no message in time")
	errDone = errors.New("done")
)

func run(ctx context.Context, inv *cli.Invocation) error {
	j := &job{inv: inv}
	ctx, stop := inv.Limit(ctx)
	defer stop()
	if err := j.configure(ctx); err != nil {
		return err
	}
	defer j.conn.Close()
	if len(j.subs) > 0 && !inv.Values.ExitAfterSubscribe.On() {
		if inv.Values.OutputFile.Given() {
			if err := j.openFile(); err != nil {
				return err
			}
			return j.result(j.closeFile(j.subscribeAndWrite(ctx)))
		}
		if err := inv.CheckOutput(); err != nil {
			return err
		}
		ctx, stop = inv.WhileRead(ctx)
		defer stop()
	}
	return j.result(j.subscribeAndWrite(ctx))
}

// configure reads and checks the options.
func (j *job) configure(ctx context.Context) error {
	v := j.inv.Values
	var err error
	if j.conn, err = connection.New(ctx, j.inv); err != nil {
		return err
	}
	if err := j.readSubscriptions(); err != nil {
		return err
	}
	for _, f := range v.FilterOut.Texts() {
		if err := connection.CheckFilter(v.FilterOut.Name(), f); err != nil {
			return err
		}
		j.filterOut = append(j.filterOut, f)
	}
	j.limit, j.idle, j.quiet = v.Count.Int64(), v.IdleTimeout.Duration(), v.RetainedQuiet.Duration()
	if v.OutputFile.Given() {
		j.notOnTerminal()
	}
	if j.form, err = j.inv.Formatter(); err != nil {
		return err
	}
	j.out.w = j.inv.Stdout
	if j.echo = v.Echo.On(); j.echo {
		j.conn.Require5(v.Echo)
	}
	if err := j.readRunner(); err != nil {
		return err
	}
	j.removeRetained = v.RemoveRetained.On()
	if text := v.RandomFilter.Text(); text != "" {
		percent, err := strconv.ParseFloat(text, 64)
		if err != nil || !(percent >= 0.1 && percent <= 100) {
			return v.RandomFilter.Invalid("value", text, "want a percentage from 0.1 to 100")
		}
		j.part = percent / 100
	}
	if err := j.readStages(); err != nil {
		return err
	}
	return j.readView()
}

// readView reads the options that print something other than each message.
func (j *job) readView() error {
	v := j.inv.Values
	watch, rate := v.Watch.On(), v.MessageRate.On()
	switch {
	case watch && !j.inv.StdoutIsTerminal:
		return option.Usagef("%s needs a terminal as standard output", v.Watch.Name())
	case watch:
		j.view = newWatch(j.conn.Broker, j.inv.StdoutFile())
	case rate:
		j.view = &rates{}
	}
	return nil
}

// subscribeAndWrite does the work: it returns nil when the work is done, and otherwise the
// reason why it ended.
func (j *job) subscribeAndWrite(ctx context.Context) error {
	if j.alone {
		return j.conn.ServeAlone(ctx)
	}
	j.conn.DeferClients = true
	j.published.inv = j.inv
	j.conn.Options.OnEvent = j.event
	j.conn.Options.Undeliverable = j.undeliverable
	client, err := j.conn.Connect(ctx, true)
	if err != nil {
		return err
	}
	j.client = client
	defer func() { j.conn.Disconnect(j.client, ctx.Err() != nil) }() // output has been flushed and acknowledged
	if j.conn.Options.Session.Resume && client.SessionPresent() {
		j.inv.Debugf("the broker kept the session")
	}
	if j.conn.Options.Version == 0 && client.Version() < packet.V5 && j.inv.Values.Sub.IsSet() && j.wantsV5() { // a warning names the other options
		j.inv.Warnf("the connection speaks MQTT %s: the options of subscriptions are left out", client.Version())
	}
	if j.file != nil {
		if err := j.beginFile(); err != nil {
			return err
		}
	}
	if err := j.subscribe(ctx); err != nil {
		return err
	}
	j.conn.AcceptClients()
	if err := j.unsubscribe(ctx); err != nil || len(j.subs) == 0 {
		return err
	}
	if j.inv.Values.ExitAfterSubscribe.On() {
		return nil
	}
	j.inv.Service.Ready()
	j.heard = time.Now()
	work := j.follow
	if j.retainedOnly {
		work = j.retained
	}
	working := ctx
	if j.runner != nil {
		working = j.runner.begin(ctx)
	}
	err = work(working)
	if j.stages != nil {
		err = j.endStages(working, err)
	}
	if j.runner != nil {
		err = j.runner.end(working, err)
	}
	if j.sent.Load() && (err == nil || errors.Is(err, errDone)) {
		if flushErr := client.Flush(ctx); flushErr != nil {
			return j.conn.OperationError(flushErr)
		}
	}
	return err
}

// endStages ends the work of conditions and expressions, which has ended with err: it prints
// what is held, unless nothing can be printed any more, and finds out whether --until was true.
func (j *job) endStages(ctx context.Context, err error) error {
	s := j.stages
	if !s.tick.IsZero() && !cli.ReaderLost(err) && !(j.limit > 0 && j.count >= j.limit) {
		if code := cli.CodeOf(ctx, err); code != option.ExitLocalIO {
			if heldErr := j.printHeld(ctx); heldErr != nil && (err == nil || errors.Is(err, errDone)) {
				err = heldErr
			}
		}
	}
	s.summary()
	if s.until != nil && !s.reached && !s.halted && (err == nil || errors.Is(err, errDone)) {
		return cli.Failed(option.ExitNothing, errors.New("--until was never true"))
	}
	return err
}

// subscribe makes the subscriptions, if there are any.
func (j *job) subscribe(ctx context.Context) error {
	if len(j.subs) == 0 {
		return nil
	}
	codes, err := j.client.Subscribe(ctx, j.subs...)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return j.denied(codes, err)
	}
	j.warnGranted(codes)
	return nil
}

// undeliverable decides about a packet that ends every connection. If a subscription cannot
// be renewed, a bounded run ends and other runs wait. A reply is dropped, so that the
// subscriptions survive.
func (j *job) undeliverable(u *mqtt.Undeliverable) mqtt.Disposition {
	v := j.inv.Values
	switch {
	case u.Call, len(u.Filters) == 0:
		return mqtt.UndeliverableSkip
	case j.limit > 0, j.idle > 0, j.retainedOnly, v.Timeout.IsSet(), v.ExitAfterSubscribe.On():
		return mqtt.UndeliverableStop
	}
	return mqtt.UndeliverableWait
}

// denied returns the error of refused subscriptions: it names the last one, after the
// others were reported.
func (j *job) denied(codes []packet.ReasonCode, err error) error {
	var last error
	for i, c := range codes {
		if !c.Failed() || i >= len(j.subs) {
			continue
		}
		if last != nil {
			j.inv.Errorf("%v", last)
		}
		last = fmt.Errorf("broker refused the subscription %s: %w", topic.Quote(j.subs[i].Filter), c)
	}
	if last == nil {
		return j.conn.OperationError(err)
	}
	return &cli.Exit{Code: option.ExitDenied, Err: last, Help: "check the broker's access rules"}
}

// warnGranted warns if the granted QoS is lower than requested.
func (j *job) warnGranted(codes []packet.ReasonCode) {
	for i, c := range codes {
		if i < len(j.subs) && packet.QoS(c) < j.subs[i].QoS {
			j.inv.Warnf("broker granted QoS %d, not %d, for %s", c, j.subs[i].QoS, topic.Quote(j.subs[i].Filter))
		}
	}
}

// view turns the messages into other output than one record each.
type view interface {
	// take records a message.
	take(m *mqtt.Message)
	// wait returns the time until draw is to be called; 0 means never.
	wait() time.Duration
	// draw appends the output that is due, or at the end all that is left.
	draw(dst []byte, end bool) []byte
}

var errRedraw = errors.New("time to draw")

// follow prints messages as they come.
func (j *job) follow(ctx context.Context) error {
	for {
		b, err := j.receive(ctx, j.nextDraw(), errRedraw)
		switch {
		case errors.Is(err, errRedraw):
			err = nil
		case err == nil && ctx.Err() != nil: // messages may be waiting without end
			err = context.Cause(ctx)
		case err == nil:
			err = j.batch(ctx, b)
		}
		if err == nil && j.stages != nil && j.stages.due(time.Now()) {
			err = j.printHeld(ctx)
		}
		if j.view != nil {
			j.out.buf = j.view.draw(j.out.buf[:0], err != nil)
			if _, err := j.out.Write(j.out.buf); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// nextDraw returns the time until something is to be printed without a message; 0 means never.
func (j *job) nextDraw() (wait time.Duration) {
	if j.view != nil {
		wait = j.view.wait()
	}
	if j.stages != nil {
		if held := j.stages.wait(time.Now()); held > 0 && (wait <= 0 || held < wait) {
			wait = held
		}
	}
	return wait
}

// receive is Client.Receive with the limit of --idle-timeout and another limit, 0 for none,
// after which it returns why. It also returns when the service manager's watchdog is due,
// which shows that messages would be printed.
func (j *job) receive(ctx context.Context, limit time.Duration, why error) (*mqtt.Batch, error) {
	own := why
	if j.idle > 0 {
		if left := max(j.idle-time.Since(j.heard), time.Millisecond); limit <= 0 || left < limit {
			limit, why = left, errIdle
		}
	}
	if due := j.inv.Service.Alive(); due > 0 && (limit <= 0 || due < limit) {
		limit, why = due, own
	}
	if limit > 0 && !j.client.Waiting() { // a limit on silence
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, why)
		defer cancel()
	}
	b, err := j.client.Receive(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, j.conn.OperationError(err)
	}
	return b, nil
}

// batched is output that is not written yet, of some messages of a batch.
type batched struct {
	b     *mqtt.Batch // nil: the messages are acknowledged already
	taken int         // messages of b that were looked at
	buf   []byte      // reused
	ends  []end       // reused
}

// end is where a message ends in the output: the first taken messages of the batch are in
// the first size bytes.
type end struct{ taken, size int }

// begin begins the output of a batch.
func (p *batched) begin(b *mqtt.Batch) { p.b, p.taken, p.buf, p.ends = b, 0, p.buf[:0], p.ends[:0] }

// batch prints the messages of one read, or passes them to the view, and acknowledges them
// once they are written, so that a full disk or a closed pipe loses nothing that the broker
// keeps.
func (j *job) batch(ctx context.Context, b *mqtt.Batch) error {
	now := time.Now()
	j.batched.begin(b)
	last := false
	for i := range b.Messages {
		m := &b.Messages[i]
		j.batched.taken++
		if !j.wanted(m) {
			continue
		}
		if j.stages != nil {
			var pass bool
			var err error
			if pass, last, err = j.stages.admit(m, now); err != nil {
				return j.stopAt(err)
			}
			if !pass {
				if last {
					break
				}
				continue
			}
		}
		done, err := j.print(ctx, m, now)
		if err != nil {
			return err
		}
		if last = last || done; last {
			break
		}
	}
	if err := j.flush(); err != nil {
		return err
	}
	if j.runner != nil {
		j.runner.ring.release(b)
	} else {
		b.Release()
	}
	if last {
		return errDone
	}
	return nil
}

// stopAt ends the work at a message for which an expression has failed. What came before it is
// written and acknowledged; it is not, unless it asked for the end by halt_error.
func (j *job) stopAt(err error) error {
	if j.batched.b != nil && !j.stages.halted {
		j.batched.taken--
	}
	if flushErr := j.flush(); flushErr != nil {
		return flushErr
	}
	return err
}

// print prints a message that has passed the conditions, or passes it to the view. It reports
// whether it is the last one.
func (j *job) print(ctx context.Context, m *mqtt.Message, at time.Time) (last bool, err error) {
	if err := j.reply(m); err != nil {
		return false, err
	}
	if j.part > 0 && rand.Float64() >= j.part {
		return false, nil
	}
	p := &j.batched
	var failure error
	if j.stages != nil {
		var pass bool
		if pass, last, failure = j.stages.finish(m, at); failure != nil && !pass {
			return false, j.stopAt(failure)
		} else if !pass {
			return last, nil
		}
	}
	if err := j.remove(m); err != nil {
		return false, err
	}
	switch r, ok := j.form.(*format.Record); {
	case j.view != nil:
		j.view.take(m)
	case j.runner != nil:
		if err := j.hand(ctx, m, at); err != nil {
			return false, err
		}
	case ok && !j.makes() && len(m.Payload) > flushSize && j.files == nil: // in pieces
		if err := j.writePieces(r, m, at); err != nil {
			return false, err
		}
	default:
		j.append(m, at)
	}
	p.ends = append(p.ends, end{p.taken, len(p.buf)})
	j.count++
	if j.idle > 0 {
		j.heard = time.Now()
	}
	if failure != nil {
		return false, j.stopAt(failure)
	}
	if j.limit > 0 && j.count >= j.limit {
		return true, nil
	}
	if len(p.buf) >= flushSize {
		return last, j.flush()
	}
	return last, nil
}

// makes reports whether an expression makes the output.
func (j *job) makes() bool { return j.stages != nil && j.stages.jq != nil }

// append appends a message, or what an expression makes of it, to the output.
func (j *job) append(m *mqtt.Message, at time.Time) {
	p := &j.batched
	from := len(p.buf)
	p.buf = j.appendTo(p.buf, m, at)
	if j.files != nil {
		j.files.name(m, at, len(p.buf) > from)
	}
}

func (j *job) appendTo(dst []byte, m *mqtt.Message, at time.Time) []byte {
	if j.makes() {
		result := *m
		for i := range j.stages.results.Len() {
			result.Payload = j.stages.results.At(i)
			dst = j.format(dst, &result, at)
		}
		return dst
	}
	return j.format(dst, m, at)
}

func (j *job) format(dst []byte, m *mqtt.Message, at time.Time) []byte {
	dst, err := j.form.Append(dst, m, at)
	if err != nil {
		j.inv.Warnf("topic %s: %v", topic.Quote(m.Topic), err)
	}
	return dst
}

// writePieces writes what is batched, and then a large message in pieces.
func (j *job) writePieces(r *format.Record, m *mqtt.Message, at time.Time) error {
	p := &j.batched
	p.taken--
	err := j.flush()
	if p.taken++; err != nil {
		return err
	}
	before := j.out.written
	if err := r.WriteMessage(&j.out, m, at); err != nil {
		return j.cutOff(j.out.written-before, err)
	}
	return j.ack(p.b, p.taken)
}

// printHeld prints the messages that --throttle has held.
func (j *job) printHeld(ctx context.Context) error {
	s := j.stages
	s.tick = time.Time{}
	j.batched.begin(nil)
	last := false
	err := s.topics.release(func(m *mqtt.Message, at time.Time) error {
		if last {
			return nil
		}
		var err error
		last, err = j.print(ctx, m, at)
		return err
	})
	if err == nil {
		err = j.flush()
	}
	if err == nil && last {
		err = errDone
	}
	return err
}

// flush writes the output that is batched, and acknowledges the messages. If that fails, it
// acknowledges those that were written completely.
func (j *job) flush() error {
	if j.files != nil {
		return j.flushFiles()
	}
	p := &j.batched
	n, err := j.out.Write(p.buf)
	if err == nil {
		p.buf, p.ends = p.buf[:0], p.ends[:0]
		return j.ack(p.b, p.taken)
	}
	if j.view != nil || cli.ReaderLost(err) {
		return err
	}
	whole, torn := 0, n
	for ; whole < len(p.ends) && p.ends[whole].size <= n; whole++ {
		torn = n - p.ends[whole].size
	}
	j.count -= int64(len(p.ends) - whole)
	cut := j.cutOff(int64(torn), err)
	if whole > 0 {
		if err := j.ack(p.b, p.ends[whole-1].taken); err != nil {
			return err
		}
	}
	return cut
}

// ack acknowledges the first n messages of a batch, which are written, or without one makes
// durable what is written.
func (j *job) ack(b *mqtt.Batch, n int) error {
	if j.file != nil || j.files != nil {
		return j.commit(b, n)
	}
	switch {
	case b == nil:
	case j.runner != nil:
		j.runner.ring.pass(b, n)
	default:
		b.Ack(n)
	}
	return nil
}

// cutOff reports a message of which only the first bytes were written, and returns err. The
// bytes cannot be removed, because the output may have other writers.
func (j *job) cutOff(torn int64, err error) error {
	if j.file != nil {
		return j.cutFile(j.file, torn, err)
	}
	if torn > 0 && !cli.ReaderLost(err) {
		j.inv.Errorf("standard output: the last message is cut off: byte %d to %d of what was written; it is not acknowledged",
			j.out.written-torn+1, j.out.written)
	}
	return err
}

// wanted reports whether a message passes mqsub's own filters.
func (j *job) wanted(m *mqtt.Message) bool {
	if m.Retain && j.skipRetained || !m.Retain && j.retainedOnly {
		return false
	}
	for _, f := range j.filterOut {
		if topic.Match(f, m.Topic) {
			return false
		}
	}
	return true
}

// result converts the reason for the end of the work to the tool's error.
func (j *job) result(err error) error {
	err = j.journalError(j.ended(err))
	denied := j.published.verdict()
	if denied == nil && j.runner != nil {
		denied = j.runner.verdict()
	}
	switch {
	case denied == nil:
		return err
	case err == nil || cli.CodeOf(context.Background(), err) == option.ExitTimeLimit:
		return denied
	}
	j.inv.Errorf("%v", denied)
	return err
}

// received describes how far the work got.
func (j *job) received() string {
	switch {
	case j.alone:
		return "the broker stopped"
	case j.client == nil:
		return "not connected"
	case j.inv.Values.ExitAfterSubscribe.On():
		return "subscription not confirmed"
	case j.count == 0:
		return "no messages received"
	case j.limit > 0:
		return fmt.Sprintf("%d of %s received", j.count, units.Count(j.limit, "message"))
	}
	return units.Count(j.count, "message") + " received"
}

func (j *job) ended(err error) error {
	switch {
	case err == nil, errors.Is(err, errDone):
		return nil
	case j.client != nil && j.inv.CompatBehavior().WillAtEnd && cli.AskedToEnd(err): // as mosquitto_sub, which catches only these signals
		return nil
	case errors.Is(err, cli.ErrTimeout):
		return j.inv.TimedOut(j.received())
	case errors.Is(err, errIdle):
		return cli.Failed(option.ExitTimeLimit, fmt.Errorf("timed out: no message for %s (--idle-timeout)", units.Short(j.idle)))
	}
	return err
}
