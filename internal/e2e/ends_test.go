//go:build linux

package e2e

import (
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
	writeFile(t, dir+"/line", "x")
	const refused = "broker refused the connection: not authorized (0x87)"
	const checkLogin = "check --username and --password-file"
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
	// What waits for messages ends by what ends it.
	follower := func(command string, more ...end) row {
		nothing := func(string) []string { return nil }
		return row{command, "", slices.Concat(signals(server{}, nothing), []end{
			{name: "time", words: "-W 0.05", status: 27, says: told("mqsub", "timed out after 50ms (*")},
			{name: "stdout closed", script: `"$@" >&-`, status: 6, says: told("mqsub", "standard output is closed", "to discard*")},
			{name: "reader gone", script: `{ "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "reader gone, SIGPIPE ignored", script: `trap "" PIPE; { "$@"; echo "status $?" >&2; } | (exit 3)`, status: 3, says: []string{"status 141"}},
			{name: "broker gone, and not to return to", server: server{cut: "1", last: 1}, words: "--no-reconnect", status: 7, says: told("mqsub", "connection lost*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet", status: 27, says: told("mqsub", "timed out after 300ms (*")},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --reconnect-delay 0.01", signals: one(syscall.SIGTERM), status: 143},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqsub", refused, checkLogin)},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--reconnect-delay 0.01 --retry-for 0", status: 4,
				says: told("mqsub", "connection to 127.0.0.1:PORT lost*", refused, checkLogin)},
			{name: "refused for a while", server: server{cut: "1", refuse: "2"}, words: "--reconnect-delay 0.01 --quiet -W 1", status: 27, says: told("mqsub", "timed out*")},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqsub", "*")},
		}, more)}
	}
	blocked := "standard output is blocked; QoS 1 and 2 messages not written are left unacknowledged"
	stalled := []end{
		{name: "reader stalled, SIGTERM", server: server{floods: true}, stdout: "stalled", signals: one(syscall.SIGTERM), status: 143, says: told("mqsub", blocked)},
		{name: "reader stalled, time", server: server{floods: true}, stdout: "stalled", words: "-W 0.2", status: 27, says: told("mqsub", "timed out after 200ms (standard output is blocked)")},
	}
	// What publishes ends by its end, or by what ends it, and counts.
	stream := func(command, stdin string, more ...end) row {
		const open = "1 of 1 message not delivered: 1 unacknowledged (may have arrived); the rest of the input was not read"
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
		}, more)}
	}
	single := func(command string, more ...end) row {
		const open = "message not acknowledged: it may have arrived"
		debug := func(ends []end) []end { // what is told shows that signals are caught
			for i := range ends {
				ends[i].words = "-d --drain-timeout 0"
			}
			return ends
		}
		return row{command, "x", slices.Concat(debug(signals(server{mute: true}, func(what string) []string { return told("mqpub", what+": "+open) })), []end{
			{name: "success"},
			{name: "stdout closed", script: `"$@" >&-`},
			{name: "time", server: server{mute: true}, words: "-W 0.3", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "broker gone", server: server{cut: "1", last: 1}, status: 7, says: told("mqpub", "*")},
			{name: "broker gone for good", server: server{cut: "1", last: 1}, words: "-W 0.3 --quiet --retry", status: 27, says: told("mqpub", "timed out after 300ms (*")},
			{name: "broker gone for a while", server: server{cut: "1"}, words: "--quiet --retry --reconnect-delay 0.01"},
			{name: "refused", server: server{refuse: "1"}, status: 4, says: told("mqpub", refused, checkLogin)},
			{name: "refused later", server: server{cut: "1", refuse: "2+"}, words: "--retry --quiet --reconnect-delay 0.01 -W 0.3", status: 27, says: told("mqpub", "timed out*")},
			{name: "denied", server: server{denies: true}, status: 5, says: told("mqpub", `topic "a": publish refused: not authorized (0x87)`)},
		}, more)}
	}
	for _, r := range []row{
		follower("mqsub -t none", stalled...),
		follower("mqsub -t none -C 1"),
		follower("mqsub -t none --json -q 2", stalled[0]),
		follower("mqsub -t none --message-rate"),
		follower("mqsub -t none --echo"),
		follower("mqsub -t none --reply-command cat"),
		follower("mqsub -t none --idle-timeout 60"),
		stream("mqpub -t a -q 1 -l", "x\n"),
		stream("mqpub -t a -q 2 -l", "x\n"),
		stream("mqpub --input jsonl -q 1", `{"topic": "a"}`+"\n", end{name: "input bad", stdin: "x\n", status: 6, says: told("mqpub", "message 1: standard input: line 1*", "1 of 1 message not delivered: 1 invalid")}),
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
