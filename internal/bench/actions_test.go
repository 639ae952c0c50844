package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/mqtt/broker"
	"github.com/mqtools/mqtools/mqtt/swarm"
)

// scenarios covers what clients can do, each with the counts that the plan implies.
var scenarios = []struct {
	name, yaml string
	check      func(o *outcome)
}{
	{"clients come back after a cut, with their sessions", `
clean-start: false
session-expiry: 60s
reconnect: {first: 10ms, max: 50ms}
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 10s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 2}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 2, payload: 64, rate: 400/s}}
actions:
  - {at: measure+300ms, do: cut, group: subs}
  - {at: measure+500ms, do: close, group: pubs}
  - {at: measure+700ms, do: disconnect, group: pubs, clients: 2}
`, func(o *outcome) {
		o.clean()
		o.did("300ms cut: 4 clients of subs", "500ms close: 4 clients of pubs", "700ms disconnect: 2 clients of pubs")
		o.want("subs", map[string]int64{"attempts": 8, "connects": 8, "subscribes": 4, "losses": 0, "failures": 0})
		// Each is disconnected for 5 to 10 ms and has a message due each 10 ms, but not
		// while the plan has it disconnected.
		o.want("pubs", map[string]int64{"attempts": 10, "connects": 10, "losses": 0, "failures": 0, "skipped": 0, "returns": 6})
		if got := o.counted("pubs"); got["sent"] != got["offered"] || got["acked"] != got["sent"] || got["sent"] < 394 || got["sent"] > 399 {
			o.Errorf("pubs: %v", got)
		}
	}},
	{"takeovers", `
clean-start: false
session-expiry: 60s
phases: {settle: 0s, warm-up: 0s, measure: 4s, drain: 10s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 2}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 2, payload: 64, rate: 100/s}}
actions:
  - {at: measure+200ms, do: takeover, group: subs, over: 100ms, times: 2, every: 2s}
`, func(o *outcome) {
		o.did("200ms takeover: 4 clients of subs (1 of 2)", "2.2s takeover: 4 clients of subs (2 of 2)")
		if f := o.Total; f.Lost+f.Duplicates+f.Reordered+f.Corrupt != 0 || len(o.Errors()) > 0 {
			o.Errorf("%+v, %v", f, o.Errors())
		}
		o.want("subs", map[string]int64{"attempts": 12, "connects": 12, "subscribes": 4, "losses": 0, "failures": 0, "distinct": 400,
			"takeovers": 8, "taken-over": 8, "takeovers.unannounced": 0})
		o.wantValues(result.Takeover, result.Response, 8)
		o.want("pubs", map[string]int64{"attempts": 4, "sent": 400, "acked": 400})
	}},
	{"wills", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 300ms}
groups:
  watchers: {clients: 2, subscribe: {filter: will/+, qos: 1}}
  mortals: {clients: 4, will: {topic: will/%i, qos: 1, payload: 32}}
actions:
  - {at: measure+200ms, do: cut, group: mortals, clients: 2}
  - {at: measure+300ms, do: close, group: mortals, clients: 3}
`, func(o *outcome) {
		o.wantValues(result.Will, result.Response, 6) // three wills, to two subscribers each
		o.want("watchers", map[string]int64{"delivered": 6, "corrupt": 0, "foreign": 0})
		o.want("mortals", map[string]int64{"connects": 4, "losses": 0, "wills.due": 6})
	}},
	{"a will's delay", `
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 300ms}
groups:
  watchers: {clients: 1, subscribe: {filter: will/+, qos: 1}}
  mortals: {clients: 3, session-expiry: 60s, will: {topic: will/%i, qos: 1, payload: 32, delay: 1s}}
actions:
  - {at: measure+100ms, do: cut, group: mortals}
`, func(o *outcome) {
		o.wantValues(result.Will, result.Response, 3)
		if h := o.Latency(result.Will, result.Response); h != nil && (h.Min() < 990*time.Millisecond || h.Max() > 1010*time.Millisecond) {
			o.Errorf("wills took %v to %v", h.Min(), h.Max())
		}
	}},
	{"sessions resume with a backlog", `
phases: {settle: 1s, warm-up: 0s, measure: 500ms, drain: 10s}
groups:
  sleepers: {clients: 4, clean-start: false, session-expiry: 60s, subscribe: {filter: r/%i, qos: 1}}
  fillers: {clients: 2, publish: {topic: "r/%{j%@sleepers}", qos: 1, payload: 64, start: settle+500ms, rate: 1000/s, messages: 200, fill: true}}
actions:
  - {at: settle+10ms, do: disconnect, group: sleepers}
  - {at: measure+100ms, do: connect, group: sleepers, over: 100ms}
`, func(o *outcome) {
		o.clean()
		o.wantValues(result.Backlog, result.Response, 200)
		o.wantValues(result.Delivery, result.Response, 0)
		o.want("sleepers", map[string]int64{"connects": 8, "subscribes": 4, "distinct": 200, "losses": 0})
		o.want("fillers", map[string]int64{"sent": 200, "acked": 200, "expected": 200})
	}},
	{"retained messages are replayed", `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 10s}
groups:
  keepers: {clients: 2, publish: {topic: r/%i/%s, qos: 1, retain: true, payload: 64, start: settle, rate: 5000/s, messages-each: 50, fill: true}}
  readers: {clients: 3, subscribe: {filter: r/#, qos: 1, deferred: true}}
actions:
  - {at: measure+100ms, do: subscribe, group: readers}
`, func(o *outcome) {
		o.clean()
		o.wantValues(result.Replay, result.Response, 300)
		o.want("readers", map[string]int64{"subscribes": 3, "distinct": 300, "expected": 300})
		o.want("keepers", map[string]int64{"sent": 100, "acked": 100})
	}},
	{"requests and replies", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 10s}
groups:
  responders: {clients: 2, subscribe: {filter: ask/%i, qos: 1}, respond: {qos: 1, delay: 100ms}}
  requesters: {clients: 2, publish: {topic: ask/%i, qos: 1, payload: 64, rate: 100/s, request: {response-topic: answer/%i, qos: 1}}}
`, func(o *outcome) {
		o.clean()
		o.wantValues(result.RTT, result.Response, 100)
		if h := o.Latency(result.RTT, result.Response); h != nil && (h.Min() < 99*time.Millisecond || h.Max() > 101*time.Millisecond) {
			o.Errorf("replies took %v to %v, and the responder 100 ms", h.Min(), h.Max())
		}
		o.want("requesters", map[string]int64{"sent": 100, "acked": 100, "subscribes": 2})
		o.want("responders", map[string]int64{"distinct": 100})
	}},
	{"requests without a reply", `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 10s}
groups:
  requesters: {clients: 2, publish: {topic: ask/%i, qos: 1, payload: 64, rate: 100/s, request: {response-topic: answer/%i, qos: 1, timeout: 200ms}}}
`, func(o *outcome) {
		o.wantValues(result.RTT, result.Response, 0)
		o.want("requesters", map[string]int64{"sent": 50, "error.request.timeout": 50})
	}},
	{"slow subscribers", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 20s}
groups:
  slow: {clients: 2, subscribe: {filter: t/%i, qos: 2}, receive-maximum: 5, slow: {delay: 10ms}}
  loose: {clients: 2, subscribe: {filter: t/%i, qos: 0}, slow: {delay: 10ms}}
  dozing: {clients: 2, subscribe: {filter: t/%i, qos: 1}, slow: {pause: 200ms, every: 500ms}}
  pubs: {clients: 2, publish: {topic: t/%i, qos: 2, payload: 64, rate: 400/s}}
`, func(o *outcome) {
		o.clean()
		for _, g := range []string{"slow", "loose", "dozing"} {
			o.want(g, map[string]int64{"distinct": 400, "losses": 0})
		}
		for _, l := range o.Latencies {
			if l.Op == result.Delivery && l.Kind == result.Response && l.Group == "slow" && l.Values.Max() < 300*time.Millisecond {
				o.Errorf("200 messages in a second, of which a hundred can be taken, wait %v at most", l.Values.Max())
			}
		}
	}},
	{"a slow subscriber that is cut", `
clean-start: false
session-expiry: 60s
reconnect: {first: 10ms, max: 50ms}
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 20s}
groups:
  slow: {clients: 2, subscribe: {filter: t/%i, qos: 1}, receive-maximum: 5, slow: {delay: 20ms}}
  slower: {clients: 2, subscribe: {filter: t/%i, qos: 2}, receive-maximum: 5, slow: {delay: 20ms}}
  pubs: {clients: 2, publish: {topic: t/%i, qos: 2, payload: 64, rate: 100/s}}
actions:
  - {at: measure+200ms, do: cut, group: slow, times: 4, every: 200ms}
  - {at: measure+200ms, do: cut, group: slower, times: 4, every: 200ms}
`, func(o *outcome) {
		for _, g := range []string{"slow", "slower"} {
			o.want(g, map[string]int64{"distinct": 100, "attempts": 10, "losses": 0, "reordered": 0})
		}
		o.want("slower", map[string]int64{"duplicates": 0})
		if f := o.Total; f.Lost != 0 || len(o.Errors()) > 0 {
			o.Errorf("%+v, %v", f, o.Errors())
		}
	}},
	{"connections that live for a time", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 1s}
groups:
  flies: {clients: 5, churn: {lifetime: 200ms, pause: 60ms, end: disconnect}}
`, func(o *outcome) {
		// at 0, 260, 520 and 780 ms
		o.want("flies", map[string]int64{"attempts": 20, "connects": 20, "losses": 0})
		if e := o.Errors(); len(e) > 0 {
			o.Errorf("%v", e)
		}
	}},
	{"connections that live for some messages", `
phases: {settle: 0s, warm-up: 0s, measure: 0s, drain: 1s}
groups:
  flies: {clients: 3, churn: {messages: 5, pause: 10ms}, publish: {topic: t/%i, qos: 1, payload: 64, pace: unlimited, window: 1, messages-each: 20}}
`, func(o *outcome) {
		o.want("flies", map[string]int64{"sent": 60, "acked": 60, "connects": 12, "losses": 0})
	}},
	{"subscriptions that come and go", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 1s}
groups:
  fickle: {clients: 5, subscription-churn: {filter: c/%i/%s, qos: 1, rate: 100/s}}
`, func(o *outcome) {
		o.want("fickle", map[string]int64{"subscribes": 50, "unsubscribes": 50, "skipped": 0})
		o.wantValues(result.Subscribe, result.Response, 50)
		o.wantValues(result.Unsubscribe, result.Response, 50)
	}},
	{"subscriptions that an action takes back", `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 1s}
groups:
  subs: {clients: 5, subscribe: [a/%i, {filter: b/%i, deferred: true}]}
actions:
  - {at: measure+100ms, do: subscribe, group: subs}
  - {at: measure+300ms, do: unsubscribe, group: subs}
`, func(o *outcome) {
		o.want("subs", map[string]int64{"subscribes": 10, "unsubscribes": 10})
		o.wantValues(result.Unsubscribe, result.Service, 5)
	}},
	{"a shared subscription", `
phases: {settle: 0s, warm-up: 0s, measure: 1s, drain: 10s}
groups:
  workers: {clients: 3, subscribe: {filter: $share/g/t/#, qos: 1}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 400/s}}
`, func(o *outcome) {
		o.clean()
		o.want("workers", map[string]int64{"distinct": 400, "delivered": 400})
		o.want("pubs", map[string]int64{"expected": 400})
	}},
	{"bursts", `
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 10s}
groups:
  subs: {clients: 6, subscribe: {filter: t/%i, qos: 1}}
  open: {clients: 4, publish: {topic: t/%i, qos: 1, payload: 64, rate: 100/s, window: 3}}
  closed: {clients: 2, first: 4, publish: {topic: t/%i, qos: 1, payload: 64, pace: unlimited, window: 3, messages-each: 5}}
actions:
  - {at: measure+200ms, do: burst, group: open, messages: 50, times: 2, every: 300ms}
  - {at: measure+200ms, do: burst, group: closed, messages: 20}
`, func(o *outcome) {
		o.clean()
		o.want("open", map[string]int64{"offered": 600, "sent": 600, "acked": 600})
		o.want("closed", map[string]int64{"offered": 50, "sent": 50, "acked": 50})
		o.want("subs", map[string]int64{"distinct": 650})
	}},
	{"a burst counts as messages of a stream with an end", `
phases: {settle: 0s, warm-up: 0s, measure: 0s, drain: 10s}
groups:
  pubs: {clients: 2, publish: {topic: t/%i, qos: 1, payload: 64, rate: 100/s, messages: 20}}
actions:
  - {at: measure+100ms, do: burst, group: pubs, messages: 50}
`, func(o *outcome) {
		o.want("pubs", map[string]int64{"offered": 120, "sent": 120, "acked": 120})
	}},
	{"a closed loop at QoS 0 goes on when its buffer has been written", `
phases: {settle: 0s, warm-up: 0s, measure: 0s, drain: 20s}
groups:
  sub: {clients: 1, subscribe: t}
  pub: {clients: 1, publish: {topic: t, payload: 100, pace: unlimited, messages: 20000}}
`, func(o *outcome) {
		o.clean()
		o.want("pub", map[string]int64{"offered": 20000, "sent": 20000})
		o.want("sub", map[string]int64{"distinct": 20000})
	}},
	{"texts that look like a header are no corrupt ones", `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 10s}
groups:
  subs: {clients: 2, subscribe: t/+}
  pubs: {clients: 1, publish: {topic: t/%i, qos: 1, rate: 100/s, payload: {template: "A text of more than 16 bytes, number %s"}}}
  marked: {clients: 1, publish: {topic: t/%i, qos: 1, rate: 100/s, payload: 64}}
`, func(o *outcome) {
		o.clean()
		o.want("subs", map[string]int64{"delivered": 200, "distinct": 200, "untimed": 100})
		o.wantValues(result.Delivery, result.Response, 100)
	}},
	{"clients that an action connects", `
phases: {settle: 0s, warm-up: 0s, measure: 500ms, drain: 10s}
groups:
  late: {clients: 4, deferred: true, subscribe: t}
  pubs: {clients: 1, publish: {topic: t, payload: 64, rate: 100/s, start: measure+300ms}}
actions:
  - {at: measure, do: connect, group: late, over: 50ms}
`, func(o *outcome) {
		o.want("late", map[string]int64{"attempts": 4, "connects": 4, "subscribes": 4, "distinct": 80})
		o.want("pubs", map[string]int64{"sent": 20, "expected": 80})
	}},
}

func TestWhatClientsDo(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				_, network := ours(t, broker.Options{})
				s.check(play(t, s.yaml, within(network.Dial)))
			})
		})
	}
}

// Over sockets all scenarios run at the same time: a busy machine only delays them.
func TestWhatClientsDoOverSockets(t *testing.T) {
	eachEngine(t, func(t *testing.T, e swarm.Engine) {
		o := play(t, `
clean-start: false
session-expiry: 60s
reconnect: {first: 10ms, max: 50ms}
phases: {settle: 0s, warm-up: 0s, measure: 2s, drain: 30s}
groups:
  subs: {clients: 4, subscribe: {filter: t/%i, qos: 2}}
  slow: {clients: 4, subscribe: {filter: t/%i, qos: 2}, receive-maximum: 5, slow: {delay: 5ms}}
  dozing: {clients: 4, subscribe: {filter: t/%i, qos: 1}, slow: {pause: 100ms, every: 300ms}}
  pubs: {clients: 4, publish: {topic: t/%i, qos: 2, payload: 64, rate: 400/s, window: 10}}
  closed: {clients: 2, publish: {topic: t/%i, qos: 2, payload: 64, pace: unlimited, window: 3, messages-each: 50}}
  flies: {clients: 5, churn: {lifetime: 100ms, pause: 20ms, end: cut}}
  fickle: {clients: 5, subscription-churn: {filter: c/%i/%s, qos: 1, rate: 100/s}}
  responders: {clients: 2, subscribe: {filter: ask/%i, qos: 1}, respond: {qos: 1}}
  requesters: {clients: 2, publish: {topic: ask/%i, qos: 1, payload: 64, rate: 100/s, request: {response-topic: answer/%i, qos: 1, timeout: 20s}}}
  watchers: {clients: 1, subscribe: {filter: will/+, qos: 1}}
  mortals: {clients: 4, will: {topic: will/%i, qos: 1, payload: 32}}
actions:
  - {at: measure+200ms, do: cut, group: subs, times: 3, every: 300ms}
  - {at: measure+300ms, do: cut, group: slow}
  - {at: measure+500ms, do: close, group: pubs}
  - {at: measure+700ms, do: disconnect, group: pubs, clients: 2}
  - {at: measure+1300ms, do: takeover, group: slow}
  - {at: measure+400ms, do: burst, group: pubs, messages: 20}
  - {at: measure+100ms, do: cut, group: mortals}
`, over(e, serve(t, broker.Options{})))
		if f := o.Total; f.Lost+f.Reordered+f.Corrupt+f.Foreign+f.Refused != 0 || f.Expected == 0 {
			o.Errorf("%+v", f)
		}
		for _, g := range []string{"subs", "slow", "pubs", "requesters", "mortals"} {
			o.want(g, map[string]int64{"losses": 0, "duplicates": 0})
		}
		o.want("closed", map[string]int64{"sent": 100, "acked": 100})
		if got := o.counted("pubs"); got["sent"] != got["offered"] || got["offered"] > 880 || got["skipped"] != 0 {
			o.Errorf("pubs: %v", got)
		}
		for _, op := range []result.Op{result.Will, result.RTT, result.Unsubscribe} {
			if o.values(op, result.Response) == 0 {
				o.Errorf("no %v", op)
			}
		}
	})
}

// did checks that the run reports these actions, with the time since the measurement
// began, to 10 ms.
func (o *outcome) did(actions ...string) {
	o.Helper()
	var measure time.Duration
	var got []string
	for _, n := range o.Result.Notes {
		switch {
		case n.Kind == result.NotePhase && n.Text == "measure":
			measure = n.At
		case n.Kind == result.NoteAction:
			got = append(got, fmt.Sprint((n.At-measure).Round(10*time.Millisecond), " ", n.Text))
		}
	}
	if !slices.Equal(got, actions) {
		o.Errorf("actions: %q, want %q", got, actions)
	}
}
