package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// recipe is what there is before and after an example of mqtools(7), and what
// comes of all three, which run as one script in an empty directory, with a
// broker of their own that the environment names.
type recipe struct {
	name          string
	before, after string
	swap          []string // pairs: what stands in the example, and in its place
	want          string   // of both streams
	tools         string   // other programs that it needs
	terminal      string   // it runs in one, and this filters what it shows
}

// programs makes a program of each function's body, which the recipe calls.
const programs = `
	program() { printf '#!/bin/sh\n%s\n' "$2" > "$1"; chmod +x "$1"; }
	PATH=$PWD:$PATH
`

// parse makes each command line of the tools print its options in place of a run, which
// fails where the run would; those of contexts run.
const parse = `
	export MQ_CONFIG=$PWD/config.yaml; : > config.yaml
	parse() { case $2 in context) command "$@" 2> log ;; *) command "$@" --show-config ;; esac > /dev/null; }
	mqpub() { parse mqpub "$@"; }
	mqsub() { parse mqsub "$@"; }
	mqbench() { parse mqbench "$@"; }
`

// recipes has one for each example, in the order of the page.
var recipes = []recipe{
	{name: "value", before: `mqpub -r -t boiler/temp -m 61`, want: "the boiler is at 61 degrees\n"},
	{name: "default", after: `echo $rate; mqpub -r -t config/rate -m 5; rate=$(mqsub --retained-only -t config/rate); echo $rate`, want: "mqsub: no retained message matches \"config/rate\"\n10\n5\n"},
	{name: "until", before: `(until [ -e over ]; do printf '%s\n' configured half-done done | mqpub -l -t build/state; done) & p=$!`, after: `touch over; wait $p`, want: "built\n"},
	{name: "loop", before: `mqpub -r -t sensors/a -m $'two\nlines'; mqpub -r -t 'sensors/in the hall' -m '"x"  y '; mqpub -r -t sensors/b -m 1; export MQ_COUNT=3`,
		want: "sensors/a: $'two\\nlines'\nsensors/in the hall: \\\"x\\\"\\ \\ y\\ \nsensors/b: 1\n"},
	{name: "jq", tools: "jq", before: `
		mqpub -r -t zigbee2mqtt/a -m '{"battery": 7, "linkquality": 60}'
		mqpub -r -t zigbee2mqtt/b -m '{"battery": 100}'
		mqpub -r -t zigbee2mqtt/c -m 'no JSON'
		printf '\x00\xff' | mqpub -r -t zigbee2mqtt/d -s
		mqpub -r -t zigbee2mqtt/e -m '12'
		mqpub -r -t zigbee2mqtt/f -m '{"battery": 12.5}'
		export MQ_COUNT=6`, want: "zigbee2mqtt/a: battery at 7%\nzigbee2mqtt/f: battery at 12.5%\n"},
	{name: "times", before: `mqpub -r -t sensors/a -m 1; export MQ_COUNT=1; exec > >(sed 's/[0-9]/0/g')`, want: "0000-00-00 00:00:00.000000000  sensors/a  0\n"},
	{name: "pretty", before: `mqpub -r -t zigbee2mqtt/bridge/info -m '{}'; mqpub -r -t zigbee2mqtt/lamp -m '{"state":"ON"}'
		export MQ_COUNT=1; exec > >(sed 's/[0-9][0-9]:[0-9.:]*/TIME/')`,
		want: "zigbee2mqtt/lamp  TIME  QoS 0  retained  14 bytes\n  {\n    \"state\": \"ON\"\n  }\n"},
	{name: "watch", terminal: "grep -o 'homeassistant/[a-z ]*' | tail -n 2", tools: "script", before: `mqpub -r -t homeassistant/lamp -m on; mqpub -r -t homeassistant/door -m open; export MQ_COUNT=2`, want: "homeassistant/lamp on\nhomeassistant/door open\n"},
	{name: "csv", tools: "jq", before: `mqpub -r -t sensors/a -m 'say "hi", twice'; export MQ_COUNT=1`,
		after: `sed 's/[0-9]/0/g' sensors.csv`, want: `"0000-00-00T00:00:00.000000+00:00","sensors/a","say ""hi"", twice"` + "\n"},
	{name: "files", tools: "basenc", before: `printf '\xff\xd8\x00\n' > door; mqpub -r -t cam/door -f door; mqpub -r -t 'cam/back yard' -m x; export MQ_COUNT=2`,
		after: `cmp door cam_door.jpg; ls *.*`, want: "cam_back_yard.jpg\ncam_door.jpg\n"},
	{name: "influx", tools: "jq", before: programs + `program curl 'printf "%s\n" "$3" "$4"'; export INFLUX_URL=http://localhost:8086
		mqpub -r -t 'sensors/living room, south/temperature' -m 21.5; mqpub -r -t sensors/hall/temperature -m '"warm"'; mqpub -r -t sensors/attic/temperature -m -3
		export MQ_COUNT=3`,
		want: "temperature,room=living\\ room\\,\\ south value=21.5\nhttp://localhost:8086/api/v2/write?bucket=home\n" +
			"temperature,room=attic value=-3\nhttp://localhost:8086/api/v2/write?bucket=home\n"},
	{name: "prometheus", tools: "jq", before: `mqpub -r -t 'sensors/a "b"/temperature' -m 21.5; mqpub -r -t sensors/hall/temperature -m off`,
		after: `cat rooms.prom; ls rooms.*`, want: `room_celsius{room="a \"b\""} 21.5` + "\nrooms.prom\n"},
	{name: "command", before: programs + `program convert-one 'printf "%s" "<$1>" > "out.$$"'
		mqpub -r -t jobs/convert -m $'one file\nhere'; export MQ_COUNT=1`, after: `cat out.*`, want: "<one file\nhere>"},
	{name: "responder", swap: []string{"esac'", "esac' > /dev/null & p=$!"}, after: `
		until mqpub -t host/ask -m load --request -W 3 2> /dev/null > load; do :; done
		tr 0-9 0 < load | tr -s 0
		mqpub -t host/ask -m lode --request -W 60 -N
		kill $p; wait $p || :`, want: "0.0\n\nwhat?\n"},
	{name: "request", before: `mqsub -t host/ask --reply-command 'sed "s/load/0.5/"' > /dev/null & p=$!
		mqpub() { until command mqpub "$@" 2> /dev/null; do :; done; }`, after: `kill $p; wait $p || :; echo $load`, want: "0.5\n"},
	{name: "cron", tools: "flock", swap: []string{"/tmp/load.lock", "load.lock"}, after: `mqsub --retained-only -t host/load | tr 0-9 0 | tr -s 0`, want: "0.0\n"},
	{name: "lines", tools: "stdbuf", before: programs + `program vmstat 'echo one; echo; echo two; [ "$LD_PRELOAD" ]'
		mqsub -i s -c -q 1 -t host/vmstat -E`, after: `mqsub -i s -c -q 1 -t host/vmstat -C 3 -F '<%p>'`, want: "<one>\n<>\n<two>\n"},
	{name: "topics", tools: "jq", before: `printf 'a/b\t1\nc d\t"two"\n' > readings.tsv; mqsub -i s -c -q 1 -t '#' -E`,
		after: `mqsub -i s -c -q 1 -t '#' -C 2 -v`, want: "a/b 1\nc d \"two\"\n"},
	{name: "send-file", before: `printf '\x00lamp\n' > lamp.bin`, after: `mqsub --retained-only -t firmware/lamp -F '%C %P %x'`,
		want: "application/octet-stream sha256:bd133422f8de16de8a37b85769c5666f6f6ec08f6044d32064027fb432e1cf2f 006c616d700a\n"},
	{name: "receive-file", tools: "basenc sha256sum", before: `printf '\x00lamp\n' > lamp.bin
		mqpub -r -t firmware/lamp -f lamp.bin -D publish user-property sha256 "$(sha256sum < lamp.bin | cut -d ' ' -f 1)"`, after: `cmp lamp.bin lamp.new`},
	{name: "availability", tools: "jq", before: programs + `
		# What the broker says in the end of an outage.
		program vmstat 'echo busy; mqpub -r -q 1 -t host/state -m offline; until [ "$(mqsub --retained-only -t host/state)" = online ]; do :; done'
		mqsub -i s -c -q 1 -t '#' -E`,
		after: `mqsub -i s -c -q 1 -t '#' --idle-timeout 0.5 -v 2> log | sort -u || :; mqsub --retained-only -t host/state`,
		want:  "host/state offline\nhost/state online\nhost/vmstat busy\noffline\n"},
	{name: "snapshot", tools: "jq", before: `mqpub -r -q 2 -t a/b -m x; printf '\xff' | mqpub -r -t c -s; mqpub -t a/b -m live`,
		after: `jq -r '"\(.topic) \(.qos) \(.retain) \(.payload)"' retained.jsonl`, want: "a/b 2 true x\nc 0 true /w==\n"},
	{name: "restore", before: `printf '%s\n' '{"topic": "a/b", "qos": 2, "retain": true, "payload": "x"}' '{"topic": "c", "retain": true, "payload": "/w==", "payload_encoding": "base64"}' > retained.jsonl`,
		after: `mqsub --retained-only -q 2 -t '#' -F '%t %q %x'`, want: "a/b 2 78\nc 0 ff\n"},
	{name: "remove", before: `mqpub -r -t old/a -m 1; mqpub -r -t old/b/c -m 2; mqpub -r -t new -m 3`,
		after: `echo removed:; cat removed.txt; echo left:; mqsub --retained-only -F %t -t '#'`, want: "old/a\nold/b/c\nremoved:\nold/a\nold/b/c\nleft:\nnew\n"},
	{name: "bridge", tools: "jq", swap: []string{"-h central.example", `--unix "$PWD/central"`}, before: `
		mqsub --serve "unix://$PWD/central" --quiet -t x & p=$!
		mqsub --quiet --unix "$PWD/central" --wait-for 20 -E -t y
		mqpub -r -q 1 -t site/a -m 1 -D publish user-property k v; printf '\xff' | mqpub -r -q 2 -t site/b/c -s
		export MQ_COUNT=2`, after: `
		mqsub --unix "$PWD/central" --retained-only -t '#' -q 2 -F '%t %q %P %x'
		kill $p; wait $p || :`, want: "berlin/site/a 1 k:v 31\nberlin/site/b/c 2  ff\n"},
	{name: "record", tools: "jq", swap: []string{"10m", "1s"}, before: `mqpub -r -t sensors/a -m 1; mqpub -r -t sensors/b -m 2; exec 2> log`,
		after: `jq -r .topic tape.jsonl`, want: "sensors/a\nsensors/b\n"},
	{name: "replay", before: `printf '{"topic": "a", "retain": true, "payload": "%s"}\n' 1 2 3 > tape.jsonl`, after: `mqsub --retained-only -t a`, want: "3\n"},
	{name: "rhythm", tools: "jq", before: `
		printf '{"tst":"2026-01-02T15:04:%s+00:00","topic":"a","retain":true,"payload":"%s"}\n' 05.9 1 06.1 2 06.2 3 > tape.jsonl
		sleep() { echo "sleep $1" >&2; }`, after: `mqsub --retained-only -t a`, want: "sleep 0\nsleep 1\nsleep 0\n3\n"},
	{name: "session-create", after: `mqpub -q 1 -t orders/1 -m x; mqsub -i collector -c -q 1 -t 'orders/#' -C 1`, want: "x\n"},
	{name: "session-read", before: `mqpub -r -q 1 -t orders/kept -m kept
		mqsub -i collector -c -x 24h -q 1 -t 'orders/#' --retain-handling new -C 1 > had.txt; printf '1\n2\n' | mqpub -l -q 1 -t orders/new; exec 2> log`,
		swap: []string{"--idle-timeout 2", "--idle-timeout 0.5"}, after: `cat had.txt orders.txt`, want: "kept\n1\n2\n"},
	{name: "session-drop", before: `mqsub -i collector -c -x 24h -q 1 -t 'orders/#' -E; mqpub -q 1 -t orders/1 -m x`,
		after: `mqsub -i collector -c -q 1 -t 'orders/#' -W 0.2 || echo $?`, want: "mqsub: timed out after 200ms (no messages received)\n27\n"},
	{name: "silence", swap: []string{"15m", "200ms"}, before: `mqsub -i s -c -q 1 -t alarm -E`, after: `mqsub -i s -c -q 1 -t alarm -C 1`,
		want: "mqsub: timed out: no message for 200ms (--idle-timeout)\nthe greenhouse is silent\n"},
	{name: "broker", before: programs + `unset MQ_UNIX; program the-program-under-test 'mqpub -q 1 -t lamp/hall -m on'`, after: `sed s/begin.*/begin/ seen.txt`,
		want: "test/begin\nlamp/hall on\n"},
	{name: "wait-for", before: `export MQ_UNIX=$PWD/late; mqsub --serve "unix://$MQ_UNIX" --quiet -t t & p=$!`, after: `kill $p; wait $p || :`},
	{name: "from-mosquitto", before: parse + `tail() { :; }`},
	{name: "from-mqttx", before: parse + `touch lines.txt`, swap: []string{" --cafile ca.pem", ""}},
	{name: "from-hivemq", before: parse, swap: []string{"mqpub -h broker --cafile ca.pem", "mqpub -h broker --tls"}},
	{name: "from-emqtt-bench", before: parse, swap: []string{" --cafile ca.pem", ""}},
}

var exampleName = regexp.MustCompile(`^\.\\" example: ([a-z-]+)$`)

// examples are the blocks of a page by their names. Every one must have one.
func examples(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	name, inside := "", false
	for i, line := range strings.Split(string(b), "\n") {
		m := exampleName.FindStringSubmatch(line)
		switch {
		case inside && line == ".Ed":
			inside, name = false, ""
		case inside:
			all[name] += strings.NewReplacer(`\e`, `\`, `\&`, "").Replace(line) + "\n"
		case m != nil && all[m[1]] != "":
			t.Errorf("%s:%d: %s is there already", path, i+1, m[1])
		case m != nil:
			name = m[1]
		case strings.HasPrefix(line, ".Dl") && strings.HasSuffix(path, ".7"):
			t.Errorf("%s:%d: an example without a test", path, i+1)
		case strings.HasPrefix(line, ".Bd"):
			if name == "" || line != ".Bd -literal -offset indent" {
				t.Fatalf("%s:%d: an example without a name, or of another form", path, i+1)
			}
			inside = true
		}
	}
	return all
}

func TestRecipesOfTheManual(t *testing.T) {
	t.Parallel()
	page := examples(t, "../../man/mqtools.7")
	delete(page, "unit") // scripts/cli/service-of-the-manual.txtar
	runExamples(t, page, recipes)
}

// runExamples runs each example as its recipe says; every one must have one.
func runExamples(t *testing.T, page map[string]string, recipes []recipe) {
	for i := range recipes {
		r := &recipes[i]
		text, found := page[r.name]
		if !found {
			t.Errorf("there is no example %s", r.name)
			continue
		}
		delete(page, r.name)
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			need(t, strings.Fields(r.tools)...)
			for i := 0; i < len(r.swap); i += 2 {
				if strings.Count(text, r.swap[i]) != 1 {
					t.Fatalf("%q is not there once in\n%s", r.swap[i], text)
				}
				text = strings.Replace(text, r.swap[i], r.swap[i+1], 1)
			}
			script := "set -euo pipefail\n" + r.before + "\n" + text + r.after
			if r.terminal != "" {
				script = "cat > in-terminal <<'END'\n" + script + "\nEND\nscript -qec 'bash in-terminal' /dev/null < /dev/null | " + r.terminal
			}
			if out, code := shell(t, script); out != r.want || code != 0 {
				t.Errorf("code %d, got\n%s\nwant\n%s", code, out, r.want)
			}
		})
	}
	for name := range page {
		t.Errorf("the example %s has no test", name)
	}
}
