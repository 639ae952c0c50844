package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/packet"
)

// load describes a generated run: 1,000 publishers and as many subscribers at QoS 1, 2
// s of connecting, 1 s of warm-up, 1 s of draining.
type load struct {
	name      string
	seed      uint64
	seconds   int           // of measuring
	rate      int64         // messages per second
	base      time.Duration // the shortest latency
	mean      time.Duration // of the exponential part on top
	mode      time.Duration // a second mode for one message in 20; 0: none
	stallAt   int           // the second in which the broker stops for stall
	stall     time.Duration
	reconnect int     // the second in which half of the clients are cut; 0: none
	share     float64 // of the expected deliveries, made while measuring; the rest follow in the drain phase
	lost      int64   // in all
	lag       time.Duration
	cpu       int64 // per mille
	shards    int
	partial   bool
	closed    bool
	scale     float64
	atMost    bool          // QoS 0 in place of 1
	drain     time.Duration // 0: 1 s
}

func steady() load {
	return load{name: "oms/p2p-1k", seed: 1, seconds: 10, rate: 1000, base: 200 * time.Microsecond, mean: 300 * time.Microsecond, share: 1, lag: 20 * time.Microsecond, cpu: 120, shards: 1, scale: 1}
}

// result returns the run's result.
func (l load) result() *result.Result { return l.shard(0) }

func (l load) shard(n int) *result.Result {
	random := rand.New(rand.NewPCG(l.seed, uint64(n)))
	r := &result.Result{
		Run: result.Run{
			Tool:   "0.1.0",
			Plan:   result.Plan{Name: l.name, Hash: "9f2c41d7e0b35a68d4c1", Text: "preset: " + l.name + "\n", Scale: l.scale, Header: true, Closed: l.closed},
			Shards: l.shards, Step: time.Second,
		},
		Shards: []result.Shard{{
			Shard: n, Epoch: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Engine: "lite", Command: []string{"mqbench", "run", l.name},
			Broker: "mosquitto version 2.0.11", NoDelay: true,
			Environment: result.Environment{
				Hostname: "load", OS: "linux/amd64", Kernel: "6.1.0", CPU: "Some CPU @ 2.40GHz", CPUs: 4, GOMAXPROCS: 4, Memory: 16 << 30,
				NoFile: 20000, NoFileHard: 20000, Clock: "tsc", Go: "go1.26.8",
			},
			Calibration: result.Calibration{Messages: 3.1e6, Connects: 12000, Floor: 35 * time.Microsecond},
		}},
	}
	qos := packet.QoS(1)
	if l.atMost {
		qos = 0
	}
	at := time.Duration(0)
	add := func(phase result.Phase) *result.Interval {
		length := time.Second
		if phase == result.PhaseDrain && l.drain > 0 {
			length = l.drain
		}
		i := result.NewInterval(phase, at, at+length)
		at += length
		r.Intervals = append(r.Intervals, i)
		i.Gauges[result.GaugeConnected] = 2000
		i.Gauges[result.GaugeCPU] = l.cpu + random.Int64N(20)
		i.Gauges[result.GaugeRSS] = 40 << 20
		i.Gauges[result.GaugeGCPause] = 80_000 + random.Int64N(40_000)
		return i
	}
	exponential := func(mean time.Duration) time.Duration {
		return time.Duration(-math.Log(1-random.Float64()) * float64(mean))
	}
	connect := func(i *result.Interval, n int64) {
		i.Count(result.Attempts, "pub", result.NoQoS, n)
		i.Count(result.Connects, "pub", result.NoQoS, n)
		for range n {
			tcp := 60*time.Microsecond + exponential(40*time.Microsecond)
			connack := 150*time.Microsecond + exponential(100*time.Microsecond)
			i.Histogram(result.Key{Op: result.ConnectTCP, Kind: result.Service, Group: "pub"}).Record(tcp, 1)
			i.Histogram(result.Key{Op: result.ConnectConnack, Kind: result.Service, Group: "pub"}).Record(connack, 1)
			i.Histogram(result.Key{Op: result.Connect, Kind: result.Response, Group: "pub"}).Record(tcp+connack, 1)
		}
	}
	for second := range 2 {
		i := add(result.PhaseConnect)
		connect(i, 1000)
		i.Gauges[result.GaugeConnected] = 1000 * int64(second+1)
	}
	messages := func(i *result.Interval, second int) {
		i.Count(result.Offered, "pub", qos, l.rate)
		i.Count(result.Sent, "pub", qos, l.rate)
		if qos > 0 {
			i.Count(result.Acked, "pub", qos, l.rate)
			i.Count(result.Answered, "pub", qos, l.rate)
		}
		i.Count(result.Expected, "sub", qos, l.rate)
		got := int64(float64(l.rate) * l.share)
		i.Count(result.Delivered, "sub", qos, got)
		i.Count(result.Distinct, "sub", qos, got)
		i.Count(result.Arrived, "sub", qos, got)
		for k := range got {
			extra := exponential(l.mean)
			if l.mode > 0 && random.IntN(20) == 0 {
				extra += l.mode
			}
			if l.stall > 0 && second == l.stallAt {
				if left := l.stall - time.Duration(k)*time.Second/time.Duration(l.rate); left > 0 {
					extra += left
				}
			}
			if l.share < 1 { // the queue grows
				extra += time.Duration(float64(second) * (1 - l.share) * float64(time.Second))
			}
			lag := exponential(l.lag)
			i.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(l.base+lag+extra, 1)
			i.Histogram(result.Key{Op: result.Delivery, Kind: result.Service, Group: "sub"}).Record(l.base+extra, 1)
			if qos > 0 {
				i.Histogram(result.Key{Op: result.Puback, Kind: result.Response, Group: "pub"}).Record(l.base/2+lag+extra/2, 1)
			}
			i.Histogram(result.Key{Op: result.Puback, Kind: result.Lag, Group: "pub"}).Record(lag, 1)
		}
		if l.reconnect > 0 && second == l.reconnect {
			i.Count(result.Losses, "sub", result.NoQoS, 1000)
			i.Counters[result.CounterKey{Name: "error.read.reset", Group: "sub", QoS: result.NoQoS}] += 1000
			i.Counters[result.CounterKey{Name: "reason.connack.0x97", Group: "sub", QoS: result.NoQoS}] += 12
			i.Gauges[result.GaugeConnected] = 1000
			connect(i, 1000)
		}
	}
	messages(add(result.PhaseWarmUp), 0)
	for second := range l.seconds {
		messages(add(result.PhaseMeasure), second+1)
	}
	drain := add(result.PhaseDrain)
	rest := (l.rate-int64(float64(l.rate)*l.share))*int64(l.seconds+1) - l.lost
	drain.Count(result.Delivered, "sub", qos, rest)
	drain.Count(result.Distinct, "sub", qos, rest)
	drain.Count(result.Arrived, "sub", qos, rest)
	if qos > 0 {
		drain.Count(result.Lost, "sub", qos, l.lost)
	} else {
		drain.Count(result.Dropped, "sub", qos, l.lost)
	}
	drain.Count(result.Settled, "pub", result.NoQoS, 1)
	if rest > 0 {
		drain.Histogram(result.Key{Op: result.Delivery, Kind: result.Response, Group: "sub"}).Record(l.base+time.Duration(l.seconds)*time.Second/10, rest)
	}
	r.Notes = []result.Note{{At: 2 * time.Second, Shard: n, Kind: result.NotePhase, Text: "warm-up"}, {At: 3 * time.Second, Shard: n, Kind: result.NotePhase, Text: "measure"}}
	if l.reconnect > 0 {
		r.Notes = append(r.Notes, result.Note{At: time.Duration(2+l.reconnect) * time.Second, Shard: n, Kind: result.NoteFault, Text: "half of the clients cut"})
	}
	if !l.partial {
		end := result.End{Shard: n, At: at, Complete: true}
		if l.lost > 0 {
			end.Missing = []result.MissingRange{{Subscriber: 1007, Publisher: 7, From: 3, To: uint32(2 + l.lost)}}
		}
		r.Ends = []result.End{end}
	}
	return r
}
