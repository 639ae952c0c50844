package mqtt

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// Message is one application message, to be published or as received.
//
// Payload, CorrelationData and Properties of a received message are views into a
// receive buffer: they are valid until the message is released (see [Batch],
// [Client.Messages] and [Handler]). Clone returns a copy that stays valid.
// Strings stay valid.
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

	// What follows is new in MQTT 5.0: see Options.DropProperties. In received
	// messages the fields are set by Messages and for handlers, and by Decode;
	// Receive, which is made for speed, leaves them to its caller.

	Text            bool          // the payload is UTF-8 text (payload format indicator)
	ContentType     string        // of the payload, such as "application/json"
	ResponseTopic   string        // where a reply is expected
	CorrelationData []byte        // that a reply repeats
	Expiry          time.Duration // rest of the message's lifetime in whole seconds, up to 4294967295 s; 0 means no limit
	UserProperties  []UserProperty

	// Properties is the encoded PUBLISH property block, empty before MQTT 5.0.
	// In received messages it is complete, except for the topic alias. When
	// publishing, a field above that is not zero replaces the property here.
	Properties packet.Properties
}

// UserProperty is a pair of strings that MQTT 5.0 carries with a message, for
// any purpose. The same name may appear more than once.
type UserProperty struct{ Name, Value string }

// Decode sets the fields for properties from Properties.
func (m *Message) Decode() {
	m.Text, m.ContentType, m.ResponseTopic, m.CorrelationData, m.Expiry, m.UserProperties = false, "", "", nil, 0, nil
	if len(m.Properties) == 0 {
		return
	}
	users, texts := 0, 0
	for q := range m.Properties.All() {
		switch q.ID {
		case packet.PayloadFormatIndicator:
			m.Text = q.Uint == 1
		case packet.MessageExpiryInterval:
			m.Expiry = time.Duration(q.Uint) * time.Second
		case packet.CorrelationData:
			m.CorrelationData = q.Bytes
		case packet.UserProperty:
			users++
			texts += len(q.Bytes) + len(q.Value)
		case packet.ContentType, packet.ResponseTopic:
			texts += len(q.Bytes)
		}
	}
	if texts > 0 || users > 0 {
		m.decodeTexts(users, texts)
	}
}

// decodeTexts is Decode for the properties that are strings, which share one
// allocation. users is the number of user properties, and size is the length of
// all strings.
func (m *Message) decodeTexts(users, size int) {
	var b strings.Builder
	b.Grow(size)
	text := func(p []byte) string {
		b.Write(p)
		return b.String()[b.Len()-len(p):]
	}
	if users > 0 {
		m.UserProperties = make([]UserProperty, 0, users)
	}
	for q := range m.Properties.All() {
		switch q.ID {
		case packet.ContentType:
			m.ContentType = text(q.Bytes)
		case packet.ResponseTopic:
			m.ResponseTopic = text(q.Bytes)
		case packet.UserProperty:
			m.UserProperties = append(m.UserProperties, UserProperty{text(q.Bytes), text(q.Value)})
		}
	}
}

// User returns the value of the first user property with this name, or "".
func (m *Message) User(name string) string {
	for _, u := range m.UserProperties {
		if u.Name == name {
			return u.Value
		}
	}
	return ""
}

// hasFields reports whether a field for a property is set.
func (m *Message) hasFields() bool {
	return m.Text || m.ContentType != "" || m.ResponseTopic != "" || m.CorrelationData != nil || m.Expiry != 0 || len(m.UserProperties) > 0
}

// encoded returns the property block to publish: Properties and the fields.
func (m *Message) encoded() (packet.Properties, error) {
	if !m.hasFields() {
		return m.Properties, nil
	}
	size := 2 + 3 + len(m.ContentType) + 3 + len(m.ResponseTopic) + 3 + len(m.CorrelationData) + 5
	for _, u := range m.UserProperties {
		size += 5 + len(u.Name) + len(u.Value)
	}
	fields := make(packet.Properties, 0, size)
	var err error
	add := func(grown packet.Properties, failure error) { fields, err = grown, cmp.Or(err, failure) }
	if m.Text {
		add(fields.AppendUint(packet.PayloadFormatIndicator, 1))
	}
	if m.Expiry != 0 {
		if bad := wholeSeconds("Expiry", m.Expiry, Forever); bad != nil {
			return nil, bad
		}
		add(fields.AppendUint(packet.MessageExpiryInterval, uint32(m.Expiry/time.Second)))
	}
	if m.ContentType != "" {
		add(fields.AppendBytes(packet.ContentType, []byte(m.ContentType)))
	}
	if m.ResponseTopic != "" {
		add(fields.AppendBytes(packet.ResponseTopic, []byte(m.ResponseTopic)))
	}
	if m.CorrelationData != nil {
		add(fields.AppendBytes(packet.CorrelationData, m.CorrelationData))
	}
	for _, u := range m.UserProperties {
		add(fields.AppendUser([]byte(u.Name), []byte(u.Value)))
	}
	if err != nil || len(m.Properties) == 0 {
		return fields, err
	}
	p := make(packet.Properties, 0, len(m.Properties)+len(fields))
	for q := range m.Properties.All() {
		if _, replaced := fields.Uint(q.ID); !replaced {
			if p, err = p.Append(q); err != nil {
				return nil, err
			}
		}
	}
	return append(p, fields...), nil
}

// wholeSeconds refuses durations that MQTT cannot express, such as those given in
// the wrong unit: 30 is 30 ns.
func wholeSeconds(name string, d, most time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("%s of %v is negative", name, d)
	case d > most:
		return fmt.Errorf("%s of %v exceeds %v", name, d, most)
	case d%time.Second != 0 && d < Forever:
		return fmt.Errorf("%s of %v is not in whole seconds", name, d)
	}
	return nil
}

// Clone returns a copy of m with its own payload and properties.
func (m *Message) Clone() *Message {
	c := *m
	c.Payload = append([]byte(nil), m.Payload...)
	c.Properties = append(packet.Properties(nil), m.Properties...)
	if m.CorrelationData != nil {
		c.CorrelationData = append([]byte{}, m.CorrelationData...)
	}
	c.UserProperties = append([]UserProperty(nil), m.UserProperties...)
	return &c
}
