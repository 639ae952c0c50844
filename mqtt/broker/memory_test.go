package broker

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// heap returns the memory in use.
func heap() int {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// loaded fills a broker after begin until it refuses, and checks that the memory that
// this takes is near the limit: at most one and a half times the limit, and not so
// little that the limit means nothing.
func loaded(t *testing.T, limit int, fill func(begin func()) (keep any)) {
	t.Helper()
	if strconv.IntSize == 32 {
		t.Skip("sizes are those of 64 bits")
	}
	far := ""
	for range 5 { // background work of the runtime can only add to it
		before := 0
		keep := fill(func() { before = heap() })
		got := heap() - before
		runtime.KeepAlive(keep)
		if got <= limit*3/2 && got >= limit/2 {
			t.Logf("a limit of %d takes %d", limit, got)
			return
		}
		far = fmt.Sprintf("a limit of %d bytes takes %d", limit, got)
	}
	t.Error(far)
}

// absentClient returns a session without a connection, and a connection to check it
// with.
func absentClient(b *Broker, n int) (*conn, *client) {
	mine, theirs := net.Pipe()
	_ = mine.Close()
	c := newConn(b, theirs)
	cl := &client{b: b, id: fmt.Sprint("c", n), subs: make(map[string]subscription), queue: queue{total: &b.queued}, expiry: forever}
	b.sessions[cl.id] = cl
	return c, cl
}

func TestTheLimitOfSubscriptionsIsMemory(t *testing.T) {
	const limit = 8 << 20
	for _, c := range []struct {
		name    string
		clients int
		filter  func(n int) string
	}{
		{"many short filters", 1, func(n int) string { return fmt.Sprint(n) }},
		{"few long ones", 1, func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", 30_000) }},
		{"long ones with wildcards", 1, func(n int) string { return fmt.Sprint(n, "/+/") + strings.Repeat("x", 30_000) + "/#" }},
		{"deep ones", 1, func(n int) string { return fmt.Sprint(n) + strings.Repeat("/+", 100) }},
		{"a common beginning", 1, func(n int) string { return fmt.Sprint("plant/line/station/", n) }},
		{"many clients with one each, all different", 4000, func(n int) string { return fmt.Sprint("dev/", n) }},
		{"many clients with a few, all identical", 4000, func(n int) string { return fmt.Sprint("all/", n/4000) }},
		{"shared ones", 100, func(n int) string { return fmt.Sprint("$share/g", n%7, "/t/", n) }},
		{"shared ones of many members", 1000, func(n int) string { return fmt.Sprint("$share/g/t/", n/1000) }},
		{"shared ones of long names", 1, func(n int) string { return fmt.Sprint("$share/", strings.Repeat("g", 3000), n, "/t") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b *Broker
			conns, clients := make([]*conn, c.clients), make([]*client, c.clients)
			loaded(t, limit, func(begin func()) any {
				b = New(Options{MaxSubscriptionBytes: limit, MaxSubscriptions: 1 << 30})
				for i := range conns { // these are not subscriptions
					conns[i], clients[i] = absentClient(b, i)
				}
				begin()
				for n := 0; ; n++ {
					i := n % c.clients
					switch reason := b.addLocked(conns[i], clients[i], c.filter(n), subscription{}, false); {
					case reason == packet.QuotaExceeded:
						return b
					case reason.Failed():
						t.Fatal(reason)
					}
				}
			})
			for _, cl := range clients {
				for filter := range cl.subs {
					b.removeLocked(cl, filter)
				}
			}
			if n := b.subscriptionBytesLocked(); n != 0 {
				t.Errorf("nothing is left, and it takes %d bytes", n)
			}
		})
	}
}

func TestTheLimitOfRetainedMessagesIsMemory(t *testing.T) {
	const limit = 8 << 20
	for _, c := range []struct {
		name  string
		size  int
		topic func(n int) string
	}{
		{"small ones", 1, func(n int) string { return fmt.Sprint(n) }},
		{"small ones of long names", 1, func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", 10_000) }},
		{"small ones of deep names", 1, func(n int) string { return fmt.Sprint(n) + strings.Repeat("/a", 100) }},
		{"small ones with a common beginning", 1, func(n int) string { return fmt.Sprint("plant/line/station/", n) }},
		{"large ones", 100_000, func(n int) string { return fmt.Sprint("a/", n) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b *Broker
			payload := make([]byte, c.size)
			loaded(t, limit, func(begin func()) any {
				b = New(Options{MaxRetainedBytes: limit, MaxRetained: 1 << 30})
				begin()
				for n := 0; ; n++ {
					for range 2 { // the second in place of the first
						r := route{pub: packet.Publish{Topic: []byte(c.topic(n)), Payload: payload, Retain: true}}
						switch reason := b.retainLocked(&r); {
						case reason == packet.QuotaExceeded:
							return b
						case reason.Failed():
							t.Fatal(reason)
						}
					}
				}
			})
			if b.queued.Load() != 0 {
				t.Errorf("they count %d as waiting, and none waits", b.queued.Load())
			}
			for n := range b.retained.Len() {
				b.retainLocked(&route{pub: packet.Publish{Topic: []byte(c.topic(n)), Retain: true}})
			}
			if n := b.retainedBytesLocked(); n != 0 || b.queued.Load() != 0 {
				t.Errorf("nothing is left, and it takes %d bytes, %d waiting", n, b.queued.Load())
			}
		})
	}
}

func TestTheLimitOfQueuesIsMemory(t *testing.T) {
	const limit = 8 << 20
	for _, c := range []struct {
		name    string
		clients int
		same    bool // each message for all
		size    int
	}{
		{"small messages of one client", 1, false, 1},
		{"small messages of many clients", 1000, false, 1},
		{"a small message for many", 1000, true, 1},
		{"large messages", 10, false, 50_000},
		{"large messages for many", 1000, true, 50_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload := make([]byte, c.size)
			clients := make([]*client, c.clients)
			var b *Broker
			loaded(t, limit, func(begin func()) any {
				b = New(Options{MaxQueuedBytes: limit, QueueBytes: 1 << 30, QueueMessages: 1 << 30})
				for i := range clients {
					_, clients[i] = absentClient(b, i)
				}
				begin()
				for n := 0; !b.queuesFull(); n++ {
					r := route{pub: packet.Publish{Topic: []byte("t"), Payload: payload, QoS: 1}}
					for i, cl := range clients {
						if c.same || i == n%c.clients {
							cl.offerLocked(&r, &hit{cl: cl, qos: 1})
						}
					}
				}
				return clients
			})
			for _, cl := range clients {
				cl.queue.clear()
			}
			if n := b.queued.Load(); n != 0 {
				t.Errorf("nothing waits, and %d bytes are counted", n)
			}
		})
	}
}

// A queue that was long shrinks to what it holds.
func TestAQueueGetsSmallerAgain(t *testing.T) {
	const limit = 1 << 20
	loaded(t, limit, func(begin func()) any {
		b := New(Options{})
		begin()
		clients := make([]*client, 200)
		for i := range clients {
			_, clients[i] = absentClient(b, i)
			q := &clients[i].queue
			for range 10_000 {
				q.push(pending{m: new(message)})
			}
			for range 9_999 {
				q.pop()
			}
		}
		// so that it is not too little
		return append(clients, &client{will: &message{payload: make([]byte, limit/2)}})
	})
}

// What takes exactly the limit fits, and one byte more does not.
func TestALimitOfMemoryItselfFits(t *testing.T) {
	t.Parallel()
	filters := []string{"a", "a/+/b", "$share/g/a", "c/#"}
	full := func(limit int) (b *Broker, last packet.ReasonCode) {
		b = New(Options{MaxSubscriptionBytes: limit, MaxRetainedBytes: limit})
		c, cl := absentClient(b, 0)
		for _, f := range filters {
			last = b.addLocked(c, cl, f, subscription{}, false)
		}
		return b, last
	}
	b, _ := full(1 << 20)
	if _, got := full(b.subscriptionBytesLocked()); got.Failed() {
		t.Errorf("at the limit of subscriptions: %v", got)
	}
	if _, got := full(b.subscriptionBytesLocked() - 1); got != packet.QuotaExceeded {
		t.Errorf("above the limit of subscriptions: %v", got)
	}
	retained := func(limit int) (b *Broker, last packet.ReasonCode) {
		b = New(Options{MaxRetainedBytes: limit})
		for _, name := range []string{"a", "a/b", "c"} {
			last = b.retainLocked(&route{pub: packet.Publish{Topic: []byte(name), Payload: []byte("x"), Retain: true}})
		}
		return b, last
	}
	b, _ = retained(1 << 20)
	if _, got := retained(b.retainedBytesLocked()); got.Failed() {
		t.Errorf("at the limit of retained messages: %v", got)
	}
	if less, got := retained(b.retainedBytesLocked() - 1); got != packet.QuotaExceeded || less.retained.Len() != 2 {
		t.Errorf("above the limit of retained messages: %v, and %d are there", got, less.retained.Len())
	}
}
