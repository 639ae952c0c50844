package mqtt

import "github.com/mqtools/mqtools/mqtt/packet"

// owed is an acknowledgement that is due when the first after messages of its
// batch are acknowledged.
type owed struct {
	after int
	gen   uint64
	qos   packet.QoS
	id    uint16
}

// debts returns the acknowledgements that b still has to send, in order of
// receipt. The result is not nil.
func (b *Batch) debts() []owed {
	if b.owed != nil {
		return b.owed
	}
	all := make([]owed, 0, len(b.Messages)-b.acked)
	for i := b.acked; i < len(b.Messages); i++ {
		if m := &b.Messages[i]; m.QoS > 0 {
			all = append(all, owed{i + 1, b.gen, m.QoS, m.PacketID})
		}
	}
	return all
}

// ackOwed is Ack for a batch with a list of acknowledgements.
func (b *Batch) ackOwed(n int) {
	c := b.c
	c.mu.Lock()
	for len(b.owed) > 0 && b.owed[0].after <= n {
		o := b.owed[0]
		b.owed = b.owed[1:]
		c.ackLocked(o.gen, o.qos, o.id)
	}
	wake := c.wakeLocked()
	c.mu.Unlock()
	c.out.wake(wake)
}

// unhandled returns the batches that Serve leaves to the next call, which
// contain only unhandled messages. A handled message that was received after an
// unhandled one is acknowledged with that: it becomes a debt of its batch, or
// of the one before if no unhandled message precedes it in its own.
func (s *dispatch) unhandled() []*Batch {
	var left []*Batch
	for _, h := range s.window {
		b := h.b
		b.owed = b.debts()
		kept, due := 0, b.owed[:0]
		for i, o := 0, 0; i < len(h.tasks); i++ {
			if !h.tasks[i].handled {
				b.Messages[kept] = b.Messages[i]
				kept++
			}
			for ; o < len(b.owed) && b.owed[o].after == i+1; o++ {
				debt := b.owed[o]
				if debt.after = kept; kept > 0 {
					due = append(due, debt)
					continue
				}
				before := left[len(left)-1] // the first batch begins with an unhandled message, or has acknowledged what precedes it
				debt.after = len(before.Messages)
				before.owed = append(before.owed, debt)
			}
		}
		if b.owed, b.acked, b.taken = due, 0, 0; kept == 0 {
			b.Release()
			continue
		}
		clear(b.Messages[kept:])
		b.Messages = b.Messages[:kept]
		left = append(left, b)
	}
	return left
}

// restock ends a loop and puts batches back in front of the queue.
func (c *Client) restock(batches []*Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.looping = false
	for _, b := range batches {
		c.inbox.bytes += cap(b.buf)
	}
	c.inbox.queue = append(batches, c.inbox.queue...)
}
