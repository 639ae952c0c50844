package broker

import (
	"strconv"

	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// EventKind is what an Event reports.
type EventKind uint8

// The events.
const (
	EventConnected    EventKind = iota + 1 // a client was accepted
	EventRefused                           // a CONNECT was answered with Reason
	EventDisconnected                      // a connection ended; Err is nil after a DISCONNECT of the client
	EventRejected                          // a connection was not MQTT, broke before CONNECT, or had a foreign web origin (logged once)
	EventSubscribed                        // Topic was subscribed to, or refused with Reason
	EventDropped                           // a message for the client was dropped; Text says why
	EventAcceptFailed                      // the listener returned Err
	EventPanic                             // a bug of the broker closed the connection; Text is the trace
	EventNotPublished                      // a message or a will of the client was refused with Reason
	EventEvicted                           // the session of an absent client was ended to make room; Text says for what
	EventReused                            // a QoS 2 message began under a packet identifier still in use (once per connection)
)

// Event is something that happened in the broker.
type Event struct {
	Kind     EventKind
	ClientID string
	Remote   string // the client's network address
	Topic    string
	Reason   packet.ReasonCode
	Text     string
	Err      error
}

// String returns the event as a line of text without a newline. Text chosen by a client
// is quoted, and truncated if it is long.
func (e Event) String() string {
	who := e.ClientID
	if who == "" {
		who = e.Remote
	} else {
		who = topic.Quote(who)
	}
	switch e.Kind {
	case EventConnected:
		return who + " connected from " + e.Remote + e.suffix()
	case EventRefused:
		return who + " refused: " + e.Reason.Error() + e.suffix()
	case EventDisconnected:
		if e.Err == nil {
			return who + " disconnected"
		}
		return who + " lost: " + e.Err.Error() + e.suffix()
	case EventRejected:
		return e.Remote + " rejected: " + e.Err.Error() + e.suffix()
	case EventSubscribed:
		if e.Reason.Failed() {
			return who + " may not subscribe to " + topic.Quote(e.Topic) + ": " + e.Reason.Error()
		}
		return who + " subscribed to " + topic.Quote(e.Topic)
	case EventDropped:
		return "message for " + who + " on " + topic.Quote(e.Topic) + " dropped" + e.suffix()
	case EventAcceptFailed:
		return "accept failed: " + e.Err.Error()
	case EventNotPublished:
		return who + " may not publish to " + topic.Quote(e.Topic) + ": " + e.Reason.Error() + e.suffix()
	case EventEvicted:
		return "session of " + who + " ended to make room for another" + e.suffix()
	case EventReused:
		return who + " began a QoS 2 message on " + topic.Quote(e.Topic) + " under a packet identifier still in use: it has lost its session, and the message is treated as new"
	case EventPanic:
		return who + ": bug: " + e.Text
	}
	return "event " + strconv.Itoa(int(e.Kind))
}

func (e Event) suffix() string {
	if e.Text == "" {
		return ""
	}
	return ": " + e.Text
}
