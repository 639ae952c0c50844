package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mqtools/mqtools/mqtt/packet"
)

// head is the beginning of a script that plays a broker; its next line is 4.
const head = "name: n\nrole: broker\nversion: 5.0\n"

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, text, want string }{
		{"an empty file", "", "1:1: name is missing"},
		{"an unknown key", head + "stpes: []\n", "4:1: unknown key \"stpes\""},
		{"an unknown role", "name: n\nrole: server\nversion: 5.0\n", "2:7: role: invalid value \"server\" (want broker or client)"},
		{"an unknown version", "name: n\nrole: broker\nversion: 4\n", "3:10: version: invalid value \"4\" (want 3.1, 3.1.1 or 5.0)"},
		{"a version twice", "name: n\nrole: broker\nversion: [5.0, 5.0]\n", "3:16: 5.0 is there twice"},
		{"no conversation", head, "steps or connections are missing"},
		{"an empty conversation", head + "steps: []\n", "4:8: want a list of steps"},
		{"steps beside connections", head + "steps: [close]\nconnections: []\n", "5:1: steps and connections cannot be used together"},
		{"a bad name of a connection", head + "connections:\n  - A: [close]\n", "5:5: invalid name \"A\" (want lower-case letters"},
		{"a word that is no step", head + "steps: [open]\n", "4:9: invalid step \"open\" (want a mapping, close or expect-close)"},
		{"two verbs", head + "steps: [{expect: CONNECT, send: CONNACK}]\n", "4:27: expect and send are two steps"},
		{"no verb", head + "steps: [{topic: t}]\n", "4:9: a step without a verb"},
		{"an unknown packet", head + "steps: [{expect: PUBLISHED}]\n", "4:18: expect: invalid packet \"PUBLISHED\" (e.g. PUBLISH)"},
		{"an unknown field", head + "steps: [{expect: PUBLISH, tpoic: t}]\n", "4:27: unknown key \"tpoic\""},
		{"a field of another packet", head + "steps: [{expect: PINGREQ, topic: t}]\n", "4:27: unknown key \"topic\""},
		{"a property of another packet", head + "steps: [{expect: PUBLISH, receive-maximum: 5}]\n", "4:27: receive-maximum is not a property of PUBLISH"},
		{"a property before 5.0", "name: n\nrole: broker\nversion: 3.1.1\nsteps: [{expect: PUBLISH, content-type: x}]\n", "4:41: content-type needs MQTT 5.0"},
		{"a property to be sent before 5.0", "name: n\nrole: broker\nversion: 3.1.1\nsteps: [{send: PUBLISH, topic: t, content-type: x}]\n", "4:9: send PUBLISH: properties, reason codes and AUTH need MQTT 5.0"},
		{"a number out of range", head + "steps: [{expect: PUBLISH, id: 65536}]\n", "4:31: id: invalid value \"65536\" (want a whole number from 0 to 65535)"},
		{"an octal number", head + "steps: [{expect: PUBLISH, id: 0o17}]\n", "4:31: id: invalid value \"0o17\""},
		{"a flag that is none", head + "steps: [{expect: PUBLISH, retain: yes}]\n", "4:35: retain: invalid value \"yes\" (want true or false)"},
		{"an unknown reason", head + "steps: [{expect: PUBACK, reason: bad luck}]\n", "4:34: reason: invalid value \"bad luck\" (want a reason code"},
		{"a list to be sent", head + "steps: [{send: PUBLISH, topic: [a, b]}]\n", "4:32: topic: a list of alternatives can be expected, not sent"},
		{"absence to be sent", head + "steps: [{send: PUBLISH, topic: null}]\n", "4:32: topic has no value"},
		{"an empty list of alternatives", head + "steps: [{expect: PUBLISH, topic: []}]\n", "4:34: topic: want a list of alternatives, not an empty list"},
		{"a packet without encoding", head + "steps: [{send: PUBACK}]\n", "4:9: send PUBACK: packet identifier 0"},
		{"a variable without value", head + "steps: [{send: PUBACK, id: <p>}]\n", "4:9: send PUBACK: id: <p> has no value here"},
		{"a variable that only an optional step sets", head + "steps: [{expect: PUBLISH, id: <p>, optional: true}, {send: PUBACK, id: <p>}]\n", "<p> has no value here"},
		{"a variable of another round", head + "steps: [{repeat: 2, steps: [{expect: PUBLISH, id: <p>}]}, {send: PUBACK, id: <p>}]\n", "<p> has no value here"},
		{"a text where a number belongs", head + "steps: [{expect: PUBLISH, topic: <t>}, {send: PUBACK, id: <t>}]\n", "id: \"x\" is not a number"},
		{"a variable without value in raw bytes", head + "steps: [{raw: 40 02 <p>}]\n", "4:9: raw: <p> has no value here"},
		{"a single variable to be distinct", head + "steps: [{expect: PUBLISH, id: <p>}, {distinct: [<p>]}]\n", "4:48: distinct: want a list of two variables"},
		{"a number to be distinct", head + "steps: [{expect: PUBLISH, id: <p>}, {distinct: [<p>, 7]}]\n", "4:54: distinct: want a variable, such as <a>, not a text"},
		{"a variable without value to be distinct", head + "steps: [{expect: PUBLISH, id: <p>}, {distinct: [<p>, <q>]}]\n", "4:37: distinct: <q> has no value here"},
		{"odd hex", head + "steps: [{raw: 123}]\n", "4:15: \"123\" is not an even number of hex digits"},
		{"an open text", head + "steps: [{raw: '00 \"t'}]\n", "a text without its closing quote"},
		{"too many bytes", head + "steps: [{raw: 99999999*00}]\n", "more than 16777216 bytes"},
		{"a step after the end", head + "steps: [close, {send: CONNACK}]\n", "4:16: send CONNACK comes after the end of connection a"},
		{"a step after a reset", head + "steps: [{fault: reset}, expect-close]\n", "4:25: expect-close comes after the end"},
		{"sending after a half-close", head + "steps: [{fault: half-close}, {send: CONNACK}]\n", "4:30: send CONNACK comes after a half-close"},
		{"a refusal that comes late", head + "steps: [{expect: CONNECT}, {fault: refuse}]\n", "4:28: refuse comes first"},
		{"a refusal by a client", "name: n\nrole: client\nversion: 5.0\nsteps: [{fault: refuse}]\n", "4:17: refuse is for who accepts"},
		{"an unknown fault", head + "steps: [{fault: fire}]\n", "4:17: fault: invalid value \"fire\" (want duplicate"},
		{"faults that do not go together", head + "steps: [{fault: {split: 1, stall: 1s}}]\n", "4:17: fault: only delay and split can be used together"},
		{"a duration that is none", head + "steps: [{pause: 5x}]\n", "4:17: pause: invalid duration \"5x\" (e.g. 5, 250ms, 2m)"},
		{"no duration", head + "steps: [{pause: 0}]\n", "4:17: pause: invalid duration \"0\" (want 1ns to 640511h)"},
		{"needs that are no mapping", "name: n\nrole: client\nversion: 5.0\nneeds: 5\nsteps: [close]\n", "4:8: needs: want a mapping, not a text"},
		{"a negative duration", head + "steps: [{silence: -5s}]\n", "4:19: silence: invalid duration \"-5s\""},
		{"a modifier where it has no meaning", head + "steps: [{send: CONNACK, within: 5s}]\n", "4:25: unknown key \"within\""},
		{"a version that is not the script's", head + "steps: [{expect: CONNECT, only: 3.1.1}]\n", "only: invalid value \"3.1.1\" (want versions of the script)"},
		{"a send in any-order", head + "steps: [{any-order: [{send: CONNACK}]}]\n", "in any-order stands nothing but plain expect"},
		{"a repeat that ends the connection", head + "steps: [{repeat: 2, steps: [close]}]\n", "4:9: the connection ends in the first round of 2"},
		{"filter beside filters", head + "steps: [{expect: SUBSCRIBE, filter: a, filters: [b]}]\n", "filters beside a single filter"},
		{"a statement that is none", head + "shows: [3.3.1-2]\nsteps: [close]\n", "4:9: invalid statement \"3.3.1-2\" (e.g. MQTT-3.3.1-2)"},
		{"needs of a script that plays a broker", head + "needs: {retain: false}\nsteps: [close]\n", "4:1: needs are those of a broker under test"},
		{"actions of a script that plays clients", "name: n\nrole: client\nversion: 5.0\nactions: [connect]\nsteps: [close]\n", "4:1: actions is for clients under test"},
		{"an unknown action", head + "actions: [jump]\nsteps: [close]\n", "4:11: invalid action \"jump\" (e.g. connect, or a mapping)"},
		{"an action's unknown field", head + "actions: [{publish: {tpoic: t}}]\nsteps: [close]\n", "4:22: unknown key \"tpoic\""},
		{"an unknown failure", head + "actions: [{connect: {}, fails: badly}]\nsteps: [close]\n", "4:32: fails: invalid value \"badly\" (want refused, not sent"},
		{"command beside actions", head + "actions: [connect]\ncommand: x\nsteps: [close]\n", "5:1: command and actions cannot be used together"},
		{"an alias that contains itself", head + "steps: &a [*a]\n", "nested deeper"},
	} {
		if s, err := Parse("x.yaml", []byte(c.text)); err == nil {
			t.Errorf("%s: it is accepted: %+v", c.it, s)
		} else if !strings.HasPrefix(err.Error(), "x.yaml:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.it, err, c.want)
		}
	}
}

func TestParseReadsTheHeader(t *testing.T) {
	t.Parallel()
	s, err := Parse("x.yaml", []byte(`
name: a name
role: broker
version: [3.1.1, 5.0]
shows: {3.1.1: [MQTT-3.1.0-1], 5.0: [MQTT-3.1.0-1, MQTT-3.1.2-1]}
command: mqpub -t 'a b' -m ''
exit: 7
known-failure: because
steps:
  - {pause: 1s}
  - {repeat: 3, steps: [{silence: 2s}]}
  - {expect: CONNECT, within: 1m}
  - {pause: 5}
  - {pause: +1s}
  - {pause: .5s}
`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "a name" || s.Role != Broker || len(s.Versions) != 2 || len(s.Shows[packet.V5]) != 2 || len(s.Shows[packet.V311]) != 1 ||
		s.Exit != 7 || s.KnownFailure != "because" || s.Waits() != 73*time.Second+500*time.Millisecond {
		t.Errorf("got %+v, waits %v", s, s.Waits())
	}
	if got := strings.Join(s.Command, "|"); got != "mqpub|-t|a b|-m|" {
		t.Errorf("command %q", got)
	}
}

func TestReadTellsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.yaml")
	if _, err := Read(path); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(head+"steps: [close]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Read(path); err != nil || s.Path != path {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestRawBytes(t *testing.T) {
	t.Parallel()
	vars := map[string]value{"id": {n: 0x1234}, "text": {kind: kindText, b: []byte("abc")}}
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"30 05 0001 \"t\" (the topic) \"hi\"", "\x30\x05\x00\x01thi"},
		{"40 02 <id>", "\x40\x02\x12\x34"},
		{"<text>3*00", "abc\x00\x00\x00"},
		{"2*\"ab\"", "abab"},
		{`"a\r\nb\\"`, "a\r\nb\\"},
	} {
		parts, err := parseRaw(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got, err := resolveRaw(parts, vars); err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("../../scripts/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for i, path := range paths {
		if i%8 == 0 {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add([]byte(head + "actions: [connect, {publish: {topic: t}}, receive]\nsteps: [{expect: CONNECT, will: {topic: w}}, {fault: {split: 1}}, close]\n"))
	f.Add([]byte(head + "transport: websocket\nsteps: [{expect-head: 101}, {raw: <accept>}, {any-order: [{expect: PUBLISH, id: <p>}]}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse("f.yaml", b)
		if err != nil && s != nil || err == nil && (s.Name == "" || len(s.Versions) == 0) {
			t.Errorf("%+v, %v", s, err)
		}
		if err == nil {
			_, _ = s.Waits(), s.Task()
		}
	})
}
