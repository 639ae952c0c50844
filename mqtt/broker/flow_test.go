package broker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func dial(t *testing.T, addr string, o *mqtt.Options) *mqtt.Client {
	t.Helper()
	c, err := mqtt.Connect(t.Context(), "mqtt://"+addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	return c
}

// TestASlowSubscriberSlowsThePublisherAndLosesNothing has queues of a few messages
// between a fast publisher and a subscriber that reads late.
func TestASlowSubscriberSlowsThePublisherAndLosesNothing(t *testing.T) {
	t.Parallel()
	for qos := range packet.QoS(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			t.Parallel()
			b, addr := brokertest.StartWith(t, broker.Options{QueueMessages: 4, QueueBytes: 1 << 20, MaxInflight: 4})
			sub := dial(t, addr, &mqtt.Options{ReceiveMaximum: 4})
			if _, err := sub.Subscribe(t.Context(), mqtt.Subscription{Filter: "t", QoS: qos}); err != nil {
				t.Fatal(err)
			}
			const n = 3000
			pub := dial(t, addr, &mqtt.Options{PublishOnly: true})
			sent := make(chan error, 1)
			go func() {
				payload := make([]byte, 2000)
				for i := range n {
					copy(payload, fmt.Sprintf("%d ", i))
					if err := pub.Send(context.Background(), &mqtt.Message{Topic: "t", QoS: qos, Payload: payload}, uint64(i)); err != nil {
						sent <- err
						return
					}
				}
				sent <- pub.Flush(context.Background())
			}()
			next := 0
			for m, err := range sub.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprintf("%d ", next); !strings.HasPrefix(string(m.Payload), want) {
					t.Fatalf("got %.10q, want %q", m.Payload, want)
				}
				if next++; next == n {
					break
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if st := b.Stats(); st.Dropped != 0 {
				t.Errorf("%d messages dropped", st.Dropped)
			}
		})
	}
}

// TestPublishersInACircleDoNotBlock makes two clients flood each other while neither
// queue has room.
func TestPublishersInACircleDoNotBlock(t *testing.T) {
	t.Parallel()
	_, addr := brokertest.StartWith(t, broker.Options{QueueMessages: 50, MaxInflight: 8})
	const n = 2000
	var wg sync.WaitGroup
	var clients [2]*mqtt.Client
	for i := range clients {
		clients[i] = dial(t, addr, nil)
		if _, err := clients[i].Subscribe(t.Context(), mqtt.Subscription{Filter: fmt.Sprint("t", i), QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range clients {
		other := fmt.Sprint("t", 1-i)
		wg.Add(2)
		go func() {
			defer wg.Done()
			for k := range n {
				if err := c.Send(t.Context(), &mqtt.Message{Topic: other, QoS: 1, Payload: []byte(fmt.Sprint(k))}, 1); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		go func() {
			defer wg.Done()
			got := 0
			for _, err := range c.Messages(t.Context()) {
				if err != nil {
					t.Error(err)
					return
				}
				if got++; got == n {
					return
				}
			}
		}()
	}
	wg.Wait()
}

// pipePeer is a client on an in-memory connection, for tests in virtual time.
type pipePeer struct {
	t  *testing.T
	nc net.Conn
}

func connectPipe(t *testing.T, b *broker.Broker) *pipePeer {
	mine, theirs := net.Pipe()
	b.ServeConn(theirs)
	return &pipePeer{t, mine}
}

func (p *pipePeer) send(s string) {
	p.t.Helper()
	if _, err := p.nc.Write(wireBytes(p.t, s)); err != nil {
		p.t.Fatalf("send %s: %v", s, err)
	}
}

func (p *pipePeer) expect(s string) {
	p.t.Helper()
	want := wireBytes(p.t, s)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.nc, got); err != nil || string(got) != string(want) {
		p.t.Fatalf("got % x, %v, want %s", got[:n], err, s)
	}
}

// end expects the end of the stream and returns when it came.
func (p *pipePeer) end() time.Duration {
	p.t.Helper()
	start := time.Now()
	if b, err := io.ReadAll(p.nc); len(b) > 0 || err != nil {
		p.t.Errorf("got % x, %v, want the end", b, err)
	}
	return time.Since(start)
}

func closeBroker(t *testing.T, b *broker.Broker) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestSilentClientsAreCutOff(t *testing.T) {
	t.Parallel()
	t.Run("no CONNECT in 5 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{})
			defer closeBroker(t, b)
			p := connectPipe(t, b)
			go func() { _, _ = p.nc.Write([]byte{0x10, 0x0d, 0}) }()
			if d := p.end(); d != 5*time.Second {
				t.Errorf("cut off after %v", d)
			}
		})
	})
	t.Run("one and a half times the keep alive", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{})
			defer closeBroker(t, b)
			p := connectPipe(t, b)
			p.send(`10 0e 0004 "MQTT" 05 02 000a 00 0001 "a"`)
			p.expect("{ok5}")
			time.Sleep(14 * time.Second)
			p.send("{ping}")
			p.expect("{pong}")
			start := time.Now()
			p.expect("e0 01 8d")
			if d := time.Since(start); d != 15*time.Second {
				t.Errorf("cut off after %v", d)
			}
			p.end()
		})
	})
}

func TestTimesOfSessionsAndWills(t *testing.T) {
	t.Parallel()
	const watcher = `10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`
	// Session expiry 60 s, will delay 20 s.
	const client = `10 22 0004 "MQTT" 05 04 0000 05 11 0000003c 0001 "a" 05 18 00000014 0001 "w" 0004 "gone"`
	watch := func(t *testing.T, b *broker.Broker) *pipePeer {
		w := connectPipe(t, b)
		w.send(watcher)
		w.expect("{ok5}")
		w.send(`82 07 0001 00 0001 "w" 00`)
		w.expect("90 04 0001 00 00")
		return w
	}
	t.Run("a will waits for its delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{})
			defer closeBroker(t, b)
			w := watch(t, b)
			p := connectPipe(t, b)
			p.send(client)
			p.expect("{ok5}")
			start := time.Now()
			_ = p.nc.Close()
			w.expect(`30 08 0001 "w" 00 "gone"`)
			if d := time.Since(start); d != 20*time.Second {
				t.Errorf("the will came after %v", d)
			}
			if b.Stats().Sessions != 2 {
				t.Error("the session ended with its will")
			}
			time.Sleep(41 * time.Second)
			if b.Stats().Sessions != 1 {
				t.Error("the session did not expire")
			}
			_ = w.nc.Close()
			synctest.Wait()
		})
	})
	t.Run("a client that is back in time has no will", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{})
			defer closeBroker(t, b)
			w := watch(t, b)
			p := connectPipe(t, b)
			p.send(client)
			p.expect("{ok5}")
			_ = p.nc.Close()
			time.Sleep(19 * time.Second)
			p = connectPipe(t, b)
			p.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`)
			p.expect("{ok5 present}")
			time.Sleep(time.Hour)
			w.send("{ping}")
			w.expect("{pong}")
			_, _ = w.nc.Close(), p.nc.Close()
			synctest.Wait()
		})
	})
	t.Run("a message expires in the queue, and shows what is left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := broker.New(broker.Options{})
			defer closeBroker(t, b)
			const keep = `10 13 0004 "MQTT" 05 00 0000 05 11 00000e10 0001 "a"`
			p := connectPipe(t, b)
			p.send(keep)
			p.expect("{ok5}")
			p.send(`82 07 0001 00 0001 "t" 01`)
			p.expect("90 04 0001 00 01")
			_ = p.nc.Close()
			synctest.Wait()
			w := watch(t, b)
			w.send(`32 0c 0001 "t" 0001 05 02 0000000a "1"`)
			w.expect("40 02 0001")
			w.send(`32 0c 0001 "t" 0002 05 02 00000064 "2"`)
			w.expect("40 02 0002")
			time.Sleep(30 * time.Second)
			p = connectPipe(t, b)
			p.send(keep)
			p.expect("{ok5 present}")
			p.expect(`32 0c 0001 "t" 0001 05 02 00000046 "2"`)
			_, _ = w.nc.Close(), p.nc.Close()
			synctest.Wait()
		})
	})
}

func TestAStalledSubscriberIsCutOffAndItsSessionStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{QueueMessages: 2, MaxInflight: 1})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		p.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`)
		p.expect("{ok5}")
		p.send(`82 07 0001 00 0001 "t" 01`)
		p.expect("90 04 0001 00 01")
		w := connectPipe(t, b)
		w.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`)
		w.expect("{ok5}")
		start := time.Now()
		for _, id := range []string{"0001", "0002", "0003"} { // one in flight, two in the queue
			w.send(`32 07 0001 "t" ` + id + ` 00 "x"`)
			if id == "0001" {
				p.expect(`32 07 0001 "t" 0001 00 "x"`) // and no PUBACK
				// until the writer has counted it; counted later it would look like
				// progress
				synctest.Wait()
			}
			if id == "0003" {
				p.expect("e0 01 97")
				p.end()
			}
			w.expect("40 02 " + id)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("the publisher waited %v", d)
		}
		p = connectPipe(t, b)
		p.send(`10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`)
		p.expect("{ok5 present}")
		p.expect(`3a 07 0001 "t" 0001 00 "x"`)
		_, _ = w.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}

// A broker that is closed publishes no will (section 3.1.2.5), neither of connected
// clients nor of absent ones.
func TestClosePublishesNoWill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var closing atomic.Bool
		b := broker.New(broker.Options{Authorize: func(id, _, _ string, write bool) bool {
			if closing.Load() && write { // the call that a will would cause
				t.Errorf("the will of %q is published", id)
			}
			return true
		}})
		w := connectPipe(t, b)
		w.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "w"`)
		w.expect("{ok5}")
		w.send(`82 07 0001 00 0001 "#" 00`)
		w.expect("90 04 0001 00 00")
		late := connectPipe(t, b)
		late.send(`10 22 0004 "MQTT" 05 04 0000 05 11 0000003c 0001 "b" 05 18 00000014 0001 "w" 0004 "gone"`)
		late.expect("{ok5}")
		_ = late.nc.Close()
		synctest.Wait()
		five, four := connectPipe(t, b), connectPipe(t, b)
		five.send(`10 16 0004 "MQTT" 05 06 0000 00 0001 "a" 00 0001 "w" 0002 "up"`)
		five.expect("{ok5}")
		four.send(`10 14 0004 "MQTT" 04 06 0000 0001 "c" 0001 "w" 0002 "up"`)
		four.expect("{ok4}")
		closing.Store(true)
		go closeBroker(t, b)
		five.expect("e0 01 8b")
		five.end()
		four.end()
		w.expect("e0 01 8b")
		w.end()
		synctest.Wait()
	})
}

func TestCloseNotifiesClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{})
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`)
		p.expect("{ok5}")
		go closeBroker(t, b)
		p.expect("e0 01 8b")
		p.end()
		synctest.Wait()
	})
}

// TestMessagesOfOneReadWaitTogether: a subscriber with too many messages slows its
// publisher down. The broker delays the acknowledgement of the last message received,
// and does not read on.
func TestMessagesOfOneReadWaitTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{QueueMessages: 2, MaxInflight: 1})
		defer closeBroker(t, b)
		p := connectPipe(t, b)
		p.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "a"`)
		p.expect("20 02 0000")
		p.send(`82 06 0001 0001 "t" 01`)
		p.expect("90 03 0001 01")
		w := connectPipe(t, b)
		w.send(`10 0d 0004 "MQTT" 04 02 0000 0001 "w"`)
		w.expect("20 02 0000")
		w.send(`32 06 0001 "t" 0001 "1" 32 06 0001 "t" 0002 "2" 32 06 0001 "t" 0003 "3"
			32 06 0001 "t" 0004 "4" 32 06 0001 "t" 0005 "5"`)
		w.expect("40 02 0001 40 02 0002 40 02 0003 40 02 0004")
		synctest.Wait()
		next := make(chan struct{})
		go func() {
			defer close(next)
			w.send(`32 06 0001 "t" 0006 "6" c0 00`) // a pipe: returns when it is read
		}()
		for _, n := range []string{"1", "2", "3"} {
			select {
			case <-next:
				t.Errorf("the publisher is read from while the queue has more than a half, at message %s", n)
			default:
			}
			p.expect(`32 06 0001 "t" 000` + n + ` "` + n + `"`)
			p.send("40 02 000" + n)
			synctest.Wait()
		}
		p.expect(`32 06 0001 "t" 0004 "4"`)
		w.expect("40 02 0005")
		<-next
		p.send("40 02 0004")
		p.expect(`32 06 0001 "t" 0005 "5"`)
		p.send("40 02 0005")
		p.expect(`32 06 0001 "t" 0006 "6"`)
		w.expect("40 02 0006 d0 00")
		_, _ = w.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}
