package bench

import (
	"math"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// collector turns what the workers recorded into intervals, at each step and at the end
// of each phase.
type collector struct {
	r       *run
	step    time.Duration
	machine *machine
	phase   plan.Phase
	from    time.Duration // start of the current interval
	until   time.Duration // end of the phase; 0: not known
	begun   bool
	reused  bool // the reuse of packet identifiers by the broker has been reported

	ticks   *time.Ticker
	cuts    chan cutting
	stopped chan struct{}
	done    chan struct{}
}

// cutting asks for the current interval to end and for a phase to begin.
type cutting struct {
	phase  plan.Phase
	at     time.Duration
	length time.Duration
	done   chan struct{}
}

// collect starts collecting.
func (r *run) collect(step time.Duration) *collector {
	c := &collector{r: r, step: step, machine: newMachine(), ticks: time.NewTicker(step), cuts: make(chan cutting),
		stopped: make(chan struct{}), done: make(chan struct{})}
	go c.loop()
	return c
}

// stop collects the rest and stops.
func (c *collector) stop() {
	close(c.stopped)
	<-c.done
}

// cut begins a phase.
func (c *collector) cut(phase plan.Phase, at, length time.Duration) {
	done := make(chan struct{})
	c.cuts <- cutting{phase, at, length, done}
	<-done
}

func (c *collector) loop() {
	defer close(c.done)
	defer c.ticks.Stop()
	troubles := time.NewTicker(troubleTime)
	defer troubles.Stop()
	for {
		select {
		case <-c.ticks.C:
			now := c.r.now()
			// A phase with a planned end has its last interval end there too, at the
			// cut.
			if c.begun && (c.until == 0 || now < c.until || c.phase == plan.PhaseDrain) {
				c.interval(now, false)
			}
		case cut := <-c.cuts:
			from := cut.at
			if c.begun {
				// A tick may have come after an end that was not planned.
				from = max(cut.at, c.from)
				c.interval(from, false)
			}
			c.begun, c.phase, c.from = true, cut.phase, from
			c.until = 0
			if cut.length > 0 {
				c.until = cut.at + cut.length
			}
			c.ticks.Reset(c.step)
			close(cut.done)
		case <-troubles.C:
			c.r.reportTroubles()
		case <-c.stopped:
			c.r.reportTroubles()
			if c.begun {
				c.interval(c.r.now(), true)
			}
			return
		}
	}
}

// recorded are the phases in which what goes to each recorder of a worker begins to be
// due.
var recorded = [...]plan.Phase{plan.PhaseConnect, plan.PhaseWarmUp, plan.PhaseMeasure}

// interval ends the current interval. If last, it also takes what is due in phases that
// have not begun. What was due in an earlier phase gets a separate interval.
func (c *collector) interval(now time.Duration, last bool) {
	r := c.r
	main := result.NewInterval(phaseNames[c.phase], c.from, now)
	early := result.NewInterval(result.PhaseWarmUp, c.from, now)
	connected, flying, queued, reused := 0, int64(0), int64(0), int64(0)
	for _, w := range r.workers {
		var batches [len(w.recs)]*result.Batch
		w.loop.Do(func() {
			for i, rec := range w.recs {
				// What is due at the very beginning of a phase may be recorded before
				// the phase is entered. It belongs to the first interval of the phase.
				if last || c.phase >= recorded[i] {
					batches[i] = rec.Swap()
				}
			}
			connected += w.loop.Stats().Connected
			reused += w.loop.Stats().Reused
			flying, queued = flying+w.flying, queued+w.queued
		})
		for i, b := range batches {
			if b == nil {
				continue
			}
			into := main
			if c.phase >= plan.PhaseMeasure && i < 2 {
				into = early
			}
			into.Take(b)
		}
	}
	if reused > 0 && !c.reused {
		c.reused = true
		r.noteEvent(result.NoteError, "the broker began new QoS 2 messages under packet identifiers still in use: it seems to have lost its session")
	}
	main.Gauges[result.GaugeConnected] = int64(connected)
	main.Gauges[result.GaugeInFlight] = flying + queued
	c.machine.measure(main)
	main.Gauges[result.GaugeSlowest] = int64(max(now-c.from-c.step, 0))
	s := Status{Interval: main, Phase: c.phase, Clients: r.clients, Connected: connected}
	if len(early.Counters) > 0 || len(early.Histograms) > 0 {
		c.add(early)
		s.Early = early
	}
	c.add(main)
	c.from = now
	if r.o.Status != nil {
		if c.until > 0 {
			s.Left = max(c.until-now, 0)
		}
		r.o.Status(s)
	}
}

func (c *collector) add(i *result.Interval) {
	r := c.r
	var err error
	r.mu.Lock()
	r.res.Intervals = append(r.res.Intervals, i)
	if r.out != nil {
		err = r.out.Interval(i)
	}
	r.mu.Unlock()
	if err != nil {
		r.noteEvent(result.NoteError, "result file: "+err.Error())
	}
}

// sum adds up a number over all workers.
func (r *run) sum(of func(w *worker) int64) (n int64) {
	for _, w := range r.workers {
		w.loop.Do(func() { n += of(w) })
	}
	return n
}

// unix returns the wall-clock time of an intended time, for payloads that carry it.
func (r *run) unix(at time.Duration) int64 { return r.epoch + int64(max(at, math.MinInt64/2)) }
