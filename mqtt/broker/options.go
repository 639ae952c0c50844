package broker

import (
	"net"
	"runtime"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Options are the broker's settings. A zero value stands for the default named here.
type Options struct {
	// Limits of one connection.
	MaxPacketSize     int           // largest packet accepted, bytes; 16 MiB
	ReceiveMaximum    uint16        // unacknowledged messages accepted; 1024
	TopicAliasMaximum uint16        // inbound topic aliases; 64
	SendAliases       int           // outbound topic aliases, if the client accepts them; 64, negative for none
	MaxInflight       int           // outbound unacknowledged messages; 256, or less if the client sets it
	MaxSubscriptions  int           // of one session; 100,000
	MaxTopicLevels    int           // of a topic name or filter; 128
	MaxTopicBytes     int           // of a topic name or filter; 65,535, which is MQTT's own limit
	MaxUserProperties int           // of a will, a PUBLISH or a SUBSCRIBE; 1000
	ConnectTimeout    time.Duration // for CONNECT to arrive and be checked, and for a re-authentication; 5 s
	StallTimeout      time.Duration // for a client to take what was written to it; 10 s

	// MaxKeepAlive is the longest keep alive; no limit. An MQTT 5.0 client that
	// requests a longer one, or none, is given this one. A client of an older version,
	// which cannot be given another, is refused.
	MaxKeepAlive time.Duration

	// Limits of what waits for one client. At these limits publishers are slowed down
	// while the client is connected; for an absent client further messages are dropped.
	// At four times the bytes, which publishers that wait for each other in a circle
	// may cause, a connected client is disconnected.
	QueueMessages int // 1000
	QueueBytes    int // bytes, and the same again for sent and unacknowledged messages; 4 MiB

	// MaxQueuedBytes limits the memory for messages that wait for clients, or for their
	// acknowledgement, over all clients; 256 MiB. A message that waits in several
	// queues counts once; its place counts in each. Beyond the limit further messages
	// for absent clients are dropped, and connected clients have a sixteenth of
	// QueueBytes.
	MaxQueuedBytes int // bytes

	// ConnectRate is how many connections an address may open in a second, and at once
	// after a pause; 1000, negative for no limit. Connections beyond it are refused
	// with 0x9F, connection rate exceeded, and those beyond twice the rate are closed
	// unread. Addresses of the loopback interface and addresses that are not IP
	// addresses have no limit.
	ConnectRate int

	// Limits of the whole broker.
	MaxConnections   int           // 50,000; a connection that takes over another one does not add to it
	MaxRetained      int           // retained messages; 100,000
	MaxRetainedBytes int           // bytes of memory, which is more than the messages have; 256 MiB
	MaxSessionExpiry time.Duration // longer intervals are reduced to this; no limit
	MaxSessions      int           // connected or not, see below; 100,000

	// A session beyond MaxSessions ends another one as if that had expired: of the
	// address from which most absent clients last connected, the session that has been
	// absent for longest. If no session is absent, the CONNECT is refused with 0x97,
	// quota exceeded.

	// MaxSubscriptionBytes limits the memory for all subscriptions; 256 MiB. It is an
	// estimate: some hundred bytes for each subscription, and again for each level of a
	// topic filter that no other filter has. Further subscriptions are refused with
	// 0x97, quota exceeded.
	MaxSubscriptionBytes int // bytes

	DisableRetain       bool       // announce that retained messages are not available, and refuse them
	MaximumQoS          packet.QoS // highest QoS accepted; used with LimitQoS
	LimitQoS            bool
	DisableSharedGroups bool // refuse shared subscriptions

	DisableTopicAliases    bool // accept no topic aliases
	DisableWildcards       bool // refuse topic filters with wildcards
	DisableSubscriptionIDs bool // refuse subscription identifiers

	// SysInterval is how often the values of $SYS topics are published to their
	// subscribers; 10 s, negative for no $SYS topics. They cost nothing without
	// subscribers.
	SysInterval time.Duration
	Version     string // the value of $SYS/broker/version; "mqtools"

	// Redirect, if not nil, refuses every CONNECT and names another server.
	// ShutdownRedirect does so at Close (section 4.11).
	Redirect, ShutdownRedirect *Redirect

	// ResponsePrefix is the response information for a client that requests it (section
	// 3.1.2.11.6), followed by the client ID: with "reply/" client c1 gets "reply/c1".
	// Characters of the ID that a topic name cannot have become %XX. Empty for none.
	// Only Authorize keeps other clients from that topic.
	ResponsePrefix string

	// ReasonStrings explains refusals to MQTT 5.0 clients in words as well: in
	// DISCONNECT and, unless the client has set request-problem-information to 0
	// (MQTT-3.1.2-29), in acknowledgements.
	ReasonStrings bool

	// Authenticate decides on a CONNECT; nil accepts every client. Success accepts it;
	// any other code is sent in the CONNACK. p is valid only during the call.
	Authenticate func(p *packet.Connect, remote net.Addr) packet.ReasonCode

	// Recall is called before Authenticate. It reports, without delay, whether this
	// CONNECT has been accepted before and is to be accepted again. If it is nil, none
	// is.
	Recall func(p *packet.Connect, remote net.Addr) bool

	// Logins is how many calls of Authenticate may run at once; half the number of
	// processors that Go uses, so that messages have the others. Other clients wait in
	// a bounded queue, in which addresses take turns, then the user names of an
	// address, then the client IDs of a user name. After ConnectTimeout from the time
	// they connected, they are refused with 0x89, server busy.
	Logins int

	// DenyTime is the shortest time after its CONNECT at which a client learns that
	// Authenticate, Recall or an Exchange has refused it; 0 sends the refusal at once.
	// Each failed login adds an eighth for the address, up to ConnectTimeout, which
	// wears off with time.
	DenyTime time.Duration

	// CertificateUser gives a client with a verified TLS certificate the certificate's
	// common name as its user name, whatever CONNECT says, and calls neither
	// Authenticate nor AuthMethods for it.
	CertificateUser bool

	// AuthMethods are the methods of enhanced authentication (section 4.12), by name.
	// Each CONNECT and each re-authentication gets a new Exchange. Authenticate is not
	// called for a CONNECT with a method. All AUTH packets before CONNACK together have
	// ConnectTimeout, and so have those of one re-authentication; after that the
	// connection is closed with 0x87, not authorized.
	AuthMethods map[string]func() Exchange

	// Authorize reports whether a client may publish to a topic name (write) or
	// subscribe to a topic filter; nil allows everything. It is called from many
	// goroutines, with locks held: it must not call the broker. It is called for a will
	// when the will arrives and when it is published. A panic in it, as in Authenticate
	// and AuthMethods, closes the connection that it is called for with 0x80,
	// unspecified error; if there is no connection, it counts as a refusal.
	Authorize func(clientID, username, topic string, write bool) bool

	// Log is called for each event; it may be nil. It is called from many goroutines,
	// sometimes with locks held: it must not call the broker.
	Log func(Event)
}

// Exchange is the server's side of one enhanced authentication.
type Exchange interface {
	// Step is passed the client's authentication data, which is valid only during the
	// call and nil if the packet has none, and returns the server's. done says that the
	// client is authenticated. An error refuses the client: with the packet.ReasonCode
	// that the error is or wraps, otherwise as not authorized.
	Step(data []byte) (answer []byte, done bool, err error)

	// User returns the authenticated user name, for Authorize; empty for that of
	// CONNECT. A re-authentication must prove the same one.
	User() string
}

// Redirect is another server (section 4.11).
type Redirect struct {
	Reason    packet.ReasonCode // UseAnotherServer, for now, or ServerMoved, for good
	Reference string            // e.g. "other.example:1883"; may be empty
}

// properties returns the properties that name the server.
func (r *Redirect) properties() (p packet.Properties) {
	if r.Reference != "" {
		p, _ = p.AppendBytes(packet.ServerReference, []byte(r.Reference))
	}
	return p
}

// Fill sets settings that are zero to their defaults, as New does.
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
