package plan

import (
	"math"
	"time"
)

// load is what a plan asks of the broker, on the average of the publishing time, a
// second.
type load struct {
	sent      float64 // messages, those of closed loops not counted
	delivered float64 // messages
	peak      float64 // messages sent in the densest second that is looked at
}

func (p *Plan) load() (l load) {
	f := p.FanOut()
	for _, g := range p.Groups {
		for _, s := range g.Publish {
			if s.Closed() || s.Fill { // which is before the measurement
				continue
			}
			rate, peak := p.rates(s)
			l.sent, l.peak, l.delivered = l.sent+rate, l.peak+peak, l.delivered+rate*f.average(s)
		}
	}
	return l
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
// thousand of them: of fewer where each takes a walk through many clients.
func (f *FanOut) average(s *Publish) float64 {
	const walk = 10_000_000
	samples, seqs := uint64(1000), uint32(4)
	if walked := f.walked(); walked > 0 {
		samples = min(samples, walk/walked)
	}
	if s.OneTopic() {
		seqs = 1
	}
	n := uint64(s.Group.Clients)
	step := max(n/samples, 1)
	sum, count := 0.0, 0.0
	for i := uint64(0); i < n; i += step {
		for seq := range seqs {
			sum += float64(deliveries(f, s.AppendTopic(nil, uint32(i), seq), s.Group, uint32(i)))
			count++
		}
	}
	return sum / count
}

// walked is how many clients are gone through for each message.
func (f *FanOut) walked() (n uint64) {
	for _, g := range f.table.groups {
		for _, m := range g.filters {
			if m.field != nil && m.field.counts != nil {
				n += uint64(g.group.Clients)
			}
		}
	}
	return n
}
