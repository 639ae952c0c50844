//go:build linux

package e2e

import (
	"path/filepath"
	"slices"
	"syscall"
)

// kubectl is there for mqbench collect.
const kubectl = `#!/bin/sh
case "$*" in
*namespace=fifo*) cat ` + fifo + ` & cat ` + fifo + `; wait ;;
*namespace=none*) echo "error: no such job" >&2; exit 1 ;;
*) cat a.mqb ;;
esac
`

// plays is a script of a client.
const plays = `name: a subscription
role: client
version: 5.0
steps:
  - send: CONNECT
  - expect: CONNACK
  - {send: SUBSCRIBE, id: 1, filter: a}
  - expect: SUBACK
  - send: DISCONNECT
`

// loads are the rows of mqbench that connect.
func loads() []row {
	const (
		short   = "--duration 0.1 --warm-up 0 --serve 127.0.0.1:0 "
		login   = " (check --username and --password-file, and the broker's access rules)"
		noBench = "no client could connect: "
	)
	away := end{name: "broker away", server: server{away: true}, words: "--out out", status: 3, says: told("mqbench", nobody, isRunning)}
	blocked := told("mqbench", "standard output is blocked; the rest was not written")
	also := func(says ...string) []string { return append([]string{"..."}, says...) }
	// What is written at the end of a run, here of one against a broker of its own.
	reports := func(words string) []end {
		return []end{
			{name: "success", words: words + "--out out", says: also(), writes: "out"},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", closedOutput, discard)},
			{name: "disk full", words: words, script: `exec "$@" >/dev/full`, status: 1, says: also(told("mqbench", fullDisk)...)},
			{name: "disk full, result", words: words + "--out /dev/full", status: 1, says: also(`mqbench: the result is incomplete: cannot write "/dev/full": no space left on device`)},
			{name: "disk full, file", words: words + "--out out", script: tooLarge, status: 1, says: also(`mqbench: the result is incomplete: cannot write "out": file too large`), writes: "out"},
			{name: "disk full, no directory", words: words + "--out missing/out", status: 1, says: also(told("mqbench", `cannot write "missing/out": no such directory`, "make the directory first")...)},
			{name: "reader gone", words: words, stdout: "gone", status: 141, says: also()},
			{name: "reader stalled", words: words, stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: also(blocked...)},
			{name: "SIGTERM, no reader of the result", words: "--out " + fifo, signals: one(syscall.SIGTERM), status: 143, says: also()},
			{name: "SIGTERM, result", words: "--out out", started: " 0:0", signals: one(syscall.SIGTERM), status: 143, says: also(), writes: "out"},
		}
	}
	// What measures reports what it has, and dies by the signal.
	load := func(command string, status int, more ...end) row {
		return row{command: command, ends: slices.Concat(signals(end{}, anything), reports(short), []end{
			{name: "time", words: "--duration 0.1 --warm-up 0", status: status, says: also()},
			{name: "bad input, calibration", words: "--calibration missing", status: 2, says: told("mqbench", `--calibration: cannot read "missing": no such file`, "*")},
			{name: "SIGTERM, no calibration", words: "--calibration fifo.yaml", signals: one(syscall.SIGTERM), status: 143},
			away,
			{name: "refused", server: server{refuse: "1+"}, words: "--out out", status: 8, says: also("mqbench: " + noBench + refused + login), writes: "out"},
			{name: "refused, JSON", server: server{refuse: "1+"}, words: "--json", status: 8, says: also("mqbench: " + noBench + refused + login)},
			{name: "broker gone", server: server{drops: "2+"}, words: "--duration 0.3", status: 8, says: also("mqbench: all connections were lost: *")},
		}, more)}
	}
	script := "play.yaml"
	file, _ := filepath.Abs("../../scripts/client/ack-unknown.yaml")
	plans := []end{
		{name: "bad input, no plan", input: "missing.yaml", status: 2, says: told("mqbench", `cannot read "missing.yaml": no such file`, "*")},
		{name: "bad input, no scenario", input: "bad.yaml", status: 2, says: []string{"..."}},
		{name: "SIGTERM, no plan", input: fifo, signals: one(syscall.SIGTERM), status: 143},
		{name: "PID 1, no plan", input: fifo, first: true, signals: one(syscall.SIGTERM), status: 143},
	}
	return []row{
		load("mqbench conn --clients 2", 0, secret("mqbench")...),
		load("mqbench pub --clients 2 -q 1", 0),
		load("mqbench sub --clients 2", 0),
		load("mqbench pubsub --clients 2", 8), // the server delivers nothing
		func() row {
			r := load("mqbench run IN --scale 0.001", 5, plans...)
			r.input = "oms/p2p-1K-1K-1K-1K"
			return r
		}(),
		{command: "mqbench conn --clients 2 --procs 2", ends: slices.Concat(signals(end{}, anything), []end{
			{name: "success", words: "--duration 0.1 --out out", says: also(), writes: "out"},
			{name: "broker away", server: server{away: true}, words: "--out out", status: 3, says: told("mqbench", "conn on 127.0.0.1:PORT: 2 clients", "the process of shard *")},
			{name: "refused", server: server{refuse: "1+"}, status: 8, says: also("mqbench: the process of shard *")},
			{name: "broker gone", server: server{drops: "1+"}, status: 8, says: also("mqbench: the process of shard *")},
		}), without: []omission{{"its parent reads and writes as without --procs", []string{"time", "stdout closed", "disk full", "reader gone", "reader stalled", "bad input"}}}},
		func() row {
			// The first load is kept and the second is not: two steps. The generator may be
			// too slow for that, too.
			const few = "--clients 2 "
			const once = few + "--rate 100 --slo sent<30 --precision 1 "
			writing := reports(once + short)
			writing[0].or = 6
			return row{command: "mqbench search IN", input: "pubsub", ends: slices.Concat(signals(end{words: few}, anything), writing, plans, []end{
				{name: "time", words: once + short, or: 6, says: also()},
				away,
				{name: "refused", server: server{refuse: "1+"}, words: few + "--out out", status: 8, says: also("mqbench: " + noBench + refused + login), writes: "out"},
				{name: "broker gone", server: server{cut: "2+", last: 2}, words: few, status: 3, says: also("mqbench: " + noBench + "*")},
			})}
		}(),
		{command: "mqbench verify --clients 2", ends: slices.Concat(signals(end{}, anything), reports("-q 1 --duration 0.1 --serve 127.0.0.1:0 "), []end{
			{name: "time", words: "-q 1 --duration 0.1", status: 5, says: also()},
			away,
			{name: "refused", server: server{refuse: "1+"}, words: "--out out", status: 8, says: also("mqbench: " + noBench + refused + login), writes: "out"},
			{name: "broker gone", server: server{cut: "2+", drops: "3+"}, words: "-q 1 --duration 0.3", status: 8, says: also()},
			{name: "bad input", words: "--password-file missing -u x", status: 2, says: also()},
		})},
		{command: "mqbench play IN --listen 127.0.0.1:0", input: file, ends: slices.Concat(signals(end{started: "listening on"}, anything), []end{
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", closedOutput, discard)},
			{name: "bad input, no script", input: "missing", status: 2, says: told("mqbench", `cannot read "missing": no such file`, "*")},
			{name: "bad input, another script", input: "play.yaml", status: 2, says: told("mqbench", "*", "*")},
			{name: "SIGTERM, no script", input: fifo, signals: one(syscall.SIGTERM), status: 143},
		}), without: []omission{offline, untimed, {"a client has to come", []string{"success"}}, {"it writes as with --connect", []string{"disk full", "reader gone", "reader stalled"}}}},
		{command: "mqbench play IN --connect ADDR", input: script, ends: slices.Concat(signals(end{server: server{dumb: true}}, nothing), []end{
			{name: "success"},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", closedOutput, discard)},
			{name: "disk full", script: `exec "$@" >/dev/full`, status: 1, says: told("mqbench", fullDisk)},
			{name: "reader gone", stdout: "gone", status: 141},
			{name: "reader stalled", stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: blocked},
			{name: "bad input, no script", input: "missing", status: 2, says: told("mqbench", `cannot read "missing": no such file`, "*")},
			{name: "SIGTERM, no script", input: fifo, signals: one(syscall.SIGTERM), status: 143},
			{name: "broker away", server: server{away: true}, status: 1},
			{name: "refused", server: server{refuse: "1+"}, status: 1},
			{name: "broker gone", server: server{cut: "1+"}, status: 1},
		}), without: []omission{untimed}},
	}
}

// results are the rows of mqbench that read files, or nothing.
func results() []row {
	local := []omission{offline, untimed}
	const noResult = "results are what 'mqbench run --out FILE' writes"
	reads := []end{
		{name: "bad input, no file", input: "missing", status: 2, says: told("mqbench", `cannot read "missing": no such file`, "check the path")},
		{name: "bad input, no result", input: "line", status: 2, says: told("mqbench", "line: no result in it", noResult)},
		{name: "bad input, standard input is a directory", input: "-", script: `exec "$@" </`, status: 1, says: told("mqbench", "standard input: is a directory")},
		{name: "bad input, closed", input: "-", script: `exec "$@" <&-`, status: 1, says: told("mqbench", "standard input: closed when the program started; </dev/null is empty")},
		{name: "SIGTERM, standard input", input: "-", stdin: "...", signals: one(syscall.SIGTERM), status: 143},
		{name: "PID 1, standard input", input: "-", stdin: "...", first: true, signals: one(syscall.SIGTERM), status: 143},
	}
	directory := end{name: "bad input, a directory", input: ".", status: 2, says: told("mqbench", `cannot read ".": is a directory`)}
	// What is read to be written to standard output.
	pages := func(command string) row {
		return row{command: command, input: "a.mqb", ends: slices.Concat(signals(end{input: fifo}, nothing), reads, paged("mqbench", 1), []end{{name: "success"}, directory}), without: local}
	}
	// A file is written whole or not at all, and standard output only if it is that.
	files := func(command string, more ...end) row {
		return row{command: command + " --out out", input: "a.mqb", ends: slices.Concat(signals(end{input: fifo}, nothing), reads, []end{
			{name: "success", writes: "out"},
			{name: "stdout closed", script: `exec "$@" >&-`, writes: "out"},
			{name: "stdout closed, and meant", words: "--out -", script: `exec "$@" >&-`, status: 1, says: told("mqbench", closedOutput, discard)},
			{name: "disk full", script: tooLarge, status: 1, says: told("mqbench", `cannot write "out": file too large`)},
			{name: "disk full, device", words: "--out /dev/full", status: 1, says: told("mqbench", `cannot write "/dev/full": no space left on device`)},
			{name: "disk full, standard output", words: "--out -", script: `exec "$@" >/dev/full`, status: 1, says: told("mqbench", fullDisk)},
			{name: "disk full, no directory", words: "--out missing/out", status: 1, says: told("mqbench", `cannot write "missing/out": no such directory`, "make the directory first")},
			{name: "reader gone", stdout: "gone", writes: "out"},
			{name: "reader gone, and meant", words: "--out -", stdout: "gone", status: 141},
			{name: "reader stalled", words: "--out -", stdout: "full", signals: one(syscall.SIGTERM), status: 143},
			{name: "SIGTERM, no reader", words: "--out " + fifo, signals: one(syscall.SIGTERM), status: 143},
			{name: "PID 1, no reader", words: "--out " + fifo, first: true, signals: one(syscall.SIGTERM), status: 143},
		}, more), without: local}
	}
	plans := func(command string) row {
		return row{command: command, input: "pubsub", ends: slices.Concat(signals(end{input: fifo}, nothing), paged("mqbench", 1), []end{
			{name: "success"},
			{name: "bad input, no plan", input: "missing.yaml", status: 2, says: told("mqbench", `cannot read "missing.yaml": no such file`, "*")},
			{name: "bad input, no scenario", input: "bad.yaml", status: 2, says: []string{"..."}},
		}), without: local}
	}
	sink := told("mqbench", "against a sink*")
	const few = `ulimit -n 256; exec "$@"` // connections to be measured
	return []row{
		pages("mqbench report IN"),
		pages("mqbench diff b.mqb IN"),
		pages("mqbench plot IN"),
		files("mqbench plot IN", directory),
		files("mqbench merge IN", directory),
		files("mqbench collect IN",
			end{name: "bad input, an empty directory", input: "/proc/self/task", status: 2, says: told("mqbench", "/proc/self/task: no result file found", "*")}),
		{command: "mqbench collect k8s job/x --out out", input: "kubectl a.mqb", ends: slices.Concat(signals(end{words: "--namespace fifo"}, nothing), []end{
			{name: "success", writes: "out"},
			{name: "stdout closed", script: `exec "$@" >&-`, writes: "out"},
			{name: "disk full", script: tooLarge, status: 1, says: told("mqbench", `cannot write "out": file too large`)},
			{name: "bad input, no job", words: "--namespace none", status: 1, says: told("mqbench", "kubectl: error: no such job")},
		}), without: append(slices.Clone(local), omission{"it writes as collect does of files", []string{"reader gone", "reader stalled"}})},
		{command: "mqbench calibrate --duration 0.1 --out out", ends: slices.Concat(signals(end{started: "against a sink"}, func(string) []string { return sink }), []end{
			{name: "success", script: few, says: sink, writes: "out"},
			{name: "stdout closed", script: `exec "$@" >&-`, status: 1, says: told("mqbench", closedOutput, discard)},
			{name: "disk full", script: "ulimit -n 256; " + tooLarge, status: 1, says: append(sink, `mqbench: cannot write "out": file too large`)},
			{name: "disk full, standard output", words: "--out -", script: few + " >/dev/full", status: 1, says: append(sink, "mqbench: "+fullDisk)},
			{name: "disk full, no directory", words: "--out missing/out", status: 1, says: told("mqbench", `cannot write "missing/out": no such directory`, "make the directory first")},
			{name: "reader gone", words: "--out -", script: few, stdout: "gone", status: 141, says: sink},
			{name: "reader stalled", words: "--out -", script: few, stdout: "full", signals: one(syscall.SIGTERM), status: 143, says: append(sink, "mqbench: standard output is blocked; the rest was not written")},
		}), without: append(slices.Clone(local), omission{"it reads nothing", []string{"bad input"}})},
		plans("mqbench doctor IN"),
		plans("mqbench k8s IN -h broker.lan"),
		{command: "mqbench presets", ends: append(paged("mqbench", 1),
			end{name: "success"},
			end{name: "bad input", words: "missing", status: 2, says: told("mqbench", `unknown preset "missing"`, "'mqbench presets' lists them; scenario files end in .yaml")},
		), without: append(slices.Clone(local), instant)},
	}
}
