package session

import "github.com/mqtools/mqtools/mqtt/packet"

// Kind says what an Event reports.
type Kind uint8

// The events. Those of a server's side are marked S, of a client's side C.
const (
	None        Kind = iota // a packet was handled that concerns nobody else
	Connect                 // S: Event.Connect; answer with Accept or Refuse
	Connack                 // C: Event.Connack; on success call Resume
	Publish                 // Event.Publish is to be delivered; call Ack when that is done
	Done                    // the publish with Event.Tag is over: Reason, Properties
	Suback                  // C: Event.Suback answers the request with Event.Tag
	Subscribe               // S: Event.Subscribe; answer with Suback
	Unsubscribe             // S: Event.Unsubscribe; answer with Suback
	Pong                    // C: PINGRESP
	Disconnect              // Event.Disconnect; nothing more will come
	Auth                    // Event.Auth
)

// Event is what Next found. It is reused from call to call; its packets are
// views into Next's input, valid until the driver overwrites that.
type Event struct {
	Kind Kind
	Need int // with n == 0: how long the input must become

	Tag        uint64     // of Done and Suback
	QoS        packet.QoS // of Done
	Reason     packet.ReasonCode
	Properties packet.Properties // of the acknowledgement behind Done

	Publish     packet.Publish
	TopicAlias  uint16 // that Publish came with, which is no property of it any more; 0 without
	Connect     packet.Connect
	Connack     packet.Connack
	Suback      packet.Suback // SUBACK and UNSUBACK
	Subscribe   packet.Subscribe
	Unsubscribe packet.Unsubscribe
	Disconnect  packet.Disconnect
	Auth        packet.Auth

	ack packet.Ack
}
