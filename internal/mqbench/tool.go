// Package mqbench is the benchmarking tool. Of its commands there is one yet:
// play, which tests a client or a broker with scripted conversations.
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
		Summary: "test MQTT clients and brokers with scripted conversations (it does not benchmark yet)",
		Usage:   "COMMAND [OPTION]...",
		Commands: []cli.Command{
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
		Run: func(ctx context.Context, inv *cli.Invocation) error { return play(ctx, inv, inv.Args) },
	}
}
