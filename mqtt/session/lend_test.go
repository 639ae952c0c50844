package session

import (
	"encoding/hex"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestASessionIsLentOutOnlyWhileNothingIsOpen checks that a session that a
// driver shares between many connections holds nothing of any of them.
func TestASessionIsLentOutOnlyWhileNothingIsOpen(t *testing.T) {
	p := newPair(t, 0)
	one := p.c.Detach()
	if one != &p.cs || p.c.Session() != nil || p.c.Detach() != nil {
		t.Fatalf("an empty session was not given: %p", one)
	}
	if err := p.c.Publish(&packet.Publish{Topic: []byte("a")}, 0); err != nil {
		t.Errorf("QoS 0 without a session: %v", err)
	}
	if err := p.c.Publish(&packet.Publish{Topic: []byte("a"), QoS: 1}, 0); err != ErrNotUp {
		t.Errorf("QoS 1 without a session: %v", err)
	}
	p.move(t, &p.c, &p.s)

	// A session that others have used, whose ring starts elsewhere.
	other := newPair(t, 1)
	other.round(t)
	used := other.c.Detach()
	for _, step := range []struct {
		name string
		open func()
		over func()
	}{
		{"a message at QoS 1", func() { p.p.QoS = 1; p.c.Publish(&p.p, 1) }, func() { p.move(t, &p.c, &p.s); p.move(t, &p.s, &p.c) }},
		{"one at QoS 2 that comes", func() { p.p.QoS = 2; p.s.Publish(&p.p, 1); p.move(t, &p.s, &p.c) }, func() { p.move(t, &p.c, &p.s); p.move(t, &p.s, &p.c) }},
		{"a subscription", func() {
			if err := p.c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("a")}}}, 3); err != nil {
				t.Error(err)
			}
		}, func() { p.c.Lost(nil) }},
	} {
		p.c.Attach(used)
		if p.c.Window() != 65534 {
			t.Errorf("%s: room for %d messages at first", step.name, p.c.Window())
		}
		step.open()
		if p.c.Detach() != nil {
			t.Errorf("%s is open, and the session was given", step.name)
		}
		step.over()
		if p.c.Detach() != used {
			t.Errorf("%s is over, and the session was not given", step.name)
		}
	}
}

func TestOutputMayBeWrittenInParts(t *testing.T) {
	p := newPair(t, 0)
	for _, topic := range []string{"a", "b"} {
		if err := p.c.Publish(&packet.Publish{Topic: []byte(topic)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []struct {
		n    int
		left string
	}{{0, "300400016100300400016200"}, {4, "6100300400016200"}, {8, ""}} {
		p.c.Wrote(w.n, 0)
		if got := hex.EncodeToString(p.c.Output()); got != w.left || p.c.Pending() != len(w.left)/2 {
			t.Errorf("after %d bytes %s is left, want %s", w.n, got, w.left)
		}
	}
}
