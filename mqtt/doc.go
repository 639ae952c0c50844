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
// The class of an error says what happened to the message:
//
//   - ErrNotSent: nothing left this client. Retrying is safe.
//   - ErrRefused: the server refused it; [Error].Reason and Text say why.
//   - ErrInDoubt: it may have arrived, and the client will not resend it: the
//     connection ended for good before the acknowledgement.
//   - ErrKept: it is in the session and will be delivered; only the caller
//     stopped waiting.
//
// # Concurrency
//
// All methods are safe for concurrent use. A connection has one reading and one
// writing goroutine. The reader never waits for a write, and no lock is held
// while reading, writing, waiting or calling back. All queues are bounded:
// Publish and Send block while the window or the output buffer is full, and
// reading pauses while the application is behind.
package mqtt
