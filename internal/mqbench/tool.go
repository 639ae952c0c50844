// Package mqbench is the door of the benchmarking tool, which does not exist
// yet: --help and --version work, and everything else says so.
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
		Summary: "benchmark an MQTT broker (not built yet)",
		Usage:   "--help | --version",
		MaxArgs: -1,
		Run: func(context.Context, *cli.Invocation) error {
			return cli.Usagef("this version has no benchmarks yet").WithHint("mqpub and mqsub are ready; mqbench will come")
		},
	}
}
