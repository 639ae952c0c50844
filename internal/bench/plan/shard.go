package plan

import (
	"fmt"
	"iter"
)

// Shard is the part of a plan that one process runs. All shards together run the plan, whatever
// their number.
type Shard struct {
	Plan  *Plan
	Index int // 0 to Count-1
	Count int
	// numbers[i] is the number of clients of the shard in groups before group i.
	numbers []uint32
}

const (
	// maxShards is the number of shards that the shard's field of a header can hold.
	maxShards = 1 << 12
	// maxPublishers is the number of publishers that the publisher's field of a header can hold.
	maxPublishers = 1 << 24
)

// Shard returns shard i of n, 0 <= i < n <= 4096. It returns an error if there is no such shard,
// or if the shard has more clients than a header can distinguish.
func (p *Plan) Shard(i, n int) (*Shard, error) {
	if n < 1 || n > maxShards || i < 0 || i >= n {
		return nil, fmt.Errorf("there is no shard %d of %d: they are counted from 0, and at most %d", i, n, maxShards)
	}
	s := &Shard{Plan: p, Index: i, Count: n}
	sum := 0
	for _, g := range p.Groups {
		s.numbers = append(s.numbers, uint32(sum))
		sum += s.Clients(g)
	}
	if sum > maxPublishers {
		return nil, fmt.Errorf("shard %d of %d has %d clients, and at most %d can be told apart: more shards are needed", i, n, sum, maxPublishers)
	}
	return s, nil
}

// Clients returns how many clients of a group are in the shard.
func (s *Shard) Clients(g *Group) int {
	round := g.Together * s.Count
	whole, rest := g.Clients/round, g.Clients%round
	return whole*g.Together + min(max(rest-s.Index*g.Together, 0), g.Together)
}

// Own iterates over the indexes of the clients of a group that one of the shard's loops drives, in
// their order. Neighbors that Group.Together keeps in one shard share a loop.
func (s *Shard) Own(g *Group, loop, loops int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for block := (s.Index + loop*s.Count) * g.Together; block < g.Clients; block += s.Count * loops * g.Together {
			for i := block; i < min(block+g.Together, g.Clients); i++ {
				if !yield(uint32(i)) {
					return
				}
			}
		}
	}
}

// Place returns the position in the shard of the client with an index in the group; ok is false if
// the client belongs to another shard.
func (s *Shard) Place(g *Group, index uint32) (place int, ok bool) {
	block := int(index) / g.Together
	if int(index) >= g.Clients || block%s.Count != s.Index {
		return 0, false
	}
	return block/s.Count*g.Together + int(index)%g.Together, true
}

// Publisher returns the number of a client for the header of its messages, below 1<<24. It is the
// client's number in the plan or, if the plan has more clients than that, in the shard: together
// with the number of the shard it is unique in the run.
func (s *Shard) Publisher(g *Group, index uint32) uint32 {
	if s.Plan.Clients() <= maxPublishers {
		return g.Base + index
	}
	place, _ := s.Place(g, index)
	return s.numbers[g.Number] + uint32(place)
}

// Schedule returns the messages of a stream that the clients of one of the shard's loops send. The
// stream must not be a closed loop.
func (s *Shard) Schedule(p *Publish, loop, loops int) *Schedule {
	return s.schedule(p.Group, p.Pacer, p.Messages, loop, loops)
}

// ChurnSchedule returns the operations of a group's SubscriptionChurn: those with an even Seq
// subscribe, the others unsubscribe, and Seq/2 is the number for the filter.
func (s *Shard) ChurnSchedule(g *Group, loop, loops int) *Schedule {
	return s.schedule(g, g.SubChurn.Pacer, 0, loop, loops)
}

func (s *Shard) schedule(g *Group, p Pacer, messages uint64, loop, loops int) *Schedule {
	return newSchedule(p, uint64(g.Clients), messages, uint64(s.Index+loop*s.Count), uint64(g.Together), uint64(s.Count*loops))
}

// Clients returns the number of clients of the plan.
func (p *Plan) Clients() int {
	n := 0
	for _, g := range p.Groups {
		n += g.Clients
	}
	return n
}
