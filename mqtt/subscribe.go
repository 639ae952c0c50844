package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Subscription is a topic filter with its options.
type Subscription struct {
	Filter string
	QoS    packet.QoS

	// What follows is new in MQTT 5.0: see Options.DropProperties.

	NoLocal           bool // do not send what this client publishes itself
	RetainAsPublished bool // keep the retain flag as the publisher set it
	RetainHandling    RetainHandling
	ID                uint32            // subscription identifier, or 0 for none
	Properties        packet.Properties // user properties of the SUBSCRIBE

	derived bool // ID helps a Mux, and is omitted before 5.0
}

// RetainHandling says for which subscriptions the server sends the retained
// messages.
type RetainHandling uint8

// The values of RetainHandling.
const (
	RetainedAlways RetainHandling = iota // whenever a subscription is made
	RetainedIfNew                        // if there was no subscription with this filter
	RetainedNever
)

// options returns the subscription options byte for a version.
func (s *Subscription) options(v packet.Version) packet.SubscribeOptions {
	o := packet.SubscribeOptions(s.QoS)
	if v < packet.V5 {
		return o
	}
	if s.NoLocal {
		o |= packet.NoLocal
	}
	if s.RetainAsPublished {
		o |= packet.RetainAsPublished
	}
	return o | packet.SubscribeOptions(s.RetainHandling)<<4
}

// needs5 reports whether the subscription has something that versions before 5.0
// cannot carry.
func (s *Subscription) needs5() bool {
	return s.NoLocal || s.RetainAsPublished || s.RetainHandling != RetainedAlways || s.ID != 0 && !s.derived || len(s.Properties) > 0
}

// together reports whether one SUBSCRIBE can hold both.
func (s *Subscription) together(o *Subscription) bool {
	return s.ID == o.ID && bytes.Equal(s.Properties, o.Properties)
}

// maxSubscriptionID is the largest subscription identifier (section 3.8.2.1.2).
const maxSubscriptionID = 268435455

// legal refuses a request for which a server would close the connection, which
// would affect other callers. It parses the packet into read, as the server
// would.
func legal(p, read packet.Packet, v packet.Version) error {
	b, err := p.AppendTo(nil, v)
	if err != nil {
		return err
	}
	f, _, err := packet.Split(b, v, 0)
	if err != nil {
		return err
	}
	return read.Parse(f, v)
}

// Subscribe subscribes to all filters, in one packet per subscription
// identifier, and waits for the answers. It returns one reason code per filter,
// in order. If the server refused any of them, the error is an *Error with the
// first failing code. Granted filters are subscribed again whenever the server
// has lost the session.
func (c *Client) Subscribe(ctx context.Context, subs ...Subscription) ([]packet.ReasonCode, error) {
	if err := c.checkSubscriptions(subs); err != nil {
		return nil, err
	}
	var all []packet.ReasonCode
	var refused error
	for part := range bySubscribe(subs) {
		a := &ask{subs: part}
		codes, err := c.request(ctx, a)
		if err != nil {
			return all, err
		}
		if refused == nil {
			refused = a.refused(codes)
		}
		all = append(all, codes...)
	}
	return all, refused
}

// bySubscribe yields the subscriptions of each SUBSCRIBE.
func bySubscribe(subs []Subscription) iter.Seq[[]Subscription] {
	return func(yield func([]Subscription) bool) {
		for start := 0; start < len(subs); {
			end := start + 1
			for end < len(subs) && subs[end].together(&subs[start]) {
				end++
			}
			if !yield(subs[start:end]) {
				return
			}
			start = end
		}
	}
}

// refused returns the error for the first subscription that the server refused,
// or nil.
func (a *ask) refused(codes []packet.ReasonCode) error {
	for i, code := range codes {
		if code.Failed() {
			return &Error{Op: "subscribe", Class: ErrRefused, Reason: code, Text: a.subs[i].Filter}
		}
	}
	return nil
}

// checkSubscriptions returns an error if there are none, or if a server would
// refuse the packet of any.
func (c *Client) checkSubscriptions(subs []Subscription) error {
	switch {
	case len(subs) == 0:
		return &Error{Op: "subscribe", Class: ErrNotSent, Err: packet.ErrNoFilters}
	case c.opt.PublishOnly:
		return &Error{Op: "subscribe", Class: ErrNotSent, Err: ErrUnreceived}
	}
	v := c.Version()
	for i := range subs {
		s := &subs[i]
		err := topic.ValidateFilter(s.Filter)
		switch {
		case err != nil:
		case s.QoS > 2:
			err = packet.ErrQoS
		case s.RetainHandling > RetainedNever:
			err = fmt.Errorf("retain handling %d: the largest is %d", s.RetainHandling, RetainedNever)
		case s.ID > maxSubscriptionID:
			err = fmt.Errorf("subscription identifier %d: the largest is %d", s.ID, maxSubscriptionID)
		default:
			p := subscribePacket(subs[i:i+1], v)
			p.PacketID = 1
			err = legal(p, &packet.Subscribe{}, v)
		}
		if err != nil {
			return &Error{Op: "subscribe", Class: ErrNotSent, Err: err}
		}
	}
	return nil
}

// Unsubscribe removes subscriptions and waits for the answer. It returns one
// reason code per filter, which in 3.1.1 is always Success. The packet has the
// user properties of Options.UnsubscribeProperties.
func (c *Client) Unsubscribe(ctx context.Context, filters ...string) ([]packet.ReasonCode, error) {
	for _, f := range filters {
		if err := topic.ValidateFilter(f); err != nil {
			return nil, &Error{Op: "unsubscribe", Class: ErrNotSent, Err: err}
		}
	}
	codes, err := c.request(ctx, &ask{ends: filters})
	if err != nil {
		return nil, err
	}
	for len(codes) < len(filters) {
		codes = append(codes, packet.Success)
	}
	for i, code := range codes {
		if code.Failed() {
			return codes, &Error{Op: "unsubscribe", Class: ErrRefused, Reason: code, Text: filters[i]}
		}
	}
	return codes, nil
}

// request sends a SUBSCRIBE or UNSUBSCRIBE and waits for its answer, across
// lost and restored connections.
func (c *Client) request(ctx context.Context, a *ask) ([]packet.ReasonCode, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: a.op(), Class: ErrNotSent, Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.askLocked(a); err != nil {
		return nil, err
	}
	return c.awaitAskLocked(ctx, a)
}

// askLocked queues a SUBSCRIBE or UNSUBSCRIBE.
func (c *Client) askLocked(a *ask) error {
	if c.ended != nil || c.farewell.leaving || c.farewell.closing {
		return &Error{Op: a.op(), Class: ErrNotSent, Err: c.endedLocked()}
	}
	a.waiter = c.waiters.park()
	c.subs.queue(a)
	c.sendAsksLocked()
	return nil
}

// awaitAskLocked waits for the answer to a. It unlocks c.mu while it waits.
func (c *Client) awaitAskLocked(ctx context.Context, a *ask) ([]packet.ReasonCode, error) {
	answered, err := c.awaitAnswerLocked(ctx, a.waiter)
	codes := c.waiters.all[a.waiter].codes
	if !answered {
		class := ErrInDoubt
		if !a.sent && c.subs.take(a.serial) != nil { // it was not sent and will not be
			c.waiters.release(a.waiter)
			c.loosenLocked()
		}
		if !a.ever {
			class = ErrNotSent
		}
		err = &Error{Op: a.op(), Class: class, Err: err}
	}
	return codes, err
}

// subscribePacket returns the SUBSCRIBE for filters that share an identifier.
func subscribePacket(subs []Subscription, v packet.Version) *packet.Subscribe {
	p := &packet.Subscribe{}
	for _, s := range subs {
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: []byte(s.Filter), Options: s.options(v)})
	}
	if v >= packet.V5 {
		p.Properties = append(p.Properties, subs[0].Properties...)
		if id := subs[0].ID; id != 0 {
			p.Properties, _ = p.Properties.AppendUint(packet.SubscriptionIdentifier, id)
		}
	}
	return p
}

// subackLocked handles the answer to a SUBSCRIBE or UNSUBSCRIBE.
func (c *Client) subackLocked(ev *session.Event) {
	p := &ev.Suback
	a := c.subs.take(uint32(ev.Tag))
	if a == nil {
		return
	}
	if a.waiter == none {
		for i := range p.Codes {
			if p.Reason(i).Failed() {
				c.subs.failed = append(c.subs.failed, &Error{Op: "subscribe", Class: ErrRefused, Reason: p.Reason(i), Text: a.subs[i].Filter})
			}
		}
		c.sendAsksLocked()
		return
	}
	codes := make([]packet.ReasonCode, len(p.Codes))
	for j := range codes {
		codes[j] = p.Reason(j)
	}
	w := &c.waiters.all[a.waiter]
	w.codes = codes
	// Do this now, before anything else can happen to the connection.
	for j, sub := range a.subs {
		if j < len(codes) && !codes[j].Failed() && !w.abandoned {
			c.subs.remember(sub, a.serial)
		}
	}
	for j, filter := range a.ends {
		if j >= len(codes) || !codes[j].Failed() { // before 5.0 there are no codes
			c.subs.forget(filter)
		}
	}
	c.waiters.answer(a.waiter, nil)
	c.sendAsksLocked()
}
