package mqsub

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/process"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

const (
	// replyTime is how long a command may take for one reply.
	replyTime = 30 * time.Second
	// replyMost is the largest reply, in bytes.
	replyMost = 16 << 20
)

// reply replies to a request, which is a message with a response topic (section 4.10). The
// reply has the request's correlation data and QoS.
func (j *job) reply(ctx context.Context, m *mqtt.Message) error {
	if !j.echo && j.replyCommand == "" {
		return nil
	}
	answer, err := mqtt.ReplyTo(m, &mqtt.Message{Payload: m.Payload})
	if err != nil { // it is not a request
		return nil
	}
	if j.replyCommand != "" {
		if answer.Payload, err = j.ask(ctx, m); err != nil {
			if ctx.Err() != nil { // the next client to receive the message will reply
				return context.Cause(ctx)
			}
			j.inv.Warnf("no reply to a request on %s: %v", topic.Quote(m.Topic), err)
			return nil
		}
	}
	return j.publish(answer, "reply", func(err error) {
		j.inv.Warnf("no reply to a request on %s: %v", topic.Quote(m.Topic), err)
	})
}

// ask runs the command in the shell, with the payload as its standard input and the topic
// in the environment. Its output is the reply.
func (j *job) ask(ctx context.Context, m *mqtt.Message) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replyTime, errReplyTime)
	defer cancel()
	cmd := process.Shell(j.replyCommand)
	cmd.Stdin = bytes.NewReader(m.Payload)
	cmd.Env = append(cmd.Env, "MQ_MESSAGE_TOPIC="+m.Topic)
	cmd.Stderr = j.inv.Stderr
	return process.Output(ctx, cmd, replyMost)
}

var errReplyTime = fmt.Errorf("--reply-command: timed out after %v", replyTime)
