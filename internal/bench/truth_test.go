package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/badbroker"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/packet"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// The broker's faults are known here, and so is what the report must say.

// said returns the verdicts about the run, each once.
func (o *outcome) said() (labels []report.Label) {
	for _, v := range o.Verdicts {
		if v.Label != report.Hint && !slices.Contains(labels, v.Label) {
			labels = append(labels, v.Label)
		}
	}
	return labels
}

// says checks that these verdicts are given about the run, and no others.
func (o *outcome) says(want ...report.Label) {
	o.Helper()
	if err := o.Err(); err != nil {
		o.Error(err)
	}
	if got := o.said(); !slices.Equal(got, want) {
		o.Errorf("verdicts %q, want %q: %v\n%+v\n%v", got, want, o.Verdicts, o.Total, o.Counters)
	}
}

// wrongs are single faults of a broker.
var wrongs = []struct {
	name  string
	flaws badbroker.Flaws
}{
	{"delay", badbroker.Flaws{Delay: func(int) time.Duration { return 20 * time.Millisecond }}},
	{"two speeds", badbroker.Flaws{Delay: func(n int) time.Duration { return time.Duration(n%10/9) * 30 * time.Millisecond }}},
	{"stall", badbroker.Flaws{Stall: 300 * time.Millisecond, Every: 1900 * time.Millisecond}},
	{"slow to accept clients", badbroker.Flaws{ConnackDelay: 100 * time.Millisecond}},
	{"slow to subscribe", badbroker.Flaws{SubackDelay: 100 * time.Millisecond}},
	{"drop", badbroker.Flaws{Drop: 97}},
	{"duplicate", badbroker.Flaws{Duplicate: 83}},
	{"reorder", badbroker.Flaws{Reorder: 89}},
	{"corrupt", badbroker.Flaws{Corrupt: 101}},
	{"foreign", badbroker.Flaws{Foreign: 79}},
	{"refuse messages", badbroker.Flaws{RefusePublish: 73}},
	{"refuse subscriptions", badbroker.Flaws{RefuseSubscribe: 3}},
	{"refuse clients", badbroker.Flaws{RefuseConnect: 5}},
	{"kill", badbroker.Flaws{Kill: 211}},
	{"no acknowledgement", badbroker.Flaws{NoAck: 71}},
	{"slow to acknowledge", badbroker.Flaws{AckDelay: 500 * time.Millisecond}},
	{"capacity", badbroker.Flaws{Capacity: 60}},
}

// both combines the flaws of two wrongs.
func both(a, b badbroker.Flaws) badbroker.Flaws {
	f := a
	if b.Delay != nil {
		f.Delay = b.Delay
	}
	f.Stall, f.Every = max(a.Stall, b.Stall), max(a.Every, b.Every)
	f.ConnackDelay, f.SubackDelay, f.AckDelay = max(a.ConnackDelay, b.ConnackDelay), max(a.SubackDelay, b.SubackDelay), max(a.AckDelay, b.AckDelay)
	f.Drop, f.Duplicate, f.Reorder, f.Corrupt, f.Foreign = max(a.Drop, b.Drop), max(a.Duplicate, b.Duplicate), max(a.Reorder, b.Reorder), max(a.Corrupt, b.Corrupt), max(a.Foreign, b.Foreign)
	f.RefusePublish, f.RefuseSubscribe, f.RefuseConnect = max(a.RefusePublish, b.RefusePublish), max(a.RefuseSubscribe, b.RefuseSubscribe), max(a.RefuseConnect, b.RefuseConnect)
	f.Kill, f.NoAck, f.Capacity = max(a.Kill, b.Kill), max(a.NoAck, b.NoAck), max(a.Capacity, b.Capacity)
	return f
}

// Each fault, and each pair of them, is counted as often as it occurred, and gives the
// verdicts that it must, and no others.
func TestEachWrongIsMeasuredAsItIs(t *testing.T) {
	for i, a := range wrongs {
		for _, b := range wrongs[i:] {
			name := a.name
			if b.name != a.name {
				name += " and " + b.name
			}
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) { measureWrong(t, both(a.flaws, b.flaws)) })
			})
		}
	}
}

func measureWrong(t *testing.T, flaws badbroker.Flaws) {
	b, network := flawed(t, flaws)
	o := play(t, `
phases: {settle: 0s, warm-up: 500ms, measure: 6s, drain: 60s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 120/s, window: 10}}
`, within(network.Dial))
	c, f := b.Counts(), o.Total
	for _, x := range []struct {
		what      string
		got, want int64
	}{
		{"due", f.Due, 780},
		{"received", f.Received, int64(c.Delivered - c.Dropped - c.Corrupted - c.Held)},
		{"expected", f.Expected, int64(c.Delivered)},
		{"lost", f.Lost, int64(c.Dropped + c.Held)},
		{"in flight", f.InFlight, 0},
		{"corrupt", f.Corrupt, int64(c.Corrupted)},
		{"duplicates", f.Duplicates, int64(c.Duplicated)},
		{"out of order", f.Reordered, int64(c.Reordered)},
		{"foreign", f.Foreign, int64(c.Foreigns)},
		{"refused", f.Refused, int64(c.RefusedPublishes)},
		{"refused subscriptions", o.Counters["reason.suback.0x87"], int64(c.RefusedSubscribes)},
		{"refused clients", o.Counters["reason.connack.0x97"], int64(c.RefusedConnects)},
		{"lost connections", o.Counters["losses"], int64(c.Kills)},
		{"not checked", f.Unchecked, 0},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
		}
	}
	var want []report.Label
	if c.Dropped+c.Held+c.Corrupted+c.Reordered > 0 {
		want = append(want, report.Violated)
	}
	if c.RefusedPublishes+c.RefusedSubscribes+c.RefusedConnects+c.Kills+c.Ignored > 0 {
		want = append(want, report.Incomplete)
	}
	// At 120/s of four publishers a window of 10 holds 80/s at 500 ms.
	late, slow := flaws.AckDelay > 0, flaws.Capacity > 0
	if late || slow {
		switch {
		case slow && flaws.Kill+flaws.RefuseConnect+flaws.RefuseSubscribe > 0, late && flaws.Kill+flaws.RefuseConnect > 0:
			if o.Has(report.Saturated) { // there is less to do, which may be too much or not
				want = append(want, report.Saturated)
			}
		default:
			want = append(want, report.Saturated)
		}
	}
	// windows fill up
	if flaws.NoAck > 0 && o.Has(report.Saturated) && !slices.Contains(want, report.Saturated) {
		want = append(want, report.Saturated)
	}
	o.says(want...)
	if late && flaws.Kill+flaws.RefuseConnect+flaws.NoAck == 0 && !strings.Contains(o.why(report.Saturated), "acknowledgements") {
		t.Errorf("it does not say who waited: %v", o.Verdicts)
	}
	code := 0
	switch {
	case slices.Contains(want, report.Violated):
		code = option.ExitLoss
	case slices.Contains(want, report.Incomplete):
		code = option.ExitIncomplete
	}
	if got := o.ExitCode(nil); got != code {
		t.Errorf("status %d, want %d", got, code)
	}
	if o.Strict = true; code == 0 && slices.Contains(want, report.Saturated) && o.ExitCode(nil) != option.ExitSaturated {
		t.Errorf("status %d with --strict", o.ExitCode(nil))
	}
}

// why returns the texts of the verdicts with a label.
func (o *outcome) why(l report.Label) (text string) {
	for _, v := range o.Verdicts {
		if v.Label == l {
			text += v.Text + "\n"
		}
	}
	return text
}

// A correct broker gets no verdict, whatever the plan.
func TestNothingIsSaidOfABrokerThatIsRight(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				yaml := anyPlan(rand.New(rand.NewPCG(seed, 7)))
				_, server := ours(t, broker.Options{})
				proxy, front := proxied(t, server)
				proxy.Delay(time.Duration(seed%3)*5*time.Millisecond, time.Duration(seed%2)*3*time.Millisecond)
				proxy.Split(seed%5 == 1)
				o := play(t, yaml, within(front.Dial))
				o.says()
				// When connections are lost, QoS 0 messages may be dropped and QoS 1
				// messages arrive twice.
				if f := o.Total; f.Expected == 0 || f.Lost+f.InFlight+f.Reordered+f.Corrupt != 0 || o.ExitCode(nil) != 0 {
					t.Errorf("%+v", f)
				}
				if t.Failed() {
					t.Log(yaml)
				}
			})
		})
	}
}

// anyPlan generates a plan: groups whose filters match in all kinds of ways, at all
// QoS, with actions.
func anyPlan(r *rand.Rand) string {
	var b strings.Builder
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	kept := r.IntN(2) == 0
	fmt.Fprintf(&b, "phases: {settle: %s, warm-up: %s, measure: 3s, drain: 30s}\n", pick("0s", "100ms"), pick("0s", "500ms"))
	if kept {
		b.WriteString("clean-start: false\nsession-expiry: 60s\n")
	}
	b.WriteString("reconnect: {first: 20ms, max: 100ms}\ngroups:\n")
	filters := []string{"t/%i", "t/#", "t/+", "+/1", "t/1", "$share/a/t/#", "$share/b/t/+", "$share/a/u/#", "u/#", "#"}
	subs := 1 + r.IntN(3)
	deferred := false
	for g := range subs {
		fmt.Fprintf(&b, "  s%d: {clients: %d, subscribe: [", g, 1+r.IntN(4))
		for n := range 1 + r.IntN(3) {
			late := ""
			if g == 0 && n > 0 && r.IntN(3) == 0 {
				late, deferred = ", deferred: true", true
			}
			fmt.Fprintf(&b, "{filter: '%s', qos: %d%s}, ", pick(filters...), r.IntN(3), late)
		}
		b.WriteString("{filter: 't/#', qos: 1}]}\n")
	}
	for g := range 1 + r.IntN(2) {
		fmt.Fprintf(&b, "  p%d: {clients: %d, publish: {topic: '%s', qos: %d, payload: %d, rate: %d/s, window: %d}}\n", g, 1+r.IntN(4),
			pick("t/%i", "t/1", "u/%i", "t/%{s%3}"), r.IntN(3), 16+r.IntN(200), 10+r.IntN(60), 20+r.IntN(20))
	}
	b.WriteString("  sure: {clients: 1, publish: {topic: t/7, qos: 1, payload: 64, rate: 10/s}}\nactions:\n")
	if deferred {
		fmt.Fprintf(&b, "  - {at: measure+%dms, do: subscribe, group: s0}\n", r.IntN(2000))
	}
	for range r.IntN(4) {
		do := pick("cut", "close", "disconnect", "takeover", "burst")
		group := fmt.Sprintf("s%d", r.IntN(subs))
		more := ""
		switch {
		case do == "burst":
			group, more = "p0", ", messages: 5"
		case r.IntN(3) == 0:
			group = "p0"
		}
		fmt.Fprintf(&b, "  - {at: measure+%dms, do: %s, group: %s%s}\n", r.IntN(2500), do, group, more)
	}
	if r.IntN(5) == 0 {
		fmt.Fprintf(&b, "  - {at: measure+%dms, do: unsubscribe, group: s%d}\n", r.IntN(2500), subs-1)
	}
	b.WriteString("  - {at: measure+10ms, do: burst, group: sure, messages: 1}\n")
	return b.String()
}

// A broker that can deliver half of the load is saturated, and loses nothing as long as
// it keeps delivering.
func TestABacklogIsInFlightAndNotLost(t *testing.T) {
	for _, c := range []struct {
		drain          string
		drop           int
		lost, inFlight bool
		want           []report.Label
	}{
		{"60s", 0, false, false, []report.Label{report.Saturated}},
		{"1s", 0, false, true, []report.Label{report.Saturated}},
		{"60s", 500, true, false, []report.Label{report.Violated, report.Saturated}},
		{"1s", 500, false, true, []report.Label{report.Saturated}},
	} {
		t.Run(fmt.Sprintf("drain %s, one in %d", c.drain, c.drop), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b, network := flawed(t, badbroker.Flaws{Capacity: 500, Drop: c.drop})
				o := play(t, `
phases: {settle: 0s, warm-up: 1s, measure: 5s, drain: `+c.drain+`}
groups:
  subs: {clients: 10, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 10, publish: {topic: t/%i, qos: 1, payload: 64, rate: 1000/s}}
`, within(network.Dial))
				o.says(c.want...)
				if f := o.Total; (f.Lost > 0) != c.lost || c.lost && f.Lost != int64(b.Counts().Dropped) || (f.InFlight > 0) != c.inFlight {
					t.Errorf("%d lost, %d in flight", f.Lost, f.InFlight)
				}
				if got := o.Rates.Delivered; got < 495 || got > 505 {
					t.Errorf("%.0f/s delivered of a capacity of 500/s", got)
				}
				if why := o.why(report.Saturated); !strings.Contains(why, "sustained 50") || c.drop == 0 && !strings.Contains(why, "of 1,000/s due") {
					t.Errorf("it says %s", why)
				}
			})
		})
	}
}

// A subscriber whose connection does not answer has not lost anything: it is not known.
func TestWhatASilentBrokerOwesIsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := flawed(t, badbroker.Flaws{Drop: 50, Deaf: true})
		o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 1s}
groups:
  subs: {clients: 2, subscribe: {filter: t/%i, qos: 1}}
  pubs: {clients: 2, publish: {topic: t/%i, qos: 1, payload: 64, rate: 100/s}}
`, within(network.Dial))
		if f := o.Total; f.Lost != 0 || f.InFlight != 4 || o.Has(report.Violated) {
			t.Errorf("%+v, %v", f, o.Verdicts)
		}
	})
}

// A constant delay, however long, is not a queue; nor is a pause now and then.
func TestALongDelayIsNoSaturation(t *testing.T) {
	for name, flaws := range map[string]badbroker.Flaws{
		"delay": {Delay: func(int) time.Duration { return 2 * time.Second }},
		"stall": {Stall: 900 * time.Millisecond, Every: 2 * time.Second},
		"loss":  {Drop: 2},
	} {
		for _, measure := range []string{"1s", "2s", "5s", "10s"} {
			t.Run(name+" in "+measure, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					_, network := flawed(t, flaws)
					o := play(t, `
phases: {settle: 0s, warm-up: 0s, measure: `+measure+`, drain: 30s}
groups:
  subs: {clients: 2, subscribe: t/%i}
  pubs: {clients: 2, publish: {topic: t/%i, payload: 64, rate: 100/s}}
`, within(network.Dial))
					o.says()
				})
			})
		}
	}
}

// If the process itself was stalled, the generator made the result, however few the
// messages.
func TestAGeneratorThatStoodStillSaysSo(t *testing.T) {
	t.Parallel()
	p, err := plan.Parse("test.yaml", []byte(`
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 5s}
groups:
  subs: {clients: 1, subscribe: t}
  pubs: {clients: 1, publish: {topic: t, payload: 64, rate: 100/s}}
`), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := over(swarm.Std, serve(t, broker.Options{}))
	if o.Shard, err = p.Shard(0, 1); err != nil {
		t.Fatal(err)
	}
	o.Swarm.Loops, o.Run = 1, result.Run{Plan: result.Plan{Name: "test", Scale: 1, Header: true}, Shards: 1}
	var r *run
	o.During = func(context.Context, func(result.NoteKind, string)) {
		r.workers[0].loop.Do(func() { time.Sleep(time.Second) })
	}
	r = newRun(o)
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer r.swarm.Close()
	if err := r.play(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.res.Ends = append(r.res.Ends, result.End{Complete: true})
	s := report.Summarize(r.res)
	if why := (&outcome{t, s, nil}).why(report.GeneratorLimited); !strings.Contains(why, "messages were sent late (lag max ") || s.ExitCode(nil) != 0 {
		t.Errorf("%v, status %d", s.Verdicts, s.ExitCode(nil))
	}
	if s.Strict = true; s.ExitCode(nil) != option.ExitGenerator {
		t.Errorf("status %d with --strict", s.ExitCode(nil))
	}
}

func TestHowLongADrainWaits(t *testing.T) {
	for gap, want := range map[time.Duration]time.Duration{
		0: 2 * time.Second, 499 * time.Millisecond: 2 * time.Second, 600 * time.Millisecond: 2400 * time.Millisecond,
		2 * time.Second: 8 * time.Second, 3 * time.Second: 10 * time.Second,
	} {
		if got := quietTime(gap); got != want {
			t.Errorf("with gaps of %v: %v, want %v", gap, got, want)
		}
	}
}

// A client with overlapping filters is owed one message, at the QoS of the highest.
func TestWhatOverlapsIsOwedOnceAtTheHighestQoS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		_, network := ours(t, broker.Options{})
		o := play(t, `
phases: {settle: 100ms, warm-up: 0s, measure: 1s, drain: 1s}
groups:
  subs: {clients: 2, subscribe: [{filter: t/1, qos: 2}, {filter: t/+, qos: 1}, {filter: t/#, qos: 0}]}
  pubs: {clients: 1, publish: {topic: t/1, qos: 2, payload: 64, rate: 50/s}}
`, within(network.Dial))
		o.says()
		for k, n := range o.Result.Sum().Counters {
			if k.Name == "expected" && (k.QoS != 2 || n != 100) {
				t.Errorf("%d are expected at QoS %d, want 100 at QoS 2", n, k.QoS)
			}
		}
	})
}

// The same wrong bytes again are a duplicate.
func TestACorruptMessageThatComesTwiceIsOne(t *testing.T) {
	t.Parallel()
	r := idle(t, "groups: {a: {clients: 1, subscribe: {filter: a, qos: 1}, publish: {topic: a, qos: 1, payload: 16, rate: 1/s}}}")
	w := r.workers[0]
	w.loop.Do(func() {
		cl := &w.clients[0]
		for _, payload := range []string{"one", "two", "one", "one"} {
			w.corrupt(w.recs[0], cl, &packet.Publish{Topic: []byte("a"), QoS: 1, Payload: []byte(payload)})
		}
		if got := cl.account().corrupt[1].Load(); got != 2 {
			t.Errorf("%d stand for what is owed, want 2", got)
		}
	})
}
