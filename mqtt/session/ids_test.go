package session

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// startingAt returns a client whose next packet identifier is id.
func startingAt(t *testing.T, version packet.Version, id uint16, cfg Config) *client {
	t.Helper()
	c := &client{t: t}
	c.s.lastID = id - 1
	if id == 1 {
		c.s.lastID = 65535
	}
	c.open(version, cfg)
	if version == packet.V5 {
		c.in("20 03 00 00 00", "")
	} else {
		c.in("20 02 00 00", "")
	}
	return c
}

// TestIdentifiersGoFrom65535To1 checks that 0 is never used (MQTT-2.2.1-3).
func TestIdentifiersGoFrom65535To1(t *testing.T) {
	t.Parallel()
	c := startingAt(t, packet.V311, 65534, Config{})
	for tag := range uint64(4) {
		c.publish(1, "", tag)
	}
	c.out("32 05 0001 74 fffe  32 05 0001 74 ffff  32 05 0001 74 0001  32 05 0001 74 0002")
	// Answers find their message on either side of the wrap, in any order.
	for _, row := range []struct {
		in  string
		tag uint64
	}{{"40 02 0001", 2}, {"40 02 fffe", 0}, {"40 02 0002", 3}, {"40 02 ffff", 1}} {
		c.in(row.in, "")
		if c.ev.Kind != Done || c.ev.Tag != row.tag {
			t.Errorf("%s: event %d of %d, want %d", row.in, c.ev.Kind, c.ev.Tag, row.tag)
		}
	}
	if c.s.Open() != 0 || c.Stray != 0 {
		t.Errorf("%d open, %d strays", c.s.Open(), c.Stray)
	}
}

// TestAnswersBesideTheWindowFindNothing checks both sides of the wrap.
func TestAnswersBesideTheWindowFindNothing(t *testing.T) {
	t.Parallel()
	c := startingAt(t, packet.V311, 65535, Config{})
	c.publish(1, "", 1)
	c.publish(1, "", 2)
	c.out("32 05 0001 74 ffff  32 05 0001 74 0001")
	for _, in := range []string{"40 02 fffe", "40 02 0002", "40 02 8000"} {
		c.in(in, "")
		if c.ev.Kind != None {
			t.Errorf("%s is event %d", in, c.ev.Kind)
		}
	}
	if c.Stray != 3 || c.s.Open() != 2 {
		t.Errorf("%d strays, %d open", c.Stray, c.s.Open())
	}
	if _, ok := c.s.find(0); ok {
		t.Error("identifier 0 is open")
	}
	// When the ring is full its first slot follows the last.
	for c.s.span() < uint32(len(c.s.slots)) {
		c.publish(1, "", 3)
	}
	if n, ok := c.s.find(c.s.lastID + 1); ok {
		t.Errorf("the next identifier is open, in slot %d of %d", n, c.s.span())
	}
}

// TestARefusedPublishGivesItsIdentifierBack includes the first one after the
// wrap.
func TestARefusedPublishGivesItsIdentifierBack(t *testing.T) {
	t.Parallel()
	for id, want := range map[uint16]string{1: "32 05 0001 74 0001", 2: "32 05 0001 74 0002", 65535: "32 05 0001 74 ffff"} {
		c := startingAt(t, packet.V311, id, Config{})
		// Properties cannot be encoded before 5.0.
		if err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t"), Properties: packet.Properties{1, 0}}, 1); err == nil {
			t.Fatal("properties are sent in 3.1.1")
		}
		if c.s.Open() != 0 || c.s.span() != 0 || c.s.Held() != 0 {
			t.Errorf("%d: %d open, %d slots, %d bytes", id, c.s.Open(), c.s.span(), c.s.Held())
		}
		c.publish(1, "", 2)
		c.out(want)
	}
}

// TestNoIdentifierIsUsedTwiceAtOnce checks that the oldest message blocks the
// ring, even if all later ones are finished.
func TestNoIdentifierIsUsedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	c := startingAt(t, packet.V311, 3, Config{})
	c.publish(1, "", 0)
	c.Swap(nil, 0)
	seen := map[uint16]bool{3: true}
	for n := 1; ; n++ {
		err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, uint64(n))
		if err == ErrQuota {
			if n != 65535 {
				t.Errorf("%d messages were taken beside the oldest, want 65534", n-1)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b := c.Swap(nil, 0)
		id := uint16(b[5])<<8 | uint16(b[6])
		if id == 0 || seen[id] {
			t.Fatalf("message %d has identifier %d", n, id)
		}
		seen[id] = true
		c.in("40 02 "+hex16(id), "")
		if c.ev.Kind != Done || c.ev.Tag != uint64(n) {
			t.Fatalf("identifier %d: event %d of %d", id, c.ev.Kind, c.ev.Tag)
		}
	}
	c.in("40 02 0003", "")
	if c.ev.Tag != 0 || c.s.span() != 0 {
		t.Errorf("the oldest: event %d of %d, %d slots", c.ev.Kind, c.ev.Tag, c.s.span())
	}
	c.publish(1, "", 1)
	c.out("32 05 0001 74 0003")
}

func hex16(id uint16) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[id>>12], digits[id>>8&15], digits[id>>4&15], digits[id&15]})
}

// TestASessionIsRestoredOverTheWrap restores a session in which some
// identifiers are finished, and continues after the last.
func TestASessionIsRestoredOverTheWrap(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	for _, m := range []struct {
		id   uint16
		wire string
	}{{65533, "32 05 0001 74 fffd"}, {65535, "34 05 0001 74 ffff"}, {2, "32 05 0001 74 0002"}} {
		if err := c.s.Restore(ChangeSent, m.id, uint64(m.id), unhex(t, m.wire)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []uint16{2, 0} {
		if err := c.s.Restore(ChangeSent, id, 0, unhex(t, "32 05 0001 74 "+hex16(id))); err == nil {
			t.Errorf("identifier %d is restored", id)
		}
	}
	c.open(packet.V311, Config{})
	c.in("20 02 01 00", "3a 05 0001 74 fffd  3c 05 0001 74 ffff  3a 05 0001 74 0002")
	c.publish(1, "", 9)
	c.out("32 05 0001 74 0003")
	c.in("40 02 0001", "")
	if c.Stray != 1 {
		t.Errorf("identifier 1, which was over: %d strays", c.Stray)
	}
	c.in("40 02 0002", "")
	if c.ev.Tag != 2 {
		t.Errorf("event %d of %d", c.ev.Kind, c.ev.Tag)
	}
}

// TestTheFirstRestoredMayBeIdentifier1 checks that its predecessor is 65535 and
// not 0.
func TestTheFirstRestoredMayBeIdentifier1(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	for id, wire := range map[uint16]string{1: "32 05 0001 74 0001"} {
		if err := c.s.Restore(ChangeSent, id, 1, unhex(t, wire)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.s.Restore(ChangeSent, 65535, 2, unhex(t, "32 05 0001 74 ffff")); err != nil {
		t.Fatal(err) // 65,534 later: the ring is full
	}
	c.open(packet.V311, Config{})
	c.in("20 02 01 00", "3a 05 0001 74 0001  3a 05 0001 74 ffff")
	if err := c.Publish(&packet.Publish{QoS: 1, Topic: []byte("t")}, 3); err != ErrQuota {
		t.Errorf("identifier 1 again: %v", err)
	}
}

// TestMessagesAreRenumberedOverTheWrap covers a server that lost the session.
func TestMessagesAreRenumberedOverTheWrap(t *testing.T) {
	t.Parallel()
	c := startingAt(t, packet.V311, 65532, Config{})
	c.publish(1, "1", 1)
	c.publish(2, "2", 2)
	c.publish(1, "3", 3)
	c.Swap(nil, 0)
	c.in("40 02 fffc", "")
	c.Lost(nil)
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "34 06 0001 74 ffff 32  32 06 0001 74 0001 33")
	c.in("40 02 0001", "")
	if c.ev.Tag != 3 {
		t.Errorf("event %d of %d", c.ev.Kind, c.ev.Tag)
	}
}

// TestEveryEndGivesAPlaceOfTheReceiveMaximumBack also checks that nothing else
// frees one (MQTT-3.3.4-9).
func TestEveryEndGivesAPlaceOfTheReceiveMaximumBack(t *testing.T) {
	t.Parallel()
	const next = "32 07 0001 74 0002 00 32"
	for _, row := range []struct {
		name  string
		qos   packet.QoS
		steps [][2]string
	}{
		{"PUBACK", 1, [][2]string{{"40 02 0001", next}}},
		{"a refusing PUBACK", 1, [][2]string{{"40 03 0001 97", next}}},
		{"a refusing PUBREC", 2, [][2]string{{"50 03 0001 97", next}}},
		{"PUBREC and PUBCOMP", 2, [][2]string{{"50 02 0001", "62 02 0001"}, {"70 02 0001", next}}},
		{"PUBREC of no subscriber and PUBCOMP", 2, [][2]string{{"50 03 0001 10", "62 02 0001"}, {"70 02 0001", next}}},
		{"a PUBREC twice and PUBCOMP", 2, [][2]string{{"50 02 0001", "62 02 0001"}, {"50 02 0001", "62 02 0001"}, {"70 02 0001", next}}},
		{"a PUBCOMP that knows of nothing", 2, [][2]string{{"50 02 0001", "62 02 0001"}, {"70 03 0001 92", next}}},
		{"a stray PUBACK does not", 1, [][2]string{{"40 02 0009", ""}, {"40 02 0001", next}}},
	} {
		c := startingAt(t, packet.V5, 1, Config{})
		c.Lost(nil)
		c.open(packet.V5, Config{})
		c.in("20 06 00 00 03 21 0001", "")
		c.publish(row.qos, "1", 1)
		c.Swap(nil, 0)
		c.publish(1, "2", 2)
		c.out("")
		for _, step := range row.steps {
			c.in(step[0], step[1])
		}
		c.publish(1, "3", 3)
		c.out("") // one slot was freed, not two
		c.in("40 02 0002", "32 07 0001 74 0003 00 33")
		if c.sent != 1 {
			t.Errorf("%s: %d places are taken", row.name, c.sent)
		}
	}
}
