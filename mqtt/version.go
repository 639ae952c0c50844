package mqtt

import (
	"errors"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// choice is the choice of the protocol version. Client.mu must be held, except
// for servers, which only the goroutine that connects uses.
type choice struct {
	fixed   bool // there is no choice
	open    bool // an attempt in another version than the last is in progress
	servers map[string]*server
}

// server is what is known of the server at one address, if the version is open.
type server struct {
	ends    int  // connections in a row that ended right after a CONNECT of 5.0
	refused bool // it refused 5.0 explicitly
	older   bool // it accepted 3.1.1 after that
	why     error
}

// version returns the version to use with the server: 3.1.1 only after it has
// refused 5.0, either explicitly or by ending two connections right after
// CONNECT. A single end may have other causes, such as a proxy that restarts.
func (s *server) version() packet.Version {
	if s.refused || s.ends >= 2 {
		return packet.V311
	}
	return packet.V5
}

// heard records the outcome of an attempt in v, which took this long from
// CONNECT on, and reports whether another attempt must follow at once.
func (s *server) heard(v packet.Version, err error, took time.Duration) (again bool) {
	switch {
	case v < packet.V5:
		// If 3.1.1 was never accepted, a single end may have other causes as
		// well.
		if s.refused && !s.older && endedUnanswered(err) {
			s.ends++
			return s.ends < 2
		}
		return false
	case errors.Is(err, packet.UnsupportedProtocolVersion):
		s.refused, s.why = true, err
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

// maxServers is how many addresses are remembered: a name may resolve to ever
// new ones.
const maxServers = 100

// unanswered is a refusal of 5.0 by a server that then closed without answering
// 3.1.1: it may support neither, or be shutting down.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// rightAfter is how soon after CONNECT a server that does not know the version
// closes the connection: it has read one packet.
const rightAfter = 5 * time.Second

// endedUnanswered reports whether the server ended the connection, in any way,
// where CONNACK was due.
func endedUnanswered(err error) bool {
	return errors.Is(err, ErrNoAnswer) || errors.Is(err, transport.WebSocketClosed) && !errors.Is(err, ErrUnreached)
}

// server returns what is known of the server that nc leads to.
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

// choose returns the version for the attempt over nc. s is nil if there is no
// choice: the options set the version, or messages in flight are encoded for
// one. Until the attempt is over, publishing waits.
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

// idleLocked reports whether nothing of the session is in flight.
func (c *Client) idleLocked() bool {
	if c.sess.Open() > 0 {
		return false
	}
	for range c.sess.Inbound {
		return false
	}
	return true
}

// unchosen ends a choice whose attempt has failed: messages published until the
// next attempt are encoded for the version that was agreed on last.
func (c *Client) unchosen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.choice.open {
		return
	}
	c.choice.open = false
	// Open it as before.
	_ = c.conn.Open(&c.sess, c.connectPacket(c.agreed.version, false), c.configLocked(c.agreed.version), c.now())
	c.conn.Lost(nil)
	c.waiters.answerAll(&c.waiters.windowWaiters)
}
