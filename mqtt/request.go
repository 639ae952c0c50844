package mqtt

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Request publishes m as a request (section 4.10) and returns the first reply.
// If m has no ResponseTopic, the client generates one, which takes MQTT 5.0; it
// subscribes once and uses a topic of its own for each request. If m has no
// CorrelationData, that is generated as well. m is not changed, and the reply
// stays valid.
//
// A connection before 5.0 carries neither ResponseTopic nor CorrelationData: both
// sides must have agreed on the topic, and any message there is the reply.
//
// The error is that of Publish or Subscribe; after the request is published it
// is ErrInDoubt with ctx's error, or with the reason for which the client ended.
// For several replies use an Exchange.
func (c *Client) Request(ctx context.Context, m *Message) (*Message, error) {
	x, err := c.exchange(ctx, m, ExchangeOptions{}, true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if ended := x.leave(); ended != nil {
			go func() { _ = x.unsubscribe(context.Background(), ended) }() // ends with the client at the latest
		}
	}()
	if err := x.Publish(ctx); err != nil {
		return nil, err
	}
	return x.Next(ctx)
}

// Reply publishes m as the reply to a received request: to its ResponseTopic,
// with its CorrelationData and its QoS. It returns when the server has
// acknowledged it, as Publish does. If the request has no response topic, the
// error is ErrNotSent with ErrNoResponseTopic. m is not changed.
func (c *Client) Reply(ctx context.Context, request, m *Message) error {
	r, err := ReplyTo(request, m)
	if err != nil {
		return &Error{Op: "publish", Class: ErrNotSent, Err: err}
	}
	return c.Publish(ctx, r)
}

// ReplyTo returns m as the reply to a received request, for Send: see
// Client.Reply. Its CorrelationData is a view, as that of the request is. The
// error is ErrNoResponseTopic, or that a message is nil.
func ReplyTo(request, m *Message) (*Message, error) {
	if request == nil || m == nil {
		return nil, errNil
	}
	asked := Message{ResponseTopic: request.ResponseTopic, CorrelationData: request.CorrelationData}
	if asked.ResponseTopic == "" {
		asked.Properties = request.Properties
		asked.Decode()
	}
	if asked.ResponseTopic == "" {
		return nil, ErrNoResponseTopic
	}
	r := *m
	r.Topic, r.QoS, r.ResponseTopic = asked.ResponseTopic, request.QoS, ""
	if asked.CorrelationData != nil {
		r.CorrelationData = asked.CorrelationData
	}
	return &r, nil
}

// ExchangeOptions are the details of an Exchange that few need.
type ExchangeOptions struct {
	// Base is the beginning of a generated response topic if the server has
	// given no response information in CONNACK. The default is "mqtt/reply".
	Base string
	// Subscription holds the options of the subscription to the response topic;
	// its Filter is ignored.
	Subscription Subscription
	// Uncorrelated sends no CorrelationData unless the request has some, and
	// accepts replies without it also on a ResponseTopic that was given, where
	// they may answer others.
	Uncorrelated bool
	// Retained accepts retained messages as replies.
	Retained bool
}

// Exchange is one request and its replies. While it is open, the messages on its
// response topic belong to it and are not received otherwise. The client
// acknowledges them as they come. The methods may be called from several
// goroutines.
type Exchange struct {
	c    *Client
	opt  ExchangeOptions
	msg  Message
	data []byte // correlation data; nil before 5.0
	made bool   // the topic was generated for this exchange

	wake chan struct{} // 1 slot: the queue or err has changed

	// Client.mu must be held for the rest.
	queue   []*Message
	bytes   int // payload in queue
	foreign int
	err     error
}

// replies holds the open exchanges and the acknowledgements of their messages.
// Client.mu must be held.
type replies struct {
	topics map[string]*replyTopic // nil until there was a request
	base   string                 // of the response topics of Request, with a slash at the end; "" until one was made
	serial uint64

	subscribed bool // the subscription to all topics with base was granted

	// Acknowledgements follow the order of receipt (MQTT-4.6.0-2), also between
	// replies and other messages, which the application acknowledges.
	received, acked uint64 // other messages at QoS 1 and 2 of this connection
	owed            []owedReply
}

// replyTopic is the response topic of open exchanges.
type replyTopic struct {
	open       []*Exchange
	subscribed bool          // a subscription was granted
	ours       bool          // the last Close ends it
	closing    chan struct{} // closed when it has ended; nil while it is used
}

// owedReply is a reply that cannot be acknowledged yet.
type owedReply struct {
	qos   packet.QoS
	id    uint16
	after uint64 // number of other messages to acknowledge before
}

const (
	// maxReplies and maxReplyBytes bound the replies that wait for Next.
	maxReplies    = 1024
	maxReplyBytes = 16 << 20
)

// NewExchange subscribes to the response topic of a request, which Publish then
// publishes. See Request for the topic and the correlation data. m is copied,
// except for its payload, which must not change until Publish has returned.
func (c *Client) NewExchange(ctx context.Context, m *Message, opt ExchangeOptions) (*Exchange, error) {
	return c.exchange(ctx, m, opt, false)
}

// exchange is NewExchange; shared means that exchanges without a ResponseTopic
// share one subscription.
func (c *Client) exchange(ctx context.Context, m *Message, opt ExchangeOptions, shared bool) (*Exchange, error) {
	if _, err := m.checked(); err != nil {
		return nil, &Error{Op: "request", Class: ErrNotSent, Err: err}
	}
	x := &Exchange{c: c, opt: opt, msg: *m, wake: make(chan struct{}, 1)}
	if c.opt.PublishOnly {
		return nil, &Error{Op: "request", Class: ErrNotSent, Err: ErrUnreceived}
	}
	if given, has := m.Properties.Bytes(packet.ResponseTopic); x.msg.ResponseTopic == "" && has {
		x.msg.ResponseTopic = string(given)
	}
	v5 := c.Version() >= packet.V5
	to := x.msg.ResponseTopic
	switch {
	case !v5 && to == "":
		return nil, &Error{Op: "request", Class: ErrNotSent, Err: ErrNoResponseTopic}
	case to != "":
		if err := topic.ValidateName(to); err != nil {
			return nil, &Error{Op: "request", Class: ErrNotSent, Err: err}
		}
	}
	if v5 {
		x.correlate()
	} else {
		x.msg.ResponseTopic, x.msg.CorrelationData = "", nil
		x.msg.Properties = m.Properties.Without(nil, packet.ResponseTopic)
		x.msg.Properties = x.msg.Properties.Without(nil, packet.CorrelationData)
		if (len(x.msg.Properties) > 0 || x.msg.hasFields()) && !c.opt.DropProperties {
			return nil, &Error{Op: "request", Class: ErrNotSent, Err: ErrNeeds5}
		}
		x.msg.ResponseTopic = to
	}
	filter, subscribed, err := c.joinReplies(ctx, x, shared)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	has := *subscribed
	c.mu.Unlock()
	if has {
		return x, nil
	}
	s := opt.Subscription
	if s.Filter = filter; shared {
		s.QoS = 2
		if v5 {
			s.RetainHandling = RetainedNever
		}
	}
	if _, err := c.Subscribe(ctx, s); err != nil {
		if ended := x.leave(); ended != nil {
			x.forget(ended)
		}
		return nil, err
	}
	c.mu.Lock()
	*subscribed = true
	c.mu.Unlock()
	return x, nil
}

// joinReplies opens the exchange on its response topic, which it generates if
// there is none. It returns the filter to subscribe to, and where it is recorded
// that there is a subscription: until one is granted, each exchange subscribes,
// so that none depends on the context of another.
func (c *Client) joinReplies(ctx context.Context, x *Exchange, shared bool) (filter string, subscribed *bool, err error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	base := cmp.Or(c.ConnackProperties().Text(packet.ResponseInformation), x.opt.Base, "mqtt/reply") + "/" + hex.EncodeToString(random[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.replies
	if r.topics == nil {
		r.topics = make(map[string]*replyTopic)
	}
	if x.msg.ResponseTopic == "" && shared {
		x.made = true
		if r.base == "" {
			r.base = base + "/"
		}
		r.serial++
		x.msg.ResponseTopic = r.base + strconv.FormatUint(r.serial, 36)
		r.topics[x.msg.ResponseTopic] = &replyTopic{open: []*Exchange{x}}
		return r.base + "+", &r.subscribed, nil
	}
	if x.msg.ResponseTopic == "" {
		x.made, x.msg.ResponseTopic = true, base
	}
	filter = x.msg.ResponseTopic
	for r.topics[filter] != nil && r.topics[filter].closing != nil {
		closing := r.topics[filter].closing
		c.mu.Unlock()
		select {
		case <-closing:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if ctx.Err() != nil {
			return "", nil, &Error{Op: "request", Class: ErrNotSent, Err: ctx.Err()}
		}
	}
	on := r.topics[filter]
	if on == nil {
		// A subscription of the application stays, with its own options.
		had := slices.ContainsFunc(c.subs.granted, func(g renewable) bool { return g.Filter == filter })
		on = &replyTopic{ours: !had, subscribed: had}
		r.topics[filter] = on
	}
	on.open = append(on.open, x)
	return filter, &on.subscribed, nil
}

// notify wakes Next. Client.mu must be held.
func (x *Exchange) notify() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// correlate completes the correlation data of a request in 5.0.
func (x *Exchange) correlate() {
	m := &x.msg
	x.data = bytes.Clone(m.CorrelationData)
	if data, has := m.Properties.Bytes(packet.CorrelationData); has && x.data == nil {
		x.data = append([]byte{}, data...)
	} else if x.data == nil && !x.opt.Uncorrelated {
		x.data = make([]byte, 8)
		_, _ = rand.Read(x.data) // never fails
		m.CorrelationData = x.data
	}
}

// ResponseTopic returns the topic of the replies.
func (x *Exchange) ResponseTopic() string { return x.msg.ResponseTopic }

// Publish publishes the request, as Client.Publish does. It may be called again.
func (x *Exchange) Publish(ctx context.Context) error {
	m := x.msg
	if x.c.Version() < packet.V5 {
		m.ResponseTopic = ""
	}
	return x.c.Publish(ctx, &m)
}

// Next waits for the next reply. If ctx or the client ends first, the error is
// ErrInDoubt with the reason. If replies come faster than they are taken, more
// than 1024 of them or 16 MiB, the error is ErrBacklog after those.
func (x *Exchange) Next(ctx context.Context) (*Message, error) {
	c := x.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var err error
		switch {
		case len(x.queue) > 0:
			m := x.queue[0]
			x.queue = slices.Delete(x.queue, 0, 1)
			x.bytes -= len(m.Payload)
			return m, nil
		case x.err != nil:
			err = x.err
		case ctx.Err() != nil:
			err = ctx.Err()
		case c.ended != nil:
			err = c.ended
		}
		if err != nil {
			return nil, &Error{Op: "request", Class: ErrInDoubt, Err: err}
		}
		c.waiters.onReader++
		c.inbox.letReader()
		c.mu.Unlock()
		select {
		case <-x.wake:
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		c.mu.Lock()
		c.waiters.onReader--
	}
}

// Foreign returns how many messages on the response topic were not replies to
// this request, because they have other correlation data.
func (x *Exchange) Foreign() int {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	return x.foreign
}

// Close ends the exchange, and its subscription if no other one of the client
// has the same filter. Replies that come later to a topic that Request has
// generated are counted in Stats.Late.
func (x *Exchange) Close(ctx context.Context) error {
	if ended := x.leave(); ended != nil {
		return x.unsubscribe(ctx, ended)
	}
	return nil
}

// unsubscribe ends the subscription to the response topic after the last
// exchange has left it.
func (x *Exchange) unsubscribe(ctx context.Context, ended chan struct{}) error {
	_, err := x.c.Unsubscribe(ctx, x.msg.ResponseTopic)
	x.forget(ended)
	return err
}

// forget removes the response topic, whose subscription has ended.
func (x *Exchange) forget(ended chan struct{}) {
	x.c.mu.Lock()
	delete(x.c.replies.topics, x.msg.ResponseTopic)
	x.c.mu.Unlock()
	close(ended)
}

// leave removes x from the open exchanges. If the subscription has to end, it
// returns a channel to close after that.
func (x *Exchange) leave() (ended chan struct{}) {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	topics, to := x.c.replies.topics, x.msg.ResponseTopic
	on := topics[to]
	if on == nil || !slices.Contains(on.open, x) {
		return nil
	}
	on.open = slices.DeleteFunc(on.open, func(y *Exchange) bool { return y == x })
	switch {
	case len(on.open) > 0:
		return nil
	case !on.ours:
		delete(topics, to)
		return nil
	}
	on.closing = make(chan struct{})
	return on.closing
}

// answers reports whether a message on the response topic is a reply to the
// request. Replies without correlation data are accepted if the topic is this
// request's alone.
func (x *Exchange) answers(p *packet.Publish) bool {
	if x.data == nil {
		return true
	}
	data, has := p.Properties.Bytes(packet.CorrelationData)
	return has && bytes.Equal(data, x.data) || !has && (x.made || x.opt.Uncorrelated)
}

// takeReplyLocked takes a received message that belongs to an exchange, and
// reports whether it did.
func (c *Client) takeReplyLocked(ev *session.Event) bool {
	p, r := &ev.Publish, &c.replies
	var open []*Exchange
	if on := r.topics[string(p.Topic)]; on != nil {
		open = on.open
	} else if r.base == "" || !bytes.HasPrefix(p.Topic, []byte(r.base)) {
		return false
	}
	if len(open) == 0 {
		c.stats.Late++
	}
	for _, x := range open {
		switch {
		case p.Retain && !x.opt.Retained: // from before the request
			continue
		case !x.answers(p):
			x.foreign++
			continue
		}
		if len(x.queue) >= maxReplies || x.bytes+len(p.Payload) > maxReplyBytes && len(x.queue) > 0 {
			x.err = ErrBacklog
			x.notify()
			continue
		}
		m := (&Message{Topic: x.msg.ResponseTopic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, PacketID: p.PacketID,
			Properties: p.Properties}).Clone()
		m.Decode()
		x.queue = append(x.queue, m)
		x.bytes += len(m.Payload)
		x.notify()
	}
	if p.QoS > 0 {
		r.owed = append(r.owed, owedReply{p.QoS, p.PacketID, r.received})
		c.ackRepliesLocked()
	}
	return true
}

// ackRepliesLocked acknowledges the replies whose turn it is.
func (c *Client) ackRepliesLocked() {
	r := &c.replies
	n := 0
	for n < len(r.owed) && r.owed[n].after <= r.acked {
		c.conn.Ack(r.owed[n].qos, r.owed[n].id, 0)
		n++
	}
	if n > 0 {
		r.owed = slices.Delete(r.owed, 0, n)
	}
}

// lateRepliesLocked begins to count for a new connection. Replies that were not
// acknowledged on the last one were taken nevertheless.
func (c *Client) lateRepliesLocked() {
	if c.gen > c.sessionGen { // the session goes on
		for _, o := range c.replies.owed {
			c.conn.AckLate(o.qos, o.id)
		}
	}
	c.replies.owed, c.replies.received, c.replies.acked = c.replies.owed[:0], 0, 0
}
