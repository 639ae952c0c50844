// Package mqtt is an MQTT client for versions 3.1, 3.1.1 and 5.0.
//
//	c, err := mqtt.Connect(ctx, "mqtt://localhost", nil)
//	err = c.Publish(ctx, &mqtt.Message{Topic: "a/b", Payload: p, QoS: 1})
//	_, err = c.Subscribe(ctx, mqtt.Subscription{Filter: "a/#", QoS: 1})
//	for m, err := range c.Messages(ctx) { ... }
//	err = c.Close(ctx)
//
// The package keeps one promise: no message is lost or repeated silently. Every
// call says what became of its message, and what no call can say is an event or
// a number in [Stats].
//
// # Connecting
//
// [Connect] takes a URL: mqtt, mqtts, ws, wss or unix (see
// [transport.ParseURL]). [Options].Servers adds servers for failover, TLS has
// certificates in memory, and Dial replaces the network: the Dial method of a
// [transport.Dialer] connects through proxies or with certificates in files, and
// a function of your own may return a pipe or an SSH channel.
//
// A client does not reconnect unless Options.Reconnect says so; [Backoff] is a
// policy that waits longer each time and gives up on errors that do not pass,
// such as a wrong password. Options.RetryFirst does the same for the first
// connection. While a connection is being restored, calls wait, and
// Options.OnEvent reports what happens. After a reconnect the client repeats
// what the server has lost: messages in flight and subscriptions.
//
// # Publishing
//
// [Client.Publish] returns when the message is delivered as its QoS promises: at
// QoS 1 and 2, when the server has acknowledged it. [Client.Send] only waits
// until there is room, for streams of messages: Options.OnOutcome receives the
// outcome of each, and [Client.Flush] waits for all of them. Payloads are not
// kept: they may be changed as soon as the call has returned.
//
// # Receiving
//
// There are three ways to receive, and one of them is used at a time:
//
//   - [Mux] calls a handler for each topic filter and acknowledges a message
//     when its handler returns nil. Handlers of different topics can run at the
//     same time. This is the way for most programs.
//   - [Client.Messages] is an iterator for a program with one loop. Taking the
//     next message acknowledges the previous one.
//   - [Client.Receive] returns what one read of the connection has brought. It
//     neither copies nor allocates, and leaves acknowledgements to the caller.
//
// A message that is not acknowledged is delivered again at the next connection,
// if the session is kept. Nothing is read ahead without bound: a client that
// does not receive stops reading, and the server notices.
//
// # Sessions
//
// By default a session begins and ends with its connection. A consumer that must
// miss nothing while it is away gives itself a name and keeps its session:
//
//	&mqtt.Options{ClientID: "billing", Session: mqtt.Session{Resume: true, Expiry: 24 * time.Hour}}
//
// The server then keeps its subscriptions, and for them the messages at QoS 1
// and 2, for a day. [Client.SessionPresent] says whether it still had the session.
// A publisher keeps its messages over its own restart with a [journal.Journal].
//
// # Requests
//
// [Client.Request] publishes a message and waits for the reply; a responder
// answers with [Client.Reply]. An [Exchange] is for several replies.
//
// # Errors
//
// Calls return an [*Error]. Its class says what happened to the message:
//
//   - ErrNotSent: nothing left this client. Retrying is safe. It is also the
//     class of what cannot be sent at all, such as a topic name with a wildcard.
//   - ErrRefused: the server refused it; [Error].Reason and Text say why.
//   - ErrInDoubt: it may have arrived, and the client will not resend it: the
//     connection ended for good before the acknowledgement.
//   - ErrKept: it is in the session of the client, which will deliver it while it
//     lives, or in its journal; only the caller stopped waiting.
//
// errors.Is also finds the cause: a reason code, as in errors.Is(err,
// packet.NotAuthorized), a cause of this package such as ErrClosed, a
// [transport.Kind], as in errors.Is(err, transport.Refused), or the error of a
// context.
//
// # Properties of MQTT 5.0
//
// [Message] and [Subscription] have fields for what 5.0 has added. A connection
// that uses an older version, because the server knows no other, refuses what it
// cannot carry with ErrNeeds5, unless Options.DropProperties is set.
//
// # Concurrency
//
// All methods are safe for concurrent use. A connection has one reading and one
// writing goroutine. The reader never waits for a write, and no lock is held
// while reading, writing, waiting or calling back. All queues are bounded:
// Publish and Send block while the window or the output buffer is full, and
// reading pauses while the application is behind.
//
// # Testing
//
// Package brokertest starts a complete broker in a test, in one line.
package mqtt
