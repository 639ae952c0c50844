//go:build linux

package e2e

import (
	"slices"
	"syscall"
)

// subscribers are the rows of mqsub.
func subscribers() []row {
	listens := func(string) []string { return told("mqsub", "serving MQTT on *") }
	reached := []end{ // or not
		{name: "broker away", server: server{away: true}, status: 3, says: told("mqsub", nobody, isRunning)},
		{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqsub", refused, checkLogin)},
	}
	denied := end{name: "denied", server: server{denies: true}, status: 5, says: told("mqsub", `broker refused the subscription "none": *`, "check the broker's access rules")}
	closed := end{name: "stdout closed", script: `exec "$@" >&-`, status: 6, says: told("mqsub", "standard output is closed", "to discard*")}
	const blocked = "standard output is blocked; QoS 1 and 2 messages not written are left unacknowledged"
	stalled := end{name: "reader stalled", server: server{tells: "x"}, stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: told("mqsub", blocked)}
	// What waits for messages ends by what ends it.
	follower := func(command string, more ...end) row {
		return row{command: command, ends: slices.Concat(signals(end{}, nothing), reached, []end{
			{name: "success", server: server{tells: "x"}, words: "-C 1"},
			{name: "time", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			closed, stalled, denied,
			{name: "reader gone", stdout: "gone", status: 141},
			{name: "reader gone, SIGPIPE ignored", script: `trap "" PIPE; exec "$@"`, stdout: "gone", status: 141},
			{name: "broker gone, and not to return to", server: server{cut: "1", last: 1}, words: "--no-reconnect", status: 7, says: told("mqsub", "connection lost*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
			{name: "broker gone for a while", server: server{cut: "1", nth: 2}, words: "--quiet --reconnect-delay 0.01", signals: one(syscall.SIGTERM), status: 143},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--reconnect-delay 0.01 --retry-for 0", status: 4,
				says: told("mqsub", "connection to 127.0.0.1:PORT lost*", refused, checkLogin)},
			{name: "refused for a while", server: server{cut: "1", refuse: "2", nth: 3}, words: "--reconnect-delay 0.01 --quiet", signals: one(syscall.SIGTERM), status: 143},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 6, says: told("mqsub", "standard output: *")},
			{name: "deaf broker, time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "deaf broker, SIGTERM", server: server{deaf: true}, signals: one(syscall.SIGTERM), status: 143},
		}, more)}
	}
	// Those that differ in what they write read and wait as the first does.
	other := func(command string, more ...end) row {
		r := follower(command, more...)
		r.without = []omission{{"its options are read as those of mqsub -t none", []string{"bad input"}}}
		return r
	}
	serving := func(ends []end) []end { // what says that they have started
		for i := range ends {
			if ends[i].started == "" && ends[i].stdout == "" {
				ends[i].started = "serving MQTT on"
			}
		}
		return ends
	}
	broker := omission{"it is the broker", []string{"broker away", "broker gone", "refused"}}
	users := []end{
		{name: "bad input, users", words: "--serve-users missing", status: 2, says: told("mqsub", `--serve-users: cannot read "missing": no such file`, "*")},
		{name: "SIGTERM, no users", words: "--serve-users fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
	}
	return []row{
		follower("mqsub -t none", slices.Concat(secret("mqsub"), []end{
			slow("mqsub"),
			{name: "SIGTERM, no certificates", words: "--cafile fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
			{name: "SIGTERM, no options", words: "-o fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
			{name: "PID 1, no options", words: "-o fifo.yaml", first: true, signals: one(syscall.SIGTERM), status: 143},
			{name: "SIGQUIT, no configuration", words: "--config fifo.yaml", signals: one(syscall.SIGQUIT), status: 131},
			{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "reader stalled, time", server: server{floods: true}, stdout: "stalled", words: "-W 2", status: 27, says: told("mqsub", "timed out after 2s (standard output is blocked)")},
			{name: "reader gone after a line", server: server{floods: true}, script: `{ "$@"; echo "status $?" >&2; } | head -1 >&2`, says: []string{"...", "status 141"}},
			{name: "PID 1, SIGINT", first: true, signals: one(syscall.SIGINT), status: 130},
			{name: "SIGINT, Ctrl-C", stdout: "terminal", signals: one("\x03"), status: 130},
			{name: "SIGQUIT, Ctrl-\\", stdout: "terminal", signals: one("\x1c"), status: 131},
			{name: "SIGHUP, terminal closed", stdout: "terminal", signals: one("closed"), status: 129},
			{name: "SIGHUP, terminal closed, with messages", server: server{floods: true}, words: "-v", stdout: "terminal", signals: one("closed"), status: 129},
			{name: "time, on a terminal", stdout: "terminal", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "SIGTERM, on a terminal", stdout: "terminal", signals: one(syscall.SIGTERM), status: 143},
		})...),
		other("mqsub -t none -C 1"),
		other("mqsub -t none --json -q 2", end{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}}),
		other("mqsub stats -t none"),
		other("mqsub -t none --echo"),
		other("mqsub -t none --reply-command cat"),
		other("mqsub -t none --idle-timeout 60"),
		other("mqsub -t none -F %t --will-topic w"),
		{command: "mqsub watch -t none", ends: slices.Concat(signals(end{stdout: "terminal"}, nothing), []end{
			{name: "broker away", server: server{away: true}, stdout: "terminal", status: 3, says: told("mqsub", nobody, isRunning)},
			{name: "refused", server: server{refuse: "1"}, stdout: "terminal", status: 4, says: told("mqsub", refused, checkLogin)},
			{name: "success", server: server{tells: "x"}, stdout: "terminal", words: "-C 1"},
			{name: "time", stdout: "terminal", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "SIGINT, Ctrl-C", stdout: "terminal", signals: one("\x03"), status: 130},
			{name: "SIGQUIT, Ctrl-\\", stdout: "terminal", signals: one("\x1c"), status: 131},
			{name: "SIGHUP, terminal closed", stdout: "terminal", signals: one("closed"), status: 129},
			{name: "SIGHUP, terminal closed, with messages", server: server{floods: true}, stdout: "terminal", signals: one("closed"), status: 129},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, stdout: "terminal", words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
			{name: "bad input, no terminal", status: 2, says: told("mqsub", "watch needs a terminal as standard output", "*")},
		}), without: []omission{{"it needs a terminal as standard output", []string{"stdout closed", "disk full", "reader gone", "reader stalled"}}}},
		{command: "mqsub -t none -u x --ask-password", ends: append(asking(),
			end{name: "time", stdout: "terminal", started: "password: ", words: "-W 0.3", status: 27, says: told("mqsub", "timed out after 300ms (not connected)")},
			end{name: "success", server: server{tells: "x"}, stdout: "terminal", typed: "secret\n", words: "-C 1"},
			end{name: "bad input, no terminal", status: 2, says: told("mqsub", "--ask-password: there is no terminal to prompt on", "*")},
			end{name: "broker away", server: server{away: true}, stdout: "terminal", typed: "secret\n", status: 3, says: told("mqsub", nobody, isRunning)},
			end{name: "refused", server: server{refuse: "1"}, stdout: "terminal", typed: "secret\n", status: 4, says: told("mqsub", refused, checkLogin)},
		), without: []omission{{"once it has the password it is mqsub -t none", []string{"stdout closed", "disk full", "reader gone", "reader stalled", "broker gone"}}}},
		{command: "mqsub -t none -E", ends: slices.Concat(signals(end{server: server{deaf: true}}, nothing), reached, secret("mqsub"), []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`},
			{name: "reader gone", stdout: "gone"},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			denied,
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (subscription not confirmed)")},
		}), without: []omission{{"it writes nothing to standard output", []string{"disk full", "reader stalled"}}}},
		{command: "mqsub -U none", ends: slices.Concat(signals(end{server: server{deaf: true}}, nothing), reached, secret("mqsub"), []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
		}), without: []omission{silent}},
		{command: "mqsub -t none --retained-only", ends: slices.Concat(signals(end{server: server{deaf: true}}, nothing), reached, secret("mqsub"), []end{
			{name: "success", server: server{tells: "x", retain: true}, words: "--retained-quiet 1ms"},
			{name: "nothing", words: "--retained-quiet 1ms", status: 28, says: told("mqsub", `no retained message matches "none"`)},
			closed, denied,
			{name: "disk full", server: server{tells: "x", retain: true}, script: `exec "$@" >/dev/full`, status: 6, says: told("mqsub", "standard output: *")},
			{name: "reader gone", server: server{deaf: true}, stdout: "gone", status: 141},
			{name: "reader stalled", server: server{tells: "x", retain: true}, stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: told("mqsub", blocked)},
			{name: "time", server: server{deaf: true}, words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
		})},
		{command: "mqsub --serve 127.0.0.1:0", ends: slices.Concat(serving(signals(end{}, listens)), users, []end{
			{name: "time", words: "-W 0.05", status: 27, says: []string{"...", "mqsub: timed out after 50ms (*"}},
			{name: "time, no users", words: "--serve-users fifo.yaml -W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (not connected)")},
			{name: "stdout closed", script: `exec "$@" -W 0.05 >&-`, status: 27, says: []string{"...", "mqsub: timed out after 50ms (*"}},
			{name: "reader gone", words: "-W 0.05", stdout: "gone", status: 27, says: []string{"...", "mqsub: timed out after 50ms (*"}},
		}), without: []omission{broker, unending, {"it writes nothing to standard output", []string{"disk full", "reader stalled"}}}},
		{command: "mqsub --serve 127.0.0.1:0 -t none", ends: slices.Concat(serving(signals(end{}, listens)), users, []end{
			{name: "time", words: "-W 0.05", status: 27, says: []string{"...", "mqsub: timed out after 50ms (*"}},
			closed,
			{name: "reader gone", stdout: "gone", status: 141, says: []string{"..."}},
		}), without: []omission{broker, unending, {"it writes as mqsub -t none", []string{"disk full", "reader stalled"}}}},
		{command: "mqsub --compat mosquitto_sub -t none", ends: []end{
			{name: "success", server: server{tells: "x"}, words: "-C 1"},
			{name: "SIGINT", signals: one(syscall.SIGINT)},
			{name: "SIGTERM", signals: one(syscall.SIGTERM)},
			{name: "SIGHUP", signals: one(syscall.SIGHUP), status: 129},
			{name: "SIGQUIT", signals: one(syscall.SIGQUIT), status: 131},
			{name: "PID 1", first: true, signals: one(syscall.SIGTERM)},
			{name: "SIGTERM, no options", words: "-o fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
			{name: "PID 1, no options", words: "-o fifo.yaml", first: true, signals: one(syscall.SIGTERM), status: 143},
			{name: "time", words: "-W 1", status: 27, says: []string{"Timed out"}},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: []string{"Error: standard output is closed", "..."}},
			{name: "disk full", server: server{tells: "x"}, script: `exec "$@" >/dev/full`, status: 1, says: []string{"Error: standard output: *"}},
			{name: "reader gone", stdout: "gone", status: 141},
			{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: []string{"..."}},
			{name: "bad input, certificates", words: "--cafile missing", status: 1, says: []string{"..."}},
			{name: "broker away", server: server{away: true}, status: 1, says: []string{"Error: *", "*"}},
			{name: "refused", server: server{refuse: "1"}, status: 5, says: []string{"Connection error: Connection Refused: not authorised."}},
			{name: "denied", server: server{denies: true}, status: 5, says: []string{"..."}},
			{name: "broker gone for a while", server: server{cut: "1", nth: 2}, words: "--quiet", signals: one(syscall.SIGTERM)},
		}, without: []omission{{"signals are caught as natively", []string{"SIGINT ignored", "SIGHUP ignored"}}}},
	}
}

// asking are the ends of what asks for a password on the terminal, whose echo is off
// meanwhile.
func asking() []end {
	base := end{stdout: "terminal", started: "password: "}
	typing := func(name, what string, status int) end {
		return end{name: name, stdout: "terminal", started: "password: ", signals: one(what), status: status}
	}
	return append(signals(base, nothing),
		typing("SIGINT, Ctrl-C", "\x03", 130),
		typing("SIGQUIT, Ctrl-\\", "\x1c", 131),
		typing("SIGHUP, terminal closed", "closed", 129),
	)
}
