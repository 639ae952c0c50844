// Package mqbench implements the benchmarking tool.
package mqbench

import (
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// The patterns of files that commands read; scripts and results may have other names.
var (
	scenarioFiles = []string{"*.yaml", "*.yml"}
	scriptFiles   = []string{"*.yaml", "*.yml", "*"}
	resultFiles   = []string{"*.jsonl", "*"}
)

// planNames returns a function that lists the words of the short forms and the presets.
func planNames(short ...string) func() []string {
	return func() []string { return append(short, plan.Presets()...) }
}

// Tool returns mqbench.
func Tool() cli.Tool {
	return cli.Tool{
		Program: option.Program{
			Name:    "mqbench",
			Bit:     option.Bench,
			Summary: "measure MQTT brokers, test brokers and clients",
			Usage:   "COMMAND [OPTION]...\nCOMMAND --help",
			Brief:   brief, Topics: topics, Overview: overview, Examples: examples,
			NeedsCommand: true,
		},
		Commands: []cli.Command{
			{
				Command: option.Command{
					Name: "run", Bit: option.CommandRun, MaxArgs: 1, Words: plan.Presets, Files: scenarioFiles,
					Summary: "run a preset ('mqbench presets' lists them) or a scenario, and report what was measured",
					Usage:   "PRESET|FILE.yaml [OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench run oms/p2p-1K-1K-1K-1K -h broker.lan", Text: "a published workload"},
						{Command: "mqbench run my.yaml --scale 0.1 --fail-on 'p99>10ms'", Text: "a tenth of the clients of a scenario, with a threshold"},
					},
				},
				Run: runCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "presets", Bit: option.CommandPresets, MaxArgs: 1, Words: plan.Presets,
					Summary: "list the presets, or show the scenario of one",
					Usage:   "[PRESET]",
					Examples: []option.Example{
						{Command: "mqbench presets", Text: "what there is to run"},
						{Command: "mqbench presets rr > my.yaml", Text: "one of them as a scenario to change"},
					},
				},
				Run: presets, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "conn", Bit: option.CommandRun,
					Summary:  "open connections and hold them",
					Usage:    "[OPTION]...",
					Examples: []option.Example{{Command: "mqbench conn --clients 10000 -R 2000 -h broker.lan", Text: "10,000 connections, 2,000 new ones a second"}},
				},
				Run: runCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "pub", Bit: option.CommandRun,
					Summary:  "publish, and count the acknowledgements",
					Usage:    "[OPTION]...",
					Examples: []option.Example{{Command: "mqbench pub --clients 100 --rate 10000 -q 1 -h broker.lan", Text: "10,000 messages a second of 100 publishers"}},
				},
				Run: runCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "sub", Bit: option.CommandRun,
					Summary:  "subscribe, and count what others publish",
					Usage:    "[OPTION]...",
					Examples: []option.Example{{Command: "mqbench sub --clients 100 -t 'bench/#' --duration 10m -h broker.lan", Text: "100 subscribers for ten minutes"}},
				},
				Run: runCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "pubsub", Bit: option.CommandRun,
					Summary: "publish and subscribe, and time the deliveries",
					Usage:   "[OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench pubsub --serve --rate 20000 --duration 5s", Text: "20,000 messages a second through the broker in this process"},
						{Command: "mqbench pubsub --clients 1 --rate unlimited -q 1 -M 1000", Text: "as fast as the broker acknowledges"},
					},
				},
				Run: runCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "report", Bit: option.CommandReport, MaxArgs: -1, Files: resultFiles,
					Summary: "report saved results",
					Usage:   "FILE... [OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench report run.jsonl -F markdown", Text: "as tables for an issue"},
						{Command: "mqbench report shard-*.jsonl --fail-on 'p99>10ms'", Text: "one report of all shards, with a threshold"},
					},
				},
				Run: reportCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "diff", Bit: option.CommandDiff, MaxArgs: 2, Files: resultFiles,
					Summary:  "compare two saved runs, or repetitions",
					Usage:    "A B [OPTION]...",
					Examples: []option.Example{{Command: "mqbench diff before.jsonl after.jsonl --gate p99=+10%", Text: "status 4 if the latency has grown by more than a tenth"}},
				},
				Run: diff, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "merge", Bit: option.CommandMerge, MaxArgs: -1, Files: resultFiles,
					Summary:  "merge the results of a run's shards, exactly",
					Usage:    "FILE... --out FILE",
					Examples: []option.Example{{Command: "mqbench merge shard-*.jsonl --out run.jsonl", Text: "one result of all shards"}},
				},
				Run: merge, Printed: cli.PrintedUnlessOut,
			},
			{
				Command: option.Command{
					Name: "calibrate", Bit: option.CommandCalibrate,
					Summary: "measure what mqbench itself can do on this machine",
					Usage:   "[OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench calibrate --out here.json", Text: "about nine seconds; then run with --calibration here.json"},
					},
				},
				Run: calibrate, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "k8s", Bit: option.CommandK8s, MaxArgs: 1, Words: planNames("conn", "pub", "sub", "pubsub"), Files: scenarioFiles,
					Summary:  "print a Kubernetes job that runs a plan in several pods",
					Usage:    "PRESET|FILE.yaml|conn|pub|sub|pubsub [OPTION]...",
					Examples: []option.Example{{Command: "mqbench k8s my.yaml --shards 40 -h broker.lan | kubectl apply -f -", Text: "the scenario in 40 pods, which begin 90 seconds from now"}},
				},
				Run: k8s, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "collect", Bit: option.CommandCollect, MaxArgs: -1, Words: func() []string { return []string{"k8s"} }, Files: resultFiles,
					Summary: "find the results of shards in directories and logs, and merge them",
					Usage:   "FILE|DIRECTORY|-... --out FILE | k8s job/NAME --out FILE",
					Examples: []option.Example{
						{Command: "mqbench collect k8s job/mqbench --out run.jsonl", Text: "from the logs of a Kubernetes job"},
						{Command: "mqbench collect logs/ --out run.jsonl", Text: "from all files of a directory"},
					},
				},
				Run: collect, Printed: cli.PrintedUnlessOut,
			},
			{
				Command: option.Command{
					Name: "doctor", Bit: option.CommandDoctor, MaxArgs: 1, Words: planNames("conn", "pub", "sub", "pubsub"), Files: scenarioFiles,
					Summary: "check that this machine can run a plan",
					Usage:   "[PRESET|FILE.yaml|conn|pub|sub|pubsub] [OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench doctor oms/conn-tcp-1M-5K --procs 8 --source-ip 127.0.0.1-20", Text: "whether a million connections fit in eight processes"},
						{Command: "mqbench doctor", Text: "how many clients fit"},
					},
				},
				Run: doctor, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "plot", Bit: option.CommandPlot, MaxArgs: -1, Files: resultFiles,
					Summary: "draw results on a page that needs no network",
					Usage:   "FILE... --out PAGE.html",
					Examples: []option.Example{
						{Command: "mqbench plot monday.mqb tuesday.mqb --out page.html", Text: "two runs, one over the other"},
					},
				},
				Run: plot, Printed: cli.PrintedUnlessOut,
			},
			{
				Command: option.Command{
					Name: "search", Bit: option.CommandSearch, MaxArgs: 1, Words: planNames("pub", "pubsub"), Files: scenarioFiles,
					Summary: "find the highest load that a broker sustains",
					Usage:   "PRESET|FILE.yaml|pub|pubsub [OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench search pubsub --rate 1000 -q 1 --slo 'p99<10ms,loss=0' -h broker.lan", Text: "from 1,000 messages a second on"},
						{Command: "mqbench search my.yaml --from-load 0.1 --out steps.jsonl -h broker.lan", Text: "from a tenth of a scenario's rates on"},
					},
				},
				Run: searchCommand, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "verify", Bit: option.CommandVerify,
					Summary: "check for loss, duplicates and disorder under faults",
					Usage:   "[OPTION]...",
					Examples: []option.Example{
						{Command: "mqbench verify -h broker.lan", Text: "ten seconds of faults at each quality of service"},
						{Command: "mqbench verify -q 2 --faults cut,refuse --seed 7 -h broker.lan", Text: "one of them again, with the same faults"},
						{Command: "mqbench verify --shapes fan-in,fan-out,shared --out verify.jsonl -h broker.lan", Text: "beyond pairs, with the results for mqbench report"},
					},
				},
				Run: verify, Printed: cli.PrintedAll,
			},
			{
				Command: option.Command{
					Name: "play", Bit: option.CommandPlay, MaxArgs: -1, Files: scriptFiles,
					Summary: "play scripted conversations to a client or a broker",
					Usage:   "SCRIPT... --listen ADDR | --connect ADDR",
					Examples: []option.Example{
						{Command: "mqbench play scripts/broker/*.yaml --connect localhost", Text: "play clients to the broker on this machine"},
						{Command: "mqbench play scripts/client/connect.yaml --listen 1884", Text: "play a broker to the client that connects to port 1884"},
						{Command: "mqbench play -d my.yaml --connect mqtts://broker.lan --cafile ca.pem", Text: "over TLS, with every packet"},
					},
				},
				Run: play, Printed: cli.PrintedAll,
			},
		},
	}
}
