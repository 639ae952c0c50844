package script

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// traces is what a play may leave at a broker.
type traces struct {
	sessions map[string]bool // by client ID
	retained map[string]bool // by topic
}

// sent records what a packet may leave at the broker.
func (t *traces) sent(f packet.Frame, v packet.Version) {
	switch f.Type {
	case packet.CONNECT:
		var p packet.Connect
		if p.Parse(f, v) == nil {
			t.session(p.ClientID)
			if p.HasWill && p.Will.Retain {
				t.topic(p.Will.Topic)
			}
		}
	case packet.PUBLISH:
		var p packet.Publish
		if p.Parse(f, v) == nil && p.Retain && len(p.Payload) > 0 {
			t.topic(p.Topic)
		}
	}
}

// received records a client ID that the broker has assigned.
func (t *traces) received(f packet.Frame, v packet.Version) {
	var p packet.Connack
	if f.Type == packet.CONNACK && p.Parse(f, v) == nil {
		id, _ := p.Properties.Bytes(packet.AssignedClientIdentifier)
		t.session(id)
	}
}

func (t *traces) session(id []byte) {
	if t.sessions == nil {
		t.sessions = map[string]bool{}
	}
	if len(id) > 0 {
		t.sessions[string(id)] = true
	}
}

func (t *traces) topic(name []byte) {
	if t.retained == nil {
		t.retained = map[string]bool{}
	}
	if len(name) > 0 {
		t.retained[string(name)] = true
	}
}

// cleanupTime is the limit for ending one session.
const cleanupTime = 2 * time.Second

// cleanUp ends the sessions of a play and removes its retained messages, as far as the broker
// allows.
func (p *play) cleanUp() {
	for id := range p.left.sessions {
		_ = p.visit(id, nil) // an error cannot be reported, and may not matter to the next script
	}
	if len(p.left.retained) > 0 {
		var out []byte
		for name := range p.left.retained {
			out, _ = (&packet.Publish{Topic: []byte(name), Retain: true}).AppendTo(out, packet.V311)
		}
		_ = p.visit("mqtools-cleanup", out)
	}
}

// visit connects with a clean session, which ends an older one, sends some packets and
// disconnects.
func (p *play) visit(id string, say []byte) error {
	ctx, cancel := context.WithTimeout(p.ctx, cleanupTime)
	defer cancel()
	nc, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(cleanupTime))
	n := &p.s.Needs
	c := packet.Connect{CleanStart: true, ClientID: []byte(id), HasUsername: n.Username != "", Username: []byte(n.Username),
		HasPassword: n.Username != "", Password: []byte(n.Password)}
	b, err := c.AppendTo(nil, packet.V311)
	if err != nil {
		return err
	}
	if _, err := nc.Write(b); err != nil {
		return err
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(nc, answer); err != nil || answer[0] != byte(packet.CONNACK)<<4 || answer[3] != 0 {
		return errors.Join(err, errors.New("no CONNACK"))
	}
	_, err = nc.Write(append(say, byte(packet.DISCONNECT)<<4, 0))
	if err == nil {
		_, _ = nc.Read(answer) // until the broker closes
	}
	return err
}
