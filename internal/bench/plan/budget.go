package plan

import (
	"math"
	"time"
)

// Budget is what a shard needs of its machine, at most, and what the whole plan
// asks of the broker.
type Budget struct {
	// Of the largest shard.
	Clients     int    // of all groups
	Connections int    // at a time, those that a takeover opens besides included
	Descriptors int    // files that must be open at a time
	Ports       int    // local ports for each broker address, all of one source address
	MemoryLite  uint64 // bytes of the process with the engine lite
	MemoryStd   uint64 // bytes of the process with the engine std, without TLS
	Kernel      uint64 // bytes of the kernel for the sockets

	// Of the whole plan, on the average of the publishing time, a second.
	ConnectRate float64 // 0: as fast as possible
	Sent        float64 // messages, those of closed loops not counted
	Delivered   float64 // messages
	SentBytes   float64 // of payload
	Received    float64 // bytes of payload
	Peak        float64 // messages sent in the densest second that is looked at
	// Unlimited tells of a closed loop: the rates are what the broker takes.
	Unlimited bool
	// Estimated tells that the deliveries are not exact (see FanOut.Reasons).
	Estimated bool
}

// Memory for each connection, in bytes: the target of the lite engine; net.Conn
// with a goroutine and a session; and the kernel's side of an idle socket.
const (
	liteBytes   = 600
	stdBytes    = 5 << 10
	kernelBytes = 4400
	// baseBytes are there without any client: the program, histograms, buffers.
	baseBytes = 64 << 20
	// baseDescriptors are files, pipes and epolls besides the connections.
	baseDescriptors = 32
)

// Budget estimates what the plan needs when it runs in some shards.
func (p *Plan) Budget(shards int) (Budget, error) {
	s, err := p.Shard(0, shards) // which has the most
	if err != nil {
		return Budget{}, err
	}
	f := p.FanOut()
	b := Budget{ConnectRate: p.Phases.Connect.PerSecond(), Estimated: len(f.Reasons()) > 0}
	inFlight := 0.0
	for _, g := range p.Groups {
		n := s.Clients(g)
		b.Clients += n
		b.Connections += n + takenOver(p, g, shards)
		for _, x := range g.Publish {
			size := x.Payload.Average()
			if x.QoS > 0 {
				inFlight += float64(n) * min(float64(x.Window), 4) * (size + 64)
			}
			if x.Closed() {
				b.Unlimited = true
				continue
			}
			if x.Fill {
				continue // before the measurement
			}
			rate, peak := p.rates(x)
			out := rate * f.average(x)
			b.Sent, b.Peak, b.Delivered = b.Sent+rate, b.Peak+peak, b.Delivered+out
			b.SentBytes, b.Received = b.SentBytes+rate*size, b.Received+out*size
		}
	}
	b.Descriptors = b.Connections + baseDescriptors
	brokers := max(len(p.Brokers), 1)
	b.Ports = (b.Connections + brokers - 1) / brokers
	c := uint64(b.Connections)
	b.Kernel = c * kernelBytes
	b.MemoryLite = baseBytes + c*liteBytes + uint64(inFlight)
	b.MemoryStd = baseBytes + c*stdBytes + uint64(inFlight)
	return b, nil
}

// takenOver is how many connections of a group in a shard may be there twice: of
// those that are taken over both are open for a moment.
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

// rates are the messages a second of a stream, on the average and in the densest
// of a hundred seconds.
func (p *Plan) rates(s *Publish) (mean, peak float64) {
	d, ok := p.publishing(s.Start)
	pace := roughly(s.Pacer)
	if !ok {
		// As long as its messages take.
		if at, found := pace.At(max(s.Messages, 1) - 1); found && s.Messages > 1 {
			d = at
		}
		d = max(d, time.Second)
	}
	limit := uint64(math.MaxUint64)
	if s.Messages > 0 {
		limit = s.Messages
	}
	total := min(pace.Count(d), limit)
	if d <= 0 {
		return 0, 0
	}
	mean = float64(total) / d.Seconds()
	step := max(d/100, time.Second)
	for at := time.Duration(0); at < d; at += step {
		peak = max(peak, float64(min(pace.Count(at+time.Second), limit)-min(pace.Count(at), limit)))
	}
	return mean, max(mean, peak)
}

// average is the mean number of deliveries of a stream's messages, of some
// thousand of them.
func (f *FanOut) average(s *Publish) float64 {
	const samples = 1000
	n, seqs := uint64(s.Group.Clients), uint32(4)
	step := max(n/samples, 1)
	sum, count := 0.0, 0.0
	for i := uint64(0); i < n; i += step {
		for seq := range seqs {
			sum += float64(f.Expected(s, uint32(i), seq))
			count++
		}
	}
	return sum / count
}
