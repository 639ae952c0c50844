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
// reconnect. The stream need not support deadlines: to interrupt it, the client
// closes it.
type DialFunc func(ctx context.Context) (net.Conn, error)

// Options configures a client. The zero value connects with MQTT 5.0, falls
// back to 3.1.1, starts clean with a client ID that the server assigns, and
// does not reconnect.
type Options struct {
	// Version is the protocol version. 0 tries 5.0, and 3.1.1 if the server
	// refuses 5.0 or ends two connections in a row right after CONNECT.
	// EventFallback reports the fallback, which holds for the server's address:
	// a reconnect tries 5.0 again, unless the server refused it explicitly or a
	// message is in flight.
	Version  packet.Version
	ClientID string
	// Resume continues the session that the server may have for ClientID (clean
	// start 0; before 5.0, clean session 0). Only a Journal knows which packet
	// identifiers an earlier program used in it, and the server takes a new
	// message at QoS 2 with one of those for the old message. So without a
	// Journal such a session refuses messages at QoS 2 with ErrInherited, and a
	// client that is PublishOnly begins a new session.
	Resume bool
	// Keep makes versions before 5.0, which have no SessionExpiry, keep a
	// session that begins with this client across its connections. An extra
	// connection comes first and discards what the server may hold for
	// ClientID. The session stays when the client ends; see DiscardSession.
	// Without a ClientID, or with NewClientID, nothing is kept before 5.0.
	Keep bool
	// NewClientID declares that ClientID was never used before: there is no
	// session to clean, and in 5.0 the client does not ask for a clean start.
	// Some servers keep only sessions that began this way over their own
	// restart.
	NewClientID bool
	// SessionExpiry is how long the server keeps the session after the
	// connection ends, in whole seconds. More than 4294967294 s means that it
	// never expires. MQTT 5.0 only.
	SessionExpiry time.Duration
	// KeepAlive is the longest silence before a PINGREQ, in whole seconds up to
	// 65,535; the default is 60 s. NoKeepAlive sends none; then a server that
	// vanished is noticed only when a write stalls.
	KeepAlive time.Duration
	Username  *string
	Password  []byte // nil for none
	// NewPassword, if not nil, is called before each attempt to restore a lost
	// connection and returns the password to use from then on, for passwords
	// that expire. If it returns an error, the previous password is used. ctx
	// ends with the client.
	NewPassword func(ctx context.Context) ([]byte, error)
	Will        *Will
	Properties  packet.Properties // additional CONNECT properties

	// MaxInflight limits the unacknowledged messages at QoS 1 and 2; the
	// default is 1024. The server's Receive Maximum limits them as well.
	MaxInflight int
	// OldInflight limits the unacknowledged messages at QoS 2 before 5.0, where
	// a server cannot announce its limit; the default is MaxInflight. Some
	// servers close the connection at the 21st.
	OldInflight int
	// MaxHeld limits the bytes of unacknowledged messages; the default is 8
	// MiB. One message always fits.
	MaxHeld int
	// ReceiveMaximum and MaxPacket (bytes) are announced to the server and
	// enforced; 0 means the limits of the protocol.
	ReceiveMaximum uint16
	MaxPacket      int
	// TopicAliasMaximum is the number of topic aliases that the server may use,
	// SendAliases the number that this client uses.
	TopicAliasMaximum, SendAliases uint16

	// ConnectTimeout limits one attempt, from dial to CONNACK; the default is
	// 30 s.
	ConnectTimeout time.Duration
	// Reconnect, if not nil, is called after a lost connection or a failed
	// attempt and returns how long to wait before the next one. attempt counts
	// from 1 and restarts when a connection has lasted 30 s. The client gives
	// up if ok is false. See Backoff.
	Reconnect func(attempt int, err error) (wait time.Duration, ok bool)

	// Journal keeps the session's unacknowledged messages beyond the life of
	// this client: Connect restores its contents and sends them again. Without
	// a Journal they are kept in memory until the client ends. Restored
	// messages are encoded for one protocol version, which the client then
	// uses.
	Journal journal.Journal

	// Authenticate, if not nil, starts an enhanced authentication (section
	// 4.12) for each connection and each Reauthenticate. ctx ends when that
	// authentication is over or has timed out; work that takes long must end
	// with it. It requires 5.0 and disables the fallback. See package auth.
	Authenticate func(ctx context.Context) (Authenticator, error)

	// PublishOnly is for clients that never receive. Messages that a kept
	// session still holds for this client stay there unacknowledged at QoS 1
	// and 2, and are ignored at QoS 0.
	PublishOnly bool

	// Undeliverable decides what happens to a packet that is proven to end
	// every connection on which it is sent. It is called like OnEvent. Without
	// it, a call returns the error, and a message given to Send or a renewed
	// subscription ends the client.
	Undeliverable func(*Undeliverable) Disposition

	// OnEvent is called with changes of the connection and with refused
	// messages. It runs in the client's goroutine without locks: it must return
	// quickly and must not wait for this client.
	OnEvent func(Event)
	// Trace is called with every packet; the frame is valid only during the
	// call. Calls for received packets come in order, as do those for sent
	// ones.
	Trace func(sent bool, f packet.Frame, v packet.Version)
}

// NoKeepAlive is a value of Options.KeepAlive that disables PINGREQs.
const NoKeepAlive time.Duration = -1

// defaults replaces zero values by the defaults.
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

// check refuses values that MQTT cannot express, such as durations given in the
// wrong unit: KeepAlive: 30 is 30 ns.
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
			return fmt.Errorf("%s of %v is negative", d.name, d.value)
		case d.value > d.most:
			return fmt.Errorf("%s of %v exceeds %v", d.name, d.value, d.most)
		case d.value%time.Second != 0 && d.value < never:
			return fmt.Errorf("%s of %v is not in whole seconds", d.name, d.value)
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
			return fmt.Errorf("%s of %d exceeds %d", n.name, n.value, n.most)
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
// called one at a time by the goroutine that created it. An error ends the
// attempt to connect; from Continue or Finish of a re-authentication it closes
// the connection. The resulting error matches ErrAuthentication. Data is at
// most 65,535 bytes; nil means a packet without data.
type Authenticator interface {
	Method() string                       // authentication method of CONNECT; always the same
	Start() (data []byte, err error)      // authentication data of CONNECT or of the first AUTH
	Continue(data []byte) ([]byte, error) // answers an AUTH from the server
	Finish(data []byte) error             // checks the data of the CONNACK or AUTH that accepts
}

// Will is the message that the server publishes when the connection ends
// without DISCONNECT.
type Will struct {
	Message
	Delay time.Duration // in whole seconds; MQTT 5.0
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	EventUp            EventKind = iota + 1 // a connection was accepted after a loss
	EventDown                               // the connection was lost: Err, and Wait until the next attempt
	EventRetry                              // an attempt failed: Err, and Wait until the next
	EventRefused                            // a message given to Send was refused: Tag, Err
	EventUnwritten                          // QoS 0 messages may be lost with a connection: Count
	EventSubscribed                         // a renewed subscription was refused: Err
	EventNarrowed                           // the window is now Count: the server does not seem to take more
	EventFallback                           // the server does not support 5.0, as Err shows; the connection uses 3.1.1
	EventReused                             // Count new QoS 2 messages used unreleased identifiers: the server lost its session
	EventSuspected                          // several connections ended at the same packet, named in Err
	EventUndeliverable                      // a packet ends every connection: Tag, Err (an *Undeliverable), Dropped
)

// Event is a change that no call reports.
type Event struct {
	Kind           EventKind
	Err            error
	Wait           time.Duration
	Tag            uint64
	Count          int  // of EventUnwritten and EventReused; of EventUp: the messages in flight
	SessionPresent bool // of EventUp
	Dropped        bool // of EventUndeliverable: the packet is not sent again
}

// Stats counts what a client has done.
type Stats struct {
	Sent       uint64 // messages accepted for sending, at any QoS
	Acked      uint64 // messages acknowledged at QoS 1 and 2
	Refused    uint64 // messages refused by the server at QoS 1 and 2
	Unwritten  uint64 // messages at QoS 0 that may not have reached the server
	Unfinished int    // messages at QoS 1 and 2 that are not acknowledged yet
	Received   uint64 // messages read from the connection
	Reused     uint64 // received QoS 2 messages that reused a packet identifier before its release
	Unread     uint64 // messages that a publish-only client did not take
	Reconnects uint64
}
