package mqtt

import (
	"errors"
	"strings"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The four classes of what became of a message or request; see the package
// comment. Test with errors.Is.
var (
	ErrNotSent = errors.New("not sent")
	ErrRefused = errors.New("refused by the peer")
	ErrInDoubt = errors.New("in doubt")
	ErrKept    = errors.New("kept in the session")
)

// Causes that callers branch on.
var (
	ErrClosed      = errors.New("client is closed")
	ErrLost        = errors.New("connection lost")
	ErrUnreached   = errors.New("broker not reached")
	ErrBacklog     = errors.New("received messages pile up while a call waits for its acknowledgement")
	ErrPoison      = errors.New("three connections in a row ended when it was sent")
	ErrUnreceived  = errors.New("a publish-only client does not receive")
	errNoHandshake = errors.New("connection closed before CONNACK")
)

// Error is what the methods of Client return.
type Error struct {
	Op     string            // "connect", "publish", "subscribe", "unsubscribe", "flush", "ping", "close"
	Class  error             // one of the four classes
	Reason packet.ReasonCode // of ErrRefused, and of a server's DISCONNECT
	Text   string            // the peer's reason string; untrusted text
	Ref    string            // server reference of CONNACK or DISCONNECT; untrusted text
	Err    error             // cause; nil for a plain refusal
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	switch {
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

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the class and the reason code.
func (e *Error) Is(target error) bool {
	if target == e.Class {
		return true
	}
	r, ok := target.(packet.ReasonCode)
	return ok && r == e.Reason && e.Reason.Failed()
}

// refusal makes an Error from a failing reason code and its properties.
func refusal(op string, reason packet.ReasonCode, p packet.Properties) *Error {
	return &Error{Op: op, Class: ErrRefused, Reason: reason, Text: p.Text(packet.ReasonString), Ref: p.Text(packet.ServerReference)}
}

// Permanent tells whether trying the same connection again cannot help: the
// credentials, the client identifier or the protocol were refused, or the
// peer's certificate was.
func Permanent(err error) bool {
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
	// Not any error with a Temporary method: that of syscall.ECONNRESET says
	// false.
	var te *transport.Error
	if errors.As(err, &te) {
		return !te.Temporary()
	}
	var bad *packet.Error
	return errors.As(err, &bad)
}
