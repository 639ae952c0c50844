package broker

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// authentication is the enhanced authentication of a connection. Only run uses it.
type authentication struct {
	method   string          // empty for none
	exchange Exchange        // in progress
	asking   *packet.Connect // the CONNECT that waits for exchange
	by       time.Duration   // when a re-authentication must be complete; 0 for none
}

// startAuth begins the enhanced authentication that a CONNECT requests.
func (c *conn) startAuth(p *packet.Connect) error {
	c.auth.method = p.Properties.Text(packet.AuthenticationMethod)
	begin := c.b.opts.AuthMethods[c.auth.method]
	if begin == nil { // MQTT-4.12.0-1
		return c.refuse(string(p.ClientID), packet.BadAuthenticationMethod, "no such authentication method here: "+strconv.Quote(c.auth.method))
	}
	c.auth.exchange, c.auth.asking = begin(), keepConnect(p)
	return c.stepConnect(p.Properties)
}

// continueAuth handles an AUTH before CONNACK.
func (c *conn) continueAuth(p *packet.Auth) error {
	if c.auth.asking == nil {
		return strayAuth(packet.ProtocolError, "MQTT-4.12.0-7", "there was no authentication method in CONNECT")
	}
	c.b.comers.enter(c, string(c.auth.asking.ClientID), string(c.auth.asking.Username))
	defer c.b.comers.leave(c)
	if p.Reason != packet.ContinueAuthentication {
		return strayAuth(packet.ProtocolError, "MQTT-4.12.0-3", "it does not continue the authentication")
	}
	if err := c.sameMethod(p); err != nil {
		return err
	}
	return c.stepConnect(p.Properties)
}

// stepConnect performs a step of the exchange before CONNACK. The last step sends the
// CONNACK.
func (c *conn) stepConnect(p packet.Properties) error {
	answer, done, reason := c.step(p)
	switch {
	case reason != packet.Success: // MQTT-4.12.0-4
		if !reason.AllowedIn(packet.CONNACK) {
			reason = packet.NotAuthorized
		}
		return c.deny(string(c.auth.asking.ClientID), reason)
	case done:
		asking := c.auth.asking
		c.auth.asking, c.auth.exchange = nil, nil
		return c.admit(asking, answer) // MQTT-4.12.0-5
	}
	if err := c.sc.Auth(&packet.Auth{Reason: packet.ContinueAuthentication, Properties: answer}); err != nil { // MQTT-4.12.0-2
		return c.refuse(string(c.auth.asking.ClientID), packet.PacketTooLarge, "AUTH is larger than the client accepts")
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.b.opts.ConnectTimeout))
	_, err := c.nc.Write(c.sc.Swap(nil, c.b.now()))
	return err
}

// step passes the client's data to the exchange. answer holds the method and the
// server's data.
func (c *conn) step(p packet.Properties) (answer packet.Properties, done bool, reason packet.ReasonCode) {
	data, _ := p.Bytes(packet.AuthenticationData)
	out, done, err := c.auth.exchange.Step(data)
	if err != nil {
		reason = packet.NotAuthorized
		if code := packet.ReasonCode(0); errors.As(err, &code) && code.Failed() {
			reason = code
		}
		return nil, false, reason
	}
	// received as a valid string
	answer, _ = answer.AppendBytes(packet.AuthenticationMethod, []byte(c.auth.method))
	if out != nil {
		answer, err = answer.AppendBytes(packet.AuthenticationData, out)
	}
	if err != nil {
		return nil, false, packet.ImplementationSpecificError
	}
	if name := c.auth.exchange.User(); done && name != "" {
		if c.client.Load() != nil && name != c.username {
			return nil, false, packet.NotAuthorized
		}
		c.username = name
	}
	return answer, done, packet.Success
}

// reauthLocked handles an AUTH on a connection that is up (section 4.12.1). cl.mu must
// be held; it is released during the call.
func (c *conn) reauthLocked(cl *client, p *packet.Auth) error {
	switch {
	case c.auth.method == "":
		return strayAuth(packet.ProtocolError, "MQTT-4.12.0-7", "there was no authentication method in CONNECT")
	case p.Reason == packet.Success:
		return strayAuth(packet.ProtocolError, "MQTT-3.15.2-1", "only a server may send Success")
	case (p.Reason == packet.ReAuthenticate) != (c.auth.exchange == nil):
		return strayAuth(packet.ProtocolError, "MQTT-4.12.1", "it answers no request, or an authentication is in progress")
	}
	if err := c.sameMethod(p); err != nil { // MQTT-4.12.1-1
		return err
	}
	answer, done, reason := c.stepAuthLocked(cl, p)
	if reason != packet.Success { // MQTT-4.12.1-2
		if !reason.AllowedIn(packet.DISCONNECT) {
			reason = packet.NotAuthorized
		}
		return strayAuth(reason, "MQTT-4.12.1-2", "re-authentication has failed")
	}
	auth := packet.Auth{Reason: packet.ContinueAuthentication, Properties: answer}
	if done {
		c.auth.exchange, c.auth.by, auth.Reason = nil, 0, packet.Success
	}
	if c.over {
		return errOver
	}
	if err := c.sc.Auth(&auth); err != nil {
		return strayAuth(packet.PacketTooLarge, "MQTT-3.1.2-24", "the answer is larger than the client accepts")
	}
	return nil
}

func (c *conn) stepAuthLocked(cl *client, p *packet.Auth) (answer packet.Properties, done bool, reason packet.ReasonCode) {
	cl.mu.Unlock()
	defer cl.mu.Lock()
	if c.auth.exchange == nil {
		begin := c.b.opts.AuthMethods[c.auth.method]
		c.auth.exchange = begin()
		c.auth.by, c.deadline = c.b.now()+c.b.opts.ConnectTimeout, 0
	}
	return c.step(p.Properties)
}

// sameMethod returns an error if the method is not the one of CONNECT (MQTT-4.12.0-5).
func (c *conn) sameMethod(p *packet.Auth) error {
	if method := p.Properties.Text(packet.AuthenticationMethod); method != c.auth.method {
		return strayAuth(packet.BadAuthenticationMethod, "MQTT-4.12.0-5", "the authentication method is "+strconv.Quote(method)+", in CONNECT it was "+strconv.Quote(c.auth.method))
	}
	return nil
}

func strayAuth(reason packet.ReasonCode, rule, text string) error {
	return &packet.Error{Type: packet.AUTH, Reason: reason, Rule: rule, Text: text, Offset: -1}
}

// commonName returns the common name of a connection's verified client certificate, or
// "".
func commonName(nc net.Conn) string {
	for nc != nil {
		if t, ok := nc.(*tls.Conn); ok {
			if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
				return chains[0][0].Subject.CommonName
			}
			return ""
		}
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return ""
		}
		nc = below.NetConn()
	}
	return ""
}

// keepConnect copies a CONNECT that is a view.
func keepConnect(p *packet.Connect) *packet.Connect {
	q := *p
	q.ClientID, q.Username, q.Password = bytes.Clone(p.ClientID), bytes.Clone(p.Username), nil
	q.Properties = bytes.Clone(p.Properties)
	q.Will.Topic, q.Will.Payload, q.Will.Properties = bytes.Clone(p.Will.Topic), bytes.Clone(p.Will.Payload), bytes.Clone(p.Will.Properties)
	return &q
}
