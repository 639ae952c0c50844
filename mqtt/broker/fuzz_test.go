package broker_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
)

// FuzzConversation sends arbitrary bytes, alone or after a CONNECT of each version. The
// broker does not crash, ends the conversation when the client does, and then still
// serves others.
func FuzzConversation(f *testing.F) {
	for kind := range byte(4) {
		for _, s := range []string{
			"", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "\x82\x06\x00\x01\x00\x01t\x01\x32\x07\x00\x01t\x00\x01hi",
			"\x82\x07\x00\x01\x00\x00\x01#\x02\x34\x08\x00\x01t\x00\x05\x00hi\x62\x02\x00\x05", "\x31\x06\x00\x01t\x00hi\x82\x07\x00\x01\x00\x00\x01#\x02",
			"\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x00\x30\x05\x00\x01t\x00x\xa2\x0f\x00\x02\x00\x00\x0a$share/g/t", "\xc0\x00\xe0\x00",
			"\x30\x08\x00\x01t\x03\x23\x00\x01x\x30\x07\x00\x00\x03\x23\x00\x01x", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x01",
		} {
			f.Add(kind, []byte(s))
		}
	}
	connects := []string{
		"", "\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a",
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		b := broker.New(broker.Options{MaxPacketSize: 1 << 16, StallTimeout: time.Second, Log: func(e broker.Event) {
			if e.Kind == broker.EventPanic {
				t.Errorf("%x: %v", in, e)
			}
			_ = e.String()
		}})
		talk := func(s []byte) {
			mine, theirs := net.Pipe()
			_ = mine.SetDeadline(time.Now().Add(10 * time.Second))
			b.ServeConn(theirs)
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, mine)
			}()
			_, _ = mine.Write(s)
			_ = mine.Close()
			<-read
		}
		talk(append([]byte(connects[kind%4]), in...))
		// Another client is served, even one that takes over the first one's client ID.
		mine, theirs := net.Pipe()
		_ = mine.SetDeadline(time.Now().Add(10 * time.Second))
		b.ServeConn(theirs)
		go func() { _, _ = mine.Write([]byte(connects[3] + "\xc0\x00")) }()
		var head [2]byte
		if _, err := io.ReadFull(mine, head[:]); err != nil || head[0] != 0x20 {
			t.Errorf("%x: then CONNACK is % x, %v", in, head, err)
		}
		_ = mine.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("%x: the broker does not close: %v", in, err)
		}
	})
}
