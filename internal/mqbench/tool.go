// Package mqbench is the benchmarking tool.
package mqbench

import (
	"context"

	"github.com/mqtools/mqtools/internal/cli"
)

// Tool is mqbench.
func Tool() cli.Tool {
	return cli.Tool{
		Name:    "mqbench",
		Bit:     cli.Bench,
		Summary: "measures MQTT brokers, and tests brokers and clients",
		Usage:   "COMMAND [OPTION]...",
		Commands: []cli.Command{
			{
				Name: "run", Bit: cli.CommandRun, MaxArgs: 1,
				Summary: "run a preset or a scenario, and report what was measured",
				Usage:   "PRESET|FILE.yaml [OPTION]...",
				Examples: []cli.Example{
					{Command: "mqbench run oms/p2p-1K-1K-1K-1K -h broker.lan", Text: "a published workload"},
					{Command: "mqbench run my.yaml --scale 0.1 --fail-on 'p99>10ms'", Text: "a tenth of the clients of a scenario, with a threshold"},
				},
			},
			{
				Name: "conn", Bit: cli.CommandRun,
				Summary:  "open connections and hold them",
				Usage:    "[OPTION]...",
				Examples: []cli.Example{{Command: "mqbench conn --clients 10000 -R 2000 -h broker.lan", Text: "10,000 connections, 2,000 new ones a second"}},
			},
			{
				Name: "pub", Bit: cli.CommandRun,
				Summary:  "publish, and count the acknowledgements",
				Usage:    "[OPTION]...",
				Examples: []cli.Example{{Command: "mqbench pub --clients 100 --rate 10000 -q 1 -h broker.lan", Text: "10,000 messages a second of 100 publishers"}},
			},
			{
				Name: "sub", Bit: cli.CommandRun,
				Summary:  "subscribe, and count what others publish",
				Usage:    "[OPTION]...",
				Examples: []cli.Example{{Command: "mqbench sub --clients 100 -t 'bench/#' --duration 10m -h broker.lan", Text: "100 subscribers for ten minutes"}},
			},
			{
				Name: "pubsub", Bit: cli.CommandRun,
				Summary: "publish and subscribe, and time the deliveries",
				Usage:   "[OPTION]...",
				Examples: []cli.Example{
					{Command: "mqbench pubsub --serve --rate 20000 --duration 5s", Text: "20,000 messages a second through the broker in this process"},
					{Command: "mqbench pubsub --clients 1 --rate unlimited -q 1 -M 1000", Text: "as fast as the broker acknowledges"},
				},
			},
			{
				Name: "verify", Bit: cli.CommandVerify,
				Summary: "test whether a broker keeps what MQTT promises over connections that break",
				Usage:   "[OPTION]...",
				Examples: []cli.Example{
					{Command: "mqbench verify -h broker.lan", Text: "ten seconds of faults at each quality of service"},
					{Command: "mqbench verify -q 2 --faults cut,refuse --seed 7 -h broker.lan", Text: "one of them again, with the same faults"},
				},
			},
			{
				Name: "play", Bit: cli.CommandPlay, MaxArgs: -1,
				Summary: "play scripted conversations to a client or a broker",
				Usage:   "SCRIPT... --listen ADDR | --connect ADDR",
				Examples: []cli.Example{
					{Command: "mqbench play scripts/broker/*.yaml --connect localhost", Text: "play clients to the broker on this machine"},
					{Command: "mqbench play scripts/client/connect.yaml --listen 1884", Text: "play a broker to the client that connects to port 1884"},
					{Command: "mqbench play -d my.yaml --connect mqtts://broker.lan --cafile ca.pem", Text: "over TLS, with every packet"},
				},
			},
		},
		Run: func(ctx context.Context, inv *cli.Invocation) error {
			switch inv.Tool.Command.Bit {
			case cli.CommandPlay:
				return play(ctx, inv, inv.Args)
			case cli.CommandVerify:
				return verify(ctx, inv)
			default:
				return runCommand(ctx, inv)
			}
		},
	}
}
