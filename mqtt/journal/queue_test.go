package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// ended is a context for calls that must not wait.
var ended, _ = context.WithTimeout(context.Background(), -1)

func put(q *Queue, n int) (uint64, error) {
	text := strconv.Itoa(n)
	return q.Put(ended, &packet.Publish{QoS: 2, Topic: []byte("t"), Payload: []byte(text)}, []byte(text))
}

// loaded returns the payloads of the messages that a queue restores, by packet
// identifier.
func loaded(t *testing.T, q *Queue) (numbers []int, ids map[uint16]int) {
	t.Helper()
	ids = map[uint16]int{}
	err := q.Load(func(r Record) error {
		f, n, err := packet.Split(r.Packet, r.Version, 0)
		var p packet.Publish
		if err == nil {
			err = p.Parse(f, r.Version)
		}
		if err != nil || n != len(r.Packet) || p.PacketID != r.PacketID || p.QoS != 2 || p.Dup {
			t.Fatalf("restored %+v: %v", p, err)
		}
		number, _ := strconv.Atoi(string(p.Payload))
		numbers = append(numbers, number)
		ids[r.PacketID] = number
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers, ids
}

// drained returns the payloads that Next returns, in order.
func drained(t *testing.T, q *Queue) (numbers []int) {
	t.Helper()
	for {
		var p packet.Publish
		tag, _, err := q.Next(ended, &p)
		if errors.Is(err, context.DeadlineExceeded) {
			return numbers
		}
		if err != nil {
			t.Fatal(err)
		}
		number, _ := strconv.Atoi(string(p.Payload))
		numbers = append(numbers, number)
		q.Drop(tag)
	}
}

// world is what the messages of a queue went through in the lives of several
// programs.
type world struct {
	t       *testing.T
	r       *rand.Rand
	put     int          // number of the last message
	safe    map[int]bool // put, and a later Sync succeeded
	sent    map[int]bool // sent, and a later Sync succeeded: it may be on the network
	over    map[int]bool // finished, or about to be when the program ended
	nextID  uint16
	unsynct []int // put or sent since the last Sync
	unsent  []int
	state   int // of the owner: how often the session was lost
	kept    int // the state at the last Sync, or opening, that succeeded
}

// check compares what a queue holds after a crash with what it must hold.
func (w *world) check(d *disk, opt QueueOptions) {
	w.t.Helper()
	d = d.killed()
	q, _, err := openQueue(d, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	waiting := q.Len()
	open, _ := loaded(w.t, q)
	queued := drained(w.t, q)
	if waiting != len(open)+len(queued) {
		w.t.Fatalf("%d messages wait, but %d are open and %d queued", waiting, len(open), len(queued))
	}
	if !slices.IsSorted(queued) {
		w.t.Fatalf("queued out of order: %v", queued)
	}
	seen := map[int]bool{}
	for _, n := range slices.Concat(open, queued) {
		if seen[n] || n == 0 || n > w.put {
			w.t.Fatalf("message %d is there twice, or from nowhere: open %v, queued %v", n, open, queued)
		}
		seen[n] = true
	}
	for n := range w.safe {
		if !seen[n] && !w.over[n] {
			w.t.Fatalf("message %d is lost: open %v, queued %v", n, open, queued)
		}
	}
	for _, n := range queued {
		if w.sent[n] {
			w.t.Fatalf("message %d would be sent as new again: open %v, queued %v", n, open, queued)
		}
	}
	note, _ := strconv.Atoi(string(q.LastNote()))
	for _, n := range slices.Concat(slices.Collect(maps.Keys(w.safe)), queued) {
		if note < n {
			w.t.Fatalf("the note is of message %d, but message %d was kept", note, n)
		}
	}
	state, _ := strconv.Atoi(string(q.State()))
	if state < w.kept || state > w.state {
		w.t.Fatalf("the state is %d; it was set to %d before the last Sync, and to %d after it", state, w.kept, w.state)
	}
}

// live uses a queue as a client does, until a call fails.
func (w *world) live(q *Queue) {
	_, ids := loaded(w.t, q)
	w.kept, _ = strconv.Atoi(string(q.State())) // opening has made durable what it found
	w.state = w.kept
	for id := range ids {
		w.nextID = max(w.nextID, id)
	}
	received := map[uint16]bool{}
	sync := func() bool {
		if q.Sync() != nil {
			return false
		}
		for _, n := range w.unsynct {
			w.safe[n] = true
		}
		for _, n := range w.unsent {
			w.sent[n] = true
		}
		w.unsynct, w.unsent, w.kept = nil, nil, w.state
		return true
	}
	for range 40 {
		switch w.r.IntN(8) {
		case 0, 1, 2:
			for range w.r.IntN(4) {
				if _, err := put(q, w.put+1); err != nil {
					return
				}
				w.put++
				w.unsynct = append(w.unsynct, w.put)
			}
		case 3, 4:
			var p packet.Publish
			tag, _, err := q.Next(ended, &p)
			if errors.Is(err, context.DeadlineExceeded) {
				break
			}
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(string(p.Payload))
			if w.r.IntN(8) == 0 {
				w.over[n] = true
				q.Drop(tag)
				break
			}
			w.nextID++
			q.Append(Record{Kind: Sent, PacketID: w.nextID, Tag: tag, Version: packet.V311 + packet.Version(w.r.IntN(2))})
			ids[w.nextID] = n
			w.unsent = append(w.unsent, n)
		case 5:
			for id := range ids {
				q.Append(Record{Kind: Received, PacketID: id})
				received[id] = true
				break
			}
		case 6:
			for id, n := range ids {
				w.over[n] = true
				q.Append(Record{Kind: Done, PacketID: id})
				delete(ids, id)
				break
			}
		case 7:
			if w.r.IntN(4) > 0 {
				break
			}
			// The session is lost, and all is sent again under new identifiers. Until that is durable,
			// a restart may send it as new.
			w.state++
			q.SetState([]byte(strconv.Itoa(w.state)))
			q.Append(Record{Kind: Cleared})
			fresh := map[uint16]int{}
			for _, n := range ids {
				delete(w.sent, n)
			}
			open := slices.Collect(maps.Values(ids))
			w.unsent = slices.DeleteFunc(w.unsent, func(n int) bool { return slices.Contains(open, n) })
			for _, id := range slices.Sorted(maps.Keys(ids)) {
				if w.r.IntN(2) == 0 && !sync() { // of the client's writer
					return
				}
				n := ids[id]
				w.unsent = append(w.unsent, n)
				w.nextID++
				fresh[w.nextID] = n
				q.Append(Record{Kind: Sent, PacketID: w.nextID, Tag: w.tagOf(q, id), Version: packet.V5})
			}
			ids = fresh
		}
		if w.r.IntN(2) == 0 && !sync() {
			return
		}
	}
}

// tagOf returns the tag of a message that the queue has taken back.
func (w *world) tagOf(q *Queue, id uint16) uint64 {
	for tag, old := range q.cleared {
		if old == id {
			return tag
		}
	}
	w.t.Fatalf("the message under %d was not taken back", id)
	return 0
}

func TestAQueueSurvivesCrashes(t *testing.T) {
	t.Parallel()
	trimmed := 0
	for seed := range uint64(1500) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			w := &world{t: t, r: r, safe: map[int]bool{}, sent: map[int]bool{}, over: map[int]bool{}}
			d := newDisk()
			opt := QueueOptions{LogOptions: LogOptions{SegmentSize: 400}}
			for range 5 {
				d.calls, d.failAt, d.failure, d.torn = 0, 1+r.IntN(80), errDisk, r.IntN(2) == 0
				if q, _, err := openQueue(d, opt); err == nil {
					q.over = trimAfter // trims soon
					w.live(q)
					if q.log.first() > 1 {
						trimmed++
					}
				} else if !errors.Is(err, errDisk) {
					t.Fatal(err)
				}
				// What was not synced may survive or not, and counts as neither.
				if d.failAt = 0; r.IntN(2) == 0 {
					d = d.crash(r)
				} else {
					d = d.killed()
				}
				w.unsynct, w.unsent = nil, nil
				w.check(d, opt)
			}
		})
	}
	if trimmed < 300 {
		t.Errorf("only %d queues were trimmed", trimmed)
	}
}

func TestPutWaitsForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, _, err := openQueue(newDisk(), QueueOptions{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		p := packet.Publish{QoS: 1, Topic: []byte("t"), Payload: make([]byte, 100<<10)}
		n := 0
		for {
			if _, err = q.Put(ended, &p, nil); err != nil {
				break
			}
			n++
		}
		if !errors.Is(err, context.DeadlineExceeded) || n != 10 {
			t.Fatalf("%d messages, then %v", n, err)
		}
		p.Payload = make([]byte, 1<<20)
		if _, err := q.Put(t.Context(), &p, nil); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a message as large as the queue: %v", err)
		}
		p.Payload = make([]byte, 100<<10)
		done := make(chan error)
		go func() {
			for range 100 {
				if _, err := q.Put(t.Context(), &p, nil); err != nil {
					done <- err
					return
				}
			}
			done <- q.Sync()
		}()
		taken := 0
		for ctx, cancel := context.WithTimeout(t.Context(), time.Hour); ; taken++ {
			var p packet.Publish
			tag, _, err := q.Next(ctx, &p)
			if err != nil {
				cancel()
				break
			}
			q.Append(Record{Kind: Sent, PacketID: uint16(taken + 1), Tag: tag, Version: packet.V5})
			q.Append(Record{Kind: Done, PacketID: uint16(taken + 1)})
			if size := q.log.Size(); size > 1<<20+200<<10 {
				t.Fatalf("%d bytes", size)
			}
		}
		if err := <-done; err != nil || taken != n+100 || q.Len() != 0 {
			t.Errorf("%d of %d messages, %d left, %v", taken, n+100, q.Len(), err)
		}
	})
}

// The note of the last message that had one stays when all that was sent is removed.
func TestTheLastNoteStays(t *testing.T) {
	t.Parallel()
	const count = 50
	for size := int64(100); size < 300; size += 7 { // the last message may be the last of its segment
		d := newDisk()
		opt := QueueOptions{LogOptions: LogOptions{SegmentSize: size}}
		q, _, err := openQueue(d, opt)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 2 * count {
			if n < count {
				_, err = put(q, n+1)
			} else { // without a note
				_, err = q.Put(ended, &packet.Publish{QoS: 1, Topic: []byte("t")}, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		before := q.log.Size()
		for i := range 2 * count {
			q.Append(Record{Kind: Sent, PacketID: uint16(i + 1), Tag: uint64(i + 1), Version: packet.V5})
			q.Append(Record{Kind: Done, PacketID: uint16(i + 1)})
			q.over = trimAfter
			if err := q.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if q, _, err = openQueue(d.killed(), opt); err != nil {
			t.Fatal(err)
		}
		if got := string(q.LastNote()); got != strconv.Itoa(count) || q.log.Size() > before {
			t.Errorf("segments of %d bytes: the note is %q, the log has %d of %d bytes", size, got, q.log.Size(), before)
		}
	}
}

// A queue whose messages are all finished has room, even if they fill the last
// segment, which is never removed.
func TestAFinishedQueueHasRoom(t *testing.T) {
	t.Parallel()
	q, _, err := openQueue(newDisk(), QueueOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{60 << 10, 510 << 10, 510 << 10} {
		p := packet.Publish{QoS: 1, Topic: []byte("t"), Payload: make([]byte, size)}
		tag, err := q.Put(ended, &p, nil)
		if err != nil {
			t.Fatalf("message %d: %v", i+1, err)
		}
		q.Drop(tag)
	}
}

func FuzzQueueRecord(f *testing.F) {
	f.Add([]byte{queueMessage, 1, 'n', 0, 0, 0, 0, 0, 0, 0, 1, 0x32, 7, 0, 1, 't', 0, 1, 0, 'x'})
	f.Add([]byte{queueChanges, 1, 0, 7, 9, 5, 0, 2, 0, 7, 3, 0, 7, 6, 101, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDisk()
		l, _, err := openLog(d, LogOptions{})
		if err == nil {
			_, err = l.Append(b)
		}
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		q, _, err := openQueue(d, QueueOptions{})
		if err != nil {
			return
		}
		_ = q.Load(func(Record) error { return nil })
		var p packet.Publish
		_, _, _ = q.Next(ended, &p)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
