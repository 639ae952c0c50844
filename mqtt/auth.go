package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// authentication is the enhanced authentication of the connection. Guarded by Client.mu.
type authentication struct {
	method   string    // "" without
	exchange *exchange // re-authentication under way on this connection
	judged   bool      // the latest connection ended while there was one
}

// lost takes the end of the connection, and returns the exchange that was under way.
func (a *authentication) lost() *exchange {
	x := a.exchange
	a.exchange, a.judged = nil, x != nil
	return x
}

// unproven marks errors of an Authenticator.
type unproven struct{ error }

func (u unproven) Unwrap() error        { return u.error }
func (u unproven) Is(target error) bool { return target == ErrAuthentication }

// startAuth puts method and data into CONNECT; nil is no enhanced
// authentication.
func (c *Client) startAuth(ctx context.Context, p *packet.Connect) (Authenticator, error) {
	if c.opt.Authenticate == nil {
		return nil, nil
	}
	if p.Version < packet.V5 {
		return nil, errors.New("enhanced authentication needs MQTT 5.0")
	}
	a, data, err := c.newAuth(ctx)
	if err != nil {
		return nil, err
	}
	p.Properties, err = appendAuth(p.Properties, a, data)
	return a, err
}

// newAuth begins one authentication.
func (c *Client) newAuth(ctx context.Context) (Authenticator, []byte, error) {
	a, err := c.opt.Authenticate(ctx)
	if err != nil {
		return nil, nil, unproven{err}
	}
	data, err := a.Start()
	if err != nil {
		return nil, nil, unproven{err}
	}
	return a, data, nil
}

// continueAuth answers an AUTH before CONNACK.
func (c *Client) continueAuth(nc net.Conn, v packet.Version, a Authenticator, p *packet.Auth) error {
	if a == nil {
		return strayAuth("MQTT-4.12.0-6", "there was no authentication method in CONNECT")
	}
	if err := checkMethod(packet.AUTH, p.Properties, a.Method()); err != nil {
		return err
	}
	if p.Reason != packet.ContinueAuthentication {
		return strayAuth("MQTT-4.12.0-2", "it does not continue the authentication")
	}
	data, _ := p.Properties.Bytes(packet.AuthenticationData)
	auth, err := answerAuth(a, data)
	if err != nil {
		return err
	}
	c.mu.Lock()
	err = c.conn.Auth(auth)
	out := c.conn.Swap(nil, c.now())
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if c.opt.Trace != nil {
		c.traceOut(out, v)
	}
	_, err = nc.Write(out)
	return err
}

// answerAuth is the AUTH that answers one with data (MQTT-4.12.0-3).
func answerAuth(a Authenticator, data []byte) (*packet.Auth, error) {
	answer, err := a.Continue(data)
	if err != nil {
		return nil, unproven{err}
	}
	p := &packet.Auth{Reason: packet.ContinueAuthentication}
	p.Properties, err = appendAuth(nil, a, answer)
	return p, err
}

// finishAuth judges a successful CONNACK. One without a method, against
// MQTT-4.12.0-5, is no danger: the data must prove what they prove.
func finishAuth(a Authenticator, p packet.Properties) error {
	if a == nil {
		return nil
	}
	if _, has := p.Bytes(packet.AuthenticationMethod); has {
		if err := checkMethod(packet.CONNACK, p, a.Method()); err != nil {
			return err
		}
	}
	data, _ := p.Bytes(packet.AuthenticationData)
	if err := a.Finish(data); err != nil {
		return unproven{err}
	}
	return nil
}

func appendAuth(p packet.Properties, a Authenticator, data []byte) (packet.Properties, error) {
	if _, has := p.Bytes(packet.AuthenticationMethod); has {
		return p, errors.New("two authentication methods, of Authenticate and of Properties")
	}
	p, err := p.AppendBytes(packet.AuthenticationMethod, []byte(a.Method()))
	if err == nil && data != nil {
		p, err = p.AppendBytes(packet.AuthenticationData, data)
	}
	return p, err
}

// checkMethod wants the method of CONNECT in a packet of the server's.
func checkMethod(t packet.Type, p packet.Properties, want string) error {
	if method := p.Text(packet.AuthenticationMethod); method != want {
		return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: "MQTT-4.12.0-5",
			Text: fmt.Sprintf("the authentication method is %q, in CONNECT it was %q", method, want), Offset: -1}
	}
	return nil
}

func strayAuth(rule, text string) error {
	return &packet.Error{Type: packet.AUTH, Reason: packet.ProtocolError, Rule: rule, Text: text, Offset: -1}
}

// exchange is a re-authentication under way. The reader hands over what the
// server says; the calling goroutine does the rest, so that an Authenticator
// that takes its time holds up no message.
type exchange struct {
	stop  context.CancelCauseFunc // tells the caller that the connection is over
	asked bool                    // the server has the word; guarded by mu
	said  chan said               // 1 slot
}

// said is an AUTH of the server's.
type said struct {
	done bool // with reason success
	data []byte
}

// Reauthenticate proves again who the client is on the connection there is
// (section 4.12.1), by a fresh Authenticator of Options.Authenticate, and
// waits for the server's answer; messages flow meanwhile. While it waits, the
// reader reads ahead of the application, as for Publish.
//
// The error is ErrNotSent when nothing was sent and the connection is as it
// was: without Options.Authenticate or a connection, while another
// re-authentication is under way, when Authenticate or Start fails
// (ErrAuthentication), or when ctx has ended. After that a re-authentication
// that does not succeed ends the connection (MQTT-4.12.1-2), which
// Options.Reconnect then restores or not: the error is ErrRefused with the
// reason code and text of the server's DISCONNECT, or ErrInDoubt with the
// cause, which matches ErrLost, ErrClosed, ErrAuthentication for what the
// Authenticator did not accept, or ctx's error: a server that does not answer
// before ctx ends has failed.
func (c *Client) Reauthenticate(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	x := &exchange{stop: stop, said: make(chan said, 1)}
	if err := c.beginExchange(x); err != nil {
		return &Error{Op: "reauthenticate", Class: ErrNotSent, Err: err}
	}
	defer c.endExchange(x)
	a, err := c.askAgain(ctx, x)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = causeOf(cause)
		}
		return &Error{Op: "reauthenticate", Class: ErrNotSent, Err: err}
	}
	for {
		var p said
		select {
		case p = <-x.said:
		case <-ctx.Done():
			select {
			case p = <-x.said: // before the end
			default:
				return c.failExchange(x, context.Cause(ctx))
			}
		}
		if p.done {
			if err := a.Finish(p.data); err != nil {
				return c.failExchange(x, unproven{err})
			}
			return nil
		}
		auth, err := answerAuth(a, p.data)
		if err == nil {
			err = c.sayAuth(x, auth)
		}
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return c.failExchange(x, err)
		}
	}
}

// beginExchange makes x the one exchange of the connection.
func (c *Client) beginExchange(x *exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil || c.farewell.closing:
		return c.endedLocked()
	case c.opt.Authenticate == nil && c.agreed.version < packet.V5:
		return fmt.Errorf("re-authentication needs MQTT 5.0, and the connection speaks %v", c.agreed.version)
	case c.opt.Authenticate == nil:
		return errors.New("the connection was not made by enhanced authentication [MQTT-4.12.0-7]")
	case c.nc == nil || !c.conn.Up():
		return ErrLost // the next connection brings an authentication of its own
	case c.auth.exchange != nil:
		return errors.New("a re-authentication is under way")
	}
	c.auth.exchange = x
	c.waiters.onReader++
	return nil
}

func (c *Client) endExchange(x *exchange) {
	c.mu.Lock()
	c.waiters.onReader--
	if c.auth.exchange == x {
		c.auth.exchange = nil
	}
	c.mu.Unlock()
}

// askAgain begins an authentication and sends its first AUTH.
func (c *Client) askAgain(ctx context.Context, x *exchange) (Authenticator, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, data, err := c.newAuth(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	method := c.auth.method
	c.mu.Unlock()
	if a.Method() != method {
		return nil, fmt.Errorf("the authentication method is %q, and the connection was made by %q [MQTT-4.12.1-1]", a.Method(), method)
	}
	p := &packet.Auth{Reason: packet.ReAuthenticate}
	if p.Properties, err = appendAuth(nil, a, data); err != nil {
		return nil, err
	}
	return a, c.sayAuth(x, p)
}

// sayAuth sends an AUTH and gives the server the word.
func (c *Client) sayAuth(x *exchange, p *packet.Auth) error {
	c.mu.Lock()
	if c.auth.exchange != x || c.farewell.closing {
		err := ErrLost
		if c.farewell.closing {
			err = ErrClosed
		}
		c.mu.Unlock()
		return err
	}
	if err := c.conn.Auth(p); err != nil {
		c.mu.Unlock()
		return err
	}
	x.asked = true
	c.inbox.letReader()
	c.flushInlineLocked() // unlocks
	return nil
}

// hearAuthLocked takes an AUTH of the server's.
func (c *Client) hearAuthLocked(p *packet.Auth) error {
	x := c.auth.exchange
	switch {
	case c.auth.method == "":
		return strayAuth("MQTT-4.12.0-6", "there was no authentication method in CONNECT")
	case x == nil || !x.asked:
		return strayAuth("MQTT-4.12.1", "it answers nothing")
	case p.Reason == packet.ReAuthenticate:
		return strayAuth("MQTT-3.15.2-1", "only a client asks for re-authentication")
	}
	// The shortest form, which the format has although it cannot name the
	// method, says "success" without data.
	if p.Reason != packet.Success || len(p.Properties) > 0 {
		if err := checkMethod(packet.AUTH, p.Properties, c.auth.method); err != nil {
			return err
		}
	}
	x.asked = false
	data, _ := p.Properties.Bytes(packet.AuthenticationData)
	x.said <- said{p.Reason == packet.Success, bytes.Clone(data)} // the slot is free: the server had the word
	return nil
}

// failExchange ends the connection of a re-authentication that has failed,
// unless that is over already, and words the error.
func (c *Client) failExchange(x *exchange, err error) error {
	c.mu.Lock()
	if c.auth.exchange != x || c.farewell.closing {
		c.mu.Unlock()
		var end *Error
		if errors.As(err, &end) && end.Reason.Failed() {
			return &Error{Op: "reauthenticate", Class: ErrRefused, Reason: end.Reason, Text: end.Text, Ref: end.Ref}
		}
		return &Error{Op: "reauthenticate", Class: ErrInDoubt, Err: causeOf(err)}
	}
	c.conn.Fail(err)
	if c.fail == nil {
		c.fail = &Error{Op: "connection", Class: ErrInDoubt, Err: fmt.Errorf("re-authentication: %w", err)}
	}
	gen, nc := c.gen, c.nc
	c.mu.Unlock()
	c.lastWords(gen, nc, true)
	c.breakConn(gen, err)
	return &Error{Op: "reauthenticate", Class: ErrInDoubt, Err: err}
}

// expiries is how many connections in a row may end for want of a fresh
// authentication, each soon after it was made.
const expiries = 3

// mayHaveExpired marks the end of a connection that a fresh authentication may
// restore: "not authorized", which a server says when a token has expired. It
// is not one when the authentication was being renewed, for then that was
// refused.
func (c *Client) mayHaveExpired(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := err.(*Error)
	if !ok || e.Op != "connection" || e.Reason != packet.NotAuthorized || c.auth.method == "" || c.auth.judged || c.early > expiries {
		return err
	}
	marked := *e
	marked.Err = ErrExpired
	return &marked
}
