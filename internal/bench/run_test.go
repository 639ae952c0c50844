package bench

import (
	"context"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/fault"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
	"github.com/mqtools/mqtools/mqtt/transport/memtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(starvedEnv) != "" {
		starve()
		return
	}
	goleak.VerifyTestMain(m)
}

// at returns the target for an address.
func at(t testing.TB, addr string) *transport.Target {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: a.Port}
}

// serve starts a broker on a free port.
func serve(t testing.TB, o broker.Options) *transport.Target {
	t.Helper()
	_, addr := brokertest.StartWith(t, o)
	return at(t, addr)
}

// over returns the options of a run whose clients connect to a target.
func over(engine swarm.Engine, target *transport.Target) Options {
	return Options{Swarm: swarm.Options{Engine: engine, Targets: []*transport.Target{target}, Dialer: &transport.Dialer{Timeout: 5 * time.Second}}}
}

// within returns the options of a run whose clients connect with dial.
func within(dial func(context.Context) (net.Conn, error)) Options {
	return Options{Swarm: swarm.Options{
		Targets: []*transport.Target{{Network: "tcp", Host: "memory"}},
		Dial:    func(ctx context.Context, _ *transport.Target) (net.Conn, error) { return dial(ctx) },
	}}
}

// ours returns a broker and its network in memory.
func ours(t testing.TB, o broker.Options) (*broker.Broker, *memtest.Network) {
	network := memtest.New()
	return brokertest.Serve(t, network, o), network
}

// flawed returns a bad broker and its network in memory.
func flawed(t testing.TB, f badbroker.Flaws) (*badbroker.Broker, *memtest.Network) {
	network := memtest.New()
	return badbroker.Serve(t, network, f), network
}

// proxied returns a proxy with faults in front of a server in memory, and the network
// that leads to it.
func proxied(t testing.TB, server *memtest.Network) (*fault.Proxy, *memtest.Network) {
	front := memtest.New()
	p := fault.New(front, server.Dial, 1)
	t.Cleanup(p.Close)
	return p, front
}

// inBubble runs a test in a bubble of testing/synctest, where time is exact and does
// not depend on the machine.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// outcome is the outcome of a scenario.
type outcome struct {
	testing.TB
	*report.Summary
	err error
}

// runScenario runs a scenario as the only shard, on two loops.
func runScenario(ctx context.Context, yaml string, o Options) (*result.Result, error) {
	p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{})
	if err != nil {
		return nil, err
	}
	return runPlan(ctx, p, o)
}

// runPlan runs a plan as the only shard, on two loops.
func runPlan(ctx context.Context, p *plan.Plan, o Options) (r *result.Result, err error) {
	if o.Shard, err = p.Shard(0, 1); err != nil {
		return nil, err
	}
	o.Swarm.Loops = 2
	o.Run = result.Run{Plan: result.Plan{Name: "test", Scale: 1, Closed: p.Closed(), Header: p.HasHeader()}, Shards: 1}
	return Run(ctx, o)
}

// attempt runs a scenario.
func attempt(ctx context.Context, t testing.TB, yaml string, o Options) *outcome {
	t.Helper()
	p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return attemptPlan(ctx, t, p, o)
}

// attemptPlan runs a plan.
func attemptPlan(ctx context.Context, t testing.TB, p *plan.Plan, o Options) *outcome {
	t.Helper()
	note := o.OnNote
	o.OnNote = func(n result.Note) {
		t.Log(n.At, n.Kind, n.Text)
		if note != nil {
			note(n)
		}
	}
	r, err := runPlan(ctx, p, o)
	if r == nil {
		t.Fatal(err)
	}
	return &outcome{t, report.Summarize(r), err}
}

// play runs a scenario that must run to its end.
func play(t testing.TB, yaml string, o Options) *outcome {
	t.Helper()
	return attempt(t.Context(), t, yaml, o).whole()
}

// whole checks that the run came to its end.
func (o *outcome) whole() *outcome {
	t := o.TB
	t.Helper()
	if o.err != nil {
		t.Fatal(o.err)
	}
	if p := o.Result.Partial(); p != "" {
		t.Fatalf("a whole run is partial: %s", p)
	}
	return o
}

// eachEngine runs a test with each engine.
func eachEngine(t *testing.T, test func(t *testing.T, e swarm.Engine)) {
	for _, e := range []swarm.Engine{swarm.Lite, swarm.Std} {
		if e == swarm.Lite && runtime.GOOS != "linux" {
			continue
		}
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// counted returns a group's counters of all phases, over all QoS.
func (o *outcome) counted(group string) map[string]int64 {
	sums := map[string]int64{}
	for k, n := range o.Result.Sum().Counters {
		if k.Group == group {
			sums[k.Name] += n
		}
	}
	return sums
}

// want checks that a group's counters have these values; others may have any value.
func (o *outcome) want(group string, counters map[string]int64) {
	o.Helper()
	got := o.counted(group)
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if got[name] != counters[name] {
			o.Errorf("%s: %s is %d, want %d", group, name, got[name], counters[name])
		}
	}
}

// values returns the number of values of an operation over all phases.
func (o *outcome) values(op result.Op, kind result.Kind) int64 {
	if h := o.Result.Sum().Merged()[result.Key{Op: op, Kind: kind}]; h != nil {
		return h.Count()
	}
	return 0
}

// wantValues checks how many values an operation has.
func (o *outcome) wantValues(op result.Op, kind result.Kind, want int64) {
	o.Helper()
	if got := o.values(op, kind); got != want {
		o.Errorf("%v.%v has %d values, want %d", op, kind, got, want)
	}
}

// clean checks that nothing was lost or went wrong.
func (o *outcome) clean() {
	o.Helper()
	f := o.Total
	if err := o.Err(); err != nil {
		o.Error(err)
	}
	if f.Expected == 0 || f.Lost+f.Dropped+f.InFlight != 0 || f.Duplicates+f.Reordered+f.Corrupt+f.Foreign+f.Unchecked+f.Refused != 0 {
		o.Errorf("not clean: %+v", f)
	}
	if e := o.Errors(); len(e) > 0 {
		o.Errorf("errors: %v", e)
	}
}
