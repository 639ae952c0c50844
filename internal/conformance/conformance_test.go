package conformance

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// small is a catalog of three statements.
var small = map[packet.Version]string{packet.V311: "3.1.0:2", packet.V5: "2.2.1:2-2"}

const record = `# The head.

reasons:
  choice: "another way was gone"

3.1.1:
  MQTT-3.1.0-1:
    says: "first packet is CONNECT"
    binds: client
    client: [connect, first, mqtt.TestFirst]
  MQTT-3.1.0-2:
    says: "second CONNECT: close"
    binds: server
    server: {choice: "no reason"}

5.0:
  MQTT-2.2.1-2:
    says: "no packet id at QoS 0"
    binds: both
    client: [connect]
    server: [publish]
`

func clientScript(head string) string {
	return "name: n\nrole: broker\n" + head + "\nactions: [connect]\nsteps: [{expect: CONNECT}, close]\n"
}

func serverScript(head string) string {
	return "name: n\nrole: client\n" + head + "\nsteps: [{send: CONNECT}, close]\n"
}

// tree returns a repository with a correct record.
func tree() map[string]string {
	return map[string]string{
		Path:                          record,
		"scripts/client/connect.yaml": clientScript("version: [3.1.1, 5.0]\nshows: {3.1.1: [MQTT-3.1.0-1], 5.0: [MQTT-2.2.1-2]}"),
		"scripts/client/first.yaml":   clientScript("version: 3.1.1\nshows: [MQTT-3.1.0-1]"),
		"scripts/broker/publish.yaml": serverScript("version: 5.0\nshows: [MQTT-2.2.1-2]"),
		"scripts/broker/twice.yaml":   serverScript("version: 3.1.1\nbreaks: [MQTT-3.1.0-1]"),
		"mqtt/first_test.go":          "package mqtt\n\n// TestFirst shows MQTT-3.1.0-1.\nfunc TestFirst(t *testing.T) {\n}\n",
	}
}

func files(tree map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range tree {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func TestARecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it   string
		edit [3]string // a file, the text to replace, and the replacement
		want string    // a problem, or "" for none
	}{
		{"is right", [3]string{}, ""},
		{"misses a statement", [3]string{Path, "MQTT-3.1.0-2", "MQTT-3.1.0-3"}, "MQTT 3.1.1: MQTT-3.1.0-2 is missing"},
		{"has a statement too many", [3]string{Path, "MQTT-3.1.0-2", "MQTT-3.1.0-3"}, "MQTT 3.1.1: there is no statement MQTT-3.1.0-3"},
		{"has a statement that binds no role", [3]string{Path, "    binds: server\n", ""}, "MQTT 3.1.1: MQTT-3.1.0-2 binds no role"},
		{"has a proof for whom it does not bind", [3]string{Path, "binds: both", "binds: server"}, "MQTT 5.0: MQTT-2.2.1-2, client: it does not bind a client"},
		{"has neither proof nor reason for a role", [3]string{Path, "    server: {choice: \"no reason\"}\n", ""}, "MQTT 3.1.1: MQTT-3.1.0-2, server: neither a proof nor a reason"},
		{"has an empty proof", [3]string{Path, "{choice: \"no reason\"}", "[]"}, "MQTT 3.1.1: MQTT-3.1.0-2, server: neither a proof nor a reason"},
		{"has a reason without words", [3]string{Path, "\"no reason\"", "\"\""}, "MQTT 3.1.1: MQTT-3.1.0-2, server: choice: why?"},
		{"has an unknown reason", [3]string{Path, "{choice:", "{mood:"}, "MQTT 3.1.1: MQTT-3.1.0-2, server: there is no reason called \"mood\""},
		{"does not use a reason", [3]string{Path, "{choice:", "{mood:"}, "the reason \"choice\" is not used, or says nothing"},
		{"says nothing of a statement", [3]string{Path, "    says: \"no packet id at QoS 0\"\n", ""}, "MQTT 5.0: MQTT-2.2.1-2 says nothing"},
		{"names a script that does not exist", [3]string{Path, "[publish]", "[publish, subscribe]"}, "MQTT 5.0: MQTT-2.2.1-2, server: there is no scripts/broker/subscribe.yaml"},
		{"names a script of the other role", [3]string{Path, "[publish]", "[publish, first]"}, "MQTT 5.0: MQTT-2.2.1-2, server: there is no scripts/broker/first.yaml"},
		{"names a script that claims less", [3]string{Path, "[publish]", "[publish, twice]"}, "MQTT 5.0: MQTT-2.2.1-2, server: scripts/broker/twice.yaml does not say that it shows it"},
		{"leaves out a script", [3]string{Path, "[connect, first,", "[connect,"}, "MQTT 3.1.1: MQTT-3.1.0-1, client: scripts/client/first.yaml shows it, and is not in the record"},
		{"names a test that does not exist", [3]string{Path, "mqtt.TestFirst", "mqtt.TestSecond"}, "MQTT 3.1.1: MQTT-3.1.0-1, client: there is no test TestSecond in mqtt"},
		{"names a test that is only the beginning of one", [3]string{Path, "mqtt.TestFirst", "mqtt.TestFir"}, "MQTT 3.1.1: MQTT-3.1.0-1, client: there is no test TestFir in mqtt"},
		{"names a test that does not name the statement", [3]string{"mqtt/first_test.go", "MQTT-3.1.0-1.", "MQTT-3.1.0-11."}, "MQTT 3.1.1: MQTT-3.1.0-1, client: mqtt.TestFirst does not name it"},
		{"names a test twice", [3]string{Path, "mqtt.TestFirst", "mqtt.TestFirst, mqtt.TestFirst"}, "MQTT 3.1.1: MQTT-3.1.0-1, client: it has mqtt.TestFirst twice"},
		{"has a script that is known to fail", [3]string{"scripts/client/first.yaml", "version: 3.1.1", "version: 3.1.1\nknown-failure: alas"}, "scripts/client/first.yaml is known to fail, and shows nothing"},
		{"names a function that is no test", [3]string{"mqtt/first_test.go", "(t *testing.T)", "()"}, "MQTT 3.1.1: MQTT-3.1.0-1, client: there is no test TestFirst in mqtt"},
		{"has a script that shows an unknown statement", [3]string{"scripts/broker/publish.yaml", "[MQTT-2.2.1-2]", "[MQTT-2.2.1-2, MQTT-9.9.9-9]"},
			"scripts/broker/publish.yaml shows MQTT-9.9.9-9: MQTT 5.0 has no such statement that binds a server"},
		{"has a script that shows a statement of the other role", [3]string{"scripts/broker/twice.yaml", "breaks", "shows"},
			"scripts/broker/twice.yaml shows MQTT-3.1.0-1: MQTT 3.1.1 has no such statement that binds a server"},
		{"has a script that breaks what does not bind whom it plays", [3]string{"scripts/broker/twice.yaml", "[MQTT-3.1.0-1]", "[MQTT-3.1.0-2]"},
			"scripts/broker/twice.yaml breaks MQTT-3.1.0-2: MQTT 3.1.1 has no such statement that binds a client"},
		{"has a script that shows a statement twice", [3]string{"scripts/broker/publish.yaml", "[MQTT-2.2.1-2]", "[MQTT-2.2.1-2, MQTT-2.2.1-2]"},
			"scripts/broker/publish.yaml shows MQTT-2.2.1-2 twice"},
	} {
		all := tree()
		if name := c.edit[0]; name != "" {
			if !strings.Contains(all[name], c.edit[1]) {
				t.Fatalf("it %s: nothing to change in %s", c.it, name)
			}
			all[name] = strings.Replace(all[name], c.edit[1], c.edit[2], 1)
		}
		r, err := Load(files(all))
		if err != nil {
			t.Errorf("it %s: %v", c.it, err)
			continue
		}
		got, err := r.check(files(all), small)
		if err != nil || c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("it %s: got %q, %v, want %q", c.it, got, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, old, new, want string }{
		{"no reasons", "reasons:", "raisins:", "3:1: unknown key \"raisins\""},
		{"another version", "5.0:", "5.1:", "16:1: unknown key \"5.1\""},
		{"an unknown key", "    says:", "    sais:", "8:5: unknown key \"sais\""},
		{"an unknown role", "binds: client", "binds: clients", "9:12: binds: invalid value \"clients\" (want client, server or both)"},
		{"words without a reason", "{choice: \"no reason\"}", "\"no reason\"", "14:13: server: want a list of scripts and tests, or {REASON: words}"},
		{"a statement twice", "MQTT-3.1.0-2", "MQTT-3.1.0-1", "11:3: "},
	} {
		_, err := Parse(Path, []byte(strings.Replace(record, c.old, c.new, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), Path+":"+c.want) {
			t.Errorf("%s: got %v, want %s", c.it, err, c.want)
		}
	}
}

// What is not in the heads of scripts is kept when they are filled in.
func TestFillTakesTheScriptsFromTheirHeads(t *testing.T) {
	t.Parallel()
	all := tree()
	all[Path] = strings.Replace(strings.Replace(record, "[connect, first, mqtt.TestFirst]", "[mqtt.TestFirst, gone]", 1), "    server: [publish]\n", "", 1)
	r, err := Load(files(all))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fill(files(all)); err != nil {
		t.Fatal(err)
	}
	if got := string(r.Text()); got != record {
		t.Errorf("got\n%s\nwant\n%s", got, record)
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	r, err := Parse(Path, []byte(strings.Replace(record, "    server: [publish]\n", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Totals(&b); err != nil {
		t.Fatal(err)
	}
	want := `                      3.1.1 client  3.1.1 server    5.0 client    5.0 server
statements                       1             1             1             1
shown by scripts                 1             0             1             0
shown by tests                   0             0             0             0
not shown: choice                0             1             0             0
open                             0             0             0             1
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := r.List(&b); err != nil {
		t.Fatal(err)
	}
	want = `MQTT 3.1.1, client: shown by scripts (1)
  MQTT-3.1.0-1 first packet is CONNECT
    connect, first, mqtt.TestFirst
MQTT 3.1.1, server: not shown: choice (1)
  MQTT-3.1.0-2 second CONNECT: close
    no reason
MQTT 5.0, client: shown by scripts (1)
  MQTT-2.2.1-2 no packet id at QoS 0
    connect
MQTT 5.0, server: open (1)
  MQTT-2.2.1-2 no packet id at QoS 0
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	want = "- MQTT 3.1.1: 1 of 1 statements that bind a client are shown, 0 of 1 that bind a server.\n" +
		"- MQTT 5.0: 1 of 1 statements that bind a client are shown, 0 of 1 that bind a server.\n"
	if got := r.Summary(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTheCatalogue counts the statements in appendix B of the specifications.
func TestTheCatalogue(t *testing.T) {
	t.Parallel()
	for v, want := range map[packet.Version]int{packet.V311: 141, packet.V5: 251} {
		all := identifiers(sections[v])
		if len(all) != want || len(slices.Compact(slices.Sorted(slices.Values(all)))) != want {
			t.Errorf("MQTT %s: %d statements, want %d", v, len(all), want)
		}
	}
	if all := identifiers(sections[packet.V5]); slices.Contains(all, "MQTT-2.2.1-1") || !slices.Contains(all, "MQTT-2.2.1-6") {
		t.Error("MQTT 5.0 has 2.2.1-2 to 2.2.1-6")
	}
}
