package broker

import (
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A queue drops exactly what has expired, keeps the order of the rest and its sums, and
// does not look at its messages while none can have expired.
func TestQueueDropsWhatHasExpired(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var total atomic.Int64
		q := queue{total: &total}
		var want []*message
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				m := &message{}
				if life := rapid.IntRange(0, 5).Draw(t, "life"); life > 0 {
					m.expires = now + time.Duration(life)
				}
				q.push(pending{m: m})
				want = append(want, m)
			case 2:
				now++
				var left []*message
				for _, m := range want {
					if !m.expired(now) {
						left = append(left, m)
					}
				}
				if n := q.dropExpired(now); n != len(want)-len(left) {
					t.Fatalf("%d dropped, want %d", n, len(want)-len(left))
				}
				want = left
			case 3:
				if len(want) > 0 {
					q.pop()
					want = want[1:]
				}
			}
			if q.n != len(want) || q.count != len(want) || q.bytes != (messageBytes+placeBytes)*len(want) || total.Load() != int64(q.bytes) {
				t.Fatalf("%d messages, count %d, %d bytes, %d in all, of %d", q.n, q.count, q.bytes, total.Load(), len(want))
			}
			for i, m := range want {
				if q.ring[(q.head+i)%len(q.ring)].m != m {
					t.Fatalf("message %d is another one", i)
				}
			}
		}
	})
}

func BenchmarkDropExpired(b *testing.B) {
	var total atomic.Int64
	q := queue{total: &total}
	for range 1000 {
		q.push(pending{m: &message{expires: time.Hour}})
	}
	for b.Loop() {
		if q.dropExpired(time.Minute) != 0 {
			b.Fatal("dropped")
		}
	}
}

// Retained messages of a new subscription are exempt from the queue's limits, and do
// not change its count and its bytes when they leave.
func TestExemptMessagesAreNotCounted(t *testing.T) {
	t.Parallel()
	q := queue{total: new(atomic.Int64)}
	m := func() *message { return &message{topic: []byte("t"), payload: []byte("x")} }
	q.push(pending{m: m(), exempt: true})
	q.push(pending{m: m()})
	q.push(pending{m: m(), exempt: true})
	for i, want := range []int{1, 1, 0, 0} {
		if q.count != want || (q.bytes > 0) != (want > 0) {
			t.Errorf("%d gone: %d messages of %d bytes are counted, want %d", i, q.count, q.bytes, want)
		}
		if i < 3 {
			q.pop()
		}
	}
	if q.total.Load() != 0 {
		t.Errorf("%d bytes are left", q.total.Load())
	}
}
