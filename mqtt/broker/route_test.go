package broker_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// copies publishes one message to t and counts how often a client receives it, before
// another message that it gets once.
func copies(t *testing.T, addr string, sub *mqtt.Client) (n int) {
	t.Helper()
	if _, err := sub.Subscribe(t.Context(), mqtt.Subscription{Filter: "the/end", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	pub := dial(t, addr, &mqtt.Options{PublishOnly: true})
	for _, topic := range []string{"t", "the/end"} {
		if err := pub.Publish(t.Context(), &mqtt.Message{Topic: topic, QoS: 2}); err != nil {
			t.Fatal(err)
		}
	}
	for m, err := range sub.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic == "the/end" {
			break
		}
		n++
	}
	return n
}

func TestEveryClientGetsAMessageOnceHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	for _, clients := range []int{1, 15, 16, 17, 18, 40} {
		_, addr := brokertest.Start(t)
		var last *mqtt.Client
		for range clients {
			last = dial(t, addr, nil)
			if _, err := last.Subscribe(t.Context(), mqtt.Subscription{Filter: "t", QoS: 2}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := last.Subscribe(t.Context(), mqtt.Subscription{Filter: "+", QoS: 2}); err != nil {
			t.Fatal(err)
		}
		if n := copies(t, addr, last); n != 1 {
			t.Errorf("%d clients: one message came %d times", clients, n)
		}
	}
}

// A shared subscription and a plain one of the same client are separate (section
// 4.8.2).
func TestASharedSubscriptionIsBesideAPlainOne(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"t", "$share/g/t"}, {"$share/g/t", "t"}} {
		_, addr := brokertest.Start(t)
		sub := dial(t, addr, nil)
		for _, f := range order {
			if _, err := sub.Subscribe(t.Context(), mqtt.Subscription{Filter: f, QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if n := copies(t, addr, sub); n != 2 {
			t.Errorf("subscribed as %s: %d copies, want 2", order, n)
		}
	}
}

func TestRetainedMessagesOfOneSubscribeTakeLittleMemory(t *testing.T) { // not parallel: it measures memory
	_, addr := brokertest.Start(t)
	pub := dial(t, addr, &mqtt.Options{PublishOnly: true})
	for i := range 1000 {
		if err := pub.Send(t.Context(), &mqtt.Message{Topic: fmt.Sprintf("r/%d", i), QoS: 1, Retain: true, Payload: []byte("x")}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := pub.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	before := heap()
	body := append([]byte{0, 1}, bytes.Repeat([]byte{0, 1, '#', 1}, 5000)...)
	_, _ = nc.Write(wireBytes(t, `10 0d 0004 "MQTT" 04 02 0000 0001 "z"`))
	_, _ = nc.Write(append([]byte{0x82, byte(len(body) | 128), byte(len(body)>>7 | 128), byte(len(body) >> 14)}, body...))
	_, _ = nc.Write([]byte{0xc0, 0})
	b, got := make([]byte, 64<<10), []byte(nil)
	for !bytes.HasSuffix(got, []byte{0xd0, 0}) {
		n, err := nc.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("a SUBSCRIBE of %d bytes made the broker hold %d MiB", len(body)+4, grown>>20)
	}
}

func TestSubscribingForMoreThanIsTakenEnds(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.StartWith(t, broker.Options{MaxRetained: 1, MaxInflight: 1})
	pub := dial(t, addr, &mqtt.Options{PublishOnly: true})
	if err := pub.Publish(t.Context(), &mqtt.Message{Topic: "r/0", QoS: 1, Retain: true, Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	talk(t, addr, a5+`a> 82 07 0001 00 0001 "#" 01
		a< 90 04 0001 00 01 33 09 0003 "r/0" 0001 00 "x"
		a> 82 09 0002 00 0003 "r/+" 01 82 09 0003 00 0003 "+/0" 01
		a< 90 04 0002 00 01 90 04 0003 00 01 e0 01 97
		a< x`)
}

// lockedIn reports whether a goroutine waits for a lock in a function.
func lockedIn(function string) bool {
	buf := make([]byte, 16<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, function+"(") && strings.Contains(g, "sync.(*RWMutex).Lock") {
			return true
		}
	}
	return false
}

// The old connection's SUBSCRIBE loses the race for the lock to the takeover that ends
// its session.
func TestATakenOverSessionDoesNotSubscribe(t *testing.T) { // not parallel: it looks at all goroutines
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	_, addr := brokertest.StartWith(t, broker.Options{Log: func(e broker.Event) {
		if e.Kind == broker.EventSubscribed && e.Topic == "hold" && hold.CompareAndSwap(true, false) {
			close(held)
			<-release
		}
	}})
	t.Cleanup(goOn) // otherwise the broker would not close
	raw := func(s string) net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		_, _ = nc.Write(wireBytes(t, s))
		return nc
	}
	waitFor := func(function string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !lockedIn(function); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s does not wait", function)
			}
		}
	}
	const connect = `10 0d 0004 "MQTT" 04 02 0000 0001 "a"`
	old := raw(connect)
	if _, err := io.ReadFull(old, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	other := dial(t, addr, nil)
	hold.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = other.Subscribe(t.Context(), mqtt.Subscription{Filter: "hold"})
	}()
	<-held // the broker's lock
	taking := raw(connect)
	waitFor("broker.(*Broker).accept")
	_, _ = old.Write(wireBytes(t, `82 0a 0001 0005 "ghost" 01`))
	waitFor("broker.(*conn).subscribeLocked")
	goOn()
	<-done
	for _, nc := range []net.Conn{old, taking} {
		_ = nc.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, nc)
	}
	talk(t, addr, b5+`b> 32 0a 0005 "ghost" 0001 00
		b< 40 03 0001 10`) // no matching subscribers
}

func TestExpiredMessagesTakeNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxRetained: 1, QueueMessages: 1})
		defer closeBroker(t, b)
		leaveSubscribed(t, b)
		w := connectPipe(t, b)
		w.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`)
		w.expect("{ok5}")
		w.send(`33 0c 0001 "r" 0001 05 02 00000001 "1"`) // retained, for a second
		w.expect("40 03 0001 10")
		w.send(`32 0c 0001 "t" 0002 05 02 00000001 "1"`)
		w.expect("40 02 0002")
		w.send(`33 07 0001 "s" 0003 00 "2"`)
		w.expect("40 03 0003 97") // the one place is taken
		time.Sleep(2 * time.Second)
		w.send(`33 07 0001 "s" 0004 00 "2"`)
		w.expect("40 03 0004 10")
		w.send(`32 07 0001 "t" 0005 00 "2"`)
		w.expect("40 02 0005")
		p := connectKept(t, b, true)
		p.expect(`32 07 0001 "t" 0001 00 "2"`)
		_, _ = w.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}

// A publisher that is slowed down gets the acknowledgements of what was accepted, and
// the answers to its PINGREQ. Otherwise it would take the broker for dead.
func TestASlowedPublisherHearsOfWhatWasTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{QueueMessages: 1, MaxInflight: 1})
		defer closeBroker(t, b)
		sub := connectPipe(t, b)
		sub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "s"`)
		sub.expect("{ok4}")
		sub.send(`82 06 0001 0001 "t" 01`)
		sub.expect("90 03 0001 01")
		go func() { _, _ = io.Copy(io.Discard, sub.nc) }() // reads everything, acknowledges nothing
		pub := connectPipe(t, b)
		pub.send(`10 0d 0004 "MQTT" 04 02 0002 0001 "p"`)
		pub.expect("{ok4}")
		start := time.Now()
		all := wireBytes(t, `32 06 0001 "t" 0001 "x" 32 06 0001 "t" 0002 "x" 32 06 0001 "t" 0003 "x" 32 06 0001 "t" 0004 "x" {ping}`)
		go func() { _, _ = pub.nc.Write(all) }()
		for i := range 4 {
			pub.expect(fmt.Sprintf("40 02 %04x", i+1))
			if d := time.Since(start); d > time.Duration(i+1)*time.Second {
				t.Errorf("acknowledgement %d came after %v", i+1, d)
			}
		}
		pub.expect("{pong}")
		_, _ = sub.nc.Close(), pub.nc.Close()
		synctest.Wait()
	})
}

func TestASubscriberThatReadsSlowlyIsNotCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{StallTimeout: time.Second})
		defer closeBroker(t, b)
		const size = 4 << 20
		pub := connectPipe(t, b)
		pub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "p"`)
		pub.expect("{ok4}")
		big := append([]byte{0x33, 0x85, 0x80, 0x80, 0x02, 0, 1, 't', 0, 1}, make([]byte, size)...)
		if _, err := pub.nc.Write(big); err != nil {
			t.Fatal(err)
		}
		pub.expect("40 02 0001")
		sub := connectPipe(t, b)
		sub.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "s"`)
		sub.expect("{ok4}")
		sub.send(`82 06 0001 0001 "t" 00`)
		sub.expect("90 03 0001 00")
		got := 0
		for buf := make([]byte, 64<<10); got < size; {
			n, err := sub.nc.Read(buf)
			if got += n; err != nil {
				t.Fatalf("cut off after %d bytes: %v", got, err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		_, _ = sub.nc.Close(), pub.nc.Close()
		synctest.Wait()
	})
}
