package main

import (
	"context"
	"errors"
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

func TestBridge(t *testing.T) {
	from, to := brokertest.URL(t), brokertest.URL(t)
	ctx, cancel := context.WithCancel(t.Context())
	bridged := make(chan error, 1)
	go func() { bridged <- bridge(ctx, from, "sensors/#", to) }()

	client := func(url string) *mqtt.Client {
		c, err := mqtt.Connect(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Abort)
		return c
	}
	publisher, subscriber := client(from), client(to)
	if _, err := subscriber.Subscribe(t.Context(), mqtt.Subscription{Filter: "#", QoS: 2}); err != nil {
		t.Fatal(err)
	}
	// The message is retained: it arrives whenever the bridge subscribes.
	want := mqtt.Message{Topic: "sensors/hall", Payload: []byte("21.5"), QoS: 2, Retain: true, ContentType: "text/plain",
		UserProperties: []mqtt.UserProperty{{Name: "unit", Value: "C"}}}
	if err := publisher.Publish(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	for m, err := range subscriber.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic != want.Topic || string(m.Payload) != "21.5" || m.QoS != 2 || m.ContentType != want.ContentType || m.User("unit") != "C" {
			t.Errorf("received %+v", m)
		}
		break
	}
	cancel()
	if err := <-bridged; !errors.Is(err, context.Canceled) {
		t.Errorf("bridge: %v", err)
	}
}
