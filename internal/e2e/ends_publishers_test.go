//go:build linux

package e2e

import (
	"slices"
	"syscall"
)

// publishers are the rows of mqpub.
func publishers() []row {
	reached := []end{ // or not
		{name: "broker away", server: server{away: true}, status: 3, says: told("mqpub", nobody, isRunning)},
		{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqpub", refused, checkLogin)},
	}
	const open = "1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read"
	const closedInput = "standard input: closed when the program started; </dev/null is empty"
	// What publishes ends by its end, or by what ends it, and counts.
	stream := func(command, stdin string, more ...end) row {
		return row{command: command, stdin: stdin + "...", ends: slices.Concat(
			signals(end{server: server{mute: true}, words: "--drain-timeout 0"}, func(what string) []string { return told("mqpub", what+": "+open) }), reached, []end{
				{name: "success", stdin: stdin},
				{name: "time", server: server{mute: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
				{name: "time, nothing due", words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
				{name: "stdout closed", script: `exec "$@" >&-`, stdin: stdin},
				{name: "broker gone, and not to return to", server: server{cut: "1", last: 1}, words: "--no-reconnect", status: 7, says: told("mqpub", "connection lost*", open)},
				{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 2 --quiet", status: 27, says: told("mqpub", "timed out after 2s (1 of 1 message not delivered*")},
				{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --reconnect-delay 0.01", stdin: stdin},
				{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--reconnect-delay 0.01 --retry-for 0", status: 4,
					says: told("mqpub", "connection to 127.0.0.1:PORT lost*", open, refused, checkLogin)},
				{name: "refused for a while", server: server{cut: "1", refuse: "2"}, words: "--reconnect-delay 0.01 --quiet", stdin: stdin},
				{name: "denied", server: server{denies: true}, stdin: stdin, status: 5, says: told("mqpub", "message 1: publish refused: not authorized (0x87)", "1 of 1 message not delivered: 1 refused")},
				{name: "bad input, a directory", script: `exec "$@" </`, status: 6, says: told("mqpub", "standard input: *")},
				{name: "bad input, closed", script: `exec "$@" <&-`, status: 6, says: told("mqpub", closedInput)},
			}, more), without: []omission{silent}}
	}
	nothingDue := end{name: "SIGTERM, nothing due", words: "-d -k 1", signals: one(syscall.SIGTERM), started: "received PINGRESP", status: 143}
	single := func(command string, more ...end) row { // IN is a file
		const open = "message not acknowledged: it may have arrived"
		// The log lines show that signals are caught.
		return row{command: command, stdin: "x", input: "line", ends: slices.Concat(
			signals(end{server: server{mute: true}, words: "-d --drain-timeout 0"}, func(what string) []string { return told("mqpub", what+": "+open) }), reached, secret("mqpub"), []end{
				slow("mqpub"),
				{name: "success"},
				{name: "stdout closed", script: `exec "$@" >&-`},
				{name: "time", server: server{mute: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
				{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: told("mqpub", `topic "a": message not acknowledged: *`, "it may have been delivered")},
				{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet --retry", status: 27, says: told("mqpub", "timed out after 300ms (*")},
				{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --retry --reconnect-delay 0.01"},
				{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--retry --quiet --reconnect-delay 0.01 -W 0.3", status: 27, says: told("mqpub", "timed out*")},
				{name: "denied", server: server{denies: true}, status: 5, says: told("mqpub", `topic "a": publish refused: not authorized (0x87)`)},
			}, more), without: []omission{silent}}
	}
	request := end{words: "-d"}
	return []row{
		stream("mqpub -t a -q 1 -l", "x\n", nothingDue,
			end{name: "a line typed, Ctrl-C", server: server{mute: true}, words: "--drain-timeout 0", stdout: "terminal", typed: "x\n", signals: one("\x03"), status: 130, says: told("mqpub", "interrupted: "+open)},
			end{name: "a line typed, closed", server: server{mute: true}, words: "--drain-timeout 0", stdout: "terminal", typed: "x\n", signals: one("closed"), status: 129, says: told("mqpub", "hung up: "+open)},
			end{name: "a line typed, Ctrl-D", stdout: "terminal", typed: "x\n\x04"},
			end{name: "broker stalled, SIGTERM", server: server{stalls: true}, script: `exec "$@" < <(yes)`, words: "-q 0 --drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: told("mqpub", "terminated: *")},
			end{name: "broker stalled, time", server: server{stalls: true}, script: `exec "$@" < <(yes)`, words: "-q 0 -W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")}),
		stream("mqpub -t a -q 2 -l", "x\n", nothingDue),
		stream("mqpub --input jsonl -q 1", `{"topic": "a"}`+"\n", nothingDue,
			end{name: "bad input", stdin: "x\n", status: 6, says: told("mqpub", "standard input:1:1: not a JSON object", "--input jsonl reads what mqsub --json prints", "1 of 1 message not delivered: 1 invalid")}),
		single("mqpub -t a -q 1 -m x"),
		single("mqpub -t a -q 2 -m x"),
		single("mqpub -t a -q 1 -s",
			end{name: "SIGTERM, no input", stdin: "...", signals: one(syscall.SIGTERM), status: 143},
			end{name: "time, no input", stdin: "...", words: "-W 0.05", status: 27, says: told("mqpub", "timed out after 50ms (not connected)")},
			end{name: "bad input, closed", script: `exec "$@" <&-`, status: 6, says: told("mqpub", closedInput)},
			end{name: "broker stalled, SIGTERM", server: server{stalls: true}, script: `exec "$@" < <(head -c 12000000 /dev/zero)`, words: "-q 0 --drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: told("mqpub", "terminated: message may not have arrived")},
			end{name: "broker stalled, time", server: server{stalls: true}, script: `exec "$@" < <(head -c 12000000 /dev/zero)`, words: "-q 0 -W 0.5", status: 27, says: told("mqpub", "timed out after 500ms (*")}),
		single("mqpub -t a -q 1 -n"),
		single("mqpub -t a -q 1 -f IN",
			end{name: "bad input, no file", input: "missing", status: 2, says: told("mqpub", `--file: cannot read "missing": no such file`, "*")},
			end{name: "SIGTERM, no input", input: fifo, signals: one(syscall.SIGTERM), status: 143},
			end{name: "time, no input", input: fifo, words: "-W 0.05", status: 27, says: told("mqpub", "timed out after 50ms (not connected)")}),
		single("mqpub -t a -q 1 -m x --repeat 2 --repeat-delay 0.01"),
		{command: "mqpub request -t r -m x", ends: slices.Concat(signals(request, nothing), reached, secret("mqpub"), []end{
			{name: "success", server: server{tells: "x"}, words: "-V 311 -e t"},
			{name: "time", words: "-W 0.1", status: 27, says: []string{"mqpub: *", "..."}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 6, says: told("mqpub", "standard output is closed", "to discard*")},
			{name: "disk full", server: server{tells: "x"}, words: "-V 311 -e t", script: `exec "$@" >/dev/full`, status: 6, says: told("mqpub", "standard output: *")},
			{name: "reader gone", words: "-V 311 -e t", stdout: "gone", status: 141},
			{name: "reader stalled, SIGTERM", server: server{floods: true}, words: "-V 311 -e t --replies 10000000", stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "reader stalled, time", server: server{floods: true}, words: "-V 311 -e t --replies 10000000 -W 2", stdout: "stalled", status: 27, says: told("mqpub", "timed out after 2s (standard output is blocked)")},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqpub", "*")},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: told("mqpub", "connection lost: *")},
			{name: "broker stalled, time", server: server{stalls: true}, words: "-W 3", status: 27, says: told("mqpub", "timed out after 3s (request not acknowledged)")},
			{name: "deaf broker, SIGTERM", server: server{deaf: true}, words: "-d", signals: one(syscall.SIGTERM), status: 143},
		})},
		{command: "mqpub --compat mosquitto_pub -t a -q 1 -m x", ends: []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`},
			{name: "SIGTERM", server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "SIGINT", server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGINT), status: 130, says: []string{"..."}},
			{name: "SIGHUP", server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGHUP), status: 129, says: []string{"..."}},
			{name: "SIGQUIT, no file", words: "-o fifo.yaml", signals: one(syscall.SIGQUIT), status: 131},
			{name: "PID 1", first: true, server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: []string{"Error: terminated: message not acknowledged: it may have arrived"}},
			{name: "bad input, certificates", words: "--cafile missing", status: 1, says: []string{"..."}},
			{name: "broker away", server: server{away: true}, status: 1, says: []string{"Error: *", "*"}},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: []string{"Error: *", "mqpub --compat mosquitto_pub: it may have been delivered"}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: Connection Refused: not authorised."}},
			{name: "denied", server: server{denies: true}, words: "-V 5", status: 5, says: []string{"..."}},
		}, without: []omission{silent, {"mosquitto_pub has no such option", []string{"time"}}, {"signals are caught as natively", []string{"SIGINT ignored", "SIGHUP ignored"}}}},
		{command: "mqpub --compat mosquitto_pub -t a -q 1 -l", stdin: "x\n...", ends: []end{
			{name: "success", stdin: "x\n"},
			{name: "SIGTERM", server: server{mute: true}, words: "--drain-timeout 0", signals: one(syscall.SIGTERM), status: 143, says: []string{"Error: terminated: " + open}},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet", stdin: "x\n"},
			{name: "broker away", server: server{away: true}, status: 1, says: []string{"Error: *", "*"}},
		}, without: []omission{silent, {"it is as mosquitto_pub -m, or as mqpub -l", []string{"time", "SIGINT", "SIGHUP", "SIGQUIT", "SIGINT ignored", "SIGHUP ignored", "PID 1",
			"stdout closed", "bad input", "refused"}}}},
		{command: "mqpub --compat mosquitto_rr -V 311 -t a -m x -e t", ends: []end{
			{name: "success", server: server{tells: "x"}},
			{name: "SIGINT", signals: one(syscall.SIGINT), status: 130},
			{name: "SIGTERM", signals: one(syscall.SIGTERM), status: 143},
			{name: "SIGHUP", signals: one(syscall.SIGHUP), status: 129},
			{name: "SIGQUIT", signals: one(syscall.SIGQUIT), status: 131},
			{name: "PID 1", first: true, signals: one(syscall.SIGTERM), status: 143},
			{name: "time", words: "-W 1", status: 27, says: []string{"Timed out"}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: []string{"Error: standard output is closed", "..."}},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 1, says: []string{"Error: standard output: *"}},
			{name: "reader gone", server: server{tells: "x"}, stdout: "gone", status: 141},
			{name: "reader stalled", server: server{tells: "x"}, stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "bad input, certificates", words: "--cafile missing", status: 1, says: []string{"..."}},
			{name: "broker away", server: server{away: true}, status: 1, says: []string{"Error: *", "*"}},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: []string{"Error: *"}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: *"}},
		}, without: []omission{{"signals are caught as natively", []string{"SIGINT ignored", "SIGHUP ignored"}}}},
	}
}
