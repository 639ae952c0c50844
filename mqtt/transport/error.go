package transport

import "strings"

// The operations of an Error.
const (
	OpURL     = "url"     // parsing an address
	OpLookup  = "lookup"  // looking up a host's addresses
	OpConnect = "connect" // connecting to one
	OpTLS     = "tls"     // the TLS handshake, or loading its files
	OpListen  = "listen"  // opening a listener
	OpStream  = "stream"  // using an open connection

	OpProxy     = "proxy"     // opening a connection through a proxy, or a command in its place
	OpWebSocket = "websocket" // the upgrade to WebSocket, or its frames
)

// Error describes what failed, where and why.
type Error struct {
	Op   string // one of the Op constants
	Addr string // the address or file concerned, without passwords
	Kind Kind   // the cause, for programs
	Text string // the cause for people; if empty, the texts of Kind and Err
	Err  error  // error of the system or of crypto/tls; may be nil
	Hint string // a remedy that Kind does not imply; not part of Error(); may be empty

	Unix   bool     // Addr is the path of a Unix socket
	Speaks Protocol // the protocol that the peer uses instead, for kinds such as NotMQTT; or 0

	temporary bool // although the kind is not temporary
	form      form
}

// form is the layout of an Error's text.
type form uint8

const (
	formPlace form = iota // where: Text
	formVerb              // Addr Text, a sentence
	formText              // Text
)

// opText returns the words before the address in an error text.
func opText(op string) string {
	switch op {
	case OpURL:
		return "address"
	case OpLookup:
		return "cannot resolve"
	case OpConnect:
		return "cannot connect to"
	case OpStream:
		return "connection to"
	case OpTLS:
		return "TLS"
	case OpListen:
		return "cannot listen on"
	case OpProxy:
		return "proxy"
	case OpWebSocket:
		return "WebSocket"
	}
	return op
}

func (e *Error) Error() string {
	switch e.form {
	case formVerb:
		return strings.TrimSpace(e.Addr + " " + e.Text)
	case formText:
		return e.Text
	}
	s := opText(e.Op)
	if (e.Op == OpTLS || e.Op == OpWebSocket) && e.Addr != "" { // which says where
		s = e.Addr
	} else if e.Addr != "" {
		s += " " + e.Addr
	}
	switch {
	case e.Text != "":
		return s + ": " + e.Text
	case e.Kind == Other && e.Err != nil:
		return s + ": " + e.Err.Error()
	}
	return s + ": " + e.Kind.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool { k, ok := target.(Kind); return ok && k == e.Kind }

// Timeout reports whether the error is a timeout; it implements net.Error.
func (e *Error) Timeout() bool { return e.Kind == Timeout }

// Temporary reports whether the same call may succeed later without a change on
// this side, as after a restart, an overload or a network outage.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case LookupFailed, Refused, Timeout, NoRoute, Reset, SocketMissing, TooManyFiles, NoMemory, WebSocketClosed:
		return true
	}
	return e.temporary
}
