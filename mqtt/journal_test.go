package mqtt_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// mute accepts one MQTT 5.0 connection and reads without answering until it has
// seen n bytes.
func mute(t *testing.T, n int) (addr string, seen <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = nc.Close() })
		buf := make([]byte, 4096)
		for total := 0; total < n; {
			k, err := nc.Read(buf)
			if total == 0 {
				_, _ = nc.Write([]byte{0x20, 3, 0, 0, 0})
			}
			if total += k; err != nil {
				return
			}
		}
	}()
	return ln.Addr().String(), done
}

func TestAJournalCarriesMessagesToTheNextProgram(t *testing.T) {
	t.Parallel()
	var journal journal.Memory
	// CONNECT of 15 bytes, and PUBLISH of 9 to 11 bytes each.
	addr, seen := mute(t, 15+10+10+12)
	first, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &mqtt.Options{ClientID: "c", Journal: &journal})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"one", "two", "three"} {
		if err := first.Send(t.Context(), &mqtt.Message{Topic: "t", QoS: packet.QoS(1 + i%2), Payload: []byte(text)}, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	<-seen
	first.Abort()
	<-first.Done()
	if journal.Len() != 3 {
		t.Fatalf("the journal holds %d messages", journal.Len())
	}

	_, addr = brokertest.Start(t)
	sub, err := mqtt.Connect(t.Context(), "mqtt://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Abort()
	if _, err := sub.Subscribe(t.Context(), mqtt.Subscription{Filter: "t", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	second, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &mqtt.Options{ClientID: "c", Session: mqtt.Session{Resume: true}, Journal: &journal})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if journal.Len() != 0 {
		t.Errorf("the journal still holds %d messages", journal.Len())
	}
	want := []string{"one", "two", "three"}
	for m, err := range sub.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Payload) != want[0] {
			t.Fatalf("got %q, want %q", m.Payload, want[0])
		}
		if want = want[1:]; len(want) == 0 {
			break
		}
	}
}

// broken is a journal on a full disk.
type broken struct{ journal.Memory }

func (*broken) Sync() error { return errors.New("no space left on device") }

func TestNothingIsWrittenThatTheJournalCouldNotKeep(t *testing.T) {
	t.Parallel()
	b, addr := brokertest.Start(t)
	c, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &mqtt.Options{Journal: &broken{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	err = c.Publish(context.Background(), &mqtt.Message{Topic: "t", QoS: 1})
	if err == nil || b.Stats().Received != 0 {
		t.Errorf("published: %v, %d received", err, b.Stats().Received)
	}
}

func TestAJournalOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	var j journal.Memory
	j.Append(journal.Record{Kind: journal.Sent, PacketID: 1, Version: packet.V5, Packet: []byte{0x32, 6, 0, 1, 't', 0, 1, 0}})
	_, addr := brokertest.Start(t)
	_, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &mqtt.Options{Version: packet.V311, Journal: &j})
	if !errors.Is(err, mqtt.ErrKept) || j.Len() != 1 {
		t.Errorf("%v, %d messages", err, j.Len())
	}
}
