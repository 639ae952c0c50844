package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mqtools/mqtools/internal/bench/fault"
	"github.com/mqtools/mqtools/internal/bench/result"
)

// Fault is a fault injected into connections.
type Fault string

// The faults.
const (
	Delay   Fault = "delay"   // bytes arrive late
	Stall   Fault = "stall"   // nothing moves for a while
	Split   Fault = "split"   // bytes arrive a few at a time
	Cut     Fault = "cut"     // connections are reset, and what they carry is lost
	Refuse  Fault = "refuse"  // a connection is reset, and so are new ones for a while
	Restart Fault = "restart" // the broker stops and starts again
)

// Faults returns all faults.
func Faults() []Fault { return []Fault{Delay, Stall, Split, Cut, Refuse, Restart} }

// event is the beginning or the end of a fault.
type event struct {
	at    time.Duration // since publishing began
	fault Fault
	on    bool
	share float64       // of the connections, for Cut
	by    time.Duration // for Delay
	long  time.Duration // until its end
}

// schedule returns the events of a run. The same seed gives the same events of a fault,
// whatever other faults there are.
func (o *VerifyOptions) schedule() []event {
	var all []event
	for i, f := range Faults() {
		if !slices.Contains(o.Faults, f) {
			continue
		}
		r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		between := func(least, most time.Duration) time.Duration {
			return least + time.Duration(r.Int64N(int64(most-least)))
		}
		gap := func() time.Duration { return between(200*time.Millisecond, 1500*time.Millisecond) }
		if f == Restart {
			gap = func() time.Duration { return between(2*time.Second, 5*time.Second) }
		}
		for at := gap(); at < o.Duration; at += gap() {
			e := event{at: at, fault: f, on: true}
			switch f {
			case Delay:
				e.by, e.long = between(time.Millisecond, 60*time.Millisecond), between(200*time.Millisecond, time.Second)
			case Stall, Refuse:
				e.long = between(50*time.Millisecond, 600*time.Millisecond)
			case Split:
				e.long = between(200*time.Millisecond, time.Second)
			case Cut:
				e.long = between(20*time.Millisecond, 120*time.Millisecond)
				e.share = []float64{0, 0.5, 1}[r.IntN(3)] // at least one
			}
			all = append(all, e)
			if at += e.long; e.long > 0 {
				all = append(all, event{at: at, fault: f, share: e.share})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

// haunting is the fault injection of a run.
type haunting struct {
	o      *VerifyOptions
	proxy  *fault.Proxy
	begun  map[Fault]int
	failed error // the first Restart that failed
}

// haunt follows the schedule, and heals everything at the end.
func (h *haunting) haunt(ctx context.Context, note func(result.NoteKind, string)) {
	begin, p := time.Now(), h.proxy
	defer func() {
		p.Delay(0, 0)
		p.Split(false)
		p.Refuse(false)
		p.Stall(false)
	}()
	for _, e := range h.o.schedule() {
		select {
		case <-time.After(time.Until(begin.Add(e.at))):
		case <-ctx.Done():
			return
		}
		text, err := h.o.apply(e, p)
		switch {
		case err != nil:
			note(result.NoteFault, fmt.Sprintf("%s failed: %v", e.fault, err))
			h.failed = cmp.Or(h.failed, fmt.Errorf("%s: %w", e.fault, err))
			continue
		case text != "":
			note(result.NoteFault, text)
		}
		if e.on {
			h.begun[e.fault]++
		}
	}
	<-ctx.Done()
}

// apply applies one event and returns a description of it.
func (o *VerifyOptions) apply(e event, p *fault.Proxy) (string, error) {
	long := e.long.Round(time.Millisecond)
	switch e.fault {
	case Delay:
		p.Delay(e.by, e.by/2)
		if e.on {
			return fmt.Sprintf("delay of %v for %v", e.by.Round(time.Millisecond), long), nil
		}
	case Split:
		p.Split(e.on)
		if e.on {
			return fmt.Sprintf("bytes a few at a time for %v", long), nil
		}
	case Stall:
		p.Stall(e.on)
		if e.on {
			return fmt.Sprintf("nothing moves for %v", long), nil
		}
	case Refuse:
		p.Refuse(e.on)
		if e.on {
			return fmt.Sprintf("%d cut, and new connections refused for %v", p.Cut(1), long), nil
		}
	case Cut:
		// What a stall holds back is lost with the connections.
		if e.on {
			p.Stall(true)
			return "", nil
		}
		n := p.Cut(max(1, int(e.share*float64(p.Open()))))
		p.Stall(false)
		return fmt.Sprintf("%d connections cut", n), nil
	case Restart:
		return "broker restarted", o.Restart()
	}
	return "", nil
}
