package session

import "github.com/mqtools/mqtools/mqtt/packet"

// Kind is the kind of an Event.
type Kind uint8

// The kinds of events. Those of a server are marked S, those of a client C.
const (
	None        Kind = iota // a packet was handled; there is nothing to do
	Connect                 // S: Event.Connect; answer with Accept or Refuse
	Connack                 // C: Event.Connack; on success call Resume
	Publish                 // deliver Event.Publish, and then call Ack
	Done                    // the publish with Event.Tag is finished: Reason, Properties
	Suback                  // C: Event.Suback answers the request with Event.Tag
	Subscribe               // S: Event.Subscribe; answer with Suback
	Unsubscribe             // S: Event.Unsubscribe; answer with Suback
	Pong                    // C: PINGRESP
	Disconnect              // Event.Disconnect; no more packets will come
	Auth                    // Event.Auth
)

// Event is the result of Next. It is reused from call to call; its packets are
// views into Next's input, valid until the driver overwrites that.
type Event struct {
	Kind Kind
	Need int // if n == 0: the length that the input must reach

	Tag        uint64     // of Done and Suback
	QoS        packet.QoS // of Done
	Reason     packet.ReasonCode
	Properties packet.Properties // of the acknowledgement of Done

	Publish     packet.Publish
	TopicAlias  uint16 // alias of Publish, which is removed from its properties; 0 if there is none
	Connect     packet.Connect
	Connack     packet.Connack
	Suback      packet.Suback // SUBACK and UNSUBACK
	Subscribe   packet.Subscribe
	Unsubscribe packet.Unsubscribe
	Disconnect  packet.Disconnect
	Auth        packet.Auth

	ack packet.Ack
}
