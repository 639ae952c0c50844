package bench

import (
	"cmp"
	"context"
	"runtime/debug"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// play runs the phases.
func (r *run) play(ctx context.Context) error {
	c := r.collect(Step)
	defer c.stop()
	if wait := time.Until(r.o.Start); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := r.test(ctx, c)
	for _, w := range r.workers {
		w.loop.Do(w.leave)
	}
	r.wait(r.now()+2*time.Second, r.left)
	r.removeSessions(ctx)
	if err != nil {
		r.sumTroubles()
	}
	return err
}

// test runs the phases until the end of the drain.
func (r *run) test(ctx context.Context, c *collector) error {
	publishing, fixed := r.publishingAt()
	r.enter(c, plan.PhaseConnect, r.now(), 0)
	for _, w := range r.workers {
		w.loop.Do(func() { w.connectAll(r.now()) })
	}
	if err := r.awaitReady(ctx, publishing, fixed); err != nil {
		return err
	}
	settled := r.now() + r.p.Phases.Settle
	if fixed {
		settled = publishing
	}
	end, err := r.publish(ctx, c, settled)
	r.during()
	r.enter(c, plan.PhaseDrain, min(end, r.now()), r.p.Phases.Drain)
	for _, w := range r.workers {
		w.loop.Do(w.stopPublishing)
	}
	quiet, derr := r.drain(context.WithoutCancel(ctx), r.since+r.p.Phases.Drain)
	r.settle(quiet)
	return cmp.Or(err, derr)
}

// left reports whether no client is connected any more, or about to be.
func (r *run) left() bool {
	return r.sum(func(w *worker) int64 { return w.present }) == 0
}

// wait waits until at, or until done returns true, even if the run has ended.
func (r *run) wait(at time.Duration, done func() bool) {
	for !done() && r.now() < at {
		time.Sleep(min(at-r.now(), 5*time.Millisecond))
	}
}

// startDuring starts Options.During; r.during ends it.
func (r *run) startDuring(ctx context.Context) {
	if r.o.During == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.o.During(ctx, r.noteEvent)
	}()
	r.during = func() {
		cancel()
		<-done
	}
}

// publish runs the phases in which clients publish. It returns when the plan's last of
// them ends, swarm.Never if the plan does not say.
func (r *run) publish(ctx context.Context, c *collector, settled time.Duration) (end time.Duration, err error) {
	debug.FreeOSMemory() // release the memory that was needed only to connect
	r.enter(c, plan.PhaseSettle, r.now(), 0)
	if err = r.until(ctx, settled, nil); err != nil {
		return swarm.Never, err
	}
	filled := func() bool { return r.sum(func(w *worker) int64 { return w.filling + w.queued + w.flying }) == 0 }
	if err = r.until(ctx, swarm.Never, filled); err != nil {
		return swarm.Never, err
	}
	r.enter(c, plan.PhaseWarmUp, r.now(), r.p.Phases.WarmUp)
	r.startDuring(ctx)
	warm := r.since + r.p.Phases.WarmUp
	if err = r.until(ctx, warm, nil); err != nil {
		return swarm.Never, err
	}
	r.enter(c, plan.PhaseMeasure, warm, r.p.Phases.Measure)
	if r.p.Phases.Measure > 0 {
		end = r.since + r.p.Phases.Measure
		if !r.p.UntilDone {
			return end, r.until(ctx, end, nil)
		}
		err = r.until(ctx, end, r.counted)
		return min(end, r.now()), err
	}
	return swarm.Never, r.until(ctx, swarm.Never, r.counted)
}

// counted reports whether all streams with a message limit are done.
func (r *run) counted() bool {
	return r.sum(func(w *worker) int64 { return w.counting }) == 0
}

// publishingAt returns when publishing begins if there are several shards. All of them
// begin at the same time, ready or not.
func (r *run) publishingAt() (at time.Duration, fixed bool) {
	if r.shard.Count == 1 {
		return swarm.Never, false
	}
	ph := &r.p.Phases
	return ph.Connect.At(uint64(r.p.Clients())) + min(ph.ConnectTimeout, readyTime) + ph.Settle, true
}

// readyTime is how long the last clients of a shard may take to be ready.
const readyTime = 5 * time.Second

// awaitReady waits until all clients that connect at the start are connected and
// subscribed, or have failed.
func (r *run) awaitReady(ctx context.Context, latest time.Duration, fixed bool) error {
	var timeout <-chan time.Time
	if fixed {
		timeout = time.After(latest - r.now())
	}
	if r.waiting.Load() > 0 {
		select {
		case <-r.ready:
		case <-timeout:
			return ErrLate
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if first := r.first.Load(); first != nil && !r.reached.Load() {
		return first
	}
	return nil
}

// until waits until at, or until done returns true, or the run ends.
func (r *run) until(ctx context.Context, at time.Duration, done func() bool) error {
	for {
		if done != nil && done() {
			return nil
		}
		if err := r.giveUp.Load(); err != nil {
			return *err
		}
		wait := at - r.now()
		if wait <= 0 {
			return nil
		}
		wait = min(wait, time.Second)
		if done != nil {
			wait = min(wait, 5*time.Millisecond)
		}
		select {
		case <-time.After(wait):
		case <-r.gaveUp:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// abandon ends the run with an error, unless it has one already.
func (r *run) abandon(err error) {
	if r.giveUp.CompareAndSwap(nil, &err) {
		close(r.gaveUp)
	}
}

// drain waits until all that is owed has arrived, or until nothing arrives any more. It
// then reports quiet: there is nothing left to wait for. If messages still arrive, it
// stops waiting at latest.
func (r *run) drain(ctx context.Context, latest time.Duration) (quiet bool, err error) {
	begun := r.now()
	var probed, counted time.Duration
	err = r.until(ctx, swarm.Never, func() bool {
		now := r.now()
		last, gap, busy, asking, owed := begun, time.Duration(0), int64(0), int64(0), int64(0)
		for _, w := range r.workers {
			w.loop.Do(func() {
				last = max(last, w.heard.last, w.answered)
				gap = max(gap, w.heard.gap())
				asking += w.asking
				busy += w.queued + w.flying + w.asking
				owed += w.expected - w.expectedAway - w.distinct - w.voided
			})
		}
		busy += max(owed, 0) + max(r.willing.Load(), 0) + r.succeeded.Load()
		if (r.shard.Count == 1 || !r.owing) && busy <= 0 && now-counted >= r.ledger.pause() {
			// Unexpected deliveries may hide missing ones.
			counted = now
			if r.resolve(); r.ledger.outstanding() == 0 {
				quiet = true
				return true
			}
		}
		if now >= latest && last > latest {
			return true
		}
		if now-last < quietTime(gap) || asking > 0 && now < latest {
			return false
		}
		if probed <= last {
			probed = now
			r.probe()
		}
		dead := r.sum(func(w *worker) int64 { return w.dead() })
		quiet = dead == 0 || now >= latest && now-probed >= probeTime
		return quiet
	})
	return quiet && err == nil, err
}

// probeTime is how long the PINGRESP may take at the end of a drain.
const probeTime = 2 * time.Second

// probe sends a PINGREQ from each client that is owed something, to prove that its
// session lives.
func (r *run) probe() {
	for _, w := range r.workers {
		w.loop.Do(func() {
			for i := range w.clients {
				cl := &w.clients[i]
				if w.waits(cl) && cl.c.Ping() == nil {
					cl.pinged = true
				}
			}
		})
	}
}

// waits reports whether something is owed to a client or to one of its shares.
func (w *worker) waits(cl *client) bool {
	b := cl.g.book
	if b == nil {
		return false
	}
	any := cl.account().outstanding() > 0
	if b.shares != nil {
		b.each(int(cl.place), func(_ int, g *grant, sh *share) {
			any = any || sh != nil && g.kept.Load() != 0 && sh.outstanding() > 0
		})
	}
	return any
}

// dead counts the clients that are owed something and whose sessions are not known to
// live.
func (w *worker) dead() (n int64) {
	for i := range w.clients {
		if cl := &w.clients[i]; w.waits(cl) && !w.lives(cl) {
			n++
		}
	}
	return n
}

// Pong notes that a connection is alive.
func (w *worker) Pong(c *swarm.Client, took time.Duration) {
	cl := &w.clients[c.User]
	if c != cl.c {
		return
	}
	cl.pinged = false
	if !w.settled {
		rec := w.rec(w.loop.Now())
		rec.Count(result.Pongs, cl.g.Number, result.NoQoS, 1)
		rec.Record(result.Ping, result.Service, cl.g.Number, took)
	}
}

// enter begins a phase.
func (r *run) enter(c *collector, phase plan.Phase, at, length time.Duration) {
	at = at.Truncate(time.Microsecond) // as intended times are, so that what is due now is in this phase
	c.cut(phase, at, length)
	r.since = at
	r.noteEvent(result.NotePhase, string(phaseNames[phase]))
	for _, w := range r.workers {
		w.loop.Do(func() { w.begin(phase, at) })
	}
}

var phaseNames = [...]result.Phase{result.PhaseConnect, result.PhaseSettle, result.PhaseWarmUp, result.PhaseMeasure, result.PhaseDrain}
