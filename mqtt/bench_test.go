package mqtt_test

import (
	"context"
	"net"
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// benchClient returns a client of this project's broker that is subscribed to
// topic a.
func benchClient(b *testing.B) *mqtt.Client {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	br := broker.New(broker.Options{})
	go br.Serve(ln)
	c, err := mqtt.Connect(b.Context(), "mqtt://"+ln.Addr().String(), &mqtt.Options{Version: packet.V5})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.Abort()
		br.Close(context.Background())
	})
	if _, err := c.Subscribe(b.Context(), mqtt.Subscription{Filter: "a", QoS: 2}); err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkRoundTrip publishes one message and receives it, repeatedly.
func BenchmarkRoundTrip(b *testing.B) {
	for qos := range packet.QoS(3) {
		b.Run("qos"+string('0'+rune(qos)), func(b *testing.B) {
			c := benchClient(b)
			m := &mqtt.Message{Topic: "a", QoS: qos, Payload: make([]byte, 64)}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Publish(b.Context(), m); err != nil {
					b.Fatal(err)
				}
				batch, err := c.Receive(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				batch.Ack(len(batch.Messages))
				batch.Release()
			}
		})
	}
}

// BenchmarkSend sends a stream of messages and receives it.
func BenchmarkSend(b *testing.B) {
	for qos := range packet.QoS(3) {
		b.Run("qos"+string('0'+rune(qos)), func(b *testing.B) {
			c := benchClient(b)
			m := &mqtt.Message{Topic: "a", QoS: qos, Payload: make([]byte, 64)}
			received := make(chan error, 1)
			n := b.N
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for left := n; left > 0; {
					batch, err := c.Receive(b.Context())
					if err != nil {
						received <- err
						return
					}
					left -= len(batch.Messages)
					batch.Ack(len(batch.Messages))
					batch.Release()
				}
				received <- nil
			}()
			for range n {
				if err := c.Send(b.Context(), m, 0); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-received; err != nil {
				b.Fatal(err)
			}
		})
	}
}
