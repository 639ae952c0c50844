package mqbench

import (
	"context"
	"fmt"
	"time"

	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/metrics"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

// watcher receives the progress of a run; see bench.Options.
type watcher interface {
	note(result.Note)
	show(bench.Status)
}

// watch sets up what follows the runs besides the status, before any connection is made:
// --json and --metrics. The context also ends when the lines of --json have lost their
// reader. stop ends the metrics server.
func (r *runner) watch(ctx context.Context) (watched context.Context, stop func(), err error) {
	v := r.inv.Values
	watched, cancel := context.WithCancelCause(ctx)
	stop = func() { cancel(nil) }
	if v.JSON.On() {
		if v.Out.Text() == "-" {
			return nil, nil, option.Usagef("%s and %s - cannot be used together", v.JSON.Name(), v.Out.Name())
		}
		r.lines = &jsonLines{w: r.inv.Stdout, fail: cancel}
		r.watchers = append(r.watchers, r.lines)
	}
	if !v.Metrics.IsSet() {
		return watched, stop, nil
	}
	ln, err := metrics.Listen(ctx, v.Metrics.Text())
	if err != nil {
		return nil, nil, option.Usagef("%s: %v", v.Metrics.Name(), err)
	}
	r.exporter = metrics.New()
	r.watchers = append(r.watchers, exporting{r.exporter})
	server := metrics.Serve(ln, r.exporter)
	r.inv.Infof("metrics on http://%s/metrics", ln.Addr())
	return watched, func() { server.Close(); cancel(nil) }, nil
}

// audience passes the progress of a run to the status and the watchers.
type audience struct {
	*status
	r *runner
}

// audience returns the audience of a run.
func (r *runner) audience(repeat int) *audience {
	if r.lines != nil {
		r.lines.repeat = repeat
	}
	if r.exporter != nil {
		r.exporter.Begin(metrics.Run{Tool: cli.Version(), Plan: r.plan.Name, Hash: r.plan.Hash(),
			Shard: fmt.Sprintf("%d/%d", r.shard.Index, r.shard.Count), Clients: r.plan.Clients()})
	}
	return &audience{newStatus(r.inv, r.plan, r.shard), r}
}

func (a *audience) note(n result.Note) {
	a.status.note(n)
	for _, w := range a.r.watchers {
		w.note(n)
	}
}

func (a *audience) show(st bench.Status) {
	a.status.show(st)
	for _, w := range a.r.watchers {
		w.show(st)
	}
}

func (a *audience) end() {
	a.status.end()
	if a.r.exporter != nil {
		a.r.exporter.End()
	}
}

// hold keeps serving the metrics for --hold.
func (r *runner) hold(ctx context.Context) {
	d := r.inv.Values.Hold.Duration()
	if d == 0 || ctx.Err() != nil {
		return
	}
	r.inv.Infof("holding the metrics for %v", d)
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// report writes the report of a run.
func (r *runner) report(j report.Checked) error {
	if r.lines == nil {
		return writeReports(r.inv, []report.Checked{j})
	}
	r.lines.report(j.Summary, j.Checks)
	return r.lines.failed()
}

// reportError also writes an error of the run to --json.
func (r *runner) reportError(ctx context.Context, err error) error {
	if r.lines != nil && err != nil {
		r.lines.write(errorObject{"error", bareError(ctx, err).Error(), cli.CodeOf(ctx, err)})
	}
	return err
}

// exporting is an exporter as a watcher.
type exporting struct{ *metrics.Exporter }

func (e exporting) note(result.Note) {}

func (e exporting) show(st bench.Status) {
	for _, i := range parts(st) {
		e.Take(i)
	}
}
