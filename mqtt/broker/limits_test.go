package broker_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// journal collects what a broker logs.
type journal struct {
	mu     sync.Mutex
	events []broker.Event
}

func (j *journal) log(e broker.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// of returns the events of a kind.
func (j *journal) of(kind broker.EventKind) (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == kind {
			all = append(all, e.String())
		}
	}
	return all
}

// only64 skips tests that are exact to the byte for 64-bit words. With 32 bits the same
// things take less memory, by an amount that differs between them.
func only64(t *testing.T) {
	t.Helper()
	if strconv.IntSize != 64 {
		t.Skip("the bytes are those of words of 64 bits")
	}
}

func TestLimitsHaveTheirReasonsAndEvents(t *testing.T) {
	t.Parallel()
	const watch = `
		w> 10 0d 0004 "MQTT" 04 02 0000 0001 "w"
		w< {ok4}
		w> 82 06 0001 0001 "#" 00
		w< 90 03 0001 00`
	for _, c := range []struct {
		name   string
		o      broker.Options
		script string
		events map[broker.EventKind][]string
	}{
		{"a topic name of more bytes", broker.Options{MaxTopicBytes: 3}, a5 + watch + `
			a> 32 09 0004 "long" 0001 00 32 08 0003 "fit" 0002 00
			a< 40 03 0001 90 40 02 0002
			w< 30 05 0003 "fit"
			b> 10 0d 0004 "MQTT" 04 02 0000 0001 "b"
			b< {ok4}
			# Before 5.0 an acknowledgement cannot refuse.
			b> 32 08 0004 "long" 0001 32 07 0003 "fit" 0002
			b< 40 02 0001 40 02 0002
			w< 30 05 0003 "fit"`,
			map[broker.EventKind][]string{broker.EventNotPublished: {
				`"a" may not publish to "long": topic name invalid (0x90): the topic name is too long`,
				`"b" may not publish to "long": topic name invalid (0x90): the topic name is too long`}}},
		{"a topic filter of more bytes", broker.Options{MaxTopicBytes: 3}, a5 + `
			a> 82 10 0001 00 0004 "long" 00 0003 "fit" 00
			a< 90 05 0001 00 8f 00
			b> 10 0d 0004 "MQTT" 04 02 0000 0001 "b"
			b< {ok4}
			b> 82 09 0001 0004 "long" 00
			b< 90 03 0001 80`,
			map[broker.EventKind][]string{broker.EventSubscribed: {
				`"a" may not subscribe to "long": topic filter invalid (0x8f)`, `"a" subscribed to "fit"`,
				`"b" may not subscribe to "long": topic filter invalid (0x8f)`}}},
		{"a will's topic name of more bytes", broker.Options{MaxTopicBytes: 3}, `
			a> 10 19 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0004 "long" 0002 "up"
			a< 20 2a 00 90 27 1f 0024 "the will: the topic name is too long"
			a< x
			b> 10 17 0004 "MQTT" 04 06 0000 0001 "b" 0004 "long" 0002 "up"
			b< 20 02 00 03
			b< x`,
			map[broker.EventKind][]string{broker.EventRefused: {
				`"a" refused: topic name invalid (0x90): the will: the topic name is too long`,
				`"b" refused: topic name invalid (0x90): the will: the topic name is too long`}}},
		{"a message of more user properties", broker.Options{MaxUserProperties: 1}, a5 + watch + `
			a> 32 10 0001 "t" 0001 0a 2600000000 2600000000
			a> 34 10 0001 "t" 0002 0a 2600000000 2600000000
			a> 30 0e 0001 "t" 0a 2600000000 2600000000
			a> 32 0c 0001 "t" 0003 06 26 0001 "k" 0000
			a< 40 03 0001 97 50 03 0002 97 40 02 0003
			w< 30 03 0001 "t"
			w> {ping}
			w< {pong}`,
			map[broker.EventKind][]string{broker.EventNotPublished: slices.Repeat([]string{
				`"a" may not publish to "t": quota exceeded (0x97): too many user properties`}, 3)}},
		{"a SUBSCRIBE of more user properties", broker.Options{MaxUserProperties: 1, ReasonStrings: true}, a5 + `
			a> 82 15 0001 0a 2600000000 2600000000 0001 "t" 00 0001 "u" 00
			a< 90 20 0001 1b 1f 0018 "too many user properties" 97 97
			a> 30 04 0001 "t" 00
			a> {ping}
			a< {pong}`,
			map[broker.EventKind][]string{broker.EventSubscribed: {
				`"a" may not subscribe to "t": quota exceeded (0x97)`, `"a" may not subscribe to "u": quota exceeded (0x97)`}}},
		{"a will of more user properties", broker.Options{MaxUserProperties: 1}, `
			a> 10 20 0004 "MQTT" 05 06 0000 00 0001 "a" 0a 2600000000 2600000000 0001 "t" 0002 "up"
			a< 20 28 00 97 25 1f 0022 "the will: too many user properties"
			a< x`,
			map[broker.EventKind][]string{broker.EventRefused: {`"a" refused: quota exceeded (0x97): the will: too many user properties`}}},
		{"subscriptions of more bytes", broker.Options{MaxSubscriptionBytes: 2*300 + 692}, a5 + `
			a> 82 1f 0001 00 0001 "t" 00 0009 "a/b/c/d/e" 00 0005 "a/b/c" 00 0001 "u" 00
			a< 90 07 0001 00 00 97 00 00
			# Once more the same, and what an ended one leaves.
			a> 82 07 0002 00 0001 "t" 01 82 07 0003 00 0001 "v" 00 a2 06 0004 00 0001 "u" 82 07 0005 00 0001 "v" 00
			a< 90 04 0002 00 01 90 04 0003 00 97 b0 04 0004 00 00 90 04 0005 00 00`,
			map[broker.EventKind][]string{broker.EventSubscribed: {`"a" subscribed to "t"`, `"a" may not subscribe to "a/b/c/d/e": quota exceeded (0x97)`,
				`"a" subscribed to "a/b/c"`, `"a" subscribed to "u"`, `"a" subscribed to "t"`, `"a" may not subscribe to "v": quota exceeded (0x97)`,
				`"a" subscribed to "v"`}}},
		{"a retained message of many levels", broker.Options{MaxRetainedBytes: 448}, a5 + `
			a> 33 0b 0005 "a/b/c" 0001 00 "x" 33 09 0003 "a/b" 0002 00 "x"
			a< 40 03 0001 97 40 03 0002 10`,
			map[broker.EventKind][]string{broker.EventNotPublished: {`"a" may not publish to "a/b/c": quota exceeded (0x97): too many retained messages`}}},
		{"a longer keep alive", broker.Options{MaxKeepAlive: time.Minute}, `
			a> 10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"
			a< 20 11 00 00 0e 13 003c 21 0400 27 01000000 22 0040
			b> 10 0d 0004 "MQTT" 04 02 003d 0001 "b"
			b< 20 02 00 02
			b< x
			c> 10 0d 0004 "MQTT" 04 02 0000 0001 "c"
			c< 20 02 00 02
			c< x
			d> 10 0d 0004 "MQTT" 04 02 003c 0001 "d"
			d< {ok4}`,
			map[broker.EventKind][]string{broker.EventRefused: {
				`"b" refused: client identifier not valid (0x85): a keep alive of at most 1m0s is wanted`,
				`"c" refused: client identifier not valid (0x85): a keep alive of at most 1m0s is wanted`}}},
		{"an identifier that is used again, logged once", broker.Options{}, a5 + `
			a> 34 07 0001 "t" 0007 00 "1"
			a< 50 03 0007 10
			a> 34 07 0001 "t" 0007 00 "2"
			a< 50 03 0007 10
			a> 34 07 0001 "u" 0007 00 "3"
			a< 50 03 0007 10
			a> 62 02 0007
			a< 70 02 0007`,
			map[broker.EventKind][]string{broker.EventReused: {
				`"a" began a QoS 2 message on "t" under a packet identifier still in use: it has lost its session, and the message is treated as new`}}},
		{"a topic name of more levels", broker.Options{MaxTopicLevels: 2}, a5 + watch + `
			a> 32 0a 0005 "a/b/c" 0001 00 32 08 0003 "a/b" 0002 00
			a< 40 03 0001 90 40 02 0002
			w< 30 05 0003 "a/b"`,
			map[broker.EventKind][]string{broker.EventNotPublished: {
				`"a" may not publish to "a/b/c": topic name invalid (0x90): the topic name has too many levels`}}},
		{"a topic filter of more levels", broker.Options{MaxTopicLevels: 2}, a5 + `
			a> 82 11 0001 00 0005 "a/b/c" 00 0003 "a/#" 00
			a< 90 05 0001 00 8f 00`,
			map[broker.EventKind][]string{broker.EventSubscribed: {
				`"a" may not subscribe to "a/b/c": topic filter invalid (0x8f)`, `"a" subscribed to "a/#"`}}},
		{"a will that has no place among the retained ones", broker.Options{MaxRetained: 1}, a5 + `
			a> 33 07 0001 "r" 0001 00 "x"
			a< 40 03 0001 10
			b> 10 16 0004 "MQTT" 05 26 0000 00 0001 "b" 00 0001 "w" 0002 "up"
			b< {ok5}
			b> e0 01 04
			b< x`,
			map[broker.EventKind][]string{broker.EventNotPublished: {`"b" may not publish to "w": quota exceeded (0x97): its will`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.o.MaxSubscriptionBytes > 0 || c.o.MaxRetainedBytes > 0 {
				only64(t)
			}
			var j journal
			c.o.Log = j.log
			_, addr := brokertest.StartWith(t, c.o)
			talk(t, addr, c.script)
			for kind, want := range c.events {
				got := j.of(kind)
				got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, `"w"`) })
				if !slices.Equal(got, want) {
					t.Errorf("logged\n%q, want\n%q", got, want)
				}
			}
		})
	}
}

// A message that waits in several queues takes memory once.
func TestAllQueuesTogetherHaveALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := broker.New(broker.Options{MaxQueuedBytes: 1000, Log: j.log})
		defer closeBroker(t, b)
		for _, id := range []string{"a", "b"} {
			p := connectPipe(t, b)
			p.send(`10 13 0004 "MQTT" 05 00 0000 05 11 00000e10 0001 "` + id + `"`)
			p.expect("{ok5}")
			p.send(`82 07 0001 00 0001 "t" 01`)
			p.expect("90 04 0001 00 01")
			_ = p.nc.Close()
		}
		synctest.Wait()
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
		p.expect("{ok5}")
		for id := range 4 {
			p.send(fmt.Sprintf(`32 ee02 0001 "t" 000%d 00 360*"x"`, id+1))
			p.expect(fmt.Sprintf("40 02 000%d", id+1))
		}
		if st := b.Stats(); st.Queued < 1000 || st.Queued > 1600 || st.Dropped != 4 {
			t.Errorf("%+v; want two messages of about 520 bytes for each, and the others dropped", st)
		}
		if got, want := j.of(broker.EventDropped), `message for "a" on "t" dropped: all queues together are full`; len(got) != 2 || got[0] != want && got[1] != want {
			t.Errorf("logged %q", got)
		}
		for _, id := range []string{"a", "b"} {
			a := connectPipe(t, b)
			a.send(`10 13 0004 "MQTT" 05 00 0000 05 11 00000000 0001 "` + id + `"`)
			a.expect("{ok5 present}")
			for n := range 2 {
				a.expect(fmt.Sprintf(`32 ee02 0001 "t" 000%d 00 360*"x"`, n+1))
			}
			_ = a.nc.Close()
		}
		synctest.Wait()
		if st := b.Stats(); st.Queued != 0 {
			t.Errorf("%+v; want nothing left", st)
		}
		_ = p.nc.Close()
		synctest.Wait()
	})
}

// If all queues together are full, a connected client has a sixteenth of its own limit:
// its publishers wait sooner, and nothing is lost.
func TestFullQueuesSlowPublishersDownSooner(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]string{0: "40 02 0001 40 02 0002 40 02 0003 40 02 0004 40 02 0005", 1000: "40 02 0001 40 02 0002"} {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{MaxQueuedBytes: most, QueueBytes: 16_000, MaxInflight: 1})
			defer closeBroker(t, b)
			sub, pub := connectPipe(t, b), connectPipe(t, b)
			sub.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "s"`)
			sub.expect("{ok5}")
			sub.send(`82 07 0001 00 0001 "t" 01`)
			sub.expect("90 04 0001 00 01")
			pub.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
			pub.expect("{ok5}")
			const rest = ` 00 360*"x"`
			var all string
			for id := range 5 {
				all += fmt.Sprintf(`32 ee02 0001 "t" 000%d`, id+1) + rest + " "
			}
			sent := wireBytes(t, all)
			go func() { _, _ = pub.nc.Write(sent) }()
			acks := make(chan []byte)
			go func() {
				b, _ := io.ReadAll(pub.nc)
				acks <- b
			}()
			sub.expect(`32 ee02 0001 "t" 0001` + rest) // and no PUBACK: the others wait
			synctest.Wait()
			_ = pub.nc.Close()
			if got := <-acks; !bytes.Equal(got, wireBytes(t, want)) {
				t.Errorf("a limit of %d: acknowledged % x, want %s", most, got, want)
			}
			_ = sub.nc.Close()
			synctest.Wait()
		})
	}
}

// from is a connection from another address.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

func TestConnectionsComeAtALimitedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := broker.New(broker.Options{ConnectRate: 2, Log: j.log})
		defer closeBroker(t, b)
		connect := func(addr string) *pipePeer {
			a, err := net.ResolveTCPAddr("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			mine, theirs := net.Pipe()
			b.ServeConn(from{theirs, a})
			return &pipePeer{t, mine}
		}
		in := func(addr string) {
			t.Helper()
			p := connect(addr)
			p.send(`10 0c 0004 "MQTT" 04 02 0000 0000`)
			p.expect("{ok4}")
			_ = p.nc.Close()
		}
		refused := func(addr string) {
			t.Helper()
			p := connect(addr)
			p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
			p.expect(`20 35 00 9f 32 1f 002f "too many connections a second from this address"`)
			p.end()
		}
		time.Sleep(time.Minute)
		for range 100 { // the loopback address has no limit
			in("127.0.0.1:5")
			in("[::1]:5")
		}
		in("192.0.2.1:5")
		in("192.0.2.1:6")
		refused("192.0.2.1:7")
		p := connect("[::ffff:192.0.2.1]:8") // the same address
		p.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		p.expect("20 02 00 03")
		p.end()
		connect("192.0.2.1:9").end() // not even read
		in("192.0.2.2:5")
		in("[2001:db8::1]:5")
		in("[2001:db8::2]:5")
		refused("[2001:db8::3]:5") // a host has a whole prefix
		in("[2001:db8:0:1::1]:5")
		synctest.Wait()
		if got := j.of(broker.EventRejected); len(got) != 1 || got[0] != "192.0.2.1:9 rejected: too many connections a second from this address" {
			t.Errorf("logged %q", got)
		}
		if got := j.of(broker.EventRefused); len(got) != 3 || got[0] != `"a" refused: connection rate exceeded (0x9f): too many connections a second from this address` {
			t.Errorf("logged %q", got)
		}
		time.Sleep(1500 * time.Millisecond)
		in("192.0.2.1:10")
		refused("192.0.2.1:11")
		time.Sleep(time.Minute)
		in("192.0.2.1:12")
		in("192.0.2.1:13")
		refused("192.0.2.1:14")
		synctest.Wait()
	})
}

// Connections above twice the limit are closed, and logged.
func TestACrowdIsClosedUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := broker.New(broker.Options{MaxConnections: 1, Log: j.log})
		defer closeBroker(t, b)
		first, second := connectPipe(t, b), connectPipe(t, b)
		connectPipe(t, b).end()
		if got := j.of(broker.EventRejected); len(got) != 1 || got[0] != "pipe rejected: too many connections" {
			t.Errorf("logged %q", got)
		}
		first.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		first.expect("{ok5}")
		_, _ = first.nc.Close(), second.nc.Close()
		synctest.Wait()
	})
}

// The unacknowledged messages of connected clients count too, each copy. At the limit
// the others are queued, once for all clients, and their publisher waits as well.
func TestWhatIsNotAcknowledgedCounts(t *testing.T) {
	t.Parallel()
	const subscribers, size = 20, 5000
	for _, c := range []struct{ limit, messages, least, most int }{
		// each has its copy of all
		{1 << 30, 20, 20 * size * subscribers * 8 / 10, 20 * size * subscribers * 11 / 10},
		// 200 of them would be 20 MB
		{1 << 20, 1000, 1 << 20, 3 << 19},
	} {
		notAcknowledged(t, subscribers, c.limit, c.messages, c.least, c.most)
	}
}

func notAcknowledged(t *testing.T, subscribers, limit, messages, least, most int) {
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxQueuedBytes: limit})
		defer closeBroker(t, b)
		var all []*pipePeer
		for n := range subscribers {
			p := connectPipe(t, b)
			p.send(fmt.Sprintf(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "%c"`, 'a'+n))
			p.expect("{ok5}")
			p.send(`82 07 0001 00 0001 "t" 01`)
			p.expect("90 04 0001 00 01")
			go func() { _, _ = io.Copy(io.Discard, p.nc) }() // and acknowledges nothing
			all = append(all, p)
		}
		pub := connectPipe(t, b)
		pub.send(`10 0f 0004 "MQTT" 05 02 0000 00 0002 "zz"`)
		pub.expect("{ok5}")
		go func() { _, _ = io.Copy(io.Discard, pub.nc) }()
		go func() {
			for n := range messages {
				if _, err := pub.nc.Write(wireBytes(t, fmt.Sprintf(`32 8e27 0001 "t" %04x 00 5000*"x"`, n+1))); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := b.Stats().Queued; n < least || n > most {
			t.Errorf("%d bytes are counted, want %d to %d", n, least, most)
		}
		for _, p := range append(all, pub) {
			_ = p.nc.Close()
		}
		synctest.Wait()
		if st := b.Stats(); st.Queued != 0 || st.Sessions != 0 {
			t.Errorf("%+v; want nothing left", st)
		}
	})
}

// Before it is accepted a client may send a CONNECT of a megabyte.
func TestAClientThatIsNotAcceptedSendsLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		b := broker.New(broker.Options{Log: j.log})
		defer closeBroker(t, b)
		p, q := connectPipe(t, b), connectPipe(t, b)
		p.send(`10 fcff3f 0004 "MQTT" 05`) // 1,048,576 bytes with its head
		q.send(`10 fdff3f 0004 "MQTT" 05`)
		synctest.Wait()
		if got := j.of(broker.EventRejected); len(got) != 1 || !strings.Contains(got[0], "packet of 1048577 bytes, limit 1048576") {
			t.Errorf("logged %q", got)
		}
		_, _ = p.nc.Close(), q.nc.Close()
		synctest.Wait()
	})
}

// Wills count as waiting messages, until their sessions end.
func TestWillsCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxQueuedBytes: 4000})
		defer closeBroker(t, b)
		const will = ` 10 a017 0004 "MQTT" 05 06 0000 00 0001 `
		first := connectPipe(t, b)
		first.send(strings.Replace(will, "a017", "9a27", 1) + `"a" 00 0001 "w" 1386 4998*"x"`)
		first.expect("{ok5}")
		if n := b.Stats().Queued; n < 4998 || n > 5600 {
			t.Errorf("%d bytes are counted, want about 5,000", n)
		}
		for payload, want := range map[string]string{`0410 1040*"x"`: "97", `03e8 1000*"x"`: "00"} {
			length := map[string]string{"97": "a408", "00": "fc07"}[want]
			p := connectPipe(t, b)
			p.send(strings.Replace(will, "a017", length, 1) + `"b" 00 0001 "w" ` + payload)
			ack := p.packet()
			if fmt.Sprintf("%02x", ack[3]) != want {
				t.Errorf("a will of %s is answered with % x, want %s", payload, ack, want)
			}
			_ = p.nc.Close()
			synctest.Wait()
		}
		_ = first.nc.Close()
		synctest.Wait()
		if n := b.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// Messages that a session has sent and its client no longer accepts, because it
// reconnects with a smaller Maximum Packet Size, are counted and logged as dropped,
// like those in a queue.
func TestWhatNoLongerFitsIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var logged []string
	inMemory(t, broker.Options{MaxInflight: 2, Log: func(e broker.Event) {
		if e.Kind == broker.EventDropped {
			mu.Lock()
			defer mu.Unlock()
			logged = append(logged, e.String())
		}
	}}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
		a, p := memoryPeer(t, dial), memoryPeer(t, dial)
		a.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a" 82 07 0001 00 0001 "t" 02`)
		a.expect("{ok5} 90 04 0001 00 02")
		p.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "p"`)
		p.expect("{ok4}")
		for range 2 { // one of them for the queue
			p.send(`32 19 0001 "t" 0001 "01234567890123456789" 32 06 0001 "t" 0001 "1"`)
			p.expect("40 02 0001 40 02 0001")
		}
		a.expect(`32 1a 0001 "t" 0001 00 "01234567890123456789" 32 07 0001 "t" 0002 00 "1"`)
		_ = a.nc.Close()
		synctest.Wait()
		a = memoryPeer(t, dial)
		a.send(`10 18 0004 "MQTT" 05 00 0000 0a 11 0000003c 27 00000018 0001 "a"`)
		a.expect(`{ok5 present} 3a 07 0001 "t" 0002 00 "1" 32 07 0001 "t" 0003 00 "1"`)
		if st := b.Stats(); st.Dropped != 2 {
			t.Errorf("%d messages were dropped, want 2", st.Dropped)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := `message for "a" on "t" dropped: it is larger than the client's maximum packet size`; len(logged) == 0 || logged[0] != want {
			t.Errorf("logged %q, want %q", logged, want)
		}
		_, _ = a.nc.Close(), p.nc.Close()
	})
}

// At the limit of connections a client may take over its own connection, but no other
// client may connect.
func TestATakeoverIsNoSurplus(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{true, false} {
		inMemory(t, broker.Options{MaxConnections: 2}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
			connect := func(id string) string { return fmt.Sprintf(`10 0d 0004 "MQTT" 04 02 0000 0001 %q`, id) }
			answer := "{ok4}"
			if kept {
				connect = func(id string) string { return fmt.Sprintf(`10 0d 0004 "MQTT" 04 00 0000 0001 %q`, id) }
			}
			var old []*pipePeer
			for _, id := range []string{"a", "b"} {
				p := memoryPeer(t, dial)
				p.send(connect(id))
				p.expect(answer)
				old = append(old, p)
			}
			time.Sleep(time.Second)
			if kept {
				answer = "20 02 01 00"
			}
			for _, row := range []struct{ id, answer string }{{"c", "20 02 00 03"}, {"a", answer}, {"c", "20 02 00 03"}, {"b", answer}} {
				p := memoryPeer(t, dial)
				defer p.nc.Close()
				p.send(connect(row.id))
				p.expect(row.answer)
				time.Sleep(2 * time.Second) // connections refused or taken over are gone
				synctest.Wait()
			}
			for _, p := range old {
				p.end()
				_ = p.nc.Close()
			}
			if st := b.Stats(); st.Clients != 2 {
				t.Errorf("%d clients, want 2", st.Clients)
			}
		})
	}
}
