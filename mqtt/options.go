package mqtt

import (
	"context"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// DialFunc opens the byte stream of a connection. It is called again for each
// reconnect. The stream need not have deadlines: the client closes what it does
// not want to wait for.
type DialFunc func(ctx context.Context) (net.Conn, error)

// Options describes a client. The zero value connects with MQTT 5.0, falls
// back to 3.1.1, starts clean with an identifier that the server chooses, and
// does not reconnect.
type Options struct {
	// Version is the protocol; 0 tries 5.0 and, when the server refuses it or
	// ends two connections in a row right after CONNECT, 3.1.1. EventFallback
	// tells of that, which holds for the address: 5.0 is tried again by a
	// reconnect, if the server has not refused it in words and no message is in
	// flight.
	Version  packet.Version
	ClientID string
	// Resume continues the session that the server may hold for ClientID:
	// clean start 0, before 5.0 clean session 0. Which packet identifiers an
	// earlier program used in it only a Journal knows; to the server a new
	// message at QoS 2 under one of those is the old one. So without a Journal
	// messages at QoS 2 are refused with ErrInherited while such a session
	// goes on, and a client that is PublishOnly begins a new one.
	Resume bool
	// Keep has a session that begins with this client kept over its
	// connections before 5.0, where SessionExpiry does not. A connection
	// that only ends what the server may hold for ClientID comes first. The
	// session stays when the client ends; see DiscardSession. Without a
	// ClientID, or with a NewClientID, nothing is kept before 5.0.
	Keep bool
	// NewClientID says that ClientID is used for the first time: there is no
	// session to clean, and in 5.0 the client does not ask for a clean start.
	// Some servers keep over their own restart only sessions that began so.
	NewClientID bool
	// SessionExpiry is how long the server keeps the session after the
	// connection ends, in whole seconds; above 4294967294 s is for ever.
	// MQTT 5.0 only.
	SessionExpiry time.Duration
	// KeepAlive is the longest silence before a PINGREQ, in whole seconds up to
	// 65,535; default 60 s. NoKeepAlive sends none, and then only a write that
	// stalls shows that the server has gone without a word.
	KeepAlive time.Duration
	Username  *string
	Password  []byte // nil for none
	// NewPassword, unless nil, is asked before each attempt to restore a lost
	// connection for the password from then on, for those that expire. An error
	// keeps the one before. ctx ends with the client.
	NewPassword func(ctx context.Context) ([]byte, error)
	Will        *Will
	Properties  packet.Properties // further CONNECT properties

	// MaxInflight bounds the unacknowledged messages at QoS 1 and 2;
	// default 1024. The server's Receive Maximum bounds them too.
	MaxInflight int
	// OldInflight bounds those at QoS 2 before 5.0, which leaves a server no
	// way to announce its limit; default MaxInflight. Some servers end the
	// connection at the 21st.
	OldInflight int
	// MaxHeld bounds the bytes of unacknowledged messages; default 8 MiB.
	// One message always fits.
	MaxHeld int
	// ReceiveMaximum and MaxPacket (bytes) are announced to the server and
	// enforced; 0 for the protocol's limits.
	ReceiveMaximum uint16
	MaxPacket      int
	// TopicAliasMaximum is the number of topic aliases that the server may
	// use, SendAliases of those that this client will.
	TopicAliasMaximum, SendAliases uint16

	// ConnectTimeout bounds one attempt from dial to CONNACK; default 30 s.
	ConnectTimeout time.Duration
	// Reconnect, unless nil, is asked after a lost connection or a failed
	// attempt how long to wait before the next one. attempt counts from 1
	// and starts again when a connection has held for 30 s. ok false gives
	// up. See Backoff.
	Reconnect func(attempt int, err error) (wait time.Duration, ok bool)

	// Journal keeps the session's unacknowledged messages beyond the life of
	// this client: Connect restores what it holds, and sends it again. nil
	// keeps them in memory until the client ends. What is restored was encoded
	// for one protocol version, which becomes this client's.
	Journal journal.Journal

	// Authenticate, unless nil, begins one enhanced authentication (section
	// 4.12): for each connection, and for each Reauthenticate. ctx ends when
	// that is over, in whichever way, or its time is up; what takes long must
	// end with it. It needs 5.0: there is no fallback then. See package auth.
	Authenticate func(ctx context.Context) (Authenticator, error)

	// PublishOnly is for clients that never receive: messages that a kept
	// session still holds for this client are left there (not acknowledged)
	// at QoS 1 and 2, and ignored at QoS 0.
	PublishOnly bool

	// Undeliverable decides what becomes of a packet that is proven to end every
	// connection on which it is sent. It is called as OnEvent is. Without it a
	// call gets the error, and a message given to Send or a renewed subscription
	// ends the client.
	Undeliverable func(*Undeliverable) Disposition

	// OnEvent is told of changes of the connection and of refused messages.
	// It runs in the client's own goroutine without locks: it must return
	// soon and must not wait for this client.
	OnEvent func(Event)
	// Trace sees every packet; the frame is valid during the call only.
	// Calls for received packets come in order, as do those for sent ones.
	Trace func(sent bool, f packet.Frame, v packet.Version)
}

// NoKeepAlive is the Options.KeepAlive of a client that sends no PINGREQ.
const NoKeepAlive time.Duration = -1

// defaults puts in what 0 stands for.
func (o *Options) defaults() {
	if o.KeepAlive == 0 {
		o.KeepAlive = time.Minute
	}
	if o.MaxInflight == 0 {
		o.MaxInflight = 1024
	}
	if o.MaxHeld == 0 {
		o.MaxHeld = 8 << 20
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 30 * time.Second
	}
}

// check refuses what MQTT cannot say, as numbers that were meant in another
// unit: KeepAlive: 30 is 30 ns.
func (o *Options) check() error {
	const never = math.MaxUint32 * time.Second
	keepAlive := o.KeepAlive
	if keepAlive == NoKeepAlive {
		keepAlive = 0
	}
	for _, d := range [...]struct {
		name  string
		value time.Duration
		most  time.Duration
	}{
		{"KeepAlive", keepAlive, math.MaxUint16 * time.Second},
		{"SessionExpiry", o.SessionExpiry, math.MaxInt64},
		{"Will.Delay", o.willDelay(), never},
	} {
		switch {
		case d.value < 0:
			return fmt.Errorf("%s of %v: it is negative", d.name, d.value)
		case d.value > d.most:
			return fmt.Errorf("%s of %v: the most is %v", d.name, d.value, d.most)
		case d.value%time.Second != 0 && d.value < never:
			return fmt.Errorf("%s of %v: MQTT counts in whole seconds", d.name, d.value)
		}
	}
	for _, n := range [...]struct {
		name  string
		value int64
		most  int64
	}{
		{"MaxInflight", int64(o.MaxInflight), math.MaxInt64}, {"OldInflight", int64(o.OldInflight), math.MaxInt64},
		{"MaxHeld", int64(o.MaxHeld), math.MaxInt64}, {"MaxPacket", int64(o.MaxPacket), math.MaxUint32},
		{"ConnectTimeout", int64(o.ConnectTimeout), math.MaxInt64},
	} {
		switch {
		case n.value < 0:
			return fmt.Errorf("%s is negative", n.name)
		case n.value > n.most:
			return fmt.Errorf("%s of %d: the most is %d", n.name, n.value, n.most)
		}
	}
	return nil
}

func (o *Options) willDelay() time.Duration {
	if o.Will == nil {
		return 0
	}
	return o.Will.Delay
}

// Authenticator is one enhanced authentication (section 4.12). Its methods are
// called one after the other, by the goroutine that made it. An error ends the
// attempt to connect, or when it comes from Continue or Finish of a
// re-authentication the connection; it then matches ErrAuthentication. Data
// are at most 65,535 bytes; nil stands for a packet without.
type Authenticator interface {
	Method() string                       // authentication method of CONNECT, the same every time
	Start() (data []byte, err error)      // authentication data of CONNECT or of the first AUTH
	Continue(data []byte) ([]byte, error) // answers an AUTH of the server's
	Finish(data []byte) error             // judges the data of the CONNACK or AUTH that accepts
}

// Will is the message that the server publishes when the connection ends
// without a proper goodbye.
type Will struct {
	Message
	Delay time.Duration // whole seconds; MQTT 5.0
}

// EventKind says what an Event is about.
type EventKind uint8

// The events.
const (
	EventUp            EventKind = iota + 1 // a connection was accepted again after a loss
	EventDown                               // the connection was lost: Err, and Wait until the next attempt
	EventRetry                              // an attempt failed: Err, and Wait until the next
	EventRefused                            // a message given to Send was refused: Tag, Err
	EventUnwritten                          // QoS 0 messages may be lost with a connection: Count
	EventSubscribed                         // a renewed subscription was refused: Err
	EventNarrowed                           // at most Count messages are in flight from now on: the server seems to take no more
	EventFallback                           // the server does not take 5.0, and Err is how it showed that: the connection speaks 3.1.1
	EventReused                             // Count new messages at QoS 2 came under packet identifiers that the server had not released: it has lost its session
	EventSuspected                          // several connections have ended at one packet: Err names it
	EventUndeliverable                      // a packet ends every connection on which it is sent: Tag, Err (an *Undeliverable), Dropped
)

// Event is a change that no call reports.
type Event struct {
	Kind           EventKind
	Err            error
	Wait           time.Duration
	Tag            uint64
	Count          int  // of EventUnwritten and EventReused; of EventUp the messages under way
	SessionPresent bool // of EventUp
	Dropped        bool // of EventUndeliverable: it is not sent again
}

// Stats counts what a client did.
type Stats struct {
	Sent       uint64 // messages accepted for sending, all QoS
	Acked      uint64 // messages acknowledged at QoS 1 and 2
	Refused    uint64 // messages refused by the server at QoS 1 and 2
	Unwritten  uint64 // messages at QoS 0 that may not have reached the server
	Unfinished int    // messages at QoS 1 and 2 not acknowledged yet
	Received   uint64 // messages taken off the connection
	Reused     uint64 // of these at QoS 2: new under a packet identifier that the server had not released
	Unread     uint64 // messages that a publish-only client left alone
	Reconnects uint64
}
