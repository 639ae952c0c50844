package brokertest_test

import (
	"testing"

	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
)

// TestHello is a test with its own broker, which stops when the test ends.
func TestHello(t *testing.T) {
	c, err := mqtt.Connect(t.Context(), brokertest.URL(t), nil)
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
