package mqtt

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// servers is where a client connects to, and how. Only the goroutine that
// connects uses it, except for used, which Client.mu guards.
type servers struct {
	list     []*transport.Target // in order of preference
	answered int                 // index in list of the server that answered last
	referred []*transport.Target // servers that the last one referred to, which are tried first
	dial     func(context.Context, *transport.Target) (net.Conn, error)
	used     *transport.Target // server of the latest attempt
}

// maxReferences is how many server references are followed in a row before the
// client returns to its own list.
const maxReferences = 5

// read fills in the servers of url and the options, and the way to them.
func (s *servers) read(url string, o *Options) error {
	urls := o.Servers
	if url != "" {
		urls = append([]string{url}, urls...)
	}
	for _, u := range urls {
		t, err := transport.ParseURL(u)
		if err != nil {
			return err
		}
		s.list = append(s.list, t)
	}
	s.list = append(s.list, o.Targets...)
	switch {
	case len(s.list) == 0:
		return errNoServer
	case o.Dial != nil && o.TLS != nil:
		return errTwoWays
	case o.TLS != nil && !slices.ContainsFunc(s.list, func(t *transport.Target) bool { return t.TLS }):
		return errNoTLS
	}
	if s.dial = o.Dial; s.dial == nil {
		s.dial = (&transport.Dialer{Config: o.TLS}).Dial
	}
	return nil
}

var (
	errNoServer = errors.New("no server is given: pass a URL, such as mqtt://localhost")
	errNoTLS    = errors.New("Options.TLS has no effect: no URL is mqtts or wss")
	errTwoWays  = errors.New("Options.TLS has no effect with Options.Dial: set transport.Dialer.Config instead")
)

// order returns the servers to try: those that the last one referred to, else
// all of the list, beginning with the one that answered last.
func (s *servers) order() []*transport.Target {
	if len(s.referred) > 0 {
		return s.referred
	}
	return append(slices.Clone(s.list[s.answered:]), s.list[:s.answered]...)
}

// accepted records that t has accepted a connection. References to other
// servers hold only until then.
func (s *servers) accepted(t *transport.Target) {
	s.referred = nil
	if n := slices.Index(s.list, t); n >= 0 {
		s.answered = n
	}
}

// refers returns the refusal by which a server refers to others, if the client
// follows references.
func (c *Client) refers(err error) (e *Error, yes bool) {
	yes = c.opt.FollowReferences && errors.As(err, &e) && e.Ref != "" && (e.Reason == packet.UseAnotherServer || e.Reason == packet.ServerMoved)
	return e, yes
}

// refer takes over the server reference of an error, if it has one: a server
// that has moved is replaced in the list, others stay there. It reports whether
// there are servers to try at once.
func (c *Client) refer(err error) bool {
	s := &c.servers
	from := s.used
	e, yes := c.refers(err)
	if !yes {
		return false
	}
	to := references(e.Ref, from)
	if len(to) == 0 {
		return false
	}
	s.referred = to
	if n := slices.Index(s.list, from); n >= 0 && e.Reason == packet.ServerMoved {
		s.list = slices.Concat(s.list[:n], to, s.list[n+1:])
		s.answered = n
	}
	return true
}

// references parses a server reference (section 4.11): names with an optional
// port, or URLs, separated by blanks. What a reference leaves open is taken from
// the server that sent it. It may not lead from TLS to an open connection, and
// what is not an address is ignored.
func references(ref string, from *transport.Target) (to []*transport.Target) {
	for _, word := range strings.Fields(ref) {
		if !transport.IsURL(word) {
			word = "mqtt://" + bracketed(word)
		} else if t, err := transport.ParseURL(word); err == nil && (t.TLS || !from.TLS) {
			if !t.HasUsername && !t.HasPassword {
				t.Username, t.HasUsername, t.Password, t.HasPassword = from.Username, from.HasUsername, from.Password, from.HasPassword
			}
			to = append(to, t)
			continue
		} else {
			continue
		}
		t, err := transport.ParseURL(word)
		if err != nil || t.Topic != "" {
			continue
		}
		one := *from
		one.Network, one.SRV, one.Path, one.Host = "tcp", false, "", t.Host
		if one.Port = t.Port; !hasPort(word) {
			one.Port = one.DefaultPort()
		}
		to = append(to, &one)
	}
	return to
}

// hasPort reports whether a URL without user and path has a port.
func hasPort(url string) bool {
	return strings.LastIndexByte(url, ':') > max(strings.LastIndexByte(url, ']'), len("mqtt:")-1)
}

// bracketed adds the brackets that a bare IPv6 address lacks.
func bracketed(s string) string {
	if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
		return "[" + s + "]"
	}
	return s
}

// open opens the byte stream to the server of this attempt.
func (c *Client) open(ctx context.Context) (net.Conn, error) {
	nc, err := c.servers.dial(ctx, c.servers.used)
	if err == nil && nc == nil {
		err = errors.New("Options.Dial returned neither a connection nor an error")
	}
	return nc, err
}

// establish makes one connection to one of the servers, and starts the session
// on it. It tries each server once: the next one follows if a server was not
// reached, or refused the connection for a reason that may pass.
func (c *Client) establish(ctx context.Context, first bool) error {
	s := &c.servers
	for followed := 0; ; followed++ {
		err := c.tryAll(ctx, s.order(), first)
		if err == nil {
			s.accepted(s.used)
			return nil
		}
		wasReferred := len(s.referred) > 0
		s.referred = nil
		if ctx.Err() == nil && followed < maxReferences && c.refer(err) {
			c.event(Event{Kind: EventReferred, Err: err})
			continue
		}
		if !wasReferred || ctx.Err() != nil || followed >= maxReferences {
			return err
		}
		c.event(Event{Kind: EventFailover, Err: err}) // no server of the reference answers: return to the list
	}
}

// tryAll tries servers in turn until one accepts. If none does, it returns an
// error that may pass if there is one. The others have been reported.
func (c *Client) tryAll(ctx context.Context, servers []*transport.Target, first bool) error {
	var passing error
	for n, t := range servers {
		c.mu.Lock()
		c.servers.used = t
		c.mu.Unlock()
		err := c.reach(ctx, first)
		unreached := errors.Is(err, ErrUnreached)
		_, refers := c.refers(err)
		switch {
		case err == nil, ctx.Err() != nil, !unreached && Permanent(err), refers:
			return err
		case !Permanent(err):
			passing = err
		}
		last := n == len(servers)-1
		if last && (passing == nil || passing == err) {
			return err
		}
		c.event(Event{Kind: EventFailover, Err: err})
	}
	return passing
}

// firstConnection is the first call of establish, and those that
// Options.RetryFirst adds.
func (c *Client) firstConnection(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := c.establish(ctx, true)
		if err == nil || c.opt.RetryFirst == nil || ctx.Err() != nil {
			return err
		}
		wait, ok := c.opt.RetryFirst(attempt, err)
		if !ok {
			return err
		}
		c.event(Event{Kind: EventRetry, Err: err, Wait: wait})
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return &Error{Op: "connect", Class: ErrNotSent, Err: context.Cause(ctx)}
		}
		c.renewPassword(ctx)
	}
}

// renewPassword asks for the password of the next attempt.
func (c *Client) renewPassword(ctx context.Context) {
	if c.opt.NewPassword == nil {
		return
	}
	if password, err := c.opt.NewPassword(ctx); err == nil {
		c.opt.Password = password
	}
}

// Server returns the address of the latest connection or attempt to connect,
// one of those given to Connect or one that a server has referred to.
func (c *Client) Server() *transport.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.servers.used
}
