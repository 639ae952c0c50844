package journal

import (
	"errors"
	"fmt"
	"testing"
)

func contents(t *testing.T, j Journal) (s string) {
	t.Helper()
	if err := j.Load(func(r Record) error {
		s += fmt.Sprintf("%d:%d:%d:%s ", r.Kind, r.PacketID, r.Tag, r.Packet)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryKeepsWhatIsOpenInOrder(t *testing.T) {
	t.Parallel()
	var m Memory
	if got := contents(t, &m); got != "" {
		t.Errorf("empty: %q", got)
	}
	b := []byte("a")
	m.Append(Record{Kind: Sent, PacketID: 7, Tag: 70, Packet: b})
	b[0] = 'x' // the journal has its own copy
	m.Append(Record{Kind: Sent, PacketID: 3, Tag: 30, Packet: []byte("b")})
	m.Append(Record{Kind: Sent, PacketID: 5, Tag: 50, Packet: []byte("c")})
	m.Append(Record{Kind: Received, PacketID: 3, Tag: 30})
	m.Append(Record{Kind: Arrived, PacketID: 9})
	m.Append(Record{Kind: Arrived, PacketID: 8})
	m.Append(Record{Kind: Done, PacketID: 5})
	if got, want := contents(t, &m), "1:7:70:a 2:3:30:b 4:8:0: 4:9:0: "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// An identifier that is used again is at its later position.
	m.Append(Record{Kind: Done, PacketID: 7})
	m.Append(Record{Kind: Sent, PacketID: 7, Tag: 71, Packet: []byte("d")})
	m.Append(Record{Kind: Released, PacketID: 9})
	if got, want := contents(t, &m), "2:3:30:b 1:7:71:d 4:8:0: "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.Append(Record{Kind: Cleared})
	if got := contents(t, &m); got != "" || m.Len() != 0 {
		t.Errorf("cleared: %q, %d", got, m.Len())
	}
}

func TestMemoryDoesNotGrowWithWhatIsOver(t *testing.T) {
	t.Parallel()
	var m Memory
	for i := range 100000 {
		id := uint16(i%65535 + 1)
		m.Append(Record{Kind: Sent, PacketID: id, Packet: []byte("x")})
		m.Append(Record{Kind: Done, PacketID: id})
	}
	if len(m.order) > 2000 || m.Len() != 0 {
		t.Errorf("%d places for %d messages", len(m.order), m.Len())
	}
}

func TestLoadStopsAtAnError(t *testing.T) {
	t.Parallel()
	var m Memory
	m.Append(Record{Kind: Sent, PacketID: 1})
	m.Append(Record{Kind: Arrived, PacketID: 1})
	stop := errors.New("stop")
	if err := m.Load(func(Record) error { return stop }); err != stop {
		t.Error(err)
	}
}
