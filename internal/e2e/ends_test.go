//go:build linux

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestEveryCommandHasItsEnds runs the tools themselves, each command through every
// end that it can meet.
func TestEveryCommandHasItsEnds(t *testing.T) {
	t.Parallel()
	need(t)
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script, err := filepath.Abs("../../scripts/client/ack-unknown.yaml")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/line", "x")
	const refused = "127.0.0.1:PORT refused the connection: not authorized (0x87)"
	const checkLogin = "check --username and --password-file, and the broker's access rules"
	type row struct {
		command string // in words
		stdin   string // of its ends that have none
		ends    []end
	}
	one := func(s any) []any { return []any{s} }
	told := func(tool string, lines ...string) (all []string) {
		for _, l := range lines {
			all = append(all, tool+": "+l)
		}
		return all
	}
	// The signals, and what a tool says when one ends it.
	signals := func(server server, says func(what string) []string) (all []end) {
		for _, s := range []struct {
			signal syscall.Signal
			name   string
			what   string
		}{{syscall.SIGINT, "SIGINT", "interrupted"}, {syscall.SIGTERM, "SIGTERM", "terminated"}, {syscall.SIGHUP, "SIGHUP", "hung up"}, {syscall.SIGQUIT, "SIGQUIT", "quit"}} {
			all = append(all, end{name: s.name, server: server, signals: one(s.signal), status: 128 + int(s.signal), says: says(s.what)})
		}
		return append(all,
			end{name: "SIGINT ignored", server: server, script: `trap "" INT; exec "$@"`, signals: []any{syscall.SIGINT, syscall.SIGTERM}, status: 143, says: says("terminated")},
			end{name: "SIGHUP ignored", server: server, script: `trap "" HUP; exec "$@"`, signals: []any{syscall.SIGHUP, syscall.SIGQUIT}, status: 131, says: says("quit")},
			end{name: "PID 1", server: server, first: true, signals: one(syscall.SIGTERM), status: 143, says: says("terminated")},
			end{name: "PID 1, SIGINT", server: server, first: true, signals: one(syscall.SIGINT), status: 130, says: says("interrupted")},
		)
	}
	nothing := func(string) []string { return nil }
	listens := func(string) []string { return told("mqsub", "serving MQTT on *") }
	anything := func(string) []string { return []string{"..."} }
	// What waits for messages ends by what ends it.
	follower := func(command string, more ...end) row {
		return row{command, "", slices.Concat(signals(server{}, nothing), []end{
			{name: "time", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "stdout closed", script: `"$@" >&-`, status: 6, says: told("mqsub", "standard output is closed", "to discard*")},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "reader gone, SIGPIPE ignored", script: `trap "" PIPE; { "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "broker gone, and not to return to", server: server{cut: "1", last: 1}, words: "--no-reconnect", status: 7, says: told("mqsub", "connection lost*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
			{name: "broker gone for a while", server: server{cut: "1", nth: 2}, words: "--quiet --reconnect-delay 0.01", signals: one(syscall.SIGTERM), status: 143},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqsub", refused, checkLogin)},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--reconnect-delay 0.01 --retry-for 0", status: 4,
				says: told("mqsub", "connection to 127.0.0.1:PORT lost*", refused, checkLogin)},
			{name: "refused for a while", server: server{cut: "1", refuse: "2", nth: 3}, words: "--reconnect-delay 0.01 --quiet", signals: one(syscall.SIGTERM), status: 143},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 6, says: told("mqsub", "standard output: *")},
			{name: "deaf broker, time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "deaf broker, SIGTERM", server: server{deaf: true}, signals: one(syscall.SIGTERM), status: 143},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqsub", `broker refused the subscription "none": *`, "check the broker's access rules")},
		}, more)}
	}
	stalled := []end{
		{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
		{name: "reader stalled, time", server: server{floods: true}, stdout: "stalled", words: "-W 0.2", status: 27, says: told("mqsub", "timed out after 200ms (standard output is blocked)")},
	}
	const open = "1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read"
	// What publishes ends by its end, or by what ends it, and counts.
	stream := func(command, stdin string, more ...end) row {
		drained := func(ends []end) []end {
			for i := range ends {
				ends[i].words = "--drain-timeout 0"
			}
			return ends
		}
		return row{command, stdin + "...", slices.Concat(drained(signals(server{mute: true}, func(what string) []string { return told("mqpub", what+": "+open) })), []end{
			{name: "the end of the input", stdin: stdin},
			{name: "time", server: server{mute: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "time, nothing due", words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "SIGTERM, nothing due", words: "-d", signals: one(syscall.SIGTERM), started: "received PUB", status: 143},
			{name: "stdout closed", script: `"$@" >&-`, stdin: stdin},
			{name: "broker gone, and not to return to", server: server{cut: "1", last: 1}, words: "--no-reconnect", status: 7, says: told("mqpub", "connection lost*", open)},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqpub", "timed out after 300ms (1 of 1 message not delivered*")},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --reconnect-delay 0.01", stdin: stdin},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqpub", refused, checkLogin)},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--reconnect-delay 0.01 --retry-for 0", status: 4,
				says: told("mqpub", "connection to 127.0.0.1:PORT lost*", open, refused, checkLogin)},
			{name: "refused for a while", server: server{cut: "1", refuse: "2"}, words: "--reconnect-delay 0.01 --quiet", stdin: stdin},
			{name: "denied", server: server{denies: true}, stdin: stdin, status: 5, says: told("mqpub", "message 1: publish refused: not authorized (0x87)", "1 of 1 message not delivered: 1 refused")},
			{name: "input that cannot be read", script: `exec "$@" </`, status: 6, says: told("mqpub", "standard input: *")},
			{name: "stdin closed", script: `exec "$@" <&-`, status: 6, says: told("mqpub", "standard input: closed when the program started; </dev/null is empty")},
		}, more)}
	}
	debug := func(ends []end) []end { // what is told shows that signals are caught
		for i := range ends {
			ends[i].words = "-d --drain-timeout 0"
		}
		return ends
	}
	single := func(command string, more ...end) row {
		const open = "message not acknowledged: it may have arrived"
		return row{command, "x", slices.Concat(debug(signals(server{mute: true}, func(what string) []string { return told("mqpub", what+": "+open) })), []end{
			{name: "success"},
			{name: "stdout closed", script: `"$@" >&-`},
			{name: "time", server: server{mute: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: told("mqpub", `topic "a": message not acknowledged: *`, "it may have been delivered")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet --retry", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --retry --reconnect-delay 0.01"},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqpub", refused, checkLogin)},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--retry --quiet --reconnect-delay 0.01 -W 0.3", status: 27, says: told("mqpub", "timed out*")},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqpub", `topic "a": publish refused: not authorized (0x87)`)},
		}, more)}
	}
	serving := func(words string, ends []end) []end { // what says that they have started
		for i := range ends {
			ends[i].started = words
		}
		return ends
	}
	// Ctrl-C, Ctrl-\\, and a window that is closed.
	terminal := []end{
		{name: "Ctrl-C", stdout: "terminal", signals: one("\x03"), status: 130},
		{name: "Ctrl-\\", stdout: "terminal", signals: one("\x1c"), status: 131},
		{name: "closed", stdout: "terminal", signals: one("closed"), status: 129},
		{name: "closed, with messages", server: server{floods: true}, stdout: "terminal", signals: one("closed"), status: 129},
		{name: "time", stdout: "terminal", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
		{name: "SIGTERM", stdout: "terminal", signals: one(syscall.SIGTERM), status: 143},
	}
	// What measures reports what it has, and dies by the signal.
	load := func(command string, more ...end) row {
		return row{command, "", slices.Concat(signals(server{}, anything), []end{
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", "standard output is closed", "to discard*")},
			{name: "broker away", server: server{away: true}, status: 3, says: told("mqbench", "*", "*")},
		}, more)}
	}
	const runs = " --duration 0.1 --serve 127.0.0.1:0"
	// What is written at once.
	page := []end{
		{name: "success", says: []string{"..."}},
		{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", "standard output is closed", "to discard*")},
		{name: "disk full", script: `exec "$@" >/dev/full`, status: 1, says: []string{"...", "mqbench: standard output: *"}},
		{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"...", "status 141"}},
	}
	for _, r := range []row{
		follower("mqsub -t none", stalled...),
		follower("mqsub -t none -C 1"),
		follower("mqsub -t none --json -q 2", stalled[0]),
		follower("mqsub -t none --message-rate"),
		follower("mqsub -t none --echo"),
		follower("mqsub -t none --reply-command cat"),
		follower("mqsub -t none --idle-timeout 60"),
		follower("mqsub -t none -F %t --will-topic w"),
		{"mqsub -t none -E", "", slices.Concat(signals(server{deaf: true}, nothing), []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 0"}},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqsub", refused, checkLogin)},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqsub", `broker refused the subscription "none": *`, "check the broker's access rules")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (subscription not confirmed)")},
		})},
		{"mqsub -U none", "", slices.Concat(signals(server{deaf: true}, nothing), []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
		})},
		{"mqsub -t none --retained-only", "", slices.Concat(signals(server{deaf: true}, nothing), []end{
			{name: "nothing", words: "--retained-quiet 1ms", status: 28, says: told("mqsub", `no retained message matches "none"`)},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 6, says: told("mqsub", "standard output is closed", "to discard*")},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "reader gone", server: server{deaf: true}, script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqsub", refused, checkLogin)},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqsub", `broker refused the subscription "none": *`, "check the broker's access rules")},
		})},
		{"mqsub --serve 127.0.0.1:0", "", slices.Concat(serving("serving MQTT on", signals(server{}, listens)), []end{
			{name: "time", words: "-W 0.05", status: 27, says: told("mqsub", "serving MQTT on *", "timed out after 50ms (the broker stopped)")},
			{name: "stdout closed", script: `exec "$@" -W 0.05 >&-`, status: 27, says: told("mqsub", "serving MQTT on *", "timed out after 50ms (the broker stopped)")},
			{name: "reader gone", script: `{ "$@" -W 0.05; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"...", "status 27"}},
		})},
		{"mqsub --serve 127.0.0.1:0 -t none", "", slices.Concat(serving("serving MQTT on", signals(server{}, listens)), []end{
			{name: "time", words: "-W 0.05", status: 27, says: told("mqsub", "serving MQTT on *", "timed out after 50ms (*")},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 6, says: told("mqsub", "standard output is closed", "to discard*")},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"...", "status 141"}},
		})},
		{"mqsub -t none --watch", "", terminal},
		{"mqsub -t none -v", "", terminal},
		{"mqpub -t a -q 1 -l", "", []end{
			{name: "a line typed, Ctrl-C", server: server{mute: true}, words: "--drain-timeout 0", stdout: "terminal", typed: "x\n", signals: one("\x03"), status: 130, says: told("mqpub", "interrupted: "+open)},
			{name: "a line typed, closed", server: server{mute: true}, words: "--drain-timeout 0", stdout: "terminal", typed: "x\n", signals: one("closed"), status: 129, says: told("mqpub", "hung up: "+open)},
			{name: "a line typed, Ctrl-D", stdout: "terminal", typed: "x\n\x04"},
		}},
		{"mqpub -t a -l", "", []end{
			{name: "broker stalled, SIGTERM", server: server{stalls: true}, script: `exec "$@" < <(yes)`, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: told("mqpub", "terminated: *")},
			{name: "broker stalled, time", server: server{stalls: true}, script: `exec "$@" < <(yes)`, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
		}},
		{"mqpub -t a -s", "", []end{
			{name: "stdin closed", script: `exec "$@" <&-`, status: 6, says: told("mqpub", "standard input: closed when the program started; </dev/null is empty")},
			{name: "broker stalled, SIGTERM", server: server{stalls: true}, script: `exec "$@" < <(head -c 30000000 /dev/zero)`, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: told("mqpub", "terminated: message may not have arrived")},
			{name: "broker stalled, time", server: server{stalls: true}, script: `exec "$@" < <(head -c 30000000 /dev/zero)`, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
		}},
		{"mqpub -t a -m x --request", "", slices.Concat(debug(signals(server{}, nothing)), []end{
			{name: "time", words: "-W 0.1", status: 27, says: []string{"mqpub: *", "..."}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 6, says: told("mqpub", "standard output is closed", "to discard*")},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqpub", refused, checkLogin)},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqpub", "*")},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: told("mqpub", "*")},
			{name: "broker stalled, time", server: server{stalls: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (request not acknowledged)")},
			{name: "deaf broker, SIGTERM", server: server{deaf: true}, words: "-d", signals: one(syscall.SIGTERM), status: 143},
		})},
		{"mqpub -V 311 -t r -m x -e t", "", []end{
			{name: "success", server: server{tells: "x"}},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 6, says: told("mqpub", "standard output: *")},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "reader stalled, SIGTERM", server: server{floods: true}, words: "--replies 10000000", stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "reader stalled, time", server: server{floods: true}, words: "--replies 10000000 -W 0.2", stdout: "stalled", status: 27, says: told("mqpub", "timed out after 200ms (standard output is blocked)")},
		}},
		{"mqsub --compat mosquitto -t none", "", []end{
			{name: "SIGINT", signals: one(syscall.SIGINT)},
			{name: "SIGTERM", signals: one(syscall.SIGTERM)},
			{name: "SIGHUP", signals: one(syscall.SIGHUP), status: 129},
			{name: "SIGQUIT", signals: one(syscall.SIGQUIT), status: 131},
			{name: "PID 1", first: true, signals: one(syscall.SIGTERM)},
			{name: "time", words: "-W 1", status: 27, says: []string{"Timed out"}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: []string{"Error: standard output is closed", "..."}},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 1, says: []string{"Error: standard output: *"}},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: Connection Refused: not authorised."}},
			{name: "denied", server: server{denies: true}, status: 5, says: []string{"..."}},
			{name: "broker gone for a while", server: server{cut: "1", nth: 2}, words: "--quiet", signals: one(syscall.SIGTERM)},
		}},
		{"mqpub --compat mosquitto -t a -q 1 -m x", "", []end{
			{name: "success"},
			{name: "SIGTERM", server: server{mute: true}, signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "SIGINT", server: server{mute: true}, signals: one(syscall.SIGINT), status: 130, says: []string{"..."}},
			{name: "PID 1", first: true, server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: []string{"Error: terminated: message not acknowledged: it may have arrived"}},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: []string{"Error: *", "mqpub --compat mosquitto: it may have been delivered"}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: Connection Refused: not authorised."}},
			{name: "denied", server: server{denies: true}, words: "-V 5", status: 5, says: []string{"..."}},
		}},
		{"mqpub --compat mosquitto -t a -q 1 -l", "x\n...", []end{
			{name: "SIGTERM", server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: []string{"Error: terminated: " + open}},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet", stdin: "x\n"},
			{name: "the end of the input", stdin: "x\n"},
		}},
		{"mqpub --compat mosquitto_rr -V 311 -t a -m x -e t", "", []end{
			{name: "success", server: server{tells: "x"}},
			{name: "SIGTERM", signals: one(syscall.SIGTERM), status: 143},
			{name: "time", words: "-W 1", status: 27, says: []string{"Timed out"}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: []string{"Error: standard output is closed", "..."}},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 1, says: []string{"Error: standard output: *"}},
			{name: "reader gone", server: server{tells: "x"}, script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: *"}},
		}},
		load("mqbench conn --clients 2"),
		load("mqbench pub --clients 2 -q 1"),
		load("mqbench sub --clients 2"),
		load("mqbench pubsub --clients 2"),
		load("mqbench run oms/p2p-1K-1K-1K-1K --scale 0.001"),
		load("mqbench search pubsub --clients 2"),
		load("mqbench verify --clients 2"),
		{"mqbench conn --clients 2" + runs, "", page},
		{"mqbench verify --clients 2 -q 1" + runs, "", page},
		{"mqbench play " + script + " --listen 127.0.0.1:0", "", slices.Concat(serving("listening on", signals(server{}, anything)), page[1:2])},
		{"mqbench doctor", "", page},
		{"mqbench presets", "", page},
		{"mqbench k8s pubsub", "", page},
		stream("mqpub -t a -q 1 -l", "x\n"),
		stream("mqpub -t a -q 2 -l", "x\n"),
		stream("mqpub --input jsonl -q 1", `{"topic": "a"}`+"\n", end{name: "input bad", stdin: "x\n", status: 6, says: told("mqpub", "standard input:1:1: not a JSON object", "--input jsonl reads what mqsub --json prints", "1 of 1 message not delivered: 1 invalid")}),
		single("mqpub -t a -q 1 -m x"),
		single("mqpub -t a -q 2 -m x"),
		single("mqpub -t a -q 1 -s"),
		single("mqpub -t a -q 1 -n"),
		single("mqpub -t a -q 1 -f line"),
		single("mqpub -t a -q 1 -m x --repeat 2 --repeat-delay 0.01"),
	} {
		words := strings.Fields(r.command)
		words[0] = bin + "/" + words[0]
		for _, e := range r.ends {
			t.Run(r.command+"/"+e.name, func(t *testing.T) {
				t.Parallel()
				if e.stdin == "" {
					e.stdin = r.stdin
				}
				status, lines := e.run(t, slices.Clone(words), dir)
				if status != e.status || !said(lines, e.says) {
					t.Errorf("status %d, stderr %q; want %d and %q", status, lines, e.status, e.says)
				}
			})
		}
	}
}
