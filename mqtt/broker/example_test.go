package broker_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// A broker on its own port, from New to Close.
func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	b := broker.New(broker.Options{})
	done := make(chan error)
	go func() { done <- b.Serve(ln) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := mqtt.Connect(ctx, "mqtt://"+ln.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Publish(ctx, &mqtt.Message{Topic: "hello", Payload: []byte("world"), QoS: 1, Retain: true})
	fmt.Println(b.Stats().Retained, "retained message")

	_ = c.Close(ctx)
	_ = b.Close(ctx)
	fmt.Println(<-done)
	// Output:
	// 1 retained message
	// broker is closed
}

// Which clients may connect, and where they may publish.
func ExampleOptions() {
	b := broker.New(broker.Options{
		Authenticate: func(p *packet.Connect, _ net.Addr) packet.ReasonCode {
			if string(p.Username) != "joe" || string(p.Password) != "secret" {
				return packet.BadUserNameOrPassword
			}
			return packet.Success
		},
		Authorize: func(_, username, topic string, write bool) bool {
			return !write || topic == "from/"+username
		},
		Log: func(e broker.Event) {
			if e.Kind == broker.EventRefused || e.Kind == broker.EventNotPublished {
				fmt.Println(e)
			}
		},
	})
	// Without a network: each connection is a pipe.
	dial := func(context.Context, *transport.Target) (net.Conn, error) {
		mine, theirs := net.Pipe()
		b.ServeConn(theirs)
		return mine, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer b.Close(ctx)
	if _, err := mqtt.Connect(ctx, "mqtt://pipe", &mqtt.Options{Dial: dial, ClientID: "thief"}); err == nil {
		log.Fatal("unexpected dial")
	}
	c, err := mqtt.Connect(ctx, "mqtt://pipe", &mqtt.Options{Dial: dial, ClientID: "phone", Username: "joe", Password: []byte("secret")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	_ = c.Publish(ctx, &mqtt.Message{Topic: "from/ann", QoS: 1})
	fmt.Println(c.Publish(ctx, &mqtt.Message{Topic: "from/joe", QoS: 1}))
	// Output:
	// "thief" refused: bad user name or password (0x86)
	// "phone" may not publish to "from/ann": not authorized (0x87): the client may not publish to this topic
	// <nil>
}
