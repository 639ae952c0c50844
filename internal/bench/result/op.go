package result

import (
	"cmp"
	"slices"
)

// Op is an operation whose duration is measured.
type Op uint8

// The operations.
const (
	ConnectTCP     Op = iota // the TCP handshake
	ConnectTLS               // the TLS handshake
	ConnectConnack           // from the CONNECT packet to the CONNACK packet
	Connect                  // all of the above
	Subscribe                // to the SUBACK packet
	Unsubscribe              // to the UNSUBACK packet
	Puback                   // from a PUBLISH packet of QoS 1 to its PUBACK packet
	Pubcomp                  // from a PUBLISH packet of QoS 2 to its PUBCOMP packet
	Delivery                 // one way, from publisher to subscriber
	RTT                      // from a request to its reply
	Replay                   // a retained message, from the SUBSCRIBE packet
	Backlog                  // a message older than the connection, from its CONNECT packet
	Will                     // from the cut of the connection to the will's arrival
	ConnectUpgrade           // the upgrade to WebSocket
	Takeover                 // from the CONNECT packet of a second connection to the end of the first
	Return                   // from the end of a connection to the next one being ready
	AllBack                  // from the first such end to the last client's return
	Ping                     // from a PINGREQ packet to its PINGRESP packet
	numOps
)

var opNames = [numOps]string{
	"connect.tcp", "connect.tls", "connect.connack", "connect", "subscribe", "unsubscribe",
	"puback", "pubcomp", "delivery", "rtt", "replay", "backlog", "will",
	"connect.upgrade",
	"takeover", "return", "all-back", "ping",
}

// Ops returns all operations, in the order of reports.
func Ops() []Op {
	ops := make([]Op, numOps)
	for i := range ops {
		ops[i] = Op(i)
	}
	return ops
}

// String returns the operation's name in files and metrics, such as connect.tcp.
func (o Op) String() string {
	if o >= numOps {
		return "unknown operation"
	}
	return opNames[o]
}

// ParseOp returns the operation with the given name.
func ParseOp(name string) (Op, bool) {
	i := slices.Index(opNames[:], name)
	return Op(i), i >= 0
}

// Kind says where the measurement of an operation starts and ends.
type Kind uint8

// The kinds.
const (
	Response Kind = iota // from the intended time to the end
	Service              // from the actual send to the end
	Lag                  // from the intended time to the actual send
	numKinds
)

var kindNames = [numKinds]string{"response", "service", "lag"}

// String returns the kind's name in files and metrics.
func (k Kind) String() string {
	if k >= numKinds {
		return "unknown kind"
	}
	return kindNames[k]
}

// ParseKind returns the kind with the given name.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(kindNames[:], name)
	return Kind(i), i >= 0
}

// Key names a histogram.
type Key struct {
	Op    Op
	Kind  Kind
	Group string // a group of the plan
}

// compareKeys orders keys as in files.
func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group))
}
