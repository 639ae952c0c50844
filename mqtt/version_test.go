package mqtt

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// bubble is a network in memory and in virtual time, with a client that
// connects.
type bubble struct {
	t      *testing.T
	net    *memtest.Network
	events []Event // read after synctest.Wait
	c      *Client
	err    error
	done   chan struct{}
}

// inBubble runs f with a client that is connecting.
func inBubble(t *testing.T, o Options, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, net: memtest.New(), done: make(chan struct{})}
		o.ClientID, o.KeepAlive = "a", NoKeepAlive
		o.OnEvent = func(e Event) { b.events = append(b.events, e) }
		go func() {
			b.c, b.err = connectOver(t.Context(), b.net.Dial, &o)
			close(b.done)
		}()
		defer func() {
			b.net.Close()
			if <-b.done; b.c != nil {
				b.c.Abort()
			}
		}()
		f(b)
	})
}

// accept accepts the next connection of the client, which must begin with
// connect.
func (b *bubble) accept(connect string) *peer {
	b.t.Helper()
	nc, err := b.net.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	p := &peer{b.t, nc}
	p.expect(connect)
	return p
}

// connected waits for Connect, which must succeed.
func (b *bubble) connected() *Client {
	b.t.Helper()
	if <-b.done; b.err != nil {
		b.t.Fatal(b.err)
	}
	return b.c
}

// silent fails the test if the client sends anything or closes the connection.
func (p *peer) silent() {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 64)
	if n, err := p.nc.Read(buf); n > 0 || !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		p.t.Fatalf("the client sent %x (%v), want nothing", buf[:n], err)
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// reset resets the connection (RST).
func (p *peer) reset() {
	p.nc.(interface{ SetLinger(int) error }).SetLinger(0)
	p.nc.Close()
}

// fellBack counts the fallback events.
func (b *bubble) fellBack() (n int) {
	synctest.Wait()
	for _, e := range b.events {
		if e.Kind == EventFallback {
			n++
		}
	}
	return n
}

// ends are the ways in which a server ends a connection that it does not want.
var ends = map[string]func(p *peer){
	"closes": func(p *peer) { p.nc.Close() },
	"resets": (*peer).reset,
}

// A single end before CONNACK may have other causes, such as a broker that is
// starting.
func TestOneEndBeforeConnackDoesNotRefuse5(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			inBubble(t, Options{}, func(b *bubble) {
				end(b.accept(connect5))
				b.accept(connect5).send(connack5)
				if v := b.connected().Version(); v != packet.V5 || b.fellBack() != 0 {
					t.Errorf("version %v, %d fallbacks; want 5.0 and none", v, b.fellBack())
				}
			})
		})
	}
}

func TestTwoEndsAt5AndOneSuccessAt311FallBack(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			inBubble(t, Options{Reconnect: atOnce}, func(b *bubble) {
				end(b.accept(connect5))
				end(b.accept(connect5))
				p := b.accept(connect4)
				p.send(connack4)
				c := b.connected()
				if v := c.Version(); v != packet.V311 || b.fellBack() != 1 {
					t.Fatalf("version %v, %d fallbacks; want 3.1.1 and one", v, b.fellBack())
				}
				// With nothing in flight 5.0 is tried again; now one end is
				// enough.
				p.reset()
				end(b.accept(connect5))
				p = b.accept(connect4)
				p.send(connack4)
				synctest.Wait()
				// A message encoded for 3.1.1 is in flight.
				if err := c.Send(b.t.Context(), &Message{Topic: "t", QoS: 1}, 1); err != nil {
					t.Fatal(err)
				}
				p.expect("32 05 0001 74 0001")
				p.reset()
				p = b.accept(connect4)
				p.send(connack4)
				p.expect("32 05 0001 74 0002 (in a new session)")
				p.send("40 02 0002")
				if err := c.Flush(b.t.Context()); err != nil {
					t.Fatal(err)
				}
				p.reset()
				b.accept(connect5).send(connack5)
				synctest.Wait()
				if v := c.Version(); v != packet.V5 || b.fellBack() != 1 {
					t.Errorf("version %v, %d fallbacks; want 5.0 again, and one reported", v, b.fellBack())
				}
			})
		})
	}
}

// After an explicit refusal 5.0 is not tried again.
func TestARefusalOf5InWordsHolds(t *testing.T) {
	for _, refusal := range []string{"20 02 00 01", "20 03 00 84 00"} {
		inBubble(t, Options{Reconnect: atOnce}, func(b *bubble) {
			b.accept(connect5).send(refusal)
			for range 3 {
				p := b.accept(connect4)
				p.send(connack4)
				b.connected()
				synctest.Wait()
				p.reset()
			}
			if n := b.fellBack(); n != 1 {
				t.Errorf("%s: %d fallbacks reported, want one", refusal, n)
			}
		})
	}
}

func TestOtherRefusalsDoNotFallBack(t *testing.T) {
	for _, row := range []struct {
		it     string
		answer func(p *peer)
		want   error
	}{
		{"refuses the password", func(p *peer) { p.send("20 03 00 86 00") }, packet.BadUserNameOrPassword},
		{"refuses the password in the form of 3.1.1", func(p *peer) { p.send("20 02 00 04") }, packet.BadUserNameOrPassword},
		{"is busy", func(p *peer) { p.send("20 03 00 89 00") }, packet.ServerBusy},
		{"says nothing", func(*peer) {}, ErrNoConnack},
		{"says nothing, and closes late", func(p *peer) { time.Sleep(6 * time.Second); p.nc.Close() }, ErrNoAnswer},
		{"is no MQTT server", func(p *peer) { p.send("485454502f31") }, ErrNotSent},
	} {
		t.Run(row.it, func(t *testing.T) {
			inBubble(t, Options{}, func(b *bubble) {
				row.answer(b.accept(connect5))
				if <-b.done; !errors.Is(b.err, row.want) {
					t.Errorf("it %s: got %v, want %v", row.it, b.err, row.want)
				}
				select {
				case nc := <-accepted(b.net):
					t.Errorf("it %s, and is asked again: %v", row.it, nc)
				case <-time.After(time.Minute):
				}
			})
		})
	}
}

// accepted returns a channel of accepted connections.
func accepted(m *memtest.Network) chan net.Conn {
	ch := make(chan net.Conn, 1)
	go func() {
		if nc, err := m.Accept(); err == nil {
			ch <- nc
		}
	}()
	return ch
}

// An earlier refusal of 5.0 says nothing about a later connection in 3.1.1 that
// the server ends, for example because it is stopping: that one is lost, and
// retried.
func TestAnEndBeforeConnackDoesNotRefuse311(t *testing.T) {
	for how, end := range ends {
		t.Run("at first, it "+how, func(t *testing.T) {
			inBubble(t, Options{}, func(b *bubble) {
				b.accept(connect5).send("20 03 00 84 00")
				end(b.accept(connect4))
				b.accept(connect4).send(connack4)
				if v := b.connected().Version(); v != packet.V311 {
					t.Errorf("version %v, want 3.1.1", v)
				}
			})
		})
		t.Run("later, it "+how, func(t *testing.T) {
			inBubble(t, Options{Reconnect: atOnce}, func(b *bubble) {
				b.accept(connect5).send("20 03 00 84 00")
				p := b.accept(connect4)
				p.send(connack4)
				c := b.connected()
				p.reset()
				for range 5 {
					end(b.accept(connect4))
				}
				b.accept(connect4).send(connack4)
				if synctest.Wait(); c.Err() != nil {
					t.Errorf("ended with %v, want to be connected", c.Err())
				}
				// It has accepted 3.1.1, so its refusal of 5.0 is not the
				// reason for these ends.
				for _, e := range b.events {
					if e.Kind != EventFallback && errors.Is(e.Err, packet.UnsupportedProtocolVersion) {
						t.Errorf("event %v: %v", e.Kind, e.Err)
					}
				}
			})
		})
	}
}

// If a server accepts neither version, the error is its explicit refusal and
// not its silence.
func TestAServerThatTakesNoVersionSaysWhyByItsWords(t *testing.T) {
	inBubble(t, Options{}, func(b *bubble) {
		b.accept(connect5).send("20 03 00 84 00")
		b.accept(connect4).nc.Close()
		b.accept(connect4).nc.Close()
		if <-b.done; !errors.Is(b.err, packet.UnsupportedProtocolVersion) || Permanent(b.err) {
			t.Errorf("got %v, permanent: %v; want the refusal, and that a server that stops may do so", b.err, Permanent(b.err))
		}
	})
	inBubble(t, Options{}, func(b *bubble) {
		b.accept(connect5).nc.Close()
		b.accept(connect5).nc.Close()
		b.accept(connect4).nc.Close()
		if <-b.done; !errors.Is(b.err, ErrNoAnswer) || b.fellBack() != 0 {
			t.Errorf("got %v and %d fallbacks, want ErrNoAnswer and none", b.err, b.fellBack())
		}
	})
	// The password may still be wrong.
	inBubble(t, Options{}, func(b *bubble) {
		b.accept(connect5).nc.Close()
		b.accept(connect5).nc.Close()
		b.accept(connect4).send("20 02 00 04")
		if <-b.done; !errors.Is(b.err, packet.BadUserNameOrPassword) {
			t.Errorf("got %v, want the refusal of the password", b.err)
		}
	})
}

func TestAChosenVersionDoesNotFallBack(t *testing.T) {
	for v, connect := range map[packet.Version]string{
		packet.V5:   connect5,
		packet.V311: connect4,
		packet.V31:  "10 0f 0006 4d5149736470 03 02 0000 0001 61",
	} {
		for _, refusal := range []string{"20 02 00 01", ""} {
			inBubble(t, Options{Version: v}, func(b *bubble) {
				p := b.accept(connect)
				if refusal != "" {
					p.send(refusal)
				}
				p.nc.Close()
				<-b.done
				if refusal != "" && !errors.Is(b.err, packet.UnsupportedProtocolVersion) || refusal == "" && !errors.Is(b.err, ErrNoAnswer) {
					t.Errorf("%v, answer %q: got %v", v, refusal, b.err)
				}
				select {
				case <-accepted(b.net):
					t.Errorf("%v, answer %q: a second connection", v, refusal)
				case <-time.After(time.Minute):
				}
			})
		}
	}
}

// What one server does says nothing about another.
func TestTheVersionIsRememberedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := memtest.New(), memtest.New()
		at := old
		name := "old"
		dial := func(ctx context.Context) (net.Conn, error) {
			nc, err := at.Dial(ctx)
			return named{nc, name}, err
		}
		b := &bubble{t: t, net: old, done: make(chan struct{})}
		go func() {
			b.c, b.err = connectOver(t.Context(), dial, &Options{ClientID: "a", KeepAlive: NoKeepAlive, Reconnect: atOnce})
			close(b.done)
		}()
		b.accept(connect5).send("20 02 00 01")
		p := b.accept(connect4)
		p.send(connack4)
		c := b.connected()
		at, name = young, "young"
		p.nc.Close()
		b.net = young
		p = b.accept(connect5)
		p.send(connack5)
		synctest.Wait()
		at, name = old, "old"
		p.nc.Close()
		b.net = old
		b.accept(connect4).send(connack4)
		synctest.Wait()
		if v := c.Version(); v != packet.V311 {
			t.Errorf("version %v, want 3.1.1", v)
		}
		c.Abort()
	})
}

// named is a connection to an address.
type named struct {
	net.Conn
	addr string
}

func (n named) RemoteAddr() net.Addr { return address(n.addr) }

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

// Messages published while 5.0 is tried again wait for the outcome: a message
// encoded for one version must not be sent in another.
func TestPublishingWaitsForTheChoiceOfTheVersion(t *testing.T) {
	for answer, want := range map[string]string{
		connack5: "32 06 0001 74 0001 00",
		"":       "32 05 0001 74 00 (and another byte of the packet identifier)",
	} {
		inBubble(t, Options{Reconnect: atOnce}, func(b *bubble) {
			b.accept(connect5).nc.Close()
			b.accept(connect5).nc.Close()
			p := b.accept(connect4)
			p.send(connack4)
			c := b.connected()
			p.nc.Close()
			p = b.accept(connect5)
			sent := make(chan error, 1)
			go func() { sent <- c.Send(b.t.Context(), &Message{Topic: "t", QoS: 1}, 1) }()
			synctest.Wait()
			if len(sent) > 0 {
				t.Errorf("answer %q: Send returned before the version was agreed on: %v", answer, <-sent)
			}
			if answer == "" {
				p.nc.Close()
				p = b.accept(connect4)
				answer = connack4
			}
			p.send(answer)
			p.expect(want)
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// A Close frame before CONNACK counts as an end.
func TestACloseFrameBeforeConnackIsAnEnd(t *testing.T) {
	closeFrame := &transport.Error{Op: transport.OpWebSocket, Kind: transport.WebSocketClosed, Text: "closed by the peer with status 1011"}
	if !endedUnanswered(&Error{Op: "connect", Class: ErrNotSent, Err: closeFrame}) {
		t.Error("it is none")
	}
	for _, other := range []error{
		&Error{Op: "connect", Class: ErrNotSent, Err: unreached{closeFrame}},
		&Error{Op: "connect", Class: ErrNotSent, Err: &transport.Error{Op: transport.OpTLS, Kind: transport.PeerAlert}},
		&Error{Op: "connect", Class: ErrNotSent, Err: ErrNoConnack},
	} {
		if endedUnanswered(other) {
			t.Errorf("%v is one", other)
		}
	}
}

// A connection that ends before its first acknowledgement may have had too many
// messages in flight, if the server cannot announce its limit.
func TestANarrowWindowGrowsAgain(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, Session: Session{Resume: true}, Reconnect: atOnce, MaxInflight: 100}, func(b *bubble) {
		p := b.accept(connect4c)
		p.send(connack4)
		c := b.connected()
		sent := 0
		fill := func() { // the window, and as much as it takes
			go func() {
				for c.Send(b.t.Context(), &Message{Topic: "a", QoS: 1}, 0) == nil {
				}
			}()
		}
		fill()
		expect := func(first byte, n int) {
			t.Helper()
			for range n {
				sent++
				p.expect(fmt.Sprintf("%02x 05 0001 61 %04x", first, sent))
			}
		}
		read := func(first byte, n int) { // and no more
			t.Helper()
			expect(first, n)
			p.silent()
		}
		acked := 0
		ack := func(n int) {
			for range n {
				acked++
				p.send(fmt.Sprintf("40 02 %04x", acked))
			}
		}
		read(0x32, 100)
		p.reset()
		p = b.accept(connect4c)
		p.send(resumed4)
		sent = 0
		read(0x3a, 20)
		ack(19)
		read(0x3a, 19)
		ack(1) // twenty: the window becomes 40
		read(0x3a, 21)
		ack(40) // it becomes 80
		expect(0x3a, 40)
		read(0x32, 40)
		// A connection with acknowledgements keeps its window; a second one
		// without reduces it, and then more than a window has to be
		// acknowledged.
		p.reset()
		p = b.accept(connect4c)
		p.send(resumed4)
		sent = acked
		read(0x3a, 80)
		p.reset()
		p = b.accept(connect4c)
		p.send(resumed4)
		sent = acked
		read(0x3a, 20)
		ack(20)
		read(0x3a, 20)
	})
}

// In 5.0 a server announces its limit.
func TestTheWindowOf5IsNotNarrowed(t *testing.T) {
	inBubble(t, Options{Version: packet.V5, Session: Session{Expiry: time.Hour}, Reconnect: atOnce, MaxInflight: 30}, func(b *bubble) {
		p := b.accept("10 13 0004 4d515454 05 02 0000 05 11 00000e10 0001 61")
		p.send(connack5)
		c := b.connected()
		for range 30 {
			if err := c.Send(b.t.Context(), &Message{Topic: "a", QoS: 1}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 30 {
			p.expect(fmt.Sprintf("32 06 0001 61 %04x 00", i+1))
		}
		p.reset()
		p = b.accept("10 13 0004 4d515454 05 00 0000 05 11 00000e10 0001 61")
		p.send("20 03 01 00 00")
		for i := range 30 {
			p.expect(fmt.Sprintf("3a 06 0001 61 %04x 00", i+1))
		}
		synctest.Wait()
		for _, e := range b.events {
			if e.Kind == EventNarrowed {
				t.Errorf("event %+v", e)
			}
		}
	})
}

// Before 5.0 a server cannot announce its limit, and some end the connection at
// the 21st message at QoS 2.
func TestTheWindowIsThatOfTheVersionSpoken(t *testing.T) {
	for _, row := range []struct {
		it      string
		version packet.Version
		qos     packet.QoS
		want    int
	}{
		{"QoS 2 in 3.1.1", packet.V311, 2, 20},
		{"QoS 1 in 3.1.1", packet.V311, 1, 50},
		{"QoS 2 in 5.0", packet.V5, 2, 50},
		{"QoS 2 after a fallback", 0, 2, 20},
	} {
		t.Run(row.it, func(t *testing.T) {
			inBubble(t, Options{Version: row.version, MaxInflight: 50, OldInflight: 20}, func(b *bubble) {
				connect, answer, props := connect4, connack4, ""
				switch row.version {
				case packet.V5:
					connect, answer, props = connect5, connack5, "00"
				case 0:
					b.accept(connect5).send("20 02 00 01")
				}
				p := b.accept(connect)
				p.send(answer)
				c := b.connected()
				go func() {
					for c.Send(b.t.Context(), &Message{Topic: "a", QoS: row.qos}, 0) == nil {
					}
				}()
				for i := range row.want {
					p.expect(fmt.Sprintf("%02x %02x 0001 61 %04x %s", 0x30|row.qos<<1, 5+len(props)/2, i+1, props))
				}
				p.silent()
			})
		})
	}
}

// A broker behind WebSocket refuses 5.0 with a Close frame.
func TestACloseFrameFallsBackOverWebSocket(t *testing.T) {
	t.Parallel()
	dial, accept := tcpPair(t)
	var d transport.Dialer
	target, err := transport.ParseURL("ws://127.0.0.1/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	probe, err := dial(t.Context()) // for the address
	if err != nil {
		t.Fatal(err)
	}
	target.Port = probe.RemoteAddr().(*net.TCPAddr).Port
	probe.Close()
	accept().nc.Close()
	upgraded := func() *peer {
		p := accept()
		p.nc.SetDeadline(time.Now().Add(10 * time.Second))
		req, err := http.ReadRequest(bufio.NewReader(p.nc))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(p.nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		return p
	}
	// version reads a masked frame with a CONNECT and returns its level.
	version := func(p *peer) byte {
		head := make([]byte, 6)
		if _, err := io.ReadFull(p.nc, head); err != nil || head[1]&0x80 == 0 {
			t.Fatalf("frame % x, %v", head, err)
		}
		body := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(p.nc, body); err != nil {
			t.Fatal(err)
		}
		return body[8] ^ head[2+8%4]
	}
	done := make(chan error, 1)
	var c *Client
	go func() {
		var err error
		c, err = connectOver(t.Context(), func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, target) }, &Options{ClientID: "a"})
		done <- err
	}()
	for range 2 {
		p := upgraded()
		if v := version(p); v != 5 {
			t.Errorf("level %d, want 5", v)
		}
		p.send("88 02 03f3 (status 1011)")
		p.nc.Close()
	}
	p := upgraded()
	if v := version(p); v != 4 {
		t.Errorf("level %d, want 4", v)
	}
	p.send("82 04 20020000")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v := c.Version(); v != packet.V311 {
		t.Errorf("version %v, want 3.1.1", v)
	}
	c.Abort()
}

// A server that ignores the protocol level accepts in the format that it knows.
func TestAnAcceptanceInTheFormOf311FallsBack(t *testing.T) {
	for _, form := range []string{"20 02 00 00", "20 02 01 00"} {
		inBubble(t, Options{}, func(b *bubble) {
			b.accept(connect5).send(form)
			b.accept(connect4).send(connack4)
			if v := b.connected().Version(); v != packet.V311 || b.fellBack() != 1 {
				t.Errorf("%s: version %v, %d fallbacks; want 3.1.1 and one", form, v, b.fellBack())
			}
		})
		inBubble(t, Options{Version: packet.V5}, func(b *bubble) {
			b.accept(connect5).send(form)
			const want = "connect refused: unsupported protocol version (0x84): it answers in the format of MQTT 3.1.1"
			if <-b.done; !errors.Is(b.err, packet.UnsupportedProtocolVersion) || b.err.Error() != want {
				t.Errorf("%s: got %v, want %s", form, b.err, want)
			}
		})
	}
	inBubble(t, Options{}, func(b *bubble) { // neither format
		b.accept(connect5).send("20 02 00 87")
		var bad *packet.Error
		if <-b.done; !errors.As(b.err, &bad) {
			t.Errorf("got %v, want a malformed packet", b.err)
		}
	})
}
