package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// The plans of a calibration. The %s are the length of the measurement and the number
// of clients. Closed loops have no warm-up: the messages that it leaves in flight would
// not count, but take time from those that do.
const (
	echoPlan = `
name: calibrate, QoS 0
phases: {connect: {rate: 1000000/s}, settle: 0s, warm-up: 0s, measure: %s, drain: 2s}
groups: {pairs: {clients: %d, subscribe: {filter: c/%%i}, publish: {topic: c/%%i, payload: 64, pace: unlimited}}}
`
	ackPlan = `
name: calibrate, QoS 1
phases: {connect: {rate: 1000000/s}, settle: 0s, warm-up: 0s, measure: %s, drain: 2s}
groups: {pubs: {clients: %d, publish: {topic: c/%%i, qos: 1, payload: 64, window: 64, pace: unlimited}}}
`
	connectPlan = `
name: calibrate, connections
phases: {connect: {rate: 1000000/s}, settle: 0s, warm-up: 0s, measure: 1ms, drain: 2s}
groups: {conns: {clients: %[2]d}}
`
	floorPlan = `
name: calibrate, latency
phases: {connect: {rate: 1000000/s}, settle: 0s, warm-up: 200ms, measure: %s, drain: 2s}
groups: {pairs: {clients: %d, subscribe: {filter: c/%%i}, publish: {topic: c/%%i, payload: 64, rate: 1000/s}}}
`
)

// Calibrate measures the most that a load test can do on this machine, with the engine
// and loops of o, against a sink in this process. The sink's own work is in the
// figures. The measurements of messages and of latency take length each; clients is how
// many connections are opened.
func Calibrate(ctx context.Context, o swarm.Options, length time.Duration, clients int) (c result.Calibration, err error) {
	s, err := newSink()
	if err != nil {
		return c, err
	}
	defer s.close()
	o.Targets = []*transport.Target{{Network: "tcp", Host: "127.0.0.1", Port: s.port()}}
	o.Dialer = &transport.Dialer{Timeout: 5 * time.Second}
	o.Buffer = sinkBuffer
	run := func(scenario string, clients int) (*result.Result, error) {
		p, err := plan.Parse("calibrate", fmt.Appendf(nil, scenario, length, clients), plan.Options{})
		if err != nil {
			return nil, err
		}
		shard, err := p.Shard(0, 1)
		if err != nil {
			return nil, err
		}
		return Run(ctx, Options{Shard: shard, Swarm: o})
	}
	few := 2 * max(o.Loops, 2)
	res, err := run(echoPlan, few)
	if err != nil {
		return c, err
	}
	c.Messages = perSecond(res, result.PhaseMeasure, result.Distinct)
	if res, err = run(ackPlan, few); err != nil {
		return c, err
	}
	c.Acked = perSecond(res, result.PhaseMeasure, result.Acked)
	if res, err = run(connectPlan, clients); err != nil {
		return c, err
	}
	c.Connects = perSecond(res, result.PhaseConnect, result.Connects)
	if res, err = run(floorPlan, few); err != nil {
		return c, err
	}
	h := res.Sum(result.PhaseMeasure, result.PhaseDrain).Histograms[result.Key{Op: result.Delivery, Kind: result.Response, Group: "pairs"}]
	if h == nil {
		return c, fmt.Errorf("no message came back")
	}
	c.Floor = h.PercentileOfFew(50)
	return c, nil
}

// perSecond returns the rate of a counter in a phase.
func perSecond(r *result.Result, phase result.Phase, counter result.Counter) float64 {
	sum := r.Sum(phase)
	if d := sum.End - sum.Start; d > 0 {
		return float64(sum.Totals().Of(counter)) / d.Seconds()
	}
	return 0
}
