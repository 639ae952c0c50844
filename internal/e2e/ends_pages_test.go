//go:build linux

package e2e

import (
	"slices"
	"syscall"
)

const (
	closedOutput = "standard output is closed"
	discard      = "to discard the output, write it to /dev/null (>/dev/null)"
	fullDisk     = "standard output: no space left on device"
)

// paged are the ends of what writes to standard output at once. status is that of
// output that cannot be written.
func paged(tool string, status int) []end {
	return []end{
		{name: "stdout closed", script: `exec "$@" >&-`, status: status, says: told(tool, closedOutput, discard)},
		{name: "disk full", script: `exec "$@" >/dev/full`, status: status, says: told(tool, fullDisk)},
		{name: "reader gone", stdout: "gone", status: 141},
		{name: "reader stalled", stdout: "full", signals: one(syscall.SIGTERM), status: 143},
		{name: "reader stalled, PID 1", stdout: "full", first: true, signals: one(syscall.SIGTERM), status: 143},
	}
}

// pages are the rows of what all tools do: pages, and contexts.
func pages() (all []row) {
	again := func(ends []end) []end { // no data is lost with a page
		i := slices.IndexFunc(ends, func(e end) bool { return e.name == "stdout closed" })
		ends[i].status, ends[i].says = 0, nil
		return ends
	}
	fixed := omission{"it reads nothing", []string{"bad input"}}
	for _, tool := range []string{"mqpub", "mqsub", "mqbench"} {
		status := 6
		if tool == "mqbench" {
			status = 1
		}
		config := []end{
			{name: "success"},
			{name: "bad input", words: "--config missing", status: 2, says: told(tool, `--config: cannot read "missing": no such file`, "*")},
		}
		for _, word := range []string{"--help", "--version", "--completion bash"} {
			all = append(all, row{command: tool + " " + word, ends: append(again(paged(tool, status)), end{name: "success"}), without: []omission{offline, untimed, fixed, instant}})
		}
		all = append(all, row{command: tool + " --show-config", ends: slices.Concat(signals(end{words: "--config fifo.yaml"}, nothing), paged(tool, status), config), without: []omission{offline, untimed}})
		if tool == "mqbench" { // it knows no contexts, and its broker is for itself
			continue
		}
		all = append(all,
			row{command: tool + " --hash-password", ends: slices.Concat(signals(end{stdin: "..."}, nothing), paged(tool, status), []end{
				{name: "success"},
				{name: "bad input, nothing", script: `exec "$@" </dev/null`, status: 2, says: told(tool, "--hash-password: a password of 0 bytes")},
				{name: "bad input, closed", script: `exec "$@" <&-`, status: 2, says: told(tool, "--hash-password: closed when the program started; </dev/null is empty")},
				{name: "SIGINT, Ctrl-C", stdout: "terminal", started: "password: ", signals: one("\x03"), status: 130},
				{name: "SIGTERM, on a terminal", stdout: "terminal", started: "password: ", signals: one(syscall.SIGTERM), status: 143},
			}), stdin: "secret\n", without: []omission{offline, untimed}},
		)
		all = append(all, contexts(tool)...)
	}
	return all
}

// contexts are the rows of the commands for contexts.
func contexts(tool string) []row {
	local := []omission{offline, untimed}
	reads := func(more ...end) []end {
		return slices.Concat(signals(end{input: fifo}, nothing), []end{
			{name: "bad input", input: "a.mqb", status: 2, says: []string{"..."}},
		}, more)
	}
	shows := func(command string) row {
		return row{command: command + " --config IN", input: "conf", ends: reads(append(paged(tool, 6), end{name: "success"},
			end{name: "bad input, no file", input: "missing", status: 2, says: told(tool, `--config: cannot read "missing": no such file`, "*")})...), without: local}
	}
	edits := func(command string, says ...string) row {
		return row{command: command + " --config IN", input: "conf", ends: reads(
			end{name: "success", writes: "conf", says: says},
			end{name: "stdout closed", script: `exec "$@" >&-`, writes: "conf", says: says},
			end{name: "reader gone", stdout: "gone", writes: "conf", says: says},
			end{name: "reader stalled", stdout: "full", writes: "conf", says: says},
			end{name: "disk full", script: tooLarge, status: 6, says: told(tool, `cannot write "conf": file too large`)},
		), without: local}
	}
	all := []row{
		shows(tool + " context list"),
		shows(tool + " context show x"),
		edits(tool+" context add y -h other", tool+`: context "y" is in conf`),
		edits(tool + " context use x"),
		edits(tool + " context remove x"),
	}
	if tool == "mqsub" {
		return all
	}
	for i := range all { // of the same code
		var kinds []string
		all[i].ends = slices.DeleteFunc(all[i].ends, func(e end) bool {
			stays := slices.Contains([]string{"success", "stdout closed", "SIGTERM", "bad input"}, e.name)
			if k := e.kind(); !stays && !slices.Contains(kinds, k) && k != "bad input" {
				kinds = append(kinds, k)
			}
			return !stays
		})
		all[i].without = append(slices.Clone(local), omission{"it is as that of mqsub", kinds})
	}
	return all
}

// tooLarge is a full disk for all files that are made: of a size that is not allowed.
const tooLarge = `trap "" XFSZ; ulimit -f 0; exec "$@"`
