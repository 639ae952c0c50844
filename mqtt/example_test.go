package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// start runs a broker on a free port and returns its URL.
func start(o broker.Options) (url string, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	b := broker.New(o)
	done := make(chan error)
	go func() { done <- b.Serve(ln) }()
	return "mqtt://" + ln.Addr().String(), func() {
		_ = b.Close(context.Background())
		<-done
	}
}

// Subscribe, publish and receive.
func Example() {
	url, stop := start(broker.Options{}) // or the URL of a running broker, such as mqtt://localhost
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "greetings/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	if err := c.Publish(ctx, &mqtt.Message{Topic: "greetings/en", Payload: []byte("hello"), QoS: 1}); err != nil {
		log.Fatal(err)
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		break
	}
	fmt.Println(c.Close(ctx))
	// Output:
	// greetings/en: hello
	// <nil>
}

// The server publishes the will of a client whose connection is lost. This
// client reconnects after a loss, and keeps its session for an hour.
func ExampleOptions() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	watcher, err := mqtt.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer watcher.Close(ctx)
	if _, err := watcher.Subscribe(ctx, mqtt.Subscription{Filter: "+/state"}); err != nil {
		log.Fatal(err)
	}

	user := "lamp"
	lamp, err := mqtt.Dial(ctx, url, &mqtt.Options{
		ClientID:      "lamp-1",
		Username:      &user,
		Password:      []byte("secret"),
		KeepAlive:     30 * time.Second,
		Resume:        true,
		SessionExpiry: time.Hour,
		Reconnect:     mqtt.Backoff(time.Second, time.Minute),
		Will:          &mqtt.Will{Message: mqtt.Message{Topic: "lamp/state", Payload: []byte("lost"), Retain: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	lamp.Abort() // like a cut cable

	for m, err := range watcher.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", m.Topic, m.Payload)
		break
	}
	// Output: lamp/state: lost
}

// Publish returns when the broker has acknowledged the message.
func ExampleClient_Publish() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	err = c.Publish(ctx, &mqtt.Message{Topic: "lamp/hall", Payload: []byte("on"), QoS: 1, Retain: true})
	fmt.Println(err)
	// Output: <nil>
}

// Taking the next message acknowledges the previous one.
func ExampleClient_Messages() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "lamp/#", QoS: 1}); err != nil {
		log.Fatal(err)
	}
	for _, state := range []string{"on", "off"} {
		if err := c.Publish(ctx, &mqtt.Message{Topic: "lamp/hall", Payload: []byte(state), QoS: 1}); err != nil {
			log.Fatal(err)
		}
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %s\n", m.Topic, m.Payload)
		if string(m.Payload) == "off" {
			break
		}
	}
	// Output:
	// lamp/hall on
	// lamp/hall off
}

// Send waits only for room, so that many messages are in flight at once; Flush
// waits for the acknowledgements.
func ExampleClient_Send() {
	url, stop := start(broker.Options{})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Dial(ctx, url, &mqtt.Options{PublishOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	for i := range 1000 {
		if err := c.Send(ctx, &mqtt.Message{Topic: "n", Payload: fmt.Append(nil, i), QoS: 1}, uint64(i)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(c.Flush(ctx))
	// Output: <nil>
}

// An error has a class; if the peer refused, it also has a reason code.
func ExampleError() {
	url, stop := start(broker.Options{
		Authorize: func(_, _, topic string, write bool) bool { return !write || topic != "secret" },
	})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	c, err := mqtt.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	err = c.Publish(ctx, &mqtt.Message{Topic: "secret", QoS: 1})
	fmt.Println(errors.Is(err, packet.NotAuthorized))
	// Output: true
}
