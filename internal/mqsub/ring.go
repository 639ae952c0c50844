package mqsub

import (
	"sync"

	"github.com/mqtools/mqtools/mqtt"
)

// ring acknowledges messages in the order of their receipt (MQTT-4.6.0-2 and -3) although the
// work on them ends in any order: it holds those that are pending, and acknowledges the
// finished ones before the first that is not. Messages stay in the memory of their batch, which
// is released after its last message.
type ring struct {
	mu      sync.Mutex
	pending []*pending
}

// pending are the first n messages of a batch, of which the last one is worked on.
type pending struct {
	b    *mqtt.Batch
	n    int
	done bool
	last bool // b is not used any more
}

// add adds the message before n. Those before it are finished, or were added.
func (r *ring) add(b *mqtt.Batch, n int) *pending {
	if b == nil { // acknowledged already
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &pending{b: b, n: n}
	r.pending = append(r.pending, p)
	return p
}

// finish marks a message as finished.
func (r *ring) finish(p *pending) {
	if p == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.done = true
	r.advanceLocked()
}

// pass marks the messages before n as finished, except those that were added.
func (r *ring) pass(b *mqtt.Batch, n int) { r.put(&pending{b: b, n: n, done: true}) }

// release releases the batch when all of its messages are finished.
func (r *ring) release(b *mqtt.Batch) { r.put(&pending{b: b, done: true, last: true}) }

func (r *ring) put(p *pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, p)
	r.advanceLocked()
}

// advanceLocked acknowledges what is finished.
func (r *ring) advanceLocked() {
	n := 0
	for ; n < len(r.pending) && r.pending[n].done; n++ {
		p := r.pending[n]
		if p.b.Ack(p.n); p.last {
			p.b.Release()
		}
	}
	r.pending = append(r.pending[:0], r.pending[n:]...)
}
