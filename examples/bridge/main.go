// Bridge copies the messages of one MQTT server to another:
//
//	bridge mqtt://localhost 'sensors/#' mqtts://user:password@cloud.example
//
// A message is acknowledged to the first server when the second one has
// acknowledged it, and the first server keeps the session of the bridge for a
// day. So at QoS 1 and 2 nothing is lost if the bridge or either connection
// fails; messages may be repeated.
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mqtools/mqtools/mqtt"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: bridge FROM-URL FILTER TO-URL")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bridge(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

func bridge(ctx context.Context, from, filter, to string) error {
	options := func(id string) *mqtt.Options {
		return &mqtt.Options{
			ClientID:       id,
			RetryFirst:     mqtt.Backoff(time.Second, time.Minute),
			Reconnect:      mqtt.Backoff(time.Second, time.Minute),
			DropProperties: true, // for servers before 5.0
			OnEvent:        func(e mqtt.Event) { log.Printf("%s: %v", id, e) },
		}
	}
	source, sink := options("bridge-source"), options("bridge-sink")
	source.Session = mqtt.Session{Resume: true, Expiry: 24 * time.Hour}
	sink.PublishOnly = true
	out, err := mqtt.Connect(ctx, to, sink)
	if err != nil {
		return err
	}
	defer end(out)
	in, err := mqtt.Connect(ctx, from, source)
	if err != nil {
		return err
	}
	defer end(in)
	x := mqtt.Mux{Concurrency: 64}
	x.Handle(mqtt.Subscription{Filter: filter, QoS: 2, RetainAsPublished: true}, out.Publish)
	return x.Serve(ctx, in)
}

// end closes a client, but does not wait long for a server that is away: what is
// not acknowledged stays in the session of the source.
func end(c *mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
