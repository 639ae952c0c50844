package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustParse(t interface {
	Helper()
	Fatal(...any)
}, text string, o Options) *Plan {
	t.Helper()
	p, err := Parse("test.yaml", []byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// All shards and loops together send each message once, at its time, from the
// client whose turn it is.
func TestShardsShareTheWork(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clients, together := rapid.IntRange(1, 40).Draw(t, "clients"), rapid.IntRange(1, 5).Draw(t, "together")
		shards, loops := rapid.IntRange(1, 7).Draw(t, "shards"), rapid.IntRange(1, 3).Draw(t, "loops")
		messages := rapid.IntRange(1, 300).Draw(t, "messages")
		pace := rapid.SampledFrom([]string{"rate: 997/s", "pace: {poisson: 100/s}", "pace: {burst: {messages: 7, every: 1s}}", "pace: {ramp: {from: 0, to: 10/s, for: 1m}}"}).Draw(t, "pace")
		p := mustParse(t, fmt.Sprintf("groups: {g: {clients: %d, together: %d, publish: {topic: a, messages: %d, %s}}}", clients, together, messages, pace), Options{})
		g := p.Groups[0]
		s := g.Publish[0]
		seen := make([]bool, messages)
		owned, driven := map[uint32]bool{}, 0
		for i := range shards {
			sh, err := p.Shard(i, shards)
			if err != nil {
				t.Fatal(err)
			}
			place := 0
			for k := range sh.Own(g, 0, 1) {
				if owned[k] || int(k) >= clients {
					t.Fatalf("client %d is in shard %d, and in another one or nowhere", k, i)
				}
				owned[k] = true
				if back, ok := sh.Place(g, k); !ok || back != place {
					t.Fatalf("client %d is at place %d, and found at %d, %v", k, place, back, ok)
				}
				if int(k)/together%shards != i {
					t.Fatalf("client %d is in shard %d of %d, with %d together", k, i, shards, together)
				}
				place++
			}
			if place != sh.Clients(g) {
				t.Fatalf("shard %d has %d clients, and says %d", i, place, sh.Clients(g))
			}
			for loop := range loops {
				last := time.Duration(0)
				own := slices.Collect(sh.Own(g, loop, loops))
				driven += len(own)
				sc := sh.Schedule(s, loop, loops)
				for m, ok := sc.Peek(); ok; m, ok = sc.Peek() {
					if int(m.Place) >= len(own) || own[m.Place] != m.Client {
						t.Fatalf("loop %d of shard %d has the clients %d, and gets message %+v", loop, i, own, m)
					}
					at, _ := s.Pacer.At(m.Number)
					if seen[m.Number] || m.At != at || m.At < last || m.Number != uint64(m.Seq)*uint64(clients)+uint64(m.Client) {
						t.Fatalf("message %+v: seen %v, its time is %v, the last was at %v", m, seen[m.Number], at, last)
					}
					seen[m.Number], last = true, m.At
					sc.Advance()
				}
			}
		}
		for j, s := range seen {
			if !s {
				t.Fatalf("no client sends message %d", j)
			}
		}
		if len(owned) != clients || driven != clients {
			t.Fatalf("%d clients are in shards and %d on loops, want %d", len(owned), driven, clients)
		}
	})
}

func TestAShardThatIsNone(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "groups: {g: {clients: 5}}", Options{})
	for _, c := range [][2]int{{0, 0}, {1, 1}, {-1, 2}, {0, 4097}} {
		if _, err := p.Shard(c[0], c[1]); err == nil {
			t.Errorf("there is a shard %d of %d", c[0], c[1])
		}
	}
	big := mustParse(t, "groups: {g: {clients: 20000000}}", Options{})
	if _, err := big.Shard(0, 1); err == nil || !strings.Contains(err.Error(), "more shards") {
		t.Errorf("20 million clients in a shard: %v", err)
	}
	s, err := big.Shard(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Publisher(big.Groups[0], 19_999_999); got != 9_999_999 {
		t.Errorf("the last client is publisher %d of its shard, want 9999999", got)
	}
}

func TestConnectsKeepTheirRateOverAllGroupsAndShards(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "phases: {connect: {rate: 10/s}}\ngroups: {a: {clients: 3}, b: {clients: 9, deferred: true}, c: {clients: 4}}\nactions: [{at: measure, do: connect, group: b}]", Options{})
	got := map[time.Duration]int{}
	for i := range 3 {
		s, _ := p.Shard(i, 3)
		for _, g := range p.Groups {
			for index := range s.Own(g, 0, 1) {
				if at, ok := p.ConnectAt(g, index); ok {
					got[at]++
				}
			}
		}
	}
	for i := range 7 {
		if at := time.Duration(i) * 100 * time.Millisecond; got[at] != 1 {
			t.Errorf("%d connects at %v, want 1", got[at], at)
		}
	}
	if len(got) != 7 {
		t.Errorf("connects at %v", got)
	}
}

func TestShardFromEnv(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  string
		i, n int
		err  string // "none": there is no index
	}{
		{"", 0, 0, "none"},
		{"MQBENCH_SHARDS=4", 0, 0, "none"},
		{"JOB_COMPLETION_INDEX=3 MQBENCH_SHARDS=4", 3, 4, ""},
		{"SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=40 SLURM_ARRAY_TASK_MIN=1", 0, 40, ""},
		{"SLURM_ARRAY_TASK_ID=14 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=2", 2, 3, ""},
		{"AWS_BATCH_JOB_ARRAY_INDEX=9 AWS_BATCH_JOB_ARRAY_SIZE=10", 9, 10, ""},
		{"NOMAD_ALLOC_INDEX=0 MQBENCH_SHARDS=2", 0, 2, ""},
		{"MQBENCH_SHARD=1 MQBENCH_SHARDS=2 JOB_COMPLETION_INDEX=0", 1, 2, ""},
		{"AWS_BATCH_JOB_ARRAY_INDEX=9 AWS_BATCH_JOB_ARRAY_SIZE=10 MQBENCH_SHARDS=20", 9, 20, ""},
		{"JOB_COMPLETION_INDEX=3", 0, 0, "JOB_COMPLETION_INDEX is set, and MQBENCH_SHARDS, the number of shards, is not"},
		{"JOB_COMPLETION_INDEX=4 MQBENCH_SHARDS=4", 0, 0, "JOB_COMPLETION_INDEX: there is no shard 4 of 4"},
		{"JOB_COMPLETION_INDEX=x MQBENCH_SHARDS=4", 0, 0, `JOB_COMPLETION_INDEX: "x" is not a whole number`},
		{"JOB_COMPLETION_INDEX=1 MQBENCH_SHARDS=-4", 0, 0, `MQBENCH_SHARDS: "-4" is not a whole number`},
		{"SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=2", 0, 0, "SLURM_ARRAY_TASK_ID is 1, below SLURM_ARRAY_TASK_MIN, which is 2"},
	} {
		env := map[string]string{}
		for _, x := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(x, "=")
			env[k] = v
		}
		i, n, ok, err := ShardFromEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		text := ""
		if err != nil {
			text = err.Error()
		} else if !ok {
			text = "none"
		}
		if i != c.i || n != c.n || text != c.err {
			t.Errorf("%q: got %d of %d, %q, want %d of %d, %q", c.env, i, n, text, c.i, c.n, c.err)
		}
	}
}
