package mqtt

import "github.com/mqtools/mqtools/mqtt/packet"

// Message is one application message, to be published or as received.
//
// Payload and Properties of a received message are views into a receive buffer:
// they are valid until the message is released (see [Batch] and
// [Client.Messages]). Clone returns a copy that stays valid. Topic is an
// ordinary string and stays valid.
type Message struct {
	Topic   string     // topic name
	Payload []byte     // may be empty
	QoS     packet.QoS // of a received message: the QoS of this delivery
	Retain  bool
	Dup     bool // received only: this may be a redelivery

	// PacketID is the packet identifier of a received message at QoS 1 and 2,
	// otherwise 0. It is ignored when publishing.
	PacketID uint16

	// TopicAlias is the alias in the packet of a received message, or 0. It has
	// no meaning outside its connection and is ignored when publishing.
	TopicAlias uint16

	// Properties is the encoded PUBLISH property block, empty before MQTT 5.0.
	// The topic alias is removed from received messages.
	Properties packet.Properties
}

// Clone returns a copy of m with its own payload and properties.
func (m *Message) Clone() *Message {
	c := *m
	c.Payload = append([]byte(nil), m.Payload...)
	c.Properties = append(packet.Properties(nil), m.Properties...)
	return &c
}
