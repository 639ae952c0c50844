package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport/certtest"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

func TestPublishSendsTheBytesOfTheSpecification(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	errs := make(chan error, 1)
	publish := func(m Message) { go func() { errs <- c.Publish(t.Context(), &m) }() }

	publish(Message{Topic: "a/b", Payload: []byte("hi")})
	p.expect("30 07 0003 612f62 6869")
	if err := <-errs; err != nil {
		t.Errorf("QoS 0: %v", err)
	}
	publish(Message{Topic: "a/b", Payload: []byte("hi"), QoS: 1, Retain: true})
	p.expect("33 09 0003 612f62 0001 6869")
	p.send("40 02 0001")
	if err := <-errs; err != nil {
		t.Errorf("QoS 1: %v", err)
	}
	publish(Message{Topic: "a/b", QoS: 2})
	p.expect("34 07 0003 612f62 0002")
	p.send("50 02 0002")
	p.expect("62 02 0002")
	p.send("70 02 0002")
	if err := <-errs; err != nil {
		t.Errorf("QoS 2: %v", err)
	}
	closed(t, c, p)
	if st := c.Stats(); st.Unwritten != 0 || st.Acked != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestRefusalsCarryReasonAndText(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V5}, connect5, connack5)
	errs := make(chan error, 1)
	go func() { errs <- c.Publish(t.Context(), &Message{Topic: "a", QoS: 1}) }()
	p.expect("32 06 0001 61 0001 00")
	p.send("40 09 0001 87 05 1f 0002 6e6f (not authorized, reason string no)")
	err := <-errs
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrRefused) || !errors.Is(err, packet.NotAuthorized) || e.Text != "no" {
		t.Errorf("got %v, want a refusal with reason string", err)
	}
	if st := c.Stats(); st.Refused != 1 || st.Unfinished != 0 {
		t.Errorf("stats %+v", st)
	}
	closed(t, c, p)
}

func TestConnectRefused(t *testing.T) {
	for _, row := range []struct {
		name, connect, connack string
		version                packet.Version
		reason                 packet.ReasonCode
	}{
		{"3.1.1 bad password", connect4, "20 02 00 04", packet.V311, packet.BadUserNameOrPassword},
		{"5.0 banned", connect5, "20 03 00 8a 00", packet.V5, packet.Banned},
	} {
		t.Run(row.name, func(t *testing.T) {
			ps := newPipes()
			errs := make(chan error, 1)
			go func() {
				_, err := connectOver(t.Context(), ps.dial, &Options{Version: row.version, ClientID: "a", KeepAlive: NoKeepAlive})
				errs <- err
			}()
			p := ps.accept(t)
			p.expect(row.connect)
			p.send(row.connack)
			err := <-errs
			if !errors.Is(err, row.reason) || !errors.Is(err, ErrRefused) || !Permanent(err) {
				t.Errorf("got %v, want a permanent refusal with %v", err, row.reason)
			}
		})
	}
}

// A CONNECT that every server must refuse is not sent, and nothing is dialed.
//
// It shows MQTT-3.1.2-12, and MQTT-3.1.2-14 of 3.1.1.
func TestAConnectThatNoServerAcceptsIsNotSent(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		it   string
		opt  Options
		rule string
	}{
		{"has a will at QoS 3", Options{Will: &Will{Message: Message{Topic: "w", QoS: 3}}}, "QoS above 2"},
		{"has a will without a topic", Options{Will: &Will{}}, "MQTT-4.7.3-1"},
		{"has a user name that is not UTF-8", Options{Username: "\xff"}, "MQTT-1.5.4-1"},
		{"has a client identifier of 65536 bytes", Options{ClientID: strings.Repeat("x", 65536)}, "65535 bytes"},
		{"has a password without a user name in 3.1.1", Options{Version: packet.V311, Password: []byte("p")}, "MQTT-3.1.2-22"},
		{"has a session and no client identifier", Options{Version: packet.V311, Session: Session{Resume: true}}, "needs a ClientID"},
		{"has properties that do not decode", Options{Properties: packet.Properties{0x7f, 0}}, "0x7f"},
	} {
		dial := func(context.Context) (net.Conn, error) {
			t.Errorf("it %s, and is dialled for", row.it)
			return nil, errors.New("no network")
		}
		_, err := connectOver(t.Context(), dial, &row.opt)
		if !errors.Is(err, ErrNotSent) || errors.Is(err, ErrUnreached) || !strings.Contains(err.Error(), row.rule) {
			t.Errorf("it %s: got %v, want %s", row.it, err, row.rule)
		}
	}
}

func TestAnOpenVersionFallsBackTo311(t *testing.T) {
	for _, row := range []struct {
		name, answer string
		times        int
	}{
		{"return code 1", "20 02 00 01", 1},
		{"reason code 0x84", "20 03 00 84 00", 1},
		{"closed connections", "", 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			ps := newPipes()
			type result struct {
				c   *Client
				err error
			}
			done := make(chan result, 1)
			go func() {
				c, err := connectOver(t.Context(), ps.dial, &Options{ClientID: "a", KeepAlive: NoKeepAlive})
				done <- result{c, err}
			}()
			for range row.times {
				p := ps.accept(t)
				p.expect(connect5)
				if row.answer != "" {
					p.send(row.answer)
				}
				p.nc.Close()
			}
			p := ps.accept(t)
			p.expect(connect4)
			p.send(connack4)
			r := <-done
			if r.err != nil {
				t.Fatal(r.err)
			}
			if v := r.c.Version(); v != packet.V311 {
				t.Errorf("version %v", v)
			}
			closed(t, r.c, p)
		})
	}
}

func TestNotAnMQTTServer(t *testing.T) {
	for _, row := range []struct{ name, answer, want string }{
		{"HTTP", "485454502f312e3120343030", "HTTP"},
		{"TLS alert", "15 03 03 00 02 02 28", "TLS"},
		{"a CONNECT", "10 0d 0004 4d515454 04 02 0000 0001 61", "MQTT-3.2.0-1"},
		{"a PUBLISH first", "30 03 0001 61", "MQTT-3.2.0-1"},
		{"a reserved type", "00 00", "does not speak MQTT"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ps := newPipes()
			errs := make(chan error, 1)
			go func() {
				_, err := connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive})
				errs <- err
			}()
			p := ps.accept(t)
			p.expect(connect4)
			p.send(row.answer)
			if err := <-errs; err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want it to name %q", err, row.want)
			}
		})
	}
}

func TestAClaimedLengthAllocatesNothing(t *testing.T) {
	dial, accept := tcpPair(t)
	go func() {
		p := accept()
		p.expect(connect4)
		p.send("20 ff ff ff 7f 00")
		p.nc.Close()
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := connectOver(t.Context(), dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: NoKeepAlive})
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Fatal("connected")
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes allocated for 6 bytes received", got)
	}
}

func TestResumeSendsAgainInOrderWithDup(t *testing.T) {
	opt := Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: func(int, error) (time.Duration, bool) { return 0, true }}
	c, p, accept := connected(t, opt, connect4c, connack4)
	for i, q := range []packet.QoS{1, 2, 1} {
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: q, Payload: []byte{byte('0' + i)}}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("32 06 0001 61 0001 30   34 06 0001 61 0002 31   32 06 0001 61 0003 32")
	p.send("50 02 0002")
	p.expect("62 02 0002")
	p.nc.Close()

	p = accept()
	p.expect(connect4c)
	p.send(resumed4)
	p.expect("3a 06 0001 61 0001 30   62 02 0002   3a 06 0001 61 0003 32")
	p.send("40 02 0001  70 02 0002  40 02 0003")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if st := c.Stats(); st.Acked != 3 || st.Reconnects != 1 {
		t.Errorf("stats %+v", st)
	}
	closed(t, c, p)
}

func TestALostSessionIsPublishedAgain(t *testing.T) {
	opt := Options{Version: packet.V311, Reconnect: func(int, error) (time.Duration, bool) { return 0, true }}
	c, p, accept := connected(t, opt, connect4, connack4)
	subscribed := make(chan error, 1)
	go func() {
		_, err := c.Subscribe(t.Context(), Subscription{Filter: "x/#", QoS: 1})
		subscribed <- err
	}()
	p.expect("82 08 0001 0003 782f23 01")
	p.send("90 03 0001 01")
	if err := <-subscribed; err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"0", "1"} {
		if err := c.Send(t.Context(), &Message{Topic: "a", QoS: 1, Payload: []byte(s)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("32 06 0001 61 0002 30   32 06 0001 61 0003 31")
	p.send("40 02 0002")
	// The acknowledgement is handled before the loss.
	p.send("d0 00")
	waitFor(t, func() bool { return c.Stats().Acked == 1 })
	p.nc.Close()

	p = accept()
	p.expect(connect4)
	p.send(connack4)
	p.expect("32 06 0001 61 0004 31   82 08 0005 0003 782f23 01")
	p.send("40 02 0004  90 03 0005 01")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	closed(t, c, p)
}

// waitFor polls until a condition that another goroutine establishes is true.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

func TestALossForGoodLeavesMessagesInDoubt(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	errs := make(chan error, 1)
	go func() { errs <- c.Publish(t.Context(), &Message{Topic: "a", QoS: 1}) }()
	p.expect("32 05 0001 61 0001")
	p.nc.Close()
	if err := <-errs; !errors.Is(err, ErrInDoubt) {
		t.Errorf("got %v, want ErrInDoubt", err)
	}
	<-c.Done()
	if err := c.Publish(t.Context(), &Message{Topic: "a"}); !errors.Is(err, ErrNotSent) {
		t.Errorf("afterwards: got %v, want ErrNotSent", err)
	}
	if st := c.Stats(); st.Unfinished != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestACancelledCallSaysWhereTheMessageIs(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311, MaxInflight: 1}, connect4, connack4)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() { errs <- c.Publish(ctx, &Message{Topic: "a", QoS: 1}) }()
	p.expect("32 05 0001 61 0001")
	go func() { errs <- c.Publish(ctx, &Message{Topic: "b", QoS: 1}) }()
	cancel()
	kept, unsent := 0, 0
	for range 2 {
		switch err := <-errs; {
		case errors.Is(err, ErrKept):
			kept++
		case errors.Is(err, ErrNotSent):
			unsent++
		default:
			t.Errorf("got %v", err)
		}
	}
	if kept != 1 || unsent != 1 {
		t.Errorf("kept %d, not sent %d; want one each", kept, unsent)
	}
	p.send("40 02 0001")
	closed(t, c, p)
}

func TestMessagesAreAcknowledgedByTheNextStep(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send("32 06 0001 61 0007 31  34 06 0001 61 0008 32  30 04 0001 61 33")
	var got string
	for m, err := range c.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got += string(m.Payload)
		if len(got) == 2 {
			p.expect("40 02 0007")
		}
		if len(got) == 3 {
			break
		}
	}
	p.expect("50 02 0008")
	if got != "123" {
		t.Errorf("got %q", got)
	}
	p.send("62 02 0008")
	p.expect("70 02 0008")
	closed(t, c, p)
}

func TestAMessageLeftByBreakIsNotAcknowledged(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	p.send("32 05 0001 61 0007")
	for range c.Messages(t.Context()) {
		break
	}
	closed(t, c, p) // the next bytes are DISCONNECT, not PUBACK
}

// A publish inside the receiving loop needs the reader to continue, however
// many messages come before the acknowledgement (paho.mqtt.golang #142, #411).
func TestPublishInsideTheReceivingLoopDoesNotDeadlock(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	go func() {
		flood := strings.Repeat("30 04 0001 61 33 ", 2000)
		for range 50 {
			p.send(flood)
		}
		p.expect("32 05 0001 62 0001")
		p.send("40 02 0001")
		p.expect("32 05 0001 62 0002")
		p.send("40 02 0002")
	}()
	n := 0
	for m, err := range c.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		_ = m
		if n++; n == 1 || n == 100_000 {
			if err := c.Publish(t.Context(), &Message{Topic: "b", QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if n == 100_000 {
			break
		}
	}
	closed(t, c, p)
}

// A server that writes everything before it reads again fills both socket
// buffers; the client must continue to read while its acknowledgements cannot
// be written (engines: mutual-write deadlock).
func TestAPeerThatWritesEverythingBeforeItReads(t *testing.T) {
	const n = 300_000
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	go func() {
		b := unhex(t, "32 0a 0001 61 0000 6162636465")
		var buf []byte
		for i := range n {
			id := i%65535 + 1
			b[5], b[6] = byte(id>>8), byte(id)
			buf = append(buf, b...)
		}
		p.nc.SetWriteDeadline(time.Now().Add(60 * time.Second))
		if _, err := p.nc.Write(buf); err != nil {
			t.Error(err)
		}
		p.nc.SetReadDeadline(time.Now().Add(60 * time.Second))
		acks := make([]byte, 4*n)
		if _, err := io.ReadFull(p.nc, acks); err != nil {
			t.Errorf("acknowledgements: %v", err)
		}
		for i := range n {
			if id := i%65535 + 1; acks[4*i] != 0x40 || int(acks[4*i+2])<<8|int(acks[4*i+3]) != id {
				t.Errorf("acknowledgement %d is %x", i, acks[4*i:4*i+4])
				break
			}
		}
	}()
	got := 0
	for got < n {
		b, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got += len(b.Messages)
		b.Ack(len(b.Messages))
		b.Release()
	}
	closed(t, c, p)
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := newPipes()
		done := make(chan *Client, 1)
		go func() {
			c, err := connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: 30 * time.Second})
			if err != nil {
				t.Error(err)
			}
			done <- c
		}()
		nc := <-ps.conns
		defer nc.Close()
		p := &peer{t, nc}
		start := time.Now()
		p.nc.SetDeadline(time.Time{})
		expect := func(s string) {
			want := unhex(t, s)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(nc, got); err != nil || string(got) != string(want) {
				t.Fatalf("got %x (%v), want %x", got, err, want)
			}
		}
		expect("10 0d 0004 4d515454 04 02 001e 0001 61")
		nc.Write(unhex(t, connack4))
		c := <-done
		expect("c0 00")
		if d := time.Since(start); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("PINGREQ after %v of silence, want 30 s", d)
		}
		nc.Write(unhex(t, "d0 00"))
		expect("c0 00") // the second one is not answered
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("the client goes on without PINGRESP")
		}
		if d := time.Since(start); d < 89*time.Second || d > 91*time.Second {
			t.Errorf("gave up after %v, want 90 s", d)
		}
		<-c.Done()
		if err := c.Err(); err == nil || !strings.Contains(err.Error(), "keep alive") {
			t.Errorf("ended with %v", err)
		}
	})
}

// A message that takes many times the keep alive to write does not end the
// connection: the PINGREQ is queued after it. Once that is written, the server
// has the keep alive for its answer.
func TestALongMessageOutlastsTheKeepAlive(t *testing.T) {
	const size, rate, keepAlive = 600_000, 4000, 30 * time.Second // 150 s
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprintf("answered: %v", answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memtest.New()
				defer n.Close()
				done := make(chan *Client, 1)
				go func() {
					c, err := connectOver(t.Context(), n.Dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: keepAlive})
					if err != nil {
						t.Error(err)
					}
					done <- c
				}()
				nc, err := n.Accept()
				if err != nil {
					t.Fatal(err)
				}
				p := &peer{t, nc}
				p.expect("10 0d 0004 4d515454 04 02 001e 0001 61")
				p.send(connack4)
				_ = nc.SetDeadline(time.Time{})
				c := <-done
				published := make(chan error, 1)
				start := time.Now()
				go func() {
					published <- c.Publish(t.Context(), &Message{Topic: "t", QoS: 1, Payload: make([]byte, size)})
				}()
				buf := make([]byte, rate)
				for left := 1 + 3 + 3 + 2 + size; left > 0; {
					time.Sleep(time.Second)
					k, err := io.ReadFull(nc, buf[:min(left, rate)])
					if left -= k; err != nil {
						t.Fatalf("with %d bytes to come, after %v: %v", left, time.Since(start), err)
					}
				}
				p.expect("c0 00")
				if answers {
					p.send("d0 00 40 02 0001")
					if err := <-published; err != nil {
						t.Error(err)
					}
				} else if err := <-published; !errors.Is(err, session.ErrKeepAlive) {
					t.Errorf("got %v, want %v", err, session.ErrKeepAlive)
				} else if d := time.Since(start); d < 150*time.Second || d > 185*time.Second {
					t.Errorf("gave up after %v", d)
				}
				nc.Close()
				c.Abort()
			})
		})
	}
}

// TestReceivedGarbageEndsTheConnectionWithTheRule is the client's half of the
// invalid inputs: whole, byte by byte, after a valid packet in one write, and
// over TLS. The server gets the reason, the user the rule.
func TestReceivedGarbageEndsTheConnectionWithTheRule(t *testing.T) {
	t.Parallel()
	certs := certtest.New(t)
	for _, row := range []struct{ name, in, out, rule string }{
		// The fixed header.
		{"a length of five bytes", "30 ff ff ff ff 7f", "e0 01 81", "remaining length"},
		{"an overlong length", "d0 80 00", "e0 01 81", "shortest form"},
		{"packet type 0", "00 00", "e0 01 81", "type 0"},
		{"PINGRESP with a body", "d0 01 00", "e0 01 81", "too many"},
		{"flags of PINGRESP", "d1 00", "e0 01 81", "MQTT-2.1.3-1"},
		{"flags of PUBREL", "60 02 0001", "e0 01 81", "MQTT-2.1.3-1"},
		{"a packet above the maximum", "30 81 20", "e0 01 95", "limit 4096"},
		// Packets that only a client sends, and those that are allowed once.
		{"a SUBSCRIBE", "82 07 0001 00 0001 61 00", "e0 01 82", "not a packet for a client"},
		{"a CONNECT", "10 0e 0004 4d515454 05 02 0000 00 0001 61", "e0 01 82", "not a packet for a client"},
		{"a PINGREQ", "c0 00", "e0 01 82", "not a packet for a client"},
		{"second CONNACK", connack5, "e0 01 82", "MQTT-3.2.0-2"},
		// Strings, topics and properties.
		{"topic with a wildcard", "30 04 0001 23 00", "e0 01 81", "MQTT-3.3.2-2"},
		{"topic with NUL", "30 04 0001 00 00", "e0 01 81", "MQTT-1.5.4-2"},
		{"topic that is not UTF-8", "30 05 0002 c0af 00", "e0 01 81", "MQTT-1.5.4-1"},
		{"an unknown property", "30 06 0001 61 02 7f 00", "e0 01 81", "0x7f"},
		{"a property twice", "30 08 0001 61 04 0100 0100", "e0 01 82", "twice"},
		{"properties past the end", "30 05 0001 61 05 01", "e0 01 81", "MQTT-2.2.2"},
		// PUBLISH.
		{"PUBLISH with QoS 3", "36 05 0001 61 0001", "e0 01 81", "MQTT-3.3.1-4"},
		{"DUP at QoS 0", "38 04 0001 61 00", "e0 01 81", "MQTT-3.3.1-2"},
		{"PUBLISH with packet identifier 0", "32 06 0001 61 0000 00", "e0 01 82", "MQTT-2.2.1-3"},
		{"topic alias without any announced", "30 07 0001 61 03 23 0001", "e0 01 94", "topic alias"},
		{"neither topic nor alias", "30 03 0000 00", "e0 01 82", "neither topic name"},
		// Acknowledgements.
		{"PUBACK with a trailing byte", "40 05 0001 00 00 00", "e0 01 81", "too many"},
		{"PUBACK of 0", "40 02 0000", "e0 01 82", "MQTT-2.2.1-3"},
		{"a reason code of another packet", "40 03 0001 92", "e0 01 82", "reason code 0x92"},
		{"SUBACK without codes", "90 03 0001 00", "e0 01 82", "no reason code"},
		{"DISCONNECT with a session expiry interval", "e0 07 00 05 11 00000000", "e0 01 82", "MQTT-3.14.2-2"},
	} {
		for _, way := range []string{"whole", "byte by byte", "behind a PINGRESP", "over TLS"} {
			t.Run(row.name+" "+way, func(t *testing.T) {
				t.Parallel()
				dial, accept := tcpPair(t)
				if way == "over TLS" {
					dial, accept = overTLS(certs, dial, accept)
				}
				c, p := connectedOver(t, dial, accept, Options{Version: packet.V5, MaxPacket: 4096}, connect5limited, connack5)
				switch way {
				case "whole", "over TLS":
					p.send(row.in)
				case "byte by byte":
					for _, b := range unhex(t, row.in) {
						if _, err := p.nc.Write([]byte{b}); err != nil {
							break // the client may have closed at the first byte
						}
					}
				default:
					p.send("d0 00 " + row.in)
				}
				p.expect(row.out)
				p.expectEnd()
				<-c.Done()
				if err := c.Err(); err == nil || !strings.Contains(err.Error(), row.rule) {
					t.Errorf("ended with %v, want it to name %q", err, row.rule)
				}
			})
		}
	}
}

func TestAssignedClientIDAndServerKeepAlive(t *testing.T) {
	dial, accept := tcpPair(t)
	done := make(chan *Client, 1)
	go func() {
		c, err := connectOver(t.Context(), dial, &Options{Version: packet.V5, KeepAlive: NoKeepAlive})
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	p := accept()
	p.expect("10 0d 0004 4d515454 05 02 0000 00 0000")
	p.send("20 0b 00 00 08 12 0002 7a39 13 0005")
	c := <-done
	if c.ClientID() != "z9" {
		t.Errorf("client id %q, want z9", c.ClientID())
	}
	c.mu.Lock()
	if d := c.conn.KeepAlive(); d != 5*time.Second {
		t.Errorf("keep alive %v, want 5 s", d)
	}
	c.mu.Unlock()
	closed(t, c, p)
}

func TestQoS0MessagesThatMayBeLostAreCounted(t *testing.T) {
	c, p, _ := connected(t, Options{Version: packet.V311}, connect4, connack4)
	for range 3 {
		if err := c.Send(t.Context(), &Message{Topic: "a"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("30 03 0001 61 30 03 0001 61 30 03 0001 61")
	p.nc.Close()
	<-c.Done()
	if st := c.Stats(); st.Unwritten != 3 {
		t.Errorf("stats %+v, want 3 in doubt", st)
	}
	if err := c.Flush(t.Context()); err != nil && !errors.Is(err, ErrInDoubt) {
		t.Errorf("Flush: %v", err)
	}
}

// The messages that connections may have lost are counted over all connections.
func TestUnwrittenAddsUp(t *testing.T) {
	t.Parallel()
	c, p, accept := connected(t, Options{Version: packet.V311, Reconnect: atOnce}, connect4, connack4)
	for i := range uint64(3) {
		for range 2 {
			if err := c.Publish(t.Context(), &Message{Topic: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		p.expect("30 03 0001 61 30 03 0001 61")
		p.nc.Close()
		p = accept()
		p.expect(connect4)
		p.send(connack4)
		waitFor(t, func() bool { return c.Stats().Reconnects == i+1 })
		if got := c.Stats().Unwritten; got != 2*(i+1) {
			t.Errorf("%d messages in doubt, want %d", got, 2*(i+1))
		}
	}
	closed(t, c, p)
}

func TestDialFailureIsUnreached(t *testing.T) {
	boom := errors.New("boom")
	_, err := connectOver(t.Context(), func(context.Context) (net.Conn, error) { return nil, boom }, nil)
	if !errors.Is(err, ErrUnreached) || !errors.Is(err, boom) || !errors.Is(err, ErrNotSent) {
		t.Errorf("got %v", err)
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		connect, connack := connect4, connack4
		if v == packet.V5 {
			connect, connack = connect5, connack5
		}
		for qos := range packet.QoS(3) {
			c, p, _ := connected(t, Options{Version: v}, connect, connack)
			p.nc.SetDeadline(time.Now().Add(time.Minute))
			over := make(chan struct{})
			go func() { // sends each message back at its QoS, once its own handshake is complete
				defer close(over)
				in, echo, out := make([]byte, 64), make([]byte, 64), make([]byte, 4)
				n := 0
				for {
					if _, err := io.ReadFull(p.nc, in[:2]); err != nil || in[0] == 0xe0 {
						return
					}
					io.ReadFull(p.nc, in[2:2+int(in[1])])
					done := false
					switch in[0] >> 4 {
					case 3:
						n = copy(echo, in[:2+int(in[1])])
						switch in[0] >> 1 & 3 {
						case 0:
							done = true
						case 1:
							p.nc.Write(append(out[:0], 0x40, 2, in[5], in[6]))
							done = true
						case 2:
							p.nc.Write(append(out[:0], 0x50, 2, in[5], in[6]))
						}
					case 5:
						p.nc.Write(append(out[:0], 0x62, 2, in[2], in[3]))
					case 6:
						p.nc.Write(append(out[:0], 0x70, 2, in[2], in[3]))
						done = true
					}
					if done {
						p.nc.Write(echo[:n])
					}
				}
			}()
			m := &Message{Topic: "a", QoS: qos, Payload: []byte("abcd")}
			if n := testing.AllocsPerRun(2000, func() {
				if err := c.Publish(context.Background(), m); err != nil {
					t.Fatal(err)
				}
				b, err := c.Receive(context.Background())
				if err != nil || len(b.Messages) != 1 || b.Messages[0].QoS != qos || len(b.Messages[0].Payload) != 4 {
					t.Fatalf("%+v, %v", b, err)
				}
				b.Ack(1)
				b.Release()
			}); n > 0 {
				t.Errorf("MQTT %v, QoS %d: %v allocations to publish and receive a message", v, qos, n)
			}
			go c.Close(context.Background())
			<-over
			p.nc.Close()
			<-c.Done()
		}
	}
}

// A late acknowledgement counts for its own session, however late it is.
func TestALateAcknowledgementOfALostSessionIsForgotten(t *testing.T) {
	t.Parallel()
	for later := range 2 {
		c, p, accept := connected(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce}, connect4c, connack4)
		receive := func() *Batch {
			t.Helper()
			b, err := c.Receive(t.Context())
			if err != nil || len(b.Messages) != 1 {
				t.Fatalf("got %d messages, %v", len(b.Messages), err)
			}
			return b
		}
		p.send("34 06 0001 61 0007 31")
		old := receive()
		p.nc.Close()
		p = accept()
		p.expect(connect4c)
		p.send(connack4 + "34 06 0001 61 0007 32") // another message with the same packet identifier
		fresh := receive()
		if later == 0 {
			old.Ack(1)
		}
		p.nc.Close()
		p = accept()
		p.expect(connect4c)
		p.send(resumed4 + "3c 06 0001 61 0007 32  30 04 0001 61 33") // the first one is not acknowledged yet
		receive()
		old.Ack(1)
		go func() { _ = c.Ping(t.Context()) }()
		p.expect("c0 00") // and no PUBREC before it
		p.send("d0 00")
		fresh.Ack(1)
		p.expect("50 02 0007")
		p.send("62 02 0007")
		p.expect("70 02 0007")
		closed(t, c, p)
	}
}
