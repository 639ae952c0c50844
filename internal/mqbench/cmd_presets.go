package mqbench

import (
	"bytes"
	"context"
	"fmt"

	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// presets lists the presets, one per line, or prints the scenario of one.
func presets(_ context.Context, inv *cli.Invocation) error {
	if len(inv.Args) > 0 {
		if !isPreset(inv.Args[0]) {
			return unknownPreset(inv.Args[0])
		}
		text, err := plan.PresetText(inv.Args[0])
		if err != nil {
			return option.Usagef("%v", err).WithHint(listPresets)
		}
		return write(inv, text)
	}
	var b bytes.Buffer
	for _, name := range plan.Presets() {
		p, err := plan.Preset(name, plan.Options{})
		if err != nil {
			return cli.Failed(option.ExitFailure, err)
		}
		fmt.Fprintf(&b, "%-30s %s\n", name, p.Description)
	}
	fmt.Fprintf(&b, "%-30s %s\n", plan.BifroForm, "a workload of BifroMQ's test reports by its name there")
	return write(inv, b.Bytes())
}
