package mqtt

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// A number meant in another unit, such as 30 for 30 s, must not be truncated to
// zero.
func TestWhatMQTTCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	delay := func(d time.Duration) *Will { return &Will{Message: Message{Topic: "w"}, Delay: d} }
	for _, row := range []struct {
		it   string
		opt  Options
		says string // "" if the value is valid
	}{
		{"a keep alive of 30 ns", Options{KeepAlive: 30}, "KeepAlive of 30ns is not in whole seconds"},
		{"a keep alive of half a second", Options{KeepAlive: 500 * time.Millisecond}, "KeepAlive of 500ms is not in whole seconds"},
		{"a keep alive of a second and a half", Options{KeepAlive: 1500 * time.Millisecond}, "whole seconds"},
		{"a keep alive of -1 s", Options{KeepAlive: -time.Second}, "KeepAlive of -1s is negative"},
		{"a keep alive of -2 ns", Options{KeepAlive: -2}, "KeepAlive of -2ns is negative"},
		{"a keep alive of 65536 s", Options{KeepAlive: 65536 * time.Second}, "KeepAlive of 18h12m16s exceeds 18h12m15s"},
		{"a keep alive of 65535 s", Options{KeepAlive: 65535 * time.Second}, ""},
		{"a keep alive of 1 s", Options{KeepAlive: time.Second}, ""},
		{"no keep alive", Options{KeepAlive: NoKeepAlive}, ""},
		{"a session expiry of 60 ns", Options{ClientID: "a", Session: Session{Expiry: 60}}, "Session.Expiry of 60ns is not in whole seconds"},
		{"a session expiry of -1 s", Options{ClientID: "a", Session: Session{Expiry: -time.Second}}, "Session.Expiry of -1s is negative"},
		{"a session expiry for ever", Options{ClientID: "a", Session: Session{Expiry: math.MaxInt64}}, ""},
		{"a session expiry of the most", Options{ClientID: "a", Session: Session{Expiry: Forever}}, ""},
		{"a session expiry just below", Options{ClientID: "a", Session: Session{Expiry: Forever - 1}}, "whole seconds"},
		{"a session to resume and no client identifier", Options{Session: Session{Resume: true}}, "needs a ClientID"},
		{"a session to keep and no client identifier", Options{Session: Session{Expiry: time.Hour}}, "needs a ClientID"},
		{"a session to keep for this client alone", Options{NewClientID: true, Session: Session{Expiry: time.Hour}}, ""},
		{"a will that expires after 5 ns", Options{Will: &Will{Message: Message{Topic: "w", Expiry: 5}}}, "Will: Expiry of 5ns is not in whole seconds"},
		{"a will with a subscription identifier", Options{Will: &Will{Message: Message{Topic: "w", Properties: packet.Properties{11, 1}}}}, "Will: "},
		{"a property of another packet than UNSUBSCRIBE", Options{UnsubscribeProperties: packet.Properties{1, 1}}, "payload-format-indicator"},
		{"a will delay of 5 ns", Options{Will: delay(5)}, "Will.Delay of 5ns is not in whole seconds"},
		{"a will delay of -1 s", Options{Will: delay(-time.Second)}, "Will.Delay of -1s is negative"},
		{"a will delay of the most", Options{Will: delay(Forever)}, ""},
		{"a will delay above", Options{Will: delay(Forever + time.Second)}, "Will.Delay of 1193046h28m16s exceeds 1193046h28m15s"},
		{"a window of -1", Options{MaxInflight: -1}, "MaxInflight is negative"},
		{"an older window of -1", Options{OldInflight: -1}, "OldInflight is negative"},
		{"-1 bytes held", Options{MaxHeld: -1}, "MaxHeld is negative"},
		{"a largest packet of -1", Options{MaxPacket: -1}, "MaxPacket is negative"},
		{"a timeout of -1 s", Options{ConnectTimeout: -time.Second}, "ConnectTimeout is negative"},
		{"a timeout of 5 ns", Options{ConnectTimeout: 5}, "less than 1ms"},
		{"a timeout of half a second", Options{ConnectTimeout: 500 * time.Millisecond}, ""},
	} {
		dialled := errors.New("dialled")
		_, err := connectOver(t.Context(), func(context.Context) (net.Conn, error) { return nil, dialled }, &row.opt)
		switch {
		case row.says == "" && !errors.Is(err, dialled):
			t.Errorf("%s: %v, want it to be taken", row.it, err)
		case row.says != "" && (!errors.Is(err, ErrNotSent) || errors.Is(err, ErrUnreached) || !strings.Contains(err.Error(), row.says)):
			t.Errorf("%s: %v, want %q", row.it, err, row.says)
		}
	}
}

func TestTheKeepAliveOnTheWire(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		keepAlive time.Duration
		wire      string
	}{{0, "003c"}, {NoKeepAlive, "0000"}, {time.Second, "0001"}, {65535 * time.Second, "ffff"}} {
		ps := newPipes()
		go func() {
			_, _ = connectOver(t.Context(), ps.dial, &Options{Version: packet.V311, ClientID: "a", KeepAlive: row.keepAlive})
		}()
		p := ps.accept(t)
		p.expect("10 0d 0004 4d515454 04 02 " + row.wire + " 0001 61")
		p.nc.Close()
	}
}

// A request for which the server would close the connection, which others use
// as well, is not sent, nor is anything else in its place.
func TestARequestThatNoServerTakesIsNotSent(t *testing.T) {
	t.Parallel()
	user, _ := packet.Properties(nil).AppendUser([]byte("k"), []byte("v"))
	for _, row := range []struct {
		name string
		call func(c *Client, ctx context.Context) error
		want string
	}{
		{"no filter", subscribing(), packet.ErrNoFilters.Error()},
		{"QoS 3", subscribing(Subscription{Filter: "a", QoS: 3}), packet.ErrQoS.Error()},
		{"a subscription identifier of 2^28", subscribing(Subscription{Filter: "a", ID: 1 << 28}), "the largest is 268435455"},
		{"retain handling 3", subscribing(Subscription{Filter: "a", RetainHandling: 3}), "the largest is 2"},
		{"no local on a shared subscription", subscribing(Subscription{Filter: "$share/g/a", NoLocal: true}), "MQTT-3.8.3-4"},
		{"a property of another packet", subscribing(Subscription{Filter: "a", Properties: packet.Properties{1, 1}}), "payload-format-indicator"},
		{"properties that are none", subscribing(Subscription{Filter: "a", Properties: packet.Properties{38, 0}}), "SUBSCRIBE"},
		{"the second of two", subscribing(Subscription{Filter: "a", Properties: user}, Subscription{Filter: "b", ID: 1 << 28}), "the largest is"},
		{"no filter to end", func(c *Client, ctx context.Context) error { _, err := c.Unsubscribe(ctx); return err }, packet.ErrNoFilters.Error()},
		{"a tag with the highest bit", func(c *Client, ctx context.Context) error { return c.Send(ctx, &Message{Topic: "t"}, 1<<63) }, "highest bit"},
		{"a message after the context", func(c *Client, ctx context.Context) error { return c.Publish(ended(ctx), &Message{Topic: "t", QoS: 1}) }, "context canceled"},
		{"a subscription after the context", func(c *Client, ctx context.Context) error {
			_, err := c.Subscribe(ended(ctx), Subscription{Filter: "a"})
			return err
		}, "context canceled"},
		{"a request after the context", func(c *Client, ctx context.Context) error {
			_, err := c.Request(ended(ctx), &Message{Topic: "t"})
			return err
		}, "context canceled"},
		{"no message", func(c *Client, ctx context.Context) error { return c.Publish(ctx, nil) }, "the message is nil"},
		{"no message to send", func(c *Client, ctx context.Context) error { return c.Send(ctx, nil, 1) }, "the message is nil"},
		{"a message that expires after 30 ns", func(c *Client, ctx context.Context) error { return c.Publish(ctx, &Message{Topic: "t", Expiry: 30}) }, "Expiry of 30ns is not in whole seconds"},
		{"a response topic with a wildcard", func(c *Client, ctx context.Context) error {
			return c.Publish(ctx, &Message{Topic: "t", ResponseTopic: "a/#"})
		}, "MQTT-3.3.2-14"},
		{"a message at QoS 3", func(c *Client, ctx context.Context) error { return c.Publish(ctx, &Message{Topic: "t", QoS: 3}) }, packet.ErrQoS.Error()},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, Options{Version: packet.V5}, func(b *bubble) {
				p := b.accept(connect5)
				p.send(connack5)
				c := b.connected()
				ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
				defer cancel()
				if err := row.call(c, ctx); !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), row.want) || Unsupported(err) {
					t.Errorf("got %v, want it not sent for %q", err, row.want)
				}
				p.silent()
			})
		})
	}
}

// ended returns a context that has ended.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func subscribing(subs ...Subscription) func(c *Client, ctx context.Context) error {
	return func(c *Client, ctx context.Context) error {
		_, err := c.Subscribe(ctx, subs...)
		return err
	}
}
