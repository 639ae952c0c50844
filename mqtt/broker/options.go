package broker

import (
	"net"
	"runtime"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Options are the broker's settings. Zero values are the defaults named.
type Options struct {
	// Limits of one connection.
	MaxPacketSize     int           // largest packet accepted, bytes; 16 MiB
	ReceiveMaximum    uint16        // unacknowledged messages accepted; 1024
	TopicAliasMaximum uint16        // inbound topic aliases; 64
	SendAliases       int           // outbound topic aliases of a client that accepts them; 64, negative for none
	MaxInflight       int           // outbound unacknowledged messages; 256, or less if the client says so
	MaxSubscriptions  int           // of one session; 100,000
	MaxTopicLevels    int           // of a topic name or filter; 128
	MaxTopicBytes     int           // of a topic name or filter; 65,535, which is MQTT's own limit
	MaxUserProperties int           // of a will, a PUBLISH or a SUBSCRIBE; 1000
	ConnectTimeout    time.Duration // for CONNECT to come and be judged, and for a re-authentication to end; 5 s
	StallTimeout      time.Duration // for a client to take what was written to it; 10 s

	// MaxKeepAlive is the longest keep alive; no limit. A client of MQTT 5.0
	// that wants a longer one, or none, is given this. One of an older
	// version, which cannot be given another, is refused.
	MaxKeepAlive time.Duration

	// Limits of what waits for one client. Reaching them slows publishers
	// down while the client is connected; for an absent one further messages
	// are dropped. At four times the bytes, which publishers that wait for
	// each other in a circle may cause, a connected client is cut off.
	QueueMessages int // 1000
	QueueBytes    int // bytes, and again of what is sent and not acknowledged; 4 MiB

	// MaxQueuedBytes is a limit of the memory for messages that wait for clients, or
	// for their acknowledgement, of all together; 256 MiB. A message that waits in
	// several queues counts once, and in each its place in it does.
	// Beyond it further messages for absent clients are dropped, and those
	// that are connected have a sixteenth of QueueBytes.
	MaxQueuedBytes int // bytes

	// ConnectRate is how many connections a second one address may open, and
	// at once when it has been quiet; 1000, negative for any number. What
	// exceeds it is refused with 0x9F, connection rate exceeded, and what
	// exceeds that twice is closed unread. Addresses of this machine's
	// loopback interface and those that are no IP addresses have no limit.
	ConnectRate int

	// Limits of the whole broker.
	MaxConnections   int           // 50,000; one that takes the place of another is not one more
	MaxRetained      int           // retained messages; 100,000
	MaxRetainedBytes int           // bytes of memory, which is more than that of the messages; 256 MiB
	MaxSessionExpiry time.Duration // longer ones become this; no limit
	MaxSessions      int           // connected or not, see below; 100,000

	// One more than MaxSessions ends a session as if it had expired: of the address
	// from which most absent clients were connected last, the one that has been away
	// for longest. If none is away, the CONNECT is refused with 0x97, quota exceeded.

	// MaxSubscriptionBytes is a limit of the memory for all subscriptions; 256 MiB.
	// It is what they take, about: some hundred bytes for each, and again for each
	// level of a topic filter that is in no other. Beyond it further ones are refused with 0x97, quota exceeded.
	MaxSubscriptionBytes int // bytes

	DisableRetain       bool       // announce and enforce that there are no retained messages
	MaximumQoS          packet.QoS // highest QoS accepted; meaningful with LimitQoS
	LimitQoS            bool
	DisableSharedGroups bool // refuse shared subscriptions

	DisableTopicAliases    bool // accept no topic aliases
	DisableWildcards       bool // refuse topic filters with wildcards
	DisableSubscriptionIDs bool // refuse subscription identifiers

	// SysInterval is how often the values of $SYS topics go to those who have
	// subscribed to them; 10 s, negative for no such topics. They cost nothing
	// while nobody has.
	SysInterval time.Duration
	Version     string // the value of $SYS/broker/version; "mqtools"

	// Redirect, unless nil, refuses every CONNECT and names another server;
	// ShutdownRedirect does so at Close (section 4.11).
	Redirect, ShutdownRedirect *Redirect

	// ResponsePrefix is the response information of a client that asks for it
	// (section 3.1.2.11.6), and the client identifier behind it: with
	// "reply/" client c1 is told "reply/c1". Characters that a topic name
	// cannot have there become %XX. Empty for none. Nothing but Authorize
	// keeps others from that topic.
	ResponsePrefix string

	// ReasonStrings explains refusals to MQTT 5.0 clients in words too: in
	// DISCONNECT and, unless the client has set request-problem-information
	// to 0 (MQTT-3.1.2-29), in acknowledgements.
	ReasonStrings bool

	// Authenticate decides on a CONNECT; nil lets everybody in. Success is
	// yes, any other code goes into the CONNACK. p is valid during the call
	// only.
	Authenticate func(p *packet.Connect, remote net.Addr) packet.ReasonCode

	// Recall is asked before Authenticate, and answers at once: whether this has
	// been let in before and may come in again. nil always says no.
	Recall func(p *packet.Connect, remote net.Addr) bool

	// Logins is how many calls of Authenticate there may be at once; half the number
	// of processors that Go uses, so that messages have the others. Others wait in a
	// bounded queue, in which addresses take turns, the user names of each, and the
	// client identifiers of those, until ConnectTimeout after they connected; they are
	// refused with 0x89, server busy, then.
	Logins int

	// DenyTime is how long after its CONNECT a client is told at the earliest that
	// Authenticate, Recall or an Exchange has refused it; at once. With every
	// failed login an eighth comes to it for the address, up to ConnectTimeout,
	// and goes again with time.
	DenyTime time.Duration

	// CertificateUser gives a client with a verified TLS certificate the
	// certificate's common name as its user name, whatever CONNECT says, and
	// asks neither Authenticate nor AuthMethods about it.
	CertificateUser bool

	// AuthMethods are the methods of enhanced authentication (section 4.12),
	// by name. Each CONNECT and each re-authentication gets a new Exchange.
	// A CONNECT with a method is not for Authenticate. All AUTH packets before
	// CONNACK have ConnectTimeout together, and so have those of one
	// re-authentication; the connection ends with 0x87, not authorized, then.
	AuthMethods map[string]func() Exchange

	// Authorize decides whether a client may publish to a topic name
	// (write) or subscribe to a topic filter; nil allows everything. It is
	// called from many goroutines, with locks held: it must not call the
	// broker. A will is asked about when it comes and when it is published.
	// A panic in it, as in Authenticate and AuthMethods, ends the connection
	// that it is called for with 0x80, unspecified error; where there is none,
	// it says no.
	Authorize func(clientID, username, topic string, write bool) bool

	// Log is told what happens; nil is silence. It is called from many
	// goroutines, sometimes with locks held: it must not call the broker.
	Log func(Event)
}

// Exchange is the server's side of one enhanced authentication.
type Exchange interface {
	// Step takes the client's authentication data, which is valid during the
	// call only and nil if the packet has none, and returns the server's. With
	// done the client has proved who it is. An error refuses it: with the
	// packet.ReasonCode that the error is or wraps, else as not authorized.
	Step(data []byte) (answer []byte, done bool, err error)

	// User is the user name that was proved, for Authorize; empty for that of
	// CONNECT. A re-authentication must prove the same.
	User() string
}

// Redirect is another server (section 4.11).
type Redirect struct {
	Reason    packet.ReasonCode // UseAnotherServer, for now, or ServerMoved, for good
	Reference string            // as "other.example:1883"; may be empty
}

// properties name the server.
func (r *Redirect) properties() (p packet.Properties) {
	if r.Reference != "" {
		p, _ = p.AppendBytes(packet.ServerReference, []byte(r.Reference))
	}
	return p
}

// Fill gives settings that are zero their defaults, as New does.
func (o *Options) Fill() {
	set := func(p *int, n int) {
		if *p <= 0 {
			*p = n
		}
	}
	set(&o.MaxPacketSize, 16<<20)
	set(&o.MaxInflight, 256)
	set(&o.MaxSubscriptions, 100_000)
	set(&o.MaxTopicLevels, 128)
	set(&o.MaxTopicBytes, packet.MaxString)
	set(&o.MaxUserProperties, 1000)
	set(&o.QueueMessages, 1000)
	set(&o.QueueBytes, 4<<20)
	set(&o.MaxQueuedBytes, 256<<20)
	if o.ConnectRate == 0 {
		o.ConnectRate = 1000
	}
	set(&o.MaxConnections, 50_000)
	set(&o.MaxRetained, 100_000)
	set(&o.MaxRetainedBytes, 256<<20)
	set(&o.MaxSessions, 100_000)
	set(&o.MaxSubscriptionBytes, 256<<20)
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 1024
	}
	switch {
	case o.DisableTopicAliases:
		o.TopicAliasMaximum = 0
	case o.TopicAliasMaximum == 0:
		o.TopicAliasMaximum = 64
	}
	if o.SendAliases == 0 {
		o.SendAliases = 64
	}
	o.SendAliases = min(max(o.SendAliases, 0), 65535)
	if o.SysInterval == 0 {
		o.SysInterval = 10 * time.Second
	}
	if o.Version == "" {
		o.Version = "mqtools"
	}
	set(&o.Logins, max(runtime.GOMAXPROCS(0)/2, 1))
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 10 * time.Second
	}
}
