package mqbench

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// The phases of a step of search, if --warm-up and --duration are not set.
const (
	searchWarmUp  = 2 * time.Second
	searchMeasure = 10 * time.Second
)

// searcher is a run of search.
type searcher struct {
	runner
	slo        []report.Condition
	conditions string // slo as it was written
	out        *output
	runs       int
	need       time.Duration // how long load 1 must be measured for the requested percentiles
	doc        report.Search
}

// searchCommand implements "mqbench search".
func searchCommand(ctx context.Context, inv *cli.Invocation) error {
	s := &searcher{runner: runner{inv: inv}}
	search, err := s.readSearch()
	if err != nil {
		return err
	}
	ctx, stop, err := s.watch(ctx)
	if err != nil {
		return err
	}
	defer stop()
	s.change = s.load(search.From)
	if err := s.readUse(ctx); err != nil {
		return err
	}
	defer s.conn.Close()
	if err := searchable(s.plan); err != nil {
		return err
	}
	if err := s.fits(); err != nil {
		return err
	}
	if err := s.reach(ctx); err != nil {
		return err
	}
	if s.out, err = openOut(ctx, inv); err != nil {
		return err
	}
	defer s.out.discard()
	s.doc = report.Search{Format: 1, Tool: cli.Version(), Plan: s.plan.Name, SLO: s.conditions, Precision: search.Precision, Steps: []report.Step{}}
	found, err := search.Run(func(load float64) (bench.Outcome, error) { return s.step(ctx, load) })
	if cerr := s.out.Close(); err == nil {
		err = cerr
	}
	if err != nil && len(s.doc.Steps) == 0 {
		return err
	}
	return s.answer(ctx, found, err)
}

// readSearch reads the options of search itself.
func (s *searcher) readSearch() (search bench.Search, err error) {
	v := s.inv.Values
	s.conditions = strings.Join(given(v.SLO, "p99<10ms,loss=0"), ",")
	if s.slo, err = conditions(v.SLO, s.conditions); err != nil {
		return search, err
	}
	if search.From, err = factor(v.FromLoad); err != nil {
		return search, err
	}
	search.Precision, err = strconv.ParseFloat(v.Precision.Text(), 64)
	if err != nil || !(search.Precision >= 0.001 && search.Precision <= 1) {
		return search, v.Precision.Invalid("value", v.Precision.Text(), "want a number from 0.001 to 1")
	}
	if v.Out.Text() == "-" {
		return search, option.Usagef("%s: standard output has the report", v.Out.Name())
	}
	if f := v.Format.Text(); !slices.Contains(s.inv.Tool.Takes("format"), f) {
		return search, v.Format.Invalid("value", f, "want text, json or csv for search").WithHint("--out keeps the result of each step for mqbench report")
	}
	return search, nil
}

// searchable refuses plans that have no load to vary.
func searchable(p *plan.Plan) error {
	switch {
	case !slices.ContainsFunc(p.Groups, func(g *plan.Group) bool { return len(g.Publish) > 0 }):
		return option.Usagef("%s publishes nothing: there is no rate to search", p.Name)
	case p.Closed():
		return option.Usagef("%s has no rate to search: its publishers send as fast as they are acknowledged", p.Name)
	}
	return nil
}

// load returns the change to the plan for a step.
func (s *searcher) load(factor float64) func(*plan.Options) {
	return func(o *plan.Options) {
		o.Load = factor
		o.WarmUp = cmp.Or(o.WarmUp, new(searchWarmUp))
		o.Measure = cmp.Or(o.Measure, new(searchMeasure))
		// A lower load yields fewer values in the same time.
		if d := time.Duration(float64(s.need) / factor).Round(time.Second); d > *o.Measure {
			o.Measure = &d
		}
	}
}

// longestStep is the longest measurement of a step that the search chooses.
const longestStep = 10 * time.Minute

// step runs the plan at a load, and again for longer if there are too few values for a
// percentile.
func (s *searcher) step(ctx context.Context, load float64) (bench.Outcome, error) {
	for {
		outcome, more, err := s.try(ctx, load)
		if err != nil || outcome != bench.Undecided {
			return outcome, err
		}
		const spare = 1.1 // not all messages arrive in time
		need := float64(s.plan.Phases.Measure) * more * spare
		if need > float64(longestStep) {
			return bench.Undecided, nil
		}
		s.need = max(time.Duration(need*load), s.need+time.Second)
		s.inv.Infof("step %d: again, for long enough to decide", s.runs)
	}
}

// try runs the plan once at a load. If that decides nothing, more is the factor by which
// the run must be longer.
func (s *searcher) try(ctx context.Context, load float64) (_ bench.Outcome, more float64, err error) {
	if s.plan, err = s.readPlan(s.load(load)); err != nil {
		return 0, 0, err
	}
	if s.shard, err = s.plan.Shard(0, 1); err != nil {
		return 0, 0, usage(err)
	}
	s.inv.Infof("step %d: load %s", s.runs+1, strconv.FormatFloat(load, 'g', 4, 64))
	res, err := s.once(ctx, s.runs, s.out.writer())
	s.runs++
	if res == nil || ctx.Err() != nil || errors.Is(err, bench.ErrNotReached) {
		return 0, 0, s.failed(ctx, err)
	}
	step := report.CheckStep(report.Summarize(res), load, s.slo, err)
	s.doc.Steps = append(s.doc.Steps, step)
	s.inv.Infof("step %d: %s %s", s.runs, step.Verdict, strings.Join(step.Why, "; "))
	switch step.Verdict {
	case report.StepSustained:
		return bench.Sustained, 0, nil
	case report.StepLimited:
		return bench.Limited, 0, nil
	case report.StepUndecided:
		return bench.Undecided, step.More, nil
	}
	return bench.Missed, 0, nil
}

// answer writes the report; err is what ended the search early, or nil.
func (s *searcher) answer(ctx context.Context, found bench.SearchResult, err error) error {
	d := &s.doc
	d.Load, d.Missed, d.Limited, d.Open = found.Load, found.Missed, found.Limited > 0, found.Open
	if best := d.Best(); best != nil {
		d.Sent, d.Delivered = best.Sent, best.Delivered
	}
	switch {
	case err != nil:
		d.Partial, d.ExitCode = bareError(ctx, err).Error(), cli.CodeOf(ctx, err)
	case d.Limited:
		d.ExitCode = option.ExitGenerator
	case d.Open > 0:
		d.ExitCode = option.ExitFailure
	case d.Load == 0:
		d.ExitCode = option.ExitThreshold
	}
	render := d.Text
	switch s.inv.Values.Format.Text() {
	case "json":
		render = d.JSON
	case "csv":
		render = d.CSV
	}
	return cmp.Or(writePage(s.inv, render), err, exit(d.ExitCode))
}
