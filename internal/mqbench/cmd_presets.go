package mqbench

import (
	"context"
	"fmt"
	"io"

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
	return writePage(inv, func(w io.Writer) error {
		for _, name := range plan.Presets() {
			p, err := plan.Preset(name, plan.Options{})
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(w, "%-30s %s\n", name, p.Description)
		}
		_, err := fmt.Fprintf(w, "%-30s %s\n", plan.BifroForm, "a workload of BifroMQ's test reports by its name there")
		return err
	})
}
