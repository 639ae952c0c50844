package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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

// A server without the session may have delivered messages at QoS 2 that were
// sent: InDoubt decides about each. Others are sent again without a question.
func TestInDoubtDecidesWhenTheSessionIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resend bool
		want   string // what arrives
		errs   string // outcomes that are errors
	}{{true, "one two three", "[]"}, {false, "one", "[2 3]"}} {
		var j journal.Memory
		for i, text := range []string{"one", "two", "three"} {
			qos := min(i+1, 2)
			p := append([]byte{0x30 | byte(qos<<1), byte(6 + len(text)), 0, 1, 't', 0, byte(i + 1), 0}, text...)
			j.Append(journal.Record{Kind: journal.Sent, PacketID: uint16(i + 1), Tag: uint64(i + 1), Version: packet.V5, Packet: p})
		}
		j.Append(journal.Record{Kind: journal.Received, PacketID: 3, Tag: 3})
		_, addr := brokertest.Start(t)
		sub, err := mqtt.Connect(t.Context(), "mqtt://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sub.Subscribe(t.Context(), mqtt.Subscription{Filter: "t", QoS: 2}); err != nil {
			t.Fatal(err)
		}
		var asked []string
		failed := []uint64{}
		pub, err := mqtt.Connect(t.Context(), "mqtt://"+addr, &mqtt.Options{ClientID: "c", Session: mqtt.Session{Resume: true}, Journal: &j,
			InDoubt: func(tag uint64, topic string) bool {
				asked = append(asked, fmt.Sprint(tag)+topic)
				return c.resend
			},
			OnOutcome: func(tag uint64, err error) {
				if errors.Is(err, mqtt.ErrInDoubt) {
					failed = append(failed, tag)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(t.Context(), &mqtt.Message{Topic: "t", QoS: 1, Payload: []byte("end")}); err != nil {
			t.Fatal(err)
		}
		if err := pub.Close(t.Context()); err != nil {
			t.Error(err)
		}
		var got []string
		for m, err := range sub.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Payload) == "end" {
				break
			}
			got = append(got, string(m.Payload))
		}
		sub.Abort()
		if text := strings.Join(got, " "); text != c.want || fmt.Sprint(asked) != "[2t 3t]" || fmt.Sprint(failed) != c.errs || j.Len() != 0 {
			t.Errorf("resend %v: arrived %q, asked %q, failed %v, %d left", c.resend, text, asked, failed, j.Len())
		}
	}
}
