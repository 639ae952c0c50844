package mqtt

import (
	"errors"
	"fmt"

	"github.com/mqtools/mqtools/mqtt/journal"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/session"
)

// restore restores the session from the journal, and makes the journal record
// its changes from then on.
func (c *Client) restore() error {
	j := c.opt.Journal
	if j == nil {
		return nil
	}
	err := j.Load(func(r journal.Record) error {
		if r.Kind == journal.Sent {
			if c.agreed.version == 0 {
				c.agreed.version = r.Version
			}
			if c.agreed.version != r.Version {
				return fmt.Errorf("a message is encoded for MQTT %v, but the connection uses %v", r.Version, c.agreed.version)
			}
		}
		return c.sess.Restore(session.ChangeKind(r.Kind), r.PacketID, r.Tag, r.Packet)
	})
	if err != nil {
		return &Error{Op: "restore", Class: ErrKept, Err: err}
	}
	c.sess.Changed = func(kind session.ChangeKind, id uint16, tag uint64, publish []byte) {
		if tag&syncTag != 0 {
			tag = 0 // the tag of a call means nothing in another process
		}
		j.Append(journal.Record{Kind: journal.Kind(kind), PacketID: id, Tag: tag, Version: c.agreed.version, Packet: publish})
	}
	return nil
}

// sync makes the journal durable before anything that depends on it is written
// to the network.
func (c *Client) sync() error {
	if c.opt.Journal == nil {
		return nil
	}
	if err := c.opt.Journal.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	return nil
}

// watchDoubt makes the session ask Options.InDoubt.
func (c *Client) watchDoubt() {
	ask := c.opt.InDoubt
	if ask == nil {
		return
	}
	c.sess.Doubt = func(tag uint64, publish []byte) bool {
		shown := tag
		if tag&syncTag != 0 {
			shown = 0
		}
		if ask(shown, topicOf(publish, c.agreed.version)) {
			return true
		}
		c.givenUp = append(c.givenUp, tag)
		return false
	}
}

// topicOf returns the topic of an encoded PUBLISH.
func topicOf(publish []byte, v packet.Version) string {
	var p packet.Publish
	if f, n, err := packet.Split(publish, v, 0); err != nil || n == 0 || p.Parse(f, v) != nil {
		return ""
	}
	return string(p.Topic)
}

// gaveUpLocked reports the messages that Options.InDoubt has given up.
func (c *Client) gaveUpLocked(events []Event) []Event {
	for _, tag := range c.givenUp {
		c.stats.Refused++
		failure := &Error{Op: "publish", Class: ErrInDoubt, Err: errSessionLost}
		if tag&syncTag != 0 {
			c.waiters.answer(uint32(tag), failure)
		} else if c.opt.OnOutcome != nil {
			events = append(events, Event{Kind: eventOutcome, Tag: tag, Err: failure})
		}
	}
	c.givenUp = nil
	return events
}

var errSessionLost = errors.New("the server lost the session")

// session.ChangeKind and journal.Kind have the same values.
var _ = [1]struct{}{}[int(session.ChangeCleared)-int(journal.Cleared)]
