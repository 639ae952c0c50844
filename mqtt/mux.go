package mqtt

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Handler handles one received message. m is a copy for this call, without
// subscription identifiers, but its payload and properties are views into a
// buffer: m is valid until the handler returns, see [Message.Clone].
//
// ctx is canceled as soon as the context of Serve ends or another handler has
// failed for good. A handler that should then finish its work uses
// context.WithoutCancel: Serve waits for it, and acknowledges its message.
type Handler func(ctx context.Context, m *Message) error

// Mux calls handlers for received messages, by topic filter. The zero value is
// ready to use. The fields must not be changed while Serve runs.
//
// # Order
//
// Messages of one topic are handled one after the other, in the order in which
// they were received. Messages of different topics are handled at the same
// time, up to Concurrency. The oldest message whose topic is idle is always
// next: with a Concurrency of 1, all messages are handled in order.
//
// # Acknowledgements
//
// A message is acknowledged when its handlers have returned nil, and so have
// those of all messages received before it: acknowledgements are sent in the
// order of receipt (MQTT-4.6.0-2). One slow handler therefore delays the
// acknowledgements of later messages, and a server that has as many
// unacknowledged messages as its limit allows (Options.ReceiveMaximum) sends no
// more. The messages that Serve takes ahead of slow handlers are bounded;
// beyond that, reading the connection pauses.
//
// A message at QoS 1 is handled at least once. If its connection is lost before
// its acknowledgement, a kept session delivers it again, and its handlers are
// called again with Dup set: also messages that were received but not yet begun
// are handled twice then, before the messages that the session delivers again. At QoS 2 the handlers are called once for as long
// as this client lives, across reconnects, unless an error leaves the message
// unhandled.
//
// # Overlapping filters
//
// If several handlers match a message, they are called one after the other in
// the order of registration, and the first error ends that: the remaining ones
// are not called.
//
// A server may send a message once for each matching subscription. With MQTT
// 5.0, Serve distinguishes these copies: it gives each subscription that has no
// ID an identifier derived from its filter, and a message is for the handlers
// whose identifier it carries and whose filter matches. So each copy is handled
// once, also those for shared subscriptions, and so are messages that the
// session has kept for an earlier run of the program. A message without such an
// identifier is for all handlers whose filter matches. That applies to 3.1.1,
// and to servers without subscription identifiers: if filters overlap there,
// and the server sends several copies, each copy is passed to all matching
// handlers. A shared subscription cannot be distinguished from another one that
// matches the same topics.
type Mux struct {
	// Concurrency is the number of messages that are handled at the same time.
	// The default is 1: handlers then need no locks.
	Concurrency int

	// OnError, if not nil, decides about an error of a handler, about a panic
	// (*PanicError) and about a message without a handler (ErrUnhandled). If it
	// returns nil, the message counts as handled and is acknowledged. If it
	// returns an error, Serve ends with that. Without OnError, each error ends
	// Serve: a program that accepts messages of others needs one, or a single
	// bad message ends it. OnError is called by the goroutine that called the
	// handler, with the handler's context and its own copy of the message.
	OnError func(ctx context.Context, m *Message, err error) error

	// Unhandled handles messages that match no filter, such as those of a
	// subscription that an earlier program made in the session. Without it,
	// such a message is an error, ErrUnhandled.
	Unhandled Handler

	// OnSubscribed, if not nil, is called once by each Serve when the server
	// has granted all subscriptions, with one reason code per call of Handle,
	// in order: the granted QoS may be lower than the requested one. It is
	// called by a goroutine of Serve; handlers may already be running.
	OnSubscribed func(granted []packet.ReasonCode)

	mu      sync.Mutex
	routes  []route
	known   map[string]struct{}       // the filters of routes
	tree    topic.Trie[int, struct{}] // indexes into routes, by the filter without $share/group/
	serving int                       // calls of Serve
}

// route is a subscription with its handler.
type route struct {
	Subscription
	handler Handler
}

var (
	// ErrUnhandled is the error of a message that matches no filter of a Mux.
	ErrUnhandled = errors.New("no handler matches")
	// ErrGoexit is the error of a handler that ends its goroutine with
	// runtime.Goexit, as the FailNow of a test does.
	ErrGoexit = errors.New("runtime.Goexit was called")
)

// PanicError is the error of a handler, or another function of a Mux, that
// panicked.
type PanicError struct {
	Value any    // argument of panic
	Stack []byte // of the handler's goroutine
}

// Error returns a text with the value but without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Handle registers the handler of a subscription. As in net/http, it panics if
// the registration is invalid: the filter is not valid (see
// [topic.ValidateFilter]) or is registered already, h is nil, or Serve is
// running. Filters that differ only in $share/group/ are different.
func (x *Mux) Handle(s Subscription, h Handler) {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, again := x.known[s.Filter]
	err := topic.ValidateFilter(s.Filter)
	switch {
	case err != nil:
	case h == nil:
		err = fmt.Errorf("nil handler for %s", topic.Quote(s.Filter))
	case again:
		err = fmt.Errorf("%s has a handler already", topic.Quote(s.Filter))
	case x.serving > 0:
		err = fmt.Errorf("handler for %s while Serve runs", topic.Quote(s.Filter))
	}
	if err == nil {
		_, inner, _ := topic.ParseShare(s.Filter)
		x.tree.MaxLevels = topic.MaxLength + 1 // as many as Subscribe accepts
		_, err = x.tree.Insert(inner, len(x.routes), struct{}{})
	}
	if err != nil {
		panic("mqtt: Mux.Handle: " + err.Error())
	}
	if x.known == nil {
		x.known = make(map[string]struct{})
	}
	x.known[s.Filter] = struct{}{}
	x.routes = append(x.routes, route{s, h})
}

// identifiers returns the subscription identifier of each route: its own, or
// one derived from its filter.
func (x *Mux) identifiers() []uint32 {
	ids, taken := make([]uint32, len(x.routes)), make(map[uint32]bool)
	for i := range x.routes {
		ids[i] = x.routes[i].ID
		taken[ids[i]] = true
	}
	for i := range ids {
		if ids[i] != 0 {
			continue
		}
		// A later run of the program must derive the same identifier.
		h := fnv.New32a()
		_, _ = h.Write([]byte(x.routes[i].Filter))
		id := h.Sum32()%maxSubscriptionID + 1
		for taken[id] {
			id = id%maxSubscriptionID + 1
		}
		ids[i], taken[id] = id, true
	}
	return ids
}

// Serve subscribes to all filters and calls the handlers of received messages
// until ctx or the client ends. It also handles messages that arrive before the
// subscriptions are granted, as they do in a resumed session. SUBSCRIBEs are
// sent without waiting for each other; filters with the same identifier and
// properties share a packet. Until all are answered, reading does not pause for
// slow handlers, as in other calls that wait for the server (see ErrBacklog).
// Each Serve subscribes, so the server may send retained messages again (see
// Subscription.RetainHandling), and the subscriptions remain when Serve returns.
//
// Serve returns when all running handlers have returned:
//
//   - When ctx has ended: ctx's error. Serve begins no more handlers.
//   - When the client has ended: the reason, which is ErrClosed after Close.
//     Serve handles the messages that were received before, but nothing is
//     acknowledged any more.
//   - When the server refuses a subscription: the error of [Client.Subscribe].
//   - When a handler has failed: the error of OnError, or without OnError that
//     of the handler, wrapped with the topic. A panic is a *PanicError. Serve
//     begins no more handlers and cancels the context of those that run.
//     Neither the failed message nor any received after it is acknowledged.
//     Further errors are joined (errors.Join).
//   - At once with ErrReceiving while a loop over [Client.Messages] or another
//     Serve runs on the client, and with ErrUnreceived if the client is
//     PublishOnly.
//
// When a handler returns the error of its context, which has been canceled, the
// message counts as unhandled and not as failed.
//
// Afterwards, the next Serve, Receive or Messages of the client continues with
// the messages that are not handled, beginning with the failed one, and skips
// those that are: it acknowledges them in their place. The server does not
// send unacknowledged messages again on the same connection. If the client
// ends, a kept session delivers them again to the next one, including those
// that were handled but received after an unhandled message.
//
// Several clients may be served at the same time.
func (x *Mux) Serve(ctx context.Context, c *Client) error {
	switch {
	case c.opt.PublishOnly:
		return ErrUnreceived
	case x.Concurrency < 0:
		return fmt.Errorf("Mux.Concurrency of %d is negative", x.Concurrency)
	}
	b, err := c.takeCursor(ctx, true)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.serving++
	x.mu.Unlock()
	s := newDispatch(ctx, x, c)
	defer func() {
		c.restock(s.unhandled())
		x.mu.Lock()
		x.serving--
		x.mu.Unlock()
	}()
	if b = b.rest(); b != nil {
		s.add(b)
	}
	return s.run()
}

// subscriptions returns those of all routes, with identifiers if the server has
// them.
func (x *Mux) subscriptions(c *Client, ids []uint32) []Subscription {
	available := c.ConnackProperties().UintOr(packet.SubscriptionIdentifierAvailable, 1)
	identify := c.Version() >= packet.V5 && available == 1
	subs := make([]Subscription, len(x.routes))
	for i := range subs {
		subs[i] = x.routes[i].Subscription
		if identify {
			subs[i].ID, subs[i].derived = ids[i], subs[i].ID == 0
		}
	}
	return subs
}

// subscribeAll is Subscribe without waiting between the packets.
func (c *Client) subscribeAll(ctx context.Context, subs []Subscription) (all []packet.ReasonCode, err error) {
	if err := c.checkSubscriptions(subs); err != nil {
		return nil, err
	}
	var asks []*ask
	c.mu.Lock()
	defer c.mu.Unlock()
	for part := range bySubscribe(subs) {
		a := &ask{subs: part}
		if err := c.askLocked(a); err != nil {
			return nil, err // that of the first: c.mu is held
		}
		asks = append(asks, a)
	}
	for _, a := range asks {
		codes, failed := c.awaitAskLocked(ctx, a)
		if failed == nil {
			failed = a.refused(codes)
		}
		if err == nil {
			err = failed
		}
		all = append(all, codes...)
	}
	return all, err
}
