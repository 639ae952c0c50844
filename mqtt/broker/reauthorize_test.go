package broker_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestRecheckStopsWhatWaits forbids a topic while messages to it wait for clients: in
// the queue of an absent one, unacknowledged, and in the queue of a connected one.
func TestRecheckStopsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var strict atomic.Bool
		b := broker.New(broker.Options{MaxInflight: 2, Authorize: func(_, _, topic string, write bool) bool {
			return write || !strict.Load() || !strings.HasPrefix(topic, "secret")
		}})
		defer closeBroker(t, b)
		const connect = `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`
		a := connectPipe(t, b)
		a.send(connect)
		a.expect("{ok5}")
		a.send(`82 10 0001 00 0006 "secret" 01 0001 "t" 01`)
		a.expect("90 05 0001 00 01 01")
		p := connectPipe(t, b)
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
		p.expect("{ok5}")
		// Two are sent, the others are in the queue.
		for range 2 {
			p.send(`32 0c 0006 "secret" 0001 00 "1" 32 07 0001 "t" 0002 00 "2"`)
			p.expect("40 02 0001 40 02 0002")
		}
		a.expect(`32 0c 0006 "secret" 0001 00 "1" 32 07 0001 "t" 0002 00 "2"`)
		strict.Store(true)
		b.Recheck(nil)
		a.expect("e0 01 87")
		a.end()
		synctest.Wait()
		if st := b.Stats(); st.Dropped != 2 {
			t.Errorf("%d messages were dropped, want 2", st.Dropped)
		}
		a = connectPipe(t, b)
		a.send(connect)
		a.expect(`{ok5 present} 3a 07 0001 "t" 0002 00 "2" 32 07 0001 "t" 0003 00 "2"`)
		a.send("40 02 0002 40 02 0003 {ping}")
		a.expect("{pong}")
		_, _ = a.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}

// TestRecheckStopsWhatWouldComeAgain forbids a topic while a client with an
// unacknowledged message stays connected, its subscription having ended before.
func TestRecheckStopsWhatWouldComeAgain(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"it goes and comes back", "it comes by another connection", "it comes back allowed again"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var strict atomic.Bool
				b := broker.New(broker.Options{Authorize: func(_, _, topic string, write bool) bool {
					return write || !strict.Load() || topic != "secret"
				}})
				defer closeBroker(t, b)
				const connect = `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`
				a, p := connectPipe(t, b), connectPipe(t, b)
				a.send(connect)
				a.expect("{ok5}")
				a.send(`82 10 0001 00 0006 "secret" 02 0001 "t" 02`)
				a.expect("90 05 0001 00 02 02")
				p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
				p.expect("{ok5}")
				p.send(`32 0c 0006 "secret" 0001 00 "1" 34 07 0001 "t" 0002 00 "2" 34 0c 0006 "secret" 0003 00 "3"`)
				p.expect("40 02 0001 50 02 0002 50 02 0003")
				a.expect(`32 0c 0006 "secret" 0001 00 "1" 34 07 0001 "t" 0002 00 "2" 34 0c 0006 "secret" 0003 00 "3"`)
				a.send(`a2 0b 0002 00 0006 "secret"`)
				a.expect("b0 04 0002 00 00")
				strict.Store(true)
				b.Recheck(nil)
				a.send("{ping}") // it is still connected
				a.expect("{pong}")
				// the same message at QoS 2 (MQTT-4.3.3-4)
				again, dropped := `{ok5 present} 3c 07 0001 "t" 0002 00 "2"`, uint64(2)
				old := a
				var goodbye []byte
				a = connectPipe(t, b)
				switch way[3:8] {
				case "goes ":
					_ = old.nc.Close()
					synctest.Wait()
				case "comes":
					if way[len(way)-5:] != "again" {
						goodbye = make([]byte, 3)
						go func() { _, _ = io.ReadFull(old.nc, goodbye) }()
						break
					}
					_ = old.nc.Close()
					synctest.Wait()
					strict.Store(false)
					again, dropped = `{ok5 present} 3a 0c 0006 "secret" 0001 00 "1" 3c 07 0001 "t" 0002 00 "2" 3c 0c 0006 "secret" 0003 00 "3"`, 0
				}
				a.send(connect)
				a.expect(again)
				a.send("{ping}")
				a.expect("{pong}")
				if st := b.Stats(); st.Dropped != dropped {
					t.Errorf("%d messages were dropped, want %d", st.Dropped, dropped)
				}
				synctest.Wait() // old has received its DISCONNECT
				if goodbye != nil && string(goodbye) != "\xe0\x01\x8e" {
					t.Errorf("the old connection got % x, want DISCONNECT with 0x8E", goodbye)
				}
				_, _, _ = a.nc.Close(), old.nc.Close(), p.nc.Close()
				synctest.Wait()
			})
		})
	}
}

// TestAnotherUserReadsNothingOfTheFirst resumes a session with another user name, which
// may read one of the two topics that the first one could.
func TestAnotherUserReadsNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{MaxInflight: 2, Authorize: func(_, user, topic string, write bool) bool {
			return write || user != "y" || topic != "x"
		}})
		defer closeBroker(t, b)
		as := func(user string) string {
			return `10 16 0004 "MQTT" 05 80 0000 05 11 0000003c 0001 "a" 0001 "` + user + `"`
		}
		a, p := connectPipe(t, b), connectPipe(t, b)
		a.send(as("x"))
		a.expect("{ok5}")
		a.send(`82 0b 0001 00 0001 "x" 01 0001 "t" 01`)
		a.expect("90 05 0001 00 01 01")
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
		p.expect("{ok5}")
		for range 2 { // two are sent, two wait
			p.send(`32 07 0001 "x" 0001 00 "1" 32 07 0001 "t" 0002 00 "2"`)
			p.expect("40 02 0001 40 02 0002")
		}
		a.expect(`32 07 0001 "x" 0001 00 "1" 32 07 0001 "t" 0002 00 "2"`)
		_ = a.nc.Close()
		synctest.Wait()
		a = connectPipe(t, b)
		a.send(as("y"))
		a.expect(`{ok5 present} 3a 07 0001 "t" 0002 00 "2" 32 07 0001 "t" 0003 00 "2"`)
		p.send(`32 07 0001 "x" 0003 00 "3"`) // its subscription is gone
		p.expect("40 03 0003 10")
		a.send("{ping}")
		a.expect("{pong}")
		_, _ = a.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}

// TestRecheckLeavesWhatIsAllowed: nothing changes.
func TestRecheckLeavesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := broker.New(broker.Options{Authorize: func(_, _, _ string, _ bool) bool { return true }})
		defer closeBroker(t, b)
		const connect = `10 13 0004 "MQTT" 05 00 0000 05 11 0000003c 0001 "a"`
		a, p := connectPipe(t, b), connectPipe(t, b)
		a.send(connect)
		a.expect("{ok5}")
		a.send(`82 07 0001 00 0001 "t" 02`)
		a.expect("90 04 0001 00 02")
		p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
		p.expect("{ok5}")
		p.send(`34 07 0001 "t" 0001 00 "1"`)
		p.expect("50 02 0001")
		a.expect(`34 07 0001 "t" 0001 00 "1"`)
		b.Recheck(func(_, _ string) bool { return true })
		_ = a.nc.Close()
		synctest.Wait()
		p.send(`34 07 0001 "t" 0002 00 "2"`)
		p.expect("50 02 0002")
		b.Recheck(func(_, _ string) bool { return false }) // called only for connected clients: p
		p.expect("e0 01 87")
		a = connectPipe(t, b)
		a.send(connect)
		a.expect(`{ok5 present} 3c 07 0001 "t" 0001 00 "1" 34 07 0001 "t" 0002 00 "2"`)
		_, _ = a.nc.Close(), p.nc.Close()
		synctest.Wait()
	})
}

// TestRetainedMessagesAreCountedOnce updates and deletes topics again and again where
// there is room for two.
func TestRetainedMessagesAreCountedOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    broker.Options
	}{
		{"by number", broker.Options{MaxRetained: 2}},
		// 322 and the payload for each.
		{"by bytes", broker.Options{MaxRetainedBytes: 2*322 + 150}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.o.MaxRetainedBytes > 0 {
				only64(t)
			}
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(c.o)
				defer closeBroker(t, b)
				p := connectPipe(t, b)
				p.send(`10 0e 0004 "MQTT" 05 02 0000 00 0001 "p"`)
				p.expect("{ok5}")
				set := func(topic string, size int, answer string, retained int) {
					t.Helper()
					p.send(fmt.Sprintf(`33 %02x 0001 "%s" 0001 00 %d*78`, 6+size, topic, size))
					p.expect("40 03 0001 " + answer)
					if n := b.Stats().Retained; n != retained {
						t.Fatalf("%d are retained, want %d", n, retained)
					}
				}
				set("t", 100, "10", 1)
				for i := range 100 {
					set("t", 1+i, "10", 1) // larger, and smaller than the first
				}
				set("u", 50, "10", 2)
				set("v", 1, "97", 2)
				for range 100 {
					p.send(`33 06 0001 "t" 0001 00`)
					p.expect("40 03 0001 10")
					p.send(`33 06 0001 "t" 0001 00`) // there is none
					p.expect("40 03 0001 10")
					set("v", 100, "10", 2)
					set("t", 1, "97", 2)
					p.send(`33 06 0001 "v" 0001 00`)
					p.expect("40 03 0001 10")
					set("t", 100, "10", 2)
					set("v", 1, "97", 2)
				}
				_ = p.nc.Close()
				synctest.Wait()
			})
		})
	}
}

// TestRecheckHoldsForLoginsInProgress changes which clients may connect while a login
// waits: for its check, for the rest of the input of the same client's old connection,
// or for the next step of an exchange. A client accepted by the old rules must not
// stay.
func TestRecheckHoldsForLoginsInProgress(t *testing.T) {
	t.Parallel()
	const (
		connect = `10 14 0004 "MQTT" 05 82 0000 00 0001 "a" 0004 "user"`
		old     = `10 0e 0004 "MQTT" 05 02 0000 00 0001 "a"`
		refused = "20 03 00 87 00"
	)
	for _, row := range []struct {
		name   string
		still  bool // the new rules allow the user as well
		old    bool // the client has a connection, whose end is waited for
		slow   bool // the check takes a second
		answer string
	}{
		{"slow check", false, false, true, refused},
		{"slow check, still allowed", true, false, true, "{ok5}"},
		{"takeover", false, true, false, refused},
		{"takeover, still allowed", true, true, false, "{ok5}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var strict atomic.Bool
			inMemory(t, broker.Options{Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
				bad := strict.Load() && !row.still && p.HasUsername
				if row.slow {
					time.Sleep(time.Second)
				}
				if bad {
					return packet.NotAuthorized
				}
				return packet.Success
			}}, func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
				if row.old {
					p := memoryPeer(t, dial)
					p.send(old)
					p.expect("{ok5}")
					defer p.nc.Close()
				}
				a := memoryPeer(t, dial)
				a.send(connect)
				time.Sleep(50 * time.Millisecond)
				strict.Store(true)
				b.Recheck(func(_, username string) bool { return row.still || username != "user" })
				a.expect(row.answer)
				_ = a.nc.Close()
			})
		})
	}
	t.Run("exchange", func(t *testing.T) {
		t.Parallel()
		inMemory(t, broker.Options{AuthMethods: map[string]func() broker.Exchange{"m": func() broker.Exchange { return new(twoSteps) }}},
			func(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) {
				a := memoryPeer(t, dial)
				a.send(`10 12 0004 "MQTT" 05 02 0000 04 15 0001 "m" 0001 "a"`)
				a.expect(`f0 06 18 04 15 0001 "m"`)
				b.Recheck(func(_, _ string) bool { return true })
				a.send(`f0 06 18 04 15 0001 "m"`)
				a.expect(`20 1c 00 89 19 1f 0016 "the rules have changed"`)
				_ = a.nc.Close()
			})
	})
}

// twoSteps accepts every client that answers.
type twoSteps struct{ asked bool }

func (x *twoSteps) Step([]byte) (answer []byte, done bool, err error) {
	done, x.asked = x.asked, true
	return nil, done, nil
}

func (x *twoSteps) User() string { return "user" }
