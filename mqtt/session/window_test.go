package session

import (
	"errors"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// TestTheWindowAtQoS2CountsWhatIsOpenAtQoS2 fills and empties the window in
// every way in which a message begins and ends.
func TestTheWindowAtQoS2CountsWhatIsOpenAtQoS2(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	cfg := Config{SendWindow: 10, QoS2Window: 2}
	// One message was open in an earlier program.
	if err := c.s.Restore(ChangeSent, 1, 1, unhex(t, "34 06 0001 74 0001 00")); err != nil {
		t.Fatal(err)
	}
	c.open(packet.V5, cfg)
	c.in("20 03 01 00 00", "3c 06 0001 74 0001 00")
	publish := func(qos packet.QoS) error {
		return c.Publish(&packet.Publish{QoS: qos, Topic: []byte("t")}, 1)
	}
	full := func(want bool) {
		t.Helper()
		if err := publish(2); errors.Is(err, ErrQuota) != want || err != nil && !want {
			t.Fatalf("full %t, want %t: %v", !want, want, err)
		}
	}
	full(false) // 2
	full(true)
	if err := publish(1); err != nil { // which has its own window
		t.Fatal(err)
	}
	c.Swap(nil, 0)
	c.in("40 02 0003", "")
	full(true)
	c.in("50 02 0001", "62 02 0001")
	full(true) // until PUBCOMP
	c.in("70 02 0001", "")
	if err := publish(1); err != nil { // 4, which does not use the QoS 2 window
		t.Fatal(err)
	}
	full(false) // 5
	full(true)
	c.Swap(nil, 0)
	c.in("40 02 0004", "")
	c.in("50 03 0002 97", "") // a PUBREC that refuses
	full(false)               // 6
	full(true)
	c.Swap(nil, 0)
	// A server that has lost the session gets the same number again.
	c.Lost(nil)
	c.open(packet.V5, cfg)
	c.in("20 03 00 00 00", "34 06 0001 74 0007 00 34 06 0001 74 0008 00")
	full(true)
	c.in("50 02 0007", "62 02 0007")
	c.in("70 02 0007", "")
	full(false)
	full(true)
	c.Lost(nil)
	c.s.Clear(nil)
	c.open(packet.V5, cfg)
	c.in("20 03 00 00 00", "")
	full(false)
	full(false)
	full(true)
}

// TestAWiderWindowSendsWhatWaitedForIt changes the window of a connection.
func TestAWiderWindowSendsWhatWaitedForIt(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	for range 4 {
		c.publish(1, "", 1)
	}
	c.Lost(nil)
	c.open(packet.V311, Config{SendWindow: 1})
	c.in("20 02 01 00", "3a 05 0001 74 0001")
	c.SetSendWindow(3)
	c.out("3a 05 0001 74 0002 3a 05 0001 74 0003")
	c.SetSendWindow(1 << 20) // more than there are identifiers
	c.out("3a 05 0001 74 0004")
	if err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, 1); err != nil {
		t.Error(err)
	}
	// While there is no connection, nothing is written.
	c.Lost(nil)
	c.SetSendWindow(5)
	c.out("")
}

// Restored messages count, in each of their states, until they are finished.
func TestTheWindowAtQoS2CountsWhatWasRestored(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]struct {
		kind    ChangeKind
		publish string
		resent  string
		answers string
		wire    string
	}{
		"PUBREL awaited":                  {ChangeReceived, "", "62 02 0001", "70 02 0001", ""},
		"PUBREL awaited, with its packet": {ChangeReceived, "34 06 0001 74 0001 00", "62 02 0001", "70 02 0001", ""},
		"PUBREC awaited":                  {ChangeSent, "34 06 0001 74 0001 00", "3c 06 0001 74 0001 00", "50 02 0001 70 02 0001", "62 02 0001"},
	} {
		c := &client{t: t}
		if err := c.s.Restore(restore.kind, 1, 1, unhex(t, restore.publish)); err != nil {
			t.Fatal(err)
		}
		c.open(packet.V5, Config{QoS2Window: 1})
		c.in("20 03 01 00 00", restore.resent)
		message := packet.Publish{QoS: 2, Topic: []byte("t")}
		if err := c.Publish(&message, 2); err != ErrQuota {
			t.Errorf("%s: beside it: %v", name, err)
		}
		c.in(restore.answers, restore.wire)
		first, second := c.Publish(&message, 2), c.Publish(&message, 3)
		if first != nil || second != ErrQuota {
			t.Errorf("%s: after it: %v, %v", name, first, second)
		}
	}
}
