// Package packet encodes and decodes MQTT control packets: every packet of MQTT
// 3.1, 3.1.1 and 5.0, in both directions, with one codec that takes the
// protocol [Version] as an argument.
//
// # Encoding
//
// Each packet has AppendTo(dst, version), which appends one whole control
// packet to dst and returns the extended slice. On an error it returns dst
// unchanged. Encoders refuse what the format cannot carry (a string above
// 65,535 bytes, a packet above 268,435,455, QoS 3, packet identifier 0) and
// never truncate.
//
// # Decoding
//
// [Split] splits the next control packet off a buffer, and Parse of the
// packet's type decodes its [Frame]. Decoded packets are views: every byte
// slice in them, including [Properties], aliases the buffer that Split was
// given and is valid until the caller overwrites that buffer. Parse overwrites
// all fields of its receiver and reuses its slices, so that one struct serves a
// whole connection without allocating.
//
// Decoders validate everything that a receiver can check without state:
// lengths, reserved bits, UTF-8, property identifiers, types, ranges and
// repetition, reason codes, and trailing bytes. Their errors are [*Error]
// values with the reason code for an MQTT 5.0 peer and the identifier of the
// violated statement.
package packet

import "strconv"

// Version is the protocol level of the CONNECT packet: 3 for MQTT 3.1, 4 for
// 3.1.1 and 5 for 5.0.
type Version byte

// The protocol versions.
const (
	V31  Version = 3
	V311 Version = 4
	V5   Version = 5
)

// String returns the usual notation of the version, such as "3.1.1".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "level " + strconv.Itoa(int(v))
}

// ParseVersion parses the notation of String: 3.1, 3.1.1 or 5.0.
func ParseVersion(s string) (v Version, ok bool) {
	for v = V31; v <= V5; v++ {
		if v.String() == s {
			return v, true
		}
	}
	return 0, false
}

// Valid reports whether this package supports the version.
func (v Version) Valid() bool { return v >= V31 && v <= V5 }

// QoS is a quality of service level, 0 to 2.
type QoS byte

// Type is the control packet type, the upper four bits of the first byte
// (MQTT 5.0 section 2.1.2).
type Type byte

// The control packet types.
const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15
)

var typeNames = [16]string{
	"packet type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// String returns the packet's name in capitals, as in the specifications.
func (t Type) String() string { return typeNames[t&15] }

// Packet is implemented by all control packets of this package.
type Packet interface {
	// AppendTo appends the whole encoded packet to dst.
	AppendTo(dst []byte, v Version) ([]byte, error)
	// Parse decodes the body of f. The packet aliases its bytes.
	Parse(f Frame, v Version) error
}

// MaxRemainingLength is the largest value of the remaining length field, in
// bytes (MQTT 5.0 section 2.1.4).
const MaxRemainingLength = 268435455

// MaxSize is the size of the largest packet, in bytes. The sizes that a peer
// may announce go up to 4,294,967,295, which an int may not hold: they are
// limited to MaxSize.
const MaxSize = MaxRemainingLength + 5

// MaxString is the largest length of a string or of binary data, in bytes.
const MaxString = 65535
