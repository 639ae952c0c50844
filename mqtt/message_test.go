package mqtt

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// full is a message with all properties, in the order in which they are sent.
var full = Message{Topic: "t", Payload: []byte("x"), Text: true, Expiry: time.Minute, ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{0},
	UserProperties: []UserProperty{{"a", "1"}, {"a", "2"}}}

const fullOnTheWire = "30 26 0001 74 21 01 01 02 0000003c 03 0001 63 08 0001 72 09 0001 00 26 0001 61 0001 31 26 0001 61 0001 32 78"

func TestPropertiesOfAMessage(t *testing.T) {
	inBubble(t, Options{Version: packet.V5}, func(b *bubble) {
		p := b.accept(connect5)
		p.send(connack5)
		c := b.connected()
		ctx := b.t.Context()
		m := full
		if err := c.Publish(ctx, &m); err != nil {
			t.Fatal(err)
		}
		p.expect(fullOnTheWire)

		p.send(fullOnTheWire)
		for got, err := range c.Messages(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			want := full
			want.Properties = got.Properties
			if !reflect.DeepEqual(*got, want) || got.User("a") != "1" || got.User("b") != "" {
				t.Errorf("received %+v, want %+v", *got, want)
			}
			kept := got.Clone()
			clear(got.Payload)
			clear(got.Properties)
			if string(kept.Payload) != "x" || string(kept.CorrelationData) != "\x00" || len(kept.Properties) != 33 {
				t.Errorf("the copy changes with the original: %+v", kept)
			}
			// A field replaces the property; the others stay.
			kept.ContentType, kept.UserProperties = "d", []UserProperty{{"b", ""}}
			if err := c.Publish(ctx, kept); err != nil {
				t.Fatal(err)
			}
			p.expect("30 1e 0001 74 19 01 01 02 0000003c 03 0001 64 08 0001 72 09 0001 00 26 0001 62 0000 78")
			break
		}

		// Fields over properties that are encoded.
		mixed := Message{Topic: "t", ContentType: "c", Properties: packet.Properties{0x03, 0, 1, 'z', 0x02, 0, 0, 0, 9}}
		if err := c.Publish(ctx, &mixed); err != nil {
			t.Fatal(err)
		}
		p.expect("30 0d 0001 74 09 02 00000009 03 0001 63")
	})
}

// What a version before 5.0 cannot carry is an error, unless the options drop
// it.
func TestPropertiesBefore5(t *testing.T) {
	will := &Will{Message: Message{Topic: "w", ContentType: "c"}}
	t.Run("refused", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V311}, func(b *bubble) {
			p := b.accept(connect4)
			p.send(connack4)
			c := b.connected()
			ctx := b.t.Context()
			_, subErr := c.Subscribe(ctx, Subscription{Filter: "a"}, Subscription{Filter: "b", NoLocal: true})
			for it, err := range map[string]error{
				"a field":        c.Publish(ctx, &Message{Topic: "t", ContentType: "c"}),
				"a property":     c.Send(ctx, &Message{Topic: "t", QoS: 1, Properties: packet.Properties{1, 1}}, 1),
				"a subscription": subErr,
			} {
				if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrNeeds5) {
					t.Errorf("%s: %v", it, err)
				}
			}
			p.silent()
		})
		_, err := connectOver(t.Context(), nil, &Options{Version: packet.V311, Will: will})
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrNeeds5) || !strings.Contains(err.Error(), "the will") {
			t.Errorf("a will: %v", err)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		inBubble(t, Options{Version: packet.V311, DropProperties: true, Will: will}, func(b *bubble) {
			p := b.accept("10 12 0004 4d515454 04 06 0000 0001 61 0001 77 0000 (will)")
			p.send(connack4)
			c := b.connected()
			if err := c.Publish(b.t.Context(), &full); err != nil {
				t.Fatal(err)
			}
			p.expect("30 04 0001 74 78")
			go func() { _, _ = c.Subscribe(context.Background(), Subscription{Filter: "b", NoLocal: true, ID: 3}) }()
			p.expect("82 06 0001 0001 62 00")
		})
	})
	// A will that 3.1.1 cannot carry is not lost by the fallback.
	t.Run("after a fallback", func(t *testing.T) {
		inBubble(t, Options{Will: will, RetryFirst: Backoff(time.Second, time.Second)}, func(b *bubble) {
			p := b.accept("10 18 0004 4d515454 05 06 0000 00 0001 61 04 03 0001 63 0001 77 0000")
			p.send("20 02 00 01 (unacceptable protocol version)")
			p.nc.Close()
			nc, err := b.net.Accept()
			if err != nil {
				t.Fatal(err)
			}
			(&peer{b.t, nc}).expectEnd()
			if <-b.done; !errors.Is(b.err, ErrNeeds5) || !errors.Is(b.err, ErrNotSent) {
				t.Errorf("got %v", b.err)
			}
		})
	})
}

// A subscription that 5.0 has granted is not renewed with less by 3.1.1.
func TestARenewalBefore5IsRefused(t *testing.T) {
	inBubble(t, Options{Reconnect: atOnce}, func(b *bubble) {
		p := b.accept(connect5)
		p.send(connack5)
		c := b.connected()
		go func() {
			_, _ = c.Subscribe(context.Background(), Subscription{Filter: "a"}, Subscription{Filter: "b", NoLocal: true})
		}()
		p.suback2()
		synctest.Wait()
		p.nc.Close()
		b.accept(connect5).send("20 02 00 01 (unacceptable protocol version)")
		p = b.accept(connect4)
		p.send(connack4)
		p.expect("82 06 0002 0001 61 00 (only a)")
		synctest.Wait()
		n := slices.IndexFunc(b.events, func(e Event) bool { return e.Kind == EventRenewalRefused })
		if n < 0 || !errors.Is(b.events[n].Err, ErrNeeds5) || !strings.Contains(b.events[n].Err.Error(), ": b: ") {
			t.Errorf("events %+v", b.events)
		}
	})
}

// suback2 accepts a SUBSCRIBE with two filters.
func (p *peer) suback2() {
	p.t.Helper()
	var s packet.Subscribe
	if err := s.Parse(p.read(packet.V5), packet.V5); err != nil || len(s.Subscriptions) != 2 {
		p.t.Fatalf("%v %+v", err, s)
	}
	p.send("90 05 0001 00 00 00")
}

// The fields cost at most three allocations in each direction.
func TestTheFieldsOfAMessageAreCheap(t *testing.T) {
	long := strings.Repeat("x", 100) // more than fits on the stack
	m := Message{Topic: "t", Text: true, Expiry: time.Minute, ContentType: long, ResponseTopic: long, CorrelationData: []byte(long),
		UserProperties: []UserProperty{{long, long}, {"b", long}}}
	encoded, err := m.checked()
	if err != nil {
		t.Fatal(err)
	}
	for it, f := range map[string]func(){
		"encoding": func() { _, _ = m.checked() },
		"decoding": func() { (&Message{Properties: encoded}).Decode() },
	} {
		if n := testing.AllocsPerRun(100, f); n > 3 {
			t.Errorf("%s: %v allocations", it, n)
		}
	}
}
