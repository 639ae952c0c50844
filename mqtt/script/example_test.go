package script_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/script"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// An error in a script is reported with its place before the script is played.
func ExampleParse() {
	_, err := script.Parse("hello.yaml", []byte(`
name: hello
role: client
version: 5.0
steps:
  - send: CONNECT
  - {expect: CONNACK, resaon: success}
`))
	fmt.Println(err)
	// Output: hello.yaml:7:23: unknown key "resaon"
}

// Two clients that are written down, and a broker that is under test.
func ExampleScript_Dial() {
	s, err := script.Parse("retained.yaml", []byte(`
name: a retained message
role: client
version: 3.1.1
connections:
  - one:
      - send: CONNECT
      - expect: CONNACK
      - {send: PUBLISH, topic: t, payload: hi, retain: true, qos: 1, id: 1}
      - {expect: PUBACK, id: 1}
  - two:
      - send: CONNECT
      - expect: CONNACK
      - {send: SUBSCRIBE, id: 2, filter: t}
      - {expect: SUBACK, id: 2}
      - {expect: PUBLISH, topic: t, payload: hi, retain: true}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	network, b := memtest.New(), broker.New(broker.Options{})
	done := make(chan error)
	go func() { done <- b.Serve(network) }()
	fmt.Println(s.Dial(context.Background(), network.Dial, nil))
	_ = b.Close(context.Background())
	<-done
	// Output:
	// <nil>
}

// A broker that is written down, and a client that does not do what it should.
func ExampleScript_Serve() {
	s, err := script.Parse("ping.yaml", []byte(`
name: a client that pings
role: broker
version: 3.1.1
steps:
  - {expect: CONNECT, client-id: me}
  - send: CONNACK
  - {expect: PINGREQ}
  - send: PINGRESP
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	network := memtest.New()
	go func() {
		nc, err := network.Dial(context.Background())
		if err != nil {
			return
		}
		defer nc.Close()
		// CONNECT, and a DISCONNECT where a PINGREQ should be.
		_, _ = io.WriteString(nc, "\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02me\xe0\x00")
		_, _ = io.Copy(io.Discard, nc)
	}()
	err = s.Serve(context.Background(), network, nil)
	var f *script.Failure
	if errors.As(err, &f) {
		fmt.Printf("%s: %s: %s\n", f.Place, f.Step, f.Text)
	}
	// Output:
	// ping.yaml:8:5: expect PINGREQ: got DISCONNECT
}
