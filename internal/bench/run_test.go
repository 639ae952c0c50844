package bench

import (
	"context"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/broker/brokertest"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

func TestMain(m *testing.M) {
	if os.Getenv(starvedEnv) != "" {
		starve()
		return
	}
	goleak.VerifyTestMain(m)
}

// at is the target of an address.
func at(t testing.TB, addr string) *transport.Target {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &transport.Target{Network: "tcp", Host: "127.0.0.1", Port: a.Port}
}

// serve starts a broker on a port of its own.
func serve(t testing.TB, o broker.Options) *transport.Target {
	t.Helper()
	_, addr := brokertest.StartWith(t, o)
	return at(t, addr)
}

// outcome is what came of a scenario.
type outcome struct {
	testing.TB
	*report.Summary
	err error
}

// attempt runs a scenario against a broker.
func attempt(ctx context.Context, t testing.TB, yaml string, engine swarm.Engine, target *transport.Target) *outcome {
	t.Helper()
	return attemptBy(ctx, t, yaml, over(engine, target))
}

// attemptBy runs a scenario with the clients of a swarm.
func attemptBy(ctx context.Context, t testing.TB, yaml string, by swarm.Options) *outcome {
	t.Helper()
	p, err := plan.Parse("test.yaml", []byte(yaml), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := runBy(ctx, p, func(n result.Note) { t.Log(n.At, n.Kind, n.Text) }, by)
	o := &outcome{TB: t, err: err}
	if r != nil {
		o.Summary = report.Summarize(r)
	}
	return o
}

func runPlan(ctx context.Context, p *plan.Plan, engine swarm.Engine, target *transport.Target, tell func(result.Note)) (*result.Result, error) {
	return runBy(ctx, p, tell, over(engine, target))
}

// over is a swarm whose clients connect to a target.
func over(engine swarm.Engine, target *transport.Target) swarm.Options {
	return swarm.Options{Engine: engine, Targets: []*transport.Target{target}, Dialer: &transport.Dialer{Timeout: 5 * time.Second}}
}

func runBy(ctx context.Context, p *plan.Plan, tell func(result.Note), by swarm.Options) (*result.Result, error) {
	s, err := p.Shard(0, 1)
	if err != nil {
		return nil, err
	}
	by.Loops = 2
	return Run(ctx, Options{Shard: s, Tell: tell, Swarm: by,
		Run: result.Run{Plan: result.Plan{Name: "test", Scale: 1, Closed: p.Closed(), Header: p.HasHeader()}, Shards: 1}})
}

// play runs a scenario that is to come to its end.
func play(t testing.TB, yaml string, engine swarm.Engine, target *transport.Target) *outcome {
	t.Helper()
	return attempt(t.Context(), t, yaml, engine, target).whole()
}

// whole claims that the run came to its end.
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

// counted are a group's counters of all phases, over all QoS.
func (o *outcome) counted(group string) map[string]int64 {
	sums := map[string]int64{}
	for k, n := range o.Result.Sum().Counters {
		if k.Group == group {
			sums[k.Name] += n
		}
	}
	return sums
}

// want claims that a group's counters have these values; what is not named has
// any.
func (o *outcome) want(group string, counters map[string]int64) {
	o.Helper()
	got := o.counted(group)
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if got[name] != counters[name] {
			o.Errorf("%s: %s is %d, want %d", group, name, got[name], counters[name])
		}
	}
}

// values is the number of values of an operation over all phases.
func (o *outcome) values(op result.Op, kind result.Kind) int64 {
	if h := o.Result.Sum().Merged()[result.Key{Op: op, Kind: kind}]; h != nil {
		return h.Count()
	}
	return 0
}

// wantValues claims how many values an operation has.
func (o *outcome) wantValues(op result.Op, kind result.Kind, want int64) {
	o.Helper()
	if got := o.values(op, kind); got != want {
		o.Errorf("%v.%v has %d values, want %d", op, kind, got, want)
	}
}

// clean claims that nothing was lost or went wrong.
func (o *outcome) clean() {
	o.Helper()
	f := o.Total
	if f.Expected == 0 || f.Lost != 0 || f.Duplicates+f.Reordered+f.Corrupt+f.Foreign+f.Unjudged+f.Refused != 0 {
		o.Errorf("not clean: %+v", f)
	}
	if e := o.Errors(); len(e) > 0 {
		o.Errorf("errors: %v", e)
	}
}
