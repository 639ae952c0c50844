// Package swarm is very many MQTT clients in one process, driven by few loops:
// the clients of a load generator. It sends what it is told, when it is told,
// and reports what comes; it never waits and never reconnects by itself.
//
// # Engines
//
// There are two engines behind one interface. [Lite] is for plain TCP on Linux:
// each [Loop] is one goroutine on a thread of its own that serves all sockets of
// its clients by epoll; an idle client is one struct of some hundred bytes.
// [Std] is for everything else, TLS, WebSocket, Unix sockets, proxies and other
// systems: each client has a goroutine that reads, and one that writes while
// there is something to write. The rules of MQTT are those of package session in
// both.
//
// # Loops
//
// A Loop is a lock with a goroutine: all calls of a [Handler], and all methods
// of [Client] and Loop except [Loop.Do], happen with the loop's lock held, one at a
// time. Handler methods are called so; everybody else calls Do. A Handler method
// may call any method of the clients of its own loop; none of them calls the
// Handler back before it returns. Clients of different loops do not know each
// other: to reach another loop from a Handler, hand the work to a goroutine
// that calls Do.
//
// What the methods send is collected for each client, and written when the batch
// ends: after a client's input has been handled, after Due, and after Do.
//
// On Linux GOMAXPROCS is one higher for each loop that lives: a loop that waits in
// a system call must not keep the other goroutines of the process waiting.
//
// # Flow
//
// Nothing is unbounded. At QoS 1 and 2 the windows of both sides hold messages back:
// publish as many as [Client.Room] says, and one more for each Acked. What waits to be
// written is bounded by [Options.Buffer]: when Publish returns [ErrFull], go on at
// Writable; that is also how to send at QoS 0 as fast as the server takes it. A
// message whose time comes while there is no room is late, not lost. A client whose
// server does not read is not read from either, once the answers that it owes
// exceed what MQTT lets a server have open. [Client.Pause] makes a slow consumer.
//
// # Time
//
// All times are durations since [Options.Epoch] on the monotonic clock.
//
// # A client's life
//
// A client is idle, until [Client.Connect] puts it into the queue of its loop. At
// most [Options.HalfOpen] attempts are under way at once. An attempt ends with
// exactly one Connected or Failed, a connection that was up with exactly one
// Closed; from Failed and Closed on the client is idle and may connect again, also
// at once, within that call. Subscribe and Unsubscribe requests that had no answer
// are over with Closed.
//
// Messages at QoS 1 and 2 that had no answer when the connection ended stay with
// the client. A Connect whose packet has CleanStart forgets them without a word
// ([Client.Forget] tells their tags); any other one sends them again, with their
// packet identifiers and DUP if the server has kept the session, as new ones if
// not, and before all that is published later (MQTT-4.4.0-1).
package swarm
