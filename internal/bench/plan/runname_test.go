package plan

import (
	"strings"
	"testing"
)

// TestTheRunIsInClientIDsAndNotInTheHash: two runs of a plan share the hash and no
// client ID.
func TestTheRunIsInClientIDsAndNotInTheHash(t *testing.T) {
	const text = "groups: {g: {clients: 2, client-id: 'x-%{run}-%i', publish: {topic: 't/%c/%{run}', rate: 1}, will: {topic: 'w/%c', payload: {template: 'bye %c'}}}, h: {clients: 1, subscribe: 't/#'}}"
	hashes, run := map[string]bool{}, "monday-1"
	p := mustParse(t, text, Options{Run: func(hash string) string { hashes[hash] = true; return run }})
	g, h := p.Groups[0], p.Groups[1]
	for what, got := range map[string]string{
		"x-monday-1-1":            string(g.AppendClientID(nil, 1)),
		"mqbench-monday-1-h-0":    string(h.AppendClientID(nil, 0)),
		"t/x-monday-1-0/monday-1": string(g.Publish[0].AppendTopic(nil, 0, 5)),
		"w/x-monday-1-1":          string(g.Will.Topic.Append(nil, 1, 0, 0)),
		"bye x-monday-1-1":        string(g.Will.Payload.Append(nil, 1, 0, 0)),
	} {
		if got != what {
			t.Errorf("got %q, want %q", got, what)
		}
	}
	if !g.NamesRun() || p.Run != run || strings.Contains(string(p.Canonical()), run) {
		t.Errorf("run %q, canonical text\n%s", p.Run, p.Canonical())
	}
	run = "tuesday"
	q := mustParse(t, text, Options{Run: func(hash string) string { hashes[hash] = true; return run }})
	if q.Hash() != p.Hash() || len(hashes) != 1 || !hashes[p.Hash()] || string(q.Groups[1].AppendClientID(nil, 0)) != "mqbench-tuesday-h-0" {
		t.Errorf("the hashes %v, %s and %s", hashes, p.Hash(), q.Hash())
	}
	// The canonical text is the plan: read again, it has the same hash.
	if again := mustParse(t, string(p.Canonical()), Options{}); again.Hash() != p.Hash() {
		t.Error("the canonical text makes another plan")
	}
}

func TestRunNames(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		name := NewRunName()
		if !IsRunName(name) || len(name) != runLength {
			t.Fatalf("%q is made up", name)
		}
		seen[name] = true
	}
	if len(seen) < 998 {
		t.Errorf("%d names in 1,000 runs", len(seen))
	}
	if one, again := RunName("a", "b"), RunName("a", "b"); one != again || RunName("a", "b") == RunName("a", "c") || RunName("a", "b") == RunName("b", "a") {
		t.Error("the facts do not make the name")
	}
	for name, ok := range map[string]bool{"": false, "a/b": false, "a+": false, "#": false, "ä": false, "A-b_9": true, strings.Repeat("x", 32): true, strings.Repeat("x", 33): false} {
		if IsRunName(name) != ok {
			t.Errorf("IsRunName(%q) is %v", name, !ok)
		}
	}
}

// TestDefaultClientIDsFitInMQTT31: brokers need not take more than 23 bytes
// (MQTT-3.1.3-5).
func TestDefaultClientIDsFitInMQTT31(t *testing.T) {
	p, err := PubSub(Short{Clients: 10_000}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Groups {
		if id := g.AppendClientID(nil, uint32(g.Clients-1)); len(id) > 23 {
			t.Errorf("%q has %d bytes", id, len(id))
		}
	}
}

// TestThePrefixIsBeforeEveryTopic: topics, filters, shared ones, response topics,
// wills, churn; but not what is the broker's own.
func TestThePrefixIsBeforeEveryTopic(t *testing.T) {
	const text = `groups:
  g:
    clients: 2
    username: "u%i"
    publish: [{topic: "a/%i", rate: 1, request: {response-topic: "r/%i"}}, {topic: [b, "c/%s"], rate: 1}]
    subscribe: ["a/+", "$share/s/a/#", "$SYS/broker/version"]
    will: {topic: w}
    subscription-churn: {filter: "churn/%s", rate: 1}
    respond: {qos: 0}
`
	p := mustParse(t, text, Options{TopicPrefix: "home/%u/"})
	g := p.Groups[0]
	var got []string
	add := func(tpl *Template) { got = append(got, string(tpl.Append(nil, 1, 2, 0))) }
	for _, s := range g.Publish {
		for _, tpl := range s.Topics {
			add(tpl)
		}
		if s.Request != nil {
			add(s.Request.ResponseTopic)
		}
	}
	for _, s := range g.Subscribe {
		add(s.Filter)
	}
	add(g.Will.Topic)
	add(g.SubChurn.Filter)
	want := "home/u1/a/1 home/u1/r/1 home/u1/b home/u1/c/2 home/u1/a/+ $share/s/home/u1/a/# $SYS/broker/version home/u1/w home/u1/churn/2"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if p.Hash() == mustParse(t, text, Options{}).Hash() {
		t.Error("another plan has the same hash")
	}
	for name, o := range map[string]Options{
		"a preset": {TopicPrefix: "pre/"},
	} {
		for _, preset := range Presets() {
			o.Scale = 0.01
			p, err := Preset(preset, o)
			if err != nil {
				t.Errorf("%s %s: %v", name, preset, err)
				continue
			}
			for _, g := range p.Groups {
				for _, s := range g.Publish {
					if topic := string(s.AppendTopic(nil, 0, 0)); !strings.HasPrefix(topic, "pre/") {
						t.Errorf("%s publishes to %q", preset, topic)
					}
				}
			}
		}
	}
	if _, err := Parse("x", []byte(text), Options{TopicPrefix: "a/#/"}); err == nil {
		t.Error("a prefix with a wildcard is taken")
	}
}

// TestTemplatesAreResolvedBeforeTheyAreUsed: fields that other groups or the number
// of clients decide, in payloads and wills.
func TestTemplatesAreResolvedBeforeTheyAreUsed(t *testing.T) {
	for _, op := range []string{"%", "/", "*", "+"} {
		for _, of := range []string{"@s", "n", "h", "@p"} {
			field := "%{i" + op + of + "}"
			for _, text := range []string{
				"groups: {s: {clients: 2}, p: {clients: 2, publish: {topic: a, rate: 3/s, payload: {template: '" + field + "'}}}}",
				"groups: {s: {clients: 2}, p: {clients: 2, publish: {topic: a, rate: 3/s, payload: {template: '" + field + "', header: true}}}}",
				"groups: {s: {clients: 2}, p: {clients: 2, will: {topic: a, payload: {template: '" + field + "'}}}}",
				"groups: {s: {clients: 2}, p: {clients: 2, client-id: 'a" + field + "-%i', will: {topic: 'w/%c', payload: {template: '%c'}}}}",
				"groups: {s: {clients: 2}, p: {clients: 2, username: '" + field + "', subscribe: 'x/" + field + "', publish: {topic: 'a/" + field + "', rate: 1}}}",
			} {
				mustParse(t, text, Options{})
			}
		}
	}
}
