package mqpub

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/connection"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/internal/wholefile"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// spool keeps the messages of a run, and those that earlier runs left, in a directory. The
// input puts messages into its queue while another goroutine sends them. While another
// process uses the queue, they go into the inbox, from where that process takes them.
type spool struct {
	dir   string
	owner owner

	options journal.QueueOptions

	ready chan struct{} // closed when what was in the inbox is in the queue
	end   chan struct{} // closed when the input has ended

	putting sync.Mutex     // held while queue, inbox and note are used
	queue   *journal.Queue // nil: another process uses it
	inbox   inbox
	note    spoolNote

	fresh chan struct{} // 1 slot: there are messages to sync
	room  context.Context
	full  context.CancelFunc // makes put fail instead of waiting for room
	lost  chan struct{}      // closed when the client has ended

	stuck bool // an undeliverable message has ended the client
}

// owner is what a spool belongs to: the session whose packet identifiers it knows.
type owner struct {
	broker string
	id     string
	qos    int // 0: each record has its own
}

// ownerFile is the name of the file that holds the owner.
const ownerFile = "owner"

const ownerFormat = "mqpub spool 1\nbroker %s\nid %s\nqos %d\n"

// ownerWait is how long a process waits for another one that has just begun to use a new
// spool, and has not written yet to whom it belongs.
const ownerWait = 5 * time.Second

// openSpool opens the spool of --spool, and makes the client use its session.
func (j *job) openSpool(ctx context.Context, mode string) (err error) {
	v := j.inv.Values
	policy, _ := journal.ParseSyncPolicy(v.Sync.Text()) // a choice
	s := &spool{dir: v.Spool.Text(), fresh: make(chan struct{}, 1), lost: make(chan struct{}), ready: make(chan struct{}), end: make(chan struct{})}
	s.options = journal.QueueOptions{Limit: v.SpoolSize.Int64(), LogOptions: journal.LogOptions{Sync: policy, Repair: v.Repair.On()}}
	s.inbox = inbox{dir: filepath.Join(s.dir, "in"), limit: s.options.Limit, sync: policy != journal.SyncNever, repair: s.options.Repair}
	s.room, s.full = context.WithCancel(context.Background())
	if err = os.Mkdir(s.dir, 0o700); err == nil {
		err = wholefile.SyncDir(filepath.Dir(s.dir))
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return s.failed(err)
	}
	handsOver := mode != "" && j.path == ""
	for began := time.Now(); ; {
		if err = j.attach(s); err == nil || handsOver && errors.Is(err, journal.ErrLogInUse) {
			err = j.readOwner(s, mode)
		}
		if !handsOver || !errors.Is(err, journal.ErrLogInUse) || time.Since(began) > ownerWait {
			break
		}
		select {
		case <-time.After(inboxInterval / 10):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err != nil {
		if s.queue != nil {
			_ = s.queue.Close() // nothing was put
		}
		return err
	}
	o := &j.conn.Options
	o.ClientID, o.NewClientID, o.Session.Resume, o.Session.Keep = s.owner.id, false, true, false
	if o.Session.Expiry == 0 {
		o.Session.Expiry = mqtt.Forever
	}
	o.DropProperties, o.InDoubt = true, j.inDoubt
	j.msg.QoS = packet.QoS(s.owner.qos)
	j.conn.Patient = true
	j.spool = s
	return nil
}

// attach opens the queue. The error matches journal.ErrLogInUse if another process has it
// open. s.putting must be held, or s not yet shared.
func (j *job) attach(s *spool) error {
	q, found, err := journal.OpenQueue(s.dir, s.options)
	if err != nil {
		return s.failed(err)
	}
	if found.Damaged > 0 {
		j.inv.Warnf("spool %q: removed %s from the first damaged record on; messages among them are lost", s.dir, units.Count(found.Damaged, "byte"))
	}
	if found.Torn > 0 {
		j.inv.Infof("spool %q: removed %s of a record that was not completely written", s.dir, units.Count(found.Torn, "byte"))
	}
	kept, err := parseTally(q.State())
	note, noteErr := parseNote(q.LastNote())
	if err = cmp.Or(err, noteErr); err != nil {
		_ = q.Close() // nothing was put
		return s.failed(err)
	}
	if kept != (tally{}) {
		_, text := (&report{tally: kept}).spoolVerdict()
		j.report.add(kept)
		j.inv.Warnf("spool %q: a run that was killed has left unreported: %s", s.dir, strings.Join(text, "; "))
	}
	j.report.keepIn(func(t tally) { q.SetState(t.encode()) })
	s.queue, s.note = q, note
	s.inbox.taken, s.inbox.n = note.taken, note.n
	j.conn.Options.Journal = q
	return nil
}

// failed returns the error for a spool that cannot be read or written.
func (s *spool) failed(err error) error { return cli.JournalError(fmt.Sprintf("spool %q", s.dir), err) }

// readOwner compares the run with the owner of the spool. A new spool gets one.
func (j *job) readOwner(s *spool, mode string) error {
	v := j.inv.Values
	s.owner = owner{broker: j.conn.Broker(), id: j.conn.Options.ClientID, qos: v.QoS.Int()}
	if j.conn.Options.NewClientID {
		s.owner.id = "" // none was given
	}
	path := filepath.Join(s.dir, ownerFile)
	b, err := os.ReadFile(path)
	if err == nil {
		old, err := parseOwner(string(b))
		if err != nil {
			return s.failed(fmt.Errorf("file %s: %w", ownerFile, err))
		}
		for _, c := range [...]struct {
			what      string
			was, wish string
		}{
			{"the broker", old.broker, s.owner.broker},
			{"the client ID", old.id, cmp.Or(s.owner.id, old.id)},
			{"QoS", strconv.Itoa(old.qos), strconv.Itoa(cmp.Or(s.owner.qos, old.qos))},
		} {
			if c.was != c.wish {
				return option.Usagef("spool %q belongs to %s %s, not %s", s.dir, c.what, c.was, c.wish).
					WithHint("use another directory, or send what is left first")
			}
		}
		s.owner = old
		return nil
	}
	switch {
	case !errors.Is(err, os.ErrNotExist):
		return s.failed(err)
	case s.queue == nil: // the other process has just begun, or has ended
		return s.failed(journal.ErrLogInUse)
	case s.queue.Len() > 0:
		return s.failed(errors.New("has messages, but not the file " + ownerFile))
	case mode == "":
		return option.Usagef("no message given, and spool %q is empty", s.dir).WithHint("pass -m TEXT, -f FILE, -l, ... (see --help)")
	case s.owner.qos == 0 && mode != "input":
		return option.Usagef("a spool needs QoS 1 or 2: messages at QoS 0 are not acknowledged").WithHint("add -q 1")
	case s.owner.id == "":
		s.owner.id = fmt.Sprintf("mqpub-%016x", rand.Uint64())
	}
	f, err := wholefile.Create(path, 0o600)
	if err == nil {
		if _, err = fmt.Fprintf(f, ownerFormat, strconv.Quote(s.owner.broker), strconv.Quote(s.owner.id), s.owner.qos); err == nil {
			if err = f.Commit(); err == nil {
				err = wholefile.SyncDir(s.dir)
			}
		} else {
			f.Discard()
		}
	}
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// parseOwner reads the owner of a spool.
func parseOwner(text string) (o owner, err error) {
	first, _, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(first, "mqpub spool ") && first != "mqpub spool 1" {
		return o, journal.ErrLogVersion
	}
	if _, err = fmt.Sscanf(text, strings.ReplaceAll(ownerFormat, "%s", "%q"), &o.broker, &o.id, &o.qos); err != nil || o.id == "" || o.qos < 0 || o.qos > 2 {
		return o, errors.New("not the owner of a spool")
	}
	return o, nil
}

// put adds a message to the queue.
func (j *job) put(m *mqtt.Message, number uint64) error {
	s := j.spool
	if m.QoS == 0 {
		j.report.invalid(fmt.Errorf("message %d: a spool needs QoS 1 or 2", number))
		return nil
	}
	p := packet.Publish{QoS: m.QoS, Retain: m.Retain, Topic: []byte(m.Topic), Properties: m.Properties, Payload: m.Payload}
	err := s.add(&p, j.place)
	var malformed *packet.Error
	switch {
	case err == nil:
		select {
		case s.fresh <- struct{}{}:
		default:
		}
		return nil
	case errors.Is(err, journal.ErrTooLarge), errors.Is(err, packet.ErrPacketTooLong), errors.Is(err, packet.ErrStringTooLong), errors.As(err, &malformed):
		j.report.invalid(fmt.Errorf("message %d: %w", number, err))
		return nil
	case errors.Is(err, context.Canceled):
		return cli.Failed(option.ExitQueued, fmt.Errorf("spool %q is full", s.dir))
	}
	return s.failed(err)
}

// add adds a message of the input to the queue or, while another process uses that, to the
// inbox. It waits for room until s.room ends.
func (s *spool) add(p *packet.Publish, place []byte) error {
	for {
		s.putting.Lock()
		switch {
		case s.queue == nil:
			err := s.inbox.add(p, time.Now())
			s.putting.Unlock()
			if !errors.Is(err, errInboxFull) {
				return err
			}
			select {
			case <-time.After(inboxInterval):
			case <-s.room.Done():
				return s.room.Err()
			}
		case !s.isReady():
			s.putting.Unlock()
			select {
			case <-s.ready:
			case <-s.room.Done():
				return s.room.Err()
			}
		default:
			defer s.putting.Unlock()
			var note []byte
			if place != nil {
				s.note.place = append(s.note.place[:0], place...)
				note = s.note.encode()
			}
			_, err := s.queue.Put(s.room, p, note)
			return err
		}
	}
}

func (s *spool) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// inboxInterval is how often a process looks whether others have left messages, or whether it
// can use the queue itself.
const inboxInterval = 200 * time.Millisecond

// collect takes what other processes leave in the inbox, until the input has ended.
func (j *job) collect() error {
	s := j.spool
	for ended := false; ; {
		s.putting.Lock()
		err := s.inbox.take(func(p *packet.Publish, stored time.Time) error {
			if len(p.Properties) > 0 && !j.age(p, time.Since(stored)) {
				return nil
			}
			s.note.taken, s.note.n = s.inbox.taken, s.inbox.n
			_, err := s.queue.Put(s.room, p, s.note.encode())
			return err
		}, s.queue.Sync)
		damaged := s.inbox.damaged
		s.inbox.damaged = 0
		s.putting.Unlock()
		if damaged > 0 {
			j.inv.Warnf("spool %q: removed %s of damaged messages that other processes have left", s.dir, units.Count(damaged, "byte"))
		}
		switch {
		case errors.Is(err, context.Canceled):
			return nil // the rest stays
		case err != nil:
			return s.failed(err)
		}
		if !s.isReady() {
			close(s.ready)
		}
		if ended {
			return nil
		}
		select {
		case <-time.After(inboxInterval):
		case <-s.end:
			ended = true
		}
	}
}

// takeOver waits until the process that uses the queue has ended, and opens the queue. It
// returns false if the input has ended before: then its messages are in the inbox.
func (j *job) takeOver() (bool, error) {
	s := j.spool
	for ended := false; ; {
		s.putting.Lock()
		err := s.inbox.flush()
		if err == nil {
			err = j.attach(s)
		} else {
			err = s.failed(err)
		}
		s.putting.Unlock()
		if !errors.Is(err, journal.ErrLogInUse) {
			return err == nil, err
		}
		if ended {
			return false, nil
		}
		select {
		case <-time.After(inboxInterval):
		case <-s.end:
			ended = true
		}
	}
}

// sync makes what was put durable.
func (s *spool) sync() error {
	s.putting.Lock()
	q := s.queue
	if q == nil {
		defer s.putting.Unlock()
		return s.inbox.flush()
	}
	s.putting.Unlock() // a batch is what is put while the one before it is written
	return q.Sync()
}

// putOnce puts the message for every topic, as often as --repeat says.
func (j *job) putOnce(ctx context.Context) error {
	n, delay := j.inv.Values.Repeat.Int64(), j.inv.Values.RepeatDelay.Duration()
	for i := int64(0); i < n; i++ {
		if i > 0 && !j.pause(ctx, delay) {
			return nil
		}
		if err := j.toTopics(ctx, uint64(i+1)); err != nil {
			return err
		}
	}
	return nil
}

// syncing makes the queue durable whenever something was put. A batch is what comes while
// the one before it is written.
func (s *spool) syncing(done <-chan struct{}) {
	for {
		select {
		case <-s.fresh:
			if s.sync() != nil { // the next call has the same error
				return
			}
		case <-done:
			return
		}
	}
}

// publishSpooled sends what is in the spool, and what feed adds to it.
func (j *job) publishSpooled(ctx context.Context, feed func(context.Context) error, streams bool) error {
	s, o := j.spool, &j.conn.Options
	o.PublishOnly, o.Undeliverable, o.OnEvent = true, j.disposition, j.report.event
	more, fed := context.WithCancel(context.WithoutCancel(ctx)) // done when nothing more will be put
	defer fed()
	var feedErr error
	feeding, settled := make(chan struct{}), make(chan struct{})
	var collectErr error
	go s.syncing(feeding)
	go func() {
		defer close(feeding)
		defer fed()
		feedErr = feed(ctx)
		j.report.inputUnread = streams && (ctx.Err() != nil || feedErr != nil)
		close(s.end)
		<-settled
		if err := s.sync(); err != nil && feedErr == nil {
			feedErr = s.failed(err)
		}
		feedErr = cmp.Or(feedErr, collectErr)
	}()
	if s.queue == nil {
		undo := context.AfterFunc(ctx, s.full)
		over, err := j.takeOver()
		if undo(); !over {
			s.full()
			close(settled)
			<-feeding
			return j.spoolEnd(ctx, mqtt.Stats{}, cmp.Or(err, feedErr))
		}
	}
	go func() {
		defer close(settled)
		if collectErr = j.collect(); collectErr != nil {
			s.full() // the input fails
		}
	}()
	client, err := j.conn.Connect(ctx, true)
	if err != nil {
		s.full()
		<-feeding
		if feedErr != nil && ctx.Err() == nil {
			j.inv.Errorf("%v", err)
			err = feedErr
		}
		return j.spoolEnd(ctx, mqtt.Stats{}, err)
	}
	j.client = client
	if client.Version() == packet.V31 {
		j.inv.Warnf("MQTT 3.1 does not report a lost session: messages may be delivered twice")
	}
	j.inv.Service.Ready()
	stop := context.AfterFunc(ctx, fed)
	defer stop()
	go func() {
		<-client.Done()
		close(s.lost)
		s.full()
		fed()
	}()
	err = j.sendQueued(ctx, more)
	if ctx.Err() != nil {
		j.inv.Service.Stopping()
		s.full()
	}
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	drained := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(drained)
		j.drain(ctx, last, cancel)
	})
	if flushErr := j.waitFeedingWatchdog(last, client.Flush); err == nil && flushErr != nil && ctx.Err() == nil {
		if err = j.conn.OperationError(flushErr); client.Err() != nil {
			err = j.clientEnded(client.Err())
		}
	}
	empty := ctx.Err() == nil && err == nil && s.queue.Len() == 0
	ends := empty && !j.inv.Values.DisableCleanSession.On() && !j.inv.Values.SessionExpiryInterval.IsSet()
	closeErr := client.Close(last, j.conn.Properties.Bye, func(bye *packet.Disconnect) {
		if _, has := bye.Properties.Uint(packet.SessionExpiryInterval); ends && !has {
			bye.Properties, _ = append(packet.Properties(nil), bye.Properties...).AppendUint(packet.SessionExpiryInterval, 0)
		}
	})
	if ends && client.Version() < packet.V5 {
		j.conn.DiscardSession(client)
	}
	if cancel(); !undo() {
		<-drained // it may be printing
	}
	<-feeding
	if connection.Disapproved(closeErr) && err == nil {
		err = j.conn.OperationError(closeErr)
	}
	return j.spoolEnd(ctx, client.Stats(), cmp.Or(err, feedErr))
}

// sendQueued gives the client the messages of the queue until more is done and none is
// left, ctx ends or the client does.
func (j *job) sendQueued(ctx, more context.Context) error {
	q := j.spool.queue
	m, warned := mqtt.Message{}, false
	for {
		var p packet.Publish
		var tag uint64
		var stored time.Time
		err := j.waitFeedingWatchdog(more, func(ctx context.Context) (err error) {
			tag, stored, err = q.Next(ctx, &p)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && more.Err() != nil:
			if cause := j.client.Err(); cause != nil {
				return j.clientEnded(cause)
			}
			return nil
		case err != nil:
			return j.spool.failed(err)
		}
		if len(p.Properties) > 0 {
			if !j.age(&p, time.Since(stored)) {
				q.Drop(tag)
				continue
			}
			if j.client.Version() < packet.V5 && !warned {
				warned = true
				j.inv.Warnf("properties are omitted: the connection uses MQTT %s", j.client.Version())
			}
		}
		if m.Topic != string(p.Topic) {
			m.Topic = string(p.Topic)
		}
		m.QoS, m.Retain, m.Payload, m.Properties = p.QoS, p.Retain, p.Payload, p.Properties
		err = j.waitFeedingWatchdog(ctx, func(ctx context.Context) error { return j.client.Send(ctx, &m, tag) })
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case j.client.Err() != nil:
			return j.clientEnded(j.client.Err())
		default:
			j.report.rejected(tag, err)
			q.Drop(tag)
		}
	}
}

// clientEnded returns the error for the end of the client.
func (j *job) clientEnded(cause error) error {
	if u := asUndeliverable(cause); u != nil {
		j.spool.stuck = true
		return errors.New(describe(u))
	}
	if errors.Is(cause, mqtt.ErrJournal) {
		return j.spool.failed(cause)
	}
	return j.conn.OperationError(cause)
}

// age reduces the message expiry interval by the time in the queue. It returns false if the
// message has expired, and counts it.
func (j *job) age(p *packet.Publish, waited time.Duration) bool {
	left, has := p.Properties.Uint(packet.MessageExpiryInterval)
	if !has {
		return true
	}
	seconds := uint32(max(waited, 0) / time.Second)
	if seconds >= left {
		j.report.add(tally{expired: 1})
		return false
	}
	p.Properties, _ = p.Properties.Without(nil, packet.MessageExpiryInterval).AppendUint(packet.MessageExpiryInterval, left-seconds)
	return true
}

// inDoubt is the client's InDoubt.
func (j *job) inDoubt(tag uint64, name string) bool {
	resend := j.inv.Values.InDoubt.Text() != "skip"
	what := "is sent again and may arrive twice"
	if resend {
		j.report.add(tally{resent: 1})
	} else {
		j.report.add(tally{skipped: 1})
		what = "is not sent again and may not have arrived"
	}
	j.report.print(fmt.Errorf("message %d (topic %s) %s: the broker lost the session", tag, topic.Quote(name), what))
	return resend
}

// spoolEnd closes the spool and returns the error of the run, given what ended it.
func (j *job) spoolEnd(ctx context.Context, st mqtt.Stats, err error) error {
	s := j.spool
	code, text := j.report.spoolVerdict()
	var waiting int
	var where string
	if s.queue == nil {
		waiting, where = s.inbox.handed, ", which another process sends"
	} else {
		waiting, err = s.close(code != 0, err)
	}
	if s.stuck {
		code = cmp.Or(code, option.ExitLost)
	}
	if waiting > 0 {
		text = append(text, fmt.Sprintf("%s queued in %s%s", units.Count(waiting, "message"), s.dir, where))
		code = cmp.Or(code, option.ExitQueued)
	}
	if j.report.inputUnread {
		text = append(text, "the rest of the input was not read")
	}
	cause := context.Cause(ctx)
	switch {
	case ctx.Err() != nil && errors.Is(cause, cli.ErrTimeout):
		timeout := j.inv.TimedOut(strings.Join(append(text, units.Count(st.Sent, "message")+" sent"), "; "))
		return cli.Failed(cmp.Or(code, option.ExitTimeLimit), timeout)
	case ctx.Err() != nil && code == 0:
		return cause
	case ctx.Err() != nil:
		return cli.Failed(code, fmt.Errorf("%w: %s", cause, strings.Join(text, "; ")))
	case code == 0:
		return err
	case err != nil && !errors.Is(err, context.Canceled):
		if local := cli.CodeOf(ctx, err); local == option.ExitLocalIO || local == option.ExitUsage {
			code = local
		}
		j.inv.Errorf("%v", err)
	}
	exit := &cli.Exit{Code: code, Err: errors.New(strings.Join(text, "; "))}
	if s.stuck {
		exit.Help = "--on-undeliverable skip goes on without it, wait keeps trying"
	}
	return exit
}

// close closes the queue, and returns the number of messages that are left in the spool, and
// what ended the run. If the verdict of the run is reported, the spool need not keep it.
func (s *spool) close(reported bool, err error) (waiting int, _ error) {
	waiting = s.queue.Len()
	if reported {
		s.queue.SetState(nil)
	}
	if closeErr := s.queue.Close(); closeErr != nil {
		err = s.failed(closeErr)
		// The disk has less than was put.
		if q, _, openErr := journal.OpenQueue(s.dir, journal.QueueOptions{}); openErr == nil {
			waiting = q.Len()
			_ = q.Close() // it was only read
		}
	}
	// A process that still found the queue in use has left its messages before.
	left, leftErr := s.inbox.left()
	return waiting + left, cmp.Or(err, leftErr)
}

// spoolVerdict returns the exit code for the messages that were not delivered exactly once,
// and says how many there are. The code is 0 if there are none.
func (r *report) spoolVerdict() (code int, text []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lost+r.expired+r.resent+r.skipped > 0:
		code = option.ExitLost
	case r.denied > 0:
		code = option.ExitDenied
	case r.unsendable > 0:
		code = option.ExitLocalIO
	}
	for _, part := range [...]struct {
		n    uint64
		what string
	}{
		{r.denied, "refused"}, {r.lost, "undeliverable"}, {r.unsendable, "invalid"}, {r.expired, "expired while waiting"},
		{r.resent, "sent again after the broker lost the session (may arrive twice)"},
		{r.skipped, "not sent again after the broker lost the session (may not have arrived)"},
	} {
		if part.n > 0 {
			text = append(text, units.Count(part.n, "message")+" "+part.what)
		}
	}
	return code, text
}

// encode returns the tally as a spool keeps it.
func (t tally) encode() (b []byte) {
	for _, n := range t.counts() {
		b = binary.AppendUvarint(b, *n)
	}
	return b
}

// parseTally is the reverse of encode. A spool that keeps nothing has an empty tally.
func parseTally(b []byte) (t tally, err error) {
	if len(b) == 0 {
		return t, nil
	}
	for _, n := range t.counts() {
		v, k := binary.Uvarint(b)
		if k <= 0 {
			return tally{}, errors.New("what it keeps of earlier runs is damaged")
		}
		*n, b = v, b[k:]
	}
	return t, nil
}
