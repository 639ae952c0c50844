package mqtt

import (
	"fmt"
	"time"
)

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	EventUp             EventKind = iota + 1 // a connection was accepted after a loss
	EventDown                                // the connection was lost: Err, and Wait until the next attempt
	EventRetry                               // an attempt failed: Err, and Wait until the next
	EventFailover                            // a server was not usable, and another one is tried: Err
	EventReferred                            // the server has referred to others, which are tried: Err
	EventRefused                             // without Options.OnOutcome: a message given to Send was refused: Tag, Err
	EventMayBeLost                           // QoS 0 messages may be lost with a connection: Count
	EventRenewalRefused                      // a renewed subscription was refused: Err
	EventNarrowed                            // the window is now Count: the server does not seem to take more
	EventFallback                            // the server does not support 5.0, as Err shows; the connection uses 3.1.1
	EventReused                              // Count new QoS 2 messages used unreleased identifiers: the server lost its session
	EventSuspected                           // several connections ended at the same packet, named in Err
	EventUndeliverable                       // a packet ends every connection: Tag, Err (an *Undeliverable), Dropped
)

// Event is a change that no call reports.
type Event struct {
	Kind           EventKind
	Err            error
	Wait           time.Duration
	Tag            uint64
	Count          int  // of EventMayBeLost and EventReused; of EventUp: the messages in flight
	SessionPresent bool // of EventUp
	Dropped        bool // of EventUndeliverable: the packet is not sent again
}

// eventTexts are the texts of the kinds, for Event.String.
var eventTexts = [...]string{
	EventUp: "connected again", EventDown: "disconnected", EventRetry: "attempt to connect failed", EventFailover: "server not usable",
	EventReferred: "referred to another server", EventRefused: "message refused", EventMayBeLost: "messages at QoS 0 may be lost",
	EventRenewalRefused: "subscription not renewed", EventNarrowed: "window reduced", EventFallback: "falling back to MQTT 3.1.1",
	EventReused: "packet identifiers reused by the server", EventSuspected: "looking for the reason", EventUndeliverable: "packet undeliverable",
}

// String returns the kind in a few words.
func (k EventKind) String() string {
	if int(k) < len(eventTexts) && eventTexts[k] != "" {
		return eventTexts[k]
	}
	return fmt.Sprintf("event %d", k)
}

// String returns a line for a log. It may contain text of the server.
func (e Event) String() string {
	text := e.Kind.String()
	if e.Count > 0 {
		text += fmt.Sprintf(" (%d)", e.Count)
	}
	if e.Err != nil {
		text += ": " + causeOf(e.Err).Error()
	}
	switch e.Kind {
	case EventUp:
		if !e.SessionPresent {
			text += " without the session"
		}
	case EventDown, EventRetry:
		text += fmt.Sprintf("; next attempt in %v", e.Wait.Round(time.Millisecond))
	}
	return text
}
