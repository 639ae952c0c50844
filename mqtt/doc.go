// Package mqtt is an MQTT client for versions 3.1, 3.1.1 and 5.0.
//
//	c, err := mqtt.Dial(ctx, "mqtt://localhost", nil)
//	err = c.Publish(ctx, &mqtt.Message{Topic: "a/b", Payload: p, QoS: 1})
//	_, err = c.Subscribe(ctx, mqtt.Subscription{Filter: "a/#", QoS: 1})
//	for m, err := range c.Messages(ctx) { ... }
//	err = c.Close(ctx)
//
// # Errors
//
// What became of a message is its error's class:
//
//   - ErrNotSent: nothing left this client. Trying again is safe.
//   - ErrRefused: the server said no; [Error].Reason and Text say why.
//   - ErrInDoubt: it may have arrived or not, and the client will not try
//     again: the connection ended for good before the acknowledgement.
//   - ErrKept: it stands in the session and will be delivered; only the
//     caller stopped waiting.
//
// # Concurrency
//
// All methods may be called from any goroutine. A connection has one reading
// and one writing goroutine. The reader never waits for a write, and no lock
// is held while reading, writing, waiting or calling back. Nothing queues
// without bound: Publish and Send wait while the window or the output buffer
// is full, and reading stops while the application is behind.
package mqtt
