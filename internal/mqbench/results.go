package mqbench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/fileerror"
	"github.com/mqtools/mqtools/internal/option"
	"github.com/mqtools/mqtools/internal/textfile"
)

// saved is a result and the file that it comes from.
type saved struct {
	*result.Result
	path string
}

var errNoFile = option.Usagef("no result file is named")

// readEach reads result files and logs; - is standard input.
func readEach(inv *cli.Invocation, paths []string, read func(*cli.Invocation, string) ([]saved, error)) ([]saved, error) {
	if len(paths) == 0 {
		return nil, errNoFile
	}
	var all []saved
	for _, path := range paths {
		some, err := read(inv, path)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// readSaved reads a file that the user names: it is a usage error if the file cannot be
// read or holds no result.
func readSaved(inv *cli.Invocation, path string) ([]saved, error) {
	all, err := readFile(inv, path)
	_, missing := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, result.ErrNoResult):
		err = &cli.Exit{Code: option.ExitUsage, Err: err, Help: "results are what 'mqbench run --out FILE' writes"}
	case missing:
		err = cli.Failed(option.ExitUsage, err)
	}
	return all, failure(err)
}

func readFile(inv *cli.Invocation, path string) ([]saved, error) {
	if path == "-" {
		all, err := readFrom(inv.Stdin, standardInput)
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = fmt.Errorf("%s: %w", standardInput, e.Err)
		}
		return all, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileerror.Explain(err)
	}
	defer f.Close()
	all, err := readFrom(f, path)
	if e, ok := errors.AsType[*fs.PathError](err); ok { // it names the file
		err = e
	}
	return all, err
}

const standardInput = "standard input"

func readFrom(r io.Reader, path string) ([]saved, error) {
	results, err := result.Read(textfile.NewReader(r), path)
	if err != nil {
		return nil, err
	}
	all := make([]saved, len(results))
	for i := range results {
		all[i] = saved{results[i], path}
	}
	return all, nil
}

// sameRun is the largest difference between the start times of the shards of one run.
const sameRun = time.Minute

// runsOf groups results that are shards of one run: different shards of the same plan,
// repetition and number of shards, started at about the same time. It keeps the order of
// the results.
func runsOf(all []saved) ([]saved, error) {
	var runs [][]*result.Result
	var merged []saved // with the file of the first part
	for _, s := range all {
		at := slices.IndexFunc(runs, func(run []*result.Result) bool { return belongs(s.Result, run) })
		if at < 0 {
			runs, merged = append(runs, []*result.Result{s.Result}), append(merged, s)
		} else {
			runs[at] = append(runs[at], s.Result)
		}
	}
	for i, run := range runs {
		var err error
		if merged[i].Result, err = result.Merge(run...); err != nil {
			return nil, failure(err)
		}
	}
	return merged, nil
}

// belongs reports whether a result is another part of a run.
func belongs(r *result.Result, run []*result.Result) bool {
	for _, other := range run {
		a, b := r.Run, other.Run
		if a.Plan != b.Plan || a.Tool != b.Tool || a.Shards != b.Shards || a.Repeat != b.Repeat {
			return false
		}
		for _, x := range r.Shards {
			for _, y := range other.Shards {
				if x.Shard == y.Shard || x.Epoch.Sub(y.Epoch).Abs() > sameRun {
					return false
				}
			}
		}
	}
	return true
}

// mergeAll merges the shards of one run, or of its repetitions. It uses all results or
// fails.
func mergeAll(all []saved) ([]*result.Result, error) {
	type part struct{ repeat, shard int }
	from := map[part]string{}
	parts := map[int][]*result.Result{}
	for _, s := range all {
		if first := all[0].Run; s.Run.Plan.Hash != first.Plan.Hash {
			return nil, cli.Failed(option.ExitUsage, fmt.Errorf("%s and %s are of different plans: %s (%.12s) and %s (%.12s)",
				all[0].path, s.path, first.Plan.Name, first.Plan.Hash, s.Run.Plan.Name, s.Run.Plan.Hash))
		}
		for _, shard := range s.Shards {
			p := part{s.Run.Repeat, shard.Shard}
			if other, twice := from[p]; twice {
				return nil, cli.Failed(option.ExitUsage, fmt.Errorf("duplicate shard %d: in %s and in %s", shard.Shard, other, s.path))
			}
			from[p] = s.path
		}
		parts[s.Run.Repeat] = append(parts[s.Run.Repeat], s.Result)
	}
	var merged []*result.Result
	for _, list := range parts {
		m, err := result.Merge(list...)
		if err != nil {
			return nil, cli.Failed(option.ExitUsage, err)
		}
		merged = append(merged, m)
	}
	slices.SortFunc(merged, func(a, b *result.Result) int { return cmp.Compare(a.Run.Repeat, b.Run.Repeat) })
	return merged, nil
}

// merge implements "mqbench merge".
func merge(ctx context.Context, inv *cli.Invocation) error {
	if err := needOut(inv); err != nil {
		return err
	}
	return mergeSaved(ctx, inv, readSaved)
}

// mergeSaved merges the results of all arguments.
func mergeSaved(ctx context.Context, inv *cli.Invocation, read func(*cli.Invocation, string) ([]saved, error)) error {
	all, err := readEach(inv, inv.Args, read)
	if err != nil {
		return err
	}
	return writeMerged(ctx, inv, all)
}

func needOut(inv *cli.Invocation) error {
	if inv.Values.Out.Text() == "" {
		return option.Usagef("--out is missing").WithHint("--out FILE; --out - writes to standard output")
	}
	return nil
}

// writeMerged merges results and writes them to --out. A run with missing shards is
// written, and is a failure.
func writeMerged(ctx context.Context, inv *cli.Invocation, all []saved) error {
	merged, err := mergeAll(all)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	absent := false
	for _, m := range merged {
		if err := result.Write(&b, m); err != nil {
			return cli.Failed(option.ExitFailure, err)
		}
		if why := m.Partial(); why != "" {
			inv.Warnf("%s", why)
			absent = absent || len(m.Absent()) > 0
		}
	}
	err = put(ctx, inv, b.Bytes())
	if err == nil && absent {
		return cli.ExitSilently(option.ExitFailure)
	}
	return err
}

// reportCommand implements "mqbench report": a report of each run.
func reportCommand(_ context.Context, inv *cli.Invocation) error {
	conditions, err := failOn(inv)
	if err != nil {
		return err
	}
	if inv.Values.Metric.IsSet() && inv.Values.Format.Text() != "hgrm" {
		return option.Usagef("%s has no effect without -F hgrm", inv.Values.Metric.Name())
	}
	sums, err := summaries(inv, inv.Args)
	if err != nil {
		return err
	}
	runs := make([]report.Checked, 0, len(sums))
	for _, s := range sums {
		s.Strict = inv.Values.Strict.On()
		runs = append(runs, report.Checked{Summary: s, Checks: report.CheckFailOn(s, conditions)})
	}
	return cmp.Or(writeReports(inv, runs), exit(report.WorstExit(runs)))
}

// summaries returns the summaries of the runs in some files.
func summaries(inv *cli.Invocation, paths []string) ([]*report.Summary, error) {
	all, err := readEach(inv, paths, readSaved)
	if err != nil {
		return nil, err
	}
	runs, err := runsOf(all)
	if err != nil {
		return nil, err
	}
	sums := make([]*report.Summary, len(runs))
	for i, r := range runs {
		sums[i] = report.Summarize(r.Result)
		sums[i].File = filepath.Base(r.path)
	}
	return sums, nil
}

// readGates parses the gates of --gate, separated by commas.
func readGates(v *option.Values) (all []report.Gate, err error) {
	for one := range listed(v.Gate.Texts()) {
		g, err := report.ParseGates(one)
		switch {
		case err != nil && (!strings.ContainsAny(one, "+-") || !strings.Contains(one, "=") || !strings.HasSuffix(one, "%")):
			return nil, v.Gate.Invalid("gate", one, "e.g. p99=+10%%")
		case err != nil:
			return nil, v.Gate.Invalid("gate", one, "%v", err)
		}
		all = append(all, g...)
	}
	return all, nil
}

// diff implements "mqbench diff".
func diff(_ context.Context, inv *cli.Invocation) error {
	if len(inv.Args) != 2 {
		return option.Usagef("diff: two result files are needed").WithHint("e.g. 'mqbench diff before.jsonl after.jsonl --gate p99=+10%%'")
	}
	if f := inv.Values.Format.Text(); !slices.Contains(inv.Tool.Takes("format"), f) {
		return inv.Values.Format.Invalid("value", f, "want text, json or junit for diff")
	}
	gates, err := readGates(inv.Values)
	if err != nil {
		return err
	}
	var sides [2][]*report.Summary
	for i, path := range inv.Args {
		if sides[i], err = summaries(inv, []string{path}); err != nil {
			return err
		}
	}
	c, err := report.Diff(sides[0], sides[1], gates)
	if err != nil {
		return cli.Failed(option.ExitFailure, err)
	}
	render := func(w io.Writer) error { return c.Text(w, palette(inv)) }
	switch inv.Values.Format.Text() {
	case "json":
		render = c.JSON
	case "junit":
		render = c.JUnit
	}
	return cmp.Or(writePage(inv, render), exit(c.ExitCode()))
}
