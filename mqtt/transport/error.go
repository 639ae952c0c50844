package transport

import "strings"

// The operations of an Error.
const (
	OpURL     = "url"     // reading an address
	OpLookup  = "lookup"  // finding a host's addresses
	OpConnect = "connect" // reaching one
	OpTLS     = "tls"     // the TLS handshake, or loading what it needs
	OpListen  = "listen"  // opening a listener
	OpStream  = "stream"  // using a connection that was open

	OpProxy     = "proxy"     // what a proxy, or a command in its place, did not do
	OpWebSocket = "websocket" // the upgrade to WebSocket, or its frames
)

// Error says what failed, where and why.
type Error struct {
	Op   string // one of the Op constants
	Addr string // the address or file concerned, passwords redacted
	Kind Kind   // the cause, to branch on
	Text string // the cause in words; empty means that of Kind and Err
	Err  error  // what the system or crypto/tls said; may be nil
	Hint string // one thing to do that Kind does not tell; not part of Error(); may be empty

	Unix   bool     // Addr is the path of a Unix socket
	Speaks Protocol // what the peer speaks instead, of the kinds that say it is not the right one; or 0

	temporary bool // although the kind is not
	form      form
}

// form is how the text of an Error is made.
type form uint8

const (
	formPlace form = iota // where: Text
	formVerb              // Addr Text, a sentence
	formText              // Text
)

// opText introduces the address in an error text.
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

// Is makes errors.Is(err, transport.Refused) work.
func (e *Error) Is(target error) bool { k, ok := target.(Kind); return ok && k == e.Kind }

// Timeout reports whether time ran out, for net.Error.
func (e *Error) Timeout() bool { return e.Kind == Timeout }

// Temporary reports whether the same call may succeed later with nothing changed
// on this side: a restart, an overload, a network outage.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case LookupFailed, Refused, Timeout, NoRoute, Reset, SocketMissing, TooManyFiles, NoMemory, WebSocketClosed:
		return true
	}
	return e.temporary
}
