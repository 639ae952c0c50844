package script_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mqtools/mqtools/mqtt/script"
)

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
	network := script.NewMemory()
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
