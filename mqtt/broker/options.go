package broker

import (
	"net"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Options are the broker's settings. Zero values are the defaults named.
type Options struct {
	// Limits of one connection.
	MaxPacketSize     int           // largest packet accepted, bytes; 16 MiB
	ReceiveMaximum    uint16        // unacknowledged messages accepted; 1024
	TopicAliasMaximum uint16        // inbound topic aliases; 64
	MaxInflight       int           // outbound unacknowledged messages; 256, or less if the client says so
	MaxSubscriptions  int           // of one session; 1000
	MaxTopicLevels    int           // of a topic name or filter; 128
	ConnectTimeout    time.Duration // for CONNECT to come; 5 s
	StallTimeout      time.Duration // for a client to take what was written to it; 10 s
	MaxKeepAlive      time.Duration // longer ones, and none, become this in MQTT 5.0; no limit

	// Limits of what waits for one client. Reaching them slows publishers
	// down while the client is connected; for an absent one further messages
	// are dropped. At four times the bytes, which publishers that wait for
	// each other in a circle may cause, a connected client is cut off.
	QueueMessages int // 1000
	QueueBytes    int // bytes; 4 MiB

	// Limits of the whole broker.
	MaxConnections      int           // 1024
	MaxRetained         int           // retained messages; 100,000
	MaxRetainedBytes    int           // bytes; 256 MiB
	MaxSessionExpiry    time.Duration // longer ones become this; no limit
	MaxSessions         int           // connected or not; 10,000
	DisableRetain       bool          // announce and enforce that there are no retained messages
	MaximumQoS          packet.QoS    // highest QoS accepted; meaningful with LimitQoS
	LimitQoS            bool
	DisableSharedGroups bool // refuse shared subscriptions

	// Authenticate decides on a CONNECT; nil lets everybody in. Success is
	// yes, any other code goes into the CONNACK. p is valid during the call
	// only.
	Authenticate func(p *packet.Connect, remote net.Addr) packet.ReasonCode

	// Authorize decides whether a client may publish to a topic name
	// (write) or subscribe to a topic filter; nil allows everything. It is
	// called from many goroutines.
	Authorize func(clientID, username, topic string, write bool) bool

	// Log is told what happens; nil is silence. It is called from many
	// goroutines, sometimes with locks held: it must not call the broker.
	Log func(Event)
}

func (o *Options) fill() {
	set := func(p *int, n int) {
		if *p <= 0 {
			*p = n
		}
	}
	set(&o.MaxPacketSize, 16<<20)
	set(&o.MaxInflight, 256)
	set(&o.MaxSubscriptions, 1000)
	set(&o.MaxTopicLevels, 128)
	set(&o.QueueMessages, 1000)
	set(&o.QueueBytes, 4<<20)
	set(&o.MaxConnections, 1024)
	set(&o.MaxRetained, 100_000)
	set(&o.MaxRetainedBytes, 256<<20)
	set(&o.MaxSessions, 10_000)
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 1024
	}
	if o.TopicAliasMaximum == 0 {
		o.TopicAliasMaximum = 64
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 10 * time.Second
	}
}
