package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/internal/yamlfile"
	"github.com/mqtools/mqtools/mqtt/packet"
)

func TestScenariosThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "1:1: groups is missing",
		"groups: {}":                            "1:9: groups: want a mapping of names, not an empty mapping",
		"groups: [a]":                           "1:9: groups: want a mapping of names, not a list",
		"group: {a: {clients: 1}}":              `1:1: unknown key "group"`,
		"zzzzzz: 1":                             "\nthe keys here are name, description, source,",
		"groups: {a b: {clients: 1}}":           `1:10: groups: invalid name "a" (want up to 40 letters, digits, - and _)`,
		"groups: {a: {}}":                       "1:13: group a: clients is missing",
		"groups: {a: {clients: 0}}":             `1:23: clients: invalid value "0" (want a whole number from 1 to 1000000000)`,
		"groups: {a: {clients: 1e3}}":           `1:23: clients: invalid value "1e3" (want a whole number`,
		"groups: {a: {clients: 1, pubish: {}}}": "\ndid you mean publish?",
		"groups: {a: {clients: 1, publish: {topic: a}}}":                                                                                      "1:35: publish: want one of rate, rate-each and pace, not 0",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, pace: unlimited}}}":                                                            "want one of rate, rate-each and pace, not 2",
		"groups: {a: {clients: 1, publish: {rate: 1}}}":                                                                                       "publish: topic is missing",
		"groups: {a: {clients: 1, publish: {topic: [], rate: 1}}}":                                                                            "topic: want a topic, not an empty list",
		"groups: {a: {clients: 1, publish: {topic: a/#, rate: 1}}}":                                                                           `1:35: topic name "a/#"`,
		"groups: {a: {clients: 1, publish: {topic: a/%y, rate: 1}}}":                                                                          `1:43: topic "a/%y" has the unknown field "%y"`,
		"groups: {a: {clients: 1, publish: {topic: a/%u, rate: 1}}}":                                                                          `has no user name`,
		"groups: {a: {clients: 1, publish: {topic: a/%t, rate: 1}}}":                                                                          `has no meaning there`,
		"groups: {a: {clients: 1, publish: {topic: 'a/%{i%@b}', rate: 1}}}":                                                                   `names the group "b", which is not there`,
		"groups: {a: {clients: 1, publish: {topic: 'a/%{i%h}', rate: 1}}}":                                                                    `divides by half of one client`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 0}}}":                                                                             `rate: invalid rate "0" (want more than 0)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: fast}}}":                                                                          `rate: invalid rate "fast" (e.g. 1000, 1000/s, 10/m)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 2000000000}}}":                                                                    `invalid rate "2000000000" (want at most 1000000000/s)`,
		"groups: {a: {clients: 9, publish: {topic: a, rate-each: 200000000}}}":                                                                "pace: a rate is above 1000000000 a second",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, qos: 3}}}":                                                                     `qos: invalid value "3" (want 0, 1 or 2)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, retain: yes please}}}":                                                         `retain: invalid value "yes please" (want true or false)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: 300MB}}}":                                                             `payload: invalid size "300MB" (want 0 to 256000000 bytes)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {size: {uniform: [10, 20]}}}}}":                                       "with and without room for the header",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {size: {uniform: [20, 10]}}}}}":                                       "20 is above 10",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {size: 5, template: x}}}}":                                            "one of size, template and lines",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {template: x, fill: zeros}}}}":                                        "fill is for payloads of a size",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {size: 5, header: true}}}}":                                           "header is for template and lines",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {lines: none}}}}":                                                     "lines: open ",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {each: true}}}}":                                                                  "pace: want one of constant,",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {constant: 1, poisson: 1}}}}":                                                     "pace: want one of constant,",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {constant: 1, repeat: true}}}}":                                                   "only stages repeat",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {stages: [{rate: 0, for: 1s}]}}}}":                                                "all rates are 0",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {stages: [{rate: 1, to: 2, for: 1s}]}}}}":                                         "has a rate, or from and to",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {sine: {mean: 1, swing: 2, period: 1s}}}}}":                                       "above the mean",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {burst: {messages: 1, every: 1s, over: 2s}}}}}":                                   "does not fit",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, messages: 1, messages-each: 1}}}":                                              "cannot be used together",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, fill: true}}}":                                                                 "a stream that fills needs messages",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, start: drain}}}":                                                               "a start in the phase drain",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, start: measure+1h}}}":                                                          "measure+1h0m0s never comes: the phase lasts 30s",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, start: mesure}}}":                                                              "did you mean measure?",
		"phases: {measure: 0}\ngroups: {a: {clients: 1, publish: {topic: a, rate: 1}}}":                                                       "1:9: nothing ends the measurement",
		"phases: {measure: 0}\ngroups: {a: {clients: 1, publish: {topic: a, messages: 9, pace: {ramp: {from: 1, to: 0, for: 2s}}}}}":          "the pace ends before its 9 messages",
		"phases: {measure: 0, warm-up: 0}\ngroups: {a: {clients: 1, publish: {topic: a, pace: unlimited}}}":                                   "nothing ends",
		"phases: {measure: forever}\ngroups: {a: {clients: 1}}":                                                                               `1:19: measure: invalid duration "forever" (e.g. 5, 250ms, 2m)`,
		"phases: {measure: 99999h}\ngroups: {a: {clients: 1}}":                                                                                `1:19: measure: invalid duration "99999h" (want 0s to 87600h)`,
		"version: 3.1.1\ngroups: {a: {clients: 1, publish: {topic: a, rate: 1, topic-alias: true}}}":                                          "needs MQTT 5",
		"version: 3.1.1\ngroups: {a: {clients: 1, subscribe: a, respond: true}}":                                                              "respond: needs MQTT 5",
		"version: 3.1\ngroups: {a: {clients: 1, client-id: 'a-name-that-is-too-long-%i'}}":                                                    "MQTT 3.1 takes 1 to 23",
		"version: 6\ngroups: {a: {clients: 1}}":                                                                                               `1:10: version: invalid value "6" (want 3.1, 3.1.1 or 5.0)`,
		"keepalive: 1500ms\ngroups: {a: {clients: 1}}":                                                                                        `invalid duration "1500ms" (want whole seconds)`,
		"groups: {a: {clients: 1, subscribe: a/#/b}}":                                                                                         `topic filter "a/#/b"`,
		"groups: {a: {clients: 1, subscribe: {filter: $share/g/a, no-local: true}}}":                                                          "MQTT-3.8.3-4",
		"groups: {a: {clients: 1, subscribe: {filter: a, deferred: true}}}":                                                                   "by an action only, and there is none",
		"groups: {a: {clients: 1, deferred: true}}":                                                                                           "1:10: group \"a\" is deferred, and no action connects it",
		"groups: {a: {clients: 1, respond: true}}":                                                                                            "responds, and subscribes to nothing",
		"groups: {a: {clients: 1, slow: {delay: 1s, pause: 1s, every: 2s}}}":                                                                  "has a delay, or pause and every",
		"groups: {a: {clients: 1, slow: {pause: 2s, every: 2s}}}":                                                                             "it would never read",
		"groups: {a: {clients: 1, churn: {pause: 1s}}}":                                                                                       "nothing ends a connection",
		"groups: {a: {clients: 1, churn: {messages: 1}}}":                                                                                     "it publishes none",
		"groups: {a: {clients: 1, reconnect: {first: 1m, max: 1s}}}":                                                                          "above its maximum",
		"groups: {a: {clients: 1, will: {topic: a, payload: 65536}}}":                                                                         "MQTT takes 65535",
		"groups: {a: {clients: 1, client-id: '', clean-start: false}}":                                                                        "MQTT-3.1.3-7",
		"groups: {a: {clients: 1, client-id: '%c'}}":                                                                                          "has no meaning there",
		"groups: {a: {clients: 1, client-id: '%u', username: '%c'}}":                                                                          "contains itself",
		"groups: {a: {clients: 1, password: 'hunter2%'}}":                                                                                     "1:36: password: invalid template (fields begin with %",
		"groups: {a: {clients: 1, subscription-churn: {filter: a, pace: unlimited}}}":                                                         "has no closed loop",
		"groups: {a: {clients: 1}}\nactions: {}":                                                                                              "2:10: actions: want a list, not an empty mapping",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut}]":                                                                        "2:11: action: group is missing",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: b}]":                                                              `2:11: there is no group "b"`,
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: explode, group: a}]":                                                          `do: invalid value "explode" (want connect,`,
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: a, clients: 2}]":                                                  `group "a" has 1 clients, not 2`,
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: a, fraction: 120%}]":                                              `fraction: invalid value "120%" (want more than 0 and at most 1, e.g. 0.5 or 50%)`,
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: burst, group: a, messages: 2}]":                                               "has no stream to burst",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: a, messages: 2}]":                                                 "messages are for a burst",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: subscribe, group: a}]":                                                        "has no subscriptions",
		"groups: {a: {clients: 1}}\nactions: [{at: measure+31s, do: cut, group: a}]":                                                          "measure+31s never comes",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: a, times: 5, every: 10s}]":                                        "not all of the 5 times fit",
		"groups: {a: {clients: 1}}\nactions: [{at: measure, do: cut, group: a, times: 5}]":                                                    "times needs every, and every needs times",
		"brokers: [mqtt://u:hunter2@:x]\ngroups: {a: {clients: 1}}":                                                                           "1:11: broker:",
		"seed: -1\ngroups: {a: {clients: 1}}":                                                                                                 "seed:",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, request: {response-topic: b}, payload: 8}}}":                                   "requests need the header",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, properties: {response-topic: b}}}}":                                            "unknown key",
		"groups: {a: {clients: 900000000}, b: {clients: 900000000}}":                                                                          "more than 1000000000 clients",
		"groups: {a: {clients: 1, publish: {topic: a, pace: none}}}":                                                                          "nothing else publishes it",
		"groups: {a: {clients: 1, publish: {topic: a, pace: none, messages: 3}}}\nactions: [{at: measure, do: burst, group: a, messages: 2}]": "it is none",
		"groups: {a: {clients: 1, publish: {topic: a, pace: {none: false}}}}":                                                                 `none: invalid value "false" (want true)`,
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, request: {response-topic: b}, properties: {correlation-data: x}}}}":            "correlation data of their own",
	} {
		_, err := Parse("s.yaml", []byte(text), Options{})
		got := fmt.Sprint(err)
		if e, ok := err.(*yamlfile.Error); ok {
			got += "\n" + e.Help
		}
		if err == nil || !strings.HasPrefix(got, "s.yaml:") || !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "groups: {g: {clients: 2, publish: {topic: a, rate: 1}, subscribe: [a, {filter: b, qos: 2}]}}", Options{})
	g := p.Groups[0]
	if p.Name != "test" || p.Seed != 1 || p.Scale != 1 || p.Phases != (Phases{Rate{}, 1000, 30 * time.Second, time.Second, 5 * time.Second, 30 * time.Second, 30 * time.Second}) {
		t.Errorf("got %+v", p)
	}
	if g.Connection != (Connection{Version: packet.V5, KeepAlive: time.Minute, CleanStart: true}) || g.Persistent() {
		t.Errorf("got %+v", g.Connection)
	}
	if id := string(g.AppendClientID(nil, 1)); id != "mqbench-"+p.Run+"-g-1" {
		t.Errorf("the client id is %q", id)
	}
	s := g.Publish[0]
	if s.Window != 64 || s.Payload.Max() != 256 || s.Start != (When{Phase: PhaseWarmUp}) || s.Closed() || s.Group != g {
		t.Errorf("got %+v", s)
	}
	if g.Subscribe[0].QoS != 0 || g.Subscribe[1].QoS != 2 {
		t.Errorf("got %+v", g.Subscribe)
	}
}

// What stands at the top holds for all groups, wherever it stands.
func TestDefaultsOfGroups(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "groups: {a: {clients: 1}, b: {clients: 2, keepalive: 5s, username: bo}}\nkeepalive: 30s\nversion: 3.1.1\nclean-start: false\nusername: user%i\npassword: secret%i\nreconnect: true\n", Options{})
	a, b := p.Groups[0], p.Groups[1]
	if a.KeepAlive != 30*time.Second || b.KeepAlive != 5*time.Second || a.Version != packet.V311 || !b.Persistent() || a.Reconnect == nil {
		t.Errorf("got %+v and %+v", a, b)
	}
	for _, c := range []struct {
		g              *Group
		user, password string
	}{{a, "user0", "secret0"}, {b, "bo", "secret0"}} {
		u, _ := c.g.AppendUsername(nil, 0)
		pw, _ := c.g.AppendPassword(nil, 0)
		if string(u) != c.user || string(pw) != c.password {
			t.Errorf("group %s: got %q, %q, want %q, %q", c.g.Name, u, pw, c.user, c.password)
		}
	}
	if b.Base != 1 || p.Clients() != 3 {
		t.Errorf("group b begins with client %d of %d", b.Base, p.Clients())
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: 15}}}":                              "no room for the header",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: {template: x}}}}":                   "given as a whole",
		"groups: {a: {clients: 2, client-id: x}}":                                                           "take each other over",
		"groups: {a: {clients: 2, client-id: x%i}, b: {clients: 2, client-id: x%i}}":                        "groups a and b have the same client ids",
		"groups: {a: {clients: 2, publish: {topic: a, rate: 1, messages: 1000}}}":                           "not all of the 1000 messages",
		"groups: {a: {clients: 1, publish: {topic: a, rate: 1, payload: 16}}, b: {clients: 2, first: 100}}": "",
	} {
		p := mustParse(t, text, Options{})
		if got := strings.Join(p.Notes, " "); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s:\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestFilesOfAScenario(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("users.csv", "username,password\nal,hunter2\n\"b,o\",\"x\"\"y\"\n")
	write("times", "# seconds\n0\n0.5\n\n1s\n")
	write("lines", "one\ntwo\n")
	path := write("s.yaml", "groups: {g: {clients: 3, credentials: users.csv, subscribe: 'c/%u', publish: [{topic: 'c/%u', pace: {trace: times}}, {topic: b, rate: 1, payload: {lines: lines}}]}}")
	p, err := Read(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := p.Groups[0]
	user, _ := g.AppendUsername(nil, 1)
	password, _ := g.AppendPassword(nil, 1)
	again, _ := g.AppendUsername(nil, 2)
	if string(user) != "b,o" || string(password) != `x"y` || string(again) != "al" {
		t.Errorf("got %q, %q, and %q for the third client", user, password, again)
	}
	if got := string(g.Publish[0].AppendTopic(nil, 0, 0)); got != "c/al" {
		t.Errorf("the topic is %q", got)
	}
	if at, ok := g.Publish[0].Pacer.At(2); at != time.Second || !ok || g.Publish[0].Pacer.Count(time.Hour) != 3 {
		t.Errorf("the last message of the trace is at %v, %v", at, ok)
	}
	text := string(p.Canonical())
	if strings.Contains(text, "hunter2") || !strings.Contains(text, "users.csv") {
		t.Errorf("the canonical text is %s", text)
	}
	// The plan as a file: the same plan as long as the files are the same.
	copied := write("copy.yaml", text)
	if q, err := Read(copied, Options{}); err != nil || q.Hash() != p.Hash() {
		t.Errorf("read back: %v", err)
	}
	write("users.csv", "al,other\n\"b,o\",x\n")
	if q, err := Read(copied, Options{}); err != nil || q.Hash() != p.Hash() {
		t.Errorf("other passwords make another plan: %v", err)
	}
	write("lines", "one\nthree\n")
	if _, err := Read(copied, Options{}); err == nil || !strings.Contains(err.Error(), "is not the file of this plan") {
		t.Errorf("other lines: %v", err)
	}
	write("users.csv", "al,x\n\"b,o\",x\nb/#,x\n")
	if _, err := Read(path, Options{}); err == nil || !strings.Contains(err.Error(), `"c/b/#"`) {
		t.Errorf("a user name that is a filter: %v", err)
	}
	write("users.csv", "al,x\n")
	write("times", "1\n0.5\n")
	if _, err := Read(path, Options{}); err == nil || !strings.Contains(err.Error(), "line 2: 500ms is before 1s") {
		t.Errorf("times that go back: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const text = "groups: {a: {clients: 100, publish: [{topic: a, rate: 1000, messages: 500}, {topic: b, rate-each: 2, messages-each: 3}]}, b: {clients: 2, subscribe: a}}\nactions: [{at: measure, do: cut, group: a, clients: 50}, {at: measure, do: cut, group: a, fraction: 25%, rate: 10/s}]"
	seed, zero, minute := uint64(9), time.Duration(0), time.Minute
	p := mustParse(t, text, Options{Scale: 0.1, Load: 2, Seed: &seed, Brokers: []string{"mqtt://h"}, Version: packet.V311, WarmUp: &zero, Measure: &minute})
	a, b := p.Groups[0], p.Groups[1]
	if a.Clients != 10 || b.Clients != 1 || p.Scale != 0.1 || p.Seed != 9 || p.Brokers[0] != "mqtt://h" || a.Version != packet.V311 || p.Phases.WarmUp != 0 || p.Phases.Measure != time.Minute {
		t.Errorf("got %+v, %+v", p, a)
	}
	for i, want := range []struct {
		rate     float64
		messages uint64
	}{{200, 50}, {40, 30}} {
		s := a.Publish[i]
		if got := s.Pacer.(constant).rate.PerSecond(); got != want.rate || s.Messages != want.messages {
			t.Errorf("stream %d: got %v a second, %d messages, want %+v", i, got, s.Messages, want)
		}
	}
	if x, y := p.Actions[0], p.Actions[1]; x.Clients != 5 || y.Clients != 3 || y.Over != 300*time.Millisecond {
		t.Errorf("got actions of %d and %d clients over %v", x.Clients, y.Clients, y.Over)
	}
	for _, o := range []Options{{Scale: -1}, {Scale: 1e9}, {Load: -1}, {Scale: 1e6, Load: 1e9}} {
		if _, err := Parse("x.yaml", []byte(text), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := Parse("x.yaml", []byte("groups: {a: {clients: 1, publish: {topic: a, pace: unlimited}}}"), Options{Load: 2}); err == nil {
		t.Error("a closed loop is doubled")
	}
}

func TestActionsTakeTheirTurns(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "groups: {a: {clients: 4}}\nactions: [{at: measure+1s, do: cut, group: a, over: 2s, times: 2, every: 10s}]", Options{})
	a := p.Actions[0]
	for _, c := range []struct {
		i    uint32
		n    int
		want time.Duration
		ok   bool
	}{{0, 0, time.Second, true}, {3, 0, 2500 * time.Millisecond, true}, {1, 1, 11500 * time.Millisecond, true}, {4, 0, 0, false}, {0, 2, 0, false}, {0, -1, 0, false}} {
		if got, ok := a.Offset(c.i, c.n); got != c.want || ok != c.ok {
			t.Errorf("client %d, round %d: got %v, %v, want %v, %v", c.i, c.n, got, ok, c.want, c.ok)
		}
	}
}

func TestLivesAndBackoffs(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "groups: {a: {clients: 4, churn: {lifetime: 10s, jitter: 0.5}, reconnect: {first: 1s, max: 8s}}}", Options{})
	g := p.Groups[0]
	seen := map[time.Duration]bool{}
	for n := range uint32(100) {
		d := g.Life(1, n)
		if d < 5*time.Second || d > 15*time.Second || d != g.Life(1, n) {
			t.Fatalf("life %d is %v, then %v", n, d, g.Life(1, n))
		}
		seen[d] = true
		most := time.Second << min(n, 3)
		if b := g.Backoff(1, n); b > most || b < most/2 {
			t.Fatalf("attempt %d waits %v, want %v to %v", n, b, most/2, most)
		}
	}
	if len(seen) < 90 {
		t.Errorf("%d different lives of 100", len(seen))
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Presets() {
		text, _ := PresetText(name)
		f.Add(string(text))
	}
	f.Add("groups: {a: {clients: 3, publish: {topic: 'a/%{i%2}', pace: {sine: {mean: 2, swing: 1, period: 1s}}}, subscribe: a/+}}")
	f.Fuzz(func(t *testing.T, text string) {
		o := Options{ReadFile: func(string) ([]byte, error) { return []byte("1,a\n2,b\n"), nil }}
		p, err := Parse("f.yaml", []byte(text), o)
		if err != nil {
			return
		}
		q, err := Parse("c.yaml", p.Canonical(), o)
		if err != nil {
			t.Fatalf("the canonical text is refused: %v\n%s", err, p.Canonical())
		}
		if p.Hash() != q.Hash() {
			t.Fatalf("the canonical text is another plan:\n%s\n%s", p.Canonical(), q.Canonical())
		}
		if p.Clients() < 1000 {
			if _, err := p.Budget(1); err != nil {
				t.Fatal(err)
			}
		}
		for _, g := range p.Groups {
			for _, s := range g.Publish {
				s.AppendTopic(nil, 0, 3)
				s.Pacer.At(5)
				if s.Payload.Max() < 1<<20 {
					s.Payload.Append(nil, 0, 3, 0)
				}
			}
		}
	})
}

// Times in a phase keep their share of it when the command line makes it shorter; a
// longer one leaves them alone.
func TestTimesInAPhaseThatIsShorter(t *testing.T) {
	const text = `
phases: {warm-up: 10s, measure: 2m}
groups:
  a: {clients: 4, publish: {topic: a, rate: 1, start: warm-up+5s}, subscription-churn: {filter: b/%i, rate: 1/s, start: measure+1m}}
actions:
  - {at: measure+30s, do: cut, group: a, times: 3, every: 40s, over: 8s}
  - {at: measure+1m, do: disconnect, group: a, rate: 2/s}
  - {at: warm-up+4s, do: burst, group: a, messages: 1}
  - {at: settle+1s, do: close, group: a}
`
	as := "warm-up+5s measure+1m0s, measure+30s 40s 8s, measure+1m0s 0s 2s, warm-up+4s 0s 0s, settle+1s 0s 0s"
	for _, c := range []struct {
		warmUp, measure time.Duration
		want            string
	}{
		{10 * time.Second, 2 * time.Minute, as},
		{time.Minute, time.Hour, as},
		{2 * time.Second, 3 * time.Second, "warm-up+1s measure+1.5s, measure+750ms 1s 200ms, measure+1.5s 0s 2s, warm-up+800ms 0s 0s, settle+1s 0s 0s"},
		{0, 24 * time.Second, "warm-up measure+12s, measure+6s 8s 1.6s, measure+12s 0s 2s, warm-up 0s 0s, settle+1s 0s 0s"},
	} {
		p := mustParse(t, text, Options{WarmUp: &c.warmUp, Measure: &c.measure})
		g := p.Groups[0]
		got := g.Publish[0].Start.String() + " " + g.SubChurn.Start.String()
		for _, a := range p.Actions {
			got += fmt.Sprintf(", %v %v %v", a.At, a.Every, a.Over)
		}
		if got != c.want {
			t.Errorf("%v, %v:\n got %s\nwant %s", c.warmUp, c.measure, got, c.want)
		}
	}
}
