package mqtt

import (
	"errors"
	"slices"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// ask is a SUBSCRIBE or UNSUBSCRIBE without an answer: of a call, or the renewal of
// a subscription that the server has lost. It is sent on each connection until it is
// answered.
type ask struct {
	serial uint32 // of a renewal that of the SUBSCRIBE that it repeats
	subs   []Subscription
	ends   []string          // of UNSUBSCRIBE, which has no subs
	props  packet.Properties // of UNSUBSCRIBE
	waiter uint32            // none of a renewal
	sent   bool              // on this connection
	ever   bool              // on any
}

// renewable is a granted subscription, and the serial number of the SUBSCRIBE that
// asked for it: what came in one packet is renewed in one.
type renewable struct {
	Subscription
	serial uint32
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

// filters are its topic filters.
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

// askTag marks the session's tags of requests; the lower bits are the serial number.
const askTag = 1 << 62

// askMost is how many requests are on the way at once.
const askMost = 1024

// queueAsk adds a request of a call. Called with mu.
func (c *Client) queueAsk(a *ask) {
	c.askSerial++
	a.serial = c.askSerial
	c.asks = append(c.asks, a)
}

// takeAsk takes a request off the list, if it is on it. Called with mu.
func (c *Client) takeAsk(serial uint32) *ask {
	for i, a := range c.asks {
		if a.serial == serial {
			if i == 0 {
				c.asks = c.asks[1:]
			} else {
				c.asks = slices.Delete(c.asks, i, i+1)
			}
			return a
		}
	}
	return nil
}

// askOf returns a request on the list, or nil. Called with mu.
func (c *Client) askOf(serial uint32) *ask {
	for _, a := range c.asks {
		if a.serial == serial {
			return a
		}
	}
	return nil
}

// sendAsksLocked sends the requests that may leave now.
func (c *Client) sendAsksLocked() {
	if c.nc == nil || len(c.asks) == 0 {
		return
	}
	_, onTheWay := c.conn.Oldest()
	asked := 0
	for _, a := range c.asks {
		if a.sent {
			asked++
		}
	}
	if asked == len(c.asks) {
		return
	}
	for i := 0; i < len(c.asks) && asked < askMost; i++ {
		a := c.asks[i]
		// What ends the connection goes last.
		if a.sent || !c.doubt.mayAsk(a.subject(), onTheWay+asked) || a.subject() == c.doubt.told && len(c.asks) > 1 {
			continue
		}
		err := c.sendAskLocked(a)
		switch {
		case err == nil:
			a.sent, a.ever = true, true
			asked++
		case errors.Is(err, session.ErrNotUp), errors.Is(err, session.ErrQuota):
			return
		case a.waiter == none && len(a.subs) > 1: // for one of them, or for their size
			c.splitAsk(i)
			i--
		default:
			c.takeAsk(a.serial)
			i--
			failure := &Error{Op: a.op(), Class: ErrNotSent, Err: err}
			if a.waiter == none {
				failure.Text = a.subs[0].Filter
				c.renewals = append(c.renewals, failure)
			} else {
				c.waiters.answer(a.waiter, failure)
			}
		}
	}
}

func (c *Client) sendAskLocked(a *ask) error {
	tag := askTag | uint64(a.serial)
	if len(a.subs) > 0 {
		return c.conn.Subscribe(subscribePacket(a.subs, c.conn.Version()), tag)
	}
	p := &packet.Unsubscribe{}
	if c.conn.Version() >= packet.V5 {
		p.Properties = a.props
	}
	for _, f := range a.ends {
		p.Filters = append(p.Filters, []byte(f))
	}
	return c.conn.Unsubscribe(p, tag)
}

// splitAsk makes two renewals of one, for good. Called with mu.
func (c *Client) splitAsk(i int) {
	a := c.asks[i]
	middle := len(a.subs) / 2
	c.askSerial++
	rest := &ask{serial: c.askSerial, subs: a.subs[middle:], waiter: none}
	a.subs = a.subs[:middle]
	for j := range c.subs {
		if c.subs[j].serial == a.serial && slices.ContainsFunc(rest.subs, func(s Subscription) bool { return s.Filter == c.subs[j].Filter }) {
			c.subs[j].serial = rest.serial
		}
	}
	c.asks = slices.Insert(c.asks, i+1, rest)
}

// unsendLocked takes the loss of the connection: what had no answer will be sent again,
// but for calls that have left.
func (c *Client) unsendLocked() {
	c.asks = slices.DeleteFunc(c.asks, func(a *ask) bool {
		a.sent = false
		if a.waiter == none || !c.waiters.all[a.waiter].left {
			return false
		}
		c.waiters.answer(a.waiter, ErrLost) // frees it
		return true
	})
}

// endAsksLocked answers all requests when the client is over.
func (c *Client) endAsksLocked() {
	for _, a := range c.asks {
		class := ErrNotSent
		if a.ever {
			class = ErrInDoubt
		}
		if a.waiter != none {
			c.waiters.answer(a.waiter, &Error{Op: a.op(), Class: class, Err: c.ended})
		}
	}
	c.asks = nil
}

// remember keeps a subscription for renewal. Called with mu.
func (c *Client) remember(s Subscription, serial uint32) {
	for i := range c.subs {
		if c.subs[i].Filter == s.Filter {
			if c.subs[i].serial == serial {
				c.subs[i].Subscription = s
				return
			}
			c.subs = slices.Delete(c.subs, i, i+1)
			break
		}
	}
	c.subs = append(c.subs, renewable{s, serial})
}

// forget ends the renewal of a subscription. Called with mu.
func (c *Client) forget(filter string) {
	c.subs = slices.DeleteFunc(c.subs, func(s renewable) bool { return s.Filter == filter })
}

// forgetPacket ends the renewal of what a SUBSCRIBE asked for. Called with mu.
func (c *Client) forgetPacket(serial uint32) {
	c.subs = slices.DeleteFunc(c.subs, func(s renewable) bool { return s.serial == serial })
}

// resubscribe queues all subscriptions for a server that has none, as they were
// asked for, before the requests of calls. Called with mu.
func (c *Client) resubscribe() {
	var asks []*ask
	for start := 0; start < len(c.subs); {
		end := start + 1
		for end < len(c.subs) && c.subs[end].serial == c.subs[start].serial {
			end++
		}
		a := &ask{serial: c.subs[start].serial, waiter: none, subs: make([]Subscription, 0, end-start)}
		for _, s := range c.subs[start:end] {
			a.subs = append(a.subs, s.Subscription)
		}
		asks = append(asks, a)
		start = end
	}
	for _, a := range c.asks {
		if a.waiter != none {
			asks = append(asks, a)
		}
	}
	c.asks = asks
}
