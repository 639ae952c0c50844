package swarm

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Errors of methods. None of them has changed anything. A client's methods also return
// errors of package session.
var (
	ErrBufferFull = errors.New("the write buffer is full")
	ErrBusy       = errors.New("the client is connected or about to be")

	ErrTarget = errors.New("no target has this number")
)

// ErrClosed is reported by Failed when the attempt was given up by Disconnect, Reset or
// Close of the swarm.
var ErrClosed = errors.New("given up")

// errAuth is the answer to a server that starts enhanced authentication, which the
// clients did not request (MQTT-4.12.0-6).
var errAuth = &packet.Error{Type: packet.AUTH, Reason: packet.ProtocolError, Rule: "MQTT-4.12.0-6", Text: "the client requested no authentication method", Offset: -1}

// noAnswer is the end of a connection where CONNACK was due.
type noAnswer struct {
	addr string
	end  error // io.EOF, or a *transport.Error
}

func (n *noAnswer) Error() string {
	return "cannot connect to " + n.addr + ": " + session.ErrNoAnswer.Error()
}
func (n *noAnswer) Unwrap() error        { return n.end }
func (n *noAnswer) Is(target error) bool { return target == session.ErrNoAnswer }

// noQoS2 is a PUBACK to a QoS 2 message.
type noQoS2 struct{ error }

func (n noQoS2) Error() string        { return "a message was " + session.ErrNoQoS2.Error() }
func (n noQoS2) Unwrap() error        { return n.error }
func (n noQoS2) Is(target error) bool { return target == session.ErrNoQoS2 }

// Refusal is a CONNACK that refuses, or a DISCONNECT from the server.
type Refusal struct {
	Type   packet.Type // CONNACK or DISCONNECT
	Reason packet.ReasonCode
	Text   string // the reason string, if there is one
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("%v: %v", r.Type, r.Reason)
	if r.Text != "" {
		s += fmt.Sprintf(": %q", r.Text)
	}
	return s
}

// Unwrap returns Reason, which is an error.
func (r *Refusal) Unwrap() error { return r.Reason }

// ErrorCategory returns a short name for the category of err, an error from Failed or Closed,
// suitable for counting: "refused", "timeout", "reset", "eof", "keepalive", "no port",
// "too many files", "protocol", "connack 0x87", "disconnect 0x8E" ... It returns "" for
// nil.
func ErrorCategory(err error) string {
	var refusal *Refusal
	var broken *packet.Error
	var te *transport.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return fmt.Sprintf("%s 0x%02X", strings.ToLower(refusal.Type.String()), byte(refusal.Reason))
	case errors.Is(err, session.ErrNoQoS2):
		return "no QoS 2"
	case errors.As(err, &broken):
		return "protocol"
	case errors.Is(err, session.ErrKeepAlive):
		return "keepalive"
	case errors.Is(err, ErrClosed):
		return "given up"
	case errors.As(err, &te):
		switch te.Kind {
		case transport.Refused:
			return "refused"
		case transport.Timeout:
			return "timeout"
		case transport.Reset:
			return "reset"
		case transport.AddrNotAvailable, transport.AddrInUse:
			return "no port"
		case transport.TooManyFiles:
			return "too many files"
		}
		return te.Kind.String()
	case errors.Is(err, io.EOF):
		return "eof"
	}
	return "other"
}

// unanswered returns err, the end of an attempt where CONNACK was due, as an error that
// says so. first is the bytes received.
func (c *Client) unanswered(first []byte, err error) error {
	if len(first) > 0 {
		if is, _ := transport.IsForeign(first, c.conn.Version(), false); is {
			return transport.NoMQTT(c.Target().Address(), first)
		}
	}
	if transport.IsEnd(err) {
		return &noAnswer{c.Target().Address(), err}
	}
	return err
}

// explain turns a system's error in an operation on the client's connection into one of
// package transport, with the hints that matter to many clients.
func (c *Client) explain(op string, err error) error {
	e := transport.SystemError(op, c.Target(), err)
	switch e.Kind {
	case transport.AddrNotAvailable, transport.AddrInUse:
		e.Text = "no free port to connect from, or the source address is not one of this machine"
		e.Hint = "use more source addresses, a range of own ports, or more ports of the server; recently closed connections keep theirs for a minute"
	case transport.TooManyFiles:
		e.Hint = "raise the limit of open files (ulimit -n), or use fewer clients or more processes"
	case transport.NoMemory:
		e.Hint = "the system has no memory for more sockets: see net.ipv4.tcp_mem"
	}
	return e
}

// tooLate returns the error of an attempt that reached Options.ConnectTimeout.
func (l *Loop) tooLate(c *Client) error {
	what := "no TCP connection"
	hint := "the server's queue of connections may be full: connect more slowly, with fewer half-open attempts"
	if c.state == opening {
		what, hint = "no CONNACK", "it may not be an MQTT broker; if it accepts more connections than it can serve, connect fewer at a time"
	}
	return &transport.Error{Op: transport.OpConnect, Addr: c.Target().Address(), Kind: transport.Timeout,
		Text: fmt.Sprintf("%s within %v", what, l.swarm.opts.ConnectTimeout), Hint: hint}
}
