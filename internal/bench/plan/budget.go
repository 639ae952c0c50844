package plan

import "math"

// Budget is the most that the largest shard of a plan needs of its machine.
type Budget struct {
	Clients     int    // of all groups
	Connections int    // at a time, including those that a takeover opens
	Descriptors int    // files that must be open at a time
	MemoryLite  uint64 // bytes of the process with the engine lite
	MemoryStd   uint64 // bytes of the process with the engine std, without TLS
	Kernel      uint64 // bytes of the kernel for the sockets
}

// Memory for each connection, in bytes: the target of the lite engine; a net.Conn with a goroutine
// and a session; and the kernel's side of an idle socket.
const (
	liteBytes   = 600
	stdBytes    = 5 << 10
	kernelBytes = 4400
	// baseBytes is the memory of a process without clients: the program, histograms, buffers.
	baseBytes = 64 << 20
	// baseDescriptors are the files, pipes and epolls besides the connections.
	baseDescriptors = 32
)

// Budget estimates what the plan needs when it runs in a number of shards.
func (p *Plan) Budget(shards int) (Budget, error) {
	s, err := p.Shard(0, shards) // the largest shard
	if err != nil {
		return Budget{}, err
	}
	var b Budget
	inFlight := 0.0
	for _, g := range p.Groups {
		n := s.Clients(g)
		b.Clients += n
		b.Connections += n + takenOver(p, g, shards)
		for _, x := range g.Publish {
			if x.QoS > 0 {
				inFlight += float64(n) * min(float64(x.Window), 4) * (x.Payload.Average() + 64)
			}
		}
	}
	b.Descriptors = b.Connections + baseDescriptors
	c := uint64(b.Connections)
	b.Kernel = c * kernelBytes
	b.MemoryLite = baseBytes + c*liteBytes + uint64(inFlight)
	b.MemoryStd = baseBytes + c*stdBytes + uint64(inFlight)
	return b, nil
}

// takenOver returns how many connections of a group in a shard can exist twice: during a takeover,
// both the old and the new connection are open for a moment.
func takenOver(p *Plan, g *Group, shards int) int {
	most := 0
	for _, a := range p.Actions {
		if a.Group != g || a.Do != Takeover {
			continue
		}
		n := a.Clients
		if second := float64(n) / a.Over.Seconds(); second < float64(n) {
			n = int(math.Ceil(second))
		}
		most = max(most, (n+shards-1)/shards)
	}
	return most
}
