package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mqtools/mqtools/mqtt/topic"
	"pgregory.net/rapid"
)

// brute counts as the rules say, one subscription at a time.
func brute(p *Plan, from *Group, index uint32, name string) int {
	n, shared := 0, map[string]bool{}
	for _, g := range p.Groups {
		for i := range uint32(g.Clients) {
			gets := false
			for _, s := range g.Subscribe {
				f := string(s.AppendFilter(nil, i))
				if !topic.Match(f, name) {
					continue
				}
				if _, _, ok := topic.ParseShare(f); ok {
					shared[f] = true
				} else if !s.NoLocal || g != from || i != index {
					gets = true
				}
			}
			if gets {
				n++
			}
		}
	}
	return n + len(shared)
}

// deliveries counts the clients and the shared subscriptions that get a message.
func deliveries(f *FanOut, name []byte, from *Group, index uint32) int {
	clients, shares := map[uint32]bool{}, 0
	f.Recipients(name, from, index, func(r Recipient) {
		if r.Sub == nil {
			shares++
		} else {
			clients[r.Sub.Group.Base+r.Client] = true
		}
	})
	return len(clients) + shares
}

func TestFanOutAgreesWithCountingOneByOne(t *testing.T) {
	t.Parallel()
	field := rapid.SampledFrom([]string{"%i", "%{i%3}", "%{i/4}", "%{i+2%n}", "%{i*2}", "%{i*2+1}", "%{i+h%n}", "%{i:03}", "%{i%5:02}", "%{i/3%4}", "x%{i}", "%{i}y", "1%i", "%i%i", "%{r%3}", "%u", "5", "a", "+"})
	topicField := rapid.SampledFrom([]string{"%i", "%{i%3}", "%{s%7}", "%{j%11}", "%{r%9}", "%{i:03}", "x%{i}", "%{i}y", "1%i", "5", "a", "%u", "007", "$a"})
	rapid.Check(t, func(t *rapid.T) {
		text := "groups:\n"
		for _, name := range []string{"p", "q"} {
			text += fmt.Sprintf("  %s:\n    clients: %d\n    first: %d\n    username: 'u%%{i%%4}'\n    subscribe:\n", name, rapid.IntRange(1, 12).Draw(t, "clients"), rapid.IntRange(0, 9).Draw(t, "first"))
			for range rapid.IntRange(1, 3).Draw(t, "filters") {
				filter := field.Draw(t, "filter 1")
				if rapid.Bool().Draw(t, "two levels") {
					filter += "/" + field.Draw(t, "filter 2")
				}
				if rapid.IntRange(0, 4).Draw(t, "hash") == 0 {
					filter += "/#"
				}
				noLocal := rapid.IntRange(0, 3).Draw(t, "no-local") == 0
				if rapid.IntRange(0, 4).Draw(t, "share") == 0 {
					filter, noLocal = "$share/g%{i%2}/"+filter, false
				}
				text += fmt.Sprintf("      - {filter: '%s', no-local: %v}\n", filter, noLocal)
			}
			text += "    publish: {rate: 1, topic: ["
			for range rapid.IntRange(1, 2).Draw(t, "topics") {
				text += fmt.Sprintf("'%s/%s', ", topicField.Draw(t, "topic 1"), topicField.Draw(t, "topic 2"))
			}
			text += "'" + topicField.Draw(t, "topic") + "']}\n"
		}
		p, err := Parse("f.yaml", []byte(text), Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		f := p.FanOut()
		if len(f.Reasons()) > 0 {
			t.Fatalf("%v\n%s", f.Reasons(), text)
		}
		for _, g := range p.Groups {
			for i := range uint32(g.Clients) {
				for seq := range uint32(9) {
					name := string(g.Publish[0].AppendTopic(nil, i, seq))
					got, want := deliveries(f, []byte(name), g, i), brute(p, g, i, name)
					if got != want {
						t.Fatalf("message %d of client %d of %s to %q: got %d deliveries, want %d\n%s", seq, i, g.Name, name, got, want, text)
					}
				}
			}
		}
	})
}

func TestFanOutOfManyClientsNeedsLittle(t *testing.T) {
	p, err := Preset("pairs-90s", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := p.FanOut()
	g := p.Groups[1]
	got := Recipient{}
	visit := func(r Recipient) { got = r }
	var name []byte
	if n := testing.AllocsPerRun(100, func() {
		for _, i := range []uint32{0, 1, 49_999_999} {
			name = g.Publish[0].AppendTopic(name[:0], i, 0)
			if f.Recipients(name, g, i, visit); got != (Recipient{Sub: p.Groups[0].Subscribe[0], Client: i}) {
				t.Fatalf("a message of client %d: %+v", i, got)
			}
		}
	}); n > 0 || len(f.Reasons()) > 0 {
		t.Errorf("%v allocations, %v", n, f.Reasons())
	}
}

func TestWhereASubscriberGetsAPart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"groups: {a: {clients: 3, subscribe: a, publish: {topic: a, rate: 1}}}":                                                                                                                                      "",
		"groups: {a: {clients: 3, subscribe: a, publish: {topic: a, rate: 1}}}\nactions: [{at: measure, do: cut, group: a}]":                                                                                         "not kept",
		"groups: {a: {clients: 3, clean-start: false, session-expiry: 1h, subscribe: {filter: a, qos: 1}, publish: {topic: a, qos: 1, rate: 1}}}\nactions: [{at: measure, do: cut, group: a}]":                       "",
		"groups: {a: {clients: 3, session-expiry: 1h, subscribe: {filter: a, qos: 1}, publish: {topic: a, qos: 1, rate: 1}}}\nactions: [{at: measure, do: cut, group: a}]":                                           "not kept",
		"groups: {a: {clients: 3, clean-start: false, session-expiry: 1h, subscribe: a, publish: {topic: a, qos: 1, rate: 1}}}\nactions: [{at: measure, do: cut, group: a}]":                                         "not kept",
		"groups: {a: {clients: 3, churn: {lifetime: 1s}, subscribe: a}}":                                                                                                                                             "not kept",
		"groups: {a: {clients: 3, subscribe: {filter: a, deferred: true}, publish: {topic: a, rate: 1}}}\nactions: [{at: measure, do: subscribe, group: a}]":                                                         "come and go by actions",
		"groups: {a: {clients: 3, subscription-churn: {filter: 'x/%i', rate: 1}, publish: {topic: x/1, rate: 1}}}":                                                                                                   "subscription churn matches",
		"groups: {a: {clients: 3, subscription-churn: {filter: 'x/%i', rate: 1}, publish: {topic: y/1, rate: 1}}}":                                                                                                   "",
		"groups: {a: {clients: 3, deferred: true, subscribe: a, publish: {topic: a, rate: 1}}}\nactions: [{at: measure, do: connect, group: a}]":                                                                     "an action connects it",
		"groups: {a: {clients: 300000, subscribe: '%i/%{i%3}'}}":                                                                                                                                                     "more than 200000 filters",
		"groups: {a: {clients: 1, publish: {topic: a, retain: true, messages: 3, fill: true, rate: 1}}, b: {clients: 3, subscribe: {filter: a, deferred: true}}}\nactions: [{at: measure, do: subscribe, group: b}]": "",
	} {
		got := strings.Join(mustParse(t, text, Options{}).FanOut().Reasons(), " ")
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestWillsAreExpected(t *testing.T) {
	t.Parallel()
	p, err := Preset("will-storm", Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := p.Groups[1]
	if got := deliveries(p.FanOut(), g.Will.Topic.Append(nil, 4999, 0, 0), g, 4999); got != 1 {
		t.Errorf("got %d deliveries, want 1", got)
	}
}

func BenchmarkRecipients(b *testing.B) {
	for _, name := range []string{"oms/p2p-50K-50K-50K-50K", "pairs-90s", "session-resume"} {
		b.Run(name, func(b *testing.B) {
			p, err := Preset(name, Options{})
			if err != nil {
				b.Fatal(err)
			}
			f, s, i := p.FanOut(), p.Groups[1].Publish[0], uint32(0)
			var topic []byte
			visit := func(Recipient) {}
			for b.Loop() {
				topic = s.AppendTopic(topic[:0], i%uint32(s.Group.Clients), i)
				f.Recipients(topic, s.Group, i%uint32(s.Group.Clients), visit)
				i += 7
			}
		})
	}
}
