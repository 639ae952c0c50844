package mqtt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// Subscription is one topic filter and how it is to be served.
type Subscription struct {
	Filter string
	QoS    packet.QoS
	// Options holds NoLocal, RetainAsPublished and the retain handling of
	// MQTT 5.0; its QoS bits are ignored.
	Options packet.SubscribeOptions
	// ID is a subscription identifier, 0 for none. MQTT 5.0.
	ID uint32
	// Properties are the user properties of the SUBSCRIBE. MQTT 5.0.
	Properties packet.Properties
}

// together tells whether one SUBSCRIBE can hold both.
func (s *Subscription) together(o *Subscription) bool {
	return s.ID == o.ID && bytes.Equal(s.Properties, o.Properties)
}

var errSharedNoLocal = errors.New("a shared subscription has no 'no local' [MQTT-3.8.3-4]")

// Subscribe subscribes to all filters in one packet per subscription
// identifier and waits for the answers: one reason code per filter, in order.
// If the server refused any of them, the error is an *Error with the first
// failing code. Granted filters are subscribed again whenever the server has
// lost the session.
func (c *Client) Subscribe(ctx context.Context, subs ...Subscription) ([]packet.ReasonCode, error) {
	for _, s := range subs {
		err := topic.ValidateFilter(s.Filter)
		if _, _, shared := topic.ParseShare(s.Filter); shared && s.Options&packet.NoLocal != 0 && c.Version() >= packet.V5 {
			err = errSharedNoLocal
		}
		if err == nil && s.QoS > 2 {
			err = packet.ErrQoS
		}
		if err != nil {
			return nil, &Error{Op: "subscribe", Class: ErrNotSent, Err: err}
		}
	}
	var all []packet.ReasonCode
	var refused error
	for start := 0; start < len(subs); {
		end := start + 1
		for end < len(subs) && subs[end].together(&subs[start]) {
			end++
		}
		part := subs[start:end]
		codes, err := c.request(ctx, "subscribe", waiter{subs: part}, func(tag uint64) error {
			return c.conn.Subscribe(subscribePacket(part, c.conn.Version()), tag)
		})
		if err != nil {
			return all, err
		}
		for i, code := range codes {
			if code.Failed() && refused == nil {
				refused = &Error{Op: "subscribe", Class: ErrRefused, Reason: code, Text: part[i].Filter}
			}
		}
		all = append(all, codes...)
		start = end
	}
	return all, refused
}

// Unsubscribe ends subscriptions and waits for the answer: one reason code
// per filter, in 3.1.1 always Success.
func (c *Client) Unsubscribe(ctx context.Context, filters ...string) ([]packet.ReasonCode, error) {
	return c.UnsubscribeWith(ctx, nil, filters...)
}

// UnsubscribeWith is Unsubscribe with user properties, which versions before
// 5.0 do not get.
func (c *Client) UnsubscribeWith(ctx context.Context, props packet.Properties, filters ...string) ([]packet.ReasonCode, error) {
	p := &packet.Unsubscribe{}
	if c.Version() >= packet.V5 {
		p.Properties = props
	}
	for _, f := range filters {
		if err := topic.ValidateFilter(f); err != nil {
			return nil, &Error{Op: "unsubscribe", Class: ErrNotSent, Err: err}
		}
		p.Filters = append(p.Filters, []byte(f))
	}
	codes, err := c.request(ctx, "unsubscribe", waiter{ends: filters}, func(tag uint64) error { return c.conn.Unsubscribe(p, tag) })
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

// request sends a SUBSCRIBE or UNSUBSCRIBE and waits for its answer; if the
// connection is lost in between and will be restored, it sends it again. The
// answer changes what is renewed as w says.
func (c *Client) request(ctx context.Context, op string, w waiter, send func(tag uint64) error) ([]packet.ReasonCode, error) {
	for {
		c.mu.Lock()
		if c.ended != nil || c.leaving || c.closing {
			err := c.endedLocked()
			c.mu.Unlock()
			return nil, &Error{Op: op, Class: ErrNotSent, Err: err}
		}
		me := c.park()
		c.waiters[me].subs, c.waiters[me].ends = w.subs, w.ends
		err := send(syncTag | uint64(me))
		if errors.Is(err, session.ErrNotUp) && c.opt.Reconnect != nil {
			c.roomers = append(c.roomers, me) // until the connection is back
		} else if err != nil {
			c.freeLocked(me)
			c.mu.Unlock()
			return nil, &Error{Op: op, Class: ErrNotSent, Err: err}
		}
		sent := err == nil
		answered, err := c.awaitAnswer(ctx, me)
		codes := c.waiters[me].codes
		c.mu.Unlock()
		if !answered && !sent {
			return nil, &Error{Op: op, Class: ErrNotSent, Err: err}
		}
		if !answered {
			return nil, &Error{Op: op, Class: ErrInDoubt, Err: err}
		}
		if err == nil && sent {
			return codes, nil
		}
		if err != nil && !errors.Is(err, ErrLost) {
			return nil, &Error{Op: op, Class: ErrInDoubt, Err: err}
		}
		if c.opt.Reconnect == nil {
			c.mu.Lock()
			if c.ended != nil {
				err = c.ended
			}
			c.mu.Unlock()
			return nil, &Error{Op: op, Class: ErrInDoubt, Err: err}
		}
	}
}

// subscribePacket is SUBSCRIBE for filters that share an identifier.
func subscribePacket(subs []Subscription, v packet.Version) *packet.Subscribe {
	p := &packet.Subscribe{}
	for _, s := range subs {
		o := packet.SubscribeOptions(s.QoS)
		if v >= packet.V5 {
			o |= s.Options &^ 3
		}
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: []byte(s.Filter), Options: o})
	}
	if v >= packet.V5 {
		p.Properties = append(p.Properties, subs[0].Properties...)
		if id := subs[0].ID; id != 0 {
			p.Properties, _ = p.Properties.AppendUint(packet.SubscriptionIdentifier, id)
		}
	}
	return p
}

// remember keeps a subscription for renewal. Called with mu.
func (c *Client) remember(s Subscription) {
	for i := range c.subs {
		if c.subs[i].Filter == s.Filter {
			c.subs[i] = s
			return
		}
	}
	c.subs = append(c.subs, s)
}

// renewTag marks the SUBSCRIBE packets of resubscribe; the lower bits are the
// index of the first of their filters in c.subs.
const renewTag = 1 << 62

// resubscribe sends all subscriptions again. Called with mu.
func (c *Client) resubscribe() {
	const most = 256 // filters per packet
	for start := 0; start < len(c.subs); {
		end := start + 1
		for end < len(c.subs) && c.subs[end].together(&c.subs[start]) && end-start < most {
			end++
		}
		c.renew(start, end)
		start = end
	}
}

// renew subscribes to c.subs[start:end] in one packet, or in several where
// the server takes no such packet any more. Called with mu.
func (c *Client) renew(start, end int) {
	err := c.conn.Subscribe(subscribePacket(c.subs[start:end], c.conn.Version()), renewTag|uint64(start))
	switch {
	case err != nil && end-start > 1: // for one of them, or for their size
		middle := (start + end) / 2
		c.renew(start, middle)
		c.renew(middle, end)
	case err != nil:
		c.renewals = append(c.renewals, &Error{Op: "subscribe", Class: ErrNotSent, Err: err, Text: c.subs[start].Filter})
	}
}

// tellRenewals appends the renewals that have failed. Called with mu.
func (c *Client) tellRenewals(events []Event) []Event {
	for _, err := range c.renewals {
		events = append(events, Event{Kind: EventSubscribed, Err: err})
	}
	c.renewals = c.renewals[:0]
	return events
}

// suback takes the answer to a SUBSCRIBE or UNSUBSCRIBE. Called with mu.
func (c *Client) suback(ev *session.Event) {
	p := &ev.Suback
	if ev.Tag&syncTag == 0 {
		for i := range p.Codes {
			if at := int(ev.Tag&^renewTag) + i; p.Reason(i).Failed() && at < len(c.subs) {
				c.renewals = append(c.renewals, &Error{Op: "subscribe", Class: ErrRefused, Reason: p.Reason(i), Text: c.subs[at].Filter})
			}
		}
		return
	}
	i := uint32(ev.Tag)
	codes := make([]packet.ReasonCode, len(p.Codes))
	for j := range codes {
		codes[j] = p.Reason(j)
	}
	w := &c.waiters[i]
	w.codes = codes
	// Here, before anything else can happen to the connection.
	for j, sub := range w.subs {
		if j < len(codes) && !codes[j].Failed() && !w.left {
			c.remember(sub)
		}
	}
	for j, filter := range w.ends {
		if j >= len(codes) || !codes[j].Failed() { // before 5.0 there are no codes
			c.subs = slices.DeleteFunc(c.subs, func(s Subscription) bool { return s.Filter == filter })
		}
	}
	c.answer(i, nil)
}
