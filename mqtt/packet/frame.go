package packet

import (
	"encoding/binary"
	"strconv"
)

// Frame is one control packet with its fixed header decoded.
type Frame struct {
	Type  Type
	Flags byte   // the lower four bits of the first byte
	Body  []byte // variable header and payload; aliases the input of Split
	// Need is set by Split if the input does not hold a whole packet: the
	// number of bytes, from the start of the packet, that are required to make
	// progress. It never exceeds the limit passed to Split.
	Need int
}

// Split splits the first control packet off b. n is the packet's whole length
// in bytes. If n is 0 and the error is nil, b holds only a part of it and
// f.Need is the length that b must reach.
//
// limit is the largest acceptable packet in bytes, including the fixed header;
// 0 means the protocol's limit. It is checked against the length field before
// the body has arrived, so that a caller never grows a buffer for a packet that
// is going to be refused. Reserved flags and types are refused after the first
// byte.
func Split(b []byte, v Version, limit int) (f Frame, n int, err error) {
	if len(b) < 2 {
		if len(b) == 1 {
			if err := checkFirst(b[0], v); err != nil {
				return f, 0, err
			}
		}
		f.Need = 2
		return f, 0, nil
	}
	first := b[0]
	if first>>4 != byte(PUBLISH) || first&6 == 6 {
		if err := checkFirst(first, v); err != nil {
			return f, 0, err
		}
	}
	length, head := int(b[1]), 2
	if length >= 128 {
		length &= 127
		for shift := 7; ; shift += 7 {
			if head == 5 {
				return f, 0, malformed(Type(first>>4), "MQTT-2.1.4", "remaining length has more than four bytes", -1)
			}
			if head == len(b) {
				f.Need = head + 1
				return f, 0, nil
			}
			c := b[head]
			head++
			length |= int(c&127) << shift
			if c < 128 {
				if c == 0 {
					return f, 0, malformed(Type(first>>4), "MQTT-1.5.5-1", "remaining length is not in its shortest form", -1)
				}
				break
			}
		}
	}
	n = head + length
	if limit > 0 && n > limit {
		return f, 0, &Error{Type: Type(first >> 4), Reason: PacketTooLarge, Rule: "MQTT-3.1.2-24",
			Text: "packet of " + strconv.Itoa(n) + " bytes, limit " + strconv.Itoa(limit), Offset: -1}
	}
	if n > len(b) {
		f.Need = n
		return f, 0, nil
	}
	f.Type, f.Flags, f.Body = Type(first>>4), first&15, b[head:n:n]
	return f, n, nil
}

// checkFirst refuses reserved types and flags (MQTT-2.1.3-1; 3.1.1:
// MQTT-2.2.2-2).
func checkFirst(first byte, v Version) error {
	t, flags := Type(first>>4), first&15
	switch t {
	case 0:
		return malformed(0, "MQTT-2.1.2", "packet type 0 is reserved", -1)
	case PUBLISH:
		if flags&6 == 6 {
			return malformed(t, "MQTT-3.3.1-4", "QoS 3", -1)
		}
		return nil
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		if flags == 2 || v == V31 && flags&^8 == 2 {
			return nil // MQTT 3.1 allows DUP here
		}
	case AUTH:
		if v != 0 && v < V5 {
			return malformed(0, "MQTT-2.1.2", "packet type 15 is reserved before MQTT 5.0", -1)
		}
		if flags == 0 {
			return nil
		}
	default:
		if flags == 0 || v == V31 {
			return nil // unused according to MQTT 3.1
		}
	}
	return malformed(t, "MQTT-2.1.3-1", "reserved flags are 0x"+strconv.FormatUint(uint64(flags), 16), -1)
}

// headerLen returns the size of a fixed header for a remaining length of n
// bytes.
func headerLen(n int) int {
	switch {
	case n < 1<<7:
		return 2
	case n < 1<<14:
		return 3
	case n < 1<<21:
		return 4
	}
	return 5
}

// appendHeader appends the fixed header.
func appendHeader(dst []byte, first byte, n int) []byte {
	if n < 128 {
		return append(dst, first, byte(n))
	}
	return appendVarint(append(dst, first), n)
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 128 {
		dst = append(dst, byte(n)|128)
		n >>= 7
	}
	return append(dst, byte(n))
}

func varintLen(n int) int { return headerLen(n) - 1 }

// appendString appends a length-prefixed string or binary data. The caller has
// checked the length.
func appendString(dst, s []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// appendProps appends a property block with its length; nothing before 5.0.
func appendProps(dst []byte, p Properties, v Version) []byte {
	if v < V5 {
		return dst
	}
	return append(appendVarint(dst, len(p)), p...)
}

// propsLen returns the encoded size of a property block with its length field.
func propsLen(p Properties, v Version) int {
	if v < V5 {
		return 0
	}
	return varintLen(len(p)) + len(p)
}
