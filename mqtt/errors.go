package mqtt

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The classes of errors, which say what happened to a message or request; see
// the package documentation. Test for them with errors.Is.
var (
	ErrNotSent = errors.New("not sent")
	ErrRefused = errors.New("refused by the peer")
	ErrInDoubt = errors.New("in doubt")
	ErrKept    = errors.New("kept in the session")
)

// Causes that callers can test for with errors.Is.
var (
	ErrClosed     = errors.New("client is closed")
	ErrLost       = errors.New("connection lost")
	ErrUnreached  = errors.New("broker not reached")
	ErrBacklog    = errors.New("received messages pile up while a call waits for its acknowledgement")
	ErrJournal    = errors.New("the journal cannot be written")
	ErrUnreceived = errors.New("a publish-only client does not receive")
	ErrReceiving  = errors.New("a loop over Messages, or Serve, is already receiving")
	ErrNoAnswer   = session.ErrNoAnswer
	ErrNoQoS2     = session.ErrNoQoS2
	ErrNoConnack  = errors.New("no CONNACK within the timeout")
	// ErrNoResponseTopic refuses a request on a connection before 5.0 that has
	// no ResponseTopic, and a reply to a message that has none.
	ErrNoResponseTopic = errors.New("there is no response topic")
	// ErrNeeds5 refuses what the version of the connection cannot carry; see
	// Options.DropProperties.
	ErrNeeds5 = errors.New("needs MQTT 5.0, and the connection uses an older version")
	// ErrInherited refuses messages at QoS 2; see Options.Resume.
	ErrInherited = errors.New("QoS 2 needs a new session or a journal: this session has packet identifiers that an earlier program used")
	// ErrAuthentication is matched by every error of an Authenticator.
	ErrAuthentication = errors.New("authentication failed")
	// ErrExpired is matched by the error of a connection that was accepted by
	// enhanced authentication and that the server closed with "not authorized":
	// authenticating again may help.
	ErrExpired = errors.New("the authentication may have expired")
)

// errReferred marks the error of a connection whose server has referred to
// others, which are tried next.
var errReferred = errors.New("another server is tried")

// Error is the type of the errors that the methods of Client return.
type Error struct {
	Op     string            // "connect", "connection", "publish", "subscribe", "unsubscribe", "reauthenticate", "flush", "ping", "request", "restore", "close"
	Class  error             // one of the four classes
	Reason packet.ReasonCode // reason code of ErrRefused, and of a server's DISCONNECT
	Text   string            // the peer's reason string; untrusted text
	Ref    string            // server reference of CONNACK or DISCONNECT; untrusted text
	Err    error             // cause; nil for a plain refusal
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	switch {
	case e.Reason.Failed() && e.Op == "connection":
		b.WriteString(" ended by the broker: ")
		b.WriteString(e.Reason.Error())
	case e.Reason.Failed():
		b.WriteString(" refused: ")
		b.WriteString(e.Reason.Error())
	default:
		b.WriteString(": ")
		b.WriteString(e.Class.Error())
	}
	if e.Text != "" {
		b.WriteString(": ")
		b.WriteString(e.Text)
	}
	if e.Ref != "" {
		b.WriteString(": use ")
		b.WriteString(e.Ref)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause without its class. The class of a cause is not that
// of the error: a message that was never sent is not in doubt because the
// connection was.
func (e *Error) Unwrap() error {
	if inner, ok := e.Err.(*Error); ok {
		return classless{inner}
	}
	return e.Err
}

// classless wraps the cause of an Error if it is an Error itself; it hides the
// class.
type classless struct{ e *Error }

func (c classless) Error() string { return c.e.Error() }

func (c classless) Is(target error) bool {
	_, isReason := target.(packet.ReasonCode)
	return isReason && c.e.Is(target)
}

func (c classless) Unwrap() error { return c.e.Unwrap() }

// Is reports whether target is the class or the reason code of e.
func (e *Error) Is(target error) bool {
	if target == e.Class {
		return true
	}
	r, ok := target.(packet.ReasonCode)
	return ok && r == e.Reason && e.Reason.Failed()
}

// lost is ErrLost with the cause. Its text omits the addresses and calls that
// package net adds.
type lost struct{ cause error }

func (e lost) Error() string {
	text := e.cause.Error()
	var explained *transport.Error
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(e.cause, &explained): // its text is complete
	case transport.SystemText(e.cause) != "":
		text = transport.SystemText(e.cause)
	case errors.Is(e.cause, net.ErrClosed), errors.Is(e.cause, io.ErrClosedPipe):
		return ErrLost.Error()
	case errors.As(e.cause, &timeout) && timeout.Timeout():
		text = "timed out"
	}
	return ErrLost.Error() + ": " + text
}

func (e lost) Is(target error) bool { return target == ErrLost }

func (e lost) Unwrap() error { return e.cause }

// refusal returns the Error for a failing reason code and its properties.
func refusal(op string, reason packet.ReasonCode, p packet.Properties) *Error {
	return &Error{Op: op, Class: ErrRefused, Reason: reason, Text: p.Text(packet.ReasonString), Ref: p.Text(packet.ServerReference)}
}

// Unsupported reports whether the server said, when it accepted the connection,
// that it does not support what was requested: the QoS, retained messages, the
// packet size, or the kind of subscription.
func Unsupported(err error) bool {
	for _, limit := range [...]error{session.ErrQoS, session.ErrRetain, session.ErrTooLarge, session.ErrPeerCan} {
		if errors.Is(err, limit) {
			return true
		}
	}
	return false
}

// Permanent reports whether retrying the same connection cannot help: the
// credentials, the client ID or the protocol were refused, or the certificate
// of the peer was. An expired authentication is not permanent, nor is a refused
// message or subscription.
func Permanent(err error) bool {
	if errors.Is(err, ErrExpired) || errors.Is(err, errAtPacket) || errors.Is(err, errReferred) {
		return false
	}
	if errors.Is(err, ErrNeeds5) {
		return true
	}
	var silent unanswered
	if errors.As(err, &silent) {
		return false
	}
	var e *Error
	if errors.As(err, &e) && e.Reason.Failed() {
		switch e.Reason {
		case packet.UnspecifiedError, packet.ServerUnavailable, packet.ServerBusy, packet.ServerShuttingDown,
			packet.KeepAliveTimeout, packet.QuotaExceeded, packet.ConnectionRateExceeded, packet.MaximumConnectTime,
			packet.AdministrativeAction, packet.MessageRateTooHigh, packet.ReceiveMaximumExceeded, packet.UseAnotherServer,
			packet.ImplementationSpecificError:
			return false
		}
		return true
	}
	// Do not accept any error with a Temporary method: it returns false for a
	// connection reset.
	var te *transport.Error
	if errors.As(err, &te) {
		return !te.Temporary()
	}
	var bad *packet.Error
	return errors.As(err, &bad)
}
