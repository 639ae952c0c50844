package mqsub

import (
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// reply replies to a request, which is a message with a response topic (section 4.10), with
// its payload, if --echo is set. The reply has the request's correlation data and QoS.
func (j *job) reply(m *mqtt.Message) error {
	if !j.echo {
		return nil
	}
	answer, err := mqtt.ReplyTo(m, &mqtt.Message{Payload: m.Payload})
	if err != nil { // it is not a request
		return nil
	}
	return j.publishReply(m.Topic, answer)
}

// publishReply publishes the reply to a request on a topic.
func (j *job) publishReply(request string, answer *mqtt.Message) error {
	return j.publish(answer, "reply", func(err error) {
		j.inv.Warnf("no reply to a request on %s: %v", topic.Quote(request), err)
	})
}
