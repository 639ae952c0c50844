package bench

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

// divided has pairs, a fan-in and a fan-out, each with a number of messages.
const divided = `
name: divided
phases: {connect: {rate: 1000/s, timeout: 3s}, settle: 100ms, measure: 0s, drain: 30s}
groups:
  subs: {clients: 10, subscribe: {filter: pair/%i, qos: 1}}
  pubs: {clients: 10, publish: {topic: pair/%i, qos: 1, payload: 32, rate: 200/s, messages: 101}}
  all: {clients: 3, subscribe: {filter: news/+, qos: 0}}
  news: {clients: 7, publish: {topic: news/%i, qos: 0, payload: 32, rate: 100/s, messages: 50}}
`

func parse(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("test.yaml", []byte(text), plan.Options{ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runShard runs a shard and returns what its file says.
func runShard(t *testing.T, p *plan.Plan, i, n int, start time.Time, network *memtest.Network) *result.Result {
	s, err := p.Shard(i, n)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	o := within(network.Dial)
	o.Shard, o.Start, o.Out, o.Mark = s, start, &file, 7
	o.Swarm.Loops = 2
	o.Run = result.Run{Plan: result.Plan{Name: p.Name, Hash: p.Hash()}, Shards: n}
	if _, err = Run(t.Context(), o); err != nil {
		t.Errorf("shard %d of %d: %v", i, n, err)
	}
	results, err := result.Read(&file, "result")
	if err != nil || len(results) != 1 {
		t.Errorf("shard %d of %d: %d results, %v", i, n, len(results), err)
		return nil
	}
	if results[0].Shards[0].Engine == "" {
		t.Error("the file does not name the engine")
	}
	return results[0]
}

// The shards of a plan do together what one process does.
func TestShardsDoWhatOneProcessDoes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := parse(t, divided)
		_, network := ours(t, broker.Options{})
		whole := runShard(t, p, 0, 1, time.Now(), network)
		const n = 3
		var parts [n]*result.Result
		var all sync.WaitGroup
		start := time.Now()
		for i := range n {
			all.Go(func() { parts[i] = runShard(t, p, i, n, start, network) })
		}
		all.Wait()
		if t.Failed() {
			return
		}
		merged, err := result.Merge(parts[2], parts[0], parts[1])
		if err != nil {
			t.Fatal(err)
		}
		if why := merged.Partial(); why != "" {
			t.Error(why)
		}
		one, many := whole.Sum(), merged.Sum()
		for _, c := range []result.Counter{result.Offered, result.Sent, result.SentBytes, result.Acked, result.Delivered, result.DeliveredBytes,
			result.Distinct, result.Duplicates, result.Expected, result.Attempts, result.Connects, result.Subscribes, result.Corrupt, result.Foreign} {
			for _, g := range p.Groups {
				for qos := range result.NoQoS + 1 {
					key := result.CounterKey{Name: c.String(), Group: g.Name, QoS: qos}
					if one.Counters[key] != many.Counters[key] {
						t.Errorf("%v: %d of one process, %d of %d shards", key, one.Counters[key], many.Counters[key], n)
					}
				}
			}
		}
		if sent := many.Counters[result.CounterKey{Name: result.Sent.String(), Group: "pubs", QoS: 1}]; sent != 101 {
			t.Errorf("%d messages of the pairs were sent, want 101", sent)
		}
		if got := many.Counters[result.CounterKey{Name: result.Distinct.String(), Group: "all", QoS: 0}]; got != 150 {
			t.Errorf("%d messages of the fan-out came, want 150", got)
		}
		// A pair is in one shard, and timed. Of the fan-out, which has a subscriber in
		// each shard, only what comes from the same shard is timed.
		pairs := many.Histograms[result.Key{Op: result.Delivery, Kind: result.Response, Group: "subs"}]
		if pairs == nil || pairs.Count() != 101 {
			t.Errorf("not all deliveries of pairs are timed: %v", pairs)
		}
		key := result.Key{Op: result.Delivery, Kind: result.Response, Group: "all"}
		timed, untimed := int64(0), many.Counters[result.CounterKey{Name: result.Untimed.String(), Group: "all", QoS: 0}]
		if h := many.Histograms[key]; h != nil {
			timed = h.Count()
		}
		if timed != 50 || untimed != 100 {
			t.Errorf("of 150 deliveries of the fan-out %d are timed and %d not", timed, untimed)
		}
	})
}
