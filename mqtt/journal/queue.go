package journal

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// QueueOptions configures a Queue. The zero value is ready to use.
type QueueOptions struct {
	LogOptions
	// Limit is the number of bytes on disk at which Put waits. The default is
	// 1 GiB; less than 1 MiB counts as 1 MiB.
	Limit int64
}

// Queue is a queue of messages to be published, on disk, and the Journal of the
// client that publishes them. Put adds messages, Next returns the first that
// the client has not accepted yet, and the client, with the queue as
// Options.Journal, records in it what becomes of each. The tag of a message,
// which the owner gives to Send, is its place in the queue. So no message is
// lost or, at QoS 2, sent twice when the program ends at any moment.
//
// Put and Next may be used by one goroutine each, with the client's calls at the
// same time.
type Queue struct {
	log *Log
	opt QueueOptions

	syncing sync.Mutex // held by Sync

	mu      sync.Mutex
	news    chan struct{} // closed, and replaced, when Put or Next may go on
	open    map[uint16]sending
	order   uint64            // counts what was sent
	cleared map[uint64]uint16 // tags that the client has taken back to send them again, with their old identifiers
	again   []uint64          // tags that an earlier program has taken back, ascending
	sent    uint64            // no later message was sent
	waiting int               // messages that are not finished
	over    int               // messages that were finished since the last Trim
	blocked bool              // Put waits for room
	note    []byte            // of the last message that had one
	state   []byte            // the owner's
	changes []byte            // encoded, since the last Sync
	failed  error

	ahead *Cursor // of Next
	head  entry   // what Next returns until it is sent
	back  *Cursor // of Next for messages of again
}

// sending is a message that was sent and is not finished.
type sending struct {
	tag      uint64
	order    uint64
	version  packet.Version
	received bool // by the peer, at QoS 2
}

// entry is a message as Next returns it.
type entry struct {
	tag    uint64
	stored time.Time
	packet []byte
}

// The kinds of records in the log of a Queue: their first byte. A message
// continues with the length of its note, the note, the time in milliseconds
// since 1970 in 8 bytes, and a PUBLISH of MQTT 5.0.
const (
	queueMessage = 3
	queueChanges = 4
)

// changeDropped is the encoded kind for a message that is finished without
// having been sent. Its tag is in the place of a packet.
const changeDropped Kind = 101

// changeState is the encoded kind for the owner's state, and changeLastNote that for the
// last note: the length and the bytes follow.
const (
	changeState    Kind = 102
	changeLastNote Kind = 103
)

// ErrTooLarge is the error of Put for a message that does not fit.
var ErrTooLarge = errors.New("the message is larger than the queue may be")

// OpenQueue opens the queue in a directory, which must exist; an empty
// directory becomes an empty queue. Its errors are those of OpenLog.
func OpenQueue(dir string, opt QueueOptions) (*Queue, Recovery, error) {
	return openQueue(directory(dir), opt)
}

func openQueue(fs fileSystem, opt QueueOptions) (*Queue, Recovery, error) {
	if opt.Limit == 0 {
		opt.Limit = 1 << 30
	}
	opt.Limit = max(opt.Limit, 1<<20)
	if opt.SegmentSize <= 0 { // only whole segments are freed
		opt.SegmentSize = min(opt.Limit/16, 8<<20)
	}
	log, found, err := openLog(fs, opt.LogOptions)
	if err != nil {
		return nil, found, err
	}
	q := &Queue{log: log, opt: opt, news: make(chan struct{}), open: map[uint16]sending{}, cleared: map[uint64]uint16{}}
	if err = log.Range(0, q.replay); err != nil {
		_ = log.Close() // nothing was appended
		return nil, found, err
	}
	for _, s := range q.open { // a message that was removed was finished
		if s.tag < log.first() {
			_ = log.Close() // nothing was appended
			return nil, found, errMissing(s.tag)
		}
	}
	q.again = slices.Sorted(maps.Keys(q.cleared))
	clear(q.cleared)
	q.ahead, q.back = log.Cursor(max(q.sent+1, log.first())), log.Cursor(0)
	return q, found, nil
}

// replay applies a record of the log.
func (q *Queue) replay(seq uint64, data []byte) error {
	kind := byte(0)
	if len(data) > 0 {
		kind = data[0]
	}
	switch kind {
	case queueMessage:
		note, _, err := parseEntry(data)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if len(note) > 0 {
			q.note = append(q.note[:0], note...)
		}
		q.waiting++
		return nil
	case queueChanges:
		for data = data[1:]; len(data) > 0; {
			r, n, err := decodeQueueChange(data)
			if err != nil {
				return fmt.Errorf("record %d: %w", seq, err)
			}
			data = data[n:]
			q.apply(&r)
		}
		return nil
	}
	return fmt.Errorf("record %d: %w", seq, errChange)
}

// parseEntry takes a message record apart; the results are parts of it.
func parseEntry(data []byte) (note []byte, e entry, err error) {
	n, k := binary.Uvarint(data[1:])
	if k <= 0 || n > uint64(len(data)) || uint64(len(data)) < 1+uint64(k)+n+8 {
		return nil, e, errors.New("not a message")
	}
	data = data[1+k:]
	note, data = data[:n], data[n:]
	e.stored = time.UnixMilli(int64(binary.BigEndian.Uint64(data)))
	e.packet = data[8:]
	return note, e, nil
}

// decodeQueueChange is decodeChange for the changes of a queue.
func decodeQueueChange(b []byte) (r Record, n int, err error) {
	switch Kind(b[0]) {
	case changeState, changeLastNote:
		size, k := binary.Uvarint(b[1:])
		if k <= 0 || size > uint64(len(b)-1-k) {
			return r, 0, errChange
		}
		n = 1 + k + int(size)
		return Record{Kind: Kind(b[0]), Packet: b[1+k : n]}, n, nil
	case changeDropped:
	default:
		if r, n, err = decodeChange(b); err == nil && r.Kind == changeNote {
			err = errChange
		}
		return r, n, err
	}
	tag, k := binary.Uvarint(b[1:])
	if k <= 0 {
		return r, 0, errChange
	}
	return Record{Kind: changeDropped, Tag: tag}, 1 + k, nil
}

// apply makes a change to the state. q.mu must be held once the queue is open.
func (q *Queue) apply(r *Record) {
	switch r.Kind {
	case Sent:
		q.order++
		q.open[r.PacketID] = sending{tag: r.Tag, order: q.order, version: r.Version}
		q.sent = max(q.sent, r.Tag)
		q.takeBack(r.Tag)
	case Received:
		if s, ok := q.open[r.PacketID]; ok {
			s.received = true
			q.open[r.PacketID] = s
		}
	case Done:
		if s, ok := q.open[r.PacketID]; ok {
			delete(q.open, r.PacketID)
			q.finished(s.tag)
		}
	case Cleared:
		for id, s := range q.open {
			q.cleared[s.tag] = id
		}
		clear(q.open)
	case changeDropped:
		q.sent = max(q.sent, r.Tag)
		q.takeBack(r.Tag)
		q.finished(r.Tag)
	case changeState:
		q.state = append(q.state[:0], r.Packet...)
	case changeLastNote:
		q.note = append(q.note[:0], r.Packet...)
	}
}

// takeBack removes a tag from those that are to be sent again.
func (q *Queue) takeBack(tag uint64) {
	delete(q.cleared, tag)
	if i, ok := slices.BinarySearch(q.again, tag); ok {
		q.again = slices.Delete(q.again, i, i+1)
	}
}

// finished counts a message that needs nothing more.
func (q *Queue) finished(tag uint64) {
	if tag >= q.log.first() { // otherwise it was removed before the queue was opened
		q.waiting--
		q.over++
	}
}

// Put adds a message at QoS 1 or 2 to the queue, with a note of the owner's
// that LastNote returns if this message is the last. The packet identifier and
// DUP have no effect. Put waits for room until ctx ends. The message is in the
// queue for good when a Sync that began later has succeeded, and Next may
// return it before. p and note are not kept.
func (q *Queue) Put(ctx context.Context, p *packet.Publish, note []byte) (tag uint64, err error) {
	m := *p
	m.Dup, m.PacketID = false, 1
	b := make([]byte, 0, 32+len(note)+m.Size(packet.V5))
	b = binary.AppendUvarint(append(b, queueMessage), uint64(len(note)))
	b = binary.BigEndian.AppendUint64(append(b, note...), uint64(time.Now().UnixMilli()))
	if b, err = m.AppendTo(b, packet.V5); err != nil {
		return 0, err
	}
	if int64(len(b)) > q.opt.Limit/2 {
		return 0, ErrTooLarge
	}
	if q.log.unwritten() >= int(q.opt.SegmentSize) {
		if err := q.Sync(); err != nil {
			return 0, err
		}
	}
	for q.full(len(b)) != nil {
		if err := q.Sync(); err != nil { // frees what is finished, and shows Next what is new
			return 0, err
		}
		news := q.full(len(b))
		if news == nil {
			break
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if tag, err = q.log.Append(b); err != nil {
		return 0, err
	}
	q.waiting++
	if len(note) > 0 {
		q.note = append(q.note[:0], note...)
	}
	return tag, nil
}

// full returns nil if the queue has room for n bytes, and otherwise a channel
// that is closed when there may be room.
func (q *Queue) full(n int) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.blocked = q.waiting > 0 && q.log.Size()+int64(n) > q.opt.Limit; q.blocked {
		return q.news
	}
	return nil
}

// wakeLocked wakes Put and Next.
func (q *Queue) wakeLocked() {
	close(q.news)
	q.news = make(chan struct{})
}

// LastNote returns a copy of the note of the last message that had one, or nil.
func (q *Queue) LastNote() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.note)
}

// Len returns the number of messages that are not finished.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// SetState keeps a copy of a few bytes of the owner's, which replace those of an
// earlier call, for State. They are as durable as what the client appends after
// them, or more.
func (q *Queue) SetState(state []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.apply(&Record{Kind: changeState, Packet: state})
	q.appendBytesLocked(changeState, state)
}

// State returns a copy of what SetState has kept last, in this process or before.
func (q *Queue) State() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.state)
}

func (q *Queue) appendBytesLocked(kind Kind, b []byte) {
	q.changes = binary.AppendUvarint(append(q.changes, byte(kind)), uint64(len(b)))
	q.changes = append(q.changes, b...)
}

// Next returns the first message that was not sent and the time when it was
// put; it returns the same one again until the client has accepted it or Drop
// was called. It waits for a message until ctx ends. p and all it refers to are
// valid until the next call.
func (q *Queue) Next(ctx context.Context, p *packet.Publish) (tag uint64, stored time.Time, err error) {
	for {
		q.mu.Lock()
		c, from, news, again := q.ahead, q.sent+1, q.news, len(q.again) > 0
		if again {
			c, from = q.back, q.again[0]
		}
		q.mu.Unlock()
		if q.head.tag < from || again && q.head.tag > from {
			if err := q.head.read(c, from); err != nil {
				return 0, stored, err
			}
		}
		switch {
		case q.head.tag == from, q.head.tag > from && !again:
			return q.head.tag, q.head.stored, q.head.parse(p)
		case again:
			return 0, stored, errMissing(from)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return 0, stored, ctx.Err()
		}
	}
}

// read reads the first message from a tag on, if it was written.
func (e *entry) read(c *Cursor, from uint64) error {
	for {
		seq, data, ok, err := c.Next()
		if err != nil || !ok {
			return err
		}
		if seq < from || data[0] != queueMessage {
			continue
		}
		if _, *e, err = parseEntry(data); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		e.tag = seq
		return nil
	}
}

// parse parses the message; the result refers to the entry.
func (e *entry) parse(p *packet.Publish) error {
	f, n, err := packet.Split(e.packet, packet.V5, 0)
	if err == nil && n != len(e.packet) {
		err = errMessage
	}
	if err == nil {
		err = p.Parse(f, packet.V5)
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", e.tag, err)
	}
	return nil
}

var errMessage = errors.New("not a message")

func errMissing(tag uint64) error { return fmt.Errorf("message %d is missing", tag) }

// Drop finishes a message that Next has returned, without sending it.
func (q *Queue) Drop(tag uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changes = binary.AppendUvarint(append(q.changes, byte(changeDropped)), tag)
	q.apply(&Record{Kind: changeDropped, Tag: tag})
}

// Append implements Journal.
func (q *Queue) Append(r Record) {
	if r.Kind == Arrived || r.Kind == Released { // the client does not subscribe
		return
	}
	r.Packet = nil // the queue has the message
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.Kind == Done {
		if _, ok := q.open[r.PacketID]; !ok {
			return
		}
	}
	q.changes = appendChange(q.changes, &r)
	q.apply(&r)
	if q.waiting == 0 || q.blocked && q.over >= trimAfter {
		q.wakeLocked()
	}
}

// Sync implements Journal: all messages and changes so far are as durable as
// the policy says. An error is final.
func (q *Queue) Sync() error {
	q.syncing.Lock()
	defer q.syncing.Unlock()
	q.mu.Lock()
	if q.failed != nil {
		defer q.mu.Unlock()
		return q.failed
	}
	needed, trim := uint64(0), q.over >= trimAfter || q.blocked && q.over > 0
	if trim { // the records that have them may be removed
		if len(q.state) > 0 {
			q.appendBytesLocked(changeState, q.state)
		}
		if len(q.note) > 0 {
			q.appendBytesLocked(changeLastNote, q.note)
		}
	}
	if len(q.changes) > 0 {
		block := append([]byte{queueChanges}, q.changes...)
		q.changes = q.changes[:0]
		_, q.failed = q.log.Append(block)
	}
	if trim {
		needed, q.over = q.neededLocked(), 0
	}
	err := q.failed
	q.mu.Unlock()
	if err == nil {
		err = q.log.Sync()
	}
	if err == nil && trim {
		err = q.log.Trim(needed)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = err
	q.wakeLocked()
	return err
}

// trimAfter is how many messages are finished before the log is trimmed.
const trimAfter = 1024

// neededLocked returns the tag from which on the log is needed: of the oldest
// message that is not finished.
func (q *Queue) neededLocked() uint64 {
	needed := q.sent + 1
	for _, s := range q.open {
		needed = min(needed, s.tag)
	}
	for tag := range q.cleared {
		needed = min(needed, tag)
	}
	if len(q.again) > 0 {
		needed = min(needed, q.again[0])
	}
	return needed
}

// Load implements Journal.
func (q *Queue) Load(yield func(Record) error) error {
	type place struct {
		id uint16
		sending
	}
	var all []place
	q.mu.Lock()
	for id, s := range q.open {
		all = append(all, place{id, s})
	}
	q.mu.Unlock()
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.order, b.order) })
	c := q.log.Cursor(0)
	var b []byte
	var e entry
	var p packet.Publish
	var err error
	for _, s := range all {
		if c.seq > s.tag { // a message that was sent again comes behind later ones
			c = q.log.Cursor(s.tag)
		}
		if err := e.read(c, s.tag); err != nil {
			return err
		}
		if e.tag != s.tag {
			return errMissing(s.tag)
		}
		if err := e.parse(&p); err != nil {
			return err
		}
		p.PacketID = s.id
		if s.version < packet.V5 {
			p.Properties = nil
		}
		if b, err = p.AppendTo(b[:0], s.version); err != nil {
			return fmt.Errorf("message %d: %w", s.tag, err)
		}
		r := Record{Kind: Sent, PacketID: s.id, Tag: s.tag, Version: s.version, Packet: b}
		if s.received {
			r.Kind = Received
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// Close writes the last changes and closes the files.
func (q *Queue) Close() error {
	err := q.Sync()
	if closeErr := q.log.Close(); err == nil {
		err = closeErr
	}
	return err
}
