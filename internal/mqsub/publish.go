package mqsub

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt"
	"github.com/mqtools/mqtools/mqtt/topic"
)

// published tracks what a subscriber publishes, replies and removals, and the results. Its
// methods are safe for concurrent use.
type published struct {
	mu       sync.Mutex
	inv      *cli.Invocation
	number   uint64
	recent   [1024]note // of those that may be in flight, by number
	refused  uint64
	reported int // reported individually
	lowered  bool
}

// note describes a message, in case it is refused.
type note struct {
	number uint64
	what   string // reply or removal
	topic  string
}

// maxReported is how many refusals are reported individually.
const maxReported = 10

// publish publishes a message. If this broker does not accept the message, publish calls
// unsent and the work continues; an error means that nothing more can be sent.
func (j *job) publish(m *mqtt.Message, what string, unsent func(error)) error {
	j.sent.Store(true)
	p := &j.published
	p.mu.Lock()
	p.number++
	number := p.number
	p.recent[number%uint64(len(p.recent))] = note{number, what, m.Topic}
	p.mu.Unlock()
	err := j.client.Send(context.Background(), m, number)
	if errors.Is(err, mqtt.ErrInherited) {
		// The session was started by an earlier run, whose packet identifiers are not
		// known. At QoS 1 they do no harm.
		p.mu.Lock()
		warned := p.lowered
		p.lowered = true
		p.mu.Unlock()
		if !warned {
			j.inv.Warnf("the session is from an earlier run: replies at QoS 2 go out at QoS 1")
		}
		at1 := *m
		at1.QoS = 1
		err = j.client.Send(context.Background(), &at1, number)
	}
	switch {
	case err == nil:
		return nil
	case j.client.Err() != nil:
		return j.conn.OperationError(err)
	}
	if mqtt.Unsupported(err) { // refused before it was sent
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
	}
	unsent(err)
	return nil
}

// event is the client's OnEvent.
func (p *published) event(e mqtt.Event) {
	switch e.Kind {
	case mqtt.EventMayBeLost:
		p.inv.Warnf("the connection was lost: %s at QoS 0 may not have been delivered", count(uint64(e.Count), "message"))
	case mqtt.EventRefused, mqtt.EventUndeliverable:
		if u, ok := errors.AsType[*mqtt.Undeliverable](e.Err); ok && len(u.Filters) > 0 {
			return // a subscription, which the connection reports
		}
		p.mu.Lock()
		p.refused++
		p.reported++
		reported, n := p.reported, p.recent[e.Tag%uint64(len(p.recent))]
		p.mu.Unlock()
		switch {
		case reported == maxReported+1:
			p.inv.Errorf("more errors follow; they are counted, not printed")
		case reported > maxReported:
		case n.number == e.Tag:
			p.inv.Errorf("%s on %s: %v", n.what, topic.Quote(n.topic), e.Err)
		default:
			p.inv.Errorf("%v", e.Err)
		}
	}
}

// verdict returns the error that says how much was refused, or nil.
func (p *published) verdict() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == 0 {
		return nil
	}
	return cli.Failed(option.ExitDenied, fmt.Errorf("%d of %s refused by the broker", p.refused, count(p.number, "published message")))
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
