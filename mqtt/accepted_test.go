package mqtt

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// betweenAcceptAndResume connects a client, loses the connection, and calls
// meanwhile when the second connection has received its CONNACK but the session
// is not resumed on it yet.
func betweenAcceptAndResume(t *testing.T, opt Options, first, again, connack1, connack2 string, before func(*Client, *peer), meanwhile func(*Client)) (*Client, *peer) {
	t.Helper()
	inner, accept := tcpPair(t)
	var c *Client
	dials := 0
	dial := func(ctx context.Context) (net.Conn, error) {
		nc, err := inner(ctx)
		if dials++; err == nil && dials == 2 {
			nc = &hookConn{nc, func() { meanwhile(c) }}
		}
		return nc, err
	}
	opt.Reconnect = atOnce
	c, p := connectedOver(t, dial, accept, opt, first, connack1)
	before(c, p)
	p.nc.Close()
	p = accept()
	p.expect(again)
	p.send(connack2)
	return c, p
}

// parked waits until n calls of the client are waiting.
func parked(t *testing.T, c *Client, n int) {
	t.Helper()
	locked(t, c, func() bool { return len(c.waiters.all)-len(c.waiters.free) >= n })
}

// TestCallsBetweenAcceptAndResume checks that calls made in that moment are
// sent once, after the session.
func TestCallsBetweenAcceptAndResume(t *testing.T) {
	t.Parallel()
	nothing := func(*Client, *peer) {}
	type call func(c *Client) error
	for _, row := range []struct {
		name   string
		call   call
		want   string
		answer string
	}{
		{"Publish at QoS 0", func(c *Client) error { return c.Publish(context.Background(), &Message{Topic: "x"}) },
			"30 04 0001 78 00", ""},
		{"Publish at QoS 1", func(c *Client) error { return c.Publish(context.Background(), &Message{Topic: "x", QoS: 1}) },
			"32 06 0001 78 0002 00", "40 02 0002"},
		{"Subscribe", func(c *Client) error {
			codes, err := c.Subscribe(context.Background(), Subscription{Filter: "f", QoS: 1})
			if err == nil && (len(codes) != 1 || codes[0] != 1) {
				err = errors.New("no codes")
			}
			return err
		}, "82 07 0001 00 0001 66 01", "90 04 0001 00 01"},
		{"Unsubscribe", func(c *Client) error {
			codes, err := c.Unsubscribe(context.Background(), "f")
			if err == nil && (len(codes) != 1 || codes[0] != packet.NoSubscriptionExisted) {
				err = errors.New("no codes")
			}
			return err
		}, "a2 06 0001 00 0001 66", "b0 04 0001 00 11"},
		{"Ping", func(c *Client) error { return c.Ping(context.Background()) }, "c0 00", "d0 00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			done := make(chan error, 1)
			c, p := betweenAcceptAndResume(t, Options{Version: packet.V5}, connect5, connect5, connack5, connack5, nothing, func(c *Client) {
				go func() { done <- row.call(c) }()
				parked(t, c, 1)
			})
			p.expect(row.want)
			if row.answer != "" {
				select {
				case err := <-done:
					t.Errorf("returned before the answer: %v", err)
				default:
				}
				p.send(row.answer)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			closed(t, c, p) // and nothing was sent before it
		})
	}
}

// TestTheSessionGoesOutOnce checks that whatever is sent in that moment, each
// message uses one packet identifier on the connection and respects the Receive
// Maximum.
func TestTheSessionGoesOutOnce(t *testing.T) {
	t.Parallel()
	const again5 = "10 13 0004 4d515454 05 00 0000 05 11 0000003c 0001 61"
	for _, row := range []struct{ name, connack, want, answer, next string }{
		{"the session is kept", "20 03 01 00 00",
			"3c 07 0001 78 0001 00 31  34 07 0001 78 0002 00 32", "50 02 0001 50 02 0002", "62 02 0001 62 02 0002"},
		{"the session is lost", "20 03 00 00 00",
			"34 07 0001 78 0003 00 31  34 07 0001 78 0004 00 32", "50 02 0003 50 02 0004", "62 02 0003 62 02 0004"},
		{"with a Receive Maximum of 1", "20 06 01 00 03 21 0001",
			"3c 07 0001 78 0001 00 31", "50 03 0001 97", "34 07 0001 78 0002 00 32"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			send := func(c *Client, payload string) {
				if err := c.Send(context.Background(), &Message{Topic: "x", Payload: []byte(payload), QoS: 2}, 1); err != nil {
					t.Error(err)
				}
			}
			c, p := betweenAcceptAndResume(t, Options{Version: packet.V5, Session: Session{Expiry: 60e9}},
				"10 13 0004 4d515454 05 02 0000 05 11 0000003c 0001 61", again5, connack5, row.connack,
				func(c *Client, p *peer) { send(c, "1"); p.expect("34 07 0001 78 0001 00 31") },
				func(c *Client) { send(c, "2") })
			p.expect(row.want)
			p.send(row.answer)
			p.expect(row.next)
			go c.Abort()
			p.expectEnd()
			<-c.Done()
		})
	}
}

// TestACloseBetweenAcceptAndResumeSaysGoodbye checks that DISCONNECT is sent,
// without which the server would publish the will.
func TestACloseBetweenAcceptAndResumeSaysGoodbye(t *testing.T) {
	t.Parallel()
	closed := make(chan error, 1)
	_, p := betweenAcceptAndResume(t, Options{Version: packet.V5}, connect5, connect5, connack5, connack5, func(*Client, *peer) {}, func(c *Client) {
		go func() { closed <- c.Close(context.Background()) }()
		<-c.ctx.Done()
	})
	p.expect(disconn)
	p.expectEnd()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestACloseBeforeCONNACKSaysGoodbye checks the same while the client waits for
// CONNACK.
func TestACloseBeforeCONNACKSaysGoodbye(t *testing.T) {
	t.Parallel()
	for how, connack := range map[string]string{"": "nothing", connack4: "a CONNACK", "20 02": "half a CONNACK"} {
		c, p, accept := connected(t, Options{Version: packet.V311, Reconnect: atOnce}, connect4, connack4)
		p.nc.Close()
		p = accept()
		p.expect(connect4)
		locked(t, c, func() bool { return c.agreed.greeted })
		closed := make(chan error, 1)
		go func() { closed <- c.Close(context.Background()) }()
		<-c.ctx.Done()
		p.send(how)
		p.expect(disconn)
		p.expectEnd()
		p.nc.Close()
		if err := <-closed; err != nil {
			t.Errorf("%s: %v", connack, err)
		}
	}
}

// TestASessionThatWasLostUnnoticedIsSubscribedAgain covers a lost CONNACK that
// reported the new session: the session present flag of the next CONNACK refers
// to that session.
func TestASessionThatWasLostUnnoticedIsSubscribedAgain(t *testing.T) {
	t.Parallel()
	for how, half := range map[string]string{"no byte of CONNACK": "", "a part of CONNACK": "20 03 00"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c, p, accept := connected(t, Options{Version: packet.V5, Session: Session{Resume: true}, Reconnect: atOnce},
				"10 0e 0004 4d515454 05 00 0000 00 0001 61", connack5)
			subscribed(t, c, p, "82 07 0001 00 0001 66 01", "90 04 0001 00 01", Subscription{Filter: "f", QoS: 1})
			p.nc.Close()
			p = accept()
			p.expect("10 0e 0004 4d515454 05 00 0000 00 0001 61")
			p.send(half)
			p.nc.Close()
			p = accept()
			p.expect("10 0e 0004 4d515454 05 00 0000 00 0001 61")
			p.send("20 03 01 00 00")
			p.expect("82 07 0002 00 0001 66 01")
			p.send("90 04 0002 00 01")
			// Once a CONNACK is received, the session is what the server says.
			p.nc.Close()
			p = accept()
			p.expect("10 0e 0004 4d515454 05 00 0000 00 0001 61")
			p.send("20 03 01 00 00")
			closed(t, c, p)
		})
	}
}

// TestAMessageInHandIsAcknowledgedOnTheNextConnection includes 3.1, whose
// CONNACK does not report that the session is kept.
func TestAMessageInHandIsAcknowledgedOnTheNextConnection(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name                     string
		version                  packet.Version
		connect, first, again, m string
		redo                     string
	}{
		{"3.1", packet.V31, "10 0f 0006 4d5149736470 03 00 0000 0001 61", connack4, connack4, "34 05 0001 78 0005", "3c 05 0001 78 0005"},
		{"3.1.1", packet.V311, connect4c, connack4, resumed4, "34 05 0001 78 0005", "3c 05 0001 78 0005"},
		{"5.0", packet.V5, "10 0e 0004 4d515454 05 00 0000 00 0001 61", connack5, "20 03 01 00 00", "34 06 0001 78 0005 00", "3c 06 0001 78 0005 00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, p, accept := connected(t, Options{Version: row.version, Session: Session{Resume: true}, Reconnect: atOnce}, row.connect, row.first)
			p.send(row.m)
			b, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.nc.Close()
			p = accept()
			p.expect(row.connect)
			p.send(row.again)
			p.send(row.redo + " c0") // when the client's error arrives it has read the redelivery
			p.nc.Close()
			p = accept()
			p.expect(row.connect)
			b.Ack(1) // before CONNACK
			p.send(row.again)
			p.send(row.redo)
			p.expect("50 02 0005")
			p.send("62 02 0005")
			p.expect("70 02 0005")
			closed(t, c, p)
		})
	}
}

// TestIdentifiersThatAreUsedAgainAreCounted checks the count and the event:
// nothing else shows that the server has lost its session.
func TestIdentifiersThatAreUsedAgainAreCounted(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 8)
	c, p, accept := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce, OnEvent: func(e Event) {
		if e.Kind == EventReused {
			events <- e
		}
	}}, connect4c, connack4)
	took := func(want string) {
		t.Helper()
		b, err := c.Receive(t.Context())
		if err != nil || len(b.Messages) != 1 || string(b.Messages[0].Payload) != want {
			t.Fatalf("received %+v, %v; want %q", b, err, want)
		}
		b.Ack(1)
		b.Release()
		p.expect("50 02 0007")
	}
	p.send("34 06 0001 74 0007 31")
	took("1")
	p.nc.Close()
	for i := range 2 { // on two connections: the counts add up
		p = accept()
		p.expect(connect4c)
		p.send(resumed4)
		p.send("34 06 0001 74 0007 " + string(rune('3')) + string(rune('2'+i)))
		took(string(rune('2' + i)))
		if e := <-events; e.Count != 1 {
			t.Errorf("event %+v", e)
		}
		if i == 0 {
			p.nc.Close()
		}
	}
	if st := c.Stats(); st.Reused != 2 || st.Received != 3 {
		t.Errorf("stats %+v", st)
	}
	closed(t, c, p)
}
