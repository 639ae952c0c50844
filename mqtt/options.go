package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// Session says which session of the server a client uses. The zero value begins
// a new one, which ends with the connection.
type Session struct {
	// Resume continues the session that the server may have for
	// Options.ClientID (clean start 0; before 5.0, clean session 0). Otherwise
	// the server discards it. In 5.0 it is Expiry that makes the server keep the
	// session while the client is away.
	//
	// Only a Journal knows which packet identifiers an earlier program used in
	// that session, and the server takes a new message at QoS 2 with one of
	// those for the old message. So without a Journal such a session refuses
	// messages at QoS 2 with ErrInherited, and a client that is PublishOnly
	// begins a new session.
	Resume bool
	// Expiry is how long the server keeps the session after the connection
	// ends, in whole seconds; Forever means that it never expires. Versions
	// before 5.0 know no expiry: they keep a session that is resumed, until
	// Client.DiscardSession or another client with the same ClientID begins a
	// new one.
	Expiry time.Duration
	// Keep makes versions before 5.0 keep also a session that begins with this
	// client across its connections. An extra connection comes first and
	// discards what the server may hold for ClientID. The session stays when the
	// client ends. Without a ClientID, or with NewClientID, nothing is kept
	// before 5.0.
	Keep bool
}

// Forever is a Session.Expiry that never ends.
const Forever time.Duration = (1<<32 - 1) * time.Second

// Options configures a client. The zero value connects with MQTT 5.0, falls
// back to 3.1.1, starts clean with a client ID that the server assigns, and
// does not reconnect.
type Options struct {
	// Servers are the URLs of further servers, which are tried in order where
	// one is not reached or refuses a connection for a reason that may pass. A
	// client that reconnects begins with the one that answered last. Targets
	// are the same for addresses that are parsed already, or that a URL cannot
	// express, such as SRV records.
	Servers []string
	Targets []*transport.Target
	// TLS is the configuration for mqtts and wss URLs, with certificates in
	// memory. If nil, servers are verified against the system's authorities. An
	// empty ServerName means the host of the URL.
	TLS *tls.Config
	// Dial, if not nil, opens the byte stream to a server, at the first
	// connection and each later one. The method of a transport.Dialer fits: it
	// connects through proxies, from a local address, with WebSocket headers or
	// with certificates in files. The stream need not support deadlines: to
	// interrupt it, the client closes it.
	Dial func(ctx context.Context, server *transport.Target) (net.Conn, error)
	// FollowReferences makes the client connect to the servers that a server
	// names when it refuses or closes a connection with "use another server" or
	// "server moved" (section 4.11). Such a reference never leads from TLS to an
	// open connection. With a server it does not know, the client shares its
	// credentials.
	FollowReferences bool

	// Version is the protocol version. 0 tries 5.0, and 3.1.1 if the server
	// refuses 5.0 or ends two connections in a row right after CONNECT.
	// EventFallback reports the fallback, which holds for the server's address:
	// a reconnect tries 5.0 again, unless the server refused it explicitly or a
	// message is in flight.
	Version  packet.Version
	ClientID string // if empty, the server assigns one
	// NewClientID declares that ClientID was never used before: there is no
	// session to clean, and in 5.0 the client does not ask for a clean start.
	// Some servers keep only sessions that began this way over their own
	// restart. With an empty ClientID it allows a Session.Expiry: the session
	// then serves this client alone, because no later one knows the identifier.
	NewClientID bool
	// Session is the session to use. To keep one, the client needs a ClientID.
	Session Session

	// KeepAlive is the longest silence before a PINGREQ, in whole seconds up to
	// 65,535; the default is 60 s. NoKeepAlive sends none; then a server that
	// vanished is noticed only when a write stalls.
	KeepAlive time.Duration
	// Username and Password are the credentials for all servers. If both are
	// absent, those of each server's URL are used. Versions before 5.0 have
	// no password without a user name (MQTT-3.1.2-22).
	Username string
	Password []byte // nil for none
	// NewPassword, if not nil, is called before each attempt to connect but the
	// first and returns the password to use from then on, for passwords that
	// expire. If it returns an error, the previous password is used. ctx ends
	// with the client, or with Connect.
	NewPassword func(ctx context.Context) ([]byte, error)
	Will        *Will
	Properties  packet.Properties // additional CONNECT properties
	// UnsubscribeProperties are the user properties of every UNSUBSCRIBE.
	UnsubscribeProperties packet.Properties
	// DropProperties sends messages, the will and subscriptions without what
	// only MQTT 5.0 can carry, if the connection uses an older version. By
	// default they are refused with ErrNeeds5.
	DropProperties bool

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
	// ReceiveLimit is how many unacknowledged messages are accepted if that is
	// more than ReceiveMaximum: mosquitto 2.0 sends more than was announced
	// when it resumes a session.
	ReceiveLimit uint16
	// TopicAliasMaximum is the number of topic aliases that the server may use,
	// SendAliases the number that this client uses.
	TopicAliasMaximum, SendAliases uint16

	// ConnectTimeout limits one attempt, from dial to CONNACK; the default is
	// 30 s.
	ConnectTimeout time.Duration
	// RetryFirst, if not nil, is called when an attempt to make the first
	// connection has failed, as Reconnect is later: Connect then waits and tries
	// again, as long as its context allows. To wait for a server that has not
	// started yet, give both the same policy.
	RetryFirst func(attempt int, err error) (wait time.Duration, ok bool)
	// Reconnect, if not nil, is called after a lost connection or a failed
	// attempt and returns how long to wait before the next one. attempt counts
	// from 1 and restarts when a connection has lasted 30 s. The client gives
	// up if ok is false, or if Reconnect is nil: Done is then closed, and Err
	// returns the reason. See Backoff.
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

	// InDoubt, if not nil, is called for each message at QoS 2 that was sent and
	// is not completely acknowledged when the server reports that it lost the
	// session: it may have been delivered. If InDoubt returns true, as without
	// it, the message is sent again and may arrive twice; otherwise it is given
	// up, and its outcome is ErrInDoubt. The tag of a message of Publish is 0,
	// and the topic is empty if a Journal did not keep the message. MQTT 3.1
	// does not report a lost session. InDoubt must return quickly and must not
	// call the client.
	InDoubt func(tag uint64, topic string) (resend bool)

	// OnOutcome, if not nil, is called once for each message at QoS 1 and 2 that
	// Send has accepted, with its tag, when its outcome is known: nil when the
	// server has acknowledged it, otherwise an *Error. When the client ends, the
	// rest follows with ErrInDoubt, or with ErrKept if a Journal has them.
	// A Journal restores the tags of an earlier program with its messages; a
	// message of Publish has the tag 0 then. It is called like OnEvent.
	OnOutcome func(tag uint64, err error)

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

// check refuses values that MQTT cannot express, and encodes the will.
func (o *Options) check() error {
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
		{"Session.Expiry", o.Session.Expiry, math.MaxInt64},
		{"Will.Delay", o.willDelay(), Forever},
	} {
		if err := wholeSeconds(d.name, d.value, d.most); err != nil {
			return err
		}
	}
	if o.Will != nil {
		p, err := o.Will.encoded()
		if err == nil {
			_, err = packet.ParseProperties(p, packet.WillProperties)
		}
		if err != nil {
			return fmt.Errorf("Will: %w", err)
		}
		o.Will = &Will{Message: o.Will.Message, Delay: o.Will.Delay}
		o.Will.Properties = p
	}
	switch {
	case o.Session.Resume && o.ClientID == "":
		return errors.New("Session.Resume needs a ClientID: the session of an unknown client cannot be resumed")
	case o.Session.Expiry > 0 && o.ClientID == "" && !o.NewClientID:
		return errors.New("Session.Expiry needs a ClientID: no client could find the session again")
	}
	if o.ConnectTimeout > 0 && o.ConnectTimeout < time.Millisecond {
		return fmt.Errorf("ConnectTimeout of %v is less than 1ms", o.ConnectTimeout)
	}
	if _, err := packet.ParseProperties(o.UnsubscribeProperties, packet.UNSUBSCRIBE); err != nil {
		return fmt.Errorf("UnsubscribeProperties: %w", err)
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
	Late       uint64 // replies to requests that no call waits for any more
	Reconnects uint64
}
