package mqbench

import (
	"bytes"
	"fmt"
	"os"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/cli"
)

// plot makes a page of the runs in some files.
func plot(inv *cli.Invocation) error {
	out := inv.Values.String("out")
	if (out == "" || out == "-") && inv.StdoutIsTerminal {
		return cli.Usagef("the page would go to the terminal").WithHint("add --out page.html")
	}
	sums, err := summaries(inv, inv.Args)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := report.Plot(&page, sums...); err != nil {
		return cli.Failed(cli.ExitFailure, err)
	}
	if out == "" || out == "-" {
		return write(inv, page.Bytes())
	}
	if err := os.WriteFile(out, page.Bytes(), 0o644); err != nil {
		return cli.Failed(cli.ExitFailure, fmt.Errorf("page: %w", err))
	}
	return nil
}
