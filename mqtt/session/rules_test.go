package session

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt/packet"
)

func TestResumeGivesUpWhatTheServerNoLongerTakes(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	c.open(packet.V5, Config{})
	c.in("20 03 00 00 00", "")
	c.publish(2, "", 1)
	c.publish(1, "", 2)
	if err := c.Publish(&packet.Publish{QoS: 1, Retain: true, Topic: []byte("t")}, 3); err != nil {
		t.Fatal(err)
	}
	c.Lost(nil)
	over := map[uint64]packet.ReasonCode{}
	c.open(packet.V5, Config{})
	if _, err := c.Next(unhex(t, "20 07 01 00 04 24 01 25 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Resume(true, func(tag uint64, r packet.ReasonCode) { over[tag] = r })
	c.out("3a 06 0001 74 0002 00")
	if len(over) != 2 || over[1] != packet.QoSNotSupported || over[3] != packet.RetainNotSupported {
		t.Errorf("given up: %v", over)
	}
}

func TestResumeNeedsNoCallback(t *testing.T) {
	t.Parallel()
	c := &client{t: t}
	if err := c.s.Restore(ChangeReceived, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	c.open(packet.V311, Config{})
	if _, err := c.Next(unhex(t, "20 02 00 00"), 0, &c.ev); err != nil {
		t.Fatal(err)
	}
	c.Resume(false, nil)
}
