package mqtt

import (
	"errors"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// choice is that of the version. Guarded by Client.mu; servers are of the goroutine
// that connects.
type choice struct {
	fixed   bool // there is none
	open    bool // an attempt in another version than the last is under way
	servers map[string]*server
}

// server is what is known of the server at one address, where the version is
// open.
type server struct {
	ends  int  // connections in a row that ended right after a CONNECT of 5.0
	told  bool // it said that it does not speak 5.0
	older bool // it took 3.1.1 then
	why   error
}

// version is what to speak to the server: 3.1.1 only once it has refused 5.0, in
// words or by ending two connections at the sight of it. One end may be anything,
// as a proxy that restarts.
func (s *server) version() packet.Version {
	if s.told || s.ends >= 2 {
		return packet.V311
	}
	return packet.V5
}

// heard takes the outcome of an attempt in v, which took so long from CONNECT on,
// and reports whether it is to be followed by another one at once.
func (s *server) heard(v packet.Version, err error, took time.Duration) (again bool) {
	switch {
	case v < packet.V5:
		// Where 3.1.1 was never taken, one end may be anything too.
		if s.told && !s.older && endedUnanswered(err) {
			s.ends++
			return s.ends < 2
		}
		return false
	case errors.Is(err, packet.UnsupportedProtocolVersion):
		s.told, s.why = true, err
		return true
	case took < rightAfter && endedUnanswered(err):
		s.ends++
		s.why = err
		return true
	case err == nil:
		*s = server{}
	}
	return false
}

// maxServers is how many addresses are remembered: a name may lead to ever others.
const maxServers = 100

// unanswered is the refusal of 5.0 of a server that ended 3.1.1 without a word then:
// it may know neither, or be about to stop.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// rightAfter is how soon after CONNECT a server ends the connection that does not
// know the version: it has read one packet.
const rightAfter = 5 * time.Second

// endedUnanswered reports whether the server ended the connection where CONNACK was
// due, in whichever way.
func endedUnanswered(err error) bool {
	return errors.Is(err, ErrNoAnswer) || errors.Is(err, transport.WebSocketClosed) && !errors.Is(err, ErrUnreached)
}

// server is what is known of the server that nc leads to.
func (c *choice) server(nc net.Conn) *server {
	addr := remoteOf(nc)
	s := c.servers[addr]
	if s == nil {
		if len(c.servers) >= maxServers || c.servers == nil {
			c.servers = make(map[string]*server)
		}
		s = &server{}
		c.servers[addr] = s
	}
	return s
}

// choose decides the version of the attempt over nc. s is nil where there is no
// choice: the options name the version, or messages are in flight, which are
// encoded for one. Until the attempt is over, publishing waits.
func (c *Client) choose(nc net.Conn) (v packet.Version, s *server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.choice.fixed:
		return c.agreed.version, nil
	case c.opt.Authenticate != nil:
		return packet.V5, nil
	case c.agreed.version != 0 && !c.idleLocked():
		return c.agreed.version, nil
	}
	s = c.choice.server(nc)
	v = s.version()
	c.choice.open = c.agreed.version != 0 && v != c.agreed.version
	return v, s
}

// idleLocked reports whether nothing of the session is under way.
func (c *Client) idleLocked() bool {
	if c.sess.Open() > 0 {
		return false
	}
	for range c.sess.Inbound {
		return false
	}
	return true
}

// unchosen ends a choice whose attempt has failed: what is published meanwhile is
// encoded for the version that was agreed on last.
func (c *Client) unchosen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.choice.open {
		return
	}
	c.choice.open = false
	_ = c.conn.Open(&c.sess, c.connectPacket(c.agreed.version, false), c.configLocked(c.agreed.version), c.now()) // as it was opened before
	c.conn.Lost(nil)
	c.waiters.answerAll(&c.waiters.roomers)
}
