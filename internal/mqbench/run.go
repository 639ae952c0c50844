package mqbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mqtools/mqtools/format"
	"github.com/mqtools/mqtools/internal/bench"
	"github.com/mqtools/mqtools/internal/bench/metrics"
	"github.com/mqtools/mqtools/internal/bench/plan"
	"github.com/mqtools/mqtools/internal/bench/report"
	"github.com/mqtools/mqtools/internal/bench/result"
	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/mqtt/swarm"
	"github.com/mqtools/mqtools/mqtt/transport"
)

// runner is a run of run, or of one of its short forms.
type runner struct {
	inv   *cli.Invocation
	plan  *plan.Plan
	shard *plan.Shard
	conn  *cli.Connection
	opts  bench.Options
	start time.Time

	broker string // its version

	lines    *jsonLines        // of --json; nil: not wanted
	exporter *metrics.Exporter // of --metrics; nil: not wanted
	watchers []watcher         // beside the status, these
}

// runCommand does "mqbench run" and its short forms.
func runCommand(ctx context.Context, inv *cli.Invocation) error {
	conditions, err := failOn(inv)
	if err != nil {
		return err
	}
	r := &runner{inv: inv}
	ctx, stop, err := r.watch(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := r.read(ctx, nil); err != nil {
		return r.tellError(ctx, err)
	}
	defer r.conn.Close()
	out, err := openOut(inv)
	if err != nil {
		return err
	}
	inv.CatchSignals()
	var last error
	var sum *report.Summary
	for n := range inv.Values.Int("repeat") {
		res, err := r.once(ctx, n, out)
		if res == nil {
			return r.tellError(ctx, r.failed(ctx, err))
		}
		if err != nil {
			inv.Errorf("the run ended early: %v", bareError(ctx, err))
			last = r.tellError(ctx, r.failed(ctx, err))
		}
		sum = report.Summarize(res)
		if err := r.report(sum, report.CheckFailOn(sum, conditions)); err != nil {
			return err
		}
		if last != nil {
			break
		}
	}
	if err := out.Close(); err != nil {
		return cli.Failed(cli.ExitFailure, err)
	}
	r.hold(ctx)
	if last != nil {
		return last
	}
	return verdict(inv, sum, report.CheckFailOn(sum, conditions))
}

// failOn reads the conditions of --fail-on.
func failOn(inv *cli.Invocation) (all []report.Condition, err error) {
	for _, text := range inv.Values.Strings("fail-on") {
		c, err := report.ParseConditions(text)
		if err != nil {
			return nil, cli.Usagef("%s: %v", inv.Values.Label("fail-on"), err)
		}
		all = append(all, c...)
	}
	return all, nil
}

// verdict is the exit status of a report that was written.
func verdict(inv *cli.Invocation, s *report.Summary, checks []report.Check) error {
	code := s.ExitCode(checks)
	if !inv.Values.Bool("strict") && (code == cli.ExitLoss || code == cli.ExitGenerator || code == cli.ExitSaturated) {
		code = cli.ExitDone
	}
	if code == cli.ExitDone {
		return nil
	}
	return cli.Quietly(code)
}

// read reads the plan and how to run it.
func (r *runner) read(ctx context.Context, change func(*plan.Options)) (err error) {
	inv, v := r.inv, r.inv.Values
	if r.plan, err = readPlan(inv, inv.Args, change); err != nil {
		return err
	}
	if r.shard, err = readShard(inv, r.plan); err != nil {
		return err
	}
	if r.start, err = readStart(v.String("start-at")); err != nil {
		return cli.Usagef("%s: %v", v.Label("start-at"), err)
	}
	if r.conn, err = inv.Connection(); err != nil {
		return err
	}
	o := &r.opts.Swarm
	if len(r.plan.Brokers) > 0 && !v.IsSet("url") && !v.IsSet("host") && !v.IsSet("serve") {
		for _, url := range r.plan.Brokers {
			t, err := transport.ParseURL(url)
			if err != nil {
				return cli.Usagef("%v", err)
			}
			o.Targets = append(o.Targets, t)
		}
	}
	targets, dialer, err := r.conn.Way(ctx, max(r.plan.Clients(), 1024)+64)
	if err != nil {
		return err
	}
	if o.Targets == nil {
		o.Targets = targets
		if r.broker, err = r.conn.BrokerVersion(ctx); err != nil {
			return err
		}
	}
	o.Dialer = dialer
	o.Loops = runtime.GOMAXPROCS(0)
	if v.IsSet("loops") {
		o.Loops = v.Int("loops")
	}
	switch v.String("engine") {
	case "lite":
		o.Engine = swarm.Lite
	case "std":
		o.Engine = swarm.Std
	}
	if o.Sources, err = readSources(v.Strings("source-ip")); err != nil {
		return cli.Usagef("%s: %v", v.Label("source-ip"), err)
	}
	if len(o.Sources) > 0 || r.plan.Clients() > manyPorts {
		o.FirstPort, o.LastPort = 1024, 65535
	}
	return r.fits()
}

// manyPorts is how many clients get ports that the system chooses. It finds them
// ever more slowly as its range fills up, which has some 28,000.
const manyPorts = 10_000

// fits refuses a plan that cannot run here, before anything connects.
func (r *runner) fits() error {
	o := &r.opts.Swarm
	findings, err := bench.Examine(r.plan, bench.ThisMachine(len(o.Sources)), r.shard.Count, r.inv.Values.Int("procs"), len(o.Targets))
	if err != nil {
		return cli.Usagef("%v", err)
	}
	for _, f := range findings {
		switch {
		case f.Fatal:
			return cli.Usagef("%s", f.Text).WithHint("%s", f.Fix)
		case f.Text != "":
			r.inv.Warnf("%s: %s", f.Text, f.Fix)
		}
	}
	return nil
}

// once runs the plan once.
func (r *runner) once(ctx context.Context, repeat int, out io.Writer) (*result.Result, error) {
	inv := r.inv
	if repeat > 0 {
		r.start = time.Time{}
	}
	o := r.opts
	o.Shard, o.Start = r.shard, r.start
	if o.Start.IsZero() {
		o.Start = time.Now()
	}
	p := r.plan
	o.Run = result.Run{Tool: cli.Version(), Shards: r.shard.Count, Repeat: repeat, Step: bench.Step,
		Plan: result.Plan{Name: p.Name, Hash: p.Hash(), Text: string(p.Canonical()), Scale: p.Scale, Closed: closed(p), Header: headed(p)}}
	o.Header = result.Shard{Shard: r.shard.Index, Epoch: o.Start, Command: commandLine(inv), NoDelay: true, Environment: result.ThisEnvironment(), Broker: r.broker}
	s := newStatus(inv, p, r.shard)
	r.beginWatching(repeat)
	watchers := append([]watcher{s}, r.watchers...)
	o.Tell = func(n result.Note) {
		for _, w := range watchers {
			w.tell(n)
		}
	}
	o.Status = func(st bench.Status) {
		for _, w := range watchers {
			w.show(st)
		}
	}
	if out != nil {
		var err error
		if o.Out, err = result.NewWriter(out, o.Run, o.Header); err != nil {
			inv.Errorf("result file: %v", err)
		}
	}
	s.begin(r.opts.Swarm.Targets)
	res, err := bench.Run(ctx, o)
	s.end()
	if r.exporter != nil {
		r.exporter.End()
	}
	return res, err
}

// failed gives an error of the run its exit status.
func (r *runner) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refusal *swarm.Refusal
	switch {
	case errors.Is(err, bench.ErrNotReached) && !errors.As(err, &refusal):
		return cli.Failed(cli.ExitUnreached, err)
	case err == nil:
		return nil
	}
	return cli.Failed(cli.ExitFailure, err)
}

// bareError is an error, or the signal that ended the run.
func bareError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// closed tells whether the plan has closed loops alone.
func closed(p *plan.Plan) bool {
	any := false
	for _, g := range p.Groups {
		for _, s := range g.Publish {
			if !s.Closed() {
				return false
			}
			any = true
		}
	}
	return any
}

// headed tells whether all messages have a header.
func headed(p *plan.Plan) bool {
	for _, g := range p.Groups {
		for _, s := range g.Publish {
			if !s.Payload.HasHeader() {
				return false
			}
		}
	}
	return true
}

// readShard is the part of the plan that this process runs.
func readShard(inv *cli.Invocation, p *plan.Plan) (*plan.Shard, error) {
	i, n := 0, 1
	if text := inv.Values.String("shard"); text != "" {
		a, b, ok := strings.Cut(text, "/")
		var err1, err2 error
		i, err1 = strconv.Atoi(a)
		n, err2 = strconv.Atoi(b)
		if !ok || err1 != nil || err2 != nil {
			return nil, cli.Usagef("%s: %q is not I/N, as 0/4", inv.Values.Label("shard"), text)
		}
	} else if inv.Lookup != nil {
		ei, en, ok, err := plan.ShardFromEnv(inv.Lookup)
		if err != nil {
			return nil, cli.Usagef("%v", err)
		}
		if ok {
			i, n = ei, en
		}
	}
	s, err := p.Shard(i, n)
	if err != nil {
		return nil, cli.Usagef("%v", err)
	}
	return s, nil
}

// readStart reads a time: RFC 3339, or @ and seconds since 1970.
func readStart(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if secs, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(secs, 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return time.Time{}, fmt.Errorf("%q is not @ and seconds since 1970", s)
		}
		return inFuture(time.Unix(n, 0))
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: write 2026-11-21T09:30:00Z, or @ and seconds since 1970", s)
	}
	return inFuture(t)
}

// inFuture is a time on this process's monotonic clock, too.
func inFuture(t time.Time) (time.Time, error) {
	now := time.Now()
	wait := t.Sub(now)
	if wait <= 0 {
		return time.Time{}, fmt.Errorf("%s is over", t.Format(time.RFC3339))
	}
	return now.Add(wait), nil
}

// readSources reads addresses and ranges of them: 10.0.0.1, 10.0.0.1-20.
func readSources(list []string) (all []netip.Addr, err error) {
	for _, s := range list {
		first, last, isRange := strings.Cut(s, "-")
		a, err := netip.ParseAddr(first)
		if err != nil {
			return nil, fmt.Errorf("%q is no address", first)
		}
		if !isRange {
			all = append(all, a)
			continue
		}
		n, err := strconv.ParseUint(last, 10, 8)
		if err != nil || !a.Is4() || uint64(a.As4()[3]) > n {
			return nil, fmt.Errorf("%q is no range, as 10.0.0.10-20", s)
		}
		for {
			all = append(all, a)
			if uint64(a.As4()[3]) == n {
				break
			}
			a = a.Next()
		}
	}
	return all, nil
}

// commandLine are the words of the command line, without secrets.
func commandLine(inv *cli.Invocation) []string {
	return append([]string{inv.Tool.Name}, cli.RedactArgs(cli.Table(inv.Tool.Bit), inv.Env.Args)...)
}

// output is the file of --out, or nothing.
type output struct {
	f    *os.File
	path string
}

func openOut(inv *cli.Invocation) (*output, error) {
	path := inv.Values.String("out")
	if path == "" || path == "-" {
		return &output{}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, cli.Failed(cli.ExitFailure, err)
	}
	return &output{f, path}, nil
}

// Write writes to the file, if there is one.
func (o *output) Write(b []byte) (int, error) {
	if o.f == nil {
		return len(b), nil
	}
	return o.f.Write(b)
}

// Close tells whether all went to the disk.
func (o *output) Close() error {
	if o.f == nil {
		return nil
	}
	return o.f.Close()
}

// writeReport writes a report in the format that was asked for.
func writeReport(inv *cli.Invocation, s *report.Summary, checks []report.Check) error {
	var b bytes.Buffer
	if err := renderReport(&b, inv, s, checks); err != nil {
		return err
	}
	if _, err := inv.Stdout.Write(b.Bytes()); err != nil {
		return cli.Failed(cli.ExitFailure, fmt.Errorf("standard output: %w", err))
	}
	return nil
}

func renderReport(w io.Writer, inv *cli.Invocation, s *report.Summary, checks []report.Check) error {
	switch inv.Values.String("format") {
	case "json":
		return report.JSON(w, s, checks)
	case "csv":
		return report.CSV(w, s)
	case "markdown":
		return report.Markdown(w, s, checks)
	case "junit":
		return report.JUnit(w, s, checks)
	case "hgrm":
		metric := ""
		if inv.Values.Has("metric") {
			metric = inv.Values.String("metric")
		}
		if err := report.HGRM(w, s, metric); err != nil {
			return cli.Usagef("%v", err)
		}
		return nil
	case "hlog":
		return report.HLog(w, s.Result)
	}
	var palette format.Palette
	if inv.StdoutColor {
		palette = format.Colors
	}
	return report.Text(w, s, checks, palette)
}
