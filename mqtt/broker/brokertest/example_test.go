package brokertest_test

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// TestHello is a test with its own broker, which stops when the test ends.
func TestHello(t *testing.T) {
	_, addr := brokertest.Start(t)
	c, err := mqtt.Dial(t.Context(), "mqtt://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	if err := c.Publish(t.Context(), &mqtt.Message{Topic: "hello", QoS: 1}); err != nil {
		t.Error(err)
	}
}

// A test needs one line for its broker: see TestHello.
func Example() {}
