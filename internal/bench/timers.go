package bench

import (
	"container/heap"
	"time"

	"github.com/mqtools/mqtools/mqtt/swarm"
)

// timers holds a worker's future calls, ordered by time. Calls at the same time are
// made in the order in which they were added.
type timers struct {
	list []timer
	asks uint64
}

type timer struct {
	at  time.Duration
	ask uint64
	do  func(now time.Duration)
}

func (t *timers) Len() int { return len(t.list) }

func (t *timers) Less(i, j int) bool {
	a, b := &t.list[i], &t.list[j]
	return a.at < b.at || a.at == b.at && a.ask < b.ask
}

func (t *timers) Swap(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] }

func (t *timers) Push(x any) { t.list = append(t.list, x.(timer)) }

func (t *timers) Pop() any {
	last := len(t.list) - 1
	x := t.list[last]
	t.list[last] = timer{}
	t.list = t.list[:last]
	return x
}

// add schedules a call of do.
func (t *timers) add(at time.Duration, do func(now time.Duration)) {
	t.asks++
	heap.Push(t, timer{at, t.asks, do})
}

// run makes the calls that are due. It returns when the next is due, swarm.Never if
// there is none.
func (t *timers) run(now time.Duration) time.Duration {
	for len(t.list) > 0 {
		if at := t.list[0].at; at > now {
			return at
		}
		heap.Pop(t).(timer).do(now)
	}
	return swarm.Never
}
