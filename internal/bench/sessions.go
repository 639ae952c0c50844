package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/units"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// A run leaves no session at the broker, unless Options.KeepSessions is set. The
// session of a client that is connected at the end is ended by the DISCONNECT of MQTT
// 5, which can set its expiry (section 3.14.2.2.2). The others are ended by a clean
// connection (MQTT-3.1.2-6 of 3.1.1, MQTT-3.1.2-4 of 5.0).

const (
	removeTime  = 20 * time.Second       // for the removal, besides the time that connecting takes
	hurriedTime = 5 * time.Second        // for all of it, in a run that was interrupted
	removeAgain = 500 * time.Millisecond // between two attempts of a client
)

// goodbye returns the DISCONNECT of a client that leaves; nil is the usual one.
func (w *worker) goodbye(cl *client, c *swarm.Client) *packet.Disconnect {
	if !cl.kept || w.run.o.KeepSessions || w.run.o.proven || cl.g.Version < packet.V5 || c != cl.c || !c.Up() {
		return nil
	}
	cl.kept = false
	var p packet.Disconnect
	p.Properties, _ = p.Properties.AppendUint(packet.SessionExpiryInterval, 0)
	return &p
}

// removeSessions removes the sessions that the goodbyes have left.
func (r *run) removeSessions(ctx context.Context) {
	if r.o.KeepSessions || !r.reached.Load() {
		return
	}
	most := r.p.Phases.Connect.At(uint64(r.p.Clients())) + removeTime
	if ctx.Err() != nil {
		most = hurriedTime
	}
	from := r.now()
	for _, w := range r.workers {
		w.loop.Do(func() { w.remove(from) })
	}
	r.wait(from+most, func() bool { return r.sum((*worker).remaining) == 0 })
	if n := r.sum((*worker).remaining); n > 0 {
		err := errors.New("there was not enough time")
		for _, w := range r.workers {
			w.loop.Do(func() {
				if w.unremoved != nil {
					err = w.unremoved
				}
			})
		}
		if r.o.Left != nil {
			r.o.Left(int(n), err)
			return
		}
		r.noteEvent(result.NoteError, fmt.Sprintf("%s may be left at the broker: %v", units.Count(n, "session"), err))
	}
}

// remaining returns how many sessions of the loop's clients are not removed.
func (w *worker) remaining() (n int64) {
	for i := range w.clients {
		if w.clients[i].kept {
			n++
		}
	}
	return n
}

// remove makes the clients with a session end it, at the plan's connect rate.
func (w *worker) remove(at time.Duration) {
	w.removing, w.timers = true, timers{}
	for i := range w.clients {
		if cl := &w.clients[i]; cl.kept {
			w.later(at+w.run.p.Phases.Connect.At(uint64(cl.g.Base+cl.index)), func(time.Duration) { w.removeOne(cl) })
		}
	}
}

func (w *worker) removeOne(cl *client) {
	if !cl.kept {
		return
	}
	if !cl.c.Idle() {
		w.later(w.loop.Now()+removeAgain, func(time.Duration) { w.removeOne(cl) })
		return
	}
	_ = cl.c.Forget(nil) // cannot fail: it is idle
	w.present++
	_ = cl.c.Connect(cl.spec()) // likewise
}

// notRemoved schedules another attempt.
func (w *worker) notRemoved(cl *client, err error) {
	if w.removing && cl.kept {
		w.unremoved = err
		w.later(w.loop.Now()+removeAgain, func(time.Duration) { w.removeOne(cl) })
	}
}

// removePacket fills in the CONNECT that ends a session.
func (w *worker) removePacket(cl *client, p *packet.Connect) {
	w.identify(cl, p)
	p.CleanStart = true
}
