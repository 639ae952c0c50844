package mqsub

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

const (
	// execMost is the largest output of a command, in bytes, and replyMost that of one whose
	// output is a reply.
	execMost  = 1 << 20
	replyMost = 16 << 20
	// execGrace is the time between SIGTERM and SIGKILL for a command that takes too long.
	execGrace = 2 * time.Second
	// The pauses between two attempts of --on-error retry.
	retryFirst, retryMost = time.Second, 30 * time.Second
	// variableMost is the longest environment variable of Linux, with its name and a NUL.
	variableMost = 128<<10 - 1
	// levelsMost is how many levels of a topic have a variable.
	levelsMost = 32
)

// runner runs a command for each message, some at once; the messages of a topic keep their order
// and never overlap. A message is acknowledged when its command has succeeded, or has failed
// and --on-error skips it.
type runner struct {
	j       *job
	argv    []string // nil: shell
	shell   string
	name    string // of the option, for messages
	prints  bool   // messages are printed, too
	replies bool   // the output is the reply to a request
	raw     bool   // a command gets the payload, not the output
	limit   time.Duration
	onError string

	ring  ring
	jobs  int
	slots chan struct{} // one for each message that runs or waits here
	ready chan task     // has room for all of those

	ctx     context.Context // of the commands
	kill    context.CancelCauseFunc
	stop    context.CancelCauseFunc // ends the work
	closing atomic.Bool             // what has not begun is left

	queues struct {
		sync.Mutex
		waiting map[string][]task // for the message of the same topic that runs or is ready
	}

	mu       sync.Mutex // held while output is written or published, too
	ran      uint64
	failed   uint64
	reported int
	left     bool // a variable was left out
}

// task is a message for a command.
type task struct {
	m     *mqtt.Message
	at    time.Time
	input []byte
	p     *pending
}

// readRunner reads the options of commands.
func (j *job) readRunner() error {
	v := j.inv.Values
	r := &runner{j: j, limit: v.ExecTimeout.Duration(), onError: v.OnError.Text(), raw: true, jobs: v.Jobs.Int()}
	switch {
	case v.Exec.On():
		if r.argv = j.inv.Args; len(r.argv) == 0 {
			return option.Usagef("%s needs a command: --exec -- COMMAND [ARG]...", v.Exec.Name())
		}
		if _, err := exec.LookPath(r.argv[0]); err != nil {
			return option.Usagef("%s: cannot run %q: %v", v.Exec.Name(), r.argv[0], reasonOf(err))
		}
		r.name, r.replies = v.Exec.Name(), v.ExecReply.On()
		r.raw = !v.Format.IsSet() && !v.JSON.On() && !v.Pretty.On() && !v.Verbose.On() && !v.As.IsSet() && !v.FieldList.IsSet() && !v.TS.IsSet() && !v.JQ.Given()
		if r.replies {
			j.conn.Require5(v.ExecReply)
		}
		if rows, ok := j.form.(*format.Rows); ok {
			rows.Header = false // each command gets one row
		}
	case v.ReplyCommand.Text() != "":
		r.name, r.shell, r.replies, r.prints = v.ReplyCommand.Name(), v.ReplyCommand.Text(), true, true
		j.conn.Require5(v.ReplyCommand)
	default:
		return nil
	}
	room := 2 * r.jobs
	r.slots, r.ready, r.queues.waiting = make(chan struct{}, room), make(chan task, room), map[string][]task{}
	if o := &j.conn.Options; !v.ReceiveMaximum.IsSet() { // what waits here is bounded
		o.ReceiveMaximum, o.ReceiveLimit = uint16(room), 65535
	}
	j.runner = r
	return nil
}

// reasonOf returns why a command was not found, without its name.
func reasonOf(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("no such command")
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

// begin starts what runs commands, and returns the context of the work: a failure ends it.
func (r *runner) begin(ctx context.Context) context.Context {
	r.ctx, r.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, r.stop = context.WithCancelCause(ctx)
	for range r.jobs {
		go func() {
			for t := range r.ready {
				name := t.m.Topic // the memory of the message is used again when it is acknowledged
				if !r.closing.Load() {
					r.run(ctx, t)
				}
				r.ended(name)
			}
		}()
	}
	return ctx
}

// put passes a message on, as soon as there is room.
func (r *runner) put(ctx context.Context, t task) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	q := &r.queues
	q.Lock()
	defer q.Unlock()
	if waiting, busy := q.waiting[t.m.Topic]; busy {
		q.waiting[t.m.Topic] = append(waiting, t)
		return nil
	}
	q.waiting[t.m.Topic] = nil
	r.ready <- t
	return nil
}

// ended makes the next message of a topic ready.
func (r *runner) ended(name string) {
	q := &r.queues
	q.Lock()
	defer q.Unlock()
	if waiting := q.waiting[name]; len(waiting) > 0 {
		r.ready <- waiting[0]
		q.waiting[name] = waiting[1:]
	} else {
		delete(q.waiting, name)
	}
	<-r.slots
}

// wait returns a channel that is closed when all messages are done with. No more may be put.
func (r *runner) wait() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		for range cap(r.slots) {
			r.slots <- struct{}{}
		}
		close(r.ready)
		close(done)
	}()
	return done
}

// end waits for the commands after the work has ended with err. After a signal or a failure,
// those that have not begun do not, and another signal kills those that run. The time limit
// and the loss of the reader end them, as any signal ends a reply: the next client to receive
// the request will reply.
func (r *runner) end(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if ctx.Err() != nil {
		r.closing.Store(true)
	}
	if cause != nil && r.prints || errors.Is(cause, cli.ErrTimeout) || cli.ReaderLost(cause) || cli.ReaderLost(err) {
		r.kill(cause)
	}
	done := r.wait()
	if n := len(r.slots); n > 0 && cli.AskedToEnd(cause) {
		r.j.inv.Infof("waiting for commands to exit; another signal kills them")
	}
	select {
	case <-done:
	case <-r.j.inv.Hurry():
		r.kill(process.ErrAtOnce)
		<-done
	}
	r.kill(nil)
	if cause := context.Cause(ctx); cause != nil && (err == nil || errors.Is(err, errDone)) {
		err = cause // of the last commands
	}
	r.stop(nil)
	return err
}

// verdict returns the error that says how many commands have failed, or nil.
func (r *runner) verdict() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == 0 {
		return nil
	}
	return cli.Failed(option.ExitFailure, fmt.Errorf("%d of %s failed", r.failed, count(r.ran, "command")))
}

// hand passes a message to the runner. The output before it is written, and what was received
// before it acknowledged; it is acknowledged when its command has ended.
func (j *job) hand(ctx context.Context, m *mqtt.Message, at time.Time) error {
	r, p := j.runner, &j.batched
	if r.prints {
		if j.append(m, at); !isRequest(m) {
			return nil
		}
	}
	p.taken--
	err := j.flush()
	if p.taken++; err != nil {
		return err
	}
	t := task{m: m, at: at, input: m.Payload}
	if !r.raw {
		t.input = j.appendTo(nil, m, at)
	}
	t.p = r.ring.add(p.b, p.taken)
	return r.put(ctx, t)
}

// isRequest reports whether a message asks for a reply.
func isRequest(m *mqtt.Message) bool {
	_, has := m.Properties.Bytes(packet.ResponseTopic)
	return has
}

// run runs the command for a message, again and again if --on-error says so.
func (r *runner) run(ctx context.Context, t task) {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		err := r.once(t)
		switch {
		case err == nil:
			r.ring.finish(t.p)
			return
		case errors.Is(err, errOutlet): // stop was called
			return
		case r.ctx.Err() != nil:
			return
		case r.onError == "stop":
			r.stop(cli.Failed(option.ExitFailure, err))
			return
		case r.onError == "skip":
			r.count(1)
			r.report(err)
			r.ring.finish(t.p)
			return
		}
		r.report(fmt.Errorf("%w; retrying in %s", err, units.Short(wait)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// count counts a message whose command has ended, and whether it has failed for good.
func (r *runner) count(failed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran++
	r.failed += failed
}

// report prints the failure of a command, up to a limit.
func (r *runner) report(err error) {
	r.mu.Lock()
	r.reported++
	reported := r.reported
	r.mu.Unlock()
	switch {
	case reported <= maxReported:
		r.j.inv.Warnf("%v", err)
	case reported == maxReported+1:
		r.j.inv.Warnf("more commands fail; they are counted, not printed")
	}
}

// errOutlet is matched by the error for output that could not be written or published.
var errOutlet = errors.New("the output cannot be written")

// once runs the command for a message, and writes or publishes its output.
func (r *runner) once(t task) error {
	ctx, cancel := r.ctx, context.CancelFunc(func() {})
	if r.limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, r.limit, fmt.Errorf("timed out after %s", units.Short(r.limit)))
	}
	defer cancel()
	var cmd *exec.Cmd
	if r.argv == nil {
		cmd = process.Shell(r.shell)
	} else {
		cmd = process.Command(r.argv[0], r.argv[1:]...)
	}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(t.input), r.j.inv.Stderr
	env, left := variables(t.m, t.at)
	cmd.Env = append(cmd.Env, env...)
	if left != "" {
		r.leftOut(left)
	}
	most := execMost
	if r.replies {
		most = replyMost
	}
	out, err := process.Run(ctx, cmd, most, execGrace)
	if err != nil {
		return fmt.Errorf("%s: topic %s: %w", r.name, topic.Quote(t.m.Topic), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.deliverLocked(t.m, out); err != nil {
		r.stop(err)
		return errOutlet
	}
	r.ran++
	return nil
}

// deliverLocked publishes the output of a command as the reply to a request, or prints it.
func (r *runner) deliverLocked(m *mqtt.Message, out []byte) error {
	if r.replies && isRequest(m) {
		answer, err := mqtt.ReplyTo(m, &mqtt.Message{Payload: out})
		if err != nil {
			return nil // the response topic cannot be used: it is not a request
		}
		return r.j.publishReply(m.Topic, answer)
	}
	_, err := r.j.out.Write(out)
	return err
}

// leftOut warns once that a variable was left out.
func (r *runner) leftOut(name string) {
	r.mu.Lock()
	warned := r.left
	r.left = true
	r.mu.Unlock()
	if !warned {
		r.j.inv.Warnf("%s: %s is left out: its value is too long, or has a NUL byte", r.name, name)
	}
}

// variables returns what a command gets in its environment, and the name of a variable that
// cannot be in one, or "". The payload is never among them, nor in the arguments.
func variables(m *mqtt.Message, at time.Time) (env []string, left string) {
	add := func(name, value string) {
		name = "MQ_MESSAGE_" + name
		if len(name)+1+len(value) > variableMost || strings.IndexByte(value, 0) >= 0 {
			left = name
			return
		}
		env = append(env, name+"="+value)
	}
	add("TOPIC", m.Topic)
	add("QOS", strconv.Itoa(int(m.QoS)))
	add("RETAIN", strconv.FormatBool(m.Retain))
	add("DUP", strconv.FormatBool(m.Dup))
	add("TST", at.Format("2006-01-02T15:04:05.000000-07:00"))
	add("LEN", strconv.Itoa(len(m.Payload)))
	n := 0
	for level := range strings.SplitSeq(m.Topic, "/") {
		if n++; n > levelsMost {
			break
		}
		add("LEVEL_"+strconv.Itoa(n), level)
	}
	for _, p := range [...]struct {
		name string
		id   packet.PropertyID
	}{{"CONTENT_TYPE", packet.ContentType}, {"RESPONSE_TOPIC", packet.ResponseTopic}} {
		if b, has := m.Properties.Bytes(p.id); has {
			add(p.name, string(b))
		}
	}
	if b, has := m.Properties.Bytes(packet.CorrelationData); has {
		add("CORRELATION_DATA", base64.StdEncoding.EncodeToString(b))
	}
	if b := format.UserProperties(m.Properties); b != nil {
		add("USER_PROPERTIES", string(b))
	}
	return env, left
}
