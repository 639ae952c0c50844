package mqtt

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// read reads a packet of the client.
func (p *peer) read(v packet.Version) packet.Frame {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 2) // a length below 128
	_, err := io.ReadFull(p.nc, b)
	if err == nil {
		b = append(b, make([]byte, b[1])...)
		_, err = io.ReadFull(p.nc, b[2:])
	}
	f, n, splitErr := packet.Split(b, v, 0)
	if err != nil || splitErr != nil || n == 0 {
		p.t.Fatalf("read %x (%v, %v)", b, err, splitErr)
	}
	return f
}

// suback accepts a SUBSCRIBE and returns its filter.
func (p *peer) suback(code string) string {
	p.t.Helper()
	var s packet.Subscribe
	f := p.read(packet.V5)
	if err := s.Parse(f, packet.V5); err != nil || len(s.Subscriptions) != 1 {
		p.t.Fatalf("%v %+v", err, s)
	}
	p.send(fmt.Sprintf("90 04 %04x 00 %s", s.PacketID, code))
	return string(s.Subscriptions[0].Filter)
}

// request reads a PUBLISH.
func (p *peer) request() packet.Publish {
	p.t.Helper()
	var m packet.Publish
	if err := m.Parse(p.read(packet.V5), packet.V5); err != nil {
		p.t.Fatal(err)
	}
	return m
}

// reply sends a PUBLISH with correlation data; nil omits it.
func (p *peer) reply(topic string, qos packet.QoS, id uint16, data []byte, payload string) {
	p.t.Helper()
	m := packet.Publish{Topic: []byte(topic), QoS: qos, PacketID: id, Payload: []byte(payload)}
	if data != nil {
		m.Properties, _ = m.Properties.AppendBytes(packet.CorrelationData, data)
	}
	b, err := m.AppendTo(nil, packet.V5)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(hex.EncodeToString(b))
}

// answer is what a call of Request returned.
type answer struct {
	m   *Message
	err error
}

// asking calls Request.
func asking(c *Client, m *Message) chan answer {
	done := make(chan answer, 1)
	go func() {
		r, err := c.Request(context.Background(), m)
		done <- answer{r, err}
	}()
	return done
}

// inRequests runs f with a connected client.
func inRequests(t *testing.T, f func(c *Client, p *peer, b *bubble)) {
	inBubble(t, Options{Version: packet.V5, Reconnect: atOnce}, func(b *bubble) {
		p := b.accept(connect5)
		p.send(connack5)
		f(b.connected(), p, b)
	})
}

func TestRequestReturnsTheReply(t *testing.T) {
	inRequests(t, func(c *Client, p *peer, b *bubble) {
		first := asking(c, &Message{Topic: "ask", Payload: []byte("1"), QoS: 0})
		filter := p.suback("00")
		q := p.request()
		second := asking(c, &Message{Topic: "ask", Payload: []byte("2"), QoS: 0})
		q2 := p.request() // and no further SUBSCRIBE
		to, to2 := q.Properties.Text(packet.ResponseTopic), q2.Properties.Text(packet.ResponseTopic)
		data, _ := q.Properties.Bytes(packet.CorrelationData)
		if len(filter) != len("mqtt/reply/")+16+2 || filter[len(filter)-2:] != "/+" || to == to2 || to[:len(filter)-1] != filter[:len(filter)-1] || len(data) != 8 {
			t.Errorf("filter %q, response topics %q and %q, correlation data %x", filter, to, to2, data)
		}
		p.reply(to2, 0, 0, []byte("other"), "foreign")
		p.reply(to2, 0, 0, nil, "two") // the topic is the request's alone
		p.reply(to, 1, 7, data, "one")
		p.expect("40 02 0007")
		for i, done := range []chan answer{first, second} {
			if a := <-done; a.err != nil || string(a.m.Payload) != []string{"one", "two"}[i] {
				t.Errorf("request %d: %+v, %v", i+1, a.m, a.err)
			}
		}
		p.reply(to, 1, 8, data, "late")
		p.expect("40 02 0008")
		if n := c.Stats().Late; n != 1 || c.Waiting() {
			t.Errorf("%d late replies; received: %v", n, c.Waiting())
		}
	})
}

// A call that gives up while it subscribes does not end another.
func TestARequestDoesNotDependOnTheContextOfAnother(t *testing.T) {
	for _, m := range []Message{{Topic: "ask"}, {Topic: "ask", ResponseTopic: "r"}} {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			ctx, cancel := context.WithCancel(b.t.Context())
			first := make(chan error, 1)
			go func() {
				_, err := c.Request(ctx, &m)
				first <- err
			}()
			p.read(packet.V5) // SUBSCRIBE, which is not answered
			second := asking(c, &m)
			p.suback("00")
			q := p.request()
			cancel()
			if err := <-first; !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
			data, _ := q.Properties.Bytes(packet.CorrelationData)
			p.reply(q.Properties.Text(packet.ResponseTopic), 0, 0, data, "reply")
			if a := <-second; a.err != nil || string(a.m.Payload) != "reply" {
				t.Errorf("the second: %+v, %v", a.m, a.err)
			}
		})
	}
}

// Acknowledgements follow the order of receipt (MQTT-4.6.0-2), also where a
// reply comes between messages that the application has not processed.
func TestRepliesAreAcknowledgedInOrder(t *testing.T) {
	inRequests(t, func(c *Client, p *peer, b *bubble) {
		done := asking(c, &Message{Topic: "ask", ResponseTopic: "r", CorrelationData: []byte("x")})
		p.suback("01")
		p.request()
		p.reply("app", 1, 1, nil, "before")
		p.reply("r", 1, 2, []byte("x"), "reply")
		p.reply("app", 1, 3, nil, "after")
		if a := <-done; a.err != nil || string(a.m.Payload) != "reply" {
			t.Fatalf("%+v, %v", a.m, a.err)
		}
		p.expect("a2 06 0002 00 0001 72 (UNSUBSCRIBE r)")
		p.send("b0 04 0002 00 00")
		synctest.Wait()
		n := 0
		for _, err := range c.Messages(b.t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 1 {
				p.silent()
			} else {
				p.expect("40 02 0001 40 02 0002")
				break
			}
		}
	})
}

// Messages on a given response topic that answer something else are counted and
// not received, and the subscription of the application stays.
func TestAnExchangeWithAGivenTopic(t *testing.T) {
	inRequests(t, func(c *Client, p *peer, b *bubble) {
		subscribed := make(chan error, 1)
		go func() {
			_, err := c.Subscribe(context.Background(), Subscription{Filter: "r"})
			subscribed <- err
		}()
		p.suback("00")
		if err := <-subscribed; err != nil {
			t.Fatal(err)
		}
		x, err := c.NewExchange(b.t.Context(), &Message{Topic: "ask", ResponseTopic: "r"}, ExchangeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = x.Publish(context.Background()) }()
		q := p.request()
		data, _ := q.Properties.Bytes(packet.CorrelationData)
		p.reply("r", 0, 0, []byte("other"), "foreign")
		p.reply("r", 0, 0, nil, "whose?")
		for i := range 3 {
			p.reply("r", 0, 0, data, fmt.Sprint(i))
		}
		for i := range 3 {
			if m, err := x.Next(b.t.Context()); err != nil || string(m.Payload) != fmt.Sprint(i) || string(m.CorrelationData) != string(data) {
				t.Errorf("reply %d: %+v, %v", i, m, err)
			}
		}
		if n := x.Foreign(); n != 2 {
			t.Errorf("%d foreign messages, want 2", n)
		}
		if err := x.Close(b.t.Context()); err != nil {
			t.Error(err)
		}
		p.silent()
		p.reply("r", 0, 0, nil, "for the application")
		for m, err := range c.Messages(b.t.Context()) {
			if err != nil || string(m.Payload) != "for the application" {
				t.Errorf("%+v, %v", m, err)
			}
			break
		}
	})
}

// The server says what generated response topics begin with, if it wants to
// (section 4.10.1).
func TestTheBeginningOfAGeneratedResponseTopic(t *testing.T) {
	for _, row := range []struct{ connack, base, want string }{
		{"20 07 00 00 04 1a 0001 62 (response information b)", "x", "b/"},
		{connack5, "x", "x/"},
		{connack5, "", "mqtt/reply/"},
	} {
		inBubble(t, Options{Version: packet.V5}, func(b *bubble) {
			p := b.accept(connect5)
			p.send(row.connack)
			c := b.connected()
			x, err := exchanging(c, p, &Message{Topic: "ask"}, ExchangeOptions{Base: row.base})
			if err != nil {
				t.Fatal(err)
			}
			if rest, ok := strings.CutPrefix(x.ResponseTopic(), row.want); !ok || len(rest) != 16 {
				t.Errorf("%+v: %q", row, x.ResponseTopic())
			}
		})
	}
}

func TestAReplyIsNotLostWithItsConnection(t *testing.T) {
	inRequests(t, func(c *Client, p *peer, b *bubble) {
		done := asking(c, &Message{Topic: "ask", QoS: 1})
		p.suback("02")
		q := p.request()
		p.nc.Close()
		p = b.accept(connect5)
		p.send(connack5)
		again := p.request()
		p.suback("02")
		p.send(fmt.Sprintf("40 02 %04x", again.PacketID))
		data, _ := q.Properties.Bytes(packet.CorrelationData)
		p.reply(q.Properties.Text(packet.ResponseTopic), 0, 0, data, "reply")
		if a := <-done; a.err != nil || string(a.m.Payload) != "reply" {
			t.Errorf("%+v, %v", a.m, a.err)
		}
	})
}

func TestRequestsThatCannotBeAnswered(t *testing.T) {
	t.Run("the subscription is refused", func(t *testing.T) {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			done := asking(c, &Message{Topic: "ask"})
			p.suback("87")
			if a := <-done; !errors.Is(a.err, ErrRefused) || !errors.Is(a.err, packet.NotAuthorized) {
				t.Errorf("got %v", a.err)
			}
			done = asking(c, &Message{Topic: "ask"}) // subscribes again
			p.suback("00")
			q := p.request()
			p.reply(q.Properties.Text(packet.ResponseTopic), 0, 0, nil, "reply")
			if a := <-done; a.err != nil {
				t.Error(a.err)
			}
		})
	})
	t.Run("the time is over", func(t *testing.T) {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
			defer cancel()
			go func() {
				p.suback("00")
				p.request()
			}()
			_, err := c.Request(ctx, &Message{Topic: "ask"})
			if !errors.Is(err, ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) || err.Error() != "request: in doubt: context deadline exceeded" {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("the client is closed", func(t *testing.T) {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			done := asking(c, &Message{Topic: "ask"})
			p.suback("00")
			p.request()
			c.Abort()
			if a := <-done; !errors.Is(a.err, ErrInDoubt) || !errors.Is(a.err, ErrClosed) {
				t.Errorf("got %v", a.err)
			}
			if _, err := c.Request(b.t.Context(), &Message{Topic: "ask"}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	})
	t.Run("too many replies", func(t *testing.T) {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			x, err := exchanging(c, p, &Message{Topic: "ask", ResponseTopic: "r", CorrelationData: []byte("x")}, ExchangeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range maxReplies + 1 {
				p.reply("r", 0, 0, []byte("x"), fmt.Sprint(i))
			}
			synctest.Wait()
			for range maxReplies {
				if _, err := x.Next(b.t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := x.Next(b.t.Context()); !errors.Is(err, ErrBacklog) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("misuse", func(t *testing.T) {
		inRequests(t, func(c *Client, p *peer, b *bubble) {
			for _, m := range []*Message{nil, {Topic: "ask", ResponseTopic: "a/#"}, {Topic: "a/#", ResponseTopic: "r"}} {
				ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
				if _, err := c.Request(ctx, m); !errors.Is(err, ErrNotSent) {
					t.Errorf("%+v: %v", m, err)
				}
				cancel()
			}
			if err := c.Reply(b.t.Context(), &Message{}, &Message{}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrNoResponseTopic) {
				t.Errorf("Reply: %v", err)
			}
			if err := c.Reply(b.t.Context(), nil, &Message{}); !errors.Is(err, ErrNotSent) {
				t.Errorf("Reply to nothing: %v", err)
			}
		})
	})
}

// exchanging calls NewExchange, whose subscription the server grants.
func exchanging(c *Client, p *peer, m *Message, o ExchangeOptions) (x *Exchange, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		x, err = c.NewExchange(context.Background(), m, o)
	}()
	p.suback("00")
	<-done
	return x, err
}

// Before 5.0 the topic alone says what a reply is.
func TestRequestsBefore5(t *testing.T) {
	inBubble(t, Options{Version: packet.V311}, func(b *bubble) {
		p := b.accept(connect4)
		p.send(connack4)
		c := b.connected()
		if _, err := c.Request(b.t.Context(), &Message{Topic: "ask"}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrNoResponseTopic) {
			t.Errorf("without a topic: %v", err)
		}
		if _, err := c.Request(b.t.Context(), &Message{Topic: "ask", ResponseTopic: "r0", ContentType: "c"}); !errors.Is(err, ErrNotSent) {
			t.Errorf("with a content type: %v", err)
		}
		done := asking(c, &Message{Topic: "ask", Payload: []byte("?"), ResponseTopic: "r"})
		p.expect("82 06 0001 0001 72 02 (SUBSCRIBE r)")
		p.send("90 03 0001 00")
		p.expect("30 06 0003 61736b 3f (PUBLISH ask)")
		p.send("30 04 0001 72 21 (PUBLISH r)")
		if a := <-done; a.err != nil || string(a.m.Payload) != "!" {
			t.Errorf("%+v, %v", a.m, a.err)
		}
		p.expect("a2 05 0002 0001 72 (UNSUBSCRIBE r)")
	})
}

// A reply has the correlation data and the QoS of its request.
func TestReplyOnTheWire(t *testing.T) {
	inRequests(t, func(c *Client, p *peer, b *bubble) {
		p.send("32 10 0003 61736b 0009 08 08 0001 72 09 0001 78 (PUBLISH ask, id 9, response topic r, correlation data x)")
		done := make(chan error, 1)
		go func() {
			for q, err := range c.Messages(context.Background()) {
				if err == nil {
					err = c.Reply(context.Background(), q, &Message{Payload: []byte("!"), ContentType: "t"})
				}
				done <- err
				return
			}
		}()
		p.expect("32 0f 0001 72 0001 08 03 0001 74 09 0001 78 21 (PUBLISH r, content type t, correlation data x)")
		p.send("40 02 0001")
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
