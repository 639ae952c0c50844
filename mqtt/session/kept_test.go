package session

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// A session that the server has lost also loses its inbound messages, and a
// journal is informed.
func TestALostSessionOfInboundMessagesIsLost(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	cleared := 0
	c.s.Changed = func(kind ChangeKind, _ uint16, _ uint64, _ []byte) {
		if kind == ChangeCleared {
			cleared++
		}
	}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.in("34 06 0001 74 0001 00", "")
	c.Ack(2, 1, packet.Success)
	c.out("50 02 0001")
	c.Lost(nil)
	before := cleared
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	if cleared != before+1 {
		t.Errorf("cleared %d times", cleared-before)
	}
	c.s.Inbound(func(id uint16) bool { t.Errorf("%d is left", id); return true })
	c.in("62 02 0001", "70 03 0001 92")
}

// A late answer to a cleared message must not match a new one.
func TestIdentifiersGoOnBehindAClearedSession(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.publish(1, "", 1)
	c.publish(1, "", 2)
	c.Lost(nil)
	c.s.Clear(nil)
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.Swap(nil, 0)
	c.publish(1, "", 3)
	c.out("32 05 0001 74 0003")
}

// To a server that has lost the session the messages are new, whatever their
// length.
func TestALostMessageOfAnyLengthIsRenumbered(t *testing.T) {
	t.Parallel()
	const rest = 5 // of the remaining length: topic and identifier
	for _, remaining := range []int{rest, 127, 128, 16383, 16384, 2097151, 2097152} {
		c := &client{t: t}
		c.open(packet.V311, Config{})
		c.in("20 02 00 00", "")
		c.publish(1, "", 1)
		c.publish(1, strings.Repeat("x", remaining-rest), 2)
		sent := string(c.Swap(nil, 0))[7:]
		c.in("40 02 0001", "")
		c.Lost(nil)
		c.open(packet.V311, Config{})
		c.in("20 02 00 00", fmt.Sprintf("%x0003%x", sent[:len(sent)-(remaining-rest)-2], sent[len(sent)-(remaining-rest):]))
	}
}

// Finished messages take hardly any memory.
func TestTheBytesOfFinishedMessagesAreGivenBack(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	c.publish(1, strings.Repeat("x", 6000), 1)
	c.publish(1, "", 2)
	c.Swap(nil, 0)
	c.in("40 02 0001", "")
	if got := c.s.Held(); got != 7 {
		t.Errorf("%d bytes are held for a message of 7", got)
	}
	c.publish(1, strings.Repeat("x", 2*keepLog), 3)
	c.Swap(nil, 0)
	c.in("40 02 0002 40 02 0003", "")
	if got := cap(c.s.log); c.s.Held() != 0 || got > keepLog {
		t.Errorf("%d bytes are held, of %d", c.s.Held(), got)
	}
}

// OpenBefore counts messages before the mark, in each state, and no requests.
func TestOpenBeforeIsExact(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V311, Config{})
	c.in("20 02 00 00", "")
	none := c.s.Mark()
	if err := c.Subscribe(&packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: []byte("f")}}}, 1); err != nil {
		t.Fatal(err)
	}
	request := c.s.Mark()
	c.publish(2, "", 2)
	message := c.s.Mark()
	c.publish(1, "", 3)
	c.Swap(nil, 0)
	for _, step := range []struct{ in, out string }{{}, {"50 02 0002", "62 02 0002"}} { // waiting for PUBREC, waiting for PUBCOMP
		c.in(step.in, step.out)
		if c.s.OpenBefore(none) || c.s.OpenBefore(request) || !c.s.OpenBefore(message) {
			t.Errorf("after %q: %v, %v, %v", step.in, c.s.OpenBefore(none), c.s.OpenBefore(request), c.s.OpenBefore(message))
		}
	}
	c.in("70 02 0002", "")
	if c.s.OpenBefore(message) || !c.s.OpenBefore(c.s.Mark()) {
		t.Error("a message behind the mark is taken for one before it")
	}
}
