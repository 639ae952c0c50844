package mqbench

import (
	"bytes"
	"context"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// plot writes a page of the runs in some files.
func plot(ctx context.Context, inv *cli.Invocation) error {
	out := inv.Values.Out.Text()
	if (out == "" || out == "-") && inv.StdoutIsTerminal {
		return option.Usagef("the page would go to the terminal").WithHint("add --out page.html")
	}
	sums, err := summaries(inv, inv.Args)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := report.Plot(&page, sums...); err != nil {
		return failure(err)
	}
	return put(ctx, inv, page.Bytes())
}
