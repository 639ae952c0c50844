package bench

import (
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// arriving is the QoS with which messages of a QoS arrive: no higher than that
// of the plan's subscriptions. Where these differ it is that of the highest.
func arriving(p *plan.Plan, q packet.QoS) packet.QoS {
	highest := packet.QoS(0)
	for _, g := range p.Groups {
		for _, s := range g.Subscribe {
			highest = max(highest, s.QoS)
		}
	}
	return min(q, highest)
}
