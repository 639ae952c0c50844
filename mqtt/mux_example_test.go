package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// Two handlers share a connection. Serve returns when the message of the second
// one has ended the context.
func ExampleMux() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Abort()

	serving, quit := context.WithCancel(ctx)
	var x mqtt.Mux
	x.Handle(mqtt.Subscription{Filter: "+/temperature", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		fmt.Printf("%s: %s °C\n", m.Topic, m.Payload)
		return nil
	})
	x.Handle(mqtt.Subscription{Filter: "control/stop", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		quit()
		return nil
	})
	x.OnSubscribed = func([]packet.ReasonCode) {
		for _, m := range []mqtt.Message{
			{Topic: "boiler/temperature", Payload: []byte("71"), QoS: 1},
			{Topic: "cellar/temperature", Payload: []byte("12"), QoS: 1},
			{Topic: "control/stop", QoS: 1},
		} {
			if err := c.Publish(ctx, &m); err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println(x.Serve(serving, c))
	// Output:
	// boiler/temperature: 71 °C
	// cellar/temperature: 12 °C
	// context canceled
}

// A message that its handler cannot process is published to another topic and
// then acknowledged. If that fails, Serve ends, and the message stays
// unacknowledged.
func ExampleMux_onError() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := mqtt.Connect(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Abort()

	x := mqtt.Mux{
		OnError: func(ctx context.Context, m *mqtt.Message, err error) error {
			if errors.Is(err, strconv.ErrSyntax) {
				return c.Publish(ctx, &mqtt.Message{Topic: "rejected/" + m.Topic, Payload: m.Payload, QoS: 1})
			}
			return err
		},
		OnSubscribed: func([]packet.ReasonCode) {
			if err := c.Publish(ctx, &mqtt.Message{Topic: "meters/7", Payload: []byte("1O"), QoS: 1}); err != nil {
				log.Fatal(err)
			}
		},
	}
	x.Handle(mqtt.Subscription{Filter: "meters/+", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		_, err := strconv.Atoi(string(m.Payload))
		return err
	})
	full := errors.New("seen enough")
	x.Handle(mqtt.Subscription{Filter: "rejected/#", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		return full
	})
	fmt.Println(x.Serve(ctx, c))
	// Output:
	// rejected/meters/7: 1O
	// message on "rejected/meters/7": seen enough
}

// A durable consumer: the server keeps its messages while it is away, up to 8
// are processed at the same time, in order within each topic, and a message that
// fails three times moves to another topic. When ctx ends, as it does on SIGTERM
// with signal.NotifyContext, the messages in work are finished.
func ExampleMux_durable() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, terminate := context.WithCancel(context.Background())

	retry := mqtt.Backoff(time.Second, time.Minute)
	c, err := mqtt.Connect(ctx, url, &mqtt.Options{
		ClientID:   "billing",
		Session:    mqtt.Session{Resume: true, Expiry: 24 * time.Hour},
		RetryFirst: retry,
		Reconnect:  retry,
		OnEvent:    func(e mqtt.Event) { log.Print(e) },
	})
	if err != nil {
		log.Fatal(err)
	}
	bill := func(ctx context.Context, m *mqtt.Message) error {
		if string(m.Payload) == "nonsense" {
			return errors.New("not an order")
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		return nil
	}
	x := mqtt.Mux{
		Concurrency: 8,
		OnError: func(ctx context.Context, m *mqtt.Message, err error) error {
			dead := mqtt.Message{Topic: "dead/" + m.Topic, Payload: m.Payload, QoS: 1,
				UserProperties: []mqtt.UserProperty{{Name: "error", Value: err.Error()}}}
			return c.Publish(context.WithoutCancel(ctx), &dead)
		},
	}
	x.Handle(mqtt.Subscription{Filter: "orders/#", QoS: 1}, func(ctx context.Context, m *mqtt.Message) error {
		ctx = context.WithoutCancel(ctx) // finish what was begun
		var err error
		for range 3 {
			if err = bill(ctx, m); err == nil {
				break
			}
		}
		return err
	})
	// For this example, a message that ends it.
	x.Handle(mqtt.Subscription{Filter: "dead/#", QoS: 1}, func(_ context.Context, m *mqtt.Message) error {
		fmt.Printf("%s: %s\n", m.Topic, m.User("error"))
		terminate()
		return nil
	})
	x.OnSubscribed = func([]packet.ReasonCode) {
		for _, text := range []string{"a lamp", "nonsense"} {
			if err := c.Publish(ctx, &mqtt.Message{Topic: "orders/1", Payload: []byte(text), QoS: 1}); err != nil {
				log.Fatal(err)
			}
		}
	}

	if err := x.Serve(ctx, c); !errors.Is(err, context.Canceled) {
		log.Print(err)
	}
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(c.Close(closing))
	// Output:
	// orders/1: a lamp
	// dead/orders/1: not an order
	// <nil>
}
