package mqbench

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// maxFit is the largest number of clients that doctor tries: the most that a shard can
// distinguish.
const maxFit = 1 << 24

// doctor compares the needs of a plan with the machine; without a plan it prints how many
// clients fit.
func doctor(ctx context.Context, inv *cli.Invocation) error {
	r := &runner{inv: inv, procs: inv.Values.Procs.Int()}
	var b bytes.Buffer
	var findings []bench.Finding
	if len(inv.Args) == 0 {
		for _, o := range option.Table(option.Bench) {
			if (o.Group == option.GroupLoad || o.Forms != 0 || o.Name == "shard") && inv.Values.Of(o.Name).Origin() == option.OriginFlag {
				return option.Usagef("%s needs a plan", inv.Values.Of(o.Name).Name()).WithHint("e.g. 'mqbench doctor conn --clients 10000'")
			}
		}
		if err := r.readWay(ctx); err != nil {
			return err
		}
		defer r.conn.Close()
		n, bound, err := bench.MaxClients(r.limits(), r.use(), maxFit)
		if err != nil {
			return cli.Failed(option.ExitFailure, err)
		}
		writeFit(&b, n, bound)
	} else {
		if err := r.readUse(ctx); err != nil {
			return err
		}
		defer r.conn.Close()
		var err error
		if findings, err = bench.CheckMachine(r.plan, r.limits(), r.use()); err != nil {
			return option.Usagef("%v", err)
		}
		writeFindings(&b, findings)
	}
	err := write(inv, b.Bytes())
	if err == nil && slices.ContainsFunc(findings, func(f bench.Finding) bool { return f.Fatal }) {
		return cli.ExitSilently(option.ExitFailure)
	}
	return err
}

func writeFit(w *bytes.Buffer, n int, bound bench.Finding) {
	if bound.Text == "" {
		fmt.Fprintf(w, "%d clients fit, as many as one run has\n", n)
		return
	}
	fmt.Fprintf(w, "%d clients fit that connect and nothing more\none more: %s\n  %s\n", n, bound.Text, bound.Fix)
}

// writeFindings writes a table, and after it the problems and their remedies.
func writeFindings(w *bytes.Buffer, findings []bench.Finding) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "WHAT\tNEEDS\tHAS\t")
	for _, f := range findings {
		verdict := "ok"
		switch {
		case f.Fatal:
			verdict = "too little"
		case f.Text != "":
			verdict = "see below"
		}
		has := "-"
		if f.Has > 0 {
			has = amount(f, f.Has)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.What, amount(f, f.Needs), has, verdict)
	}
	_ = t.Flush() // w is a buffer: it cannot fail
	for _, f := range findings {
		if f.Text != "" {
			fmt.Fprintf(w, "\n%s: %s\n  %s\n", f.What, f.Text, f.Fix)
		}
	}
}

func amount(f bench.Finding, n uint64) string {
	if f.Bytes {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprint(n)
}
