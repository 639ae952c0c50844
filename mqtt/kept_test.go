package mqtt

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

const (
	connect31   = "10 0f 0006 4d5149736470 03 02 0000 0001 61 (clean session, id a)"
	connect31c  = "10 0f 0006 4d5149736470 03 00 0000 0001 61 (session continued)"
	connect5x   = "10 13 0004 4d515454 05 02 0000 05 11 00000e10 0001 61 (clean start, expiry 3600 s)"
	connect5xc  = "10 13 0004 4d515454 05 00 0000 05 11 00000e10 0001 61 (no clean start, expiry 3600 s)"
	present5    = "20 03 01 00 00"
	disconnect5 = "e0 00"
)

// With a packet identifier that an earlier program used, a message at QoS 2
// would be taken for that program's message, so a publisher begins a new
// session.
func TestAPublisherWithoutAJournalBeginsANewSession(t *testing.T) {
	t.Run("5.0", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V5, Session: Session{Resume: true, Expiry: time.Hour}, PublishOnly: true, Reconnect: atOnce}, func(b *bubble) {
			p := b.accept(connect5x)
			p.send(connack5)
			c := b.connected()
			if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); err != nil {
				t.Fatal(err)
			}
			p.expect("34 06 0001 74 0001 00")
			p.reset()
			p = b.accept(connect5xc) // it is the session of this client
			p.send(present5)
			p.expect("3c 06 0001 74 0001 00")
		})
	})
	for v, connects := range map[packet.Version][2]string{packet.V311: {connect4, connect4c}, packet.V31: {connect31, connect31c}} {
		t.Run(v.String(), func(t *testing.T) {
			inBubble(t, Options{Version: v, Session: Session{Resume: true}, PublishOnly: true, Reconnect: atOnce}, func(b *bubble) {
				p := b.accept(connects[0])
				p.send(connack4)
				p.expect(disconn)
				p.nc.Close()
				p = b.accept(connects[1])
				p.send(connack4)
				c := b.connected()
				if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); err != nil {
					t.Fatal(err)
				}
				p.expect("34 05 0001 74 0001")
				p.reset()
				p = b.accept(connects[1])
				if v == packet.V311 {
					p.send(resumed4)
				} else {
					p.send(connack4) // 3.1 has no session present
				}
				p.expect("3c 05 0001 74 0001")
			})
		})
	}
	t.Run("but one with a journal goes on", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V311, Session: Session{Resume: true}, PublishOnly: true, Journal: &journal.Memory{}}, func(b *bubble) {
			p := b.accept(connect4c)
			p.send(resumed4)
			c := b.connected()
			if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); err != nil {
				t.Fatal(err)
			}
			p.expect("34 05 0001 74 0001")
		})
	})
}

// A client that receives continues the session: of the messages it sent itself,
// none is outstanding there (despite MQTT-3.2.2-4, see conformance.yaml). It
// does not send messages in it that the server could take for those of an
// earlier program.
func TestASessionOfAnEarlierProgramTakesNoQoS2(t *testing.T) {
	for _, row := range []struct {
		version        packet.Version
		connect, yes   string
		no, published  string
		published1     string
		expiry         time.Duration
		afterLoss      string
		publishedAfter string
	}{
		{packet.V5, "10 13 0004 4d515454 05 00 0000 05 11 00000e10 0001 61", present5, connack5, "", "32 06 0001 74 0001 00", time.Hour, connect5xc, "34 06 0001 74 0002 00"},
		{packet.V311, connect4c, resumed4, connack4, "", "32 05 0001 74 0001", 0, connect4c, "34 05 0001 74 0002"},
	} {
		t.Run(row.version.String(), func(t *testing.T) {
			inBubble(t, Options{Version: row.version, Session: Session{Resume: true, Expiry: row.expiry}, Reconnect: atOnce}, func(b *bubble) {
				p := b.accept(row.connect)
				p.send(row.yes)
				c := b.connected()
				refuse := func() {
					t.Helper()
					for _, f := range []func() error{
						func() error { return c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1) },
						func() error { return c.Publish(b.t.Context(), &Message{Topic: "t", QoS: 2}) },
					} {
						if err := f(); !errors.Is(err, ErrInherited) || !errors.Is(err, ErrNotSent) {
							t.Errorf("got %v, want ErrInherited and ErrNotSent", err)
						}
					}
				}
				refuse()
				if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 1}, 1); err != nil {
					t.Fatal(err)
				}
				p.expect(row.published1)
				p.send("40 02 0001")
				synctest.Wait()
				p.reset()
				p = b.accept(row.connect)
				p.send(row.yes) // the same session
				synctest.Wait()
				refuse()
				p.reset()
				p = b.accept(row.afterLoss)
				p.send(row.no) // it is lost, and its packet identifiers with it
				synctest.Wait()
				if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); err != nil {
					t.Fatal(err)
				}
				p.expect(row.publishedAfter)
			})
		})
	}
	t.Run("3.1, which has no session present", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V31, Session: Session{Resume: true}}, func(b *bubble) {
			b.accept(connect31c).send(connack4)
			c := b.connected()
			if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); !errors.Is(err, ErrInherited) {
				t.Errorf("got %v, want ErrInherited", err)
			}
		})
	})
	t.Run("but a new one does", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V311, Session: Session{Resume: true}}, func(b *bubble) {
			p := b.accept(connect4c)
			p.send(connack4)
			c := b.connected()
			if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 2}, 1); err != nil {
				t.Fatal(err)
			}
			p.expect("34 05 0001 74 0001")
		})
	})
}

// Before 5.0, a session that lasts over reconnects begins with a clean
// connection that does nothing else, and ends with another one.
func TestAKeptSessionBefore5BeginsAndEndsClean(t *testing.T) {
	for v, connects := range map[packet.Version][2]string{packet.V311: {connect4, connect4c}, packet.V31: {connect31, connect31c}} {
		t.Run(v.String(), func(t *testing.T) {
			inBubble(t, Options{Version: v, Session: Session{Keep: true}, Reconnect: atOnce}, func(b *bubble) {
				p := b.accept(connects[0])
				p.send(connack4)
				p.expect(disconn)
				p.expectEnd()
				next := accepted(b.net)
				select {
				case <-next:
					t.Error("the next connection does not wait until the server has closed this one")
				case <-time.After(500 * time.Millisecond):
				}
				p.nc.Close()
				p = &peer{b.t, <-next}
				p.expect(connects[1])
				p.send(connack4)
				c := b.connected()
				synctest.Wait()
				p.reset()
				p = b.accept(connects[1])
				p.send(connack4)
				synctest.Wait()
				ended := make(chan error, 1)
				go func() {
					_ = c.Close(b.t.Context())
					ended <- c.DiscardSession(b.t.Context())
				}()
				p.expect(disconn)
				p.nc.Close()
				p = b.accept(connects[0])
				p.send(connack4)
				p.expect(disconn)
				p.expectEnd()
				p.nc.Close()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTheCleanConnectionHasNoWill(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, Session: Session{Keep: true}, Will: &Will{Message: Message{Topic: "w"}}}, func(b *bubble) {
		p := b.accept(connect4)
		p.send(connack4)
		p.expect(disconn)
		p.nc.Close()
		b.accept("10 12 0004 4d515454 04 04 0000 0001 61 0001 77 0000 (session continued, a will)").send(connack4)
		b.connected()
	})
}

// Without a client ID, or with a generated one, no later client could end the
// session.
func TestNoSessionIsKeptBefore5UnderANameThatWasMadeUp(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, Session: Session{Keep: true}, NewClientID: true, Reconnect: atOnce}, func(b *bubble) {
		for range 2 {
			p := b.accept(connect4)
			p.send(connack4)
			b.connected()
			synctest.Wait()
			p.reset()
		}
	})
	inBubble(t, Options{Version: packet.V5, Session: Session{Keep: true}}, func(b *bubble) { // no effect in 5.0
		b.accept(connect5).send(connack5)
		b.connected()
	})
}

// After a fallback the version in use decides.
func TestAFallbackKeepsTheSessionAsTheVersionCan(t *testing.T) {
	inBubble(t, Options{Session: Session{Keep: true, Expiry: time.Hour}, Reconnect: atOnce}, func(b *bubble) {
		b.accept(connect5x).send("20 02 00 01")
		p := b.accept(connect4)
		p.send(connack4)
		p.expect(disconn)
		p.nc.Close()
		p = b.accept(connect4c)
		p.send(connack4)
		if c := b.connected(); c.Version() != packet.V311 || b.fellBack() != 1 {
			t.Errorf("version %v, %d fallbacks; want 3.1.1 and one", c.Version(), b.fellBack())
		}
	})
}

// Some servers keep the session of a clean connection after its end, against
// MQTT-3.1.2-6. It is empty, and as good as a new one.
func TestTheSessionOfACleanConnectionIsANewOne(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, Session: Session{Keep: true}}, func(b *bubble) {
		p := b.accept(connect4)
		p.send(connack4)
		p.expect(disconn)
		p.nc.Close()
		p = b.accept(connect4c)
		p.send(resumed4)
		c := b.connected()
		if c.SessionPresent() {
			t.Error("the session is said to be an old one")
		}
		go func() { _ = c.Publish(b.t.Context(), &Message{Topic: "t", Payload: []byte("x"), QoS: 2}) }()
		p.expect("34 06 0001 74 0001 78")
	})
	// The connection that cleans the session may be refused.
	inBubble(t, Options{Version: packet.V311, Session: Session{Keep: true}}, func(b *bubble) {
		b.accept(connect4).send("20 02 00 05")
		if <-b.done; !errors.Is(b.err, packet.NotAuthorized) {
			t.Errorf("got %v, want the refusal", b.err)
		}
	})
}

func TestASessionThatCannotBeDiscardedIsAnError(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, Session: Session{Keep: true}}, func(b *bubble) {
		p := b.accept(connect4)
		p.send(connack4)
		p.expect(disconn)
		p.nc.Close()
		p = b.accept(connect4c)
		p.send(connack4)
		c := b.connected()
		go func() { _ = c.Close(b.t.Context()) }()
		p.expect(disconn)
		p.nc.Close()
		<-c.Done()
		errs := make(chan error, 1)
		go func() { errs <- c.DiscardSession(b.t.Context()) }()
		b.accept(connect4).nc.Close()
		if err := <-errs; !errors.Is(err, ErrNoAnswer) {
			t.Errorf("got %v, want ErrNoAnswer", err)
		}
		b.net.Close()
		if err := c.DiscardSession(b.t.Context()); !errors.Is(err, ErrUnreached) {
			t.Errorf("got %v, want ErrUnreached", err)
		}
	})
}
