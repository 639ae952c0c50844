package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// authentication is the enhanced authentication of the connection. Client.mu
// must be held.
type authentication struct {
	method      string    // "" if there is none
	exchange    *exchange // the re-authentication in progress on this connection
	interrupted bool      // the latest connection ended during a re-authentication
}

// lost handles the end of the connection, and returns the exchange that was in
// progress.
func (a *authentication) lost() *exchange {
	x := a.exchange
	a.exchange, a.interrupted = nil, x != nil
	return x
}

// unproven marks errors of an Authenticator.
type unproven struct{ error }

func (u unproven) Unwrap() error        { return u.error }
func (u unproven) Is(target error) bool { return target == ErrAuthentication }

// startAuth adds authentication method and data to CONNECT. It returns nil
// without enhanced authentication.
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

// newAuth starts one authentication.
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

// continueAuth answers an AUTH that came before CONNACK.
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

// answerAuth returns the AUTH that answers an AUTH with this data
// (MQTT-4.12.0-3).
func answerAuth(a Authenticator, data []byte) (*packet.Auth, error) {
	answer, err := a.Continue(data)
	if err != nil {
		return nil, unproven{err}
	}
	p := &packet.Auth{Reason: packet.ContinueAuthentication}
	p.Properties, err = appendAuth(nil, a, answer)
	return p, err
}

// finishAuth checks the authentication data of a successful CONNACK. A CONNACK
// without a method, which violates MQTT-4.12.0-5, is harmless: its data must
// still pass Finish.
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
		return p, errors.New("authentication method set in both Authenticate and Properties")
	}
	p, err := p.AppendBytes(packet.AuthenticationMethod, []byte(a.Method()))
	if err == nil && data != nil {
		p, err = p.AppendBytes(packet.AuthenticationData, data)
	}
	return p, err
}

// checkMethod checks that a packet from the server has the method of CONNECT.
func checkMethod(t packet.Type, p packet.Properties, want string) error {
	if method := p.Text(packet.AuthenticationMethod); method != want {
		return &packet.Error{Type: t, Reason: packet.ProtocolError, Rule: "MQTT-4.12.0-5",
			Text: fmt.Sprintf("authentication method %q, but CONNECT has %q", method, want), Offset: -1}
	}
	return nil
}

func strayAuth(rule, text string) error {
	return &packet.Error{Type: packet.AUTH, Reason: packet.ProtocolError, Rule: rule, Text: text, Offset: -1}
}

// exchange is a re-authentication in progress. The reader passes on what the
// server sends, and the calling goroutine does the rest, so that a slow
// Authenticator does not delay messages.
type exchange struct {
	stop  context.CancelCauseFunc // called when the connection is over
	asked bool                    // the next AUTH must come from the server; Client.mu must be held
	said  chan said               // buffered, 1 slot
}

// said is an AUTH from the server.
type said struct {
	done bool // its reason code was success
	data []byte
}

// Reauthenticate authenticates again on the current connection (section
// 4.12.1), with a new Authenticator from Options.Authenticate, and blocks until
// the server answers. Messages continue to flow. While it waits, the reader
// reads ahead of the application, as it does for Publish.
//
// The error is ErrNotSent if nothing was sent and the connection is unchanged:
// Options.Authenticate is nil, there is no connection, another
// re-authentication is in progress, Authenticate or Start failed
// (ErrAuthentication), or ctx has ended. Once an AUTH was sent, a
// re-authentication that fails closes the connection (MQTT-4.12.1-2), and
// Options.Reconnect decides whether it is restored. The error is then
// ErrRefused with the reason code and text of the server's DISCONNECT, or
// ErrInDoubt with the cause: ErrLost, ErrClosed, ErrAuthentication if the
// Authenticator rejected the server's data, or ctx's error. A server that does
// not answer before ctx ends has failed.
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
			case p = <-x.said: // answered before the connection ended
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

// beginExchange makes x the connection's exchange; there can be only one.
func (c *Client) beginExchange(x *exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil || c.farewell.closing:
		return c.endedLocked()
	case c.opt.Authenticate == nil && c.agreed.version < packet.V5:
		return fmt.Errorf("re-authentication needs MQTT 5.0, but the connection uses %v", c.agreed.version)
	case c.opt.Authenticate == nil:
		return errors.New("the connection was not made by enhanced authentication [MQTT-4.12.0-7]")
	case c.nc == nil || !c.conn.Up():
		return ErrLost // the next connection authenticates anyway
	case c.auth.exchange != nil:
		return errors.New("a re-authentication is in progress")
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

// askAgain starts an authentication and sends its first AUTH.
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
		return nil, fmt.Errorf("authentication method %q, but the connection was made with %q [MQTT-4.12.1-1]", a.Method(), method)
	}
	p := &packet.Auth{Reason: packet.ReAuthenticate}
	if p.Properties, err = appendAuth(nil, a, data); err != nil {
		return nil, err
	}
	return a, c.sayAuth(x, p)
}

// sayAuth sends an AUTH, after which the server must answer.
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
	c.flushInlineLocked() // unlocks c.mu
	return nil
}

// hearAuthLocked handles an AUTH from the server.
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
	// The shortest form of AUTH cannot name the method. It means success
	// without data.
	if p.Reason != packet.Success || len(p.Properties) > 0 {
		if err := checkMethod(packet.AUTH, p.Properties, c.auth.method); err != nil {
			return err
		}
	}
	x.asked = false
	data, _ := p.Properties.Bytes(packet.AuthenticationData)
	// This cannot block: the slot is free while the server's answer is awaited.
	x.said <- said{p.Reason == packet.Success, bytes.Clone(data)}
	return nil
}

// failExchange closes the connection after its re-authentication failed, if it
// is still open, and returns the error to report.
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

// expiries is how many connections in a row may end because an authentication
// expired, each soon after it was made.
const expiries = 3

// mayHaveExpired marks an error that new credentials may cure: a connection
// that ended with "not authorized", which a server sends when a token has
// expired. It does not mark an error that came during a re-authentication: then
// that was refused.
func (c *Client) mayHaveExpired(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := err.(*Error)
	if !ok || e.Op != "connection" || e.Reason != packet.NotAuthorized || c.auth.method == "" || c.auth.interrupted || c.early > expiries {
		return err
	}
	marked := *e
	marked.Err = ErrExpired
	return &marked
}
