// Package swarm runs very many MQTT clients in one process, driven by a few loops: the
// clients of a load generator. It sends messages when its caller asks for them, and
// reports what arrives. It never waits, and never reconnects by itself.
//
// # Engines
//
// There are two engines behind one interface. [Lite] is for plain TCP on Linux: each
// [Loop] is one goroutine on a locked thread that serves all sockets of its clients
// with epoll; an idle client is one struct of some hundred bytes. [Std] is for
// everything else: TLS, WebSocket, Unix sockets, proxies and other systems. Each client
// has a goroutine that reads, and one that writes while there is something to write. In
// both engines package session implements the rules of MQTT.
//
// # Loops
//
// A Loop is a lock with a goroutine. All calls of a [Handler], and all methods of
// [Client] and Loop except [Loop.Do], are made with the loop's lock held, one at a
// time. Handler methods are called that way; other code must call Do. A Handler method
// may call any method of the clients of its own loop; none of them calls the Handler
// before it returns. Clients of different loops do not know each other: to reach
// another loop from a Handler, start a goroutine that calls Do.
//
// What the methods send is collected for each client, and written when the batch ends:
// after a client's input has been handled, after Due, and after Do.
//
// On Linux GOMAXPROCS is one higher for each loop that exists: a loop that waits in a
// system call must not keep the other goroutines of the process waiting.
//
// # Flow
//
// Nothing is unbounded. At QoS 1 and 2 the windows of both sides hold messages back:
// publish as many as [Client.Room] allows, and one more for each Acked.
// [Options.Buffer] bounds what waits to be written: when Publish returns [ErrBufferFull],
// continue at Writable. This is also how to send at QoS 0 as fast as the server
// accepts. A message that is due while there is no room is late, not lost. If a server
// does not read, its client stops reading too, once the answers that it owes exceed
// what MQTT lets a server leave unanswered. [Client.Pause] makes a slow consumer.
//
// # Time
//
// All times are durations since [Options.Epoch] on the monotonic clock.
//
// # A client's life
//
// A client is idle until [Client.Connect] puts it into the queue of its loop. At most
// [Options.HalfOpen] attempts are in progress at once. An attempt ends with exactly one
// Connected or Failed, a connection that was up with exactly one Closed. From Failed
// and Closed on the client is idle and may connect again, even within that call. Closed
// also ends Subscribe and Unsubscribe requests that were not answered.
//
// The client keeps messages at QoS 1 and 2 that were not acknowledged when the
// connection ended. A Connect whose packet has CleanStart drops them silently
// ([Client.Forget] reports their tags). Any other Connect resends them before all that
// is published later (MQTT-4.4.0-1): with their packet identifiers and DUP if the
// server has kept the session, otherwise as new messages.
package swarm
