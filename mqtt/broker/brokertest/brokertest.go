// Package brokertest starts a development broker for the duration of a test.
package brokertest

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Start runs a broker on a port of the loopback interface that the system chooses. The
// broker stops when the test ends. The test fails if a connection crashed.
func Start(t testing.TB) (b *broker.Broker, addr string) {
	t.Helper()
	return StartOn(t, "127.0.0.1:0", nil, broker.Options{})
}

// URL starts a broker as Start does, and returns its URL for mqtt.Connect.
func URL(t testing.TB) string {
	_, addr := Start(t)
	return "mqtt://" + addr
}

// StartWith is Start with options.
func StartWith(t testing.TB, o broker.Options) (b *broker.Broker, addr string) {
	t.Helper()
	return StartOn(t, "127.0.0.1:0", nil, o)
}

// StartOn is Start with options and an address. If cfg is not nil, the listener uses
// TLS.
func StartOn(t testing.TB, listen string, cfg *tls.Config, o broker.Options) (b *broker.Broker, addr string) {
	t.Helper()
	ln, err := transport.Listen(context.Background(), listen, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, ln, o), ln.Addr().String()
}

// Serve is Start with options and a listener, which it closes. The listener may be in
// memory, in a bubble of testing/synctest.
func Serve(t testing.TB, ln net.Listener, o broker.Options) *broker.Broker {
	next := o.Log
	o.Log = func(e broker.Event) {
		if e.Kind == broker.EventPanic {
			t.Error(e)
		}
		if next != nil {
			next(e)
		}
	}
	b := broker.New(o)
	done := make(chan error, 1)
	go func() { done <- b.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("broker did not close in time: %v", err)
		}
		<-done //nolint:errcheck // ErrClosed
	})
	return b
}
