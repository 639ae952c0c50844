package mqtt

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// result is what OnOutcome received.
type result struct {
	tag uint64
	err error
}

// Every message of Send at QoS 1 and 2 has one outcome.
func TestOnOutcome(t *testing.T) {
	for _, row := range []struct {
		it    string
		j     journal.Journal
		class error
	}{{"without a journal", nil, ErrInDoubt}, {"with a journal", &journal.Memory{}, ErrKept}} {
		t.Run(row.it, func(t *testing.T) {
			var got []result // read after synctest.Wait
			o := Options{Version: packet.V5, Journal: row.j, OnOutcome: func(tag uint64, err error) { got = append(got, result{tag, err}) }}
			inBubble(t, o, func(b *bubble) {
				p := b.accept(connect5)
				p.send(connack5)
				c := b.connected()
				ctx := b.t.Context()
				send := func(qos packet.QoS, tag uint64) {
					b.t.Helper()
					if err := c.Send(ctx, &Message{Topic: "t", QoS: qos}, tag); err != nil {
						b.t.Fatal(err)
					}
				}
				send(0, 1)
				send(1, 2)
				send(1, 3)
				send(2, 4)
				send(1, 5)
				p.expect("30 04 0001 74 00")
				p.expect("32 06 0001 74 0001 00 32 06 0001 74 0002 00 34 06 0001 74 0003 00 32 06 0001 74 0004 00")
				p.send("40 02 0001 40 03 0002 87 50 02 0003")
				p.expect("62 02 0003")
				p.send("70 02 0003")
				synctest.Wait()
				if len(got) != 3 || got[0] != (result{2, nil}) || got[1].tag != 3 || !errors.Is(got[1].err, ErrRefused) || !errors.Is(got[1].err, packet.NotAuthorized) || got[2] != (result{4, nil}) {
					t.Errorf("outcomes %v", got)
				}
				for _, e := range b.events {
					t.Errorf("event %v", e)
				}
				published := make(chan error, 1)
				go func() { published <- c.Publish(context.Background(), &Message{Topic: "t", QoS: 1}) }()
				p.expect("32 06 0001 74 0005 00")
				c.Abort()
				<-published
				if len(got) != 4 || got[3].tag != 5 || !errors.Is(got[3].err, row.class) || !errors.Is(got[3].err, ErrClosed) {
					t.Errorf("outcomes after the end %v", got)
				}
			})
		})
	}
}

// A program that has to stop can still send what it has taken, if that needs
// no waiting.
func TestSendNeedsItsContextForWaitingOnly(t *testing.T) {
	inBubble(t, Options{Version: packet.V311, MaxInflight: 1}, func(b *bubble) {
		p := b.accept(connect4)
		p.send(connack4)
		c := b.connected()
		if err := c.Send(ended(b.t.Context()), &Message{Topic: "t", QoS: 1}, 1); err != nil {
			t.Errorf("with room: %v", err)
		}
		p.expect("32 05 0001 74 0001")
		if err := c.Send(ended(b.t.Context()), &Message{Topic: "t", QoS: 1}, 2); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
			t.Errorf("without room: %v", err)
		}
	})
}
