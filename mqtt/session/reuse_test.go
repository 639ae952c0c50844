package session

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestAnIdentifierUsedAgainNamesANewMessage checks that only DUP makes a
// PUBLISH a repetition (MQTT-3.3.1-1). A peer that has forgotten its session
// sends new messages under identifiers whose PUBREL has not come.
func TestAnIdentifierUsedAgainNamesANewMessage(t *testing.T) {
	t.Parallel()
	const (
		one, two, dup = "34 06 0001 74 0007 31", "34 06 0001 74 0007 32", "3c 06 0001 74 0007 31"
		pubrec        = "50 02 0007"
	)
	for _, row := range []struct {
		name    string
		do      func(e *ends)
		got     string // payloads delivered
		reused  int
		changes []ChangeKind
	}{
		{"after its PUBREC", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.in(two, "")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased, ChangeArrived, ChangeReleased}},
		{"after its PUBREC, over a reconnect", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.again()
			e.in(two, "")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased, ChangeArrived, ChangeReleased}},
		{"with DUP it is a repetition", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.again()
			e.in(dup, pubrec)
			e.in(dup, pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "1", 0, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"while the message is in hand", func(e *ends) {
			e.in(one, "")
			e.in(two, "")
			e.ack("") // PUBREC would mean that we own the second message
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"while it is in hand from an earlier connection", func(e *ends) {
			e.in(one, "")
			e.again()
			e.in(two, "")
			e.ack("")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"while it is in hand, and has been repeated", func(e *ends) {
			e.in(one, "")
			e.again()
			e.in(dup, "")
			e.in(two, "")
			e.ack("")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"while both are in hand and the connection is lost", func(e *ends) {
			e.in(one, "")
			e.in(two, "")
			e.again()
			e.ack("")
			e.in(dup, "") // of the second message
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"three times, over two reconnects", func(e *ends) {
			e.in(one, "")
			e.again()
			e.in(two, "")
			e.again()
			e.in("34 06 0001 74 0007 33", "")
			e.ack("")
			e.ack("")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "123", 2, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"acknowledged while there is no connection", func(e *ends) {
			e.in(one, "")
			e.in(two, "")
			e.lost()
			e.ack("")
			e.ack("")
			e.open()
			e.in(dup, pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"a copy of it while it is in hand", func(e *ends) {
			e.in(one, "")
			e.in(one, "")
			e.in(two, "")
			e.in(two, "")
			e.ack("")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "12", 1, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"a copy of it after its PUBREC", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.in(one, pubrec)
			e.in("62 02 0007", "70 02 0007")
		}, "1", 0, []ChangeKind{ChangeArrived, ChangeReleased}},
		{"the same content on another connection", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.again()
			e.in(one, "")
			e.ack(pubrec)
		}, "11", 1, []ChangeKind{ChangeArrived, ChangeReleased, ChangeArrived}},
		{"the same content to another topic", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.in("34 06 0001 75 0007 31", "")
			e.ack(pubrec)
		}, "11", 1, []ChangeKind{ChangeArrived, ChangeReleased, ChangeArrived}},
		{"the one after it is another", func(e *ends) {
			e.in(one, "")
			e.ack(pubrec)
			e.in("62 02 0007", "70 02 0007")
			e.in(two, "")
			e.ack(pubrec)
		}, "12", 0, []ChangeKind{ChangeArrived, ChangeReleased, ChangeArrived}},
	} {
		for _, server := range []bool{false, true} {
			t.Run(fmt.Sprint(row.name, ", server: ", server), func(t *testing.T) {
				t.Parallel()
				e := &ends{t: t, server: server}
				e.s.Changed = func(kind ChangeKind, _ uint16, _ uint64, _ []byte) { e.changes = append(e.changes, kind) }
				e.open()
				row.do(e)
				e.lost()
				if e.got != row.got || e.reused != row.reused {
					t.Errorf("delivered %q, %d identifiers used again; want %q, %d", e.got, e.reused, row.got, row.reused)
				}
				if !slices.Equal(e.changes, row.changes) {
					t.Errorf("the journal gets %v, want %v", e.changes, row.changes)
				}
			})
		}
	}
}

// ends is an engine in either role over connections of MQTT 3.1.1, with the
// messages that its owner has not acknowledged.
type ends struct {
	t      *testing.T
	server bool
	c      Conn
	s      Session
	ev     Event

	conns, reused int
	got           string
	hand          []int // the connection of each of these messages
	changes       []ChangeKind
}

func (e *ends) open() {
	e.t.Helper()
	e.conns++
	feed := "20 02 01 00"
	if e.server {
		e.c.Serve(Config{}, 0)
		feed = "10 0d 0004 4d515454 04 00 0000 0001 61"
	} else if err := e.c.Open(&e.s, &packet.Connect{Version: packet.V311, ClientID: []byte("c")}, Config{}, 0); err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.c.Next(unhex(e.t, feed), 0, &e.ev); err != nil {
		e.t.Fatal(err)
	}
	if !e.server {
		e.c.Resume(true, nil)
	} else if err := e.c.Accept(&e.s, &packet.Connack{SessionPresent: true}, 0, 0); err != nil {
		e.t.Fatal(err)
	}
	e.c.Swap(nil, 0)
}

func (e *ends) lost() {
	e.c.Lost(nil)
	e.reused += e.c.Reused
	e.c.Reused = 0
}

func (e *ends) again() { e.lost(); e.open() }

func (e *ends) in(s, want string) {
	e.t.Helper()
	if n, err := e.c.Next(unhex(e.t, s), 0, &e.ev); err != nil || n == 0 {
		e.t.Fatalf("%s: %v", s, err)
	}
	if e.ev.Kind == Publish {
		e.got += string(e.ev.Publish.Payload)
		e.hand = append(e.hand, e.conns)
	}
	e.out(want)
}

func (e *ends) out(want string) {
	e.t.Helper()
	if b := e.c.Swap(nil, 0); string(b) != string(unhex(e.t, want)) {
		e.t.Fatalf("writes %x, want %s", b, want)
	}
}

// ack acknowledges the oldest of these messages.
func (e *ends) ack(want string) {
	e.t.Helper()
	if e.hand[0] == e.conns {
		e.c.Ack(2, 7, packet.Success)
	} else {
		e.c.AckLate(2, 7)
	}
	e.hand = e.hand[1:]
	e.out(want)
}

// TestMessagesUnderOneIdentifierKeepToTheReceiveMaximum checks that each
// unacknowledged message uses one slot, and frees it once.
func TestMessagesUnderOneIdentifierKeepToTheReceiveMaximum(t *testing.T) {
	t.Parallel()
	n := 0
	publish := func() string { n++; return fmt.Sprintf("34 07 0001 74 0007 00 %02x", n) }
	c := &client{t: t}
	c.open(packet.V5, Config{ReceiveMaximum: 2})
	c.in("20 03 00 00 00"+publish()+publish(), "")
	c.Ack(2, 7, packet.Success)
	c.in(publish(), "")
	c.Ack(2, 7, packet.Success)
	c.Ack(2, 7, packet.Success)
	c.in("62 02 0007", "50 02 0007  70 02 0007")
	if c.waiting != 0 || c.Reused != 2 {
		t.Errorf("%d places are taken, %d identifiers used again", c.waiting, c.Reused)
	}
	c.Ack(2, 7, packet.Success) // once too often
	c.out("")
	c.in(publish()+publish(), "")
	c.refuses(publish(), packet.ReceiveMaximumExceeded, "e0 01 93")
}

// TestAMessageBeyondTheReceiveMaximumIsNotTakenForAnOldOne covers such a
// message that comes again.
func TestAMessageBeyondTheReceiveMaximumIsNotTakenForAnOldOne(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 00 00 00 34 06 0001 74 0007 00", "")
	c.Ack(2, 7, packet.Success)
	c.out("50 02 0007")
	c.Lost(nil)
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 01 00 00 34 06 0001 74 0008 00", "")
	c.refuses("34 06 0001 74 0007 00", packet.ReceiveMaximumExceeded, "e0 01 93")
	c.Lost(nil)
	c.open(packet.V5, Config{ReceiveMaximum: 1})
	c.in("20 03 01 00 00 3c 06 0001 74 0007 00", "")
	if c.ev.Kind != Publish {
		t.Errorf("event %d, want %d", c.ev.Kind, Publish)
	}
}
