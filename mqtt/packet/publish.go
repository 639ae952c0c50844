package packet

import "encoding/binary"

// Publish is the PUBLISH packet (section 3.3).
type Publish struct {
	Dup        bool
	QoS        QoS
	Retain     bool
	Topic      []byte // topic name; may be empty in 5.0 with a topic alias
	PacketID   uint16 // 0 at QoS 0
	Properties Properties
	Payload    []byte
}

// AppendTo appends the packet to dst. It refuses lengths, QoS levels and
// identifiers that cannot be encoded; it does not check the topic name.
func (p *Publish) AppendTo(dst []byte, v Version) ([]byte, error) {
	if len(p.Topic) > MaxString {
		return dst, ErrStringTooLong
	}
	n := 2 + len(p.Topic) + len(p.Payload)
	if v >= V5 {
		n += varintLen(len(p.Properties)) + len(p.Properties)
	} else if len(p.Properties) > 0 {
		return dst, ErrNeedsV5
	}
	first := byte(PUBLISH)<<4 | byte(p.QoS)<<1
	if p.QoS > 0 {
		if p.QoS > 2 {
			return dst, ErrQoS
		}
		if p.PacketID == 0 {
			return dst, ErrPacketID
		}
		n += 2
	} else if p.Dup && v >= V311 { // 3.1 allows it
		return dst, ErrDup
	}
	if n > MaxRemainingLength {
		return dst, ErrPacketTooLong
	}
	if p.Dup {
		first |= 8
	}
	if p.Retain {
		first |= 1
	}
	dst = appendHeader(dst, first, n)
	dst = append(dst, byte(len(p.Topic)>>8), byte(len(p.Topic)))
	dst = append(dst, p.Topic...)
	if p.QoS > 0 {
		dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID))
	}
	if v >= V5 {
		dst = append(appendVarint(dst, len(p.Properties)), p.Properties...)
	}
	return append(dst, p.Payload...), nil
}

// Size returns the length in bytes of the packet that AppendTo would append.
func (p *Publish) Size(v Version) int {
	n := 2 + len(p.Topic) + len(p.Payload) + propsLen(p.Properties, v)
	if p.QoS > 0 {
		n += 2
	}
	return headerLen(n) + n
}

// Parse decodes a PUBLISH.
func (p *Publish) Parse(f Frame, v Version) error {
	b := f.Body
	p.Dup, p.QoS, p.Retain = f.Flags&8 != 0, QoS(f.Flags>>1&3), f.Flags&1 != 0
	p.PacketID, p.Properties = 0, nil
	if p.QoS == 0 && p.Dup && v != V31 {
		return malformed(PUBLISH, "MQTT-3.3.1-2", "DUP is set at QoS 0", -1)
	}
	// The topic is decoded inline: this is the hottest decoder.
	if len(b) < 2 {
		return malformed(PUBLISH, "", "ends before the topic name", len(b))
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		r := reader{b: b, typ: PUBLISH}
		r.binary("the topic name")
		return r.err
	}
	p.Topic = b[2:n:n]
	if rule, why := checkTopicName(p.Topic); rule != "" {
		return malformed(PUBLISH, rule, "the topic name "+why, 2)
	}
	if p.QoS > 0 || v >= V5 {
		r := reader{b: b, off: n, typ: PUBLISH}
		if p.QoS > 0 {
			p.PacketID = r.packetID()
		}
		if v >= V5 {
			if r.off < len(b) && b[r.off] == 0 {
				r.off++
			} else {
				p.Properties = r.properties(PUBLISH)
			}
		}
		if r.err != nil {
			return r.err
		}
		n = r.off
	}
	p.Payload = b[n:]
	if len(p.Topic) == 0 {
		if v < V5 {
			return malformed(PUBLISH, "MQTT-4.7.3-1", "the topic name is empty", 0)
		}
		if _, ok := p.Properties.Uint(TopicAlias); !ok {
			return protocol(PUBLISH, "MQTT-3.3.2.1", "neither topic name nor topic alias", 0)
		}
	}
	return nil
}
