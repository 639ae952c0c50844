//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// load is a case.
type load struct {
	what       string
	pubs, subs int
	qos        packet.QoS
	window     int // most messages in flight
	idle       int // idle connections, in place of all the above
}

// A stream keeps the broker busy: ten messages of each of a thousand publishers are in
// flight. In the cases step by step, each message of a publisher waits for the previous
// one, so that the broker never finds two in one read.
var cases = []load{
	{what: "1 to 1", pubs: 1, subs: 1, window: 1000},
	{what: "1 to 1", pubs: 1, subs: 1, window: 200, qos: 1},
	{what: "1 to 1", pubs: 1, subs: 1, window: 200, qos: 2},
	{what: "1 to 1000", pubs: 1, subs: 1000, window: 20},
	{what: "1 to 1000", pubs: 1, subs: 1000, window: 20, qos: 1},
	{what: "1 to 1000", pubs: 1, subs: 1000, window: 20, qos: 2},
	{what: "1000 to 1", pubs: 1000, subs: 1, window: 10_000},
	{what: "1000 to 1", pubs: 1000, subs: 1, window: 10_000, qos: 1},
	{what: "1000 to 1", pubs: 1000, subs: 1, window: 10_000, qos: 2},
	{what: "step by step 1 to 1", pubs: 1, subs: 1, window: 1},
	{what: "step by step 1 to 1", pubs: 1, subs: 1, window: 1, qos: 1},
	{what: "step by step 1 to 1000", pubs: 1, subs: 1000, window: 1},
	{what: "step by step 1 to 1000", pubs: 1, subs: 1000, window: 1, qos: 1},
	{what: "step by step 1000 to 1", pubs: 1000, subs: 1, window: 1000},
	{what: "step by step 1000 to 1", pubs: 1000, subs: 1, window: 1000, qos: 1},
	{what: "connections", idle: 10_000},
}

func (c *load) name() string {
	if c.idle > 0 {
		return fmt.Sprintf("%d %s", c.idle, c.what)
	}
	return fmt.Sprintf("%s, QoS %d", c.what, c.qos)
}

// result is the result of one turn.
type result struct {
	perCPU float64 // deliveries, or connections, per second of the broker's processor time
	rate   float64 // per second
	memory int     // the broker's peak, in bytes

	lost, disorder int

	// For idle connections: bytes per connection, after CONNACK, after SUBACK, and after a
	// message to each.
	connected, subscribed, delivered int
}

var topicName = []byte("bench/topic")

// publish runs a case with messages for a time.
func (c *load) publish(g *generator, p *process, length time.Duration) (r result, err error) {
	subs, err := g.dialAll(c.subs)
	if err != nil {
		return r, err
	}
	if err := g.subscribeAll(subs, string(topicName), c.qos); err != nil {
		return r, err
	}
	pubs, err := g.dialAll(c.pubs)
	if err != nil {
		return r, err
	}
	for i, q := range pubs {
		q.number = uint32(i)
	}
	for _, s := range subs {
		s.seen = make([]uint32, len(pubs))
	}
	sent, next := 0, 0
	burst := c.window / c.pubs
	arrived := func() int { return g.delivered + g.lost }
	underWay := func() int {
		n := sent - arrived()/c.subs
		if c.qos > 0 {
			n = max(n, sent-g.finished)
		}
		return n
	}
	// A publisher writes all its messages at once, then the next publisher does.
	feed := func() error {
		for free := c.window - underWay(); free > 0; {
			q := pubs[next]
			next = (next + 1) % len(pubs)
			n := min(free, burst)
			for range n {
				if err := g.publish(q, topicName, c.qos); err != nil {
					return err
				}
			}
			sent += n
			free -= n
			if err := g.flush(q); err != nil {
				return err
			}
		}
		return nil
	}
	during := func(d time.Duration) error {
		end := time.Now().Add(d)
		return g.until(func() bool { return time.Now().After(end) }, feed)
	}
	if err := during(length / 10); err != nil {
		return r, err
	}
	began, cpu, before := time.Now(), time.Duration(0), arrived()
	if cpu, err = p.cpu(); err != nil {
		return r, err
	}
	if err := during(length); err != nil && !errors.Is(err, errSilence) { // which loss of a whole window causes
		return r, err
	}
	took, n := time.Since(began), arrived()-before-g.lost
	after, err := p.cpu()
	if err != nil {
		return r, err
	}
	r.perCPU, r.rate = float64(n)/max(after-cpu, 10*time.Millisecond).Seconds(), float64(n)/took.Seconds()
	err = g.until(func() bool { return arrived() == sent*c.subs && (c.qos == 0 || g.finished == sent) }, nil)
	if errors.Is(err, errSilence) { // the last messages are missing
		g.lost, err = sent*c.subs-g.delivered, nil
	}
	r.lost, r.disorder = g.lost, g.disorder
	if err != nil {
		return r, err
	}
	r.memory, err = p.memory("VmHWM")
	return r, err
}

// hold opens connections and measures the broker's memory.
func (c *load) hold(g *generator, p *process) (r result, err error) {
	before, err := p.memory("VmRSS")
	if err != nil {
		return r, err
	}
	each := func(at *int) error {
		time.Sleep(time.Second) // for background work
		now, err := p.memory("VmRSS")
		*at = (now - before) / c.idle
		return err
	}
	began := time.Now()
	cpu, err := p.cpu()
	if err != nil {
		return r, err
	}
	peers, err := g.dialAll(c.idle)
	if err != nil {
		return r, err
	}
	r.rate = float64(c.idle) / time.Since(began).Seconds()
	after, err := p.cpu()
	if err != nil {
		return r, err
	}
	r.perCPU = float64(c.idle) / max(after-cpu, 10*time.Millisecond).Seconds()
	if err := each(&r.connected); err != nil {
		return r, err
	}
	if err := g.subscribeAll(peers, string(topicName), 1); err != nil {
		return r, err
	}
	if err := each(&r.subscribed); err != nil {
		return r, err
	}
	for _, q := range peers {
		q.seen = make([]uint32, 1)
	}
	if err := g.publish(peers[0], topicName, 1); err != nil {
		return r, err
	}
	if err := g.flush(peers[0]); err != nil {
		return r, err
	}
	if err := g.until(func() bool { return g.delivered == c.idle }, nil); err != nil {
		return r, err
	}
	if err := each(&r.delivered); err != nil {
		return r, err
	}
	r.memory, err = p.memory("VmHWM")
	return r, err
}

// table writes the results, in Markdown.
type table struct {
	a, b string
	head string // the last heading written
}

// row writes a case. Of several configurations of the second broker it uses the cheapest.
func (t *table) row(c *load, results [][]result) {
	a, b := results[0], results[1]
	perCPU := func(r result) float64 { return r.perCPU }
	for _, other := range results[2:] {
		if median(other, perCPU) > median(b, perCPU) {
			b = other
		}
	}
	var ratios []float64
	for i := range a {
		ratios = append(ratios, a[i].perCPU/b[i].perCPU)
	}
	unit := "deliveries"
	if c.idle > 0 {
		unit = "connections"
	}
	if t.head != unit {
		t.head = unit
		fmt.Printf("\n| %s per CPU-second | %s | %s | ratio | per second | | peak memory, MB | |\n|---|---|---|---|---|---|---|---|\n", unit, t.a, t.b)
	}
	rate := func(r result) float64 { return r.rate }
	peak := func(r result) float64 { return float64(r.memory) / 1e6 }
	fmt.Printf("| %s | %.0f | %.0f | %.2f | %.0f | %.0f | %.1f | %.1f |\n", c.name(), median(a, perCPU), median(b, perCPU), middle(ratios),
		median(a, rate), median(b, rate), median(a, peak), median(b, peak))
	for i, name := range []string{t.a, t.b} {
		for _, r := range [][]result{a, b}[i] {
			if r.lost > 0 || r.disorder > 0 {
				fmt.Printf("| - %s: %d lost, %d again or late in a round | | | | | | | |\n", name, r.lost, r.disorder)
			}
		}
	}
	if c.idle > 0 {
		t.memory("connected", a, b, func(r result) float64 { return float64(r.connected) })
		t.memory("subscribed", a, b, func(r result) float64 { return float64(r.subscribed) })
		t.memory("after a message", a, b, func(r result) float64 { return float64(r.delivered) })
	}
}

func (t *table) memory(what string, a, b []result, of func(result) float64) {
	fmt.Printf("| - bytes of memory each, %s | %.0f | %.0f | %.2f | | | | |\n", what, median(a, of), median(b, of), median(a, of)/median(b, of))
}

func median(all []result, of func(result) float64) float64 {
	var list []float64
	for _, r := range all {
		list = append(list, of(r))
	}
	return middle(list)
}

// middle returns the median.
func middle(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}
