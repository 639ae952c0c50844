package mqtt

import (
	"errors"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// ask is a SUBSCRIBE or UNSUBSCRIBE that is not answered yet. It belongs to a
// call, or it renews a subscription that the server has lost. It is sent on
// each connection until it is answered.
type ask struct {
	serial uint32 // of a renewal: the serial number of the SUBSCRIBE that it repeats
	subs   []Subscription
	ends   []string // filters of UNSUBSCRIBE, which has no subs
	waiter uint32   // none for a renewal
	sent   bool     // sent on this connection
	ever   bool     // sent on any connection
}

// renewable is a granted subscription with the serial number of the SUBSCRIBE
// that requested it. Subscriptions of one packet are renewed in one packet.
type renewable struct {
	Subscription
	serial uint32
}

// subscriptions holds the granted subscriptions and the unanswered requests.
// Client.mu must be held.
type subscriptions struct {
	granted []renewable
	asks    []*ask  // unanswered, in order
	serial  uint32  // serial number of the latest request
	failed  []error // refused renewals that are not reported yet
}

func (a *ask) op() string {
	if len(a.subs) > 0 {
		return "subscribe"
	}
	return "unsubscribe"
}

func (a *ask) subject() subject {
	if len(a.subs) > 0 {
		return subject{packet.SUBSCRIBE, a.serial}
	}
	return subject{packet.UNSUBSCRIBE, a.serial}
}

// filters returns the topic filters of a.
func (a *ask) filters() []string {
	if len(a.subs) == 0 {
		return a.ends
	}
	filters := make([]string, len(a.subs))
	for i := range a.subs {
		filters[i] = a.subs[i].Filter
	}
	return filters
}

// askTag marks the session tags of requests; the lower bits are the serial
// number.
const askTag = 1 << 62

// askMost is the maximum number of requests in flight.
const askMost = 1024

// queue appends the request of a call.
func (set *subscriptions) queue(a *ask) {
	set.serial++
	a.serial = set.serial
	set.asks = append(set.asks, a)
}

// take removes and returns the request with this serial number, or returns nil.
func (set *subscriptions) take(serial uint32) *ask {
	for i, a := range set.asks {
		if a.serial == serial {
			if i == 0 {
				set.asks = set.asks[1:]
			} else {
				set.asks = slices.Delete(set.asks, i, i+1)
			}
			return a
		}
	}
	return nil
}

// ask returns the request with this serial number, or nil.
func (set *subscriptions) ask(serial uint32) *ask {
	for _, a := range set.asks {
		if a.serial == serial {
			return a
		}
	}
	return nil
}

// sendAsksLocked sends the requests that may be sent now.
func (c *Client) sendAsksLocked() {
	if c.nc == nil || len(c.subs.asks) == 0 {
		return
	}
	_, onTheWay := c.conn.Oldest()
	asked := 0
	for _, a := range c.subs.asks {
		if a.sent {
			asked++
		}
	}
	if asked == len(c.subs.asks) {
		return
	}
	for i := 0; i < len(c.subs.asks) && asked < askMost; i++ {
		a := c.subs.asks[i]
		// A request that is known to end the connection is sent after all
		// others.
		if a.sent || !c.doubt.mayAsk(a.subject(), onTheWay+asked) || a.subject() == c.doubt.keptSuspect && len(c.subs.asks) > 1 {
			continue
		}
		err := c.sendAskLocked(a)
		switch {
		case err == nil:
			a.sent, a.ever = true, true
			asked++
		case errors.Is(err, session.ErrNotUp), errors.Is(err, session.ErrQuota):
			return
		case a.waiter == none && len(a.subs) > 1: // refused because of one of them, or because of their total size
			c.subs.split(i)
			i--
		default:
			c.subs.take(a.serial)
			i--
			failure := &Error{Op: a.op(), Class: ErrNotSent, Err: err}
			if a.waiter == none {
				failure.Text = a.subs[0].Filter
				c.subs.failed = append(c.subs.failed, failure)
			} else {
				c.waiters.answer(a.waiter, failure)
			}
		}
	}
}

func (c *Client) sendAskLocked(a *ask) error {
	tag := askTag | uint64(a.serial)
	if len(a.subs) > 0 {
		if c.conn.Version() < packet.V5 && !c.opt.DropProperties && slices.ContainsFunc(a.subs, func(s Subscription) bool { return s.needs5() }) {
			return ErrNeeds5
		}
		return c.conn.Subscribe(subscribePacket(a.subs, c.conn.Version()), tag)
	}
	p := &packet.Unsubscribe{}
	if c.conn.Version() >= packet.V5 {
		p.Properties = c.opt.UnsubscribeProperties
	}
	for _, f := range a.ends {
		p.Filters = append(p.Filters, []byte(f))
	}
	return c.conn.Unsubscribe(p, tag)
}

// split replaces renewal i by two, permanently.
func (set *subscriptions) split(i int) {
	a := set.asks[i]
	middle := len(a.subs) / 2
	set.serial++
	rest := &ask{serial: set.serial, subs: a.subs[middle:], waiter: none}
	a.subs = a.subs[:middle]
	for j := range set.granted {
		if set.granted[j].serial == a.serial && slices.ContainsFunc(rest.subs, func(s Subscription) bool { return s.Filter == set.granted[j].Filter }) {
			set.granted[j].serial = rest.serial
		}
	}
	set.asks = slices.Insert(set.asks, i+1, rest)
}

// unsendLocked handles the loss of the connection: unanswered requests are sent
// again, except those whose call has returned.
func (c *Client) unsendLocked() {
	c.subs.asks = slices.DeleteFunc(c.subs.asks, func(a *ask) bool {
		a.sent = false
		if a.waiter == none || !c.waiters.all[a.waiter].abandoned {
			return false
		}
		c.waiters.answer(a.waiter, ErrLost) // frees the waiter
		return true
	})
}

// endAsksLocked answers all requests when the client ends.
func (c *Client) endAsksLocked() {
	for _, a := range c.subs.asks {
		class := ErrNotSent
		if a.ever {
			class = ErrInDoubt
		}
		if a.waiter != none {
			c.waiters.answer(a.waiter, &Error{Op: a.op(), Class: class, Err: c.ended})
		}
	}
	c.subs.asks = nil
}

// remember stores a subscription for renewal.
func (set *subscriptions) remember(s Subscription, serial uint32) {
	for i := range set.granted {
		if set.granted[i].Filter == s.Filter {
			if set.granted[i].serial == serial {
				set.granted[i].Subscription = s
				return
			}
			set.granted = slices.Delete(set.granted, i, i+1)
			break
		}
	}
	set.granted = append(set.granted, renewable{s, serial})
}

// forget stops renewing a subscription.
func (set *subscriptions) forget(filter string) {
	set.granted = slices.DeleteFunc(set.granted, func(s renewable) bool { return s.Filter == filter })
}

// forgetPacket stops renewing the subscriptions of one SUBSCRIBE.
func (set *subscriptions) forgetPacket(serial uint32) {
	set.granted = slices.DeleteFunc(set.granted, func(s renewable) bool { return s.serial == serial })
}

// renew queues all subscriptions, as they were requested, for a server that has
// lost them. They come before the requests of calls.
func (set *subscriptions) renew() {
	var asks []*ask
	for start := 0; start < len(set.granted); {
		end := start + 1
		for end < len(set.granted) && set.granted[end].serial == set.granted[start].serial {
			end++
		}
		a := &ask{serial: set.granted[start].serial, waiter: none, subs: make([]Subscription, 0, end-start)}
		for _, s := range set.granted[start:end] {
			a.subs = append(a.subs, s.Subscription)
		}
		asks = append(asks, a)
		start = end
	}
	for _, a := range set.asks {
		if a.waiter != none {
			asks = append(asks, a)
		}
	}
	set.asks = asks
}

// appendFailed appends an event for each failed renewal.
func (set *subscriptions) appendFailed(events []Event) []Event {
	for _, err := range set.failed {
		events = append(events, Event{Kind: EventRenewalRefused, Err: err})
	}
	set.failed = set.failed[:0]
	return events
}
