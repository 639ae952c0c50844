package plan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// budgets are what the presets are published with: the clients, and the messages
// a second in and out. Every preset has its row.
var budgets = map[string]struct {
	clients int
	in, out float64
}{
	"oms/conn-tcp-10K-100":              {10_000, 0, 0},
	"oms/conn-tcp-1M-5K":                {1_000_000, 0, 0},
	"oms/fanout-1-1K-1-1K":              {1001, 1, 1000},
	"oms/fanout-5-1000-5-250K":          {1005, 250, 250_000},
	"oms/p2p-1K-1K-1K-1K":               {2000, 1000, 1000},
	"oms/p2p-50K-50K-50K-50K":           {100_000, 50_000, 50_000},
	"oms/sharedsub-1K-5-1K-1K":          {1005, 1000, 1000},
	"oms/sharedsub-50K-500-50K-50K":     {50_500, 50_000, 50_000},
	"emqx-2m":                           {1020, 2000, 2_000_000},
	"emqx-lat-1k":                       {2000, 1000, 1000},
	"pairs-90s":                         {100_000_000, 50e6 / 90.0, 50e6 / 90.0},
	"tbmq-3m":                           {3100, 1000, 3_000_000},
	"tbmq-p2p":                          {1_000_000, 500_000, 500_000},
	"tbmq-fanin":                        {100_000_500, 3_000_000, 3_000_000},
	"flash-ring-1":                      {1_000_000, 1_000_000, 1_000_000},
	"flash-ring-25":                     {40_000, 1_000_000, 1_000_000},
	"vmq-fanin":                         {1001, 1000, 1000},
	"hive-reconnect-storm":              {10_000, 0, 0},
	"session-resume":                    {1010, 0, 0},
	"retained-flood":                    {110, 0, 0},
	"will-storm":                        {5001, 0, 0},
	"takeover":                          {10_000, 1000, 1000},
	"sub-churn":                         {1200, 1000, 1000},
	"conn-churn":                        {2000, 2000, 0},
	"wildcard-depth":                    {310, 1000, 12_000},
	"big-payload":                       {20, 10, 10},
	"slow-consumer":                     {110, 500, 50_000},
	"rr":                                {2000, 10_000, 10_000},
	"idle-keepalive":                    {100_000, 0, 0},
	"composite":                         {52_000, 1000, 1000},
	"bifro:50k_50k_qos1_p256_1mps":      {100_000, 50_000, 50_000},
	"bifro:1_1k_qos0_p32_10mps":         {1001, 10, 10_000},
	"bifro:1k_10_qos1_p32_1mps":         {1010, 1000, 1000},
	"bifro:shared_1k_5_qos1_p1024_1mps": {1005, 1000, 1000},
}

func TestPresetsStateTheirBudget(t *testing.T) {
	t.Parallel()
	for _, name := range Presets() {
		if _, ok := budgets[name]; !ok {
			t.Errorf("preset %s has no row in this test", name)
		}
	}
	for name, want := range budgets {
		p, err := Preset(name, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Name != name || p.Preset != name || p.Description == "" || p.Source == "" || p.Scale != 1 {
			t.Errorf("%s: name %q, description %q, source %q", name, p.Name, p.Description, p.Source)
		}
		b, err := p.Budget(8)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l := p.load()
		near := func(got, want float64) bool { return got >= want*0.999 && got <= want*1.001 }
		if p.Clients() != want.clients || !near(l.sent, want.in) || !near(l.delivered, want.out) {
			t.Errorf("%s: %d clients, %v in, %v out, want %+v", name, p.Clients(), l.sent, l.delivered, want)
		}
		if least := (want.clients + 7) / 8; b.Clients < least || b.Descriptors <= least || b.MemoryStd < b.MemoryLite || b.Kernel == 0 {
			t.Errorf("%s: %+v for %d clients in 8 shards", name, b, want.clients)
		}
		scaled, err := Preset(name, Options{Scale: 0.1})
		if err != nil {
			t.Errorf("%s at a tenth: %v", name, err)
			continue
		}
		for i, g := range scaled.Groups {
			whole := p.Groups[i]
			if n := max((whole.Clients+5)/10, 1); g.Clients != n {
				t.Errorf("%s at a tenth: group %s has %d clients of %d", name, g.Name, g.Clients, whole.Clients)
			}
		}
		if scaled.Scale != 0.1 || scaled.Hash() == p.Hash() || !bytes.Contains(scaled.Canonical(), []byte(`"scale":"0.1"`)) {
			t.Errorf("%s at a tenth: scale %v, hash the same %v", name, scaled.Scale, scaled.Hash() == p.Hash())
		}
	}
}

// Scaled by half the pairs stay pairs, and the filled sessions full.
func TestScaledPresetsKeepTheirShape(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"oms/p2p-1K-1K-1K-1K", "flash-ring-25", "tbmq-fanin", "session-resume", "bifro:1k_10_qos1_p32_1mps", "bifro:10_1k_qos1_p32_1mps"} {
		whole, err := Preset(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		half, err := Preset(name, Options{Scale: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range whole.Groups {
			for k, s := range g.Publish {
				a, b := whole.FanOut().average(s), half.FanOut().average(half.Groups[i].Publish[k])
				if a != b {
					t.Errorf("%s: a message has %v deliveries, at half the scale %v", name, a, b)
				}
			}
		}
	}
}

func TestPresetsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"emqx-2n":                          "did you mean emqx-2m?",
		"xxxxxxxxxxxxxxxxxxxxx":            `there is no preset "xxxxxxxxxxxxxxxxxxxxx"`,
		"../preset":                        "there is no preset",
		"bifro:":                           "is not of the form",
		"bifro:1k_1k_qos1_p32":             "is not of the form",
		"bifro:1k_1k_qos3_p32_1mps":        "is not of the form",
		"bifro:0_1k_qos1_p32_1mps":         "is not of the form",
		"bifro:1k_1k_qos1_p32_1/hmps":      "is not of the form",
		"bifro:1k_1k_qos1_p-32_1mps":       "is not of the form",
		"bifro:1k_1k_qos1_p32_0mps":        `rate-each: invalid rate "0"`,
		"bifro:1k_1k_qos1_pbig_1mps":       "is not of the form",
		"bifro:\"_1k_qos1_p32_1mps":        "is not of the form",
		"bifro:1k_1k_qos1_p999999999_1mps": "want 0 to 256000000 bytes",
	} {
		if _, err := Preset(name, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

func TestEqualPlansHaveEqualHashes(t *testing.T) {
	t.Parallel()
	const base = "name: x\nbrokers: [mqtt://al:hunter2@h]\ngroups: {g: {clients: 10, username: u, password: hunter2, publish: {topic: a, rate: 100}}}\n"
	p := mustParse(t, base, Options{})
	text := string(p.Canonical())
	if strings.Contains(text, "hunter2") || !json.Valid([]byte(text)) || len(p.Hash()) != 64 {
		t.Errorf("got %s, %s", p.Hash(), text)
	}
	for _, same := range []string{
		strings.ReplaceAll(base, "hunter2", "other"),
		strings.Replace(base, "rate: 100", "rate-each: 10", 1),
		strings.Replace(base, "rate: 100", "pace: {constant: 6000/m}, qos: 0, window: 64", 1),
		"# a comment\nphases: {measure: 30s, settle: 1000ms}\n" + base,
		strings.Replace(base, "name: x\n", "", 1) + "name: x\nkeepalive: 1m\n",
	} {
		if got := mustParse(t, same, Options{}).Hash(); got != p.Hash() {
			t.Errorf("another hash of\n%s", same)
		}
	}
	for _, other := range []string{
		strings.Replace(base, "clients: 10", "clients: 11", 1),
		strings.Replace(base, "rate: 100", "rate: 101", 1),
		strings.Replace(base, "rate: 100", "rate: 100, qos: 1", 1),
		strings.Replace(base, "@h]", "@i]", 1),
		base + "seed: 2\n",
		base + "actions: [{at: measure, do: cut, group: g}]\n",
	} {
		if got := mustParse(t, other, Options{}).Hash(); got == p.Hash() {
			t.Errorf("the same hash of\n%s", other)
		}
	}
	// Shards are no part of it.
	s, _ := p.Shard(1, 2)
	if s.Plan.Hash() != p.Hash() {
		t.Error("a shard's plan is another one")
	}
}

// What the canonical text says is the plan, all of it.
func TestTheCanonicalTextReadsBack(t *testing.T) {
	t.Parallel()
	texts := []string{`
name: all
description: d "q" <x>
source: s
seed: 18446744073709551615
brokers: [mqtt://a, 'mqtts://b:1']
phases: {connect: {rate: 1/90s, half-open: 5, timeout: 3s}, settle: 10s, warm-up: 2s, measure: 1h, drain: 0}
session-expiry: never
receive-maximum: 10
groups:
  a:
    clients: 30
    first: 7
    together: 3
    client-id: "%g%{i:05}"
    username: "%i"
    publish:
      - topic: ["a/%i", "b/%{s%3}", "%u"]
        qos: 2
        retain: true
        payload: {size: {weighted: {16: 1, 1k: 2}}, fill: pattern}
        start: settle+1500ms
        pace: {stages: [{rate: 10, for: 1s}, {from: 10, to: 0.5, for: 90s}], repeat: true}
        messages: 300
        window: 3
        fill: true
        properties: {user: {k: v, "é": "\"w\""}, content-type: x, message-expiry: 5, payload-format: 1}
        topic-alias: true
      - {topic: x, pace: {sine: {mean: 2/s, swing: 1/s, period: 1m}, each: true}, payload: {size: {normal: {mean: 100, deviation: 3}}}}
      - {topic: x, pace: {poisson: 5}, payload: {size: {uniform: [16, 20]}, fill: zeros}, request: {response-topic: r/%i, qos: 1, timeout: 1s}}
      - {topic: x, pace: {burst: {messages: 5, every: 1s, over: 10ms}}, payload: {template: '{"n":%s,"t":%t}', header: true}}
      - {topic: x, pace: unlimited, payload: 3}
      - {topic: x, pace: {ramp: {from: 0, to: 7/m, for: 1m}}}
    subscribe: [a, {filter: $share/g/b, qos: 2, retain-as-published: true, retain-handling: 2}, {filter: c, no-local: true, deferred: true}]
    respond: {qos: 1, delay: 5ms}
    slow: {delay: 1ms}
    churn: {lifetime: 10s, jitter: 0.25, messages: 5, pause: 1s, end: cut}
    subscription-churn: {filter: c/%s, qos: 1, rate-each: 1, start: measure+1s}
    will: {topic: w/%i, qos: 1, retain: true, delay: 5s, payload: {template: bye}}
    reconnect: {first: 10ms, max: 1s}
  c: {clients: 2, publish: {topic: c, pace: none}}
  b: {clients: 1, deferred: true, slow: {pause: 1s, every: 5s}, session-expiry: 0}
actions:
  - {at: measure+1s, do: burst, group: a, fraction: 0.5, over: 1s, messages: 4, times: 2, every: 1m}
  - {at: measure, do: burst, group: c, messages: 3}
  - {at: warm-up, do: connect, group: b}
  - {at: measure, do: subscribe, group: a, clients: 3, rate: 10/s}
`}
	for _, name := range Presets() {
		text, err := PresetText(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		for _, o := range []Options{{}, {Scale: 0.3, Load: 1.5}} {
			if o.Load > 0 && strings.Contains(text, "burst") {
				o.Load = 0
			}
			p := mustParse(t, text, o)
			q, err := Parse("test.yaml", p.Canonical(), Options{})
			if err != nil {
				t.Errorf("%v\n%s", err, p.Canonical())
				continue
			}
			if !bytes.Equal(p.Canonical(), q.Canonical()) {
				t.Errorf("got\n%s\nwant\n%s", q.Canonical(), p.Canonical())
			}
			for i, g := range p.Groups {
				for k, s := range g.Publish {
					a := s.AppendTopic(nil, uint32(g.Clients-1), 5)
					b := q.Groups[i].Publish[k].AppendTopic(nil, uint32(g.Clients-1), 5)
					x, _ := s.Pacer.At(77)
					y, _ := q.Groups[i].Publish[k].Pacer.At(77)
					if !bytes.Equal(a, b) || x != y {
						t.Errorf("%s: topic %q at %v, read back %q at %v", g.Name, a, x, b, y)
					}
				}
			}
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "phases: {connect: {rate: 50/s}, warm-up: 0, measure: 100s}\ngroups: {a: {clients: 1000, subscribe: t/%i, publish: {topic: t/%i, payload: 100, pace: {stages: [{rate: 100, for: 50s}, {rate: 300, for: 50s}]}}}}\nactions: [{at: measure, do: takeover, group: a, rate: 100/s}]", Options{})
	b, err := p.Budget(1)
	if err != nil {
		t.Fatal(err)
	}
	if b.Clients != 1000 || b.Connections != 1100 || b.Descriptors != 1100+baseDescriptors || b.Kernel != 1100*kernelBytes {
		t.Errorf("got %+v", b)
	}
	if l := p.load(); l.sent != 200 || l.peak != 300 || l.delivered != 200 {
		t.Errorf("got %+v", l)
	}
	if _, err := p.Budget(0); err == nil {
		t.Error("a budget of no shards")
	}
	closed := mustParse(t, "groups: {a: {clients: 1, publish: {topic: a, pace: unlimited}}}", Options{})
	if b, err := closed.Budget(1); err != nil || b.Connections != 1 {
		t.Errorf("a closed loop: %+v, %v", b, err)
	}
}

func TestShortForms(t *testing.T) {
	t.Parallel()
	size := 64
	for _, c := range []struct {
		it   string
		make func(Short, Options) (*Plan, error)
		s    Short
		want string // a scenario that is the same
	}{
		{"connects", Conn, Short{}, "name: conn\nphases: {connect: {rate: 1000/s}, warm-up: 0}\ngroups: {conn: {clients: 200}}"},
		{"publishes as emqtt-bench does", Pub, Short{}, "name: pub\nphases: {connect: {rate: 1000/s}, warm-up: 0}\ngroups: {pub: {clients: 200, publish: {topic: bench/%i, rate-each: 1}}}"},
		{"publishes a number of messages", Pub, Short{Clients: 5, Limit: 1000, Rate: Rate{1, time.Millisecond}, Size: &size, QoS: 1, Topics: []string{"a/%i/%s", "b"}, Window: 10, Retain: true, First: 3},
			"name: pub\nphases: {connect: {rate: 1000/s}, warm-up: 0, measure: 0}\ngroups: {pub: {clients: 5, first: 3, publish: {topic: [a/%i/%s, b], rate: 1000, messages: 1000, payload: 64, qos: 1, window: 10, retain: true}}}"},
		{"subscribes", Sub, Short{Clients: 2, Topics: []string{"a/#"}, QoS: 2, Duration: time.Minute, Version: packet.V311, Persistent: true},
			"name: sub\nversion: 3.1.1\nclean-start: false\nphases: {connect: {rate: 1000/s}, warm-up: 0, measure: 1m}\ngroups: {sub: {clients: 2, subscribe: {filter: a/#, qos: 2}}}"},
		{"does both", PubSub, Short{Clients: 2, Subscribers: 3, Topics: []string{"a/%i"}, Filters: []string{"a/#"}, Unlimited: true, ConnectRate: Rate{5, time.Second}, WarmUp: time.Second, Payload: "x%s", ClientID: "c%g%i", Username: "u", Password: "p"},
			"name: pubsub\nusername: u\nclient-id: c%g%i\nphases: {connect: {rate: 5/s}, warm-up: 1s}\ngroups: {sub: {clients: 3, subscribe: a/#}, pub: {clients: 2, publish: {topic: a/%i, pace: unlimited, payload: {template: x%s}}}}"},
	} {
		p, err := c.make(c.s, Options{})
		if err != nil {
			t.Errorf("it %s: %v", c.it, err)
			continue
		}
		if want := mustParse(t, c.want, Options{}); !bytes.Equal(p.Canonical(), want.Canonical()) {
			t.Errorf("it %s: got\n%s\nwant\n%s", c.it, p.Canonical(), want.Canonical())
		}
	}
	huge, never := MaxPayload+1, 1500*time.Millisecond
	for want, s := range map[string]Short{
		"cannot be used together":    {Interval: 1, Unlimited: true},
		"are not from 1 to":          {Clients: -1},
		"a window of 99999":          {Window: 99999},
		"a payload of":               {Size: &huge},
		`topic "%x"`:                 {Topics: []string{"%x"}},
		"is below 0":                 {Interval: -1},
		"keepalive: 1.5s":            {KeepAlive: &never},
		"password: invalid template": {Password: "%x"},
	} {
		if _, err := Pub(s, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
