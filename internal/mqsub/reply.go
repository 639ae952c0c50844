package mqsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/topic"
)

const (
	// replyTime is how long a command may take for one reply.
	replyTime = 30 * time.Second
	// replyMost is the largest reply, in bytes.
	replyMost = 16 << 20
)

// reply answers a request: a message with a response topic (section 4.10). The
// answer carries its correlation data and comes with its QoS.
func (j *job) reply(m *mqtt.Message) error {
	if !j.echo && j.replyCommand == "" {
		return nil
	}
	to, has := m.Properties.Bytes(packet.ResponseTopic)
	if !has {
		return nil
	}
	payload := m.Payload
	if j.replyCommand != "" {
		var err error
		if payload, err = j.ask(m); err != nil {
			j.inv.Warnf("no reply to a request on %s: %v", topic.Quote(m.Topic), err)
			return nil
		}
	}
	answer := &mqtt.Message{Topic: string(to), Payload: payload, QoS: m.QoS}
	if data, has := m.Properties.Bytes(packet.CorrelationData); has {
		answer.Properties, _ = answer.Properties.AppendBytes(packet.CorrelationData, data)
	}
	return j.publish(answer, "reply", func(err error) {
		j.inv.Warnf("no reply to a request on %s: %v", topic.Quote(m.Topic), err)
	})
}

// ask runs the command in the shell, with the payload as its standard input
// and the topic in the environment. What it prints is the reply.
func (j *job) ask(m *mqtt.Message) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), replyTime)
	defer cancel()
	cmd := process.Shell(ctx, j.replyCommand)
	cmd.Stdin = bytes.NewReader(m.Payload)
	cmd.Env = append(os.Environ(), "MQ_MESSAGE_TOPIC="+m.Topic)
	cmd.Stderr = j.inv.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the command has not ended in %v", replyTime)
	case errors.As(err, &exit):
		return nil, fmt.Errorf("the command ended with %v", err)
	case err != nil:
		return nil, err
	case len(out) > replyMost:
		return nil, fmt.Errorf("the command printed more than %d bytes", replyMost)
	}
	return out, nil
}
